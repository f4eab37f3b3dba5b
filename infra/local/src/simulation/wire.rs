//! The wire between the SDK clients and the embedded stack, all within the process: one request at a time (`turns`),
//! and some of them meet a fault.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::call::Call;
use super::fault::{Fault, Faults};
use super::observer::Observer;
use super::surroundings;
use super::turns::Turns;
use crate::functions::Function;
use crate::stack::Stack;

/// Longest that a process stands still: longer than any lease. It wakes as soon as a job is claimed, at the worst moment
/// for whoever claimed it.
pub(super) const PAUSE: Duration = Duration::from_mins(20);

/// How long a slow answer takes: longer than any invocation.
const SLOW: Duration = Duration::from_mins(2);

tokio::task_local! {
    /// Whose calls these are.
    pub(super) static INVOCATION: Arc<Invocation>;
}

/// One run of a function.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) number: u32,
    pub(super) function: Function,
    /// Cancelled when its process dies.
    pub(super) death: CancellationToken,
    /// Set when its process is to stand still.
    pub(super) pause: AtomicBool,
}

impl Invocation {
    pub(super) fn name(&self) -> String {
        format!("{:?}#{}", self.function, self.number)
    }
}

/// The wire.
pub(super) struct Wire {
    stack: Stack,
    router: Router,
    /// Where the embedded DynamoDB runs, which knows no simulated time.
    real: Handle,
    pub(super) turns: Turns,
    /// Rings when a job has been claimed.
    pub(super) claimed: Notify,
    state: Mutex<State>,
    /// Whether conditions on writes are passed on.
    conditions: bool,
}

