//! Looking for objects without a job: direct uploads whose event was lost leave no row that could be due.
//!
//! Walks all of `raw/` and `uploads/` in key order, as far as time allows, and goes on from there the next time.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use shared::arrival::Arrival;
use shared::aws::{Bucket, ListedObject};
use shared::error::Failure;
use shared::job::Job;
use shared::key::{self, RAW_PREFIX, UPLOADS_PREFIX, UploadKey};
use shared::time::Timestamp;
use tokio::time::Instant;

use crate::dispatch::Dispatch;

/// Name of the bookmark that says how far the sweep has come.
const BOOKMARK: &str = "sweep";

/// How many objects are checked at once.
const CONCURRENCY: usize = 16;

/// How many jobs of one key are looked through for the one of this object.
const JOBS_PER_KEY: usize = 100;

/// How old an object has to be: a younger one's event is still under way.
const SETTLED: Duration = Duration::from_mins(15);

/// Looks for objects without a job.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) dispatch: std::sync::Arc<Dispatch>,
    pub(crate) uploads: Bucket,
}

impl Sweep {
    /// Whether a sweep was interrupted and has to go on.
    pub(crate) async fn is_under_way(&self) -> Result<bool, Failure> {
        Ok(self.dispatch.jobs.bookmark(BOOKMARK).await?.is_some())
    }

    /// Walks on from where the last sweep stopped, until the end or `deadline`. Answers how many objects were found
    /// without a job and dispatched.
    pub(crate) async fn run(&self, now: Timestamp, deadline: Instant) -> Result<usize, Failure> {
        let jobs = &self.dispatch.jobs;
        let mut position = jobs.bookmark(BOOKMARK).await?;
        let mut found = 0;
        loop {
            let prefix = match &position {
                Some(key) if key.starts_with(UPLOADS_PREFIX) => UPLOADS_PREFIX,
                _ => RAW_PREFIX,
            };
            let page = self.uploads.list(prefix, position.as_deref()).await?;
            position = match page.objects.last() {
                Some(last) if page.is_truncated => Some(last.key.clone()),
                _ if prefix == RAW_PREFIX => Some(UPLOADS_PREFIX.to_owned()),
                _ => None,
            };
            let checks = stream::iter(page.objects).map(async |object| {
                let key = object.key.clone();
                // One object that cannot be looked at must not hold up all that come after it.
                self.without_job(object, now).await.unwrap_or_else(|error| {
                    tracing::warn!(s3.key = key, %error, "an object could not be looked at: left for the next sweep");
                    None
                })
            });
            let lost: Vec<Arrival> = checks.buffered(CONCURRENCY).filter_map(std::future::ready).collect().await;
            for arrival in &lost {
                tracing::warn!(s3.key = arrival.key, "an object without a job: dispatched");
            }
            match self.dispatch.dispatch(lost, now).await {
                Ok(count) => found += count,
                // Nor must one that cannot be dispatched.
                Err(error) => tracing::warn!(%error, "objects could not be dispatched: left for the next sweep"),
            }
            let is_late = Instant::now() >= deadline;
            // From one prefix to the next nothing has to be noted, as long as there is time.
            if is_late || position.as_deref() != Some(UPLOADS_PREFIX) {
                jobs.set_bookmark(BOOKMARK, position.as_deref()).await?;
            }
            if is_late || position.is_none() {
                return Ok(found);
            }
        }
    }

    /// The arrival of an object that has no job; `None` if it has one, or needs none.
    async fn without_job(&self, object: ListedObject, now: Timestamp) -> Result<Option<Arrival>, Failure> {
        let ListedObject { key, e_tag, modified_at } = object;
        let age = now.since(modified_at);
        // An older object may well have had a job, whose row is gone by now.
        if age < SETTLED || age >= self.dispatch.job_ttl {
            return Ok(None);
        }
        let is_known = match key::classify_upload_key(&key) {
            UploadKey::Ignored => true,
            UploadKey::Slot(id) => self.dispatch.jobs.get(id, now).await?.is_some_and(|job| job.s3_key == key),
            UploadKey::Direct => false,
        };
        if is_known {
            return Ok(None);
        }
        let known = self.dispatch.jobs.by_key(&key, None, JOBS_PER_KEY, None, now).await?;
        // The same bytes may have been there before.
        let is_this = |job: &Job| {
            job.created_at >= modified_at && job.object.as_ref().is_some_and(|object| object.e_tag == e_tag)
        };
        if known.jobs.iter().any(is_this) {
            return Ok(None);
        }
        // A listing names no version; without it the object would get another id than its event would have given.
        let Some(version) = self.uploads.head(&key).await? else { return Ok(None) };
        let arrival = Arrival { bucket: self.uploads.name().to_owned(), key, version };
        // Clocks differ.
        let is_known = self.dispatch.jobs.get(arrival.job_id(), now).await?.is_some();
        Ok((!is_known).then_some(arrival))
    }
}
