//! What is drawn over a derivative, where, and in which colour.

use serde::{Deserialize, Serialize};

use super::{MAX_WATERMARK_CHARS, RecipeError, in_range};

/// A watermark of the client's own, or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WatermarkField", into = "WatermarkField")]
pub enum WatermarkChoice {
    /// `false`: not even the configured one.
    Off,
    /// Drawn over the derivative.
    On(Watermark),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WatermarkField {
    Switch(bool),
    On(Watermark),
}

impl TryFrom<WatermarkField> for WatermarkChoice {
    type Error = RecipeError;

    fn try_from(field: WatermarkField) -> Result<Self, RecipeError> {
        match field {
            WatermarkField::Switch(false) => Ok(Self::Off),
            WatermarkField::Switch(true) => Err(RecipeError::BadWatermark),
            WatermarkField::On(watermark) => Ok(Self::On(watermark)),
        }
    }
}

impl From<WatermarkChoice> for WatermarkField {
    fn from(choice: WatermarkChoice) -> Self {
        match choice {
            WatermarkChoice::Off => Self::Switch(false),
            WatermarkChoice::On(watermark) => Self::On(watermark),
        }
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

/// Text of a watermark: 1–[`MAX_WATERMARK_CHARS`] characters, none of them a control character.
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
        Ok(Self(text))
    }
}

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
        in_range(value, 0.0, 1.0).map(Self)
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
