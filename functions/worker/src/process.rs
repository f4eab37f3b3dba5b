//! One job, from its message to its end: claim, work, write down what came of it, announce.
//!
//! What happens to the photo itself is in [`crate::pipeline`].

use std::ops::Range;
use std::time::Duration;

use shared::ambient::Ambient;
use shared::aws::{Announcer, JobTable, WorkQueue};
use shared::error::{Code, Failure};
use shared::job::{Completed, Delivery, Job, Lease, MAX_ATTEMPTS, Transition};
use shared::message::WorkItem;
use shared::time::Timestamp;

use crate::pipeline::{Interruption, Pipeline};

/// First pause before a job is tried again; each further one is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// What a person is told of a failure of ours.
pub(crate) const OUR_FAULT: &str = "Something went wrong on our side.";

/// Time kept at an invocation's end to write down what came of a job.
const CONCLUDING: Duration = Duration::from_secs(3);

/// Least time to start a job with; less would only cost it an attempt.
const LEAST_TIME: Duration = Duration::from_secs(5);

/// How many seconds a large photo stays away whose turn has not come. Which of them is left to chance: photos that all
/// came back at once would find the same two places again, and leave them empty in between.
const BUSY_PAUSE: Range<u64> = 5..15;

/// What a message's handling came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Delete the message: the job is over, or somebody else has it.
    Done,
    /// Give the message back, to come again after a pause.
    Retry {
        /// The pause.
        after: Duration,
    },
    /// No receive of this message will ever help.
    Poison(&'static str),
}

/// Processes jobs.
#[derive(Debug)]
pub(crate) struct Processor {
    pub(crate) ambient: Ambient,
    pub(crate) job_ttl: Duration,
    pub(crate) jobs: JobTable,
    pub(crate) queue: WorkQueue,
    pub(crate) announcer: Announcer,
    pub(crate) pipeline: Pipeline,
}

impl Processor {
    /// Processes the job of `item`. The lease lasts as long as this invocation may, `deadline`: after that nobody is
    /// left to hold it.
    pub(crate) async fn process(
        &self,
        item: &WorkItem,
        delivery: &Delivery,
        receive_count: u32,
        deadline: Timestamp,
    ) -> Outcome {
        let slot = self.pipeline.capacity.slot().await;
        let owner = self.ambient.uuid().to_string();
        let now = self.ambient.now();
        let Some(time) = time_to_work(deadline, now) else {
            tracing::warn!(job.id = %item.job_id, "too late in this invocation to start the job");
            return Outcome::Retry { after: Duration::ZERO };
        };
        let job = match self.claim(item, &owner, delivery, deadline, now).await {
            Ok(Some(job)) if item.is_about(&job) => job,
            Ok(Some(_)) => return Outcome::Poison("a message that names another object than its job"),
            Ok(None) => return Outcome::Poison("a message of a job that does not exist"),
            Err(error) => {
                tracing::warn!(job.id = %item.job_id, %error, "the job could not be claimed for now");
                return Outcome::Retry { after: retry_pause(receive_count) };
            }
        };
        let Some(lease) = job.lease_of(&owner) else {
            // OK to acknowledge: the job is over, or whoever holds it will finish it, and should they vanish,
            // reconcile queues it again.
            tracing::info!(job.id = %job.job_id, status = job.status().as_str(), "nothing to do for this message");
            return Outcome::Done;
        };
        let work = self.pipeline.run(&job, item, delivery.waited(now), slot);
        let outcome = tokio::time::timeout(time, work).await;
        let outcome =
            outcome.unwrap_or_else(|elapsed| Err(Failure::transient("the photo took too long", elapsed).into()));
        self.conclude(job, &lease, outcome, receive_count, now).await
    }

