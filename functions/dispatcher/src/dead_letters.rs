//! What lies in the dead-letter queue, and what it says of the jobs.
//!
//! A message gets there when it was received as often as may be. Its job is over by then, unless whoever received it
//! last could not write that down; then that is made up for here. Only a redrive, by a person, takes such messages out
//! again, but for those whose jobs were completed by another message all the same.

use shared::aws::{Announcer, DeadLetter, DeadLetterQueue, JobTable, WorkQueue};
use shared::error::Failure;
use shared::job::{Job, Status, Transition};
use shared::message::WorkItem;
use shared::time::Timestamp;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Most messages looked at in one run; the rest is for later ones.
const MAX_LOOKED_AT: usize = 1000;

/// The dead-letter queue of the work queue, with what it takes to judge its messages.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    pub(crate) queue: WorkQueue,
    pub(crate) jobs: JobTable,
    pub(crate) announcer: Announcer,
    /// Looked up once; `None` if the work queue has none.
    pub(crate) dead: OnceCell<Option<DeadLetterQueue>>,
}

impl DeadLetters {
    async fn dead(&self) -> Result<Option<&DeadLetterQueue>, Failure> {
        Ok(self.dead.get_or_try_init(|| self.queue.dead_letter_queue()).await?.as_ref())
    }

    /// Looks through the queue and ends the jobs that its messages are evidence against. Answers how many.
    pub(crate) async fn run(&self, now: Timestamp, deadline: Instant) -> Result<usize, Failure> {
        let Some(dead) = self.dead().await? else { return Ok(0) };
        let (mut ended, mut kept) = (0, Vec::new());
        while kept.len() < MAX_LOOKED_AT && Instant::now() < deadline {
            let letters = dead.look().await?;
            if letters.is_empty() {
                break;
            }
            for letter in letters {
                match self.deal_with(dead, &letter, now).await {
                    Ok(Verdict::Settled) => continue,
                    Ok(Verdict::Ended) => ended += 1,
                    Ok(Verdict::Stays) => {}
                    Err(error) => tracing::warn!(%error, "a dead letter could not be dealt with for now"),
                }
                kept.push(letter);
            }
        }
        // Shown again at once: whoever wants to redrive them must not have to wait.
        dead.put_back(&kept).await?;
        Ok(ended)
    }

    /// Judges a letter, and removes it if it is of no more use.
    async fn deal_with(&self, dead: &DeadLetterQueue, letter: &DeadLetter, now: Timestamp) -> Result<Verdict, Failure> {
        let verdict = self.judge(letter, now).await?;
        if let Verdict::Settled = verdict {
            dead.remove(letter).await?;
        }
        Ok(verdict)
    }

    async fn judge(&self, letter: &DeadLetter, now: Timestamp) -> Result<Verdict, Failure> {
        let Some(item) = &letter.item else { return Ok(Verdict::Stays) };
        let exhaust = |job: &mut Job| {
            if item.is_about(job) { job.exhaust(&letter.delivery, now) } else { Transition::Unchanged }
        };
        let Some(job) = self.jobs.get(item.job_id, now).await? else { return Ok(Verdict::Stays) };
        let seen = job.revision;
        let job = self.jobs.update_from(job, now, exhaust).await?;
        if job.status() == Status::Completed && item.is_about(&job) {
            tracing::info!(job.id = %job.job_id, "a dead letter of a job that was completed all the same: removed");
            return Ok(Verdict::Settled);
        }
        if job.revision == seen || !job.is_final() {
            return Ok(Verdict::Stays);
        }
        tracing::error!(job.id = %job.job_id, "the job's message is a dead letter: no attempt left");
        self.announcer.announce(job, now).await?;
        Ok(Verdict::Ended)
    }

    /// Puts a work item of a job that was given up into the queue, by which it can be redriven.
    pub(crate) async fn lay_down(&self, job: &Job) -> Result<(), Failure> {
        let (Some(dead), Some(work_id)) = (self.dead().await?, &job.work_id) else { return Ok(()) };
        dead.send(&WorkItem::of(job), work_id).await
    }
}

/// What a dead letter says of its job.
enum Verdict {
    /// The job is over as it should be, or the message is about none: it stays for a person to look at.
    Stays,
    /// The job was not over, and is now.
    Ended,
    /// The job was completed: there is nothing to redrive.
    Settled,
}
