//! PNG: every colour type and depth, plain or interlaced, to 8-bit pixels.
//!
//! Text chunks and colour profiles are skipped unread: inflated, a kilobyte of either can be a gigabyte.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};
use shared::format::Format;

use super::ImageError;
use super::raster::{Raster, Samples, narrow};

/// Memory a decoder may take besides its rows, in bytes: the chunks it keeps, and inflating.
const OVERHEAD: usize = 1 << 20;

/// Decodes the default image; of an animation that is its first frame, or the still that stands in for it.
pub(super) fn decode(bytes: &[u8], width: u32, height: u32) -> Result<Raster, ImageError> {
    // Eight bytes is the largest pixel: RGBA of 16 bits each.
    let limit = width as usize * height as usize * 8 + OVERHEAD;
    pixels(bytes, limit).map_err(|error| ImageError::corrupt(Format::Png, error))
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
    let mut data = Vec::with_capacity(width as usize * height as usize * channels);
    let mut narrowed = Vec::new();
    let mut append = |row: &[u8]| match depth {
        BitDepth::Sixteen => {
            narrowed.clear();
            narrowed.extend(row.as_chunks().0.iter().map(|&sample| narrow(u16::from_be_bytes(sample))));
            samples.append(&narrowed, &mut data);
        }
        _ => samples.append(row, &mut data),
    };
    if reader.info().interlaced {
        // Interlaced rows come in seven passes, so the whole picture has to be put together first.
        let mut whole = vec![0; reader.output_buffer_size().unwrap_or_default()];
        reader.next_frame(&mut whole)?;
        append(&whole);
    } else {
        while let Some(row) = reader.next_row()? {
            append(row.data());
        }
    }
    Ok(if samples.has_alpha() {
        Raster::from_rgba(width, height, data)
    } else {
        Raster::new(width, height, false, data)
    })
}