/// What is known of the run so far.
pub(super) struct State {
    pub(super) faults: Faults,
    pub(super) observer: Observer,
    pub(super) calls: u32,
    /// `(function, operation)` of each call, by its number.
    pub(super) sites: Vec<(Function, String)>,
    numbers: HashMap<String, u32>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(stack: Stack, router: Router, real: Handle, faults: Faults, conditions: bool) -> Self {
        let state =
            State { faults, observer: Observer::default(), calls: 0, sites: Vec::new(), numbers: HashMap::new() };
        Self {
            stack,
            router,
            real,
            turns: Turns::default(),
            claimed: Notify::new(),
            state: Mutex::new(state),
            conditions,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry(self: Arc<Self>, request: Request<Bytes>) -> Result<Response<Bytes>, ConnectorError> {
        let Ok(invocation) = INVOCATION.try_with(Arc::clone) else { return Ok(self.serve(request).await) };
        let mut call = Call::of(&request);
        self.turns.take(&format!("{} {} {}", invocation.name(), call.operation, call.subject)).await;
        let fault = self.number(&mut call, &invocation);
        if let Some(fault) = fault {
            self.state().observer.note(&invocation, &call, &format!("meets {fault:?}"));
        }
        let refuse = |status, code| Ok(call.refusal(status, code));
        match fault {
            None => Ok(self.execute(request, call, invocation).await),
            Some(Fault::NotSent) => Err(ConnectorError::io("connection refused".into())),
            Some(Fault::ConnectTimeout) => {
                tokio::time::sleep(Duration::from_secs(3)).await;
                Err(ConnectorError::timeout("no connection".into()))
            }
            Some(Fault::Denied) => refuse(403, "AccessDenied"),
            Some(Fault::CredentialsExpired) => refuse(403, "ExpiredToken"),
            Some(Fault::Malfunction) => refuse(500, "InternalServerError"),
            Some(Fault::Throttled) if call.operation.starts_with("S3") => refuse(503, "SlowDown"),
            Some(Fault::Throttled) => refuse(400, "ThrottlingException"),
            Some(Fault::Conflict) if call.operation.starts_with("S3") => refuse(409, "ConditionalRequestConflict"),
            Some(Fault::Conflict) => refuse(400, "TransactionConflictException"),
            Some(Fault::FirstAnswerLost | Fault::AnswerLost) => {
                self.execute(request, call, invocation).await;
                Err(ConnectorError::io("connection reset".into()))
            }
            Some(Fault::Slow) => {
                let response = self.execute(request, call, invocation).await;
                tokio::time::sleep(SLOW).await;
                Ok(response)
            }
            Some(Fault::CutOff) => {
                let (parts, body) = self.execute(request, call, invocation).await.into_parts();
                Ok(Response::from_parts(parts, body.slice(..body.len() / 2)))
            }
            Some(Fault::Garbled) => {
                let (parts, body) = self.execute(request, call, invocation).await.into_parts();
                Ok(Response::from_parts(parts, body.iter().map(|byte| byte ^ 0x55).collect()))
            }
            Some(Fault::Twice) => {
                let first = self.execute(request.clone(), call.clone(), Arc::clone(&invocation)).await;
                self.execute(request, call, invocation).await;
                Ok(first)
            }
            Some(Fault::StaleIndex) => {
                let mut response = call.refusal(200, "");
                *response.body_mut() = Bytes::from_static(br#"{"Items":[],"Count":0,"ScannedCount":0}"#);
                Ok(response)
            }
            Some(Fault::Pause) => {
                invocation.pause.store(true, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(self.execute(request, call, invocation).await)
            }
            Some(Fault::CrashBefore) => {
                invocation.death.cancel();
                std::future::pending().await
            }
            Some(Fault::CrashAfter) => {
                let death = invocation.death.clone();
                self.execute(request, call, invocation).await;
                death.cancel();
                std::future::pending().await
            }
        }
    }

    /// Gives a call its number, the same at each try, and says which fault it meets.
    fn number(&self, call: &mut Call, invocation: &Invocation) -> Option<Fault> {
        let second = surroundings::elapsed().as_secs();
        let state = &mut *self.state();
        if let Some(number) = state.numbers.get(&call.id) {
            call.number = *number;
        } else {
            call.number = state.calls;
            state.calls += 1;
            state.sites.push((invocation.function, call.operation.clone()));
            state.numbers.insert(call.id.clone(), call.number);
        }
        state.faults.of(call, second)
    }

    /// Has the request served, whatever becomes of who sent it, and looks at what it did.
    async fn execute(
        self: &Arc<Self>,
        request: Request<Bytes>,
        call: Call,
        invocation: Arc<Invocation>,
    ) -> Response<Bytes> {
        let wire = Arc::clone(self);
        let served = tokio::spawn(async move {
            let body = request.body().clone();
            let response = wire.serve(request).await;
            let claimed = {
                let observer = &mut wire.state().observer;
                let before = observer.claims;
                observer.saw(&invocation, &call, &body, &response);
                observer.claims > before
            };
            if claimed {
                wire.claimed.notify_waiters();
            }
            response
        });
        served.await.unwrap_or_else(|error| panic!("the embedded stack panicked: {error}"))
    }

    /// Serves a request in the turn of whoever sends it.
    pub(super) async fn serve(&self, mut request: Request<Bytes>) -> Response<Bytes> {
        assert!(self.turns.is_one(), "{} {} out of turn", request.method(), request.uri());
        if request.headers().get("x-amz-target").is_some_and(|target| target.as_bytes().starts_with(b"DynamoDB")) {
            if !self.conditions {
                *request.body_mut() = without_condition(request.body());
                request.headers_mut().remove(header::CONTENT_LENGTH);
            }
            let (dynamodb, real) = (self.stack.dynamodb.clone(), self.real.clone());
            // Simulated time stands still while a blocking task runs.
            let served = tokio::task::spawn_blocking(move || {
                real.block_on(async { collected(dynamodb.forward(request.map(Body::from)).await).await })
            });
            return served.await.unwrap_or_else(|error| panic!("DynamoDB panicked: {error}"));
        }
        match self.router.clone().oneshot(request.map(Body::from)).await {
            Ok(response) => collected(response).await,
            Err(never) => match never {},
        }
    }
}

/// A write that is made whether its condition holds or not.
fn without_condition(body: &Bytes) -> Bytes {
    let mut request: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(request) = request.as_object_mut().filter(|request| request.contains_key("Item")) {
        request.remove("ConditionExpression");
        request.remove("ExpressionAttributeValues");
        return serde_json::to_vec(request).unwrap_or_default().into();
    }
    body.clone()
}

/// An answer with its body.
pub(super) async fn collected(response: Response<Body>) -> Response<Bytes> {
    let (parts, body) = response.into_parts();
    // OK to cut short: who asked sees a body that ends too early.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Response::from_parts(parts, body)
}

/// The wire as an SDK client sees it.
#[derive(Clone, Debug)]
pub(super) struct Connector(pub(super) Arc<Wire>);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let mut request = request.map(|body| Bytes::copy_from_slice(body.bytes().unwrap_or_default()));
            // What an HTTP client adds.
            if let Some(host) = request.uri().authority().and_then(|host| host.as_str().parse().ok()) {
                request.headers_mut().entry(header::HOST).or_insert(host);
            }
            let response = wire.carry(request).await?;
            HttpResponse::try_from(response.map(SdkBody::from))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
