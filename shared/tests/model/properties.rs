//! What must hold, whatever happens. Each property is named by the sentence that a violation would prove wrong.

use shared::error::Code;
use shared::job::Status;

use crate::action::{Action, Deed};
use crate::jobs::Facts;
use crate::state::{DispatcherPhase, Place, State, Worker};
use crate::world::World;

impl World {
    /// The properties of a single step.
    pub(crate) fn check_step(
        &mut self,
        before: &State,
        action: Action,
        after: &State,
        deed: Deed,
    ) -> Result<(), &'static str> {
        let worker = match action {
            Action::Worker { worker, .. } => before.workers[usize::from(worker)],
            _ => None,
        };
        match deed {
            Deed::Published(status) if !after.ended[usize::from(status == Status::Failed)] => {
                return Err("a notice only follows a final row");
            }
            Deed::Deleted => {
                let held = self.facts(after).filter(|row| row.lease_until.is_some_and(|until| until > 0));
                if held.is_some_and(|row| row.owner == worker.map(|worker| worker.owner)) {
                    return Err("nobody deletes the message of a job that he holds and has not finished");
                }
            }
            _ => {}
        }
        if let (Some(old), Some(new)) = (self.facts(before), self.facts(after)) {
            check_move(&old, &new, action, worker)?;
        } else if before.row.is_some() {
            return Err("no row vanishes");
        }
        self.facts(after).map_or(Ok(()), |row| check_row(&row, after))
    }

    /// Whether nothing will happen any more, but for events, uploads and redrives, none of which has to come.
    pub(crate) fn is_quiet(&mut self, state: &State) -> bool {
        let Some(row) = state.row else { return state.views().next().is_none() };
        let letters: Vec<(u8, u8)> =
            state.messages.iter().flatten().map(|letter| (letter.work, letter.redrives)).collect();
        state.views().next().is_none()
            && state.messages.iter().flatten().all(|message| message.place == Place::DeadLetterQueue)
            && self.jobs.facts(row.job).due.is_none()
            && !letters.into_iter().any(|(work, redrives)| self.has_verdict(row.job, work, redrives))
    }

    /// The properties of a state in which nothing will happen any more.
    pub(crate) fn check_quiet(&self, state: &State) -> Result<(), &'static str> {
        // Nothing is known of a photo without a slot whose events were all lost; the sweep is not part of the model.
        let Some(row) = self.facts(state) else { return Ok(()) };
        if !row.is_final() {
            return Err("every job ends");
        }
        if !state.told || !row.announced {
            return Err("a final row is announced at least once");
        }
        let mut letters = state.messages.iter().flatten();
        if letters.clone().next().is_some() && row.status != Status::Failed {
            return Err("the job of a dead letter has failed");
        }
        let may_go_on = matches!(row.code, Some(Code::RetriesExhausted | Code::TimedOut));
        if may_go_on && !state.redriven && !letters.any(|letter| Some(letter.work) == row.work) {
            return Err("a job that was given up can be redriven");
        }
        Ok(())
    }
}

fn check_row(row: &Facts, state: &State) -> Result<(), &'static str> {
    if row.due.is_none() && !(row.is_final() && row.announced) {
        return Err("every unfinished row is due some time");
    }
    if row.status != Status::Completed {
        return Ok(());
    }
    if row.made_of != row.version {
        return Err("what was processed is the version that the row records");
    }
    let is_of_this_attempt = |stored: &crate::state::Stored| {
        stored.attempt == row.attempts && !stored.is_end && stored.version == row.made_of
    };
    if !state.derivative.as_ref().is_some_and(is_of_this_attempt) {
        return Err("a completed job's derivative is its last attempt's");
    }
    if !state.result.as_ref().is_some_and(is_of_this_attempt) {
        return Err("a completed job's result is its last attempt's");
    }
    Ok(())
}

fn check_move(old: &Facts, new: &Facts, action: Action, worker: Option<Worker>) -> Result<(), &'static str> {
    use Status::{Completed, Failed, Pending, Processing};
    let claimed = new.owner.is_some() && new.owner != old.owner;
    let redriven = old.status == Failed && new.status == Pending;
    let is_legal = match (old.status, new.status) {
        (Pending, Pending | Processing | Failed) | (Processing, Processing | Completed | Failed) => true,
        (Failed, Pending) => matches!(old.code, Some(Code::RetriesExhausted | Code::TimedOut)),
        (Failed, Failed) => (old.code, old.attempts, old.version) == (new.code, new.attempts, new.version),
        (Completed, Completed) => (old.attempts, old.version, old.made_of) == (new.attempts, new.version, new.made_of),
        _ => false,
    };
    if !is_legal {
        return Err("only legal moves happen, and COMPLETED never changes");
    }
    if redriven && !worker.is_some_and(|worker| worker.redriven) {
        return Err("FAILED changes only by an explicit redrive");
    }
    if redriven && worker.map(|worker| worker.work) != old.work {
        return Err("a redrive takes the work item that the job failed with");
    }
    if new.attempts != old.attempts + u8::from(claimed) {
        return Err("every claim, and nothing else, takes a greater fencing token");
    }
    let by_holder = old.owner.is_some() && old.owner == worker.map(|worker| worker.owner);
    let is_live = old.lease_until.is_some_and(|until| until > 0);
    if is_live && !by_holder && (claimed || new.status != Processing) {
        return Err("nobody takes a job from a live lease");
    }
    let by_worker = matches!(action, Action::Worker { .. });
    if by_worker && new.is_final() && !old.is_final() && !by_holder {
        return Err("a stale token writes no end");
    }
    if let Action::Dispatcher { phase: DispatcherPhase::Judge { work, .. }, .. } = action
        && new.is_final()
        && !old.is_final()
        && old.work != Some(work)
    {
        return Err("a job is given up by its newest work item's dead letter");
    }
    if old.sequenced && new.sequenced && new.version < old.version {
        return Err("an older sequencer never overrides a newer one");
    }
    Ok(())
}
