//! Writes pixels as AVIF, by rav1e.
//!
//! A crate of its own because all of rav1e is generic: its code is generated where it is used, which is here once, well
//! optimised in every profile, and not again with every change to the worker and for each of its tests. Absent: reading
//! AVIF, more than 8 bits a channel, metadata, threads.

use std::error::Error;
use std::io::Write;

use avif_serialize::Aviffy;
use rav1e::prelude::{
    BlockSize, ChromaSampling, ColorDescription, ColorPrimaries, Context, EncoderConfig, EncoderStatus, Frame,
    FrameType, MatrixCoefficients, PartitionRange, PixelRange, Plane, Rational, SceneDetectionSpeed, SpeedSettings,
    TransferCharacteristics, Tune,
};

/// Pixels of a tile, roughly. What rav1e knows of a tile it keeps in memory until the tile is done, as much as a
/// hundred bytes a pixel; tiles of a quarter of this make files 4 % larger, of this 1 %.
const TILE_PIXELS: usize = 512 * 512;

/// Side of what rav1e works on at once, in pixels: less takes as much memory, and a line as long as a strip of this width.
pub const BLOCK: u32 = 64;

/// Quantizers by quality, on the way between which the others lie.
const QUANTIZERS: [(u32, u32); 10] =
    [(1, 255), (15, 200), (30, 170), (50, 153), (70, 137), (80, 118), (85, 105), (90, 82), (95, 41), (100, 8)];

/// A picture: rows of 8-bit RGB or, with `alpha`, RGBA, without padding.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// Width in pixels, 1–65535.
    pub width: usize,
    /// Height in pixels, 1–65535.
    pub height: usize,
    /// Whether a pixel has a fourth byte, its opacity.
    pub alpha: bool,
    /// The rows.
    pub pixels: &'a [u8],
}

/// Writes a picture with this quality, 1–100; with `full_color`, colours are as fine as brightness, and otherwise have half
/// the width and height.
///
/// The same picture always gives the same bytes. No type is left open, or all of this would be generated in the caller.
pub fn write(
    picture: &Picture<'_>,
    quality: u32,
    full_color: bool,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let quantizer = quantizer(quality);
    let sampling = if full_color { ChromaSampling::Cs444 } else { ChromaSampling::Cs420 };
    let color = encode(picture, sampling, quantizer, |frame| draw(picture, full_color, frame))?;
    let mut file = Aviffy::new();
    if !full_color {
        file.set_chroma_subsampling((true, true)).set_seq_profile(0);
    }
    let (width, height) = (picture.width as u32, picture.height as u32);
    let alpha = if picture.alpha {
        // Outlines show more than what is within them.
        Some(encode(picture, ChromaSampling::Cs400, quantizer / 2, |frame| draw_alpha(picture, frame))?)
    } else {
        None
    };
    Ok(file.write(out, &color, alpha.as_deref(), width, height, 8)?)
}

/// What rav1e calls quality, 255 being the worst. Chosen so that the brightness of the sample photos comes out as
/// similar to the original (SSIM) as that of a JPEG of the same quality.
fn quantizer(quality: u32) -> usize {
    let after = QUANTIZERS.iter().position(|&(known, _)| known >= quality).unwrap_or(QUANTIZERS.len() - 1).max(1);
    let ((low, coarse), (high, fine)) = (QUANTIZERS[after - 1], QUANTIZERS[after]);
    let quality = quality.clamp(low, high);
    (coarse - (coarse - fine) * (quality - low) / (high - low)) as usize
}

/// One frame as AV1, drawn by `draw`.
fn encode(
    picture: &Picture<'_>,
    sampling: ChromaSampling,
    quantizer: usize,
    draw: impl FnOnce(&mut Frame<u8>),
) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let config = rav1e::Config::new().with_encoder_config(EncoderConfig {
        width: picture.width,
        height: picture.height,
        time_base: Rational::new(1, 1),
        chroma_sampling: sampling,
        pixel_range: PixelRange::Full,
        color_description: (sampling != ChromaSampling::Cs400).then_some(ColorDescription {
            color_primaries: ColorPrimaries::BT709,
            transfer_characteristics: TransferCharacteristics::SRGB,
            matrix_coefficients: MatrixCoefficients::BT601,
        }),
        still_picture: true,
        quantizer,
        min_quantizer: quantizer as u8,
        tune: Tune::Psnr,
        tiles: (picture.width.max(BLOCK as usize) * picture.height.max(BLOCK as usize)).div_ceil(TILE_PIXELS),
        speed_settings: speed(),
        ..EncoderConfig::default()
    });
    let mut context: Context<u8> = config.new_context()?;
    let mut frame = context.new_frame();
    draw(&mut frame);
    context.send_frame(frame)?;
    context.flush();
    let mut data = Vec::new();
    loop {
        match context.receive_packet() {
            Ok(packet) if packet.frame_type == FrameType::KEY => data = packet.data,
            Ok(_) | Err(EncoderStatus::Encoded) => {}
            Err(EncoderStatus::LimitReached) => return Ok(data),
            Err(error) => return Err(error.into()),
        }
    }
}

