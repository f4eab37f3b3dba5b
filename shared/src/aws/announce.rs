//! Telling the world that a job is over: by the worker that ended it, or by reconcile if that worker vanished.

use super::{Bucket, Fence, JobTable, Topic};
use crate::error::Failure;
use crate::job::{Job, State};
use crate::message::JobNotice;
use crate::results;
use crate::time::Timestamp;

/// Announces final jobs.
///
/// An announcement follows from the row alone, so making it twice does no harm; the row records that it was made.
#[derive(Clone, Debug)]
pub struct Announcer {
    jobs: JobTable,
    processed: Bucket,
    topic: Option<Topic>,
}

impl Announcer {
    /// Announces on `topic`, if there is one.
    pub fn new(jobs: JobTable, processed: Bucket, topic: Option<Topic>) -> Self {
        Self { jobs, processed, topic }
    }

    /// Announces `job`, if it is over and has not been announced.
    pub async fn announce(&self, job: Job, now: Timestamp) -> Result<(), Failure> {
        let (Some(notice), Some(end), None) = (JobNotice::of(&job), job.end(), job.announced_at) else { return Ok(()) };
        // A completed job's result object was stored before the row said so; a failed one's only now, when no other
        // worker can complete the job any more.
        if let (State::Failed { .. }, Some(result)) = (&job.state, results::of(&job)) {
            self.processed.put_json(&results::results_key(job.job_id), &result, Fence::of_end(&job)).await?;
        }
        if let Some(topic) = &self.topic {
            topic.publish(&notice).await?;
        }
        self.jobs.update_from(job, now, |job| job.announced(end, now)).await?;
        Ok(())
    }
}
