//! Real jobs, kept once each and named by number, so that a state of the model is small and quick to compare.
//!
//! Every change of a job is a call of `shared::job`; what a call made of a job is remembered. Times are told from the
//! model's present, which never moves: time passes by shifting a job's times into the past. Times that can make no
//! difference any more are made equal, so that the states stay finite.

use std::collections::HashMap;

use shared::error::Code;
use shared::format::Format;
use shared::job::{
    Classification, Completed, Delivery, End, Job, JobId, LEASE_GRACE, Lease, ObjectVersion, Source, State, Status,
    Transition,
};
use shared::time::Timestamp;

use crate::mutant::Mutant;

/// The model's present, in seconds since 1970.
const PRESENT: i64 = 1_790_000_000;

/// When everything happened whose time no longer matters.
const LONG_AGO: i16 = -30_000;

/// Number of a job in [`Jobs`].
pub(crate) type JobRef = u32;

/// A claim, as its holder remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub(crate) owner: u8,
    pub(crate) attempt: u8,
    pub(crate) version: Option<u8>,
    pub(crate) work: u8,
}

/// An end of the job, as whoever announced it remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Told {
    /// Its place in [`Status::ALL`].
    status: u8,
    attempts: u8,
    earlier_attempts: u8,
}

/// A call of one of a job's moves. Times are seconds from the present; ids are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    Arrive {
        version: u8,
        sequenced: bool,
        now: i16,
    },
    Queued {
        work: u8,
        now: i16,
    },
    /// `redrives`: how often a person had redriven dead letters when the message was sent.
    Claim {
        owner: u8,
        work: u8,
        redrives: u8,
        until: i16,
        now: i16,
    },
    Complete {
        claim: Claim,
        version: u8,
        now: i16,
    },
    Fail {
        claim: Claim,
        code: Code,
        now: i16,
    },
    Release {
        claim: Claim,
        now: i16,
    },
    BeginAgain {
        claim: Claim,
        work: u8,
        now: i16,
    },
    TimeOut {
        work: u8,
        now: i16,
    },
    /// `redrives` as in a claim.
    Exhaust {
        work: u8,
        redrives: u8,
        now: i16,
    },
    /// `anew`: the message was sent after the job's last move. `redrives` as in a claim.
    Redrive {
        work: u8,
        anew: bool,
        redrives: u8,
        now: i16,
    },
    UploadIsMissing {
        now: i16,
    },
    /// `told`: the end that was announced.
    Announced {
        told: Told,
        now: i16,
    },
    LookAgainLater {
        now: i16,
    },
    /// Not a call: time passes.
    Passes {
        seconds: i16,
    },
    /// Not a call: nobody asks any more what was true before `now`.
    Forget {
        now: i16,
    },
}

/// What a move made of a job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    pub(crate) job: JobRef,
    /// The row has to be written.
    pub(crate) changed: bool,
    /// `updated_at` was set as well.
    pub(crate) touched: bool,
}

/// What the world around a job asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) status: Status,
    pub(crate) code: Option<Code>,
    pub(crate) attempts: u8,
    pub(crate) work: Option<u8>,
    pub(crate) version: Option<u8>,
    pub(crate) sequenced: bool,
    pub(crate) owner: Option<u8>,
    pub(crate) lease_until: Option<i16>,
    pub(crate) due: Option<i16>,
    pub(crate) announced: bool,
    /// The version that a completed job was made of.
    pub(crate) made_of: Option<u8>,
    pub(crate) end: Option<Told>,
}

impl Facts {
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.status, Status::Completed | Status::Failed)
    }

    /// The next moment at which time alone changes what may happen to the job.
    pub(crate) fn next_moment(&self) -> Option<i16> {
        let grace = self.lease_until.map(|until| until + LEASE_GRACE.as_secs() as i16);
        [self.lease_until, grace, self.due].into_iter().flatten().filter(|moment| *moment > 0).min()
    }
}

/// Every job that the model has come across.
#[derive(Debug)]
pub(crate) struct Jobs {
    mutant: Option<Mutant>,
    all: Vec<(Job, Facts)>,
    numbers: HashMap<String, JobRef>,
    known: HashMap<(JobRef, Move), Moved>,
}

