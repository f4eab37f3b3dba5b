//! Why the store refuses a request, and the S3 error that says so on the wire.
//!
//! Signatures are refused before the store is asked, so their errors stand in [`super::access`].

use std::io;

use http::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderValue};
use s3s::dto::{ETag, Timestamp, TimestampFormat};
use s3s::{S3Error, S3ErrorCode};

/// A refusal. The text goes to the client, so it is S3's own where S3 has one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("The specified bucket does not exist")]
    NoSuchBucket,
    #[error("The specified bucket is not valid.")]
    InvalidBucketName,
    #[error("The specified key does not exist.")]
    NoSuchKey,
    #[error("The specified upload does not exist. It may have been aborted or completed.")]
    NoSuchUpload,
    #[error("Invalid version id specified")]
    InvalidVersion,
    #[error("Your key is too long")]
    KeyTooLong,
    #[error("At least one of the pre-conditions you specified did not hold")]
    PreconditionFailed,
    #[error("Not Modified")]
    NotModified { etag: String, modified: Timestamp },
    #[error("The requested range is not satisfiable")]
    InvalidRange { size: u64 },
    #[error("The requested partnumber is not satisfiable")]
    InvalidPartNumber,
    #[error("You must provide the Content-Length HTTP header.")]
    MissingContentLength,
    #[error("You did not provide the number of bytes specified by the Content-Length HTTP header")]
    IncompleteBody,
    #[error("Your socket connection to the server was not read from or written to within the timeout period.")]
    RequestTimeout,
    #[error("The Content-MD5 you specified is not valid.")]
    InvalidDigest,
    #[error("The {0} you specified did not match what we received.")]
    BadDigest(&'static str),
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    ContentSha256Mismatch,
    #[error("The signature of a chunk does not match its content.")]
    ChunkSignatureMismatch,
    #[error("Your proposed upload exceeds the maximum allowed object size.")]
    EntityTooLarge,
    #[error("Your proposed upload is smaller than the minimum allowed size")]
    EntityTooSmall,
    #[error("Your metadata headers exceed the maximum allowed metadata size.")]
    MetadataTooLarge,
    #[error("One or more of the specified parts could not be found or did not match its entity tag or checksum.")]
    InvalidPart,
    #[error("The list of parts was not in ascending order.")]
    InvalidPartOrder,
    #[error("The XML you provided was not well-formed or did not validate against our published schema")]
    MalformedXml,
    #[error("{0}")]
    InvalidArgument(&'static str),
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error("We encountered an internal error. Please try again.")]
    Database(#[from] rusqlite::Error),
    #[error("We encountered an internal error. Please try again.")]
    File(#[from] io::Error),
    #[error("We encountered an internal error. Please try again.")]
    Stored(#[from] serde_json::Error),
    #[error("We encountered an internal error. Please try again.")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl From<Error> for S3Error {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let code = match &error {
            Error::NoSuchBucket => S3ErrorCode::NoSuchBucket,
            Error::InvalidBucketName => S3ErrorCode::InvalidBucketName,
            Error::NoSuchKey => S3ErrorCode::NoSuchKey,
            Error::NoSuchUpload => S3ErrorCode::NoSuchUpload,
            Error::KeyTooLong => S3ErrorCode::KeyTooLongError,
            Error::PreconditionFailed => S3ErrorCode::PreconditionFailed,
            Error::NotModified { .. } => S3ErrorCode::NotModified,
            Error::InvalidRange { .. } => S3ErrorCode::InvalidRange,
            Error::InvalidPartNumber => S3ErrorCode::Custom("InvalidPartNumber".into()),
            Error::MissingContentLength => S3ErrorCode::MissingContentLength,
            Error::IncompleteBody => S3ErrorCode::IncompleteBody,
            Error::RequestTimeout => S3ErrorCode::RequestTimeout,
            Error::InvalidDigest => S3ErrorCode::InvalidDigest,
            Error::BadDigest(_) => S3ErrorCode::BadDigest,
            Error::ContentSha256Mismatch => S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()),
            Error::ChunkSignatureMismatch => S3ErrorCode::SignatureDoesNotMatch,
            Error::EntityTooLarge => S3ErrorCode::EntityTooLarge,
            Error::EntityTooSmall => S3ErrorCode::EntityTooSmall,
            Error::MetadataTooLarge => S3ErrorCode::MetadataTooLarge,
            Error::InvalidPart => S3ErrorCode::InvalidPart,
            Error::InvalidPartOrder => S3ErrorCode::InvalidPartOrder,
            Error::MalformedXml => S3ErrorCode::MalformedXML,
            Error::InvalidArgument(_) | Error::InvalidVersion => S3ErrorCode::InvalidArgument,
            Error::InvalidRequest(_) => S3ErrorCode::InvalidRequest,
            Error::Database(_) | Error::File(_) | Error::Stored(_) | Error::Interrupted(_) => {
                // The client learns nothing of the inside, so the cause is said here or nowhere.
                tracing::error!(cause = ?error, "the object store failed");
                S3ErrorCode::InternalError
            }
        };
        let mut refusal = S3Error::with_message(code, message);
        match error {
            Error::InvalidPartNumber => refusal.set_status_code(http::StatusCode::RANGE_NOT_SATISFIABLE),
            Error::ContentSha256Mismatch => refusal.set_status_code(http::StatusCode::BAD_REQUEST),
            Error::NotModified { etag, modified } => refusal.set_headers(validators(etag, &modified)),
            Error::InvalidRange { size } => {
                let range = HeaderValue::from_str(&format!("bytes */{size}")).ok();
                refusal.set_headers(range.map(|range| (CONTENT_RANGE, range)).into_iter().collect());
            }
            _ => {}
        }
        refusal
    }
}

/// The headers by which a cache knows that what it holds is still good.
fn validators(etag: String, modified: &Timestamp) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(etag) = ETag::Strong(etag).to_http_header() {
        headers.insert(ETAG, etag);
    }
    let mut date = Vec::new();
    if modified.format(TimestampFormat::HttpDate, &mut date).is_ok()
        && let Ok(date) = HeaderValue::from_bytes(&date)
    {
        headers.insert(http::header::LAST_MODIFIED, date);
    }
    headers
}
