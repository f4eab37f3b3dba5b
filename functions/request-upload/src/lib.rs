//! Offers upload slots: a job's row and a presigned PUT, one or a hundred at a time, and takes the small photos that an
//! older client sends in the request itself.
//!
//! Never touches a photo's content, and never the queue: the object's arrival is what starts the work.

mod config;
mod idempotency;
mod request;

use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use http::{Method, StatusCode};
use lambda_http::{Request, RequestExt};
use serde::Serialize;
use serde_json::json;
use shared::access::{Claims, Principal};
use shared::ambient::Ambient;
use shared::aws::{Bucket, JobTable, PutTerms, SdkConfig};
use shared::error::{Code, Failure};
use shared::format::Format;
use shared::http::{Cors, Response, is_routed, json, no_route, parse_body};
use shared::inline_image::{self, InlineImageError};
use shared::job::{Job, JobId, UPLOAD_GRACE};
use shared::key;
use shared::time::Timestamp;

pub use config::Config;
use request::{BatchBody, Limits, Upload, UploadBody};

/// How many rows of a batch are written at once.
const BATCH_CONCURRENCY: usize = 16;

/// The function, ready to answer.
#[derive(Debug)]
pub struct RequestUpload {
    config: Config,
    ambient: Ambient,
    cors: Cors,
    uploads: Bucket,
    jobs: JobTable,
}

/// An upload slot, in the shape that Uppy's `getUploadParameters` takes too.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Slot {
    job_id: JobId,
    upload_url: String,
    expires_in: u64,
    method: &'static str,
    url: String,
    headers: serde_json::Map<String, serde_json::Value>,
    fields: serde_json::Map<String, serde_json::Value>,
    key: String,
    status_url: String,
}

