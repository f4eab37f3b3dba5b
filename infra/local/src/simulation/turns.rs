//! Turns: whoever touches the stack does so in a millisecond of simulated time that is nobody else's.
//!
//! The stack works on real threads. Two that touched it in the same millisecond would be served now in one order, now in
//! the other. Time goes on only when nothing is left to do, so what a turn brings about is over before the next one,
//! however long its threads take. Who is next is drawn from all who wait, by the seed and the time alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::surroundings::{elapsed, random};

/// Longest that somebody is on the way before their turn can come, in milliseconds.
const LONGEST_WAY: u64 = 64;

/// Somebody who waits: a name, and a number that tells apart who has the same one.
type Place = (String, u64);

/// Who waits for a turn.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    entered: u64,
    /// Everybody's place, and the millisecond after which their turn can come.
    waiting: BTreeMap<Place, u64>,
    /// The last millisecond for which somebody was drawn, and who.
    drawn: (u64, Option<Place>),
    /// The last millisecond in which somebody had their turn.
    taken: u64,
}

impl Turns {
    /// Waits for a turn of `who`, which lasts until time goes on.
    pub(super) async fn take(&self, who: &str) {
        let now = millis();
        let from = now + random(who, now).u64(..LONGEST_WAY);
        let waiting = self.enter(who, from);
        tokio::time::sleep(Duration::from_millis(from - now)).await;
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if self.is_next(&waiting.place) {
                return;
            }
        }
    }

    fn enter(&self, who: &str, from: u64) -> Waiting<'_> {
        let mut state = self.state();
        state.entered += 1;
        let place = (who.to_owned(), state.entered);
        state.waiting.insert(place.clone(), from);
        Waiting { turns: self, place }
    }

    fn is_next(&self, place: &Place) -> bool {
        let now = millis();
        let state = &mut *self.state();
        if state.drawn.0 != now {
            // Who has come in this very millisecond may have come before or after this look.
            let able: Vec<&Place> =
                state.waiting.iter().filter(|&(_, from)| *from < now).map(|(place, _)| place).collect();
            state.drawn = (now, random("turn", now).choice(able).cloned());
        }
        let is_next = state.drawn.1.as_ref() == Some(place);
        if is_next {
            state.taken = now;
        }
        is_next
    }

    /// Whether this is somebody's turn.
    pub(super) fn is_one(&self) -> bool {
        self.state().taken == millis()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait, given up when it is dropped: a turn has come, or whoever waited has died.
struct Waiting<'a> {
    turns: &'a Turns,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.turns.state().waiting.remove(&self.place);
    }
}

fn millis() -> u64 {
    elapsed().as_millis() as u64
}
