//! What a photo and its derivatives will take, foretold from its header and the recipe.
//!
//! Estimates are upper bounds of what is allocated, whether or not it is touched: the limits that enforce them count
//! the same.

use std::time::Duration;

use shared::format::Format;
use shared::recipe::{DEFAULT_QUALITY, DerivativeSpec, OutputFormat, Recipe, WatermarkChoice};

use super::encode::FULL_COLOR_QUALITY;
use super::header::Header;
use super::view::View;
use super::{ImageError, Scale, animation, avif, crop, filters, profile, resize, watermark};

/// Memory that photos at work may take together, in MiB: their files, pixels and derivatives, in the worker and its
/// studios. With what these take at rest, and the files that wait to be surveyed (one more than there are cores), it
/// stays below 700 on a machine of two cores, as long as a file may have 25 MiB.
pub(crate) const MEMORY_MIB: u32 = 380;

/// Length that all derivatives of a photo may have together, in bytes.
pub(crate) const MAX_OUTPUT: u64 = 64 << 20;

/// What any photo takes besides, in bytes: messages, the font, the crop, what an allocator keeps.
const OVERHEAD: u64 = 8 << 20;

/// Processor time for decoding a photo and making its first derivative. Converting its colours is part of it: 100 megapixels
/// take 0.3 s, of four inks 1.5.
const TIME: Duration = Duration::from_secs(4);

/// Processor time for each further derivative. One that keeps the frames of an animation has its own, from the first on.
const MORE_TIME: Duration = Duration::from_secs(2);

/// Most processor time of one photo, whatever its recipe: with some waiting for a core, an invocation on the laptop is
/// long enough for it.
const MOST_TIME: Duration = Duration::from_secs(20);

/// Bytes a pixel that libwebp takes to find out how a picture is written best without a loss.
pub(super) const LOSSLESS_WEBP: u64 = 25;

/// From this quality on, a lossy WebP of noise becomes much longer.
const FINE_WEBP_QUALITY: u32 = 90;

/// What one photo takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Most memory of the studio at once, in bytes.
    pub studio: u64,
    /// Most memory of the worker and the studio together, in bytes.
    pub total: u64,
    /// Most bytes of all derivatives together.
    pub output: u64,
    /// Most processor time. Not foretold, but allowed.
    pub time: Duration,
}

impl Header {
    /// What it takes to decode the photo and, if there is a recipe, to make its derivatives. Refuses what is too much. Of
    /// the file, the frames are counted if they matter.
    pub(crate) fn cost(&self, file: &[u8], recipe: Option<&Recipe>, view: &View) -> Result<Cost, ImageError> {
        let frames = animation::survey(file, self, recipe)?;
        let scale = self.scale(recipe, view)?;
        let all = self.claim.pixels().saturating_mul(self.claim.channels);
        let raster = area(scale.of(self.upright())).saturating_mul(self.claim.channels);
        let turned = if self.changes_sides() { raster.saturating_mul(2) } else { 0 };
        let besides = self.claim.decoding.saturating_sub(all) + profile::memory(self.profile);
        let decoding = raster.saturating_add(besides).max(turned).saturating_add(self.bytes);
        let (mut rendering, mut output) = (0, 0);
        let specs = recipe.map_or(&[][..], Recipe::derivatives);
        // First: its sentence says what to do.
        let avif_time = avif::time(self, specs)?;
        for (at, spec) in specs.iter().enumerate() {
            let last = at + 1 == specs.len();
            let made = match frames {
                Some(frames) if animation::moves(spec) => animation::memory(frames, spec, last),
                _ => self.derivative(spec, scale, last)?,
            };
            rendering = rendering.max(made.0);
            output = MAX_OUTPUT.min(output + made.1);
        }
        // An animation is read while its derivatives are made.
        let read = if frames.is_some() { self.bytes } else { 0 };
        let rendering = raster.saturating_add(rendering + output + read);
        let studio = decoding.max(rendering).saturating_add(OVERHEAD);
        // The worker has its copy of the file until the studio has one, and the derivatives that are finished, of which the
        // last is sent when its raster is gone, or held as part of what a studio takes at rest.
        let total = studio.max(decoding.saturating_add(self.bytes)).max(output * 2);
        if total > u64::from(MEMORY_MIB) << 20 {
            return Err(ImageError::TooMuchMemory);
        }
        let moving = if frames.is_some() { specs.iter().filter(|spec| animation::moves(spec)).count() } else { 0 };
        let animation_time = frames.map_or(Duration::ZERO, |frames| animation::time(frames, specs));
        let time = match (specs.len() - moving) as u32 {
            // What a photo has anyway is enough for a short animation.
            0 => animation_time.max(TIME),
            still => TIME + MORE_TIME * (still - 1) + animation_time,
        };
        Ok(Cost { studio, total, output, time: (time + avif_time).min(MOST_TIME) })
    }

    /// The size of what a derivative shows, and its own.
    pub(super) fn sizes(&self, spec: &DerivativeSpec) -> Result<[(u32, u32); 2], ImageError> {
        let source = self.upright();
        let part = spec.crop.as_ref().map_or(Ok(source), |crop| crop::size(source, crop))?;
        Ok([part, spec.resize.as_ref().map_or(part, |resize| resize::size(part, resize))])
    }

