//! What can happen around the job in each state, apart from the steps of workers and dispatchers.

use shared::job::Status;

use crate::action::{Action, Call, Deed};
use crate::jobs::{Facts, JobRef, Jobs, Move, Moved};
use crate::mutant::Mutant;
use crate::state::{
    Budget, Dispatcher, DispatcherPhase, MESSAGES, Message, NO_MESSAGE, Place, Row, Snapshot, State, VERSIONS, View,
    Worker, WorkerPhase,
};

/// The way that a photo comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By an upload slot.
    Slot,
    /// Without one; then it has one version only.
    Direct,
    /// As [`Way::Direct`], but its events start executions of the state machine, and not the dispatcher.
    Raw,
}

/// How much of the world a run covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Workers at once, at most two.
    pub(crate) workers: usize,
    /// Invocations of the dispatcher at once, at most two.
    pub(crate) dispatchers: usize,
    pub(crate) way: Way,
    /// Versions of the photo that are uploaded, at most two.
    pub(crate) versions: u8,
    /// How often each version's event may be delivered.
    pub(crate) deliveries: u8,
    /// Whether the bucket keeps old versions.
    pub(crate) versioned: bool,
    /// Whether the photo does not decode.
    pub(crate) corrupt: bool,
    /// Receives before a message goes to the dead-letter queue.
    pub(crate) receives: u8,
    /// Claims that were made before the model begins; they leave fewer before the job times out.
    pub(crate) attempts: u32,
    pub(crate) budget: Budget,
}

/// The model: bounds, and perhaps a mistake.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) bounds: Bounds,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) jobs: Jobs,
}

/// Where a write of the row has led.
pub(crate) enum Put {
    /// On: with the row as it stands, written or not.
    Done(Snapshot),
    /// Somebody else wrote, or nobody knows: the move is to be applied to the row that was read again.
    Again(Snapshot),
}

