//! GIF: the first frame on its screen, row by row into the raster.

use std::io::Cursor;

use gif::{ColorOutput, DecodeOptions, Decoder, MemoryLimit};
use shared::format::Format;

use super::ImageError;
use super::header::Claim;
use super::raster::Raster;

/// Pixels that a byte of LZW can stand for: at best 4,096 in a code of 12 bits.
const PIXELS_PER_BYTE: u64 = 2731;

/// Memory that the decoder takes besides a row, in bytes: its table of strings, buffers, and extensions that it keeps.
const OVERHEAD: u64 = 1 << 20;

/// A step through an interlaced frame: its first row and the distance to the next.
const PASSES: [(usize, usize); 4] = [(0, 8), (4, 8), (2, 4), (1, 2)];

/// Reads the header and walks to the first frame.
pub(super) fn survey(bytes: &[u8]) -> Result<Claim, ImageError> {
    let Survey { screen, frame, transparent } = walk(bytes).ok_or_else(|| corrupt("the header is cut short"))?;
    // The screen, and the first frame where that is larger. Whatever the frame, nothing shows on a screen without sides.
    let shows = screen.0 > 0 && screen.1 > 0;
    let (width, height) = if shows { (screen.0.max(frame.0), screen.1.max(frame.1)) } else { screen };
    let full = frame == screen && !transparent;
    let pixels = u64::from(width) * u64::from(height);
    let channels = if full { 3 } else { 4 };
    let least = u64::from(frame.0) * u64::from(frame.1) / PIXELS_PER_BYTE;
    Ok(Claim { width, height, channels, decoding: pixels * channels + OVERHEAD, least })
}

struct Survey {
    screen: (u32, u32),
    frame: (u32, u32),
    /// Whether the first frame has an invisible colour.
    transparent: bool,
}

fn walk(bytes: &[u8]) -> Option<Survey> {
    let pair = |bytes: &[u8]| {
        let &[w0, w1, h0, h1] = bytes.first_chunk()?;
        Some((u32::from(u16::from_le_bytes([w0, w1])), u32::from(u16::from_le_bytes([h0, h1]))))
    };
    let colors = |packed: u8| if packed & 0x80 == 0 { 0 } else { 3 << ((packed & 7) + 1) };
    let screen = pair(bytes.get(6..)?)?;
    let mut transparent = false;
    let mut rest = bytes.get(13 + colors(*bytes.get(10)?)..).unwrap_or_default();
    loop {
        match rest {
            // An extension: its label, then blocks with their length in front, the last one empty.
            [0x21, label, blocks @ ..] => {
                if *label == 0xF9 {
                    transparent = blocks.get(1)? & 1 == 1;
                }
                rest = blocks;
                while let (&length @ 1.., after) = rest.split_first()? {
                    rest = after.get(usize::from(length)..)?;
                }
                rest = &rest[1..];
            }
            [0x2C, descriptor @ ..] => {
                let frame = pair(descriptor.get(4..)?)?;
                return Some(Survey { screen, frame, transparent });
            }
            // A screen of nothing is refused for that.
            _ if screen.0 == 0 || screen.1 == 0 => {
                return Some(Survey { screen, frame: (0, 0), transparent });
            }
            _ => return None,
        }
    }
}

/// Decodes the first frame; the screen around it is transparent, as browsers show it.
pub(super) fn decode(bytes: &[u8], claim: &Claim) -> Result<Raster, ImageError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(OVERHEAD.try_into().expect("a mebibyte is not zero")));
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(corrupt)?;
    let screen = (usize::from(decoder.width()), usize::from(decoder.height()));
    let frame = decoder.next_frame_info().map_err(corrupt)?.ok_or_else(|| corrupt("no frame"))?;
    let place = (usize::from(frame.left), usize::from(frame.top));
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    let (transparent, interlaced) = (frame.transparent, frame.interlaced);
    let full = place == (0, 0) && (width, height) == screen && transparent.is_none();
    let colors = colors(&decoder, transparent)?;
    let channels = if full { 3 } else { 4 };
    if (screen.0 * screen.1 * channels) as u64 > claim.decoding {
        return Err(corrupt("a screen of another size than at first sight"));
    }
    let mut data = vec![0; screen.0 * screen.1 * channels];
    let mut row = vec![0; width];
    let order: Vec<usize> = if interlaced {
        PASSES.iter().flat_map(|&(first, step)| (first..height).step_by(step)).collect()
    } else {
        (0..height).collect()
    };
    for y in order {
        if !decoder.fill_buffer(&mut row).map_err(corrupt)? {
            return Err(corrupt("fewer rows than announced"));
        }
        // What hangs over the screen's edge is cut off.
        let visible = width.min(screen.0.saturating_sub(place.0));
        if visible == 0 || place.1 + y >= screen.1 {
            continue;
        }
        let at = (place.1 + y) * screen.0 + place.0;
        if full {
            let target = data.as_chunks_mut::<3>().0[at..at + visible].iter_mut();
            target.zip(&row).for_each(|(pixel, &index)| {
                let [color @ .., _] = colors[usize::from(index)];
                *pixel = color;
            });
        } else {
            let target = data.as_chunks_mut::<4>().0[at..at + visible].iter_mut();
            target.zip(&row).for_each(|(pixel, &index)| *pixel = colors[usize::from(index)]);
        }
    }
    let (width, height) = (screen.0 as u32, screen.1 as u32);
    Ok(if full { Raster::new(width, height, false, data) } else { Raster::from_rgba(width, height, data) })
}

/// RGBA of every index; those beyond the palette are invisible where anything can be, else black.
fn colors(decoder: &Decoder<Cursor<&[u8]>>, transparent: Option<u8>) -> Result<[[u8; 4]; 256], ImageError> {
    let palette = decoder.palette().map_err(corrupt)?;
    let mut colors = [[0; 4]; 256];
    for (color, &[r, g, b]) in colors.iter_mut().zip(palette.as_chunks().0) {
        *color = [r, g, b, 255];
    }
    if let Some(index) = transparent {
        colors[usize::from(index)][3] = 0;
    }
    Ok(colors)
}

fn corrupt(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ImageError {
    ImageError::corrupt(Format::Gif, error)
}
