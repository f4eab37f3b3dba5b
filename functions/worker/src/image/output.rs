//! A file that is being written, and may not become longer than allowed.

use std::io::{self, Seek, SeekFrom, Write};

/// Bytes in memory, up to a limit.
pub(super) struct Output {
    bytes: Vec<u8>,
    at: usize,
    limit: usize,
    exceeded: bool,
}

impl Output {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), at: 0, limit, exceeded: false }
    }

    /// Whether something was refused since it would have gone beyond the limit.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.at + bytes.len();
        if end > self.limit {
            self.exceeded = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if end > self.bytes.len() {
            if end > self.bytes.capacity() {
                // Doubled, but never beyond what may be used.
                let room = (self.bytes.capacity() * 2).clamp(end, self.limit);
                self.bytes.reserve_exact(room - self.bytes.len());
            }
            self.bytes.resize(self.at.max(self.bytes.len()), 0);
            let over = self.bytes.len() - self.at;
            self.bytes[self.at..].copy_from_slice(&bytes[..over]);
            self.bytes.extend_from_slice(&bytes[over..]);
        } else {
            self.bytes[self.at..end].copy_from_slice(bytes);
        }
        self.at = end;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Output {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => (self.bytes.len() as u64).checked_add_signed(by),
            SeekFrom::Current(by) => (self.at as u64).checked_add_signed(by),
        };
        let at = at.filter(|&at| at <= self.limit as u64).ok_or(io::ErrorKind::InvalidInput)?;
        self.at = at as usize;
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_file_like_any_other_up_to_its_limit() {
        let mut output = Output::new(6);
        output.write_all(b"abcd").unwrap();
        output.seek(SeekFrom::Start(1)).unwrap();
        output.write_all(b"BCDE").unwrap();
        assert_eq!(output.seek(SeekFrom::Current(-1)).unwrap(), 4);
        output.write_all(b"ef").unwrap();
        assert!(!output.is_exceeded());
        assert!(output.write_all(b"g").is_err() && output.is_exceeded());
        assert_eq!(output.into_bytes(), b"aBCDef");
    }

    #[test]
    fn it_keeps_no_more_room_than_it_may_use() {
        let mut output = Output::new(1000);
        for _ in 0..10 {
            output.write_all(&[7; 100]).unwrap();
            assert!(output.bytes.capacity() <= 1000);
        }
    }
}
