//! What happens in the model, and what becomes of the calls that are part of it.

use shared::job::Status;

use crate::state::{Budget, DispatcherPhase, WorkerPhase};

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Upload,
    Event {
        version: u8,
    },
    /// An execution that can do nothing leaves the dispatcher the event.
    GoOnByQueue {
        worker: u8,
    },
    Reconcile,
    LookAtDeadLetter {
        message: u8,
    },
    RedriveDeadLetters,
    TimePasses {
        seconds: i16,
    },
    VisibilityEnds {
        message: u8,
    },
    ReceivedTooOften {
        message: u8,
    },
    Receive {
        worker: u8,
        message: u8,
    },
    Worker {
        worker: u8,
        phase: WorkerPhase,
        call: Call,
    },
    WorkerCrashes {
        worker: u8,
    },
    Dispatcher {
        dispatcher: u8,
        phase: DispatcherPhase,
        call: Call,
    },
    DispatcherCrashes {
        dispatcher: u8,
    },
}

/// What becomes of a call to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Answered,
    /// The answer was lost, the effect was not.
    AnswerLost,
    /// Without effect, and without an answer.
    Lost,
    /// Carried out twice.
    Doubled,
}

impl Call {
    pub(crate) const ALL: [Self; 4] = [Self::Answered, Self::AnswerLost, Self::Lost, Self::Doubled];

    /// How often it was carried out.
    pub(crate) fn times(self) -> u8 {
        match self {
            Self::Answered | Self::AnswerLost => 1,
            Self::Lost => 0,
            Self::Doubled => 2,
        }
    }

    pub(crate) fn is_answered(self) -> bool {
        matches!(self, Self::Answered | Self::Doubled)
    }
}

/// What an action did that no state shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Nothing,
    Published(Status),
    /// A worker deleted its message.
    Deleted,
    /// It would take more messages than the model has room for.
    OutOfRoom,
}

impl Action {
    /// Whether something goes wrong here.
    pub(crate) fn is_fault(self) -> bool {
        match self {
            Self::WorkerCrashes { .. } | Self::DispatcherCrashes { .. } | Self::GoOnByQueue { .. } => true,
            Self::Worker { call, .. } | Self::Dispatcher { call, .. } => call != Call::Answered,
            _ => false,
        }
    }

    /// Takes a fault out of what is left, if this is one and one is left.
    pub(crate) fn is_afforded(self, left: &mut Budget) -> bool {
        if !self.is_fault() {
            return true;
        }
        let faults = left.faults.checked_sub(1);
        left.faults = faults.unwrap_or_default();
        faults.is_some()
    }
}
