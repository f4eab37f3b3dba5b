//! What SNS refuses, as XML.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use uuid::Uuid;

use super::NAMESPACE;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("Topic does not exist")]
    NotFound,
    #[error("{0}")]
    InvalidParameter(String),
    #[error("The action {0} is not valid for this endpoint.")]
    InvalidAction(String),
    #[error("We encountered an internal error. Please try again.")]
    Database(#[from] rusqlite::Error),
    #[error("We encountered an internal error. Please try again.")]
    Panicked(#[from] tokio::task::JoinError),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, fault, code) = match &self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Sender", "NotFound"),
            Self::InvalidParameter(_) => (StatusCode::BAD_REQUEST, "Sender", "InvalidParameter"),
            Self::InvalidAction(_) => (StatusCode::BAD_REQUEST, "Sender", "InvalidAction"),
            Self::Database(_) | Self::Panicked(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Receiver", "InternalError"),
        };
        let message = self.to_string().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let request_id = Uuid::new_v4();
        let body = format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{fault}</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        );
        (status, [(header::CONTENT_TYPE, "text/xml")], body).into_response()
    }
}