/// rav1e's quickest preset and a few settings more. Blocks of 8 × 8 instead of 32 × 32 take as long and save a third of the
/// bytes; what else is off here saves half the time for a few percent of bytes (on the sample photos, at equal SSIM).
fn speed() -> SpeedSettings {
    let mut speed = SpeedSettings::from_preset(10);
    speed.partition.partition_range = PartitionRange::new(BlockSize::BLOCK_8X8, BlockSize::BLOCK_8X8);
    speed.cdef = false;
    speed.prediction.fine_directional_intra = false;
    // There is one frame.
    speed.rdo_lookahead_frames = 1;
    speed.scene_detection_mode = SceneDetectionSpeed::None;
    speed
}

/// Brightness and colours, as BT.601 has them: `Y`, `Cb` and `Cr` in 65536ths.
fn draw(picture: &Picture<'_>, full_color: bool, frame: &mut Frame<u8>) {
    let channels = if picture.alpha { 4 } else { 3 };
    let step = if full_color { 1 } else { 2 };
    let [luma, blue, red] = &mut frame.planes;
    let mut lumas = rows(luma);
    let colors = rows(blue).zip(rows(red));
    // As many sums of colours as there are pixels or, of half the width, pairs.
    let mut sums = Vec::with_capacity(picture.width.div_ceil(step));
    let mut shown = Shown::new(picture);
    for (band, (blue, red)) in picture.pixels.chunks(picture.width * channels * step).zip(colors) {
        sums.clear();
        sums.resize(picture.width.div_ceil(step), [0; 4]);
        for (row, luma) in band.chunks_exact(picture.width * channels).zip(&mut lumas) {
            shown.advance(row);
            for (x, (color, luma)) in shown.row.iter().zip(luma).enumerate() {
                let [r, g, b] = color.map(i32::from);
                *luma = ((19_595 * r + 38_470 * g + 7_471 * b + (1 << 15)) >> 16) as u8;
                let sum: &mut [i32; 4] = &mut sums[x / step];
                *sum = [sum[0] + r, sum[1] + g, sum[2] + b, sum[3] + 1];
            }
        }
        for ((&[r, g, b, count], blue), red) in sums.iter().zip(blue).zip(red) {
            let level = |sum: i32| (((sum / count + (1 << 15)) >> 16) + 128).min(255) as u8;
            *blue = level(-11_059 * r - 21_709 * g + 32_768 * b);
            *red = level(32_768 * r - 27_439 * g - 5_329 * b);
        }
    }
}

/// What is drawn of a picture, row by row. What is invisible continues its neighbour's colours, or it would shine through
/// at the edge: in a row that shows anything those to the left, else those above.
#[derive(Debug)]
pub struct Shown<'a> {
    picture: &'a Picture<'a>,
    /// The colours of the row that was gone on to.
    pub row: Vec<[u8; 3]>,
}

impl<'a> Shown<'a> {
    /// Above the first row that shows anything, that one continues upwards.
    pub fn new(picture: &'a Picture<'a>) -> Self {
        let mut shown = Self { picture, row: vec![[0; 3]; picture.width] };
        let mut rows = picture.pixels.chunks_exact(picture.width * shown.channels());
        rows.find(|row| shown.advance(row));
        shown
    }

    fn channels(&self) -> usize {
        if self.picture.alpha { 4 } else { 3 }
    }

    /// Goes on to a row of the picture; says whether it shows anything.
    pub fn advance(&mut self, row: &[u8]) -> bool {
        let alpha = self.picture.alpha;
        let is_visible = |pixel: &&[u8]| !alpha || pixel[3] != 0;
        let color = |pixel: &[u8]| [pixel[0], pixel[1], pixel[2]];
        let channels = self.channels();
        let Some(first) = row.chunks_exact(channels).find(is_visible) else { return false };
        let mut last = color(first);
        for (shown, pixel) in self.row.iter_mut().zip(row.chunks_exact(channels)) {
            if is_visible(&pixel) {
                last = color(pixel);
            }
            *shown = last;
        }
        true
    }
}

fn draw_alpha(picture: &Picture<'_>, frame: &mut Frame<u8>) {
    for (row, alphas) in picture.pixels.chunks_exact(picture.width * 4).zip(rows(&mut frame.planes[0])) {
        for (pixel, alpha) in row.chunks_exact(4).zip(alphas) {
            *alpha = pixel[3];
        }
    }
}

/// From a plane's first pixel on, all rows with what is to their right: rav1e fills that itself.
fn rows(plane: &mut Plane<u8>) -> impl Iterator<Item = &mut [u8]> {
    let stride = plane.cfg.stride;
    plane.data_origin_mut().chunks_mut(stride)
}
