//! The moves of a job. Each one either applies or leaves the job as it was.

use std::time::Duration;

use super::{
    ANNOUNCE_AFTER, Completed, Job, JobId, LEASE_GRACE, LOOK_AGAIN_AFTER, MAX_ATTEMPTS, ObjectVersion, REQUEUE_AFTER,
    RETRY_GRACE, State, Status, UPLOAD_GRACE,
};
use crate::error::Code;
use crate::time::Timestamp;

/// What a move did.
///
/// S3 and SQS both deliver twice, so hearing old news again is [`Transition::Unchanged`], never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Transition {
    /// The job moved and has to be written.
    Changed,
    /// The move does not apply, or has happened already.
    Unchanged,
}

/// A claim on a job: proof that its holder may finish it, as long as nobody has claimed it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Unique to one claim.
    pub owner: String,
    /// The fencing token: grows with every claim of the job.
    pub attempt: u32,
    /// The object's version that the claim is for.
    pub object: Option<ObjectVersion>,
    /// The work item that the claim was made with.
    pub work_id: Option<String>,
}

/// Which end of a job: one that is redriven comes to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// COMPLETED or FAILED.
    pub status: Status,
    /// Claims up to then.
    pub attempts: u32,
    /// Those of them that were made before the job was last redriven or begun again.
    pub earlier_attempts: u32,
}

/// What a message about a job tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The id of its work item, which every copy of the message carries; `None` if somebody sent it by hand.
    pub work_id: Option<String>,
    /// When it was put into the queue. A redrive puts it there anew.
    pub sent_at: Timestamp,
}

impl Delivery {
    /// Of a message with this work id and this `SentTimestamp`, which SQS gives in milliseconds since 1970. Without the
    /// latter a message counts as the oldest of all.
    pub fn of_message(work_id: Option<&str>, sent_timestamp: Option<&str>) -> Self {
        let sent_at: Option<i64> = sent_timestamp.and_then(|sent_at| sent_at.parse().ok());
        Self {
            work_id: work_id.map(str::to_owned),
            sent_at: Timestamp::from_micros(sent_at.unwrap_or_default().saturating_mul(1000)),
        }
    }

    /// How long ago the message was put into the queue, earlier receives included; `None` if it does not say when.
    pub fn waited(&self, now: Timestamp) -> Option<Duration> {
        (self.sent_at > Timestamp::from_micros(0)).then(|| now.since(self.sent_at))
    }
}

impl Job {
    /// A job that waits for its upload until `upload_expires_at`.
    pub fn awaiting_upload(id: JobId, bucket: &str, key: &str, upload_expires_at: Timestamp, now: Timestamp) -> Self {
        let mut job = Self::new(id, bucket, key, now);
        job.upload_expires_at = Some(upload_expires_at);
        job.due_at = Some(upload_expires_at);
        job
    }

    /// The job of an object that came without an upload slot.
    pub fn of_object(id: JobId, bucket: &str, key: &str, object: ObjectVersion, now: Timestamp) -> Self {
        let mut job = Self::new(id, bucket, key, now);
        job.object = Some(object);
        // Due at once: should the dispatcher die before it has queued the job, the next reconcile queues it.
        job.due_at = Some(now);
        job
    }

    fn new(id: JobId, bucket: &str, key: &str, now: Timestamp) -> Self {
        Self {
            job_id: id,
            state: State::Pending,
            created_at: now,
            updated_at: now,
            owner: None,
            bucket: bucket.to_owned(),
            s3_key: key.to_owned(),
            filename: None,
            metadata: std::collections::BTreeMap::new(),
            recipe: None,
            callback_url: None,
            upload_expires_at: None,
            object: None,
            attempts: 0,
            earlier_attempts: 0,
            redriven_at: None,
            work_id: None,
            due_at: None,
            announced_at: None,
            expires_at: i64::MAX,
            revision: 0,
        }
    }

