//! Answers what became of a job: by id, by object key, by status, and in an older client's words.
//!
//! Also answers whatever no other function takes: unknown paths, wrong methods and CORS preflights. Never changes a
//! job, save for the download URLs that it keeps in the row.

mod config;
mod download;
mod query;
mod view;

use std::time::Duration;

use futures::future::try_join_all;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lambda_http::{Request, RequestExt};
use serde_json::json;
use sha2::{Digest, Sha256};
use shared::access::{Claims, Principal};
use shared::ambient::Ambient;
use shared::aws::{Bucket, Cursor, JobPage, JobTable, SdkConfig};
use shared::error::{Code, Failure};
use shared::http::{Cors, Response, is_routed, json, no_route};
use shared::job::{Job, JobId, Status};
use shared::key::{UploadKey, classify_upload_key};
use shared::results;
use shared::time::Timestamp;

pub use config::Config;
use query::ListQuery;
use view::JobView;

/// First pause between two looks at a job that a client waits for; the pauses grow.
const FIRST_POLL: Duration = Duration::from_millis(50);

/// Longest such pause.
const MAX_POLL: Duration = Duration::from_secs(1);

/// The function, ready to answer.
#[derive(Debug)]
pub struct JobStatus {
    config: Config,
    ambient: Ambient,
    cors: Cors,
    processed: Bucket,
    jobs: JobTable,
}

