//! The steps of workers and dispatchers, each up to and including one call to a service: what `process.rs` and `workflow.rs` of
//! the worker, and `dispatch.rs`, `reconcile.rs`, `dead_letters.rs` of the dispatcher do, and `Announcer` for both.
//!
//! A refused write and the read that follows it are one step: what comes in between could as well have come before.
//! A failure that only ends an invocation is left to crashes.

use shared::error::Code;
use shared::job::Status;

use crate::action::{Call, Deed};
use crate::jobs::{Claim, Facts, Move};
use crate::mutant::Mutant;
use crate::state::{
    Conclusion, Dispatcher, DispatcherPhase, Message, Place, Row, Snapshot, State, Stored, View, Worker, WorkerPhase,
};
use crate::world::{Put, Way, World};

/// How long a worker's invocation may take, in seconds.
const LEASE: i16 = 60;

/// How long an execution may take, in seconds.
const EXECUTION: i16 = 300;

impl World {
    /// A worker's next step; `None` if its call cannot come out like that.
    pub(crate) fn work(&mut self, state: &mut State, index: usize, mut worker: Worker, call: Call) -> Option<Deed> {
        let (mut deed, now) = (Deed::Nothing, worker.view.now);
        worker.phase = match worker.phase {
            WorkerPhase::Begin(version) => {
                if call == Call::Doubled || (call != Call::Answered && state.row.is_some()) {
                    return None;
                }
                if state.row.is_none() && call != Call::Lost {
                    let job = self.jobs.of_object(version, self.bounds.attempts, now);
                    state.row = Some(Row { job, sent_after: 0 });
                }
                match state.row.filter(|_| call == Call::Answered) {
                    Some(row) => {
                        worker.view.row = row.read();
                        WorkerPhase::Claim
                    }
                    None => WorkerPhase::Leave { delete: false },
                }
            }
            WorkerPhase::Redrive => {
                let anew = worker.view.row.sent_after >> worker.message & 1 == 1;
                let redrive = Move::Redrive { work: worker.work, anew, redrives: worker.redrives, now };
                if !self.jobs.apply(worker.view.row.job, redrive).changed {
                    worker.phase = WorkerPhase::Claim;
                    return self.work(state, index, worker, call);
                }
                self.put(state, &mut worker.view, redrive, call)?.map_or(WorkerPhase::Redrive, |_| WorkerPhase::Claim)
            }
            WorkerPhase::Claim => {
                let Worker { owner, work, redrives, .. } = worker;
                let until = now + if worker.is_execution() { EXECUTION } else { LEASE };
                let claim = Move::Claim { owner, work, redrives, until, now };
                let claimed = self.put(state, &mut worker.view, claim, call)?;
                claimed.map_or(WorkerPhase::Claim, |facts| {
                    if facts.owner == Some(worker.owner) {
                        if self.is(Mutant::DeletesBeforeEnd) && state.is_held(index, &worker) {
                            state.messages[usize::from(worker.message)] = None;
                            deed = Deed::Deleted;
                        }
                        let (attempt, version) = (facts.attempts, facts.version);
                        WorkerPhase::Fetch(Claim { owner: worker.owner, attempt, version, work: worker.work })
                    } else {
                        WorkerPhase::Leave { delete: true }
                    }
                })
            }
            WorkerPhase::Fetch(claim) => {
                (worker.view.now, worker.view.sent_after) = (0, 0);
                let version = claim.version.filter(|_| self.bounds.versioned).unwrap_or(state.uploaded);
                match call {
                    Call::Answered if claim.version.is_some_and(|claimed| claimed != version) => {
                        WorkerPhase::Conclude(claim, Conclusion::Replaced(version))
                    }
                    Call::Answered if self.bounds.corrupt => WorkerPhase::Conclude(claim, Conclusion::Corrupt),
                    Call::Answered => WorkerPhase::Store(claim, version),
                    Call::Lost => self.tried_in_vain(state, claim, &worker),
                    Call::AnswerLost | Call::Doubled => return None,
                }
            }
            WorkerPhase::Store(claim, version) => {
                (worker.view.now, worker.view.sent_after) = (0, 0);
                let stored = Stored { attempt: claim.attempt, is_end: false, version: Some(version) };
                let unfenced = self.is(Mutant::StoresUnfenced);
                for place in [&mut state.derivative, &mut state.result] {
                    if unfenced || place.is_none_or(|before| before.gives_way_to(stored)) {
                        *place = Some(stored);
                    }
                }
                match call {
                    Call::Answered => {
                        if self.is(Mutant::AnnouncesBeforeEnd) {
                            deed = Deed::Published(Status::Completed);
                        }
                        WorkerPhase::Conclude(claim, Conclusion::Completed(version))
                    }
                    Call::AnswerLost => self.tried_in_vain(state, claim, &worker),
                    Call::Lost | Call::Doubled => return None,
                }
            }
            WorkerPhase::Conclude(claim, conclusion) => {
                let end = match conclusion {
                    Conclusion::Completed(version) => Move::Complete { claim, version, now },
                    Conclusion::Replaced(version) => Move::Arrive { version, sequenced: false, now },
                    Conclusion::Corrupt => Move::Fail { claim, code: Code::CorruptImage, now },
                    Conclusion::Exhausted => Move::Fail { claim, code: Code::RetriesExhausted, now },
                };
                let delete = conclusion != Conclusion::Exhausted;
                match self.put(state, &mut worker.view, end, call)? {
                    None => WorkerPhase::Conclude(claim, conclusion),
                    // Whoever ended it.
                    Some(row) if worker.is_execution() => {
                        if row.is_final() && !row.announced && row.code != Some(Code::TimedOut) {
                            WorkerPhase::Publish { delete: false }
                        } else {
                            WorkerPhase::Leave { delete: false }
                        }
                    }
                    Some(row) if row.owner == Some(claim.owner) && row.attempts == claim.attempt => {
                        WorkerPhase::QueueAnew(claim, self.fresh_work(state))
                    }
                    Some(row) if !row.is_final() || row.attempts != claim.attempt => {
                        WorkerPhase::Leave { delete: true }
                    }
                    Some(row) if row.announced => WorkerPhase::Leave { delete },
                    Some(row) if row.code == Some(Code::TimedOut) && !self.is(Mutant::WorkerAnnouncesTimeOut) => {
                        WorkerPhase::Leave { delete: true }
                    }
                    Some(_) => WorkerPhase::Publish { delete },
                }
            }
            WorkerPhase::Release(claim) => {
                let released = self.put(state, &mut worker.view, Move::Release { claim, now }, call)?;
                released.map_or(WorkerPhase::Release(claim), |_| WorkerPhase::Leave { delete: false })
            }
            WorkerPhase::QueueAnew(claim, work) => {
                let begun = self.put(state, &mut worker.view, Move::BeginAgain { claim, work, now }, call)?;
                begun.map_or(worker.phase, |row| {
                    if row.work == Some(work) {
                        WorkerPhase::SendAnew(work)
                    } else {
                        WorkerPhase::Leave { delete: true }
                    }
                })
            }
            WorkerPhase::SendAnew(work) => {
                if state.send_by(call, work, Place::Queue).is_none() {
                    return Some(Deed::OutOfRoom);
                }
                WorkerPhase::Leave { delete: call.is_answered() }
            }
            WorkerPhase::Publish { delete } => {
                deed = self.publish(state, worker.view.row, call)?;
                let told = self.jobs.facts(worker.view.row.job).end.filter(|_| call == Call::Answered);
                told.map_or(WorkerPhase::Leave { delete }, |told| WorkerPhase::NoteAnnounced { told, delete })
            }
            WorkerPhase::NoteAnnounced { told, delete } => {
                let noted = self.put(state, &mut worker.view, Move::Announced { told, now }, call)?;
                noted.map_or(worker.phase, |_| WorkerPhase::Leave { delete })
            }
            WorkerPhase::Leave { delete } => {
                if call != Call::Answered {
                    return None;
                }
                let mut deed = Deed::Nothing;
                if state.is_held(index, &worker) {
                    let message = &mut state.messages[usize::from(worker.message)];
                    if delete {
                        (*message, deed) = (None, Deed::Deleted);
                    } else {
                        *message = message.map(|message| Message { place: Place::Queue, ..message });
                    }
                }
                state.worker_is_gone(index);
                return Some(deed);
            }
        };
        state.workers[index] = Some(worker);
        Some(deed)
    }

