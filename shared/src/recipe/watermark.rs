//! What is drawn over a derivative, where, and in which colour.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::font::missing_glyph;
use super::{MAX_WATERMARK_CHARS, RecipeError, in_range};

/// A watermark of the client's own, or none.
#[derive(Clone, Debug, PartialEq)]
pub enum WatermarkChoice {
    /// `false`: not even the configured one.
    Off,
    /// Drawn over the derivative.
    On(Watermark),
}

impl Serialize for WatermarkChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::On(watermark) => watermark.serialize(serializer),
        }
    }
}

// Not an untagged enum: that would say "no variant matched" of a misspelt option instead of naming it.
impl<'de> Deserialize<'de> for WatermarkChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChoiceVisitor)
    }
}

struct ChoiceVisitor;

impl<'de> Visitor<'de> for ChoiceVisitor {
    type Value = WatermarkChoice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or false for no watermark")
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<WatermarkChoice, E> {
        if on { Err(E::invalid_value(Unexpected::Bool(on), &self)) } else { Ok(WatermarkChoice::Off) }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WatermarkChoice, A::Error> {
        Watermark::deserialize(MapAccessDeserializer::new(map)).map(WatermarkChoice::On)
    }
}

/// A text drawn over a derivative. What is absent takes the configured watermark's value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Watermark {
    /// What is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<WatermarkText>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// From 0 (invisible) to 1 (solid).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opacity: Option<Fraction>,
    /// Height of a line of text as a fraction of the derivative's short side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Fraction>,
    /// Distance from the edges as a fraction of the short side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Fraction>,
    /// Colour of the letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
}

/// Where a watermark stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the nine places are named by their names")]
pub enum Position {
    TopLeft,
    Top,
    TopRight,
    Left,
    Center,
    Right,
    BottomLeft,
    Bottom,
    #[default]
    BottomRight,
}

/// Text of a watermark: 1–[`MAX_WATERMARK_CHARS`] characters, none of them a control character, all of them in
/// [`FONT`](super::FONT).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct WatermarkText(String);

impl WatermarkText {
    /// The text as it is drawn.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WatermarkText {
    type Error = RecipeError;

    fn try_from(text: String) -> Result<Self, RecipeError> {
        let length = text.chars().count();
        if text.trim().is_empty() || length > MAX_WATERMARK_CHARS || text.chars().any(char::is_control) {
            return Err(RecipeError::BadText);
        }
        if let Some(c) = missing_glyph(&text) {
            return Err(RecipeError::MissingGlyph(c));
        }
        Ok(Self(text))
    }
}

/// Fractions below this are zero: nobody would see a difference, and `DynamoDB` keeps no number below 1e-130.
const LEAST_FRACTION: f64 = 1e-9;

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Fraction(f64);

impl Fraction {
    /// The number itself.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Fraction {
    type Error = RecipeError;

    fn try_from(value: f64) -> Result<Self, RecipeError> {
        in_range(value, 0.0, 1.0).map(|value| Self(if value < LEAST_FRACTION { 0.0 } else { value }))
    }
}

/// An opaque sRGB colour, written `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Color(pub [u8; 3]);

impl TryFrom<String> for Color {
    type Error = RecipeError;

    fn try_from(text: String) -> Result<Self, RecipeError> {
        let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = digits.and_then(|d| u32::from_str_radix(d, 16).ok()).ok_or(RecipeError::BadColor)?;
        let [_, r, g, b] = value.to_be_bytes();
        Ok(Self([r, g, b]))
    }
}

impl From<Color> for String {
    fn from(Color([r, g, b]): Color) -> Self {
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}
