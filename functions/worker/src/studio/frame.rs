//! What travels between the worker and its studios: byte strings with their length in front.
//!
//! The length is checked against what the receiver expects before anything is allocated for it.

use std::io::{self, ErrorKind, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest message in JSON, in bytes: a recipe of eight derivatives takes some thousand.
const MAX_MESSAGE: usize = 64 << 10;

/// Longest frame that its length in four bytes can announce.
const MAX_FRAME: usize = u32::MAX as usize;

/// Why there is no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// The other side is gone, between two frames or in the middle of one.
    #[error("the other side is gone")]
    Gone(#[source] io::Error),
    /// More than the other side may send.
    #[error("a frame of {length} bytes where at most {limit} are expected")]
    TooLong {
        /// Its length, as announced.
        length: usize,
        /// The most that was expected.
        limit: usize,
    },
    /// Less than the other side has to send.
    #[error("a frame of {length} bytes where {expected} are expected")]
    TooShort {
        /// Its length.
        length: usize,
        /// The length that was expected.
        expected: usize,
    },
    /// A message that does not come here.
    #[error("a message out of turn")]
    OutOfTurn,
    /// The frame is no message of the expected kind.
    #[error("a message of an unknown kind")]
    Message(#[source] serde_json::Error),
}

/// Sends bytes.
pub(super) fn send(to: &mut impl Write, bytes: &[u8]) -> Result<(), FrameError> {
    let length =
        u32::try_from(bytes.len()).map_err(|_| FrameError::TooLong { length: bytes.len(), limit: MAX_FRAME })?;
    to.write_all(&length.to_le_bytes()).and_then(|()| to.write_all(bytes)).map_err(FrameError::Gone)
}

/// Receives at most `limit` bytes.
pub(super) fn receive(from: &mut impl Read, limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(FrameError::Gone)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > limit {
        return Err(FrameError::TooLong { length, limit });
    }
    let mut bytes = Vec::with_capacity(length);
    let read = from.by_ref().take(length as u64).read_to_end(&mut bytes).map_err(FrameError::Gone)?;
    if read < length { Err(FrameError::Gone(ErrorKind::UnexpectedEof.into())) } else { Ok(bytes) }
}

/// Receives exactly so many bytes.
pub(super) fn receive_exactly(from: &mut impl Read, expected: usize) -> Result<Vec<u8>, FrameError> {
    let bytes = receive(from, expected)?;
    if bytes.len() < expected { Err(FrameError::TooShort { length: bytes.len(), expected }) } else { Ok(bytes) }
}

/// Sends a message.
pub(super) fn tell(to: &mut impl Write, message: &impl Serialize) -> Result<(), FrameError> {
    send(to, &serde_json::to_vec(message).map_err(FrameError::Message)?)
}

/// Receives a message.
pub(super) fn hear<T: DeserializeOwned>(from: &mut impl Read) -> Result<T, FrameError> {
    serde_json::from_slice(&receive(from, MAX_MESSAGE)?).map_err(FrameError::Message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_received() {
        let mut wire = Vec::new();
        send(&mut wire, b"").unwrap();
        send(&mut wire, b"photo").unwrap();
        tell(&mut wire, &["a", "b"]).unwrap();
        let mut wire = &wire[..];
        assert_eq!(receive(&mut wire, 0).unwrap(), b"");
        assert_eq!(receive(&mut wire, 5).unwrap(), b"photo");
        assert_eq!(hear::<Vec<String>>(&mut wire).unwrap(), ["a", "b"]);
        assert!(matches!(receive(&mut wire, 9), Err(FrameError::Gone(_))));
    }

    #[test]
    fn a_frame_cut_short_is_no_frame() {
        let mut wire = Vec::new();
        send(&mut wire, b"photo").unwrap();
        for length in 0..wire.len() {
            assert!(matches!(receive(&mut &wire[..length], 9), Err(FrameError::Gone(_))), "{length}");
        }
    }

    #[test]
    fn a_frame_longer_than_expected_is_refused_unread() {
        let wire = u32::MAX.to_le_bytes();
        let error = receive(&mut &wire[..], 1000).unwrap_err();
        assert!(matches!(error, FrameError::TooLong { length: MAX_FRAME, limit: 1000 }), "{error}");
        assert!(matches!(hear::<String>(&mut &wire[..]), Err(FrameError::TooLong { limit: MAX_MESSAGE, .. })));
    }

    #[test]
    fn a_message_of_another_kind_is_refused() {
        let mut wire = Vec::new();
        tell(&mut wire, &"text").unwrap();
        assert!(matches!(hear::<u32>(&mut &wire[..]), Err(FrameError::Message(_))));
    }
}
