//! Mending what got lost, so that every job ends: the jobs that are due, each taken one step further. What lies in the
//! dead-letter queue is looked through by [`crate::dead_letters`].
//!
//! Harmless when two run at once: every step is one conditional write on the job's row, and a work item or a notice
//! that is sent twice counts once.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use shared::aws::{Announcer, Bucket};
use shared::error::{Code, Failure};
use shared::job::{Job, JobId, State, Transition};
use shared::time::Timestamp;
use tokio::time::Instant;

use crate::dead_letters::DeadLetters;
use crate::dispatch::Dispatch;

/// How many due jobs of each shard are looked at in one round.
const ROUND: usize = 50;

/// How many jobs are mended at once.
const CONCURRENCY: usize = 16;

/// For how long an object that came may be due before something counts as lost: its event is handled meanwhile.
const UNDER_WAY: Duration = Duration::from_mins(1);

/// What a look at a job came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing.
    Unmoved,
    /// Its row changed, as it was to.
    Moved,
    /// Something was lost, and is made up for.
    Mended,
}

/// Mends jobs.
#[derive(Debug)]
pub(crate) struct Reconcile {
    pub(crate) dispatch: std::sync::Arc<Dispatch>,
    pub(crate) uploads: Bucket,
    pub(crate) announcer: Announcer,
    pub(crate) dead_letters: std::sync::Arc<DeadLetters>,
}

impl Reconcile {
    /// Looks at every job that is due, until none is left or `deadline` comes. Answers how many were mended: an upload that
    /// never came is none of these.
    ///
    /// A job that cannot be mended now is logged and looked at again later, after the others.
    pub(crate) async fn run(&self, now: Timestamp, deadline: Instant) -> Result<usize, Failure> {
        let mut mended = 0;
        loop {
            let due = self.dispatch.jobs.due(now, ROUND).await?;
            let steps = stream::iter(due).map(|id| self.step(id, now));
            let steps: Vec<Step> = steps.buffer_unordered(CONCURRENCY).collect().await;
            mended += steps.iter().filter(|step| **step == Step::Mended).count();
            // No progress: what the index still shows is due no more, or the table itself does not answer.
            if steps.iter().all(|step| *step == Step::Unmoved) || Instant::now() >= deadline {
                return Ok(mended);
            }
        }
    }

    /// Takes one job a step further.
    async fn step(&self, id: JobId, now: Timestamp) -> Step {
        match self.try_step(id, now).await {
            Ok(step) => step,
            Err(error) => {
                tracing::warn!(job.id = %id, %error, "the job could not be mended for now");
                // Left where it is, it would stand in the way of all that are due after it.
                let later = self.dispatch.jobs.update(id, now, |job| job.look_again_later(now)).await;
                if later.is_ok_and(|job| job.is_some()) { Step::Moved } else { Step::Unmoved }
            }
        }
    }

    async fn try_step(&self, id: JobId, now: Timestamp) -> Result<Step, Failure> {
        let jobs = &self.dispatch.jobs;
        let Some(job) = jobs.get(id, now).await? else { return Ok(Step::Unmoved) };
        // The index may lag behind the row.
        let Some(due_at) = job.due_at.filter(|due_at| *due_at <= now) else { return Ok(Step::Unmoved) };
        match job.state {
            State::Pending if job.object.is_none() => return self.look_for_upload(job, now).await,
            State::Pending => {
                self.dispatch.queue(vec![job], now).await?;
                if now.since(due_at) < UNDER_WAY {
                    return Ok(Step::Moved);
                }
            }
            State::Processing { .. } => {
                let work_id = self.dispatch.ambient.uuid().to_string();
                let job = jobs.update_from(job, now, |job| job.time_out(&work_id, now)).await?;
                if job.is_final() {
                    self.announce(job, now).await?;
                } else {
                    tracing::warn!(job.id = %id, "nobody is at the job any more: queued again");
                    self.dispatch.queue(vec![job], now).await?;
                }
            }
            State::Completed(_) | State::Failed { .. } => self.announce(job, now).await?,
        }
        Ok(Step::Mended)
    }

    /// Announces a final job. One whose workers vanished leaves evidence first, by which it can be redriven.
    async fn announce(&self, job: Job, now: Timestamp) -> Result<(), Failure> {
        if let State::Failed { error_code: Code::TimedOut, .. } = job.state {
            tracing::error!(job.id = %job.job_id, "the job's workers vanished, every time: timed out");
            self.dead_letters.lay_down(&job).await?;
        }
        self.announcer.announce(job, now).await
    }

    /// The URL expired and no event told of an upload: either the event was lost, or nobody uploaded.
    async fn look_for_upload(&self, job: Job, now: Timestamp) -> Result<Step, Failure> {
        let (id, seen) = (job.job_id, job.revision);
        let jobs = &self.dispatch.jobs;
        let job = match self.uploads.head(&job.s3_key).await? {
            Some(object) => {
                let arrive = |job: &mut Job| match job.object {
                    // Its event came after all, and knows more.
                    Some(_) => Transition::Unchanged,
                    None => job.arrive(object.clone(), now),
                };
                let job = jobs.update_from(job, now, arrive).await?;
                if matches!(job.state, State::Pending) {
                    tracing::warn!(job.id = %id, "an upload whose event was lost: queued");
                    self.dispatch.queue(vec![job], now).await?;
                    return Ok(Step::Mended);
                }
                job
            }
            None => jobs.update_from(job, now, |job| job.upload_is_missing(now)).await?,
        };
        let moved = job.revision != seen;
        if job.is_final() {
            tracing::info!(job.id = %id, "nothing was uploaded: expired");
            self.announce(job, now).await?;
        }
        Ok(if moved { Step::Moved } else { Step::Unmoved })
    }
}