impl World {
    pub(crate) fn new(bounds: Bounds, mutant: Option<Mutant>) -> Self {
        Self { bounds, mutant, jobs: Jobs::new(mutant) }
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    pub(crate) fn start(&mut self) -> State {
        let row =
            (self.bounds.way == Way::Slot).then(|| Row { job: self.jobs.slot(self.bounds.attempts), sent_after: 0 });
        State {
            row,
            messages: [None; MESSAGES],
            workers: [None; 2],
            dispatchers: [None; 2],
            uploaded: 0,
            events: [0; VERSIONS],
            derivative: None,
            result: None,
            told: false,
            ended: [false; 2],
            redriven: false,
            redrives: 0,
            left: self.bounds.budget,
        }
    }

    pub(crate) fn facts(&self, state: &State) -> Option<Facts> {
        state.row.map(|row| self.jobs.facts(row.job))
    }

    /// Everything that can happen next.
    pub(crate) fn next(&mut self, state: &State) -> Vec<(Action, State, Deed)> {
        let mut next = Vec::new();
        self.client_and_clock(state, &mut next);
        self.queue(state, &mut next);
        self.invocations(state, &mut next);
        for index in 0..2 {
            if let Some(worker) = state.workers[index] {
                for call in Call::ALL {
                    let mut after = state.clone();
                    if let Some(deed) = self.work(&mut after, index, worker, call) {
                        let action = Action::Worker { worker: index as u8, phase: worker.phase, call };
                        next.push((action, after, deed));
                    }
                }
            }
            if let Some(dispatcher) = state.dispatchers[index] {
                for call in Call::ALL {
                    let mut after = state.clone();
                    if let Some(deed) = self.dispatch(&mut after, index, dispatcher, call) {
                        let action = Action::Dispatcher { dispatcher: index as u8, phase: dispatcher.phase, call };
                        next.push((action, after, deed));
                    }
                }
            }
        }
        next.retain_mut(|(action, after, _)| action.is_afforded(&mut after.left));
        for (_, after, _) in &mut next {
            self.settle(after);
        }
        next
    }

    fn client_and_clock(&mut self, state: &State, next: &mut Vec<(Action, State, Deed)>) {
        if state.uploaded < self.bounds.versions {
            let mut after = state.clone();
            after.uploaded += 1;
            after.events[usize::from(state.uploaded)] = self.bounds.deliveries;
            next.push((Action::Upload, after, Deed::Nothing));
        }
        let letters: Vec<_> = state.all_letters().collect();
        if state.left.redrives > 0 && !letters.is_empty() {
            let mut after = state.clone();
            after.left.redrives -= 1;
            after.redriven = true;
            after.redrives += 1;
            let mut deed = Deed::Nothing;
            for (slot, letter) in letters {
                // To the queue it is a new message: who holds the old one has nothing to do with it.
                after.messages[slot] = None;
                if after.send(letter.work, Place::Queue, true).is_none() {
                    deed = Deed::OutOfRoom;
                }
            }
            next.push((Action::RedriveDeadLetters, after, deed));
        }
        if let Some(seconds) = self.facts(state).and_then(|facts| facts.next_moment()) {
            let mut after = state.clone();
            if state.is_busy() {
                let Some(pauses) = state.left.pauses.checked_sub(1) else { return };
                after.left.pauses = pauses;
            }
            after.each_job(|job| self.jobs.apply(job, Move::Passes { seconds }).job);
            after.views_mut().for_each(|view| view.now -= seconds);
            next.push((Action::TimePasses { seconds }, after, Deed::Nothing));
        }
    }

    fn queue(&self, state: &State, next: &mut Vec<(Action, State, Deed)>) {
        for (index, message) in state.messages.iter().enumerate().filter_map(|(i, slot)| Some((i, (*slot)?))) {
            let number = index as u8;
            match message.place {
                Place::DeadLetterQueue => {}
                Place::InFlight => {
                    let mut after = state.clone();
                    if message.holder.is_some() {
                        let Some(pauses) = state.left.pauses.checked_sub(1) else { continue };
                        after.left.pauses = pauses;
                    }
                    after.messages[index] = Some(Message { place: Place::Queue, ..message });
                    next.push((Action::VisibilityEnds { message: number }, after, Deed::Nothing));
                }
                Place::Queue if message.receives >= self.bounds.receives => {
                    let mut after = state.clone();
                    after.messages[index] = Some(Message { place: Place::DeadLetterQueue, holder: None, ..message });
                    next.push((Action::ReceivedTooOften { message: number }, after, Deed::Nothing));
                }
                Place::Queue => {
                    let free = state.workers[..self.bounds.workers].iter().position(Option::is_none);
                    if let (Some(worker), Some(row)) = (free, state.row) {
                        let mut after = state.clone();
                        let receives = message.receives + 1;
                        let holder = Some(worker as u8);
                        after.messages[index] = Some(Message { place: Place::InFlight, receives, holder, ..message });
                        after.workers[worker] = Some(Worker {
                            phase: WorkerPhase::Redrive,
                            view: View { row: row.read(), now: 0, sent_after: 0 },
                            owner: self.fresh_owner(state),
                            message: number,
                            work: message.work,
                            receives,
                            redriven: message.redriven,
                            redrives: message.redrives,
                        });
                        next.push((Action::Receive { worker: worker as u8, message: number }, after, Deed::Nothing));
                    }
                }
            }
        }
    }

    /// Dispatchers that are woken, and whoever crashes.
    fn invocations(&mut self, state: &State, next: &mut Vec<(Action, State, Deed)>) {
        for index in 0..2 {
            if state.workers[index].is_some() {
                let mut after = state.clone();
                after.worker_is_gone(index);
                next.push((Action::WorkerCrashes { worker: index as u8 }, after, Deed::Nothing));
            }
            if state.dispatchers[index].is_some() {
                let mut after = state.clone();
                after.dispatchers[index] = None;
                next.push((Action::DispatcherCrashes { dispatcher: index as u8 }, after, Deed::Nothing));
            }
        }
        if self.bounds.way == Way::Raw {
            self.executions(state, next);
        }
        let Some(free) = state.dispatchers[..self.bounds.dispatchers].iter().position(Option::is_none) else { return };
        let mut wake = |action, phase, reconciles, mut after: State| {
            // There is no row yet for a photo that comes without a slot; its dispatcher makes one.
            let row = state.row.map_or(Snapshot::NONE, Row::read);
            after.dispatchers[free] = Some(Dispatcher { phase, view: View { row, now: 0, sent_after: 0 }, reconciles });
            next.push((action, after, Deed::Nothing));
        };
        for (index, worker) in state.workers.iter().enumerate() {
            if worker.as_ref().is_some_and(Worker::is_execution) {
                let mut after = state.clone();
                after.worker_is_gone(index);
                wake(Action::GoOnByQueue { worker: index as u8 }, DispatcherPhase::Arrive(1), false, after);
            }
        }
        for version in 1..=VERSIONS as u8 {
            if self.bounds.way != Way::Raw && state.events[usize::from(version) - 1] > 0 {
                let mut after = state.clone();
                after.events[usize::from(version) - 1] -= 1;
                wake(Action::Event { version }, DispatcherPhase::Arrive(version), false, after);
            }
        }
        let Some(row) = state.row else { return };
        let facts = self.jobs.facts(row.job);
        let too_early = self.mutant == Some(Mutant::TimesOutWithoutLeaseCheck) && facts.status == Status::Processing;
        if too_early || facts.due.is_some_and(|due| due <= 0) {
            let phase = match facts.status {
                Status::Pending if facts.version.is_none() => DispatcherPhase::Head,
                Status::Pending => DispatcherPhase::Send,
                Status::Processing => DispatcherPhase::TimeOut,
                Status::Completed | Status::Failed => DispatcherPhase::LayDown,
            };
            wake(Action::Reconcile, phase, true, state.clone());
        }
        for (slot, Message { work, redrives, .. }) in state.letters() {
            // What it says of a job that has failed changes once the job is redriven.
            if self.has_verdict(row.job, work, redrives) || state.left.redrives > 0 {
                let message = slot as u8;
                let phase = DispatcherPhase::Look { message, work, redrives };
                wake(Action::LookAtDeadLetter { message }, phase, false, state.clone());
            }
        }
    }

    /// Executions that an event starts.
    fn executions(&self, state: &State, next: &mut Vec<(Action, State, Deed)>) {
        let free = state.workers[..self.bounds.workers].iter().position(Option::is_none);
        if let (Some(free), 1..) = (free, state.events[0]) {
            let mut after = state.clone();
            after.events[0] -= 1;
            after.workers[free] = Some(Worker {
                phase: WorkerPhase::Begin(1),
                view: View { row: Snapshot::NONE, now: 0, sent_after: 0 },
                owner: self.fresh_owner(state),
                message: NO_MESSAGE,
                work: self.fresh_work(state),
                receives: 0,
                redriven: false,
                redrives: state.redrives,
            });
            next.push((Action::Event { version: 1 }, after, Deed::Nothing));
        }
    }

    /// Whether a look at a dead letter of this work item changes anything.
    pub(crate) fn has_verdict(&mut self, job: JobRef, work: u8, redrives: u8) -> bool {
        self.jobs.facts(job).status == Status::Completed
            || self.jobs.apply(job, Move::Exhaust { work, redrives, now: 0 }).changed
    }

    /// Applies a move to what somebody has seen of the row, and writes it if the row is still that.
    pub(crate) fn update(&mut self, state: &mut State, view: &View, step: Move, call: Call) -> Option<Put> {
        let moved = self.jobs.apply(view.row.job, step);
        if !moved.changed {
            return (call == Call::Answered).then_some(Put::Done(view.row));
        }
        let takes = view.row.fresh || self.is(Mutant::WritesUnconditionally);
        match call {
            Call::Answered if takes => Some(Put::Done(self.write(state, view, moved))),
            Call::Answered => state.row.map(|row| Put::Again(row.read())),
            Call::AnswerLost | Call::Lost if takes => {
                let meant = Snapshot { job: moved.job, fresh: false, ..view.row };
                if call == Call::AnswerLost {
                    self.write(state, view, moved);
                }
                if self.is(Mutant::TakesLostAnswerForDone) {
                    return Some(Put::Done(meant));
                }
                if self.is(Mutant::TakesLostAnswerForRefused) {
                    return Some(Put::Done(Snapshot { fresh: false, ..view.row }));
                }
                state.row.map(|row| Put::Again(row.read()))
            }
            _ => None,
        }
    }

    fn write(&mut self, state: &mut State, view: &View, moved: Moved) -> Snapshot {
        let before = self.facts(state);
        let sent_after = if moved.touched { view.row.sent_after & view.sent_after } else { view.row.sent_after };
        let row = Row { job: moved.job, sent_after };
        state.row = Some(row);
        state.views_mut().for_each(|view| view.row.fresh = false);
        let facts = self.jobs.facts(moved.job);
        if facts.is_final() && before.is_none_or(|before| !before.is_final()) {
            state.told = false;
            state.ended[usize::from(facts.status == Status::Failed)] = true;
        }
        if before.is_some_and(|before| before.is_final()) && !facts.is_final() {
            state.redriven = false;
        }
        row.read()
    }

    /// An owner that nobody has or remembers.
    fn fresh_owner(&self, state: &State) -> u8 {
        let mut jobs: Vec<JobRef> = state.row.iter().map(|row| row.job).collect();
        jobs.extend(state.views().map(|view| view.row.job).filter(|job| *job != JobRef::MAX));
        let is_used = |owner: u8| {
            state.workers.iter().flatten().any(|worker| worker.owner == owner)
                || jobs.iter().any(|job| self.jobs.facts(*job).owner == Some(owner))
        };
        (0..=u8::MAX).find(|owner| !is_used(*owner)).expect("few owners")
    }

    /// A work item's id that nobody has or remembers.
    pub(crate) fn fresh_work(&self, state: &State) -> u8 {
        let mut used: Vec<u8> = state.messages.iter().flatten().map(|message| message.work).collect();
        used.extend(state.workers.iter().flatten().map(|worker| worker.work));
        used.extend(state.row.and_then(|row| self.jobs.facts(row.job).work));
        for view in state.views().filter(|view| !view.row.is_none()) {
            used.extend(self.jobs.facts(view.row.job).work);
        }
        for dispatcher in state.dispatchers.iter().flatten() {
            if let DispatcherPhase::NoteQueued(work) = dispatcher.phase {
                used.push(work);
            }
        }
        for worker in state.workers.iter().flatten() {
            if let WorkerPhase::QueueAnew(_, work) | WorkerPhase::SendAnew(work) = worker.phase {
                used.push(work);
            }
        }
        (0..=u8::MAX).find(|work| !used.contains(work)).expect("few work items")
    }

    /// Makes equal what no step can tell apart any more.
    fn settle(&mut self, state: &mut State) {
        state.forget();
        let earliest = state.views().map(|view| view.now).min().unwrap_or(0);
        state.each_job(|job| self.jobs.apply(job, Move::Forget { now: earliest }).job);
        state.sort();
    }
}
