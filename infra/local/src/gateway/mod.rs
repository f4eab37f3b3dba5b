//! The HTTP API: turns requests into the events that API Gateway sends to the functions (HTTP API, payload format
//! 2.0), and their answers back into HTTP. Serves the web page besides.
//!
//! Absent: authorizers, throttling, stages other than `$default`, and CORS, which the functions answer themselves.

mod answer;
mod event;
mod page;
mod route;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::from_fn;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use shared::error::{Code, Failure};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::functions::{Function, Functions};
use crate::host;

/// Largest request body, as API Gateway's limit is.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// Largest event that Lambda takes from API Gateway.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;

/// Largest request line and headers together.
const MAX_HEADER_BYTES: usize = 10_240;

/// How much of a body that is too large is read to its end, so that the client reads our answer instead of a reset
/// connection.
const MAX_DRAINED_BYTES: usize = 64 * 1024 * 1024;

/// Longest that a client may take for a request's body.
const BODY_TIME: Duration = Duration::from_secs(20);

/// Longest that a function may take before the client gets an answer without it.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests with a body of more than [`SMALL_BODY`] under way at once: each is in memory several times, as bytes, as an
/// event and as a picture.
const LARGE_BODIES: usize = 4;

/// Longest body that does not count, in bytes.
const SMALL_BODY: u64 = 64 * 1024;

/// What answering a request takes.
#[derive(Clone)]
struct Gateway {
    functions: Arc<Functions>,
    large_bodies: Arc<Semaphore>,
    aws: SocketAddr,
    stop: CancellationToken,
}

/// The API over `functions`, and the page, which sends and fetches photos at `aws`. Once `stop` is cancelled, nobody's
/// wait for a job is held any longer.
pub(crate) fn router(functions: Arc<Functions>, aws: SocketAddr, stop: CancellationToken) -> Router {
    let large_bodies = Arc::new(Semaphore::new(LARGE_BODIES));
    Router::new()
        .fallback(handle)
        .with_state(Gateway { functions, large_bodies, aws, stop })
        .layer(from_fn(host::guard))
}

async fn handle(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    if let Some(page) = page::find(request.method(), request.uri(), gateway.aws) {
        return page;
    }
    let request_id = Uuid::new_v4().to_string();
    let (parts, body) = request.into_parts();
    let mut response = match invoke(&gateway, &parts, body, peer, &request_id).await {
        Ok(response) => response,
        Err(refusal) => refusal.answer(&request_id),
    };
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(HeaderName::from_static("apigw-requestid"), id);
    }
    response
}

async fn invoke(
    Gateway { functions, large_bodies, stop, .. }: &Gateway,
    parts: &Parts,
    body: Body,
    peer: SocketAddr,
    request_id: &str,
) -> Result<Response, Refusal> {
    if header_bytes(parts) > MAX_HEADER_BYTES {
        return Err(Refusal::HeadersTooLarge);
    }
    if !parts.uri.path().starts_with('/') {
        return Err(Refusal::NoPath);
    }
    let size = body.size_hint();
    let _leave = if size.upper().is_none_or(|upper| upper > SMALL_BODY) {
        let leave = tokio::time::timeout(INTEGRATION_TIMEOUT, large_bodies.acquire()).await;
        Some(leave.map_err(|_| Refusal::TimedOut)?)
    } else {
        None
    };
    let read = tokio::time::timeout(BODY_TIME, read(&parts.headers, body));
    let body = read.await.map_err(|_| Refusal::BodyTooSlow)??;
    let route = route::find(&parts.method, parts.uri.path());
    let event = event::from_request(parts, &body, &route, peer, request_id);
    if event.to_string().len() > MAX_EVENT_BYTES {
        return Err(Refusal::BodyTooLarge);
    }
    let answer = tokio::select! {
        answer = functions.invoke(route.function, event) => answer,
        () = tokio::time::sleep(INTEGRATION_TIMEOUT) => return Err(Refusal::TimedOut),
        () = stop.cancelled(), if route.function == Function::JobStatus => return Err(Refusal::Stopping),
    };
    let answer = answer.map_err(|error| {
        tracing::error!(function = ?route.function, %error, "a function failed");
        Refusal::FunctionFailed
    })?;
    answer::into_response(answer).map_err(|error| {
        tracing::error!(function = ?route.function, %error, "a function's answer is not an HTTP response");
        Refusal::FunctionFailed
    })
}

fn header_bytes(parts: &Parts) -> usize {
    let line = parts.method.as_str().len() + parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
    line + parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

async fn read(headers: &HeaderMap, mut body: Body) -> Result<Vec<u8>, Refusal> {
    // A client that waits for leave to send has not sent anything yet.
    if headers.contains_key(header::EXPECT) && body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(Refusal::BodyTooLarge);
    }
    let (mut bytes, mut seen) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::BodyCutShort)?.into_data() else { continue };
        seen += data.len();
        if seen <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&data);
        } else if seen > MAX_DRAINED_BYTES {
            break;
        }
    }
    if seen > MAX_BODY_BYTES { Err(Refusal::BodyTooLarge) } else { Ok(bytes) }
}

/// Why the gateway answers in a function's stead.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    NoPath,
    HeadersTooLarge,
    BodyTooLarge,
    BodyCutShort,
    BodyTooSlow,
    FunctionFailed,
    TimedOut,
    Stopping,
}

impl Refusal {
    fn answer(self, request_id: &str) -> Response {
        let (code, error) = match self {
            Self::NoPath => (Code::InvalidRequest, "the request names no path"),
            Self::HeadersTooLarge => (Code::PayloadTooLarge, "the request line and headers exceed 10 KB"),
            Self::BodyTooLarge => (Code::PayloadTooLarge, "the body is too large; see POST /uploads"),
            Self::BodyCutShort => (Code::InvalidRequest, "the body was cut short"),
            Self::BodyTooSlow => (Code::InvalidRequest, "the body took too long to come"),
            Self::FunctionFailed => (Code::Internal, "internal error"),
            Self::Stopping => (Code::Unavailable, "stopping; please try again"),
            Self::TimedOut => (Code::Unavailable, "this took too long; please try again"),
        };
        let mut response = shared::http::failure(&Failure::client(code, error), request_id);
        match self {
            Self::HeadersTooLarge => *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooSlow => *response.status_mut() = StatusCode::REQUEST_TIMEOUT,
            _ => {}
        }
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        response.map(Body::from)
    }
}
