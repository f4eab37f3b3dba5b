//! A state of the model: the job's row, and the world around it.

use crate::action::Call;
use crate::jobs::{Claim, JobRef, Told};

/// Most messages at once, dead letters included.
pub(crate) const MESSAGES: usize = 5;

/// What a worker has for a message that has none: it is an execution of the state machine.
pub(crate) const NO_MESSAGE: u8 = u8::MAX;

/// Most versions of the photo.
pub(crate) const VERSIONS: usize = 2;

/// A set of messages, one bit each.
pub(crate) type MessageSet = u8;

/// Everything that is so at one moment. Versions of the photo are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) row: Option<Row>,
    pub(crate) messages: [Option<Message>; MESSAGES],
    pub(crate) workers: [Option<Worker>; 2],
    pub(crate) dispatchers: [Option<Dispatcher>; 2],
    /// The version that stands under the photo's key; 0 while nothing does.
    pub(crate) uploaded: u8,
    /// How often each version's event may still be delivered. None of them has to be.
    pub(crate) events: [u8; VERSIONS],
    /// The derivative that is stored.
    pub(crate) derivative: Option<Stored>,
    /// The result document that is stored; its version is absent for a failed job.
    pub(crate) result: Option<Stored>,
    /// Whether the job's end was announced.
    pub(crate) told: bool,
    /// Whether the job was ever COMPLETED, and FAILED.
    pub(crate) ended: [bool; 2],
    /// Whether a person has redriven dead letters without the job having been started anew since: it was not over then.
    pub(crate) redriven: bool,
    /// How often a person has redriven dead letters.
    pub(crate) redrives: u8,
    /// What may still go wrong, and what a person may still do.
    pub(crate) left: Budget,
}

/// How much may still happen that nothing else bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Crashes, failed calls, lost answers, and requests that are carried out twice.
    pub(crate) faults: u8,
    /// Times that a pause lets time pass, or a message come back, while somebody is busy.
    pub(crate) pauses: u8,
    /// Moves of all dead letters back to the queue.
    pub(crate) redrives: u8,
}

/// The job's row in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) job: JobRef,
    /// The messages that were sent after the job's last move.
    pub(crate) sent_after: MessageSet,
}

/// A row as somebody has read or written it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Snapshot {
    pub(crate) job: JobRef,
    pub(crate) sent_after: MessageSet,
    /// Whether it still has the table's revision. Revisions only grow, so once lost this is lost for good.
    pub(crate) fresh: bool,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Queue,
    InFlight,
    DeadLetterQueue,
}

/// A message of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Message {
    pub(crate) work: u8,
    pub(crate) place: Place,
    pub(crate) receives: u8,
    /// The worker that received it last, if that still is at it.
    pub(crate) holder: Option<u8>,
    /// Whether a person has put it back from the dead-letter queue.
    pub(crate) redriven: bool,
    /// How often a person had redriven dead letters when it was sent.
    pub(crate) redrives: u8,
}

/// What is stored under one key, with its fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stored {
    pub(crate) attempt: u8,
    pub(crate) is_end: bool,
    pub(crate) version: Option<u8>,
}

/// What a worker or a dispatcher goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct View {
    pub(crate) row: Snapshot,
    /// The time it has taken, in seconds from the present: never later than that.
    pub(crate) now: i16,
    /// The messages that were sent after it took the time.
    pub(crate) sent_after: MessageSet,
}

/// A worker at a message, or at a stage of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Worker {
    pub(crate) phase: WorkerPhase,
    pub(crate) view: View,
    pub(crate) owner: u8,
    pub(crate) message: u8,
    pub(crate) work: u8,
    pub(crate) receives: u8,
    pub(crate) redriven: bool,
    pub(crate) redrives: u8,
}

/// What a worker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum WorkerPhase {
    /// Make the row of a version that came, if there is none: how an execution begins.
    Begin(u8),
    Redrive,
    Claim,
    Fetch(Claim),
    Store(Claim, u8),
    Conclude(Claim, Conclusion),
    Release(Claim),
    /// Begin again with a new work item, and send that.
    QueueAnew(Claim, u8),
    SendAnew(u8),
    Publish {
        delete: bool,
    },
    NoteAnnounced {
        told: Told,
        delete: bool,
    },
    Leave {
        delete: bool,
    },
}

/// What a worker came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Conclusion {
    /// Made of this version.
    Completed(u8),
    /// This version stands under the key now.
    Replaced(u8),
    /// The photo is bad.
    Corrupt,
    /// It was the message's last receive.
    Exhausted,
}

/// An invocation of the dispatcher: about an event, a due row or a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Dispatcher {
    pub(crate) phase: DispatcherPhase,
    pub(crate) view: View,
    /// Whether reconcile runs, which looks again later at what it could not mend.
    pub(crate) reconciles: bool,
}

/// What a dispatcher does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum DispatcherPhase {
    /// Note that a version arrived.
    Arrive(u8),
    Send,
    NoteQueued(u8),
    /// Ask for the object's head.
    Head,
    /// Note what it said.
    Found(Option<u8>),
    TimeOut,
    LayDown,
    /// Read the row of a dead letter that was received.
    Look {
        message: u8,
        work: u8,
        redrives: u8,
    },
    Judge {
        message: u8,
        work: u8,
        redrives: u8,
        reread: bool,
    },
    Publish,
    NoteAnnounced(Told),
    LookAgainLater,
}

impl Row {
    pub(crate) fn read(self) -> Snapshot {
        Snapshot { job: self.job, sent_after: self.sent_after, fresh: true }
    }
}

impl Snapshot {
    /// Of no row.
    pub(crate) const NONE: Self = Self { job: JobRef::MAX, sent_after: 0, fresh: false };

