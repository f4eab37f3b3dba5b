//! What SQS refuses, in the words and codes in which it does.
//!
//! Clients of the JSON protocol read `__type`; those that compare the codes of the older Query protocol (boto3 does)
//! find them in a header.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode};
use serde_json::json;

use super::JSON;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    #[error("A queue already exists with the same name and a different value for attribute {0}")]
    QueueNameExists(String),
    #[error("The input receipt handle is invalid.")]
    ReceiptHandleIsInvalid,
    #[error("The message referred to isn't in flight.")]
    MessageNotInflight,
    #[error("The message contains characters outside the allowed set.")]
    InvalidMessageContents,
    #[error("There should be at least one entry in the request.")]
    EmptyBatchRequest,
    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntriesInBatchRequest(usize),
    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),
    #[error("A batch entry id can only contain alphanumeric characters, hyphens and underscores, at most 80.")]
    InvalidBatchEntryId,
    #[error("Batch requests cannot be longer than 1048576 bytes. You have sent {0} bytes.")]
    BatchRequestTooLong(usize),
    #[error("Unknown Attribute {0}.")]
    InvalidAttributeName(String),
    #[error("Invalid value for the parameter {0}.")]
    InvalidAttributeValue(String),
    #[error("{0}")]
    ResourceNotFound(String),
    #[error("{0}")]
    UnsupportedOperation(&'static str),
    #[error("{0}")]
    InvalidParameterValue(String),
    #[error("The request must contain the parameter {0}.")]
    MissingParameter(&'static str),
    #[error("{0} is not an operation of this endpoint.")]
    UnknownOperation(String),
    #[error("{0}")]
    Serialization(String),
    #[error("We encountered an internal error. Please try again.")]
    Internal(#[from] rusqlite::Error),
    #[error("We encountered an internal error. Please try again.")]
    Panicked(#[from] tokio::task::JoinError),
}

impl Error {
    /// The value `value` of `parameter` cannot be used, because of `reason`.
    pub(super) fn invalid(parameter: &str, value: impl std::fmt::Display, reason: &str) -> Self {
        Self::InvalidParameterValue(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
    }

    /// The error's code in the Query protocol.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::QueueDoesNotExist => "AWS.SimpleQueueService.NonExistentQueue",
            Self::QueueNameExists(_) => "QueueAlreadyExists",
            Self::ReceiptHandleIsInvalid => "ReceiptHandleIsInvalid",
            Self::MessageNotInflight => "AWS.SimpleQueueService.MessageNotInflight",
            Self::InvalidMessageContents => "InvalidMessageContents",
            Self::EmptyBatchRequest => "AWS.SimpleQueueService.EmptyBatchRequest",
            Self::TooManyEntriesInBatchRequest(_) => "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            Self::BatchEntryIdsNotDistinct(_) => "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            Self::InvalidBatchEntryId => "AWS.SimpleQueueService.InvalidBatchEntryId",
            Self::BatchRequestTooLong(_) => "AWS.SimpleQueueService.BatchRequestTooLong",
            Self::InvalidAttributeName(_) => "InvalidAttributeName",
            Self::InvalidAttributeValue(_) => "InvalidAttributeValue",
            Self::ResourceNotFound(_) => "ResourceNotFoundException",
            Self::UnsupportedOperation(_) => "AWS.SimpleQueueService.UnsupportedOperation",
            Self::InvalidParameterValue(_) => "InvalidParameterValue",
            Self::MissingParameter(_) => "MissingParameter",
            Self::UnknownOperation(_) => "InvalidAction",
            Self::Serialization(_) => "MalformedInput",
            Self::Internal(_) | Self::Panicked(_) => "InternalFailure",
        }
    }

    /// The error's type in the JSON protocol.
    fn type_name(&self) -> &'static str {
        match self {
            Self::QueueDoesNotExist => "com.amazonaws.sqs#QueueDoesNotExist",
            Self::QueueNameExists(_) => "com.amazonaws.sqs#QueueNameExists",
            Self::ReceiptHandleIsInvalid => "com.amazonaws.sqs#ReceiptHandleIsInvalid",
            Self::MessageNotInflight => "com.amazonaws.sqs#MessageNotInflight",
            Self::InvalidMessageContents => "com.amazonaws.sqs#InvalidMessageContents",
            Self::EmptyBatchRequest => "com.amazonaws.sqs#EmptyBatchRequest",
            Self::TooManyEntriesInBatchRequest(_) => "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
            Self::BatchEntryIdsNotDistinct(_) => "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
            Self::InvalidBatchEntryId => "com.amazonaws.sqs#InvalidBatchEntryId",
            Self::BatchRequestTooLong(_) => "com.amazonaws.sqs#BatchRequestTooLong",
            Self::InvalidAttributeName(_) => "com.amazonaws.sqs#InvalidAttributeName",
            Self::InvalidAttributeValue(_) => "com.amazonaws.sqs#InvalidAttributeValue",
            Self::ResourceNotFound(_) => "com.amazonaws.sqs#ResourceNotFoundException",
            Self::UnsupportedOperation(_) => "com.amazonaws.sqs#UnsupportedOperation",
            Self::InvalidParameterValue(_) => "com.amazon.coral.service#InvalidParameterValueException",
            Self::MissingParameter(_) => "com.amazon.coral.service#MissingRequiredParameterException",
            Self::UnknownOperation(_) => "com.amazon.coral.service#UnknownOperationException",
            Self::Serialization(_) => "com.amazon.coral.service#SerializationException",
            Self::Internal(_) | Self::Panicked(_) => "com.amazon.coral.service#InternalFailure",
        }
    }

    /// Whether the sender can do something about it.
    pub(super) fn is_senders(&self) -> bool {
        !matches!(self, Self::Internal(_) | Self::Panicked(_))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, fault) = if self.is_senders() {
            (StatusCode::BAD_REQUEST, "Sender")
        } else {
            (StatusCode::INTERNAL_SERVER_ERROR, "Receiver")
        };
        let headers = [
            (http::header::CONTENT_TYPE, JSON.to_owned()),
            (HeaderName::from_static("x-amzn-query-error"), format!("{};{fault}", self.code())),
        ];
        let body = json!({ "__type": self.type_name(), "message": self.to_string() });
        (status, headers, body.to_string()).into_response()
    }
}
