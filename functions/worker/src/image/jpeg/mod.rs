//! JPEG: a look at the markers first, the pixels afterwards, by `baseline` or by libjpeg-turbo (as Mozilla ships it).
//!
//! libjpeg-turbo is what the classifier's reference decodes with, so its pixels are the reference's, at full scale bit
//! for bit (another decoder's move logits by up to 0.03). It decodes any JPEG, and fast with SIMD; `baseline` decodes
//! the usual ones to the same pixels, faster still. libjpeg fills whatever a cut file lacks with grey and says nothing,
//! so a file has to reach its end marker before it is decoded at all. Absent here: arithmetic coding, which no camera
//! writes.

mod baseline;
mod bits;
mod head;
mod huffman;
mod idct;

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mozjpeg::{ColorSpace, Decompress};
use shared::format::Format;

use super::header::Claim;
use super::profile::{Inks, Profile};
use super::raster::{Raster, Samples};
use super::{ImageError, Scale, spare};

/// Scans times pixels that one file may cost: 12 scans, as progressive encoders write them, of the largest photo. A scan of
/// a megapixel takes up to 4 ms, so this is somewhat more than a photo's time is enough for. A kilobyte can claim a hundred
/// times more.
const MAX_SCANNED_PIXELS: u64 = 1_200_000_000;

/// Scans that even a tiny picture may have: each takes some microseconds, whatever its size.
const MAX_SCANS: u32 = 500;

/// Longest side that libjpeg decodes, in pixels.
const MAX_SIDE: u32 = 65_500;

/// Rows converted at a time where libjpeg does not convert the colours itself.
const ROWS_AT_ONCE: usize = 16;

/// Pixels that a byte can stand for: a block of 64 takes a bit at least, and there is one for every 256 pixels.
const PIXELS_PER_BYTE: u64 = 2048;

/// Bytes that libjpeg keeps of the rows it is at, for each pixel of the width: some dozen of each component.
const ROWS_IN_WORK: u64 = 160;

/// Memory that libjpeg takes besides, in bytes.
const OVERHEAD: u64 = 1 << 20;

/// Segments of a colour profile that are looked at: one more than it can have.
const MAX_SEGMENTS: usize = 256;

/// What libjpeg says when an allocation failed.
const OUT_OF_MEMORY: &str = "Insufficient memory";

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const APP1: u8 = 0xE1;
const APP2: u8 = 0xE2;

/// What the markers say. Nothing has been decoded for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Survey {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Passes over the picture.
    scans: u32,
    /// Bytes of coefficients that libjpeg keeps of the whole picture: none if each block is whole in one scan.
    coefficients: u64,
    /// Whether the end marker was reached.
    complete: bool,
}

/// A frame header.
struct Frame {
    width: u16,
    height: u16,
    progressive: bool,
    /// How many blocks each colour component has, across and down, of the most that one has.
    sampling: Vec<(u8, u8)>,
}

impl Frame {
    /// Reads precision, height, width and components.
    fn read(code: u8, payload: &[u8]) -> Result<Self, ImageError> {
        if code > 0xC2 {
            return Err(ImageError::UnsupportedFormat { detected: "a JPEG of a rare kind" });
        }
        let [precision, h1, h0, w1, w0, _, components @ ..] = payload else {
            return Err(corrupt("a short frame header"));
        };
        if *precision != 8 {
            return Err(ImageError::UnsupportedFormat { detected: "a JPEG of more than 8 bits a channel" });
        }
        let sampling =
            components.as_chunks::<3>().0.iter().map(|[_, factors, _]| (factors >> 4, factors & 15)).collect();
        let (width, height) = (u16::from_be_bytes([*w1, *w0]), u16::from_be_bytes([*h1, *h0]));
        Ok(Self { width, height, progressive: code == 0xC2, sampling })
    }