impl RequestUpload {
    /// Wires the function to its services.
    pub fn new(config: Config, sdk: &SdkConfig, ambient: Ambient) -> Self {
        Self {
            cors: Cors::new(config.allowed_origins.clone()),
            uploads: Bucket::new(sdk, &config.upload_bucket),
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
        let (method, path) = (request.method(), request.raw_http_path());
        if !is_routed(method, path) {
            return Ok(no_route(method, path, request_id));
        }
        let caller = self.config.access.admit(request.headers(), claims(request))?;
        let body = request.body().as_ref();
        let limits =
            Limits { max_upload_bytes: self.config.max_upload_bytes, callback_hosts: &self.config.callback_hosts };
        match (method, path) {
            (&Method::POST, "/uploads") => {
                let upload = [parse_body::<UploadBody>(request.headers(), body)?.check(limits)?];
                let now = self.ambient.now();
                let id = self.id_of(request, false, &upload, &caller, now).await?;
                let [upload] = upload;
                let slot = self.offer(id.unwrap_or_else(|| self.new_id()), upload, &caller, now).await?;
                Ok(json(StatusCode::OK, &slot))
            }
            (&Method::POST, "/uploads/batch") => {
                let uploads = parse_body::<BatchBody>(request.headers(), body)?.check(limits)?;
                let now = self.ambient.now();
                let batch = self.id_of(request, true, &uploads, &caller, now).await?;
                let offers = stream::iter(uploads).enumerate().map(|(index, upload)| {
                    let id = batch.map_or_else(|| self.new_id(), |batch| JobId::of_batch(batch, index));
                    self.offer(id, upload, &caller, now)
                });
                let slots: Vec<Result<Slot, Failure>> = offers.buffered(BATCH_CONCURRENCY).collect().await;
                let slots = slots.into_iter().collect::<Result<Vec<Slot>, Failure>>()?;
                Ok(json(StatusCode::OK, &json!({ "jobs": slots })))
            }
            (&Method::POST, "/image") => {
                idempotency::refuse(request.headers())?;
                self.take_image(body, &caller, self.ambient.now()).await
            }
            _ => Ok(no_route(method, path, request_id)),
        }
    }

    /// The id that stands for the request by its `Idempotency-Key`; `None` if it has none.
    async fn id_of(
        &self,
        request: &Request,
        is_batch: bool,
        uploads: &[Upload],
        caller: &Principal,
        now: Timestamp,
    ) -> Result<Option<JobId>, Failure> {
        let Some(key) = idempotency::key(request.headers())? else { return Ok(None) };
        let wished = idempotency::reservation(self.new_id(), is_batch, uploads, now);
        let fingerprint = wished.fingerprint.clone();
        let kept = self.jobs.reserve(&idempotency::name(key, caller), wished, now).await?;
        if kept.fingerprint != fingerprint {
            let message = "this Idempotency-Key was used for another request in the last 24 hours; send a new one";
            return Err(Failure::client(Code::IdempotencyKeyReused, message));
        }
        Ok(Some(kept.for_job))
    }

    fn new_id(&self) -> JobId {
        JobId::of_slot(self.ambient.uuid())
    }

    /// Writes the job's row, unless it is there, and presigns its PUT. The row comes before the answer: a URL without a
    /// row would be an upload that nobody can ask about.
    async fn offer(&self, id: JobId, upload: Upload, caller: &Principal, now: Timestamp) -> Result<Slot, Failure> {
        let ttl = self.config.upload_url_ttl;
        let mut job = self.new_job(id, upload.filename, upload.format, caller, ttl, now);
        job.metadata = upload.metadata;
        job.recipe = upload.recipe;
        job.callback_url = upload.callback_url;
        let terms = PutTerms {
            content_type: upload.format.media_type(),
            size: upload.size,
            checksum_sha256: upload.checksum_sha256.as_deref(),
        };
        let put = self.uploads.presign_put(&job.s3_key, terms, ttl).await?;
        let job = self.jobs.create(job, now).await?;
        tracing::info!(job.id = %job.job_id, offered = 1, "upload slot offered");
        Ok(Slot {
            job_id: job.job_id,
            upload_url: put.url.clone(),
            expires_in: ttl.as_secs(),
            method: "PUT",
            url: put.url,
            headers: put.headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
            fields: serde_json::Map::new(),
            key: job.s3_key,
            status_url: format!("/jobs/{}", job.job_id),
        })
    }

    /// Stores a photo that came in the request; from there it takes the way of every upload.
    async fn take_image(&self, body: &[u8], caller: &Principal, now: Timestamp) -> Result<Response, Failure> {
        let image = match inline_image::read(body) {
            Ok(image) => image,
            Err(InlineImageError::Missing) => return Ok(inline_image::missing()),
            Err(InlineImageError::Refused(failure)) => return Err(failure),
        };
        let job = self.new_job(self.new_id(), image.filename, image.format, caller, Duration::ZERO, now);
        let job = self.jobs.create(job, now).await?;
        self.uploads.put_upload(&job.s3_key, image.format.media_type(), image.bytes).await?;
        tracing::info!(job.id = %job.job_id, "image taken from the request");
        Ok(json(StatusCode::OK, &json!({ "message": "Job submitted", "job_id": job.job_id })))
    }

    fn new_job(
        &self,
        id: JobId,
        filename: Option<String>,
        format: Format,
        caller: &Principal,
        url_ttl: Duration,
        now: Timestamp,
    ) -> Job {
        let key = key::upload_key(id, filename.as_deref(), format);
        let mut job = Job::awaiting_upload(id, &self.config.upload_bucket, &key, now + url_ttl, now);
        job.filename = filename;
        job.owner = caller.subject().map(str::to_owned);
        // Counted from the URL's end, or a long-lived URL would outlive its job.
        job.expires_at = (now + url_ttl + UPLOAD_GRACE + self.config.job_ttl).epoch_seconds();
        job
    }
}

/// The claims of the request's token, where an authorizer has verified one.
fn claims(request: &Request) -> Option<&Claims> {
    let jwt = request.request_context_ref()?.authorizer()?.jwt.as_ref()?;
    Some(&jwt.claims)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_description_of_the_api_has_the_fields_of_a_slot() {
        let slot = Slot {
            job_id: JobId::random(),
            upload_url: String::new(),
            expires_in: 1,
            method: "PUT",
            url: String::new(),
            headers: serde_json::Map::new(),
            fields: serde_json::Map::new(),
            key: String::new(),
            status_url: String::new(),
        };
        let all: Value = serde_json::from_str(include_str!("../../../assets/web/openapi.json")).unwrap();
        let described = &all["components"]["schemas"]["Slot"];
        let slot = serde_json::to_value(slot).unwrap();
        let fields: Vec<&String> = slot.as_object().unwrap().keys().collect();
        assert_eq!(described["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), fields);
        let mut required: Vec<&str> =
            described["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        required.sort_unstable();
        assert_eq!(required, fields);
    }
}
