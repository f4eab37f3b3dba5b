//! From objects that came to work items in the queue: finds each object's job, or makes it, and queues it.

use std::collections::HashSet;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use shared::ambient::Ambient;
use shared::aws::{JobTable, WorkQueue};
use shared::error::Failure;
use shared::job::{Job, JobId, Status, Transition};
use shared::key::{self, UploadKey};
use shared::message::WorkItem;
use shared::time::Timestamp;

use crate::event::Arrival;

/// How many rows are read and written at once.
const CONCURRENCY: usize = 16;

/// How many objects are seen through before the next ones are looked at: an invocation that is cut off in the middle of
/// a long event has queued what came first, and the next one has less to do.
const ROUND: usize = 100;

/// Finds jobs and queues them.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) ambient: Ambient,
    pub(crate) jobs: JobTable,
    pub(crate) queue: WorkQueue,
    pub(crate) upload_bucket: String,
    pub(crate) job_ttl: Duration,
}

impl Dispatch {
    /// Queues the jobs of all these objects and answers how many.
    ///
    /// If any object's job could not be found or queued, the first failure is answered after all others were seen to:
    /// the event comes again, and hearing of the others twice does no harm.
    pub(crate) async fn dispatch(&self, arrivals: Vec<Arrival>, now: Timestamp) -> Result<usize, Failure> {
        let arrivals = distinct(arrivals);
        let mut queued = 0;
        let mut first_failure = Ok(());
        for round in arrivals.chunks(ROUND) {
            let found = stream::iter(round.to_vec()).map(|arrival| self.job_of(arrival, now));
            let found: Vec<Result<Option<Job>, Failure>> = found.buffer_unordered(CONCURRENCY).collect().await;
            let mut jobs = Vec::new();
            for job in found {
                match job {
                    Ok(job) => jobs.extend(job.filter(|job| job.status() == Status::Pending)),
                    Err(failure) => first_failure = first_failure.and(Err(failure)),
                }
            }
            match self.queue(jobs, now).await {
                Ok(count) => queued += count,
                Err(failure) => first_failure = first_failure.and(Err(failure)),
            }
        }
        first_failure.map(|()| queued)
    }

    /// The job of an object; `None` if it is to have none.
    async fn job_of(&self, arrival: Arrival, now: Timestamp) -> Result<Option<Job>, Failure> {
        let Arrival { bucket, key, version } = arrival;
        if bucket != self.upload_bucket {
            tracing::warn!(s3.bucket = bucket, "an object in a foreign bucket: ignored");
            return Ok(None);
        }
        match key::classify_upload_key(&key) {
            UploadKey::Ignored => {
                tracing::info!(s3.key = key, "not an upload: ignored");
                return Ok(None);
            }
            UploadKey::Slot(id) => {
                let arrive = |job: &mut Job| {
                    // Anything else under the slot's prefix is an object of its own.
                    if job.s3_key == key { job.arrive(version.clone(), now) } else { Transition::Unchanged }
                };
                let job = self.jobs.update(id, now, arrive).await?;
                if let Some(job) = job.filter(|job| job.s3_key == key) {
                    return Ok(Some(job));
                }
            }
            UploadKey::Direct => {}
        }
        if version.version().is_empty() {
            tracing::error!(s3.key = key, "an event that names no version of its object: ignored, the sweep finds it");
            return Ok(None);
        }
        let id = JobId::derived(&bucket, &key, version.version());
        let mut job = Job::of_object(id, &bucket, &key, version, now);
        job.filename = Some(key::file_name(&key).to_owned());
        job.expires_at = (now + self.job_ttl).epoch_seconds();
        Ok(Some(self.jobs.create(job, now).await?))
    }

    /// Sends a work item for each job and notes in its row that it was sent.
    pub(crate) async fn queue(&self, jobs: Vec<Job>, now: Timestamp) -> Result<usize, Failure> {
        let items: Vec<(WorkItem, String)> =
            jobs.iter().map(|job| (WorkItem::of(job), self.ambient.uuid().to_string())).collect();
        let outcomes = self.queue.send(&items, Duration::ZERO).await;
        let sent = jobs.into_iter().zip(items).zip(outcomes);
        let noted = stream::iter(sent).map(async |((job, (_, work_id)), outcome)| {
            outcome?;
            tracing::info!(job.id = %job.job_id, s3.key = job.s3_key, queued = 1, "job queued");
            // Sent first, noted afterwards: were it the other way round, dying in between would lose the job until
            // reconcile looks at it.
            self.jobs.update_from(job, now, |job| job.queued(&work_id, now)).await
        });
        let noted: Vec<Result<Job, Failure>> = noted.buffer_unordered(CONCURRENCY).collect().await;
        let count = noted.len();
        noted.into_iter().collect::<Result<Vec<Job>, Failure>>()?;
        Ok(count)
    }
}

/// Each object once, as its newest news has it.
fn distinct(arrivals: Vec<Arrival>) -> Vec<Arrival> {
    let mut seen = HashSet::new();
    let is_first = |arrival: &Arrival| seen.insert((arrival.key.clone(), arrival.version.version().to_owned()));
    let mut arrivals: Vec<Arrival> = arrivals.into_iter().rev().filter(is_first).collect();
    // In the order of the event again: where no sequencer says which version is newer, the later news is.
    arrivals.reverse();
    arrivals
}

#[cfg(test)]
mod tests {
    use shared::job::ObjectVersion;

    use super::*;

    #[test]
    fn an_object_that_is_named_often_arrives_once_with_its_newest_news() {
        let arrival = |key: &str, e_tag: &str, sequencer: u32| Arrival {
            bucket: "b".to_owned(),
            key: key.to_owned(),
            version: ObjectVersion {
                e_tag: e_tag.to_owned(),
                sequencer: Some(format!("{sequencer:02}")),
                ..ObjectVersion::default()
            },
        };
        let mut arrivals: Vec<Arrival> = (0..100).map(|n| arrival("x", "1", n)).collect();
        arrivals.extend([arrival("x", "2", 100), arrival("y", "1", 0)]);
        assert_eq!(distinct(arrivals), [arrival("x", "1", 99), arrival("x", "2", 100), arrival("y", "1", 0)]);
    }
}
