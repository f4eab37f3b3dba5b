//! Points in time, written one way everywhere: RFC 3339, UTC, microseconds.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time with a resolution of one microsecond.
///
/// Its text has a fixed width, so that texts sort as times do: index sort keys rely on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The machine's clock. Functions read it through [`crate::ambient::Ambient`]; everything within takes `now` as an
    /// argument.
    pub fn now() -> Self {
        Self::from_micros(Utc::now().timestamp_micros())
    }

    /// The time `micros` microseconds after 1970.
    ///
    /// Times that chrono cannot write down (beyond the year 262,000) become 1970.
    pub fn from_micros(micros: i64) -> Self {
        Self(DateTime::from_timestamp_micros(micros).unwrap_or_default())
    }

    /// Milliseconds since 1970, rounded down.
    pub fn epoch_millis(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// Seconds since 1970, rounded down.
    pub fn epoch_seconds(self) -> i64 {
        self.0.timestamp()
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).to_std().unwrap_or_default()
    }

    /// The calendar month, `2026-11`.
    pub fn month(self) -> String {
        self.0.format("%Y-%m").to_string()
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let delta = TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        Self(self.0.checked_add_signed(delta).unwrap_or(DateTime::<Utc>::MAX_UTC))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let delta = TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        Self(self.0.checked_sub_signed(delta).unwrap_or(DateTime::<Utc>::MIN_UTC))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl std::str::FromStr for Timestamp {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text).map(|time| Self::from_micros(time.timestamp_micros()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_microseconds_and_comes_back() {
        let time = Timestamp::from_micros(1_795_000_000_000_000);
        assert_eq!(time.to_string(), "2026-11-18T11:06:40.000000Z");
        assert_eq!(time.to_string().parse::<Timestamp>(), Ok(time));
        assert_eq!(Timestamp::now().to_string().len(), 27);
    }

    #[test]
    fn arithmetic_stays_in_range() {
        let time = Timestamp::from_micros(0);
        assert!(time + Duration::MAX > time);
        assert!(time - Duration::MAX < time);
        assert_eq!(time.since(time + Duration::from_secs(1)), Duration::ZERO);
    }
}
