//! Darkroom with one mistake in it. Each has to be found by a property of the model.

use shared::error::Code;
use shared::job::{Job, LEASE_GRACE, State, Transition};

use crate::jobs::{self, Move, at};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Whoever completes a job need not hold the claim that it names.
    CompletesWithoutFencingToken,
    /// Whoever completes a job need hold no claim at all.
    CompletesWithoutClaim,
    /// A result of an outdated version of the photo completes the job.
    CompletesOutdated,
    /// A claim takes the job from whoever holds it.
    ClaimIgnoresLease,
    /// Reconcile gives up on jobs that a worker is at.
    TimesOutWithoutLeaseCheck,
    /// A claim leaves the row without a due time.
    ClaimDropsDueTime,
    /// A released job has no due time.
    ReleaseDropsDueTime,
    /// A job that is over has no due time, announced or not.
    EndDropsDueTime,
    /// Every failed job can be redriven.
    RedrivesEveryFailure,
    /// A late copy of the message redrives the job.
    RedrivesByLateCopy,
    /// A late copy of the message claims the job that a redrive has started anew.
    ClaimsByLateCopy,
    /// A dead letter that was redriven while somebody looked at it ends the job that the redrive has started anew.
    ExhaustsByLateCopy,
    /// Any work item of the job redrives it.
    RedrivesByOtherWorkItem,
    /// A dead letter of an older work item ends the job.
    ExhaustsByOlderWorkItem,
    /// Late news replaces newer.
    ArriveTakesOlderNews,
    /// Rows are written whatever stands in the table.
    WritesUnconditionally,
    /// A write without an answer counts as done.
    TakesLostAnswerForDone,
    /// A write without an answer counts as refused, and the row is not read again.
    TakesLostAnswerForRefused,
    /// The worker announces what it is about to write.
    AnnouncesBeforeEnd,
    /// The worker deletes its message as soon as it has the job.
    DeletesBeforeEnd,
    /// Derivatives are stored over whatever is there.
    StoresUnfenced,
    /// A failed job's result is stored over whatever is there.
    StoresFailureUnfenced,
    /// A job is timed out without a letter by which it can be redriven.
    TimesOutWithoutEvidence,
    /// A worker that was paused announces that its job timed out, though the evidence may not be laid down yet.
    WorkerAnnouncesTimeOut,
    /// Whoever has announced one end of the job notes it for whatever end the job stands at now.
    NotesAnotherEnd,
    /// A job that fails keeps the work item that reconcile has sent meanwhile.
    FailsWithOtherWorkItem,
    /// Reconcile does nothing about jobs whose worker vanished.
    ReconcileLeavesAbandoned,
}

impl Mutant {
    /// Every mistake.
    pub(crate) const ALL: [Self; 27] = [
        Self::CompletesWithoutFencingToken,
        Self::CompletesWithoutClaim,
        Self::CompletesOutdated,
        Self::ClaimIgnoresLease,
        Self::TimesOutWithoutLeaseCheck,
        Self::ClaimDropsDueTime,
        Self::ReleaseDropsDueTime,
        Self::EndDropsDueTime,
        Self::RedrivesEveryFailure,
        Self::RedrivesByLateCopy,
        Self::ClaimsByLateCopy,
        Self::ExhaustsByLateCopy,
        Self::RedrivesByOtherWorkItem,
        Self::ExhaustsByOlderWorkItem,
        Self::ArriveTakesOlderNews,
        Self::WritesUnconditionally,
        Self::TakesLostAnswerForDone,
        Self::TakesLostAnswerForRefused,
        Self::AnnouncesBeforeEnd,
        Self::DeletesBeforeEnd,
        Self::StoresUnfenced,
        Self::StoresFailureUnfenced,
        Self::TimesOutWithoutEvidence,
        Self::WorkerAnnouncesTimeOut,
        Self::NotesAnotherEnd,
        Self::FailsWithOtherWorkItem,
        Self::ReconcileLeavesAbandoned,
    ];

    /// Makes the call as the mistaken Darkroom would.
    pub(crate) fn apply(self, job: &mut Job, mut call: Move) -> Transition {
        match (self, &mut call) {
            (Self::CompletesWithoutFencingToken, Move::Complete { claim, version, now }) => {
                let State::Processing { lease_owner, .. } = &job.state else { return Transition::Unchanged };
                let Some(mut lease) = job.lease_of(lease_owner) else { return Transition::Unchanged };
                lease.object = jobs::lease(*claim).object;
                return job.complete(&lease, jobs::result(*version), at(*now));
            }
            (Self::CompletesWithoutClaim, Move::Complete { version, .. }) => {
                if job.is_final() {
                    return Transition::Unchanged;
                }
                job.state = State::Completed(Box::new(jobs::result(*version)));
                return Transition::Changed;
            }
            (Self::CompletesOutdated, Move::Complete { claim, .. }) => {
                claim.version = job.object.as_ref().and_then(|object| object.version().parse().ok());
            }
            (Self::ClaimIgnoresLease, Move::Claim { now, .. })
            | (Self::TimesOutWithoutLeaseCheck, Move::TimeOut { now, .. }) => {
                let before = job.clone();
                if let State::Processing { lease_until, .. } = &mut job.state {
                    *lease_until = at(*now) - LEASE_GRACE;
                }
                let moved = jobs::apply(job, call);
                if moved == Transition::Unchanged {
                    *job = before;
                }
                return moved;
            }
            (Self::RedrivesEveryFailure, Move::Redrive { .. }) => {
                let before = job.clone();
                if let State::Failed { error_code, .. } = &mut job.state {
                    *error_code = Code::RetriesExhausted;
                }
                let moved = jobs::apply(job, call);
                if moved == Transition::Unchanged {
                    *job = before;
                }
                return moved;
            }
            (Self::RedrivesByLateCopy, Move::Redrive { anew, .. }) => *anew = true,
            (Self::ClaimsByLateCopy, Move::Claim { redrives, .. })
            | (Self::ExhaustsByLateCopy, Move::Exhaust { redrives, .. }) => *redrives = u8::MAX,
            (Self::RedrivesByOtherWorkItem, Move::Redrive { work, .. })
            | (Self::ExhaustsByOlderWorkItem, Move::Exhaust { work, .. }) => {
                if let Some(newest) = job.work_id.as_ref().and_then(|work_id| work_id.parse().ok()) {
                    *work = newest;
                }
            }
            (Self::NotesAnotherEnd, Move::Announced { now, .. }) => {
                return job.end().map_or(Transition::Unchanged, |end| job.announced(end, at(*now)));
            }
            (Self::FailsWithOtherWorkItem, Move::Fail { claim, .. }) => {
                if let Some(newest) = job.work_id.as_ref().and_then(|work_id| work_id.parse().ok()) {
                    claim.work = newest;
                }
            }
            (Self::ArriveTakesOlderNews, Move::Arrive { .. }) => {
                if let Some(known) = &mut job.object {
                    known.sequencer = None;
                }
            }
            _ => {}
        }
        let moved = jobs::apply(job, call);
        let drops = match call {
            Move::Claim { .. } => self == Self::ClaimDropsDueTime,
            Move::Release { .. } => self == Self::ReleaseDropsDueTime,
            Move::Complete { .. } | Move::Fail { .. } => self == Self::EndDropsDueTime,
            _ => false,
        };
        if drops && moved == Transition::Changed {
            job.due_at = None;
        }
        moved
    }
}
