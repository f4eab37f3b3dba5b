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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;
    use shared::aws::JobTable;
    use shared::job::{Job, JobId, ObjectVersion};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::data_dir::DataDir;
    use crate::stack::{self, PROCESSED_BUCKET, Stack, TABLE, UPLOAD_BUCKET};
    use crate::stop::Group;
    use crate::{endpoint, server};

    const ANN: &str = "subject-ann";
    const BOB: &str = "subject-bob";
    /// An operator.
    const OLE: &str = "subject-ole";

    /// The functions behind an authorizer, as far as they know.
    struct Api {
        request_upload: RequestUpload,
        job_status: JobStatus,
        jobs: JobTable,
        dir: DataDir,
        servers: Group,
    }

    impl Api {
        async fn start() -> Self {
            let (dir, servers) = (DataDir::ephemeral().unwrap(), Group::default());
            let (listener, aws) = server::listen("127.0.0.1:0".parse().unwrap(), "--aws-addr").await.unwrap();
            let stack = Stack::open(dir.path(), &servers, CancellationToken::new()).await.unwrap();
            servers.spawn(|stop| server::serve(listener, endpoint::router(&stack), stop));
            let sdk = stack::sdk_config(aws, &stack.functions_key);
            stack.create_missing(&sdk).await.unwrap();
            let vars = [
                ("UPLOAD_BUCKET", UPLOAD_BUCKET),
                ("PROCESSED_BUCKET", PROCESSED_BUCKET),
                ("DYNAMODB_TABLE", TABLE),
                ("JWT_SCOPE", "photos/use"),
                ("JWT_OPERATOR_SCOPE", "photos/all"),
            ];
            let vars = Vars::new(vars.map(|(name, value)| (name.to_owned(), value.to_owned())));
            let request_upload = request_upload::Config::read(vars.clone()).unwrap();
            Self {
                request_upload: RequestUpload::new(request_upload, &sdk, Ambient::REAL),
                job_status: JobStatus::new(job_status::Config::read(vars).unwrap(), &sdk, Ambient::REAL),
                jobs: JobTable::new(&sdk, TABLE),
                dir,
                servers,
            }
        }

        /// What the function of a route answers to somebody's request: status, headers and body.
        async fn call(&self, who: Option<&str>, route: &str, query: &str, body: Value) -> Value {
            let event = event(who, route, query, &body);
            let context = Context::default();
            let answer = if route.starts_with("POST") {
                http(event, context, |request| self.request_upload.handle(request)).await
            } else {
                http(event, context, |request| self.job_status.handle(request)).await
            };
            answer.unwrap()
        }

        async fn ok(&self, who: &str, route: &str, query: &str, body: Value) -> Value {
            let answer = self.call(Some(who), route, query, body).await;
            assert_eq!(answer["statusCode"], 200, "{route}?{query}: {answer}");
            let body = answer["body"].as_str().unwrap();
            // Whose a job is, is nobody's business, not even theirs.
            assert!(!body.contains("subject-") && !body.contains("owner"), "{body}");
            serde_json::from_str(body).unwrap()
        }

        async fn slot(&self, who: &str) -> Value {
            self.ok(who, "POST /uploads", "", json!({ "filename": "a.jpg" })).await
        }

        /// The ids of a listing, page by page.
        async fn listed(&self, who: &str, query: &str) -> Vec<String> {
            let (mut ids, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = self.ok(who, "GET /jobs", &format!("{query}{cursor}"), Value::Null).await;
                ids.extend(page["jobs"].as_array().unwrap().iter().map(|job| text(&job["jobId"])));
                match page["cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => return ids,
                }
            }
        }

        /// A job that came by a copy into the bucket.
        async fn direct(&self) -> Job {
            let now = Ambient::REAL.now();
            let mut job =
                Job::of_object(JobId::random(), UPLOAD_BUCKET, "uploads/a.jpg", ObjectVersion::default(), now);
            job.expires_at = (now + Duration::from_hours(1)).epoch_seconds();
            self.jobs.create(job, now).await.unwrap()
        }

        fn stop(self) {
            self.servers.token().cancel();
            drop(self.dir);
        }
    }

    /// The event of a request that went through the authorizer, if `who` is somebody.
    fn event(who: Option<&str>, route: &str, query: &str, body: &Value) -> Value {
        let (method, path) = route.split_once(' ').unwrap();
        let mut event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
            "headers": { "content-type": "application/json", "if-none-match": "*", "origin": "https://a.example" },
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "api.example", "domainPrefix": "api",
                "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4" },
                "requestId": "r", "routeKey": "$default", "stage": "$default", "timeEpoch": 1_795_251_600_000_u64,
            },
            "isBase64Encoded": false,
        });
        if route.starts_with("POST") || path == "/jobs" {
            event["headers"].as_object_mut().unwrap().remove("if-none-match");
        }
        if !body.is_null() {
            event["body"] = body.to_string().into();
        }
        if let Some(who) = who {
            let scope = if who == OLE { "openid photos/use photos/all" } else { "photos/use" };
            let claims = json!({ "sub": who, "scope": scope, "token_use": "access", "exp": "1795255200" });
            // The scopes are there or null, as API Gateway pleases.
            event["requestContext"]["authorizer"] = json!({ "jwt": { "claims": claims, "scopes": null } });
        }
        event
    }

    fn text(value: &Value) -> String {
        value.as_str().unwrap().to_owned()
    }

    fn sorted(mut ids: Vec<String>) -> Vec<String> {
        ids.sort_unstable();
        ids
    }

    #[tokio::test]
    async fn somebody_elses_job_is_like_one_that_there_is_not() {
        let api = Api::start().await;
        let hers = text(&api.slot(ANN).await["jobId"]);
        let (direct, none) = (api.direct().await.job_id.to_string(), JobId::random().to_string());
        for (who, id) in [(BOB, &hers), (BOB, &direct), (ANN, &direct)] {
            for query in ["", "wait=20"] {
                let started = Instant::now();
                let answer = api.call(Some(who), &format!("GET /jobs/{id}"), query, Value::Null).await;
                assert!(started.elapsed() < Duration::from_secs(5), "the answer was held");
                assert_eq!(answer["statusCode"], 404, "{answer}");
                assert_eq!(answer, api.call(Some(who), &format!("GET /jobs/{none}"), query, Value::Null).await);
            }
            let answer = api.call(Some(who), "GET /results", &format!("job_id={id}"), Value::Null).await;
            assert_eq!(answer["statusCode"], 404, "{answer}");
            assert_eq!(answer, api.call(Some(who), "GET /results", &format!("job_id={none}"), Value::Null).await);
        }
        // The tag is asked for with `*`, so who may see a job gets 304.
        for (who, id, status) in [(ANN, &hers, 304), (OLE, &hers, 304), (OLE, &direct, 304), (OLE, &none, 404)] {
            let answer = api.call(Some(who), &format!("GET /jobs/{id}"), "", Value::Null).await;
            assert_eq!(answer["statusCode"], status, "{who}: {answer}");
        }
        let result = api.call(Some(ANN), "GET /results", &format!("job_id={hers}"), Value::Null).await;
        assert_eq!(result["statusCode"], 202, "{result}");
        api.stop();
    }

    #[tokio::test]
    async fn lists_have_ones_own_jobs_only_and_an_operators_all() {
        let api = Api::start().await;
        let slot = api.slot(ANN).await;
        let batch = api.ok(ANN, "POST /uploads/batch", "", json!({ "files": [{}, {}] })).await;
        let image = json!({ "image": "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkI" });
        let image = api.ok(ANN, "POST /image", "", image).await;
        let jobs = batch["jobs"].as_array().unwrap().iter().map(|job| text(&job["jobId"]));
        let hers = sorted(jobs.chain([text(&slot["jobId"]), text(&image["job_id"])]).collect());
        let his = text(&api.slot(BOB).await["jobId"]);
        let direct = api.direct().await;

        for query in ["limit=100", "limit=1", "limit=3", "limit=2&status=PENDING"] {
            assert_eq!(sorted(api.listed(ANN, query).await), hers, "{query}");
            assert_eq!(api.listed(BOB, query).await, [his.as_str()], "{query}");
        }
        assert!(api.listed(ANN, "status=COMPLETED").await.is_empty());
        let newest_first = api.ok(ANN, "GET /jobs", "", Value::Null).await["jobs"].clone();
        assert!(newest_first.as_array().unwrap().is_sorted_by_key(|job| std::cmp::Reverse(text(&job["createdAt"]))));
        let all = [&hers[..], &[his.clone(), direct.job_id.to_string()]].concat();
        for query in ["limit=100", "limit=2", "status=PENDING&limit=4"] {
            assert_eq!(sorted(api.listed(OLE, query).await), sorted(all.clone()), "{query}");
        }

        // A cursor is a place in a list, and opens none.
        let page = api.ok(OLE, "GET /jobs", "limit=1", Value::Null).await;
        let after_newest = api.listed(BOB, &format!("limit=100&cursor={}", text(&page["cursor"]))).await;
        assert_eq!(after_newest, [his.as_str()]);
        let page = api.ok(ANN, "GET /jobs", "limit=1", Value::Null).await;
        assert!(api.listed(BOB, &format!("cursor={}", text(&page["cursor"]))).await.is_empty(), "his is newer");

        let key = format!("key={}", text(&slot["key"]));
        let id = text(&slot["jobId"]);
        for (who, query, expected) in [
            (ANN, key.clone(), vec![id.clone()]),
            (ANN, format!("{key}&status=PENDING&limit=1"), vec![id.clone()]),
            (ANN, format!("{key}&status=FAILED"), vec![]),
            (ANN, format!("{key}&cursor=1970-01-01T00:00:00Z_{id}"), vec![]),
            (ANN, format!("key=uploads/{id}/another.jpg"), vec![]),
            (ANN, "key=uploads/a.jpg".to_owned(), vec![]),
            (BOB, key.clone(), vec![]),
            (OLE, key, vec![id]),
            (OLE, "key=uploads/a.jpg".to_owned(), vec![direct.job_id.to_string()]),
        ] {
            assert_eq!(api.listed(who, &query).await, expected, "{who}: {query}");
        }
        api.stop();
    }

    #[tokio::test]
    async fn an_idempotency_key_is_its_callers_own() {
        let api = Api::start().await;
        let ask = async |who, route: &str, body: Value| {
            let mut event = event(Some(who), route, "", &body);
            event["headers"]["idempotency-key"] = json!("key");
            let request = |request| api.request_upload.handle(request);
            let answer = http(event, Context::default(), request).await.unwrap();
            assert_eq!(answer["statusCode"], 200, "{answer}");
            serde_json::from_str::<Value>(answer["body"].as_str().unwrap()).unwrap()
        };
        let hers = ask(ANN, "POST /uploads", json!({})).await;
        assert_eq!(ask(ANN, "POST /uploads", json!({})).await["jobId"], hers["jobId"]);
        let his = ask(BOB, "POST /uploads/batch", json!({ "files": [{}] })).await;
        assert_eq!(api.listed(ANN, "").await, [text(&hers["jobId"])]);
        assert_eq!(api.listed(BOB, "").await, [text(&his["jobs"][0]["jobId"])]);
        api.stop();
    }

    #[tokio::test]
    async fn a_request_that_came_past_the_authorizer_is_refused_and_leaves_nothing() {
        let api = Api::start().await;
        let hers = text(&api.slot(ANN).await["jobId"]);
        let routes = ["POST /uploads", "POST /uploads/batch", "POST /image", "GET /jobs", "GET /results"];
        let job = format!("GET /jobs/{hers}");
        for route in routes.into_iter().chain([job.as_str()]) {
            let answer = api.call(None, route, "", json!({ "files": [{}] })).await;
            assert_eq!(answer["statusCode"], 401, "{route}: {answer}");
            assert!(text(&answer["body"]).contains("UNAUTHENTICATED"), "{answer}");
            let headers = &answer["headers"];
            assert_eq!(
                (&headers["access-control-allow-origin"], &headers["www-authenticate"]),
                (&json!("*"), &json!("Bearer"))
            );
        }
        // Preflights carry no token, and what there is not is nobody's.
        for (route, status) in [("OPTIONS /uploads", 204), ("GET /nowhere", 404), ("DELETE /jobs", 405)] {
            assert_eq!(api.call(None, route, "", Value::Null).await["statusCode"], status, "{route}");
        }
        assert_eq!(api.listed(OLE, "limit=100").await, [hers]);
        api.stop();
    }
}
