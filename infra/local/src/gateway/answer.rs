//! A function's answer as an HTTP response, by the rules of payload format 2.0.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue, header};
use serde::Deserialize;
use serde_json::Value;

/// Why an answer cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("it does not have the shape of an answer: {0}")]
    Shape(#[from] serde_json::Error),
    #[error("its status or a header is not valid: {0}")]
    Http(#[from] http::Error),
    #[error("its body is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    #[serde(default)]
    multi_value_headers: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    cookies: Vec<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// The response that `answer` stands for. One without a `statusCode` is itself the JSON body of a 200.
pub(super) fn into_response(answer: Value) -> Result<Response, AnswerError> {
    if answer.get("statusCode").is_none() {
        let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
        return Ok(response.body(Body::from(answer.to_string()))?);
    }
    let answer: Answer = serde_json::from_value(answer)?;
    let mut response = Response::builder().status(answer.status_code);
    let Some(headers) = response.headers_mut() else {
        return Ok(response.body(Body::empty())?);
    };
    for (name, values) in answer.multi_value_headers {
        let name = HeaderName::try_from(name).map_err(http::Error::from)?;
        for value in values {
            headers.append(&name, HeaderValue::try_from(value).map_err(http::Error::from)?);
        }
    }
    for (name, value) in answer.headers {
        let name = HeaderName::try_from(name).map_err(http::Error::from)?;
        // Numbers and booleans are taken as they are written; lists repeat what `multiValueHeaders` has.
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::try_from(text).map_err(http::Error::from)?);
        }
    }
    for cookie in answer.cookies {
        headers.append(header::SET_COOKIE, HeaderValue::try_from(cookie).map_err(http::Error::from)?);
    }
    // The length is the server's business.
    headers.remove(header::CONTENT_LENGTH);
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded { BASE64_STANDARD.decode(body)? } else { body.into_bytes() };
    Ok(response.body(Body::from(body))?)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::json;

    use super::*;

    async fn check(answer: Value, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let response = into_response(answer).unwrap();
        assert_eq!(response.status(), status);
        let (parts, got) = response.into_parts();
        let got_headers: Vec<(&str, &str)> =
            parts.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(got_headers, headers);
        assert_eq!(got.collect().await.unwrap().to_bytes(), body);
    }

    #[tokio::test]
    async fn answers_become_responses() {
        let full = json!({
            "statusCode": 201,
            "headers": { "X-A": "1", "x-b": 2 },
            "multiValueHeaders": { "x-a": ["1", "2"] },
            "cookies": ["c=1", "d=2"],
            "body": "aGk=",
            "isBase64Encoded": true,
        });
        let headers = [("x-a", "1"), ("x-a", "2"), ("x-b", "2"), ("set-cookie", "c=1"), ("set-cookie", "d=2")];
        check(full, 201, &headers, b"hi").await;
        check(json!({ "statusCode": 304, "body": null }), 304, &[], b"").await;
        check(json!({ "a": 1 }), 200, &[("content-type", "application/json")], br#"{"a":1}"#).await;
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for answer in [
            json!({ "statusCode": "200" }),
            json!({ "statusCode": 99 }),
            json!({ "statusCode": 200, "headers": { "a b": "c" } }),
            json!({ "statusCode": 200, "headers": { "a": "b\r\nc: d" } }),
            json!({ "statusCode": 200, "body": "%", "isBase64Encoded": true }),
        ] {
            assert!(into_response(answer.clone()).is_err(), "{answer}");
        }
    }
}
