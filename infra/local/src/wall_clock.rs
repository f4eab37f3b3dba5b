//! The wall clock of the embedded services: the machine's, unless a simulation has put its own in its place.
//!
//! For the whole process at once, as a machine has one clock.

use std::sync::OnceLock;

use chrono::{DateTime, Utc};

static SIMULATED: OnceLock<fn() -> DateTime<Utc>> = OnceLock::new();

/// What the clock shows.
pub(crate) fn now() -> DateTime<Utc> {
    simulated().unwrap_or_else(Utc::now)
}

/// What the simulation's clock shows, if there is one.
pub(crate) fn simulated() -> Option<DateTime<Utc>> {
    SIMULATED.get().map(|now| now())
}

/// The same in milliseconds since 1970.
pub(crate) fn now_millis() -> i64 {
    now().timestamp_millis()
}

/// Reads `now` from here on. Only the first call counts.
pub(crate) fn simulate(clock: fn() -> DateTime<Utc>) {
    // OK to ignore: a process simulates with one clock.
    let _ = SIMULATED.set(clock);
}