    /// Bytes that making a derivative takes besides the photo and the derivative itself, and the most that it can have.
    fn derivative(&self, spec: &DerivativeSpec, scale: Scale, last: bool) -> Result<(u64, u64), ImageError> {
        let channels = self.claim.channels;
        let source = self.upright();
        let [part, (width, height)] = self.sizes(spec)?;
        let (wide, pixels) = (u64::from(width), area((width, height)));
        // What there is of it in memory. A crop is cut at full scale.
        let held = scale.of(part);
        let (cropped, resized) = (part != source, (width, height) != held);
        let marked = !matches!(spec.watermark, Some(WatermarkChoice::Off));
        let owned = last || cropped || resized || marked || !spec.filters.is_empty();
        let mut extra = 0;
        if cropped && !last {
            extra += area(held) * channels;
        }
        if resized {
            // The result, the rows of it that are resized downwards only, and colours weighted by their alpha.
            let (band, weighted) = if channels == 4 { (height, area(held)) } else { (height.min(resize::BAND), 0) };
            extra += (pixels + u64::from(held.0) * u64::from(band) + weighted) * channels;
        } else if owned && !cropped && !last {
            extra += pixels * channels;
        }
        let filtering = filters::memory(&spec.filters, (width, height), channels);
        let mark = watermark::memory((width, height), spec.watermark.as_ref());
        let asked = match spec.format {
            Some(OutputFormat::Jpeg) => Format::Jpeg,
            Some(OutputFormat::Png) => Format::Png,
            Some(OutputFormat::Webp) => Format::Webp,
            Some(OutputFormat::Avif) => Format::Avif,
            Some(OutputFormat::Auto) | None => self.format,
        };
        let encoding = |format| match format {
            Format::Jpeg => {
                let full_color = spec.quality.unwrap_or(DEFAULT_QUALITY).get() >= FULL_COLOR_QUALITY;
                // Several scans need all coefficients at once, two bytes each, and mozjpeg keeps them twice.
                let coefficients = if spec.progressive { pixels * if full_color { 12 } else { 6 } } else { 0 };
                (coefficients + wide * 200, if full_color { pixels * 24 / 5 } else { pixels * 2 })
            }
            Format::Png => (wide * 16, pixels * channels * 8 / 5),
            Format::Webp if spec.lossless => (pixels * LOSSLESS_WEBP, pixels * channels * 6 / 5),
            Format::Webp => lossy_webp(pixels, channels, spec),
            // The palette's indexes take the raster's place, so what they are packed into costs little more.
            Format::Gif => {
                let packed = pixels + (pixels * 3).min(MAX_OUTPUT * 2);
                let copied = if owned { 0 } else { pixels * channels };
                (packed.saturating_sub(pixels * channels) + copied + (4 << 20), pixels * 2)
            }
            Format::Bmp => (wide * 4, wide.next_multiple_of(4) * u64::from(height) * channels),
            // The encoder's own buffer has 16 MiB.
            Format::Tiff => (24 << 20, pixels * channels * 8 / 5),
            Format::Avif => avif::memory((width, height), channels, spec),
        };
        let (encoding, output) = match (spec.format, asked) {
            // Which of the two is known when it is decoded.
            (Some(OutputFormat::Auto), Format::Png) => {
                let (one, other) = (encoding(Format::Png), encoding(Format::Jpeg));
                (one.0.max(other.0), one.1.max(other.1))
            }
            _ => encoding(asked),
        };
        // Headers.
        let output = output + (16 << 10);
        if asked == Format::Bmp && output > MAX_OUTPUT {
            return Err(ImageError::OutputTooLarge);
        }
        let output = output.min(MAX_OUTPUT);
        // There is no output before these are done.
        let work = encoding.max(mark.max(filtering).saturating_sub(output));
        Ok((extra + work + if last { 0 } else { output }, output))
    }
}

/// Bytes that writing so many pixels as a lossy WebP takes, and the most that can come of it.
pub(super) fn lossy_webp(pixels: u64, channels: u64, spec: &DerivativeSpec) -> (u64, u64) {
    // Noise has 1.6 bytes a pixel or 2.7, by its quality; of nothing but black and white, a third more comes out.
    let (noise, most) =
        if spec.quality.unwrap_or(DEFAULT_QUALITY).get() < FINE_WEBP_QUALITY { (16, 22) } else { (27, 33) };
    // What is encoded is copied with four bytes a pixel, then as luma and quartered chroma. Its bits are in a buffer that
    // doubles when it is full, and for a moment is there three times over.
    let copies = pixels * 11 / 2 + pixels * noise * 2 / 10;
    if channels < 4 {
        return (copies, pixels * most / 10);
    }
    // Alpha is compressed as a picture of its own: smooth as photos have it, with this much; noise takes half as much again.
    (copies.max(pixels * 27), pixels * (most + 11) / 10)
}

/// Number of pixels.
pub(super) fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}