    /// The object is there. Old news, by its sequencer, changes nothing. While a worker is at the job, news makes what it
    /// is working on outdated: it cannot finish the job any more, and the next attempt takes the newer version.
    pub fn arrive(&mut self, object: ObjectVersion, now: Timestamp) -> Transition {
        if self.is_final() {
            return Transition::Unchanged;
        }
        match &mut self.object {
            // S3 told of it before its event did, which knows the order.
            Some(known) if known.version() == object.version() => {
                if object.sequencer.is_none() || known.sequencer.is_some() && !object.is_newer_than(known) {
                    return Transition::Unchanged;
                }
                known.sequencer = object.sequencer;
                return self.moved(now);
            }
            Some(known) if !object.is_newer_than(known) => return Transition::Unchanged,
            Some(known) => {
                // Whatever its own place in the order is, it comes after the one that it replaces.
                let sequencer = object.sequencer.or_else(|| known.sequencer.take());
                *known = ObjectVersion { sequencer, ..object };
            }
            None => self.object = Some(object),
        }
        if self.state == State::Pending {
            self.due_at = Some(now);
        }
        self.moved(now)
    }

    /// The work item `work_id` for this job is in the queue, and nobody is at it.
    pub fn queued(&mut self, work_id: &str, now: Timestamp) -> Transition {
        let waits = match self.state {
            State::Pending => true,
            State::Processing { lease_until, .. } => lease_until <= now,
            State::Completed(_) | State::Failed { .. } => false,
        };
        if !waits {
            return Transition::Unchanged;
        }
        self.work_id = Some(work_id.to_owned());
        self.due_at = Some(now + REQUEUE_AFTER);
        self.moved(now)
    }

    /// Takes the job for `owner`, who holds the message `delivery`, until `until`, unless somebody else holds it or it is
    /// over.
    ///
    /// A redriven job is for the message that redrove it, and for later ones: a worker that stood still with an earlier
    /// one would end the job without leaving anything to redrive it by again.
    ///
    /// Look at [`Job::lease_of`] afterwards to see who has it: a claim whose answer was lost is found granted.
    pub fn claim(&mut self, owner: &str, delivery: &Delivery, until: Timestamp, now: Timestamp) -> Transition {
        let free = match &self.state {
            State::Pending => true,
            State::Processing { lease_owner, lease_until } => *lease_until <= now && lease_owner != owner,
            State::Completed(_) | State::Failed { .. } => false,
        };
        if !free || self.is_late_copy(delivery) {
            return Transition::Unchanged;
        }
        self.attempts += 1;
        self.work_id.clone_from(&delivery.work_id);
        self.state = State::Processing { lease_owner: owner.to_owned(), lease_until: until };
        self.due_at = Some(until + LEASE_GRACE);
        self.moved(now)
    }

    /// Whether the message was sent before the one that redrove the job.
    fn is_late_copy(&self, delivery: &Delivery) -> bool {
        self.redriven_at.is_some_and(|redriven_at| delivery.sent_at < redriven_at)
    }

    /// The lease that `owner` holds on the job, if it does.
    pub fn lease_of(&self, owner: &str) -> Option<Lease> {
        match &self.state {
            State::Processing { lease_owner, .. } if lease_owner == owner => Some(Lease {
                owner: owner.to_owned(),
                attempt: self.attempts,
                object: self.object.clone(),
                work_id: self.work_id.clone(),
            }),
            _ => None,
        }
    }

    /// Whether nobody has claimed the job since `lease` was given.
    pub fn is_held_by(&self, lease: &Lease) -> bool {
        self.lease_of(&lease.owner).is_some_and(|current| current.attempt == lease.attempt)
    }

    /// Whether as many attempts were made as may be.
    pub fn is_spent(&self) -> bool {
        self.attempts.saturating_sub(self.earlier_attempts) >= MAX_ATTEMPTS
    }

