//! What a function takes from its surroundings besides its event: the time, and randomness.
//!
//! Both are handed in when a function is made, so that a whole run can be repeated to the byte. Nothing else in the
//! functions reads a clock or draws an id.

use uuid::Uuid;

use crate::time::Timestamp;

/// Where the time and random ids come from.
#[derive(Clone, Copy, Debug)]
pub struct Ambient {
    /// The wall clock.
    pub now: fn() -> Timestamp,
    /// A fresh UUID, like no other.
    pub uuid: fn() -> Uuid,
}

impl Ambient {
    /// The machine's clock and its random numbers.
    pub const REAL: Self = Self { now: Timestamp::now, uuid: Uuid::new_v4 };

    /// What the wall clock shows.
    pub fn now(self) -> Timestamp {
        (self.now)()
    }

    /// A fresh UUID.
    pub fn uuid(self) -> Uuid {
        (self.uuid)()
    }
}
