//! TIFF: the first picture of the file, in the colours that photos and scans come in.
//!
//! Absent here: JPEG inside TIFF, L\*a\*b\* and separate colour planes of CMYK. They are refused as a format that is not
//! read, and so are more than four channels.

use std::io::Cursor;

use shared::format::Format;
use tiff::decoder::{BufferLayoutPreference, Decoder, DecodingResult, Limits};
use tiff::tags::{ExtraSamples, PhotometricInterpretation, Tag};
use tiff::{ColorType, TiffError};

use super::ImageError;
use super::header::Claim;
use super::ifd::OVERHEAD;
use super::profile::Inks;
use super::raster::{Raster, Samples, narrow};

const PALETTE: u16 = PhotometricInterpretation::RGBPalette.to_u16();
const GREY: u16 = PhotometricInterpretation::BlackIsZero.to_u16();

/// Decodes the first picture.
pub(super) fn decode(bytes: &[u8], claim: &Claim) -> Result<Raster, ImageError> {
    let Claim { width, height, decoding, .. } = *claim;
    let palette = palette_as_grey(bytes);
    let mut decoder = Decoder::new(Cursor::new(palette.as_deref().unwrap_or(bytes))).map_err(refuse)?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = decoding as usize;
    limits.intermediate_buffer_size = bytes.len() + OVERHEAD as usize;
    decoder = decoder.with_limits(limits);
    let colors = if palette.is_some() { decoder.get_tag_u16_vec(Tag::ColorMap).map_err(refuse)? } else { Vec::new() };
    let premultiplied = matches!(
        decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).map_err(refuse)?.as_deref(),
        Some([first, ..]) if *first == ExtraSamples::AssociatedAlpha.to_u16()
    );
    let color = decoder.colortype().map_err(refuse)?;
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut result).map_err(refuse)?;
    let samples = interleaved(eight_bits(result, color, width)?, &layout);

    let size = width as usize * height as usize;
    let mut data = Vec::new();
    let kind = match color {
        ColorType::Gray(depth) if palette.is_some() => {
            data.reserve_exact(size * 3);
            look_up(&samples, &colors, depth, &mut data)?;
            return raster(width, height, false, data);
        }
        ColorType::Gray(_) => Samples::Grey,
        ColorType::GrayA(_) | ColorType::Multiband { num_samples: 2, .. } => Samples::GreyAlpha,
        ColorType::RGB(_) => Samples::Rgb,
        ColorType::RGBA(_) => Samples::Rgba,
        ColorType::CMYK(_) if layout.planes <= 1 => Samples::Cmyk,
        _ => return Err(unsupported()),
    };
    if matches!(kind, Samples::Rgb | Samples::Rgba) {
        data = samples;
    } else {
        data.reserve_exact(size * if kind.has_alpha() { 4 } else { 3 });
        match kind {
            Samples::Cmyk => Inks::of(bytes, Format::Tiff).append(kind, &samples, &mut data),
            _ => kind.append(&samples, &mut data),
        }
    }
    if kind.has_alpha() && premultiplied {
        data.as_chunks_mut::<4>().0.iter_mut().for_each(divide_by_alpha);
    }
    raster(width, height, kind.has_alpha(), data)
}

fn raster(width: u32, height: u32, alpha: bool, data: Vec<u8>) -> Result<Raster, ImageError> {
    let channels = if alpha { 4 } else { 3 };
    if data.len() != width as usize * height as usize * channels {
        return Err(ImageError::corrupt(Format::Tiff, "fewer pixels than the tags announce"));
    }
    Ok(if alpha { Raster::from_rgba(width, height, data) } else { Raster::new(width, height, false, data) })
}

/// The samples, scaled to 0–255; indexes into a palette of fewer than 8 bits are scaled alike.
fn eight_bits(result: DecodingResult, color: ColorType, width: u32) -> Result<Vec<u8>, ImageError> {
    match (result, color) {
        (DecodingResult::U8(packed), ColorType::Gray(depth @ (1 | 2 | 4))) => Ok(unpack(&packed, depth, width)),
        (DecodingResult::U8(samples), _) if color.bit_depth() == 8 => Ok(samples),
        (DecodingResult::U16(samples), _) if color.bit_depth() == 16 => Ok(samples.into_iter().map(narrow).collect()),
        // The cast saturates, and turns what is not a number into black.
        (DecodingResult::F32(samples), _) => Ok(samples.into_iter().map(|v| (v * 255.0).round() as u8).collect()),
        _ => Err(unsupported()),
    }
}

