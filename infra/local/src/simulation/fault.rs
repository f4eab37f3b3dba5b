//! What can go wrong with a call to AWS, and which call it goes wrong with.

use std::collections::{BTreeMap, HashMap};

use super::call::Call;

/// Something that goes wrong with a call, at every try of it unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The connection is refused: nothing was sent.
    NotSent,
    /// No connection within the time for it.
    ConnectTimeout,
    /// 403: a permission is missing.
    Denied,
    /// 403: the credentials have expired.
    CredentialsExpired,
    /// 500.
    Malfunction,
    /// Too many requests.
    Throttled,
    /// Somebody else is writing the same at this moment.
    Conflict,
    /// Done, but the first answer is lost; a second try gets one.
    FirstAnswerLost,
    /// Done, but no answer ever comes back.
    AnswerLost,
    /// Done, but the answer takes longer than anybody waits.
    Slow,
    /// Done, but the answer ends in the middle.
    CutOff,
    /// Done, but the answer makes no sense.
    Garbled,
    /// The network delivers the request twice.
    Twice,
    /// A read from an index that has not heard of anything yet.
    StaleIndex,
    /// The caller stands still until a job is claimed, or for longer than any lease, and then goes on.
    Pause,
    /// The caller's process dies just before.
    CrashBefore,
    /// The caller's process dies just after.
    CrashAfter,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 17] = [
        Self::NotSent,
        Self::ConnectTimeout,
        Self::Denied,
        Self::CredentialsExpired,
        Self::Malfunction,
        Self::Throttled,
        Self::Conflict,
        Self::FirstAnswerLost,
        Self::AnswerLost,
        Self::Slow,
        Self::CutOff,
        Self::Garbled,
        Self::Twice,
        Self::StaleIndex,
        Self::Pause,
        Self::CrashBefore,
        Self::CrashAfter,
    ];

    /// Whether a call of this kind can meet this fault.
    pub fn fits(self, operation: &str) -> bool {
        match self {
            Self::StaleIndex => operation == "DynamoDB.Query",
            Self::Conflict => matches!(operation, "S3.PUT" | "DynamoDB.PutItem"),
            _ => true,
        }
    }
}

/// Which calls go wrong, and how.
#[derive(Clone, Debug)]
pub enum Plan {
    /// None.
    Nothing,
    /// The call of this number, counted over the whole run.
    One(u32, Fault),
    /// Calls drawn by the seed: each with this probability, at most so many, until so many seconds have passed.
    Drawn {
        /// Seed of the draw.
        seed: u64,
        /// From 0 to 1.
        probability: f64,
        /// Faults at most.
        at_most: u32,
        /// Seconds of simulated time.
        until: u64,
    },
}

/// The plan as it is carried out.
#[derive(Debug)]
pub(super) struct Faults {
    plan: Plan,
    /// An operation that fails until so many seconds have passed.
    outage: Option<(&'static str, u64)>,
    /// The fault of each call that has one, by the SDK's id of the call.
    chosen: HashMap<String, (Fault, u32)>,
    /// How many calls met each fault.
    pub(super) met: BTreeMap<Fault, u32>,
}

impl Faults {
    pub(super) fn new(plan: Plan, outage: Option<(&'static str, u64)>) -> Self {
        Self { plan, outage, chosen: HashMap::new(), met: BTreeMap::new() }
    }

    /// The fault of this try of a call, if it has one.
    pub(super) fn of(&mut self, call: &Call, second: u64) -> Option<Fault> {
        if let Some((fault, tries)) = self.chosen.get_mut(&call.id) {
            *tries += 1;
            let again = !matches!(fault, Fault::FirstAnswerLost | Fault::Twice | Fault::Pause | Fault::StaleIndex);
            return Some(*fault).filter(|_| again);
        }
        let fault = match &self.plan {
            Plan::Nothing => None,
            Plan::One(number, fault) => (*number == call.number).then_some(*fault),
            Plan::Drawn { seed, probability, at_most, until } => {
                let mut random =
                    fastrand::Rng::with_seed(seed ^ u64::from(call.number).wrapping_mul(0x9E37_79B9_7F4A_7C15));
                let met: u32 = self.met.values().sum();
                (second < *until && met < *at_most && random.f64() < *probability)
                    .then(|| Fault::ALL[random.usize(..Fault::ALL.len())])
            }
        };
        let Some(fault) = fault.filter(|fault| fault.fits(&call.operation)) else {
            let is_down = self.outage.is_some_and(|(operation, until)| call.operation == operation && second < until);
            return is_down.then_some(Fault::Malfunction);
        };
        self.chosen.insert(call.id.clone(), (fault, 1));
        *self.met.entry(fault).or_default() += 1;
        Some(fault)
    }
}
