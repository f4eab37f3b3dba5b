//! Time and chance in a simulation: a clock that starts at the same moment in every run, and ids that follow from the
//! seed.

use std::sync::Mutex;
use std::sync::PoisonError;

use chrono::{DateTime, Utc};
use shared::ambient::Ambient;
use shared::time::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::wall_clock;

/// When every simulation begins, in microseconds since 1970: in the year 2100. The embedded DynamoDB deletes rows whose time
/// to live has passed by the machine's own clock; a run that takes a minute of that would lose rows of an earlier year.
const START: i64 = 4_102_444_800_000_000;

/// What runs now: its first moment, and where its ids come from. A process runs one simulation at a time.
static RUN: Mutex<Option<(Instant, fastrand::Rng)>> = Mutex::new(None);

/// What the functions are handed.
pub(super) const AMBIENT: Ambient = Ambient { now, uuid };

/// Begins a run: from here on, the clock shows the runtime's paused time.
pub(super) fn begin(seed: u64) {
    *RUN.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), fastrand::Rng::with_seed(seed)));
    // The SDK draws the pauses between its retries from here.
    fastrand::seed(seed);
    wall_clock::simulate(wall_clock_now);
}

/// How far the run has come.
pub(super) fn elapsed() -> std::time::Duration {
    let run = RUN.lock().unwrap_or_else(PoisonError::into_inner);
    run.as_ref().map(|(start, _)| start.elapsed()).unwrap_or_default()
}

fn now() -> Timestamp {
    Timestamp::from_micros(START) + elapsed()
}

fn wall_clock_now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(START).unwrap_or_default() + elapsed()
}

fn uuid() -> Uuid {
    let mut run = RUN.lock().unwrap_or_else(PoisonError::into_inner);
    let random = run.as_mut().map(|(_, random)| random.u128(..)).unwrap_or_default();
    uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid()
}
