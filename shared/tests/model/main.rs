//! A job's life, checked exhaustively: every order in which clients, events, workers, reconcile, dead letters, crashes,
//! lost answers and pauses can come, within bounds.
//!
//! The moves are those of `shared::job`, called for real. The world around them is a model of what the functions do
//! between two calls to a service, and what the services may do to them: see `steps.rs` and `world.rs`. It knows nothing
//! of pixels, of batches, and of clocks that disagree. A queue gives a message one or two receives instead of five, and a
//! job begins with some of its claims made, so that giving up comes within reach.

mod action;
mod jobs;
mod mutant;
mod properties;
mod search;
mod state;
mod steps;
mod world;

use mutant::Mutant;
use search::{Report, explore};
use state::Budget;
use world::{Bounds, Way, World};

/// One worker, one dispatcher, one photo without a slot, one receive, and nothing goes wrong.
const CALM: Bounds = Bounds {
    workers: 1,
    dispatchers: 1,
    way: Way::Direct,
    versions: 1,
    deliveries: 1,
    versioned: false,
    corrupt: false,
    receives: 1,
    attempts: 3,
    budget: Budget { faults: 0, pauses: 0, redrives: 0 },
};

const fn budget(faults: u8, pauses: u8, redrives: u8) -> Budget {
    Budget { faults, pauses, redrives }
}

const TWO_WORKERS: Bounds = Bounds { workers: 2, receives: 2, ..CALM };
const SLOT: Bounds = Bounds { way: Way::Slot, receives: 2, ..CALM };
const REPLACED: Bounds = Bounds { versions: 2, deliveries: 2, ..SLOT };
const REDRIVEN: Bounds = Bounds { budget: budget(2, 0, 1), ..CALM };
const PAUSED: Bounds = Bounds { budget: budget(1, 1, 1), receives: 1, ..TWO_WORKERS };
const LOOKED_AT: Bounds = Bounds { budget: budget(1, 0, 1), ..CALM };
const LAST_CLAIM: Bounds = Bounds { attempts: 4, ..CALM };
/// The state machine's road: an execution, and a worker should the job go on by the queue.
const RAW: Bounds = Bounds { way: Way::Raw, receives: 1, ..TWO_WORKERS };

/// What the gate goes through; small, since it is built without optimisation.
const SMALL: [(&str, Bounds); 10] = [
    ("two workers, and a fault", Bounds { budget: budget(1, 0, 0), ..TWO_WORKERS }),
    ("two workers, and pauses", Bounds { budget: budget(0, 2, 0), receives: 1, attempts: 4, ..TWO_WORKERS }),
    ("a fault, a pause and a redrive", Bounds { budget: budget(1, 1, 1), ..LAST_CLAIM }),
    ("two dispatchers, and a fault", Bounds { dispatchers: 2, budget: budget(1, 0, 0), ..LAST_CLAIM }),
    ("faults and a redrive", REDRIVEN),
    ("a corrupt photo, faults and a redrive", Bounds { corrupt: true, ..REDRIVEN }),
    ("an upload slot, and a fault", Bounds { budget: budget(1, 0, 0), ..SLOT }),
    ("a replaced photo, and events twice", REPLACED),
    ("an execution, and a fault", Bounds { budget: budget(1, 0, 0), ..RAW }),
    ("an execution, and a pause", Bounds { budget: budget(0, 1, 0), ..RAW }),
];

/// What there is time for when somebody waits for it.
const LARGE: [(&str, Bounds); 14] = [
    ("two workers, faults and a redrive", Bounds { budget: budget(2, 0, 1), ..TWO_WORKERS }),
    ("two workers, a fault and a pause", Bounds { budget: budget(1, 1, 0), ..TWO_WORKERS }),
    ("two workers, pauses and a redrive", Bounds { budget: budget(0, 2, 1), ..TWO_WORKERS }),
    ("a fault, pauses and a redrive", Bounds { budget: budget(1, 2, 1), ..LAST_CLAIM }),
    ("faults, a pause and a redrive", Bounds { budget: budget(2, 1, 1), receives: 2, ..CALM }),
    ("two workers, a fault, a pause and a redrive", PAUSED),
    ("many faults and a redrive", Bounds { budget: budget(3, 0, 1), receives: 2, ..CALM }),
    ("two dispatchers, a fault and a redrive", Bounds { dispatchers: 2, budget: budget(1, 0, 1), ..LAST_CLAIM }),
    ("two workers, two dispatchers, and a fault", Bounds { dispatchers: 2, budget: budget(1, 0, 0), ..TWO_WORKERS }),
    ("an upload slot, faults and a redrive", Bounds { budget: budget(2, 0, 1), ..SLOT }),
    ("a replaced photo, and two workers", Bounds { workers: 2, budget: budget(0, 0, 0), ..REPLACED }),
    ("an execution, faults and a redrive", Bounds { receives: 2, budget: budget(2, 0, 1), ..RAW }),
    ("an execution of a corrupt photo, and faults", Bounds { corrupt: true, budget: budget(2, 0, 0), ..RAW }),
    ("two executions, a fault and a pause", Bounds { deliveries: 2, budget: budget(1, 1, 0), ..RAW }),
];

