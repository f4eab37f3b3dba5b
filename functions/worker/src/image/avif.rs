//! What AVIF derivatives may take, and the way to the crate that writes them.
//!
//! AVIF is made for time: what saves its bytes are all the ways to predict a block from its neighbours, of which the encoder
//! tries some. So it has limits of its own, which are checked before anything is decoded.

use std::time::Duration;

use avif::{BLOCK, Picture};
use shared::recipe::{DEFAULT_QUALITY, DerivativeSpec, OutputFormat, Quality};

use super::ImageError;
use super::cost::area;
use super::encode::{FULL_COLOR_QUALITY, Problem};
use super::header::Header;
use super::output::Output;
use super::raster::Raster;

/// Longest side that libavif reads, and with it most browsers and programs.
pub(super) const MAX_SIDE: u32 = 32_768;

/// Most pixels of all AVIF derivatives of a photo together, by [`work`]: one of 2560 × 1638.
pub(super) const MAX_WORK: u64 = 1 << 22;

/// Processor time for each pixel. Photos take a quarter to a half of it; noise with noise for its opacity, which is the
/// worst, takes four fifths.
const TIME: Duration = Duration::from_micros(2);

/// Memory for a tile, of which one at a time is worked on, in bytes: of noise, with all its colours, 170 a pixel.
const TILE_MEMORY: u64 = 44 << 20;

/// The same with halved colours.
const HALVED_TILE_MEMORY: u64 = 32 << 20;

/// Processor time that these derivatives are allowed for being written as AVIF. Refuses what would take too much.
pub(super) fn time(header: &Header, specs: &[DerivativeSpec]) -> Result<Duration, ImageError> {
    let mut all = 0;
    for spec in specs.iter().filter(|spec| spec.format == Some(OutputFormat::Avif)) {
        let [_, size] = header.sizes(spec)?;
        all += work(in_blocks(size), spec);
    }
    if all > MAX_WORK {
        return Err(ImageError::TooMuchAvif { work: all });
    }
    Ok(TIME * all as u32)
}

/// Pixels, counted twice where colours are kept at full resolution: that takes twice the time.
fn work(size: (u32, u32), spec: &DerivativeSpec) -> u64 {
    let pixels = area(size);
    if is_full_color(spec.quality.unwrap_or(DEFAULT_QUALITY)) { pixels * 2 } else { pixels }
}

/// Bytes that writing a picture of this size takes, and the most that can come of it.
pub(super) fn memory(size: (u32, u32), channels: u64, spec: &DerivativeSpec) -> (u64, u64) {
    let full_color = is_full_color(spec.quality.unwrap_or(DEFAULT_QUALITY));
    let pixels = area(in_blocks(size));
    let output = pixels * if full_color { 4 } else { 2 } + pixels * 3 / 2 * (channels - 3);
    let (each, tile) = if full_color { (32, TILE_MEMORY) } else { (24, HALVED_TILE_MEMORY) };
    (pixels * each + output * 2 + tile, output)
}

/// The size as the encoder has it in memory and works on it.
fn in_blocks((width, height): (u32, u32)) -> (u32, u32) {
    (width.max(BLOCK), height.max(BLOCK))
}

fn is_full_color(quality: Quality) -> bool {
    quality.get() >= FULL_COLOR_QUALITY
}

pub(super) fn write(raster: &Raster, quality: Quality, out: &mut Output) -> Result<(), Problem> {
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let picture = Picture { width, height, alpha: raster.has_alpha(), pixels: raster.bytes() };
    avif::write(&picture, quality.get(), is_full_color(quality), out)
}
