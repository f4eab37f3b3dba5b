//! Mending what got lost, so that every job ends: the jobs that are due, each taken one step further. What lies in the
//! dead-letter queue is looked through by [`crate::dead_letters`].
//!
//! Harmless when two run at once: every step is one conditional write on the job's row, and a work item or a notice
//! that is sent twice counts once.

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

/// Mends jobs.
#[derive(Debug)]
pub(crate) struct Reconcile {
    pub(crate) dispatch: std::sync::Arc<Dispatch>,
    pub(crate) uploads: Bucket,
    pub(crate) announcer: Announcer,
    pub(crate) dead_letters: std::sync::Arc<DeadLetters>,
}

impl Reconcile {
    /// Looks at every job that is due, until none is left or `deadline` comes. Answers how many were mended.
    ///
    /// A job that cannot be mended now is logged and looked at again later, after the others.
    pub(crate) async fn run(&self, now: Timestamp, deadline: Instant) -> Result<usize, Failure> {
        let mut mended = 0;
        loop {
            let due = self.dispatch.jobs.due(now, ROUND).await?;
            let steps = stream::iter(due).map(|id| self.step(id, now));
            let steps: Vec<bool> = steps.buffer_unordered(CONCURRENCY).collect().await;
            let progress = steps.into_iter().filter(|moved| *moved).count();
            mended += progress;
            // No progress: what the index still shows is due no more, or the table itself does not answer.
            if progress == 0 || Instant::now() >= deadline {
                return Ok(mended);
            }
        }
    }

    /// Takes one job a step further; whether its row changed.
    async fn step(&self, id: JobId, now: Timestamp) -> bool {
        match self.try_step(id, now).await {
            Ok(moved) => moved,
            Err(error) => {
                tracing::warn!(job.id = %id, %error, "the job could not be mended for now");
                // Left where it is, it would stand in the way of all that are due after it.
                let later = self.dispatch.jobs.update(id, now, |job| job.look_again_later(now)).await;
                later.is_ok_and(|job| job.is_some())
            }
        }
    }

    async fn try_step(&self, id: JobId, now: Timestamp) -> Result<bool, Failure> {
        let jobs = &self.dispatch.jobs;
        // The index may lag behind the row.
        let Some(job) = jobs.get(id, now).await?.filter(|job| job.due_at.is_some_and(|due_at| due_at <= now)) else {
            return Ok(false);
        };
        match job.state {
            State::Pending if job.object.is_none() => self.look_for_upload(job, now).await,
            State::Pending => self.dispatch.queue(vec![job], now).await.map(|_| true),
            State::Processing { .. } => {
                let work_id = self.dispatch.ambient.uuid().to_string();
                let job = jobs.update_from(job, now, |job| job.time_out(&work_id, now)).await?;
                if job.is_final() {
                    return self.announce(job, now).await.map(|()| true);
                }
                tracing::warn!(job.id = %id, "nobody is at the job any more: queued again");
                self.dispatch.queue(vec![job], now).await.map(|_| true)
            }
            State::Completed(_) | State::Failed { .. } => self.announce(job, now).await.map(|()| true),
        }
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
    async fn look_for_upload(&self, job: Job, now: Timestamp) -> Result<bool, Failure> {
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
                    return self.dispatch.queue(vec![job], now).await.map(|_| true);
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
        Ok(moved)
    }
}
