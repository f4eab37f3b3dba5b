//! A file's format and size and what decoding it takes, read from its header before anything is allocated for pixels.
//!
//! Limits precede decoding: a PNG of 40 kilobytes can claim thirty gigapixels. Where a format tells how many pixels its
//! bytes can stand for at most, a file of fewer bytes is refused here as well.

use image::metadata::Orientation;
use shared::format::Format;

use super::sniff::sniff;
use super::{ImageError, bmp, gif, ifd, jpeg, orientation, png, profile, webp};

/// What a file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The format, by content.
    pub format: Format,
    /// What it claims to hold.
    pub claim: Claim,
    /// How the camera was held.
    pub orientation: Orientation,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// Length of the colour profile, at most, in bytes; zero if there is none.
    pub profile: u64,
}

/// What a format's header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Width as stored, before any EXIF orientation, in pixels; at least 1.
    pub width: u32,
    /// Height as stored, in pixels; at least 1.
    pub height: u32,
    /// Bytes a pixel in memory: 3, or 4 where there may be an alpha channel.
    pub channels: u64,
    /// The most memory that decoding takes at once, the pixels included and the file not, in bytes.
    pub decoding: u64,
    /// The least bytes that can stand for so many pixels in this format. A file may be longer in vain.
    pub least: u64,
}

impl Claim {
    /// Number of pixels.
    pub(crate) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

impl Header {
    /// Reads the header, and refuses what is no image, damaged, or larger than `max_pixels`.
    pub(crate) fn read(bytes: &[u8], max_pixels: u64) -> Result<Self, ImageError> {
        let format = sniff(bytes)?;
        let claim = match format {
            Format::Jpeg => {
                let survey = jpeg::survey(bytes)?;
                let claim = survey.claim();
                check_size(format, &claim, max_pixels)?;
                survey.check()?;
                claim
            }
            Format::Png => png::survey(bytes)?,
            Format::Webp => webp::survey(bytes),
            Format::Gif => gif::survey(bytes)?,
            Format::Bmp => bmp::survey(bytes)?,
            Format::Tiff => ifd::survey(bytes)?,
            Format::Avif => return Err(ImageError::UnsupportedFormat { detected: "AVIF" }),
        };
        check_size(format, &claim, max_pixels)?;
        if (bytes.len() as u64) < claim.least {
            return Err(ImageError::corrupt(format, "fewer bytes than the pixels need"));
        }
        let (orientation, profile) = (orientation::read(bytes, format), profile::length(bytes, format));
        Ok(Self { format, claim, orientation, bytes: bytes.len() as u64, profile })
    }

    /// Width and height once it is upright.
    pub(crate) fn upright(&self) -> (u32, u32) {
        let Claim { width, height, .. } = self.claim;
        if self.changes_sides() { (height, width) } else { (width, height) }
    }

    /// Whether width and height change places.
    pub(crate) fn changes_sides(&self) -> bool {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        matches!(self.orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
    }
}

/// Refuses a picture of no pixels, and one of too many.
fn check_size(format: Format, claim: &Claim, max_pixels: u64) -> Result<(), ImageError> {
    let Claim { width, height, .. } = *claim;
    if width == 0 || height == 0 {
        return Err(ImageError::corrupt(format, "a side of zero pixels"));
    }
    if claim.pixels() > max_pixels {
        return Err(ImageError::TooManyPixels { width, height, max_pixels });
    }
    Ok(())
}