    /// Whether what `lease` is for is still the newest version of the object.
    pub fn is_current(&self, lease: &Lease) -> bool {
        let version = |object: &Option<ObjectVersion>| object.as_ref().map(|object| object.version().to_owned());
        version(&self.object) == version(&lease.object)
    }

    /// Ends the job with its result. Needs the lease, and that no newer version of the object came since.
    pub fn complete(&mut self, lease: &Lease, completed: Completed, now: Timestamp) -> Transition {
        if !self.is_held_by(lease) || !self.is_current(lease) {
            return Transition::Unchanged;
        }
        self.finish(State::Completed(Box::new(completed)), now)
    }

    /// Ends the job without a result. Needs the lease, and that no newer version of the object came since.
    pub fn fail(&mut self, lease: &Lease, code: Code, message: &str, now: Timestamp) -> Transition {
        if !self.is_held_by(lease) || !self.is_current(lease) {
            return Transition::Unchanged;
        }
        // Reconcile may have queued the job anew, for a lease that was over. What goes to the dead-letter queue, and can
        // redrive the job, is the message in hand.
        self.work_id.clone_from(&lease.work_id);
        self.finish(failed(code, message), now)
    }

    /// Ends the lease early, for another attempt that is expected within `retry_in`. Needs the lease.
    ///
    /// The job stays PROCESSING, as it does when a lease runs out: whoever claims next takes it from there.
    pub fn release(&mut self, lease: &Lease, retry_in: Duration, now: Timestamp) -> Transition {
        self.let_go(lease, now + retry_in + RETRY_GRACE, now)
    }

    /// Ends the lease early, for a new work item, `work_id`, that is to be sent `within` that time. Needs the lease.
    ///
    /// This attempt no longer counts, since the photo had not its turn; nor do those before it, if a newer version of the
    /// photo came.
    pub fn begin_again(&mut self, lease: &Lease, work_id: &str, within: Duration, now: Timestamp) -> Transition {
        if self.work_id.as_deref() == Some(work_id) {
            return Transition::Unchanged;
        }
        let is_current = self.is_current(lease);
        let moved = self.let_go(lease, now + within + REQUEUE_AFTER, now);
        if moved == Transition::Changed {
            self.earlier_attempts = if is_current { self.earlier_attempts + 1 } else { self.attempts };
            self.work_id = Some(work_id.to_owned());
        }
        moved
    }

    fn let_go(&mut self, lease: &Lease, due_at: Timestamp, now: Timestamp) -> Transition {
        if !self.is_held_by(lease) {
            return Transition::Unchanged;
        }
        self.state = State::Processing { lease_owner: lease.owner.clone(), lease_until: now };
        self.due_at = Some(due_at);
        self.moved(now)
    }

    /// Gives up on a job whose last worker vanished: the lease is long gone and no attempt is left. `work_id` is the
    /// work item by which it can be redriven.
    pub fn time_out(&mut self, work_id: &str, now: Timestamp) -> Transition {
        if !(self.is_spent() && matches!(self.state, State::Processing { .. }) && self.is_abandoned(now)) {
            return Transition::Unchanged;
        }
        self.work_id = Some(work_id.to_owned());
        self.finish(failed(Code::TimedOut, "Processing took too long, several times."), now)
    }

    /// Gives up on a job whose newest work item lies in the dead-letter queue, as `letter`, while nobody is at the job:
    /// whoever received it last could not write down that it was the last time.
    ///
    /// A letter that was redriven since somebody looked at it says nothing any more.
    pub fn exhaust(&mut self, letter: &Delivery, now: Timestamp) -> Transition {
        let is_newest = self.work_id == letter.work_id && !self.is_late_copy(letter);
        if self.is_final() || !is_newest || !self.is_abandoned(now) {
            return Transition::Unchanged;
        }
        self.finish(failed(Code::RetriesExhausted, "Gave up after several attempts."), now)
    }

