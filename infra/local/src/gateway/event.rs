//! The event of a request: API Gateway's HTTP API, payload format 2.0.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::Utc;
use http::request::Parts;
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::route::Route;
use crate::stack::ACCOUNT;

/// The API's id, and so the first label of its domain name on AWS.
const API_ID: &str = "darkroom";

/// The event that the function of `route` gets.
pub(super) fn from_request(parts: &Parts, body: &[u8], route: &Route, peer: SocketAddr, request_id: &str) -> Value {
    let (headers, cookies) = headers(&parts.headers, peer);
    let now = Utc::now();
    let host = headers.get("host").cloned().unwrap_or_default();
    // API Gateway decodes the path, and hands the query on as it came.
    let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
    let query = parts.uri.query().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "domainName": host,
            "domainPrefix": API_ID,
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": peer.ip().to_string(),
                "userAgent": headers.get("user-agent").cloned().unwrap_or_default(),
            },
            "requestId": request_id,
            "routeKey": route.key,
            "stage": "$default",
            "time": now.format("%d/%b/%Y:%H:%M:%S %z").to_string(),
            "timeEpoch": now.timestamp_millis(),
        },
        "isBase64Encoded": false,
    });
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = json!(query_parameters(query));
    }
    if !route.parameters.is_empty() {
        event["pathParameters"] = json!(route.parameters);
    }
    if !body.is_empty() {
        match std::str::from_utf8(body) {
            Ok(text) if is_text(&parts.headers) => event["body"] = text.into(),
            _ => {
                event["body"] = BASE64_STANDARD.encode(body).into();
                event["isBase64Encoded"] = true.into();
            }
        }
    }
    event
}

/// Headers with lower-case names and values joined by commas, and cookies apart from them.
fn headers(from: &HeaderMap, peer: SocketAddr) -> (BTreeMap<String, String>, Vec<String>) {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    let mut cookies = Vec::new();
    let mut add = |name: &str, value: &str| {
        headers.entry(name.to_owned()).and_modify(|all| *all = format!("{all},{value}")).or_insert(value.to_owned());
    };
    for (name, value) in from {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name == header::COOKIE {
            cookies.extend(value.split(';').map(|cookie| cookie.trim().to_owned()));
        } else {
            add(name.as_str(), &value);
        }
    }
    add("x-forwarded-for", &peer.ip().to_string());
    // Not the client's to say.
    headers.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    (headers, cookies)
}

/// Decoded parameters; what comes several times is joined by commas.
fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        parameters
            .entry(name.into_owned())
            .and_modify(|all| *all = format!("{all},{value}"))
            .or_insert_with(|| value.clone().into_owned());
    }
    parameters
}

/// Whether API Gateway hands such a body on as it is, rather than in base64.
fn is_text(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return false;
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || ["application/json", "application/javascript", "application/xml"].contains(&essence.as_str())
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::gateway::route;

    fn event(request: http::request::Builder, body: &[u8]) -> Value {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let route = route::find(&parts.method, parts.uri.path());
        let mut event = from_request(&parts, body, &route, "127.0.0.1:5000".parse().unwrap(), "id-1");
        let context = event["requestContext"].as_object_mut().unwrap();
        assert!(context.remove("timeEpoch").unwrap().as_i64().unwrap() > 1_700_000_000_000);
        assert_eq!(context.remove("time").unwrap().as_str().unwrap().len(), "12/Mar/2020:19:03:58 +0000".len());
        event
    }

    #[test]
    fn a_request_becomes_the_event_that_api_gateway_sends() {
        let request = Request::get("/jobs/a%20b?x=1&y=a+b&x=%C3%A9")
            .header("Host", "127.0.0.1:8080")
            .header("User-Agent", "curl/8")
            .header("Accept", "a/b")
            .header("Accept", "c/d")
            .header("Cookie", "one=1; two=2")
            .header("X-Forwarded-Proto", "https");
        let expected = json!({
            "version": "2.0",
            "routeKey": "GET /jobs/{jobId}",
            "rawPath": "/jobs/a b",
            "rawQueryString": "x=1&y=a+b&x=%C3%A9",
            "cookies": ["one=1", "two=2"],
            "headers": {
                "accept": "a/b,c/d",
                "host": "127.0.0.1:8080",
                "user-agent": "curl/8",
                "x-forwarded-for": "127.0.0.1",
                "x-forwarded-proto": "http",
            },
            "queryStringParameters": { "x": "1,é", "y": "a b" },
            "pathParameters": { "jobId": "a b" },
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "darkroom",
                "domainName": "127.0.0.1:8080",
                "domainPrefix": "darkroom",
                "http": {
                    "method": "GET",
                    "path": "/jobs/a b",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "curl/8",
                },
                "requestId": "id-1",
                "routeKey": "GET /jobs/{jobId}",
                "stage": "$default",
            },
            "isBase64Encoded": false,
        });
        assert_eq!(event(request, b""), expected);
    }

    fn check_body(content_type: Option<&str>, body: &[u8], expected: &str, is_base64: bool) {
        let mut request = Request::post("/uploads");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let event = event(request, body);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(expected), &json!(is_base64)));
    }

    #[test]
    fn bodies_travel_as_text_or_in_base64() {
        check_body(None, b"{}", "{}", false);
        check_body(Some("application/json; charset=utf-8"), "é".as_bytes(), "é", false);
        check_body(Some("application/json"), b"\xff", "/w==", true);
        check_body(Some("application/x-www-form-urlencoded"), b"a=1", "YT0x", true);
        check_body(Some("image/png"), b"a", "YQ==", true);
    }
}