/// Goes through everything within `bounds`.
fn run(bounds: Bounds, mutant: Option<Mutant>) -> Report {
    explore(&mut World::new(bounds, mutant))
}

#[expect(clippy::print_stdout, reason = "what the script shows")]
fn check(name: &str, bounds: Bounds) {
    let report = run(bounds, None);
    let Report { states, steps, depth, quiet, cut, time, violation } = report;
    println!("{name}: {states} states, {steps} steps, {depth} deep, {quiet} quiet, {cut} cut short, {time:.1?}");
    if let Some(violation) = violation {
        panic!("{name}: not so: {}\n{}", violation.property, violation.trace.join("\n"));
    }
    assert!(quiet > 0, "{name}: nothing ever comes to rest");
}

#[test]
fn every_property_holds_in_every_state_within_small_bounds() {
    for (name, bounds) in SMALL {
        check(name, bounds);
    }
}

#[test]
#[ignore = "takes minutes; `scripts/model` runs it"]
fn every_property_holds_in_every_state_within_large_bounds() {
    for (name, bounds) in LARGE {
        check(name, bounds);
    }
}

/// On the state machine's road, too, there is something to find.
#[test]
fn mistakes_of_executions_are_found() {
    let fault = Bounds { budget: budget(1, 0, 0), ..RAW };
    let pause = Bounds { budget: budget(0, 1, 0), deliveries: 2, ..RAW };
    check_found(Mutant::ClaimIgnoresLease, fault, "nobody takes a job from a live lease");
    check_found(Mutant::EndDropsDueTime, fault, "every unfinished row is due some time");
    check_found(Mutant::ReconcileLeavesAbandoned, fault, "from every state a quiet one can be reached");
    check_found(Mutant::TakesLostAnswerForDone, fault, "a notice only follows a final row");
    check_found(Mutant::CompletesWithoutFencingToken, pause, "nobody takes a job from a live lease");
}

/// The mistake is found, as a breach of this property.
fn check_found(mutant: Mutant, bounds: Bounds, property: &str) {
    let found = run(bounds, Some(mutant)).violation.map(|violation| violation.property);
    assert_eq!(found, Some(property), "{mutant:?}");
}

#[test]
fn every_mistake_is_found() {
    let fault = Bounds { budget: budget(1, 0, 0), ..TWO_WORKERS };
    let pauses = Bounds { attempts: 4, budget: budget(0, 2, 0), ..TWO_WORKERS };
    let late = Bounds { budget: budget(1, 2, 0), ..LAST_CLAIM };
    let resent = Bounds { budget: budget(1, 1, 0), ..CALM };
    let corrupt = Bounds { corrupt: true, ..REDRIVEN };
    for mutant in Mutant::ALL {
        let (bounds, property) = match mutant {
            Mutant::CompletesWithoutFencingToken | Mutant::CompletesWithoutClaim => {
                (pauses, "nobody takes a job from a live lease")
            }
            Mutant::CompletesOutdated => (REPLACED, "what was processed is the version that the row records"),
            Mutant::ClaimIgnoresLease | Mutant::TimesOutWithoutLeaseCheck => {
                (fault, "nobody takes a job from a live lease")
            }
            Mutant::ClaimDropsDueTime | Mutant::ReleaseDropsDueTime | Mutant::EndDropsDueTime => {
                (fault, "every unfinished row is due some time")
            }
            Mutant::RedrivesEveryFailure => (corrupt, "only legal moves happen, and COMPLETED never changes"),
            Mutant::RedrivesByLateCopy => (resent, "FAILED changes only by an explicit redrive"),
            Mutant::ClaimsByLateCopy => (PAUSED, "a job that was given up can be redriven"),
            Mutant::ExhaustsByLateCopy => (LOOKED_AT, "a job that was given up can be redriven"),
            Mutant::RedrivesByOtherWorkItem => (late, "FAILED changes only by an explicit redrive"),
            Mutant::ExhaustsByOlderWorkItem => (resent, "a job is given up by its newest work item's dead letter"),
            Mutant::ArriveTakesOlderNews => (REPLACED, "an older sequencer never overrides a newer one"),
            Mutant::WritesUnconditionally => (fault, "only legal moves happen, and COMPLETED never changes"),
            Mutant::TakesLostAnswerForDone | Mutant::AnnouncesBeforeEnd => (fault, "a notice only follows a final row"),
            Mutant::TakesLostAnswerForRefused | Mutant::DeletesBeforeEnd => {
                (fault, "nobody deletes the message of a job that he holds and has not finished")
            }
            Mutant::StoresUnfenced => (pauses, "a completed job's derivative is its last attempt's"),
            Mutant::StoresFailureUnfenced => (REDRIVEN, "a completed job's result is its last attempt's"),
            Mutant::TimesOutWithoutEvidence => (pauses, "a job that was given up can be redriven"),
            Mutant::WorkerAnnouncesTimeOut => (late, "a job that was given up can be redriven"),
            Mutant::NotesAnotherEnd => (REDRIVEN, "a final row is announced at least once"),
            Mutant::ReconcileLeavesAbandoned => (fault, "from every state a quiet one can be reached"),
            Mutant::FailsWithOtherWorkItem => (resent, "a job that was given up can be redriven"),
        };
        check_found(mutant, bounds, property);
    }
}
