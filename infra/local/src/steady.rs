//! A wall clock that never runs backwards.
//!
//! What waits for a time (a message that is hidden, say) would wait a day too long if somebody set the machine's clock
//! back by a day meanwhile. Here it waits as long as it was meant to. A clock that jumps ahead, as after a laptop's
//! sleep, is followed.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use chrono::Utc;

use crate::wall_clock;

/// A time that the clock showed, and when: it has not been set back since.
static ANCHOR: Mutex<Option<(i64, Instant)>> = Mutex::new(None);

/// Milliseconds since 1970, and no fewer than at the last call.
pub(crate) fn now() -> i64 {
    if let Some(simulated) = wall_clock::simulated() {
        return simulated.timestamp_millis();
    }
    let mut anchor = ANCHOR.lock().unwrap_or_else(PoisonError::into_inner);
    let (wall, instant) = (Utc::now().timestamp_millis(), Instant::now());
    let now = after(anchor.map(|(shown, at)| (shown, instant.duration_since(at).as_millis() as i64)), wall);
    if now == wall {
        *anchor = Some((wall, instant));
    }
    now
}

/// The time, when the clock shows `wall`, and `elapsed` milliseconds after it had `shown` another.
fn after(anchor: Option<(i64, i64)>, wall: i64) -> i64 {
    anchor.map_or(wall, |(shown, elapsed)| wall.max(shown + elapsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_when_the_clock_is_set_back_and_follows_it_ahead() {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        assert_eq!(after(None, DAY), DAY);
        assert_eq!(after(Some((DAY, 10)), 0), DAY + 10);
        assert_eq!(after(Some((DAY, 10)), 2 * DAY), 2 * DAY);
        let earlier = now();
        assert!(now() >= earlier);
    }
}
