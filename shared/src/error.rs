//! Whose problem a failure is, and so what becomes of the request or message behind it.

use std::error::Error as StdError;
use std::fmt;

/// A failure, sorted by what helps against it.
///
/// There is no conversion from any error type: whoever meets an error says which kind it is.
#[derive(Debug)]
pub enum Failure {
    /// The client's: what was sent cannot be used. Answered with both parts, or written into the job.
    Client {
        /// Stable; clients compare it.
        code: Code,
        /// A short sentence for a person, without internals.
        message: String,
    },
    /// Ours: a retry would fail the same way.
    Permanent(Box<dyn StdError + Send + Sync>),
    /// Nobody's: throttling, a time-out, a lost connection. A retry helps.
    Transient {
        /// What did not work, for a person, as the end of a sentence: "the file store did not answer".
        cause: &'static str,
        /// The error itself, for the log.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl Failure {
    /// The client's failure with a sentence for a person.
    pub fn client(code: Code, message: impl Into<String>) -> Self {
        Self::Client { code, message: message.into() }
    }

    /// Our own failure.
    pub fn permanent(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Permanent(source.into())
    }

    /// A failure that passes, and what a person may know of it.
    pub fn transient(cause: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Transient { cause, source: source.into() }
    }
}

impl fmt::Display for Failure {
    /// The whole chain of causes in one line, for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { code, message } => write!(f, "{code}: {message}"),
            Self::Permanent(source) | Self::Transient { source, .. } => {
                write!(f, "{source}")?;
                let mut cause = source.source();
                while let Some(error) = cause {
                    write!(f, ": {error}")?;
                    cause = error.source();
                }
                Ok(())
            }
        }
    }
}

impl StdError for Failure {}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal $status:literal,)*) => {
        /// A stable code that a client may act on, and the HTTP status that goes with it.
        ///
        /// Codes of a failed job never travel as an HTTP status of their own: their status is that of an API answer
        /// which is refused for the same reason.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl Code {
            /// The code as it stands in answers, rows and notices.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The HTTP status of an answer with this code.
            pub fn status(self) -> http::StatusCode {
                let status: u16 = match self { $(Self::$variant => $status,)* };
                http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    };
}

codes! {
    /// The body is not JSON of the expected shape.
    InvalidRequest = "INVALID_REQUEST" 400,
    /// The path's job id is not a UUID.
    InvalidJobId = "INVALID_JOB_ID" 400,
    /// A recipe that is malformed, or that cannot apply to this image.
    InvalidRecipe = "INVALID_RECIPE" 400,
    /// No API key came along, or none that is accepted.
    InvalidApiKey = "INVALID_API_KEY" 401,
    /// Nobody knows who calls, where callers have to be known.
    Unauthenticated = "UNAUTHENTICATED" 401,
    /// The caller is known, and their token is not for this API.
    InsufficientScope = "INSUFFICIENT_SCOPE" 403,
    /// No such job, or not this caller's.
    JobNotFound = "JOB_NOT_FOUND" 404,
    /// No such route.
    NotFound = "NOT_FOUND" 404,
    /// The route exists, with another method.
    MethodNotAllowed = "METHOD_NOT_ALLOWED" 405,
    /// The body exceeds the limit.
    PayloadTooLarge = "PAYLOAD_TOO_LARGE" 413,
    /// The key stands for another request.
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED" 422,
    /// A content type that Darkroom does not take.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE" 415,
    /// Content is no image we read.
    UnsupportedFormat = "UNSUPPORTED_FORMAT" 415,
    /// Decoding failed.
    CorruptImage = "CORRUPT_IMAGE" 400,
    /// Too many bytes or pixels.
    ImageTooLarge = "IMAGE_TOO_LARGE" 413,
    /// Zero bytes.
    EmptyFile = "EMPTY_FILE" 400,
    /// The object is gone.
    SourceMissing = "SOURCE_MISSING" 404,
    /// Nothing was ever uploaded.
    UploadExpired = "UPLOAD_EXPIRED" 410,
    /// Every attempt ran out of time.
    TimedOut = "TIMED_OUT" 504,
    /// A passing failure did not pass.
    RetriesExhausted = "RETRIES_EXHAUSTED" 503,
    /// Our own failure.
    Internal = "INTERNAL" 500,
    /// Try again in a moment.
    Unavailable = "UNAVAILABLE" 503,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_line_shows_the_whole_chain() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        let failure = Failure::transient("it rained", Outer(std::io::Error::other("inner")));
        assert_eq!(failure.to_string(), "outer: inner");
    }
}