    pub(crate) fn is_none(self) -> bool {
        self.job == JobRef::MAX
    }
}

impl Stored {
    /// Whether it may be written over by `later`, which may be the same once more.
    pub(crate) fn gives_way_to(self, later: Self) -> bool {
        (self.attempt, self.is_end) <= (later.attempt, later.is_end)
    }
}

impl Worker {
    pub(crate) fn is_execution(&self) -> bool {
        self.message == NO_MESSAGE
    }
}

impl State {
    /// Whether somebody is at work, or a message waits to be received.
    pub(crate) fn is_busy(&self) -> bool {
        self.views().next().is_some() || self.messages.iter().flatten().any(|message| message.place == Place::Queue)
    }

    pub(crate) fn views(&self) -> impl Iterator<Item = &View> {
        let workers = self.workers.iter().flatten().map(|worker| &worker.view);
        workers.chain(self.dispatchers.iter().flatten().map(|dispatcher| &dispatcher.view))
    }

    pub(crate) fn views_mut(&mut self) -> impl Iterator<Item = &mut View> {
        let workers = self.workers.iter_mut().flatten().map(|worker| &mut worker.view);
        workers.chain(self.dispatchers.iter_mut().flatten().map(|dispatcher| &mut dispatcher.view))
    }

    /// Puts something else in the place of every job, wherever it is known.
    pub(crate) fn each_job(&mut self, mut change: impl FnMut(JobRef) -> JobRef) {
        if let Some(row) = &mut self.row {
            row.job = change(row.job);
        }
        for view in self.views_mut().filter(|view| !view.row.is_none()) {
            view.row.job = change(view.row.job);
        }
    }

    /// Puts a work item into a queue, now: after every move and every look at the clock so far. `None` if there is no
    /// room for it.
    pub(crate) fn send(&mut self, work: u8, place: Place, redriven: bool) -> Option<()> {
        let is_known = |slot: usize| {
            let mut workers = self.workers.iter().flatten();
            self.messages[slot].is_some() || workers.any(|worker| usize::from(worker.message) == slot)
        };
        let slot = (0..MESSAGES).find(|slot| !is_known(*slot))?;
        let message = Message { work, place, receives: 0, holder: None, redriven, redrives: self.redrives };
        self.messages[slot] = Some(message);
        self.row.iter_mut().for_each(|row| row.sent_after |= 1 << slot);
        for view in self.views_mut() {
            view.row.sent_after |= 1 << slot;
            view.sent_after |= 1 << slot;
        }
        Some(())
    }

    /// Sends a work item as often as the call is carried out; `None` if there is no room for it.
    pub(crate) fn send_by(&mut self, call: Call, work: u8, place: Place) -> Option<()> {
        (0..call.times()).try_for_each(|_| self.send(work, place, false))
    }

    /// The worker is no longer there, and so its message has no holder.
    pub(crate) fn worker_is_gone(&mut self, worker: usize) {
        self.workers[worker] = None;
        for message in self.messages.iter_mut().flatten() {
            message.holder = message.holder.filter(|holder| usize::from(*holder) != worker);
        }
    }

    /// Forgets whatever nobody will ask for: times and rows that somebody has done with, messages that are gone.
    pub(crate) fn forget(&mut self) {
        let mut known: MessageSet = 0;
        for (slot, message) in self.messages.iter().enumerate() {
            known |= u8::from(message.is_some()) << slot;
        }
        for worker in self.workers.iter_mut().flatten() {
            match worker.phase {
                WorkerPhase::Redrive => known |= 1 << worker.message,
                WorkerPhase::Fetch(_) | WorkerPhase::Store(..) => {
                    (worker.view.now, worker.view.sent_after) = (0, 0);
                }
                WorkerPhase::Leave { .. } => worker.view = View { row: Snapshot::NONE, now: 0, sent_after: 0 },
                _ => {}
            }
        }
        self.row.iter_mut().for_each(|row| row.sent_after &= known);
        for view in self.views_mut() {
            view.row.sent_after &= known;
            view.sent_after &= known;
        }
    }

    /// Brings workers and dispatchers into one order: it makes no difference which is which.
    pub(crate) fn sort(&mut self) {
        if self.workers[0] < self.workers[1] {
            self.workers.swap(0, 1);
            for message in self.messages.iter_mut().flatten() {
                message.holder = message.holder.map(|holder| 1 - holder);
            }
        }
        if self.dispatchers[0] < self.dispatchers[1] {
            self.dispatchers.swap(0, 1);
        }
    }

    /// Whether the worker's receipt of its message is still the latest.
    pub(crate) fn is_held(&self, index: usize, worker: &Worker) -> bool {
        let message = self.messages.get(usize::from(worker.message)).copied().flatten();
        message.is_some_and(|message| message.holder == Some(index as u8))
    }

    /// Whether somebody looks at this dead letter, which hides it from everybody else.
    pub(crate) fn is_looked_at(&self, slot: usize) -> bool {
        self.dispatchers.iter().flatten().any(|this| match this.phase {
            DispatcherPhase::Look { message, .. } | DispatcherPhase::Judge { message, .. } => {
                usize::from(message) == slot
            }
            _ => false,
        })
    }

    /// The dead letters, and where they are. A redrive takes those as well that somebody looks at.
    pub(crate) fn all_letters(&self) -> impl Iterator<Item = (usize, Message)> {
        let messages = self.messages.iter().enumerate().filter_map(|(slot, message)| Some((slot, (*message)?)));
        messages.filter(|(_, message)| message.place == Place::DeadLetterQueue)
    }

    /// The dead letters that can be received, and where they are.
    pub(crate) fn letters(&self) -> impl Iterator<Item = (usize, Message)> {
        self.all_letters().filter(|(slot, _)| !self.is_looked_at(*slot))
    }
}
