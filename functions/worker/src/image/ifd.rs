//! TIFF: what the tags of the first picture say, read before the decoder sees the file.
//!
//! Only the first directory is read, and of each tag but the colour profile only its first value, so nothing here can go
//! round in circles.

use shared::format::Format;
use tiff::tags::{CompressionMethod, PhotometricInterpretation, Tag};

use super::ImageError;
use super::header::Claim;
use super::profile::Profile;

/// Memory that the decoder takes besides the picture, in bytes: what a code expands into, buffers, small values.
pub(super) const OVERHEAD: u64 = 4 << 20;

/// Most channels that are read.
const MAX_CHANNELS: u64 = 4;

const DNG_VERSION: Tag = Tag::Unknown(50_706);

/// Reads the tags of the first picture.
pub(super) fn survey(bytes: &[u8]) -> Result<Claim, ImageError> {
    let tags = Directory::open(bytes).ok_or_else(|| ImageError::corrupt(Format::Tiff, "no directory"))?;
    // The picture is a camera's preview of the raw data beside it: by DNG's version, or as the reduced copy of a picture
    // in a sub-directory (NEF, ARW and others).
    let reduced = tags.first(Tag::NewSubfileType).is_some_and(|kind| kind & 1 == 1);
    if tags.first(DNG_VERSION).is_some() || (reduced && tags.first(Tag::SubIfd).is_some()) {
        return Err(ImageError::UnsupportedFormat { detected: "a camera's raw file" });
    }
    let (Some(width), Some(height)) = (tags.first(Tag::ImageWidth), tags.first(Tag::ImageLength)) else {
        return Err(ImageError::corrupt(Format::Tiff, "no size"));
    };
    let side = |side| u32::try_from(side).map_err(|_| ImageError::corrupt(Format::Tiff, "an impossible size"));
    let (width, height) = (side(width)?, side(height)?);
    let samples = tags.first(Tag::SamplesPerPixel).unwrap_or(1);
    if samples > MAX_CHANNELS {
        return Err(ImageError::UnsupportedFormat { detected: "a TIFF of a rare kind" });
    }
    let depth = tags.first(Tag::BitsPerSample).unwrap_or(1).min(64);
    let pixels = u64::from(width) * u64::from(height);
    let row = (u64::from(width) * samples * depth).div_ceil(8);
    let stored = row.saturating_mul(height.into());
    let palette =
        tags.first(Tag::PhotometricInterpretation) == Some(PhotometricInterpretation::RGBPalette.to_u16().into());
    let channels = if matches!(samples, 2 | 4) { 4 } else { 3 };
    // What is stored, the same in 8 bits, and RGB; of which 8-bit RGB needs but one.
    let mut decoding = stored;
    if depth != 8 {
        decoding = decoding.saturating_add(pixels.saturating_mul(samples));
    }
    if !matches!(samples, 3 | 4) || tags.first(Tag::PhotometricInterpretation) == Some(5) {
        decoding = decoding.saturating_add(pixels.saturating_mul(channels));
    }
    if samples > 1 && tags.first(Tag::PlanarConfiguration) == Some(2) {
        // Planes are put together beside themselves.
        decoding = decoding.saturating_add(pixels.saturating_mul(samples));
    }
    if palette {
        // The file is copied to be declared a grey one.
        decoding = decoding.saturating_add(bytes.len() as u64);
    }
    let method = u16::try_from(tags.first(Tag::Compression).unwrap_or(1)).unwrap_or(0);
    let least = match CompressionMethod::from_u16_exhaustive(method) {
        CompressionMethod::None => stored,
        CompressionMethod::LZW => stored / 2731,
        CompressionMethod::Deflate | CompressionMethod::OldDeflate => stored / 1032,
        CompressionMethod::PackBits => stored / 64,
        // A white row takes a bit.
        _ => u64::from(height) / 8,
    };
    Ok(Claim { width, height, channels, decoding: decoding.saturating_add(OVERHEAD), least })
}

/// The colour profile.
pub(super) fn profile(bytes: &[u8]) -> Option<Profile<'_>> {
    let tags = Directory::open(bytes)?;
    let part = tags.bytes(Tag::IccProfile)?;
    let inks = tags.first(Tag::PhotometricInterpretation) == Some(PhotometricInterpretation::CMYK.to_u16().into());
    Some(Profile { parts: vec![part], deflated: false, inks })
}

/// The first directory of a file.
struct Directory<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    /// Whether it counts in 64 bits.
    big: bool,
    entries: &'a [u8],
}

impl<'a> Directory<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        let big_endian = bytes.starts_with(b"MM");
        let mut directory = Self { bytes, big_endian, big: false, entries: &[] };
        directory.big = directory.number(bytes.get(2..4)?) == 43;
        let (start, counted, entry) = if directory.big {
            (directory.number(bytes.get(8..16)?), 8, 20)
        } else {
            (directory.number(bytes.get(4..8)?), 2, 12)
        };
        let rest = bytes.get(usize::try_from(start).ok()?..)?;
        let count = usize::try_from(directory.number(rest.get(..counted)?)).ok()?;
        directory.entries = rest.get(counted..counted.checked_add(count.checked_mul(entry)?)?)?;
        Some(directory)
    }

    /// A number of 1 to 8 bytes.
    fn number(&self, bytes: &[u8]) -> u64 {
        let shift = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        if self.big_endian { bytes.iter().fold(0, shift) } else { bytes.iter().rev().fold(0, shift) }
    }

    /// The first value of a tag, if it is a whole number.
    fn first(&self, tag: Tag) -> Option<u64> {
        let (length, _, values) = self.values(tag)?;
        Some(self.number(values.get(..length)?))
    }

    /// All of a tag's values, if they are bytes.
    fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        let (length, count, values) = self.values(tag)?;
        if length == 1 { values.get(..usize::try_from(count).ok()?) } else { None }
    }

    /// Length of one of a tag's values, how many there are, and the file from the first one on.
    fn values(&self, tag: Tag) -> Option<(usize, u64, &'a [u8])> {
        let size = if self.big { 20 } else { 12 };
        let is_it = |entry: &&[u8]| self.number(&entry[..2]) == u64::from(tag.to_u16());
        let entry = self.entries.chunks_exact(size).find(is_it)?;
        let length = match self.number(&entry[2..4]) {
            1 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 13 => 4,
            16..=18 => 8,
            _ => return None,
        };
        let half = (size - 4) / 2;
        let (count, value) = (self.number(&entry[4..4 + half]), &entry[4 + half..]);
        let values = match count.checked_mul(length)? {
            0 => return None,
            all if all <= half as u64 => value,
            _ => self.bytes.get(usize::try_from(self.number(value)).ok()?..)?,
        };
        Some((length as usize, count, values))
    }
}