/// Spreads several pixels a byte to one pixel a byte; each row begins with a new byte.
fn unpack(packed: &[u8], depth: u8, width: u32) -> Vec<u8> {
    let (per_byte, max) = (8 / depth, u8::MAX >> (8 - depth));
    let row_bytes = (width as usize).div_ceil(per_byte.into());
    let pixel = |byte: u8, place: u8| (byte >> (8 - depth * (place + 1)) & max) * (u8::MAX / max);
    let row = |row| {
        let bytes: &[u8] = row;
        bytes.iter().flat_map(|&byte| (0..per_byte).map(move |place| pixel(byte, place))).take(width as usize)
    };
    let rows = packed.chunks_exact(row_bytes);
    // Of what is spread, nobody knows the length, and a vector that grows may end at twice of it.
    let mut spread = Vec::with_capacity(rows.len() * width as usize);
    rows.for_each(|bytes| spread.extend(row(bytes)));
    spread
}

/// One pixel after the other, where the file keeps one colour plane after the other.
fn interleaved(samples: Vec<u8>, layout: &BufferLayoutPreference) -> Vec<u8> {
    if layout.planes <= 1 {
        return samples;
    }
    let plane = samples.len() / layout.planes;
    let mut pixels = Vec::with_capacity(samples.len());
    (0..plane).for_each(|pixel| pixels.extend(samples.iter().skip(pixel).step_by(plane)));
    pixels
}

fn divide_by_alpha(pixel: &mut [u8; 4]) {
    let [colors @ .., alpha] = pixel;
    for color in colors {
        *color = (u32::from(*color) * 255 / u32::from(*alpha).max(1)).min(255) as u8;
    }
}

/// The file with its palette picture declared a grey one, which makes the decoder hand out the palette's indexes.
fn palette_as_grey(bytes: &[u8]) -> Option<Vec<u8>> {
    let big_endian = bytes.starts_with(b"MM\0*");
    if !big_endian && !bytes.starts_with(b"II*\0") {
        return None;
    }
    let short = |at: usize| {
        let two = *bytes.get(at..)?.first_chunk()?;
        Some(if big_endian { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    };
    let four = *bytes.get(4..)?.first_chunk()?;
    let directory = if big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) } as usize;
    let is_entry = |&entry: &usize| short(entry) == Some(Tag::PhotometricInterpretation.to_u16());
    let entry = (0..usize::from(short(directory)?)).map(|n| directory + 2 + n * 12).find(is_entry)?;
    if short(entry + 8) != Some(PALETTE) {
        return None;
    }
    let mut patched = bytes.to_vec();
    let grey = if big_endian { GREY.to_be_bytes() } else { GREY.to_le_bytes() };
    patched[entry + 8..entry + 10].copy_from_slice(&grey);
    Some(patched)
}

/// Colours of palette indexes. The map holds all reds, then all greens, then all blues, 16 bits each, of which the
/// upper eight count: some writers leave the lower ones empty.
fn look_up(indexes: &[u8], map: &[u16], depth: u8, out: &mut Vec<u8>) -> Result<(), ImageError> {
    let entries = 1 << depth.min(8);
    let scale = u8::MAX / (u8::MAX >> (8 - depth.min(8)));
    if map.len() != entries * 3 || depth > 8 {
        return Err(ImageError::corrupt(Format::Tiff, "a colour map of another length than its pixels need"));
    }
    let color = |&index: &u8| {
        let index = usize::from(index / scale);
        [map[index], map[index + entries], map[index + entries * 2]].map(|value| (value >> 8) as u8)
    };
    out.extend(indexes.iter().flat_map(color));
    Ok(())
}

fn unsupported() -> ImageError {
    ImageError::UnsupportedFormat { detected: "a TIFF of a rare kind" }
}

fn refuse(error: TiffError) -> ImageError {
    match error {
        TiffError::UnsupportedError(_) => unsupported(),
        TiffError::LimitsExceeded => ImageError::TooMuchMemory,
        error => ImageError::corrupt(Format::Tiff, error),
    }
}
