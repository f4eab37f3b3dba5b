//! HTTP as every function speaks it: JSON answers, one shape of error, CORS on everything, strict bodies.
//!
//! Built on the `http` crate alone; what turns these into Lambda's events is the functions' business.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::{Code, Failure};
use crate::object::Object;

/// An answer with its body.
pub type Response = http::Response<String>;

/// Every route of the API, as `(method, path)`; `{…}` stands for one segment. The deployed template lists the same.
pub const ROUTES: [(Method, &str); 7] = [
    (Method::POST, "/uploads"),
    (Method::POST, "/uploads/batch"),
    (Method::POST, "/image"),
    (Method::POST, "/classify"),
    (Method::GET, "/jobs"),
    (Method::GET, "/jobs/{jobId}"),
    (Method::GET, "/results"),
];

/// What browsers may read of an answer besides its body.
const EXPOSED_HEADERS: &str = "etag, retry-after, x-request-id";

/// What browsers may send.
const ALLOWED_HEADERS: &str = "authorization, content-type, if-none-match, idempotency-key, x-api-key";

/// The sentence behind every 5xx: what went wrong is in the log, under the request id.
const INTERNAL_MESSAGE: &str = "something went wrong on our side";

/// A JSON answer.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => with_json(status, text),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            with_json(StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": INTERNAL_MESSAGE }).to_string())
        }
    }
}

fn with_json(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer to a request that failed: what is the client's is told, what is ours is logged.
pub fn failure(failure: &Failure, request_id: &str) -> Response {
    let (code, message) = match failure {
        Failure::Client { code, message } => {
            tracing::info!(%code, "request refused");
            (*code, message.as_str())
        }
        Failure::Permanent(_) => {
            tracing::error!(error = %failure, "request failed");
            (Code::Internal, INTERNAL_MESSAGE)
        }
        Failure::Transient { .. } => {
            tracing::warn!(error = %failure, "request failed for now");
            (Code::Unavailable, "not available for the moment; please try again")
        }
    };
    let mut response = json(code.status(), &json!({ "error": message, "code": code, "requestId": request_id }));
    let hint = match code {
        Code::Unavailable => Some((header::RETRY_AFTER, "1")),
        // A 401 has to name a scheme. There is none for API keys, so this one is made up.
        Code::InvalidApiKey => Some((header::WWW_AUTHENTICATE, "ApiKey")),
        Code::Unauthenticated => Some((header::WWW_AUTHENTICATE, "Bearer")),
        _ => None,
    };
    response.headers_mut().extend(hint.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

/// Parses a JSON body; an empty one counts as `{}`. Errors name the path of the offending value.
pub fn parse_body<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Failure> {
    if !body.is_empty() && !is_json(headers) {
        return Err(Failure::client(Code::UnsupportedMediaType, "send the body as application/json"));
    }
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.inner());
        // A path of `.` is the body itself.
        let message = if path == "." { cause.to_string() } else { format!("{path}: {cause}") };
        Failure::client(Code::InvalidRequest, strip_position(&message))
    })?;
    deserializer
        .end()
        .map_err(|_| Failure::client(Code::InvalidRequest, "there is more after the end of the JSON body"))?;
    Ok(value)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")
}

/// `serde_json` ends its messages with a position, which after a path says nothing more.
fn strip_position(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(text, _)| text)
}

/// Which origins may read answers in a browser.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Vec<String>,
}

impl Cors {
    /// `*`, or a list of origins such as `https://example.com`.
    pub fn new(origins: Vec<String>) -> Self {
        Self { origins }
    }

    /// Turns a handler's outcome into the answer to the request with these headers.
    pub fn answer(&self, outcome: Result<Response, Failure>, request: &HeaderMap, request_id: &str) -> Response {
        let mut response = outcome.unwrap_or_else(|error| failure(&error, request_id));
        self.apply(request.get(header::ORIGIN), &mut response);
        if let Ok(id) = HeaderValue::from_str(request_id) {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
        }
        response
    }

    /// Puts the CORS headers for `origin`, the request's own header, on an answer.
    fn apply(&self, origin: Option<&HeaderValue>, response: &mut Response) {
        let headers = response.headers_mut();
        let allowed = if self.origins.iter().any(|o| o == "*") {
            Some(HeaderValue::from_static("*"))
        } else {
            headers.insert(header::VARY, HeaderValue::from_static("origin"));
            origin.filter(|origin| self.origins.iter().any(|o| o.as_bytes() == origin.as_bytes())).cloned()
        };
        if let Some(allowed) = allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
        }
        headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    }
}

