//! The one AWS endpoint: finds out which service a request is for.
//!
//! DynamoDB and SQS are known by their `x-amz-target`, SNS by the service that its signature names; what is left is
//! S3's. S3 alone checks signatures, and it alone may be called by pages of other origins, with URLs that the functions
//! presigned. The other services take any credentials, so they refuse pages of any origin but this machine's.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, Method, StatusCode, header};
use s3s::service::S3Service;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use crate::host;
use crate::s3::{self, Keys};
use crate::sns;
use crate::stack::{self, Stack};

/// The endpoint over `stack`.
pub(crate) fn router(stack: &Stack) -> Router {
    let keys = Keys { public: stack::public_key(), own: stack.functions_key.clone() };
    let s3 = s3::service(Arc::clone(&stack.s3), keys);
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE])
        // Not `*`, which leaves `authorization` out.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(Any)
        .max_age(Duration::from_hours(1));
    Router::new()
        .fallback(serve_s3)
        .with_state(s3)
        .layer(cors)
        .layer(from_fn_with_state(stack.clone(), divert))
        .layer(from_fn(host::guard))
}

/// Which service a request that is not for S3 is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    DynamoDb,
    Sqs,
    Sns,
    Notifications,
}

impl Service {
    fn of(request: &Request) -> Option<Self> {
        let text = |name: &HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let target = text(&HeaderName::from_static("x-amz-target"));
        if target.starts_with("DynamoDB") {
            Some(Self::DynamoDb)
        } else if target.starts_with("AmazonSQS.") {
            Some(Self::Sqs)
        } else if request.method() == Method::POST
            && text(&header::CONTENT_TYPE).starts_with("application/x-www-form-urlencoded")
            && text(&header::AUTHORIZATION).contains("/sns/aws4_request")
        {
            Some(Self::Sns)
        } else if request.method() == Method::GET && request.uri().path() == sns::NOTIFICATIONS_PATH {
            Some(Self::Notifications)
        } else {
            None
        }
    }
}

/// Answers what is not for S3.
async fn divert(State(stack): State<Stack>, request: Request, next: Next) -> Response {
    let Some(service) = Service::of(&request) else { return next.run(request).await };
    if host::is_foreign(request.headers()) {
        return (StatusCode::FORBIDDEN, "pages of other origins may only call S3 here\n").into_response();
    }
    match service {
        Service::DynamoDb => stack.dynamodb.forward(request).await,
        Service::Sqs => stack.sqs.handle(request).await,
        Service::Sns => stack.sns.handle(request).await,
        Service::Notifications => {
            let query = request.uri().query().unwrap_or_default().to_owned();
            stack.sns.notifications(&query).await
        }
    }
}

async fn serve_s3(State(s3): State<S3Service>, request: Request) -> Response {
    if s3::has_impossible_signature(request.uri()) {
        let error =
            "<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature does not match</Message></Error>";
        return (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "application/xml")], error).into_response();
    }
    match s3.call(s3::drained(request)).await {
        Ok(response) => response.map(axum::body::Body::new),
        Err(error) => {
            tracing::error!(?error, "S3 did not answer");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn check(method: Method, path: &str, headers: &[(&str, &str)], service: Option<Service>) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        assert_eq!(Service::of(&request.body(Body::empty()).unwrap()), service, "{path} {headers:?}");
    }

    #[test]
    fn requests_find_their_service() {
        check(Method::POST, "/", &[("x-amz-target", "DynamoDB_20120810.GetItem")], Some(Service::DynamoDb));
        check(Method::POST, "/000000000000/q", &[("x-amz-target", "AmazonSQS.SendMessage")], Some(Service::Sqs));
        let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let signed = |service| format!("AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/{service}/aws4_request");
        check(Method::POST, "/", &[form, ("authorization", &signed("sns"))], Some(Service::Sns));
        check(Method::POST, "/", &[form, ("authorization", &signed("s3"))], None);
        check(Method::GET, "/_darkroom/notifications?limit=1", &[], Some(Service::Notifications));
        check(Method::GET, "/darkroom-uploads/x", &[], None);
    }
}