    /// Takes the item's job for `owner`, if it is free. A job that the message redrives is started anew first.
    async fn claim(
        &self,
        item: &WorkItem,
        owner: &str,
        delivery: &Delivery,
        deadline: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Job>, Failure> {
        let redrive = |job: &mut Job| {
            if item.is_about(job) { job.redrive(delivery, now) } else { Transition::Unchanged }
        };
        let Some(job) = self.jobs.update(item.job_id, now, redrive).await? else { return Ok(None) };
        let claim = |job: &mut Job| {
            if item.is_about(job) { job.claim(owner, delivery, deadline, now) } else { Transition::Unchanged }
        };
        self.jobs.update_from(job, now, claim).await.map(Some)
    }

    /// Writes down what came of a job and says what becomes of its message.
    async fn conclude(
        &self,
        job: Job,
        lease: &Lease,
        outcome: Result<Completed, Interruption>,
        receive_count: u32,
        started_at: Timestamp,
    ) -> Outcome {
        let (id, now) = (job.job_id, self.ambient.now());
        let (attempt, after_ms) = (lease.attempt, now.since(started_at).as_millis() as u64);
        let failure = match outcome {
            Ok(completed) => {
                let written = self.jobs.update_from(job, now, |job| job.complete(lease, completed.clone(), now)).await;
                return self.finish(written, lease, receive_count, now).await;
            }
            Err(Interruption::Replaced(version)) => {
                let written = self.jobs.update_from(job, now, |job| job.arrive(version.clone(), now)).await;
                return self.finish(written, lease, receive_count, now).await;
            }
            // Should it have failed as often as may be, it gets no further message for nothing.
            Err(Interruption::Busy) if job.is_spent() => {
                tracing::info!(job.id = %id, attempt, after_ms, put_back = 1, "other large photos come first: job put back");
                return self.put_back(job, lease, retry_pause(receive_count), now).await;
            }
            Err(Interruption::Busy) => {
                tracing::info!(job.id = %id, attempt, after_ms, "other large photos come first: job queued anew");
                let Range { start, end } = BUSY_PAUSE;
                let pause = start + self.ambient.uuid().as_u128() as u64 % (end - start);
                return self.queue_anew(job, lease, Duration::from_secs(pause), receive_count, now).await;
            }
            Err(Interruption::Failed(failure)) => failure,
        };
        let (code, message) = match &failure {
            Failure::Client { code, message } => {
                tracing::info!(job.id = %id, %code, attempt, after_ms, "job failed");
                (*code, message.clone())
            }
            Failure::Permanent(_) => {
                tracing::error!(job.id = %id, error = %failure, attempt, after_ms, "job failed");
                (Code::Internal, OUR_FAULT.to_owned())
            }
            Failure::Transient { .. } if receive_count < MAX_ATTEMPTS => {
                tracing::warn!(job.id = %id, error = %failure, attempt, after_ms, put_back = 1, "job put back");
                return self.put_back(job, lease, retry_pause(receive_count), now).await;
            }
            Failure::Transient { cause, .. } => {
                tracing::error!(job.id = %id, error = %failure, attempt, after_ms, "job failed: no attempt left");
                (Code::RetriesExhausted, format!("Gave up after {receive_count} attempts: {cause}."))
            }
        };
        let written = self.jobs.update_from(job, now, |job| job.fail(lease, code, &message, now)).await;
        let has_ended = written.as_ref().is_ok_and(|job| job.is_final() && job.work_id == lease.work_id);
        let outcome = self.finish(written, lease, receive_count, now).await;
        match failure {
            // Given back on its last receive, the message goes to the dead-letter queue, as evidence.
            Failure::Transient { .. } if has_ended => Outcome::Retry { after: Duration::ZERO },
            _ => outcome,
        }
    }

    /// Announces a job whose end was written; gives the message back if it could not be.
    async fn finish(
        &self,
        written: Result<Job, Failure>,
        lease: &Lease,
        receive_count: u32,
        now: Timestamp,
    ) -> Outcome {
        let job = match written {
            Ok(job) => job,
            Err(error) => {
                tracing::warn!(%error, attempt = lease.attempt, "the end of a job could not be written for now");
                return Outcome::Retry { after: retry_pause(receive_count) };
            }
        };
        let id = job.job_id;
        if job.is_held_by(lease) && job.is_current(lease) {
            let attempt = lease.attempt;
            tracing::warn!(job.id = %id, attempt, put_back = 1, "a photo that was replaced by itself: job put back");
            return self.put_back(job, lease, retry_pause(receive_count), now).await;
        }
        if job.is_held_by(lease) {
            tracing::info!(job.id = %id, attempt = lease.attempt, "a newer version of the photo came: job queued anew");
            return self.queue_anew(job, lease, Duration::ZERO, receive_count, now).await;
        }
        if !job.is_final() || job.attempts != lease.attempt || job.is_timed_out() {
            tracing::warn!(job.id = %id, attempt = lease.attempt, "somebody else has taken the job: result dropped");
            return Outcome::Done;
        }
        if let Err(error) = self.announcer.announce(job, now).await {
            // OK to acknowledge: the row says that the job is not announced, and reconcile will.
            tracing::warn!(job.id = %id, %error, "the job's end could not be announced for now");
        }
        Outcome::Done
    }

    /// Ends the lease early and sends a new work item in the message's place. However often that was received, the new one
    /// has all its receives before it.
    async fn queue_anew(
        &self,
        job: Job,
        lease: &Lease,
        delay: Duration,
        receive_count: u32,
        now: Timestamp,
    ) -> Outcome {
        let (id, work_id) = (job.job_id, self.ambient.uuid().to_string());
        match self.try_queue_anew(job, lease, work_id, delay, now).await {
            Ok(()) => Outcome::Done,
            Err(error) => {
                tracing::warn!(job.id = %id, %error, "the job could not be queued anew: message put back");
                Outcome::Retry { after: retry_pause(receive_count) }
            }
        }
    }

    /// As [`Self::queue_anew`] by a work item of that id, or says why not. Who tries again names the same one.
    pub(crate) async fn try_queue_anew(
        &self,
        job: Job,
        lease: &Lease,
        work_id: String,
        delay: Duration,
        now: Timestamp,
    ) -> Result<(), Failure> {
        // Noted first: sent while the lease lasts, it would find the job taken. Should it not be sent, reconcile will.
        let job = self.jobs.update_from(job, now, |job| job.begin_again(lease, &work_id, delay, now)).await?;
        if job.work_id.as_ref() != Some(&work_id) {
            tracing::warn!(job.id = %job.job_id, attempt = lease.attempt, "somebody else has taken the job meanwhile");
            return Ok(());
        }
        self.queue.send(&[(WorkItem::of(&job), work_id)], delay).await.into_iter().collect()
    }

    /// Ends the lease early and gives the message back.
    async fn put_back(&self, job: Job, lease: &Lease, after: Duration, now: Timestamp) -> Outcome {
        let id = job.job_id;
        if let Err(error) = self.jobs.update_from(job, now, |job| job.release(lease, after, now)).await {
            // OK to go on: the lease runs out, and reconcile queues the job again.
            tracing::warn!(job.id = %id, %error, "the job's lease could not be released");
        }
        Outcome::Retry { after }
    }
}

/// How long an invocation that ends at `deadline` may work; `None` if it is too late to begin. Some of what is left is for
/// writing down what came of the work: a batch whose invocation is cut off comes again as a whole.
pub(crate) fn time_to_work(deadline: Timestamp, now: Timestamp) -> Option<Duration> {
    Some(deadline.since(now).saturating_sub(CONCLUDING)).filter(|time| *time >= LEAST_TIME)
}

/// How long to wait after the `receive_count`-th receive: 5 s, 10 s, 20 s …
fn retry_pause(receive_count: u32) -> Duration {
    FIRST_RETRY * 2u32.saturating_pow(receive_count.clamp(1, 8) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow() {
        let pauses: Vec<u64> = (0..6).map(|count| retry_pause(count).as_secs()).collect();
        assert_eq!(pauses, [5, 5, 10, 20, 40, 80]);
    }
}
