//! The four functions, in this process: each is handed the event JSON it would get on Lambda and answers JSON.
//!
//! Nothing here knows what an event means; that is the functions' business.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use dispatcher::Dispatcher;
use futures::FutureExt;
use job_status::JobStatus;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Service, service_fn};
use lambda_runtime::{Context, Error, LambdaEvent};
use request_upload::RequestUpload;
use serde_json::Value;
use shared::ambient::Ambient;
use shared::aws::SdkConfig;
use shared::config::{ConfigError, Vars};
use shared::http::Response;
use worker::Worker;

/// One of the four functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    RequestUpload,
    Dispatcher,
    Worker,
    JobStatus,
}

impl Function {
    /// Longest an invocation may run; the worker's is also how long a job's lease lasts, and so how long a crash can
    /// hold a job up. Deployed functions get 60 seconds, since a Lambda's core may be slower.
    pub(crate) fn timeout(self) -> Duration {
        Duration::from_secs(match self {
            Self::RequestUpload | Self::JobStatus | Self::Worker => 30,
            Self::Dispatcher => 60,
        })
    }
}

/// The functions, wired to the embedded stack.
pub(crate) struct Functions {
    ambient: Ambient,
    request_upload: RequestUpload,
    dispatcher: Dispatcher,
    worker: Worker,
    job_status: JobStatus,
}

/// A function answered with an error, panicked, or ran past its timeout: what Lambda calls a function error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FunctionError {
    #[error("{0}")]
    Failed(#[source] Error),
    #[error("panicked")]
    Panicked,
    #[error("timed out after {} s", .0.as_secs())]
    TimedOut(Duration),
}

impl Functions {
    /// Does what each function's cold start does. `vars` are the variables a deployed function would have.
    pub(crate) fn new(sdk: &SdkConfig, vars: &Vars, ambient: Ambient) -> Result<Self, Error> {
        let configs = (
            request_upload::Config::read(vars.clone()),
            dispatcher::Config::read(vars.clone()),
            worker::Config::read(vars.clone()),
            job_status::Config::read(vars.clone()),
        );
        let (request_upload, dispatcher, worker, job_status) = match configs {
            (Ok(a), Ok(b), Ok(c), Ok(d)) => (a, b, c, d),
            (a, b, c, d) => {
                let errors = [a.err(), b.err(), c.err(), d.err()];
                return Err(ConfigError::joined(errors.into_iter().flatten()).into());
            }
        };
        Ok(Self {
            ambient,
            request_upload: RequestUpload::new(request_upload, sdk, ambient),
            dispatcher: Dispatcher::new(dispatcher, sdk, ambient),
            worker: Worker::new(worker, sdk, ambient)?,
            job_status: JobStatus::new(job_status, sdk, ambient),
        })
    }

    /// Runs `function` on `event` and waits for its answer, at most its timeout.
    pub(crate) async fn invoke(&self, function: Function, event: Value) -> Result<Value, FunctionError> {
        let timeout = function.timeout();
        // A panic ends a Lambda's process and no other; here it must not end whoever invokes.
        let answer = AssertUnwindSafe(self.call(function, event)).catch_unwind();
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(answer)) => answer.map_err(FunctionError::Failed),
            Ok(Err(_)) => Err(FunctionError::Panicked),
            Err(_) => Err(FunctionError::TimedOut(timeout)),
        }
    }

    /// Runs `function` on `event`, which is told of its timeout but not held to it.
    pub(crate) async fn call(&self, function: Function, event: Value) -> Result<Value, Error> {
        let deadline = (self.ambient.now() + function.timeout()).epoch_millis();
        let mut context = Context::default();
        context.request_id = self.ambient.uuid().to_string();
        context.deadline = u64::try_from(deadline).unwrap_or_default();
        match function {
            Function::RequestUpload => http(event, context, |request| self.request_upload.handle(request)).await,
            Function::JobStatus => http(event, context, |request| self.job_status.handle(request)).await,
            Function::Dispatcher => self.dispatcher.handle(LambdaEvent::new(event, context)).await,
            Function::Worker => self.worker.handle(LambdaEvent::new(event, context)).await,
        }
    }
}

/// What `lambda_http::run` does around an HTTP handler.
async fn http<F>(event: Value, context: Context, handler: impl Fn(lambda_http::Request) -> F) -> Result<Value, Error>
where
    F: Future<Output = Response> + Send,
{
    let request: LambdaRequest = serde_json::from_value(event)?;
    let service = service_fn(|request| {
        let response = handler(request);
        async { Ok::<_, Error>(response.await) }
    });
    let answer = Adapter::from(service).call(LambdaEvent::new(request, context)).await?;
    Ok(serde_json::to_value(answer)?)
}
