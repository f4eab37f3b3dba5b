//! A call to AWS as it goes over the wire: what it is, and about what.

use bytes::Bytes;
use http::Request;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// One try of a call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The SDK's id of the call, the same for each of its tries.
    pub(super) id: String,
    /// Counts calls over the whole run; every try has the number of its call's first.
    pub(super) number: u32,
    /// `service.operation`.
    pub(super) operation: String,
    /// The key, job or message it is about.
    pub(super) subject: String,
}

impl Call {
    /// Reads a request; its number is set by who counts.
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let target = header("x-amz-target");
        let (operation, subject) = if let Some(operation) = target.strip_prefix("DynamoDB_20120810.") {
            let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            let subject = ["/Item/jobId/S", "/Key/jobId/S", "/IndexName"].map(|path| body.pointer(path));
            (format!("DynamoDB.{operation}"), subject.into_iter().flatten().next().map(text).unwrap_or_default())
        } else if let Some(operation) = target.strip_prefix("AmazonSQS.") {
            let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            let queue = body["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
            (format!("SQS.{operation}"), queue.to_owned())
        } else if header("content-type").starts_with("application/x-www-form-urlencoded") {
            ("SNS.Publish".to_owned(), String::new())
        } else {
            let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
            let listing = request.uri().query().is_some_and(|query| query.contains("list-type"));
            (format!("S3.{}", if listing { "LIST" } else { request.method().as_str() }), path)
        };
        Self { id: header("amz-sdk-invocation-id").to_owned(), number: 0, operation, subject }
    }

    /// An answer by which this call's service refuses: status, code, and whether it is the caller's fault.
    pub(super) fn refusal(&self, status: u16, code: &str) -> http::Response<Bytes> {
        let json = !(self.operation.starts_with("S3") || self.operation.starts_with("SNS"));
        let body = if json {
            format!(r#"{{"__type":"com.amazonaws#{code}","message":"simulated"}}"#)
        } else if self.operation.starts_with("SNS") {
            format!(
                "<ErrorResponse><Error><Type>Receiver</Type><Code>{code}</Code><Message>simulated</Message></Error><RequestId>r</RequestId></ErrorResponse>"
            )
        } else {
            format!("<Error><Code>{code}</Code><Message>simulated</Message></Error>")
        };
        let mut response = http::Response::new(Bytes::from(body));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        let kind = if json { "application/x-amz-json-1.0" } else { "application/xml" };
        response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
        response
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