/// Whether the API has a route for it.
pub fn is_routed(method: &Method, path: &str) -> bool {
    ROUTES.iter().any(|(routed, pattern)| routed == method && matches(pattern, path))
}

/// The answer to a request that no route takes: a CORS preflight, a wrong method, or an unknown path.
pub fn no_route(method: &Method, path: &str, request_id: &str) -> Response {
    let methods: Vec<&str> =
        ROUTES.iter().filter(|(_, pattern)| matches(pattern, path)).map(|(method, _)| method.as_str()).collect();
    if methods.is_empty() {
        return failure(&Failure::client(Code::NotFound, "there is nothing at this path"), request_id);
    }
    let allow = format!("{}, OPTIONS", methods.join(", "));
    let mut response = if method == Method::OPTIONS {
        preflight()
    } else {
        failure(&Failure::client(Code::MethodNotAllowed, format!("this path takes {allow}")), request_id)
    };
    // OK to expect no failure: the methods are our own.
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        let names = [header::ALLOW, header::ACCESS_CONTROL_ALLOW_METHODS];
        response.headers_mut().extend(names.map(|name| (name, allow.clone())));
    }
    response
}

fn preflight() -> Response {
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    response
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(p), Some(s)) if p == s || (p.starts_with('{') && !s.is_empty()) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default)]
        list: Vec<u8>,
    }

    fn check_refused(content_type: &str, body: &str, code: Code, part: &str) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        match parse_body::<Body>(&headers, body.as_bytes()) {
            Err(Failure::Client { code: got, message }) => {
                assert_eq!(got, code, "{body}");
                assert!(message.contains(part), "{body}: {message}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn bodies_that_are_refused() {
        check_refused("text/plain", "{}", Code::UnsupportedMediaType, "application/json");
        check_refused("application/json", "{", Code::InvalidRequest, "EOF");
        check_refused("application/json", "{} {}", Code::InvalidRequest, "more after");
        check_refused("application/json", r#"{"lisst":[]}"#, Code::InvalidRequest, "lisst");
        check_refused("application/json", r#"{"list":[1,300]}"#, Code::InvalidRequest, "list[1]: ");
        check_refused("application/json", "[]", Code::InvalidRequest, "expected an object");
    }

    #[test]
    fn nothing_and_an_empty_object_are_the_same() {
        assert!(parse_body::<Body>(&HeaderMap::new(), b" ").unwrap().list.is_empty());
        assert!(parse_body::<Body>(&HeaderMap::new(), b"{}").unwrap().list.is_empty());
    }

    #[test]
    fn unrouted_requests_are_told_why() {
        let status = |method, path| no_route(&method, path, "id").status();
        assert_eq!(status(Method::GET, "/nowhere"), StatusCode::NOT_FOUND);
        assert_eq!(status(Method::GET, "/jobs/a/b"), StatusCode::NOT_FOUND);
        let refused = no_route(&Method::DELETE, "/jobs/a", "id");
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()[header::ALLOW], "GET, OPTIONS");
        let preflight = no_route(&Method::OPTIONS, "/uploads", "id");
        assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
        assert_eq!(preflight.headers()[header::ACCESS_CONTROL_ALLOW_METHODS], "POST, OPTIONS");
    }

    #[test]
    fn routes_are_found_by_method_and_path() {
        assert!(is_routed(&Method::GET, "/jobs/a"));
        for (method, path) in [(Method::POST, "/jobs/a"), (Method::OPTIONS, "/uploads"), (Method::GET, "/jobs/")] {
            assert!(!is_routed(&method, path), "{method} {path}");
        }
    }

    #[test]
    fn who_is_refused_is_told_by_which_scheme() {
        for (code, scheme) in [(Code::InvalidApiKey, "ApiKey"), (Code::Unauthenticated, "Bearer")] {
            let response = failure(&Failure::client(code, "no"), "id");
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], scheme);
        }
    }

    #[test]
    fn a_page_may_send_a_token_or_a_key() {
        for name in ["authorization", "x-api-key"] {
            let preflight = no_route(&Method::OPTIONS, "/uploads", "id");
            let allowed = preflight.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap();
            assert!(allowed.split(", ").any(|allowed| allowed == name), "{name}");
        }
    }

    #[test]
    fn a_listed_origin_is_echoed_and_a_foreign_one_is_not() {
        let cors = Cors::new(vec!["https://a.example".into()]);
        for (origin, allowed) in [("https://a.example", true), ("https://b.example", false)] {
            let mut response = Response::new(String::new());
            cors.apply(Some(&origin.parse().unwrap()), &mut response);
            assert_eq!(response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), allowed);
            assert_eq!(response.headers()[header::VARY], "origin");
        }
    }
}
