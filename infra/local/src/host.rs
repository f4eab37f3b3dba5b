//! Refuses requests that were meant for another host.
//!
//! A page on the internet can point a name of its own at 127.0.0.1 and have the reader's browser talk to what listens
//! there (DNS rebinding). Its requests carry the foreign name, so only the names of this machine are answered.
//!
//! A page may also call this machine by its right name. Then the browser says in `Origin` where the page is from.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;
use uuid::Uuid;

/// Lets requests for this machine pass, and answers all others 421.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(header::HOST).iter().map(|value| value.to_str().unwrap_or_default());
    let absolute = request.uri().authority().map(http::uri::Authority::as_str);
    // One host, as HTTP has it: of several, who knows which one another reader would take.
    if hosts.next().is_some_and(is_local) && hosts.next().is_none() && absolute.is_none_or(is_local) {
        drop(hosts);
        return next.run(request).await;
    }
    drop(hosts);
    let body = json!({
        "error": "only requests for 127.0.0.1, localhost and [::1] are answered here",
        "code": "FOREIGN_HOST",
        "requestId": Uuid::new_v4(),
    });
    (StatusCode::MISDIRECTED_REQUEST, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Whether a `Host` header, a port included, is one of this machine's own names.
pub(crate) fn is_local(host: &str) -> bool {
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| {
        let Some(start) = host.get(..name.len()) else { return false };
        start.eq_ignore_ascii_case(name)
            && match host[name.len()..].strip_prefix(':') {
                // Digits only: `parse` alone takes "+80" too, which is no port in a URL.
                Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
                None => host.len() == name.len(),
            }
    })
}

/// Whether a page sent this that did not come from this machine.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| {
        let host = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        !host.is_some_and(|(_, host)| is_local(host))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_machine_are_at_home() {
        for (origin, foreign) in [
            ("http://127.0.0.1:8080", false),
            ("http://localhost:3000", false),
            ("https://example.com", true),
            ("http://127.0.0.1.example.com", true),
            ("null", true),
            ("", true),
        ] {
            let headers = HeaderMap::from_iter([(header::ORIGIN, origin.parse().unwrap())]);
            assert_eq!(is_foreign(&headers), foreign, "{origin}");
        }
        assert!(!is_foreign(&HeaderMap::new()));
    }

    #[test]
    fn only_the_names_of_this_machine_are_local() {
        for host in ["127.0.0.1", "127.0.0.1:4566", "localhost:1", "LOCALHOST", "[::1]", "[::1]:8080"] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "127.0.0.1.example.com",
            "localhost.example.com:80",
            "bucket.localhost:4566",
            "localhost:",
            "localhost:99999",
            "localhost:+80",
            "localhost:80:80",
            "127.0.0.1@example.com",
            "127.0.0.2",
            "::1",
            "[::1",
            "évil",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
