//! An S3 bucket: presigned URLs, and objects small enough to hold in memory.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::EncodingType;
use bytes::Bytes;

use super::{NO_ANSWER, failure};
use crate::error::Failure;
use crate::job::{Job, JobId, ObjectVersion};
use crate::key;
use crate::time::Timestamp;

/// What a derivative's `Cache-Control` says: its key names its content for good, and it is somebody's photo.
const DERIVATIVE_CACHE_CONTROL: &str = "private, max-age=31536000, immutable";

/// User metadata that orders what is written under one key.
const FENCE_METADATA: &str = "fence";

/// How often a write is tried against others under the same key.
const MAX_CONFLICTS: u32 = 10;

/// Which of several writes under one key is the later one in a job's life.
#[derive(Clone, Debug)]
pub struct Fence {
    job_id: JobId,
    /// Sorts as text. Begins with the job's creation: once a row is forgotten, its id may come to a second life.
    order: String,
}

impl Fence {
    /// For what the attempt that holds the job writes.
    pub fn of_attempt(job: &Job) -> Self {
        Self { job_id: job.job_id, order: format!("{} {:010} attempt", job.created_at, job.attempts) }
    }

    /// For what is written once all attempts so far are over: after them, and before a redrive's.
    pub fn of_end(job: &Job) -> Self {
        Self { job_id: job.job_id, order: format!("{} {:010} end", job.created_at, job.attempts) }
    }
}

/// One bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
}

/// What a presigned PUT is bound to; S3 refuses a request that differs.
#[derive(Clone, Debug)]
pub struct PutTerms<'a> {
    /// Media type.
    pub content_type: &'a str,
    /// Exact size in bytes.
    pub size: Option<u64>,
    /// Base64 of the SHA-256 of the bytes.
    pub checksum_sha256: Option<&'a str>,
}

/// A presigned PUT.
#[derive(Clone, Debug)]
pub struct PresignedPut {
    /// Where to PUT. A secret until it expires.
    pub url: String,
    /// Headers that the client has to send, in lower case.
    pub headers: Vec<(String, String)>,
}

/// An object's bytes and what S3 says of them.
#[derive(Debug)]
pub struct Fetched {
    /// The content.
    pub bytes: Vec<u8>,
    /// `ETag` without quotes.
    pub e_tag: String,
    /// The `x-amz-meta-…` headers, without that prefix.
    pub metadata: HashMap<String, String>,
}

/// Why an object could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No such object, or not this version of it any more.
    #[error("the object is gone")]
    Missing,
    /// Another version stands under the key now.
    #[error("the object has changed")]
    Changed,
    /// Larger than the caller takes; nothing was read.
    #[error("the object has {0} bytes")]
    TooLarge(u64),
    /// Something else.
    #[error(transparent)]
    Failed(Failure),
}

/// An object as a listing shows it.
#[derive(Clone, Debug)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// `ETag` without quotes.
    pub e_tag: String,
    /// When it was stored.
    pub modified_at: Timestamp,
}

/// A page of a bucket's objects.
#[derive(Debug)]
pub struct ListedObjects {
    /// The objects, in key order.
    pub objects: Vec<ListedObject>,
    /// Whether more keys follow.
    pub is_truncated: bool,
}

