//! Time and chance in a simulation: a clock that starts at the same moment in every run, and ids that follow from the
//! seed.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use shared::ambient::Ambient;
use shared::time::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::wall_clock;

/// When every simulation begins, in microseconds since 1970: in the year 2100. The embedded DynamoDB deletes rows whose time
/// to live has passed by the machine's own clock; a run that takes a minute of that would lose rows of an earlier year.
const START: i64 = 4_102_444_800_000_000;

/// What runs now: its first moment, and its seed. A process runs one simulation at a time.
static RUN: Mutex<Option<(Instant, u64)>> = Mutex::new(None);

/// What the functions are handed.
pub(super) const AMBIENT: Ambient = Ambient { now, uuid };

/// Begins a run: from here on, the clock shows the runtime's paused time.
pub(super) fn begin(seed: u64) {
    *RUN.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), seed));
    fastrand::seed(seed);
    wall_clock::simulate(wall_clock_now);
}

/// How far the run has come.
pub(super) fn elapsed() -> std::time::Duration {
    let run = RUN.lock().unwrap_or_else(PoisonError::into_inner);
    run.as_ref().map(|(start, _)| start.elapsed()).unwrap_or_default()
}

/// Chance that is the same in every run of the seed, whatever order its tasks run in.
pub(super) fn random(purpose: &str, number: u64) -> fastrand::Rng {
    let seed = RUN.lock().unwrap_or_else(PoisonError::into_inner).map(|(_, seed)| seed).unwrap_or_default();
    let purpose = purpose.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut random = fastrand::Rng::with_seed(seed ^ purpose.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    fastrand::Rng::with_seed(random.u64(..) ^ number.wrapping_mul(0xD1B5_4A32_D192_ED03))
}

/// A future with chance of its own: the ids it draws, and the pauses of the SDK between its retries, do not depend on what
/// runs beside it.
pub(super) async fn with_chance<F: Future>(mut seed: u64, running: F) -> F::Output {
    let mut running = pin!(running);
    // Both draw from the thread's own generator, which is lent while the future runs.
    poll_fn(|context| {
        let others = fastrand::get_seed();
        fastrand::seed(seed);
        let polled = running.as_mut().poll(context);
        seed = fastrand::get_seed();
        fastrand::seed(others);
        polled
    })
    .await
}

fn now() -> Timestamp {
    Timestamp::from_micros(START) + elapsed()
}

fn wall_clock_now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(START).unwrap_or_default() + elapsed()
}

fn uuid() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid()
}