    /// What follows a failure that may pass.
    fn tried_in_vain(&self, state: &State, claim: Claim, worker: &Worker) -> WorkerPhase {
        if worker.is_execution() {
            WorkerPhase::QueueAnew(claim, self.fresh_work(state))
        } else if worker.receives < self.bounds.receives {
            WorkerPhase::Release(claim)
        } else {
            WorkerPhase::Conclude(claim, Conclusion::Exhausted)
        }
    }

    /// A dispatcher's next step; `None` if its call cannot come out like that.
    pub(crate) fn dispatch(
        &mut self,
        state: &mut State,
        index: usize,
        mut this: Dispatcher,
        call: Call,
    ) -> Option<Deed> {
        let (mut deed, now) = (Deed::Nothing, this.view.now);
        let given_up = this.reconciles.then_some(DispatcherPhase::LookAgainLater);
        let phase = match this.phase {
            DispatcherPhase::Arrive(version) if self.bounds.way != Way::Slot => {
                if call == Call::Doubled || (call != Call::Answered && state.row.is_some()) {
                    return None;
                }
                if state.row.is_none() && call != Call::Lost {
                    let job = self.jobs.of_object(version, self.bounds.attempts, now);
                    state.row = Some(Row { job, sent_after: 0 });
                }
                let row = state.row.filter(|_| call == Call::Answered);
                this.view.row = row.map_or(Snapshot::NONE, Row::read);
                row.filter(|row| self.jobs.facts(row.job).status == Status::Pending).map(|_| DispatcherPhase::Send)
            }
            DispatcherPhase::Arrive(version) => {
                let arrive = Move::Arrive { version, sequenced: true, now };
                match self.put(state, &mut this.view, arrive, call)? {
                    None => Some(this.phase),
                    Some(row) => (row.status == Status::Pending).then_some(DispatcherPhase::Send),
                }
            }
            DispatcherPhase::Send => {
                let work = self.fresh_work(state);
                if state.send_by(call, work, Place::Queue).is_none() {
                    return Some(Deed::OutOfRoom);
                }
                if call.is_answered() { Some(DispatcherPhase::NoteQueued(work)) } else { given_up }
            }
            DispatcherPhase::NoteQueued(work) => {
                let noted = self.put(state, &mut this.view, Move::Queued { work, now }, call)?;
                if noted.is_some() { None } else { Some(this.phase) }
            }
            DispatcherPhase::Head => match call {
                Call::Answered => Some(DispatcherPhase::Found(Some(state.uploaded).filter(|version| *version > 0))),
                Call::Lost => given_up,
                Call::AnswerLost | Call::Doubled => return None,
            },
            DispatcherPhase::Found(found) => {
                let step = match found {
                    Some(version) => Move::Arrive { version, sequenced: false, now },
                    None => Move::UploadIsMissing { now },
                };
                let known = self.jobs.facts(this.view.row.job);
                let noted = if found.is_some() && known.version.is_some() {
                    // Its event came after all.
                    (call == Call::Answered).then_some(Some(known))?
                } else {
                    self.put(state, &mut this.view, step, call)?
                };
                match noted {
                    None => Some(this.phase),
                    Some(row) if row.is_final() => Some(DispatcherPhase::LayDown),
                    Some(row) => (found.is_some() && row.status == Status::Pending).then_some(DispatcherPhase::Send),
                }
            }
            DispatcherPhase::TimeOut if self.is(Mutant::ReconcileLeavesAbandoned) => None,
            DispatcherPhase::TimeOut => {
                let work = self.fresh_work(state);
                match self.put(state, &mut this.view, Move::TimeOut { work, now }, call)? {
                    None => Some(this.phase),
                    Some(row) if row.is_final() => Some(DispatcherPhase::LayDown),
                    Some(_) => Some(DispatcherPhase::Send),
                }
            }
            DispatcherPhase::LayDown => {
                let row = self.jobs.facts(this.view.row.job);
                let Some(work) = row.work.filter(|_| row.code == Some(Code::TimedOut)) else {
                    this.phase = DispatcherPhase::Publish;
                    return self.dispatch(state, index, this, call);
                };
                if !self.is(Mutant::TimesOutWithoutEvidence)
                    && state.send_by(call, work, Place::DeadLetterQueue).is_none()
                {
                    return Some(Deed::OutOfRoom);
                }
                if call.is_answered() { Some(DispatcherPhase::Publish) } else { given_up }
            }
            DispatcherPhase::Look { message, work, redrives } => {
                if call != Call::Answered {
                    return None;
                }
                this.view.row = state.row.map_or(Snapshot::NONE, Row::read);
                Some(DispatcherPhase::Judge { message, work, redrives, reread: false })
            }
            DispatcherPhase::Judge { message, work, redrives, .. } => {
                let before = this.view.row.job;
                let reread = matches!(this.phase, DispatcherPhase::Judge { reread: true, .. });
                match self.put(state, &mut this.view, Move::Exhaust { work, redrives, now }, call)? {
                    None => Some(DispatcherPhase::Judge { message, work, redrives, reread: true }),
                    Some(row) if row.status == Status::Completed => {
                        let letter = &mut state.messages[usize::from(message)];
                        *letter = letter.filter(|letter| letter.place != Place::DeadLetterQueue || letter.work != work);
                        None
                    }
                    Some(row) => {
                        let moved = reread || this.view.row.job != before;
                        (moved && row.is_final()).then_some(DispatcherPhase::Publish)
                    }
                }
            }
            DispatcherPhase::Publish if self.jobs.facts(this.view.row.job).announced => {
                (call == Call::Answered).then_some(None)?
            }
            DispatcherPhase::Publish => {
                deed = self.publish(state, this.view.row, call)?;
                let told = self.jobs.facts(this.view.row.job).end.filter(|_| call == Call::Answered);
                told.map(DispatcherPhase::NoteAnnounced).or(given_up.filter(|_| call != Call::Answered))
            }
            DispatcherPhase::NoteAnnounced(told) => {
                let noted = self.put(state, &mut this.view, Move::Announced { told, now }, call)?;
                if noted.is_some() { None } else { Some(this.phase) }
            }
            DispatcherPhase::LookAgainLater => {
                let noted = self.put(state, &mut this.view, Move::LookAgainLater { now }, call)?;
                if noted.is_some() { None } else { Some(this.phase) }
            }
        };
        if let (Some(DispatcherPhase::LookAgainLater), Some(row)) = (phase, state.row) {
            this.view.row = row.read();
        }
        state.dispatchers[index] = phase.map(|phase| Dispatcher { phase, ..this });
        Some(deed)
    }

