//! The part of a photo that a derivative shows.

use serde::{Deserialize, Serialize};

use super::number::Whole;

/// Longest side of a photo in any format, in pixels.
const LONGEST: u32 = i32::MAX as u32;

/// A part of the photo, in pixels of the upright source, counted from its top left corner. Whether a photo has such a part
/// is not known before its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// Columns to the left of the part.
    pub x: Whole<0, LONGEST>,
    /// Rows above it.
    pub y: Whole<0, LONGEST>,
    /// Its width.
    pub width: Whole<1, LONGEST>,
    /// Its height.
    pub height: Whole<1, LONGEST>,
}