impl Bucket {
    /// The bucket `name`.
    pub fn new(sdk: &SdkConfig, name: &str) -> Self {
        // A presigned URL must not sign a checksum of a body that nobody has seen yet.
        let config = aws_sdk_s3::config::Builder::from(sdk)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .build();
        Self { client: Client::from_conf(config), name: name.to_owned() }
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A URL under which anybody may PUT one object within `ttl`.
    pub async fn presign_put(&self, key: &str, terms: PutTerms<'_>, ttl: Duration) -> Result<PresignedPut, Failure> {
        let length = terms.size.map(i64::try_from).transpose().map_err(Failure::permanent)?;
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .content_type(terms.content_type)
            .set_content_length(length)
            .set_checksum_sha256(terms.checksum_sha256.map(str::to_owned))
            .presigned(presigning(ttl)?)
            .await
            .map_err(failure)?;
        let headers = request
            .headers()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("host"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Ok(PresignedPut { url: request.uri().to_owned(), headers })
    }

    /// A URL under which anybody may GET the object within `ttl`, with these two headers on the answer.
    pub async fn presign_get(
        &self,
        key: &str,
        disposition: &str,
        content_type: &str,
        ttl: Duration,
    ) -> Result<String, Failure> {
        let request = self
            .client
            .get_object()
            .bucket(&self.name)
            .key(key)
            .response_content_disposition(disposition)
            .response_content_type(content_type)
            .presigned(presigning(ttl)?)
            .await
            .map_err(failure)?;
        Ok(request.uri().to_owned())
    }

    /// Which version stands under the key; `None` if there is no such object.
    pub async fn head(&self, key: &str) -> Result<Option<ObjectVersion>, Failure> {
        match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(head) => {
                let version = ObjectVersion {
                    e_tag: unquoted(head.e_tag()),
                    version_id: version_id(head.version_id()),
                    size: head.content_length().and_then(|length| length.try_into().ok()),
                    sequencer: None,
                };
                Ok(Some(version))
            }
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }

    /// Reads an object of at most `limit` bytes: the version named, or whatever stands under the key if none is.
    pub async fn fetch(
        &self,
        key: &str,
        version_id: Option<&str>,
        e_tag: Option<&str>,
        limit: u64,
    ) -> Result<Fetched, FetchError> {
        let mut request = self.client.get_object().bucket(&self.name).key(key);
        request = match (version_id, e_tag) {
            (Some(id), _) => request.version_id(id),
            (None, Some(tag)) => request.if_match(format!("\"{tag}\"")),
            (None, None) => request,
        };
        let mut object = request.send().await.map_err(fetch_error)?;
        let length = object.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or_default();
        if length > limit {
            return Err(FetchError::TooLarge(length));
        }
        let e_tag = unquoted(object.e_tag());
        let metadata = object.metadata().cloned().unwrap_or_default();
        // Piece by piece: the SDK's `collect` has the whole of it in memory twice.
        let mut bytes = Vec::with_capacity(length as usize);
        while let Some(piece) = object.body.try_next().await.map_err(cut_short)? {
            bytes.extend_from_slice(&piece);
        }
        if bytes.len() as u64 != length {
            let short = format!("the body ended after {} of {length} bytes", bytes.len());
            return Err(cut_short(short));
        }
        Ok(Fetched { bytes, e_tag, metadata })
    }

    /// Stores an upload of somebody who sent the bytes to us.
    pub async fn put_upload(&self, key: &str, content_type: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        let request = self.client.put_object().bucket(&self.name).key(key).content_type(content_type);
        request.body(ByteStream::from(bytes)).send().await.map_err(failure)?;
        Ok(())
    }

    /// Stores a derivative of a job, unless a later attempt of the job has stored its own.
    pub async fn put_derivative(
        &self,
        key: &str,
        content_type: &str,
        fence: Fence,
        bytes: Vec<u8>,
    ) -> Result<(), Failure> {
        self.put_fenced(key, content_type, DERIVATIVE_CACHE_CONTROL, fence, bytes.into()).await
    }

    /// Stores a JSON document about a job, unless somebody later in the job's life has stored theirs.
    pub async fn put_json(&self, key: &str, document: &serde_json::Value, fence: Fence) -> Result<(), Failure> {
        let bytes = document.to_string().into_bytes();
        self.put_fenced(key, "application/json", "no-store", fence, bytes.into()).await
    }

    /// Writes an object only where there is none, or over an older one, on the condition that it is still that one.
    ///
    /// So whatever is slow or late, of all that is written under the key the latest in the job's life stays. Being too
    /// late is no failure: whoever is finds out by the job's row.
    async fn put_fenced(
        &self,
        key: &str,
        content_type: &str,
        cache_control: &str,
        fence: Fence,
        bytes: Bytes,
    ) -> Result<(), Failure> {
        let mut seen = None;
        for _ in 0..MAX_CONFLICTS {
            let request = self
                .client
                .put_object()
                .bucket(&self.name)
                .key(key)
                .content_type(content_type)
                .cache_control(cache_control)
                .metadata("job-id", fence.job_id.to_string())
                .metadata(FENCE_METADATA, &fence.order)
                .set_if_none_match(seen.is_none().then(|| "*".to_owned()))
                .set_if_match(seen.take())
                .body(ByteStream::from(bytes.clone()));
            let Err(error) = request.send().await else { return Ok(()) };
            let status = error.raw_response().map(|response| response.status().as_u16());
            // Changed, deleted, or being written by somebody else at this moment.
            if !matches!(status, Some(404 | 409 | 412)) || error.code() == Some("NoSuchBucket") {
                return Err(failure(error));
            }
            match self.client.head_object().bucket(&self.name).key(key).send().await {
                Ok(head) => {
                    let order = head.metadata().and_then(|metadata| metadata.get(FENCE_METADATA));
                    if order.is_some_and(|order| *order > fence.order) {
                        return Ok(());
                    }
                    seen = head.e_tag;
                }
                Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => {}
                Err(error) => return Err(failure(error)),
            }
        }
        Err(Failure::transient("the file store was contended", format!("{key} kept changing")))
    }

    /// At most 1,000 objects under `prefix`, in key order after `start_after`.
    pub async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<ListedObjects, Failure> {
        let page = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(prefix)
            // XML has no way to write some of the characters that a key may have, control characters among them.
            .encoding_type(EncodingType::Url)
            .set_start_after(start_after.map(str::to_owned))
            .send()
            .await
            .map_err(failure)?;
        let objects = page.contents().iter().filter_map(|object| {
            let modified_at = object.last_modified()?.secs().saturating_mul(1_000_000);
            Some(ListedObject {
                key: key::decode_event_key(object.key()?).ok()?,
                e_tag: unquoted(object.e_tag()),
                modified_at: Timestamp::from_micros(modified_at),
            })
        });
        Ok(ListedObjects { objects: objects.collect(), is_truncated: page.is_truncated().unwrap_or_default() })
    }
}

fn presigning(ttl: Duration) -> Result<PresigningConfig, Failure> {
    PresigningConfig::expires_in(ttl).map_err(Failure::permanent)
}

fn unquoted(e_tag: Option<&str>) -> String {
    e_tag.unwrap_or_default().trim_matches('"').to_owned()
}

/// S3 writes `null` for the version of an object in a bucket that keeps no versions.
fn version_id(id: Option<&str>) -> Option<String> {
    id.filter(|id| *id != "null").map(str::to_owned)
}

fn fetch_error(error: SdkError<GetObjectError>) -> FetchError {
    let status = error.raw_response().map(|response| response.status().as_u16());
    match (status, error.as_service_error()) {
        (Some(412), _) => FetchError::Changed,
        // A bucket that is not there is a mistake in the configuration, which somebody can mend.
        (_, Some(service)) if service.code() == Some("NoSuchBucket") => {
            FetchError::Failed(Failure::transient("the bucket is not there", error))
        }
        (Some(404), _) => FetchError::Missing,
        _ => FetchError::Failed(failure(error)),
    }
}

fn cut_short(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FetchError {
    FetchError::Failed(Failure::transient(NO_ANSWER, error))
}