impl JobStatus {
    /// Wires the function to its services.
    pub fn new(config: Config, sdk: &SdkConfig, ambient: Ambient) -> Self {
        Self {
            cors: Cors::new(config.allowed_origins.clone()),
            processed: Bucket::new(sdk, &config.processed_bucket),
            jobs: JobTable::new(sdk, &config.table),
            ambient,
            config,
        }
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response {
        let request_id = request.lambda_context_ref().map(|context| context.request_id.clone()).unwrap_or_default();
        let outcome = self.route(&request, &request_id).await;
        self.cors.answer(outcome, request.headers(), &request_id)
    }

    async fn route(&self, request: &Request, request_id: &str) -> Result<Response, Failure> {
        // As it came: in the URI `..` is resolved, and another route would answer.
        let (method, path) = (request.method(), request.raw_http_path());
        if method != Method::GET || !is_routed(method, path) {
            return Ok(no_route(method, path, request_id));
        }
        // Also where this came by the API's default route, which has no authorizer: an escaped slash may lead there.
        let caller = self.config.access.admit(request.headers(), claims(request))?;
        let parameters = request.query_string_parameters();
        match path {
            "/jobs" => self.list(&ListQuery::parse(&parameters)?, &caller).await,
            "/results" => self.results(parameters.first("job_id"), &caller).await,
            _ => match path.strip_prefix("/jobs/") {
                Some(id) => {
                    let wait = query::wait(&parameters)?;
                    self.job(id, wait, request.headers(), &caller).await
                }
                None => Ok(no_route(method, path, request_id)),
            },
        }
    }

    /// `GET /jobs/{jobId}`
    async fn job(
        &self,
        id: &str,
        wait: Duration,
        headers: &HeaderMap,
        caller: &Principal,
    ) -> Result<Response, Failure> {
        let id: JobId =
            id.parse().map_err(|_| Failure::client(Code::InvalidJobId, "a job id is a UUID, and this is not one"))?;
        let job = self.wait_for(id, wait, caller).await?.ok_or_else(job_not_found)?;
        let job = self.with_urls(job, self.ambient.now()).await?;
        let mut response = json(StatusCode::OK, &JobView::of(&job));
        let tag = e_tag(response.body());
        if is_known(headers, &tag) {
            response = Response::new(String::new());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        // OK to expect no failure: a tag is quoted hex.
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(ETAG, tag);
        }
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        if !job.is_final() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Ok(response)
    }

    /// The job as soon as it is final, or as it is after `wait`. What the caller may not see is not there, at once.
    async fn wait_for(&self, id: JobId, wait: Duration, caller: &Principal) -> Result<Option<Job>, Failure> {
        let deadline = tokio::time::Instant::now() + wait;
        let mut pause = FIRST_POLL;
        loop {
            let job = self.find(id, caller).await?;
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() || job.as_ref().is_none_or(Job::is_final) {
                return Ok(job);
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 5 / 4).min(MAX_POLL);
        }
    }

    /// The job, if there is one as far as the caller is told.
    async fn find(&self, id: JobId, caller: &Principal) -> Result<Option<Job>, Failure> {
        let job = self.jobs.get(id, self.ambient.now()).await?;
        Ok(job.filter(|job| caller.may_see(job)))
    }

    /// `GET /jobs`
    async fn list(&self, query: &ListQuery, caller: &Principal) -> Result<Response, Failure> {
        let (now, cursor) = (self.ambient.now(), query.cursor.as_ref());
        let statuses = query.status.map_or(Status::ALL.to_vec(), |status| vec![status]);
        let page = match (caller.confined_to(), &query.key) {
            (None, Some(key)) => self.jobs.by_key(key, query.status, query.limit, cursor, now).await?,
            (None, None) => {
                let oldest = now - self.config.job_ttl;
                self.jobs.by_status(&statuses, query.limit, cursor, oldest, now).await?
            }
            (Some(_), Some(key)) => self.of_slot(key, &statuses, cursor, caller).await?,
            (Some(owner), None) => self.jobs.by_owner(owner, &statuses, query.limit, cursor, now).await?,
        };
        let jobs = try_join_all(page.jobs.into_iter().map(|job| self.with_urls(job, now))).await?;
        let views: Vec<JobView> = jobs.iter().map(JobView::of).collect();
        let mut body = json!({ "jobs": views });
        if let Some(cursor) = page.cursor {
            body["cursor"] = json!(cursor.to_string());
        }
        Ok(json(StatusCode::OK, &body))
    }

    /// What a key has of the caller's: only an upload slot has an owner, and its key names its job. So nothing is looked
    /// through that is somebody else's, and the time that it takes tells nothing of it.
    async fn of_slot(
        &self,
        key: &str,
        statuses: &[Status],
        after: Option<&Cursor>,
        caller: &Principal,
    ) -> Result<JobPage, Failure> {
        let job = match classify_upload_key(key) {
            UploadKey::Slot(id) => self.find(id, caller).await?,
            UploadKey::Direct | UploadKey::Ignored => None,
        };
        let is_listed = |job: &Job| {
            job.s3_key == key && statuses.contains(&job.status()) && after.is_none_or(|after| Cursor::of(job) < *after)
        };
        Ok(JobPage { jobs: job.into_iter().filter(is_listed).collect(), cursor: None })
    }

    /// `GET /results`
    async fn results(&self, id: Option<&str>, caller: &Principal) -> Result<Response, Failure> {
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return Ok(json(StatusCode::BAD_REQUEST, &json!({ "error": "Missing job_id parameter" })));
        };
        let id: JobId =
            id.parse().map_err(|_| Failure::client(Code::InvalidJobId, "a job id is a UUID, and this is not one"))?;
        let job = self.find(id, caller).await?.ok_or_else(job_not_found)?;
        Ok(match results::of(&job) {
            Some(result) => json(StatusCode::OK, &result),
            // The older contract knows no other word for a job that is not over.
            None => {
                let body = json!({ "message": "Processing", "job_id": id, "status": Status::Pending });
                json(StatusCode::ACCEPTED, &body)
            }
        })
    }

    async fn with_urls(&self, job: Job, now: Timestamp) -> Result<Job, Failure> {
        download::with_urls(job, &self.jobs, &self.processed, self.config.download_url_ttl, now).await
    }
}

/// The claims of the request's token, where an authorizer has verified one.
fn claims(request: &Request) -> Option<&Claims> {
    let jwt = request.request_context_ref()?.authorizer()?.jwt.as_ref()?;
    Some(&jwt.claims)
}

fn job_not_found() -> Failure {
    Failure::client(Code::JobNotFound, "there is no such job")
}

/// A tag that changes whenever the body does.
fn e_tag(body: &str) -> String {
    format!("\"{:x}\"", Sha256::digest(body))
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_is_found_in_a_list() {
        for (header, known) in [("\"a\"", true), ("\"b\", W/\"a\"", true), ("*", true), ("\"b\"", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, header.parse().unwrap());
            assert_eq!(is_known(&headers, "\"a\""), known, "{header}");
        }
    }
}