    /// Moves the row as `view` sees it and looks at where that led: at the row as it stands now, or at nothing, if the
    /// move is to be tried again.
    #[expect(clippy::option_option, reason = "whether it can come out like that, and whether it led anywhere")]
    fn put(&mut self, state: &mut State, view: &mut View, step: Move, call: Call) -> Option<Option<Facts>> {
        let put = self.update(state, view, step, call)?;
        let (Put::Done(row) | Put::Again(row)) = put;
        view.row = row;
        Some(matches!(put, Put::Done(_)).then(|| self.jobs.facts(row.job)))
    }

    /// Announces the job as `row` has it.
    fn publish(&mut self, state: &mut State, row: Snapshot, call: Call) -> Option<Deed> {
        let ended = self.jobs.facts(row.job);
        match call {
            Call::Doubled => return None,
            Call::Lost => return Some(Deed::Nothing),
            Call::Answered | Call::AnswerLost => {}
        }
        if ended.status == Status::Failed {
            let end = Stored { attempt: ended.attempts, is_end: true, version: None };
            if self.is(Mutant::StoresFailureUnfenced) || state.result.is_none_or(|before| before.gives_way_to(end)) {
                state.result = Some(end);
            }
        }
        state.told |= self.facts(state).is_some_and(|row| row.status == ended.status);
        Some(Deed::Published(ended.status))
    }
}