impl Jobs {
    pub(crate) fn new(mutant: Option<Mutant>) -> Self {
        Self { mutant, all: Vec::new(), numbers: HashMap::new(), known: HashMap::new() }
    }

    /// The row of an upload slot whose URL is good for five minutes, after `attempts` claims.
    pub(crate) fn slot(&mut self, attempts: u32) -> JobRef {
        let mut job = Job::awaiting_upload(id(), "uploads", "uploads/photo.jpg", at(300), at(0));
        job.attempts = attempts;
        self.number(job)
    }

    /// The row of an object that came without a slot.
    pub(crate) fn of_object(&mut self, version: u8, attempts: u32, now: i16) -> JobRef {
        let mut job = Job::of_object(id(), "uploads", "uploads/photo.jpg", object(version, true), at(now));
        job.attempts = attempts;
        self.number(job)
    }

    pub(crate) fn facts(&self, job: JobRef) -> Facts {
        self.all[job as usize].1
    }

    /// What `call` makes of `job`.
    pub(crate) fn apply(&mut self, job: JobRef, call: Move) -> Moved {
        if let Some(moved) = self.known.get(&(job, call)) {
            return *moved;
        }
        let mut after = self.all[job as usize].0.clone();
        let changed = match self.mutant {
            Some(mutant) => mutant.apply(&mut after, call),
            None => apply(&mut after, call),
        };
        let touched = after.updated_at != at(LONG_AGO);
        let moved = Moved { job: self.number(after), changed: changed == Transition::Changed, touched };
        self.known.insert((job, call), moved);
        moved
    }

    fn number(&mut self, mut job: Job) -> JobRef {
        job.created_at = at(LONG_AGO);
        job.updated_at = at(LONG_AGO);
        job.announced_at = job.announced_at.map(|_| at(LONG_AGO));
        if job.object.is_some() || job.is_final() {
            job.upload_expires_at = None;
        }
        let next = self.all.len() as JobRef;
        let number = *self.numbers.entry(format!("{job:?}")).or_insert(next);
        if number == next {
            let facts = facts(&job);
            self.all.push((job, facts));
        }
        number
    }
}

/// Makes the call.
pub(crate) fn apply(job: &mut Job, call: Move) -> Transition {
    match call {
        Move::Arrive { version, sequenced, now } => job.arrive(object(version, sequenced), at(now)),
        Move::Queued { work, now } => job.queued(&work.to_string(), at(now)),
        Move::Claim { owner, work, redrives, until, now } => {
            let delivery = Delivery { work_id: Some(work.to_string()), sent_at: sent_at(redrives) };
            job.claim(&owner.to_string(), &delivery, at(until), at(now))
        }
        Move::Complete { claim, version, now } => job.complete(&lease(claim), result(version), at(now)),
        Move::Fail { claim, code, now } => job.fail(&lease(claim), code, "no", at(now)),
        Move::BeginAgain { claim, work, now } => {
            job.begin_again(&lease(claim), &work.to_string(), std::time::Duration::ZERO, at(now))
        }
        Move::Release { claim, now } => job.release(&lease(claim), std::time::Duration::from_secs(5), at(now)),
        Move::TimeOut { work, now } => job.time_out(&work.to_string(), at(now)),
        Move::Exhaust { work, redrives, now } => {
            let letter = Delivery { work_id: Some(work.to_string()), sent_at: sent_at(redrives) };
            job.exhaust(&letter, at(now))
        }
        Move::Redrive { work, anew, redrives, now } => {
            let sent_at = if anew { sent_at(redrives) } else { at(LONG_AGO) };
            job.redrive(&Delivery { work_id: Some(work.to_string()), sent_at }, at(now))
        }
        Move::UploadIsMissing { now } => job.upload_is_missing(at(now)),
        Move::Announced { told, now } => {
            let Told { status, attempts, earlier_attempts } = told;
            let status = Status::ALL[usize::from(status)];
            let (attempts, earlier_attempts) = (u32::from(attempts), u32::from(earlier_attempts));
            job.announced(End { status, attempts, earlier_attempts }, at(now))
        }
        Move::LookAgainLater { now } => job.look_again_later(at(now)),
        Move::Passes { seconds } => {
            let earlier = |time: Timestamp| time - std::time::Duration::from_secs(seconds as u64);
            job.due_at = job.due_at.map(earlier);
            job.upload_expires_at = job.upload_expires_at.map(earlier);
            if let State::Processing { lease_until, .. } = &mut job.state {
                *lease_until = earlier(*lease_until);
            }
            Transition::Changed
        }
        Move::Forget { now } => {
            if let State::Processing { lease_until, .. } = &mut job.state {
                *lease_until = (*lease_until).max(at(now) - LEASE_GRACE);
            }
            // While an upload is awaited, its due time is compared with the end of its grace.
            if job.upload_expires_at.is_none() {
                job.due_at = job.due_at.map(|due_at| due_at.max(at(now)));
            }
            Transition::Changed
        }
    }
}

