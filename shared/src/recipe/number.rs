//! Numbers within their ranges. What is outside, or no number at all, is refused where it stands in the JSON.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Below this a number is zero: nobody would see a difference, and `DynamoDB` keeps no number below 1e-130.
const LEAST: f64 = 1e-9;

/// A number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
pub struct Number<const MIN: i32, const MAX: i32>(f64);

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: i32, const MAX: i32> Number<MIN, MAX> {
    /// The number itself.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// The number, if it is in its range.
    pub const fn new(value: u32) -> Option<Self> {
        if MIN <= value && value <= MAX { Some(Self(value)) } else { None }
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<'de, const MIN: i32, const MAX: i32> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(NumberVisitor)
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(WholeVisitor)
    }
}

struct NumberVisitor<const MIN: i32, const MAX: i32>;

impl<const MIN: i32, const MAX: i32> Visitor<'_> for NumberVisitor<MIN, MAX> {
    type Value = Number<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number from {MIN} to {MAX}")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        if (f64::from(MIN)..=f64::from(MAX)).contains(&value) {
            Ok(Number(if value.abs() < LEAST { 0.0 } else { value }))
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        let small = u32::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))?;
        self.visit_f64(f64::from(small))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        let small = i32::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))?;
        self.visit_f64(f64::from(small))
    }
}

struct WholeVisitor<const MIN: u32, const MAX: u32>;

impl<const MIN: u32, const MAX: u32> Visitor<'_> for WholeVisitor<MIN, MAX> {
    type Value = Whole<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        let whole = u32::try_from(value).ok().and_then(Whole::new);
        whole.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        let unsigned = u64::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))?;
        self.visit_u64(unsigned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_to_their_ranges() {
        let number =
            |json: &str| serde_json::from_str::<Number<-1, 2>>(json).map(Number::get).map_err(|e| e.to_string());
        for (json, expected) in [("-1", -1.0), ("2", 2.0), ("0.5", 0.5), ("-1.0", -1.0), ("1e-131", 0.0), ("-0.0", 0.0)]
        {
            assert_eq!(number(json), Ok(expected), "{json}");
        }
        assert!(number("-0.0").unwrap().is_sign_positive(), "no table keeps a negative zero");
        for json in ["-1.1", "3", "1e300", "-9223372036854775808", "18446744073709551615", r#""1""#, "null", "[1]"] {
            let message = number(json).unwrap_err();
            assert!(message.contains("a number from -1 to 2"), "{json}: {message}");
        }
    }

    #[test]
    fn whole_numbers_keep_to_theirs() {
        let whole = |json: &str| serde_json::from_str::<Whole<1, 9>>(json).map(Whole::get).map_err(|e| e.to_string());
        assert_eq!((whole("1"), whole("9")), (Ok(1), Ok(9)));
        for json in ["0", "10", "-1", "1.5", "2.0", "4294967297", r#""2""#, "true"] {
            let message = whole(json).unwrap_err();
            assert!(message.contains("a whole number from 1 to 9"), "{json}: {message}");
        }
    }
}
