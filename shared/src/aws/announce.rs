//! Telling the world that a job is over: by the worker that ended it, or by reconcile if that worker vanished.

use super::{Bucket, CallbackQueue, Fence, JobTable, Topic};
use crate::error::{Code, Failure};
use crate::job::{Job, State};
use crate::message::{Callback, JobNotice};
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
    callbacks: Option<CallbackQueue>,
}

impl Announcer {
    /// Announces on `topic`, if there is one, and has those called by way of `callbacks` who asked for it.
    pub fn new(jobs: JobTable, processed: Bucket, topic: Option<Topic>, callbacks: Option<CallbackQueue>) -> Self {
        Self { jobs, processed, topic, callbacks }
    }

    /// Announces `job`, if it is over and has not been announced.
    pub async fn announce(&self, job: Job, now: Timestamp) -> Result<(), Failure> {
        let (Some(notice), Some(end), None) = (JobNotice::of(&job), job.end(), job.announced_at) else { return Ok(()) };
        // First of all: an end is then counted at least once, and once more whenever its announcement is tried again.
        log_end(&job);
        // A completed job's result object was stored before the row said so; a failed one's only now, when no other
        // worker can complete the job any more.
        if let (State::Failed { .. }, Some(result)) = (&job.state, results::of(&job)) {
            self.processed.put_json(&results::results_key(job.job_id), &result, Fence::of_end(&job)).await?;
        }
        if let Some(topic) = &self.topic {
            topic.publish(&notice).await?;
        }
        if let Some(callback) = Callback::of(&job, &notice).map_err(Failure::permanent)? {
            match &self.callbacks {
                Some(queue) => queue.send(&callback).await?,
                // They were set up when the job was asked for.
                None => tracing::warn!(job.id = %job.job_id, "callbacks are not set up any more: nobody is called"),
            }
        }
        self.jobs.update_from(job, now, |job| job.announced(end, now)).await?;
        Ok(())
    }
}

/// Says that a job is over, and counts it by whose matter its end was: each of these fields is a metric.
fn log_end(job: &Job) {
    let (id, attempts) = (job.job_id, job.attempts);
    match job.state {
        State::Completed(_) => tracing::info!(job.id = %id, attempts, completed = 1, "job over"),
        State::Failed { error_code: code @ Code::UploadExpired, .. } => {
            tracing::info!(job.id = %id, %code, attempts, expired = 1, "job over");
        }
        State::Failed { error_code: code, .. } if code.status().is_server_error() => {
            tracing::info!(job.id = %id, %code, attempts, failed = 1, "job over");
        }
        State::Failed { error_code: code, .. } => {
            tracing::info!(job.id = %id, %code, attempts, rejected = 1, "job over");
        }
        State::Pending | State::Processing { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobId, ObjectVersion};
    use crate::telemetry::tests::counted;

    fn check(error_code: Code, metric: &str) {
        let now = Timestamp::from_micros(0);
        let mut job = Job::of_object(JobId::random(), "b", "uploads/x", ObjectVersion::default(), now);
        assert_eq!(counted(|| log_end(&job)), []);
        job.state = State::Failed { error_code, error_message: String::new() };
        assert_eq!(counted(|| log_end(&job)), [(metric.to_owned(), 1)], "{error_code}");
    }

    #[test]
    fn a_failure_is_counted_by_whose_matter_it_is() {
        for code in [Code::Internal, Code::RetriesExhausted, Code::TimedOut] {
            check(code, "failed");
        }
        for code in [
            Code::UnsupportedFormat,
            Code::CorruptImage,
            Code::ImageTooLarge,
            Code::EmptyFile,
            Code::SourceMissing,
            Code::InvalidRecipe,
        ] {
            check(code, "rejected");
        }
        check(Code::UploadExpired, "expired");
    }
}
