//! The box that a derivative is made to fit, and how.

use serde::{Deserialize, Serialize};

use super::color::Color;
use super::number::Whole;
use super::{MAX_SIDE, RecipeError};
use crate::object::Object;

/// The box a derivative is made to fit, in pixels of the upright picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Object<ResizeFields>", into = "ResizeFields")]
pub struct Resize {
    /// Width of the box, 1–[`MAX_SIDE`].
    pub width: Option<u32>,
    /// Height of the box, 1–[`MAX_SIDE`].
    pub height: Option<u32>,
    /// How a photo of another shape fits.
    pub fit: Fit,
    /// Whether a photo smaller than the box grows.
    pub enlarge: bool,
    /// What [`Fit::Contain`] fills the rest of the box with.
    pub background: Color,
}

/// How a photo of one shape fits a box of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// As large as fits; nothing is cut, nothing padded.
    #[default]
    Inside,
    /// Fills the box; what stands over is cut off evenly.
    Cover,
    /// As large as fits, in the middle of a box that is always full size.
    Contain,
    /// Takes the box's shape exactly and distorts the photo.
    Fill,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResizeFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<Whole<1, MAX_SIDE>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    height: Option<Whole<1, MAX_SIDE>>,
    #[serde(default)]
    fit: Fit,
    #[serde(default)]
    enlarge: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    background: Option<Color>,
}

impl TryFrom<Object<ResizeFields>> for Resize {
    type Error = RecipeError;

    fn try_from(Object(fields): Object<ResizeFields>) -> Result<Self, RecipeError> {
        let ResizeFields { width, height, fit, enlarge, background } = fields;
        if background.is_some() && fit != Fit::Contain {
            return Err(RecipeError::NoBackground);
        }
        match (fit, width, height) {
            (_, None, None) => Err(RecipeError::NoSize),
            (Fit::Inside, ..) | (_, Some(_), Some(_)) => Ok(Self {
                width: width.map(Whole::get),
                height: height.map(Whole::get),
                fit,
                enlarge,
                background: background.unwrap_or(Color::WHITE),
            }),
            _ => Err(RecipeError::NeedsBox),
        }
    }
}

impl From<Resize> for ResizeFields {
    fn from(Resize { width, height, fit, enlarge, background }: Resize) -> Self {
        Self {
            width: width.and_then(Whole::new),
            height: height.and_then(Whole::new),
            fit,
            enlarge,
            background: (fit == Fit::Contain).then_some(background),
        }
    }
}
