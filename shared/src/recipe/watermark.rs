//! What is drawn over a derivative, where, and in which colour.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::color::Color;
use super::font::missing_glyph;
use super::number::Number;
use super::{MAX_WATERMARK_CHARS, RecipeError};

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

/// Drawn over a derivative. What is absent takes the configured watermark's value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WatermarkFields", into = "WatermarkFields")]
pub struct Watermark {
    /// What is drawn.
    pub content: Option<Content>,
    /// Where it stands.
    pub position: Option<Position>,
    /// From 0 (invisible) to 1 (solid).
    pub opacity: Option<Number<0, 1>>,
    /// Height of a line of text, or of the image, as a fraction of the derivative's short side.
    pub size: Option<Number<0, 1>>,
    /// Distance from the edges, and between tiles, as a fraction of the short side.
    pub margin: Option<Number<0, 1>>,
    /// Colour of the letters.
    pub color: Option<Color>,
    /// What the letters are set off by.
    pub outline: Option<Outline>,
}

/// What a watermark shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A line of text.
    Text(WatermarkText),
    /// A configured picture.
    Image(ImageName),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WatermarkFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<WatermarkText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<ImageName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opacity: Option<Number<0, 1>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<Number<0, 1>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    margin: Option<Number<0, 1>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    color: Option<Color>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outline: Option<Outline>,
}

impl TryFrom<WatermarkFields> for Watermark {
    type Error = RecipeError;

    fn try_from(fields: WatermarkFields) -> Result<Self, RecipeError> {
        let WatermarkFields { text, image, position, opacity, size, margin, color, outline } = fields;
        if image.is_some() && (color.is_some() || outline.is_some()) {
            return Err(RecipeError::NoLetters);
        }
        let content = match (text, image) {
            (Some(_), Some(_)) => return Err(RecipeError::TextAndImage),
            (text, image) => text.map(Content::Text).or(image.map(Content::Image)),
        };
        Ok(Self { content, position, opacity, size, margin, color, outline })
    }
}

impl From<Watermark> for WatermarkFields {
    fn from(watermark: Watermark) -> Self {
        let Watermark { content, position, opacity, size, margin, color, outline } = watermark;
        let (text, image) = match content {
            Some(Content::Text(text)) => (Some(text), None),
            Some(Content::Image(image)) => (None, Some(image)),
            None => (None, None),
        };
        Self { text, image, position, opacity, size, margin, color, outline }
    }
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
    /// Everywhere, again and again.
    Tile,
}

/// What sets letters off from a ground of their own colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outline {
    /// `false`: nothing.
    Off,
    /// A soft line of this colour around them.
    On(Color),
}

impl Serialize for Outline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::On(color) => color.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Outline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OutlineVisitor)
    }
}

struct OutlineVisitor;

impl Visitor<'_> for OutlineVisitor {
    type Value = Outline;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a colour as #rrggbb, or false for no outline")
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<Outline, E> {
        if on { Err(E::invalid_value(Unexpected::Bool(on), &self)) } else { Ok(Outline::Off) }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Outline, E> {
        Color::try_from(text.to_owned()).map(Outline::On).map_err(E::custom)
    }
}

/// Text of a watermark: 1–[`MAX_WATERMARK_CHARS`] characters, none of them a control character, all of them in
/// Noto Sans Bold.
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

/// Name of a PNG file among the worker's watermark images: 1–64 of letters, digits, `-`, `_` and `.`, no dot first, `.png`
/// last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ImageName(String);

impl ImageName {
    /// The file's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ImageName {
    type Error = RecipeError;

    fn try_from(name: String) -> Result<Self, RecipeError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let ends = name.strip_suffix(".png").is_some_and(|stem| !stem.is_empty()) && !name.starts_with('.');
        if ends && name.len() <= 64 && name.bytes().all(plain) {
            Ok(Self(name))
        } else {
            Err(RecipeError::BadImageName)
        }
    }
}
