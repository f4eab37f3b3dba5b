//! The part of a photo that a classifier looks at, resampled to the size it takes.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Photo;
use super::bilinear::resample;

/// How a model's authors cut photos: the short side to `resize` pixels, then the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The short side before the cut, in pixels; no smaller than the other two.
    pub resize: u32,
    /// Width of what is cut out, in pixels.
    pub width: u32,
    /// Height of what is cut out, in pixels.
    pub height: u32,
}

impl View {
    /// Length of what [`Self::of`] gives: three bytes a pixel.
    pub(crate) fn bytes(&self) -> usize {
        self.width as usize * self.height as usize * 3
    }

    /// RGB rows of the centre of the resized photo.
    pub(crate) fn of(&self, photo: &Photo) -> Vec<u8> {
        // Its real size, so that no rounding of a smaller scale shows in the shape.
        let (width, height) = (photo.width(), photo.height());
        // Cut off, not rounded, in floating point: torchvision's `Resize`.
        let long = |long: u32, short: u32| (f64::from(self.resize) * f64::from(long) / f64::from(short)) as u32;
        let size =
            if width <= height { (self.resize, long(height, width)) } else { (long(width, height), self.resize) };
        resample(photo.raster(), size, centre(size.0, self.width), centre(size.1, self.height))
    }
}

/// The middle `part` of `whole` pixels, whose start is rounded half to even: torchvision's `CenterCrop`.
fn centre(whole: u32, part: u32) -> Range<u32> {
    let start = (f64::from(whole - part) / 2.0).round_ties_even() as u32;
    start..start + part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crop_is_rounded_as_the_reference_rounds() {
        assert_eq!(centre(256, 224), 16..240);
        // 58.5 and 59.5: half to even.
        assert_eq!(centre(341, 224), 58..282);
        assert_eq!(centre(343, 224), 60..284);
    }
}