    /// Bytes of all coefficients, two each, in whole blocks of every component.
    fn coefficients(&self) -> u64 {
        let most = |of: fn(&(u8, u8)) -> u8| self.sampling.iter().map(of).max().unwrap_or(1).max(1);
        let (across, down) = (most(|factors| factors.0), most(|factors| factors.1));
        let blocks = |side: u16, part: u8, most: u8| u64::from(side).div_ceil(8 * u64::from(most)) * u64::from(part);
        let of = |&(x, y): &(u8, u8)| blocks(self.width, x, across) * blocks(self.height, y, down) * 128;
        self.sampling.iter().map(of).sum()
    }
}

/// Walks over the whole file once.
pub(super) fn survey(bytes: &[u8]) -> Result<Survey, ImageError> {
    let mut frame: Option<Frame> = None;
    let (mut scans, mut partial, mut complete) = (0, false, false);
    for Marker { code, payload, .. } in markers(bytes) {
        match code {
            // Start of frame. C4, C8 and CC share the range and mean something else.
            0xC0..=0xCF if !matches!(code, 0xC4 | 0xC8 | 0xCC) => {
                let earlier = frame.replace(Frame::read(code, payload)?);
                if earlier.is_some() {
                    return Err(corrupt("a second frame header"));
                }
            }
            SOS => {
                scans += 1;
                // A scan of some of the components.
                let all = frame.as_ref().map_or(0, |frame| frame.sampling.len());
                partial |= payload.first().is_none_or(|&components| usize::from(components) < all);
            }
            EOI => complete = true,
            _ => {}
        }
    }
    let frame = frame.ok_or_else(|| corrupt("no frame header"))?;
    let coefficients = if frame.progressive || partial { frame.coefficients() } else { 0 };
    Ok(Survey { width: frame.width.into(), height: frame.height.into(), scans, coefficients, complete })
}

impl Survey {
    /// What the file claims to hold, in memory always as RGB.
    pub(super) fn claim(&self) -> Claim {
        let Self { width, height, coefficients, .. } = *self;
        let pixels = u64::from(width) * u64::from(height);
        let decoding = pixels * 3 + coefficients + u64::from(width) * ROWS_IN_WORK + OVERHEAD;
        Claim { width, height, channels: 3, decoding, least: pixels / PIXELS_PER_BYTE }
    }

    /// Refuses what would take too long, and what was cut short.
    pub(super) fn check(&self) -> Result<(), ImageError> {
        let Self { width, height, scans, complete, .. } = *self;
        let side = width.max(height);
        if side > MAX_SIDE {
            return Err(ImageError::TooLong { side, max_side: MAX_SIDE });
        }
        let cost = u64::from(scans) * u64::from(width) * u64::from(height);
        if scans > MAX_SCANS || cost > MAX_SCANNED_PIXELS {
            return Err(ImageError::TooManyScans { scans, width, height });
        }
        if complete { Ok(()) } else { Err(corrupt("no end marker")) }
    }
}

/// The EXIF block, from its TIFF header on.
pub(super) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    markers(bytes)
        .take_while(|marker| marker.code != SOS)
        .filter(|marker| marker.code == APP1)
        .find_map(|marker| marker.payload.strip_prefix(b"Exif\0\0"))
}

/// The colour profile, which stands in as many segments as it takes: each has its number and how many there are. One that
/// is not all there is none.
pub(super) fn profile(bytes: &[u8]) -> Option<Profile<'_>> {
    let (mut segments, mut inks) = (Vec::new(), false);
    for Marker { code, payload, .. } in markers(bytes).take_while(|marker| marker.code != SOS) {
        match code {
            0xC0..=0xC2 => inks = payload.get(5) == Some(&4),
            APP2 if segments.len() < MAX_SEGMENTS => {
                if let Some([number, count, part @ ..]) = payload.strip_prefix(b"ICC_PROFILE\0") {
                    segments.push((usize::from(*number), usize::from(*count), part));
                }
            }
            _ => {}
        }
    }
    segments.sort_by_key(|&(number, ..)| number);
    let whole = segments.iter().zip(1..).all(|(&(number, count, _), n)| (number, count) == (n, segments.len()));
    (whole && !segments.is_empty()).then(|| {
        let parts = segments.into_iter().map(|(.., part)| part).collect();
        Profile { parts, deflated: false, inks }
    })
}