    /// Whether nobody is at the job, and nobody can still believe to be.
    fn is_abandoned(&self, now: Timestamp) -> bool {
        match self.state {
            State::Processing { lease_until, .. } => lease_until + LEASE_GRACE <= now,
            _ => true,
        }
    }

    /// Starts a job anew that ran out of attempts or time, since somebody put its message back from the dead-letter
    /// queue.
    ///
    /// That takes the very work item that the job failed with, sent anew since. A late copy was sent before; what
    /// reconcile sent while the job failed is another work item. One without an id was sent by hand.
    pub fn redrive(&mut self, delivery: &Delivery, now: Timestamp) -> Transition {
        let may_go_on = matches!(self.state, State::Failed { error_code: Code::RetriesExhausted | Code::TimedOut, .. });
        let is_its_own = delivery.work_id.is_none() || delivery.work_id == self.work_id;
        if !(may_go_on && is_its_own && delivery.sent_at > self.updated_at) {
            return Transition::Unchanged;
        }
        self.state = State::Pending;
        self.earlier_attempts = self.attempts;
        self.redriven_at = Some(delivery.sent_at);
        self.announced_at = None;
        self.due_at = Some(now + REQUEUE_AFTER);
        self.moved(now)
    }

    /// Nothing has arrived under the job's key: waits on, or gives up an hour after the URL expired.
    pub fn upload_is_missing(&mut self, now: Timestamp) -> Transition {
        if self.state != State::Pending || self.object.is_some() {
            return Transition::Unchanged;
        }
        let last_chance = self.upload_expires_at.unwrap_or(self.created_at) + UPLOAD_GRACE;
        if now >= last_chance {
            return self.finish(failed(Code::UploadExpired, "Nothing was uploaded before the URL expired."), now);
        }
        if self.due_at == Some(last_chance) {
            return Transition::Unchanged;
        }
        self.due_at = Some(last_chance);
        self.moved(now)
    }

    /// Which end the job has come to, if it has.
    pub fn end(&self) -> Option<End> {
        let Self { attempts, earlier_attempts, .. } = *self;
        self.is_final().then(|| End { status: self.status(), attempts, earlier_attempts })
    }

    /// The end `end` was announced. If that is where the job still stands, nothing is left to do.
    pub fn announced(&mut self, end: End, now: Timestamp) -> Transition {
        if self.end() != Some(end) || self.announced_at.is_some() {
            return Transition::Unchanged;
        }
        self.announced_at = Some(now);
        self.due_at = None;
        // Not a move: what a client sees of the job stays the same, `updatedAt` included.
        Transition::Changed
    }

    /// Reconcile could not take the job a step further: the next look waits, so that others get theirs.
    pub fn look_again_later(&mut self, now: Timestamp) -> Transition {
        match self.due_at {
            Some(due_at) if due_at <= now => {
                self.due_at = Some(now + LOOK_AGAIN_AFTER);
                // Not a move, either.
                Transition::Changed
            }
            _ => Transition::Unchanged,
        }
    }

    /// Keeps fresh download URLs, one per derivative, that hold until `expires_at`.
    pub fn keep_urls(&mut self, urls: &[String], expires_at: Timestamp) -> Transition {
        match &mut self.state {
            State::Completed(completed) => {
                for (derivative, url) in completed.derivatives.iter_mut().zip(urls) {
                    derivative.url = Some(url.clone());
                }
                completed.download_url_expires_at = Some(expires_at);
                Transition::Changed
            }
            _ => Transition::Unchanged,
        }
    }

    fn finish(&mut self, state: State, now: Timestamp) -> Transition {
        self.state = state;
        self.due_at = Some(now + ANNOUNCE_AFTER);
        self.moved(now)
    }

    fn moved(&mut self, now: Timestamp) -> Transition {
        // Clocks of two machines may disagree; a job's time still never runs backwards.
        self.updated_at = self.updated_at.max(now);
        Transition::Changed
    }
}

fn failed(code: Code, message: &str) -> State {
    State::Failed { error_code: code, error_message: message.to_owned() }
}
