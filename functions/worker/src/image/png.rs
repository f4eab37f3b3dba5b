//! PNG: every colour type and depth, plain or interlaced, to 8-bit pixels.
//!
//! Text chunks are skipped unread: inflated, a kilobyte of them can be a gigabyte. So are colour profiles by the decoder;
//! `profile` inflates them, within limits.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, DecodingError, InterlaceInfo, Limits, Transformations};
use shared::format::Format;

use super::header::Claim;
use super::raster::{Raster, Samples, narrow};
use super::{ImageError, spare};

/// Memory a decoder may take besides its rows, in bytes: the chunks it keeps, and inflating.
const OVERHEAD: u64 = 2 << 20;

/// Bytes that a byte inflates to at most.
const INFLATION: u64 = 1032;

/// Reads the header, and the chunks before the pixels for palette and transparency.
pub(super) fn survey(bytes: &[u8]) -> Result<Claim, ImageError> {
    let cut_short = || ImageError::corrupt(Format::Png, "the header is cut short");
    // The first chunk is always `IHDR`.
    let header = bytes.get(12..).and_then(|chunk| chunk.strip_prefix(b"IHDR")).ok_or_else(cut_short)?;
    let Some(&[w3, w2, w1, w0, h3, h2, h1, h0, depth, color]) = header.first_chunk() else { return Err(cut_short()) };
    let (width, height) = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
    let samples = match color {
        2 => 3,
        4 => 2,
        6 => 4,
        _ => 1,
    };
    let alpha = chunks_have_transparency(bytes, color == 3)? || matches!(color, 4 | 6);
    let channels = if alpha { 4 } else { 3 };
    let pixels = u64::from(width) * u64::from(height);
    let row = (u64::from(width) * samples * u64::from(depth)).div_ceil(8);
    // A few rows as they are stored, unfolded, and narrowed.
    let decoding = pixels.saturating_mul(channels).saturating_add(row * 4 + u64::from(width) * 24 + OVERHEAD);
    Ok(Claim { width, height, channels, decoding, least: row.saturating_mul(height.into()) / INFLATION })
}

/// Whether one of the chunks before the pixels makes colours transparent. Refuses a palette that is none, if the
/// pixels are `indexed`: the decoder takes on trust that it holds whole colours, and no more of them than there are indexes.
fn chunks_have_transparency(bytes: &[u8], indexed: bool) -> Result<bool, ImageError> {
    let mut transparent = false;
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some(([length @ .., k0, k1, k2, k3], body)) = rest.split_first_chunk::<8>() {
        let length = length.first_chunk().map_or(0, |length| u32::from_be_bytes(*length)) as usize;
        match &[*k0, *k1, *k2, *k3] {
            b"tRNS" => transparent = true,
            b"PLTE" if indexed && (!length.is_multiple_of(3) || length > 256 * 3) => {
                return Err(ImageError::corrupt(Format::Png, "the palette is no list of at most 256 colours"));
            }
            b"IDAT" => break,
            _ => {}
        }
        // Four more for the checksum.
        rest = body.get(length + 4..).unwrap_or_default();
    }
    Ok(transparent)
}

/// The first chunk of a kind, which may stand before or after the pixels.
pub(super) fn chunk(bytes: &[u8], kind: [u8; 4]) -> Option<&[u8]> {
    let mut rest = bytes.get(8..)?;
    loop {
        let ([length @ .., k0, k1, k2, k3], body) = rest.split_first_chunk::<8>()?;
        let length = u32::from_be_bytes(*length.first_chunk()?) as usize;
        if [*k0, *k1, *k2, *k3] == kind {
            return body.get(..length);
        }
        // Four more for the checksum.
        rest = body.get(length.checked_add(4)?..)?;
    }
}

/// The colour profile, deflated. Where a file also calls itself sRGB it is, as in Chrome.
pub(super) fn profile(bytes: &[u8]) -> Option<&[u8]> {
    if chunk(bytes, *b"sRGB").is_some() {
        return None;
    }
    // Its name, and then the method, of which there is one.
    let named = chunk(bytes, *b"iCCP")?;
    named[named.iter().position(|&byte| byte == 0)?..].strip_prefix(&[0, 0])
}

/// Decodes the default image; of an animation that is its first frame, or the still that stands in for it.
pub(super) fn decode(bytes: &[u8], claim: &Claim) -> Result<Raster, ImageError> {
    pixels(bytes, claim.decoding as usize).map_err(|error| match error {
        DecodingError::LimitsExceeded => ImageError::TooMuchMemory,
        error => ImageError::corrupt(Format::Png, error),
    })
}

fn pixels(bytes: &[u8], limit: usize) -> Result<Raster, DecodingError> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: limit });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    // Palettes and shallow greys become 8 bits, transparent colours an alpha channel.
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info()?;
    let (color, depth) = reader.output_color_type();
    let samples = match color {
        ColorType::Grayscale => Samples::Grey,
        ColorType::GrayscaleAlpha => Samples::GreyAlpha,
        ColorType::Rgb | ColorType::Indexed => Samples::Rgb,
        ColorType::Rgba => Samples::Rgba,
    };
    let (width, height) = reader.info().size();
    let channels = if samples.has_alpha() { 4 } else { 3 };
    let size = width as usize * height as usize * channels;
    let interlaced = reader.info().interlaced;
    let mut data = if interlaced { spare::zeros(size) } else { spare::room(size) };
    let (mut narrowed, mut row) = (Vec::new(), Vec::new());
    while let Some(next) = reader.next_interlaced_row()? {
        let place = *next.interlace();
        let next = match depth {
            BitDepth::Sixteen => {
                narrowed.clear();
                narrowed.extend(next.data().as_chunks().0.iter().map(|&sample| narrow(u16::from_be_bytes(sample))));
                &narrowed
            }
            _ => next.data(),
        };
        match place {
            InterlaceInfo::Null(_) => samples.append(next, &mut data),
            // Rows come in seven passes, of which each fills in some of the pixels.
            InterlaceInfo::Adam7(place) => {
                row.clear();
                samples.append(next, &mut row);
                let stride = width as usize * channels;
                png::expand_interlaced_row(&mut data, stride, &row, &place, channels as u8 * 8);
            }
        }
    }
    Ok(if samples.has_alpha() {
        Raster::from_rgba(width, height, data)
    } else {
        Raster::new(width, height, false, data)
    })
}