/// Decodes a file that [`Survey::check`] let through.
pub(super) fn decode(bytes: &[u8], scale: Scale) -> Result<Raster, ImageError> {
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::OutOfMemory => ImageError::TooMuchMemory,
        _ => corrupt(error),
    };
    let mut header = caught(|| Decompress::new_mem(bytes)).map_err(failed)?;
    header.scale(scale.block());
    let size = scale.of((header.width() as u32, header.height() as u32));
    // Outside of what is caught: a panic there would be no fault of the file's.
    let data = match baseline::decode(bytes, scale.block(), header.color_space()) {
        Some(data) => data,
        // What that declines has cost a part of its time at most, and is decoded from the start.
        None => caught(|| pixels(bytes, header, size)).map_err(failed)?,
    };
    Ok(Raster::new(size.0, size.1, false, data))
}

/// Does something with libjpeg, which reports a fatal error by unwinding with a `String`: that becomes an error like any
/// other. What unwinds with anything else passes on.
pub(super) fn caught<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| match panic.downcast::<String>() {
        Ok(message) if message.contains(OUT_OF_MEMORY) => Err(ErrorKind::OutOfMemory.into()),
        Ok(message) => Err(io::Error::other(*message)),
        Err(panic) => resume_unwind(panic),
    })
}

/// RGB, by libjpeg.
fn pixels(bytes: &[u8], header: Decompress<&[u8]>, (width, height): (u32, u32)) -> io::Result<Vec<u8>> {
    match header.color_space() {
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => {
            let mut rows = header.to_colorspace(ColorSpace::JCS_CMYK)?;
            let inks = Inks::of(bytes, Format::Jpeg);
            let stride = width as usize * 4;
            let mut ink = vec![0; stride * ROWS_AT_ONCE];
            let mut data = Vec::with_capacity(width as usize * height as usize * 3);
            for first in (0..height as usize).step_by(ROWS_AT_ONCE) {
                let count = ROWS_AT_ONCE.min(height as usize - first);
                // Adobe's inversion is taken for granted, with or without Adobe's marker: every browser does.
                let samples = rows.read_scanlines_into(&mut ink[..stride * count])?;
                inks.append(Samples::InvertedCmyk, samples, &mut data);
            }
            Ok(data)
        }
        _ => {
            let mut data = spare::zeros(width as usize * height as usize * 3);
            header.rgb()?.read_scanlines_into(&mut data)?;
            Ok(data)
        }
    }
}

/// A marker, what its segment holds, and what follows it.
struct Marker<'a> {
    code: u8,
    payload: &'a [u8],
    rest: &'a [u8],
}

/// The file's markers up to its end marker, found by libjpeg's own rule, so that both see the same file.
///
/// Compressed data is skipped like any other stray bytes: in it, a 0xFF is followed by a zero or a restart marker.
fn markers(bytes: &[u8]) -> impl Iterator<Item = Marker<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let code = loop {
            rest = &rest[memchr::memchr(0xFF, rest)?..];
            rest = &rest[rest.iter().position(|&byte| byte != 0xFF)?..];
            let (&code, after) = rest.split_first()?;
            rest = after;
            // Restart markers, TEM and SOI stand alone.
            if !matches!(code, 0 | 1 | 0xD0..=SOI) {
                break code;
            }
        };
        if code == EOI {
            rest = &[];
            return Some(Marker { code, payload: rest, rest });
        }
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        let payload = rest.get(2..length)?;
        rest = &rest[length..];
        Some(Marker { code, payload, rest })
    })
}

fn corrupt(detail: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ImageError {
    ImageError::corrupt(Format::Jpeg, detail)
}
