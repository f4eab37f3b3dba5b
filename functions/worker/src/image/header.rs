//! A file's format and size, read from its header before anything is allocated for its pixels.
//!
//! Limits precede decoding: a PNG of 40 kilobytes can claim thirty gigapixels.

use shared::format::Format;

use super::sniff::sniff;
use super::{ImageError, jpeg, tiff};

/// What a file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The format, by content.
    pub format: Format,
    /// Width as stored, before any EXIF orientation, in pixels; at least 1.
    pub width: u32,
    /// Height as stored, in pixels; at least 1.
    pub height: u32,
}

impl Header {
    /// Reads the header, and refuses what is no image, damaged, or larger than `max_pixels`.
    pub(crate) fn read(bytes: &[u8], max_pixels: u64) -> Result<Self, ImageError> {
        let format = sniff(bytes)?;
        let cut_short = || ImageError::corrupt(format, "the header is cut short");
        let (width, height) = match format {
            Format::Jpeg => {
                let survey = jpeg::survey(bytes)?;
                check_size(format, survey.width, survey.height, max_pixels)?;
                survey.check()?;
                (survey.width, survey.height)
            }
            Format::Png => png(bytes).ok_or_else(cut_short)?,
            Format::Webp => webp(bytes),
            Format::Gif => gif(bytes).ok_or_else(cut_short)?,
            Format::Bmp => bmp(bytes).ok_or_else(cut_short)?,
            Format::Tiff => tiff::size(bytes)?,
        };
        check_size(format, width, height, max_pixels)?;
        Ok(Self { format, width, height })
    }
}

fn check_size(format: Format, width: u32, height: u32, max_pixels: u64) -> Result<(), ImageError> {
    if width == 0 || height == 0 {
        return Err(ImageError::corrupt(format, "a side of zero pixels"));
    }
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(ImageError::TooManyPixels { width, height, max_pixels });
    }
    Ok(())
}

/// The first chunk is always `IHDR`.
fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    let size = bytes.get(12..)?.strip_prefix(b"IHDR")?;
    Some((u32::from_be_bytes(*size.first_chunk()?), u32::from_be_bytes(*size.get(4..)?.first_chunk()?)))
}

/// The canvas, where the file states one, and the first frame where that is larger: decoders allocate both. Zero where
/// the file ends before either.
fn webp(bytes: &[u8]) -> (u32, u32) {
    let mut size = (0, 0);
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((width, height, next)) = webp_chunk(rest) {
        size = (size.0.max(width), size.1.max(height));
        rest = next;
    }
    size
}

/// Width and height as a chunk states them, else zero, and the chunks that follow, none after the first frame's pixels.
fn webp_chunk(chunk: &[u8]) -> Option<(u32, u32, &[u8])> {
    let long = |side: &[u8]| Some(u32::from_le_bytes([*side.first()?, *side.get(1)?, *side.get(2)?, 0]) + 1);
    let body = chunk.get(8..)?;
    let length = u32::from_le_bytes(*chunk.get(4..)?.first_chunk()?) as usize;
    let after = length.checked_add(length & 1).and_then(|length| body.get(length..)).unwrap_or_default();
    Some(match chunk.get(..4)? {
        b"VP8X" => (long(body.get(4..)?)?, long(body.get(7..)?)?, after),
        // A frame of an animation: sixteen bytes, and then chunks of its own.
        b"ANMF" => (long(body.get(6..)?)?, long(body.get(9..)?)?, body.get(16..).unwrap_or_default()),
        b"VP8L" => {
            let bits = u32::from_le_bytes(*body.strip_prefix(b"\x2F")?.first_chunk()?);
            ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, &[])
        }
        b"VP8 " => {
            let &[w0, w1, h0, h1] = body.get(3..)?.strip_prefix(b"\x9D\x01\x2A")?.first_chunk()?;
            // The upper two bits ask for scaling, which no decoder does.
            let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
            (side(w0, w1), side(h0, h1), &[])
        }
        _ => (0, 0, after),
    })
}

/// The screen, and the first frame where that is larger: decoders allocate both.
fn gif(bytes: &[u8]) -> Option<(u32, u32)> {
    let pair = |bytes: &[u8]| {
        let &[w0, w1, h0, h1] = bytes.first_chunk()?;
        Some((u32::from(u16::from_le_bytes([w0, w1])), u32::from(u16::from_le_bytes([h0, h1]))))
    };
    let colors = |packed: u8| if packed & 0x80 == 0 { 0 } else { 3 << ((packed & 7) + 1) };
    let (width, height) = pair(bytes.get(6..)?)?;
    if width == 0 || height == 0 {
        return Some((width, height));
    }
    let mut rest = bytes.get(13 + colors(*bytes.get(10)?)..)?;
    loop {
        match rest {
            // An extension: its label, then blocks with their length in front, the last one empty.
            [0x21, _, blocks @ ..] => {
                rest = blocks;
                while let (&length @ 1.., after) = rest.split_first()? {
                    rest = after.get(usize::from(length)..)?;
                }
                rest = &rest[1..];
            }
            [0x2C, frame @ ..] => {
                let (frame_width, frame_height) = pair(frame.get(4..)?)?;
                return Some((width.max(frame_width), height.max(frame_height)));
            }
            _ => return None,
        }
    }
}

/// The old header counts in 16 bits; in the newer ones a negative height means that the top row comes first.
fn bmp(bytes: &[u8]) -> Option<(u32, u32)> {
    let size = bytes.get(18..)?;
    if bytes.get(14) == Some(&12) {
        let &[w0, w1, h0, h1] = size.first_chunk()?;
        return Some((u16::from_le_bytes([w0, w1]).into(), u16::from_le_bytes([h0, h1]).into()));
    }
    let width = i32::from_le_bytes(*size.first_chunk()?);
    let height = i32::from_le_bytes(*size.get(4..)?.first_chunk()?);
    Some((u32::try_from(width).unwrap_or(0), height.unsigned_abs()))
}