/// The lease of a claim. Only the version of its object counts.
pub(crate) fn lease(claim: Claim) -> Lease {
    let object = claim.version.map(|version| object(version, true));
    let work_id = Some(claim.work.to_string());
    Lease { owner: claim.owner.to_string(), attempt: u32::from(claim.attempt), object, work_id }
}

pub(crate) fn result(version: u8) -> Completed {
    Completed {
        source: Source {
            key: "uploads/photo.jpg".into(),
            bytes: 1,
            content_type: "image/jpeg".into(),
            format: Format::Jpeg,
            width: 1,
            height: 1,
            e_tag: version.to_string(),
        },
        classification: Classification { model: "m".into(), predicted_class: "cat".into(), predictions: vec![] },
        placeholder: None,
        derivatives: vec![],
        processed_url: "s3://processed/photo.jpg".into(),
        download_url_expires_at: None,
    }
}

pub(crate) fn object(version: u8, sequenced: bool) -> ObjectVersion {
    ObjectVersion {
        e_tag: version.to_string(),
        sequencer: sequenced.then(|| format!("0{version}")),
        ..ObjectVersion::default()
    }
}

/// The time `seconds` from the present.
pub(crate) fn at(seconds: i16) -> Timestamp {
    Timestamp::from_micros((PRESENT + i64::from(seconds)) * 1_000_000)
}

/// When a message was sent: of these times, only the order counts.
fn sent_at(redrives: u8) -> Timestamp {
    at(LONG_AGO + 1 + i16::from(redrives))
}

fn seconds(time: Timestamp) -> i16 {
    i16::try_from(time.epoch_seconds() - PRESENT).expect("the model's times are close to its present")
}

fn number(text: &str) -> u8 {
    text.parse().expect("ids and versions are numbers here")
}

fn small(count: u32) -> u8 {
    u8::try_from(count).expect("few attempts")
}

fn version_of(object: &ObjectVersion) -> u8 {
    number(object.version())
}

fn id() -> JobId {
    JobId::derived("uploads", "uploads/photo.jpg", "1")
}

fn facts(job: &Job) -> Facts {
    let (mut code, mut owner, mut until, mut made_of) = (None, None, None, None);
    match &job.state {
        State::Pending => {}
        State::Processing { lease_owner, lease_until } => {
            (owner, until) = (Some(number(lease_owner)), Some(seconds(*lease_until)));
        }
        State::Completed(completed) => made_of = Some(number(&completed.source.e_tag)),
        State::Failed { error_code, .. } => code = Some(*error_code),
    }
    Facts {
        status: job.status(),
        code,
        attempts: small(job.attempts),
        work: job.work_id.as_deref().map(number),
        version: job.object.as_ref().map(version_of),
        sequenced: job.object.as_ref().is_some_and(|object| object.sequencer.is_some()),
        owner,
        lease_until: until,
        due: job.due_at.map(seconds),
        announced: job.announced_at.is_some(),
        made_of,
        end: job.end().map(|end| Told {
            status: Status::ALL.iter().position(|status| *status == end.status).expect("one of all") as u8,
            attempts: small(end.attempts),
            earlier_attempts: small(end.earlier_attempts),
        }),
    }
}
