//! Receiving a request's body into a content file, and holding it against everything the client said about it.
//!
//! s3s checks `x-amz-content-sha256` and the signatures of chunks while the stream runs. It does not check lengths,
//! `Content-MD5`, or any `x-amz-checksum-*`: that is done here, before anything becomes visible.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use http::HeaderMap;
use s3s::dto::StreamingBlob;
use s3s::stream::ByteStream as _;
use s3s::{StdError, TrailingHeaders};
use tokio::time::timeout;

use super::checksum::Algorithm;
use super::content::{Content, hex};
use super::error::Error;
use super::store::Store;

/// Most bytes of one body, an object or a part, as S3 has it: 5 GiB.
const MAX_BYTES: u64 = 5 << 30;

/// Longest pause within a body.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// Bytes that are gathered before a thread is troubled to write them.
const BATCH_BYTES: usize = 1 << 20;

/// What a request says about its body beside the body.
pub(crate) struct Sent<'a> {
    pub(crate) content_length: Option<i64>,
    pub(crate) content_md5: Option<String>,
    pub(crate) checksum: Option<(Algorithm, String)>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) trailers: Option<TrailingHeaders>,
}

/// What the body has to be.
pub(crate) struct Expected {
    length: u64,
    md5: Option<String>,
    checksum: Option<(Algorithm, Claim)>,
}

/// Where the client's checksum stands.
enum Claim {
    Known(String),
    /// After the body, which is when a client that streams knows it.
    Trailing(TrailingHeaders),
    /// Nowhere: it is computed because the upload asks for it.
    None,
}

impl Expected {
    pub(crate) fn new(sent: Sent<'_>, body: Option<&StreamingBlob>) -> Result<Self, Error> {
        let checksum = match (sent.checksum, trailing_checksum(sent.headers, sent.trailers)?) {
            (Some((algorithm, value)), None) => Some((algorithm, Claim::Known(value))),
            (None, trailing) => trailing,
            (Some(_), Some(_)) => return Err(Error::InvalidRequest("Expecting a single x-amz-checksum- header.")),
        };
        Ok(Self {
            length: length(sent.content_length, sent.headers, body)?,
            md5: sent.content_md5.as_deref().map(md5_in_hex).transpose()?,
            checksum,
        })
    }

    /// Demands that a checksum be of `algorithm`, and has it computed if none was sent.
    pub(crate) fn with_algorithm(mut self, algorithm: Option<Algorithm>) -> Result<Self, Error> {
        match (&self.checksum, algorithm) {
            (None, Some(algorithm)) => self.checksum = Some((algorithm, Claim::None)),
            (Some((sent, _)), Some(asked)) if *sent != asked => {
                return Err(Error::InvalidRequest("Checksum Type mismatch occurred."));
            }
            _ => {}
        }
        Ok(self)
    }

    fn check(&self, content: &Content) -> Result<(), Error> {
        if self.md5.as_ref().is_some_and(|md5| *md5 != content.md5) {
            return Err(Error::BadDigest("Content-MD5"));
        }
        let (Some((algorithm, claim)), Some(computed)) = (&self.checksum, &content.checksum) else { return Ok(()) };
        let holds = match claim {
            Claim::Known(claimed) => *claimed == computed.value,
            Claim::Trailing(trailers) => trailers
                .read(|trailers| trailers.get(algorithm.header()).map(|claimed| claimed == computed.value.as_str()))
                .flatten()
                .ok_or(Error::InvalidRequest("The request promised a trailing checksum and did not send it."))?,
            Claim::None => true,
        };
        if holds { Ok(()) } else { Err(Error::BadDigest(algorithm.name())) }
    }
}

