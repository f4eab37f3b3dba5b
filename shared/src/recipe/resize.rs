//! The box that a derivative is made to fit, and how.

use serde::{Deserialize, Serialize};

use super::{MAX_SIDE, RecipeError, in_range};
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
    /// Takes the box's shape exactly and distorts the photo.
    Fill,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResizeFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(default)]
    fit: Fit,
    #[serde(default)]
    enlarge: bool,
}

impl TryFrom<Object<ResizeFields>> for Resize {
    type Error = RecipeError;

    fn try_from(Object(fields): Object<ResizeFields>) -> Result<Self, RecipeError> {
        let ResizeFields { width, height, fit, enlarge } = fields;
        for side in [width, height].into_iter().flatten() {
            in_range(f64::from(side), 1.0, f64::from(MAX_SIDE))?;
        }
        match (fit, width, height) {
            (_, None, None) => Err(RecipeError::NoSize),
            (Fit::Inside, ..) | (_, Some(_), Some(_)) => Ok(Self { width, height, fit, enlarge }),
            _ => Err(RecipeError::NeedsBox),
        }
    }
}

impl From<Resize> for ResizeFields {
    fn from(Resize { width, height, fit, enlarge }: Resize) -> Self {
        Self { width, height, fit, enlarge }
    }
}
