//! The web page, compiled in, so that the binary works from any folder.

use axum::response::{IntoResponse as _, Response};
use http::{Method, header};

/// Path, content type and content of each file of the page.
const FILES: [(&str, &str, &[u8]); 1] =
    [("/", "text/html; charset=utf-8", include_bytes!("../../../../assets/web/index.html"))];

/// The file at `path`, if the request is for one.
pub(super) fn find(method: &Method, path: &str) -> Option<Response> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let (_, content_type, content) = FILES.iter().find(|(at, ..)| *at == path)?;
    let headers = [
        (header::CONTENT_TYPE, *content_type),
        // The page changes with the binary.
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    Some((headers, *content).into_response())
}