/// How long the body has to be. Of a chunked one that is the length without its framing.
fn length(content_length: Option<i64>, headers: &HeaderMap, body: Option<&StreamingBlob>) -> Result<u64, Error> {
    let Some(body) = body else { return Ok(0) };
    let decoded = headers.get("x-amz-decoded-content-length").map(|length| {
        let length = length.to_str().ok().and_then(|length| length.parse().ok());
        length.ok_or(Error::InvalidArgument("x-amz-decoded-content-length is no number."))
    });
    let length = match (decoded, content_length) {
        (Some(decoded), _) => decoded?,
        (None, Some(length)) => u64::try_from(length).map_err(|_| Error::MissingContentLength)?,
        (None, None) => body.remaining_length().exact().ok_or(Error::MissingContentLength)? as u64,
    };
    if length > MAX_BYTES { Err(Error::EntityTooLarge) } else { Ok(length) }
}

/// The checksum that `x-amz-trailer` promises.
fn trailing_checksum(
    headers: &HeaderMap,
    trailers: Option<TrailingHeaders>,
) -> Result<Option<(Algorithm, Claim)>, Error> {
    let (Some(trailers), Some(names)) = (trailers, headers.get("x-amz-trailer")) else { return Ok(None) };
    let names = names.to_str().unwrap_or_default().split(',').map(|name| name.trim().to_ascii_lowercase());
    let mut promised = names.filter_map(|name| Algorithm::of_header(&name));
    match (promised.next().transpose()?, promised.next()) {
        (Some(algorithm), None) => Ok(Some((algorithm, Claim::Trailing(trailers)))),
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Error::InvalidRequest("Expecting a single x-amz-checksum- trailer.")),
    }
}

fn md5_in_hex(content_md5: &str) -> Result<String, Error> {
    match BASE64_STANDARD.decode(content_md5) {
        Ok(md5) if md5.len() == 16 => Ok(hex(&md5)),
        _ => Err(Error::InvalidDigest),
    }
}

/// Takes in a whole body. Whatever fails, and also if the client hangs up, no file is left.
pub(crate) async fn receive(
    store: &Arc<Store>,
    mut body: Option<StreamingBlob>,
    expected: Expected,
) -> Result<Content, Error> {
    let algorithm = expected.checksum.as_ref().map(|(algorithm, _)| *algorithm);
    let mut draft = store.blocking(move |store| Ok(store.files.draft(algorithm)?)).await?;
    while let Some(batch) = next_batch(body.as_mut()).await? {
        let received = draft.size() + batch.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
        if received > expected.length {
            return Err(Error::IncompleteBody);
        }
        draft = store
            .blocking(move |_| {
                batch.iter().try_for_each(|bytes| draft.write(bytes))?;
                Ok(draft)
            })
            .await?;
    }
    if draft.size() != expected.length {
        return Err(Error::IncompleteBody);
    }
    store
        .blocking(move |_| {
            let content = draft.finish()?;
            expected.check(&content)?;
            Ok(content)
        })
        .await
}

/// The next bytes, about [`BATCH_BYTES`] of them; `None` at the end.
async fn next_batch(body: Option<&mut StreamingBlob>) -> Result<Option<Vec<Bytes>>, Error> {
    let Some(body) = body else { return Ok(None) };
    let mut batch = Vec::new();
    let mut size = 0;
    while size < BATCH_BYTES {
        match timeout(IDLE_TIME, body.next()).await.map_err(|_| Error::RequestTimeout)? {
            Some(Ok(bytes)) => {
                size += bytes.len();
                batch.push(bytes);
            }
            Some(Err(error)) => return Err(broken(&error)),
            None => break,
        }
    }
    Ok((!batch.is_empty()).then_some(batch))
}

/// Why a stream broke off. s3s keeps these types to itself, so their text has to tell. Its version is pinned, and a
/// text that is not known means a refusal all the same.
fn broken(error: &StdError) -> Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        Error::ContentSha256Mismatch
    } else if text.contains("SignatureMismatch") {
        Error::ChunkSignatureMismatch
    } else {
        Error::IncompleteBody
    }
}
