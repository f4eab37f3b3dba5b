//! Draws a line of text over a picture, legible on any ground.
//!
//! Light letters stand on a soft dark halo (dark letters on a light one), so that they hold on snow, at night and over
//! foliage alike. Sizes are fractions of the short side: the mark looks the same on a thumbnail and on twelve
//! megapixels. A text that would not be legible, since the picture is too small or too narrow, is left off.

use std::borrow::Cow;

use image::{GrayImage, Luma};
use imageproc::filter::box_filter;
use shared::recipe::{Color, Position, Watermark, WatermarkChoice, WatermarkText};

use super::lettering::Font;
use super::raster::Raster;

/// Height of a line of text, of the short side.
const SIZE: f32 = 0.045;

/// Height of a line that nobody chose, in pixels: letters of twelve pixels, which are legible on a 300-pixel thumbnail.
const LEAST_LINE: f32 = 18.0;

/// Height of a line below which letters are noise, in pixels: capitals would be less than five high.
const LEGIBLE_LINE: f32 = 9.0;

/// Share of the width that the text may take.
const WIDEST: f32 = 0.9;

/// Distance from the edges, of the short side.
const MARGIN: f32 = 0.028;

/// Distance from the edges that nobody chose, of a line's height: small pictures have letters large for their size.
const LEAST_MARGIN: f32 = 0.35;

/// Opacity of the letters.
const OPACITY: f32 = 0.88;

/// Opacity of the halo where it is densest, of the letters' own.
const HALO: f32 = 0.66;

/// How far the halo reaches, of the line's height.
const HALO_REACH: f32 = 0.055;

/// Bytes that drawing a mark on a picture of this size takes at most: the letters, and their halo while it is blurred.
pub(super) fn memory((width, height): (u32, u32), choice: Option<&WatermarkChoice>) -> u64 {
    let (wide, high) = (f64::from(width), f64::from(height));
    let size = match choice {
        Some(WatermarkChoice::On(Watermark { size: Some(size), .. })) => size.get() * wide.min(high),
        _ => (f64::from(SIZE) * wide.min(high)).max(f64::from(LEAST_LINE)),
    };
    // The halo's three blurs spread by their reach each, on both sides.
    let pad = 6.0 * ((size * f64::from(HALO_REACH)).ceil() + 1.0);
    ((wide + pad) * ((size * 1.5).min(high) + pad) * 4.0) as u64 + (1 << 20)
}

/// Draws watermarks: what a recipe leaves open, and the font.
pub(crate) struct Watermarker {
    font: Font,
    text: WatermarkText,
}

impl Watermarker {
    /// Takes the text that is drawn where a recipe names none.
    pub(crate) fn new(text: WatermarkText) -> Self {
        Self { font: Font::load(), text }
    }

    /// Draws `watermark`, what it leaves open being the configured one, and touches no more than the text's own place.
    pub(super) fn draw(&self, raster: &mut Cow<'_, Raster>, watermark: &Watermark) {
        let text = watermark.text.as_ref().unwrap_or(&self.text).as_str();
        let (width, height) = (raster.width() as f32, raster.height() as f32);
        let short = width.min(height);
        let wanted = match watermark.size {
            Some(size) => size.get() as f32 * short,
            None => (SIZE * short).max(LEAST_LINE),
        };
        let margin = match watermark.margin {
            Some(margin) => margin.get() as f32 * short,
            None => (MARGIN * short).max(LEAST_MARGIN * wanted),
        }
        .round();
        let room = ((width - 2.0 * margin).min(width * WIDEST), (height - 2.0 * margin).min(height * WIDEST));
        let line = self.font.line(text, wanted);
        let fits = (room.0 / line.width()).min(room.1 / line.height()).min(1.0);
        // Also false for a text of spaces only, whose width is 0.
        let legible = wanted * fits >= LEGIBLE_LINE && line.width() > 0.0;
        if !legible {
            return;
        }
        let size = wanted * fits;
        let line = if fits < 1.0 { self.font.line(text, size) } else { line };

        let reach = (size * HALO_REACH).ceil() as u32;
        // Each of the blurs spreads by its radius.
        let pad = 3 * reach;
        let letters = line.mask(pad);
        let halo = blurred(&letters, reach);
        let (x, y) = place(watermark.position.unwrap_or_default());
        let free = (width - line.width() - 2.0 * margin, height - line.height() - 2.0 * margin);
        let corner = (margin + x * free.0, margin + y * free.1);
        let corner = ((corner.0.round() - pad as f32) as i64, (corner.1.round() - pad as f32) as i64);
        let ink = Ink::new(watermark.color, watermark.opacity.map_or(OPACITY, |opacity| opacity.get() as f32));
        let raster = raster.to_mut();
        match raster.channels() {
            3 => paint::<3>(raster, &letters, &halo, corner, ink),
            _ => paint::<4>(raster, &letters, &halo, corner, ink),
        }
    }
}

impl std::fmt::Debug for Watermarker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watermarker").field("text", &self.text).finish_non_exhaustive()
    }
}

/// Where a text stands between the left and right, and between the top and bottom margin, 0 to 1.
fn place(position: Position) -> (f32, f32) {
    match position {
        Position::TopLeft => (0.0, 0.0),
        Position::Top => (0.5, 0.0),
        Position::TopRight => (1.0, 0.0),
        Position::Left => (0.0, 0.5),
        Position::Center => (0.5, 0.5),
        Position::Right => (1.0, 0.5),
        Position::BottomLeft => (0.0, 1.0),
        Position::Bottom => (0.5, 1.0),
        Position::BottomRight => (1.0, 1.0),
    }
}

#[derive(Clone, Copy)]
struct Ink {
    letters: [f32; 3],
    halo: [f32; 3],
    opacity: f32,
}

impl Ink {
    fn new(color: Option<Color>, opacity: f32) -> Self {
        let letters = color.map_or([255.0; 3], |Color(rgb)| rgb.map(f32::from));
        let [r, g, b] = letters;
        // Rec. 601 luma, as good as any for choosing black or white.
        let light = 0.299 * r + 0.587 * g + 0.114 * b > 127.0;
        Self { letters, halo: [if light { 0.0 } else { 255.0 }; 3], opacity }
    }
}

/// The letters, spread softly: three box blurs come close to a Gaussian one, at a cost that no radius changes.
fn blurred(letters: &GrayImage, radius: u32) -> GrayImage {
    (1..3).fold(box_filter(letters, radius, radius), |soft, _| box_filter(&soft, radius, radius))
}

/// Lays the halo and then the letters over the pixels from `corner` on; what stands over the edge is left out.
fn paint<const N: usize>(
    raster: &mut Raster,
    letters: &GrayImage,
    halo: &GrayImage,
    (left, top): (i64, i64),
    ink: Ink,
) {
    let (width, height) = (i64::from(raster.width()), i64::from(raster.height()));
    let (pixels, _) = raster.bytes_mut().as_chunks_mut::<N>();
    for ((column, row, Luma([letter])), Luma([around])) in letters.enumerate_pixels().zip(halo.pixels()) {
        let (x, y) = (left + i64::from(column), top + i64::from(row));
        let covered = letter | around != 0 && (0..width).contains(&x) && (0..height).contains(&y);
        if covered {
            let pixel = &mut pixels[(y * width + x) as usize];
            let [letter, around] = [letter, around].map(|&cover| f32::from(cover) / 255.0);
            // The halo stays out from under the letters, which would look grey on it; its gain makes it an outline.
            let shade = (around * 2.2).min(1.0) * (1.0 - letter) * HALO;
            over(pixel, ink.halo, shade * ink.opacity);
            over(pixel, ink.letters, letter * ink.opacity);
        }
    }
}

/// Lays a colour over a pixel. On a transparent ground the colour becomes visible by as much.
fn over<const N: usize>(pixel: &mut [u8; N], color: [f32; 3], part: f32) {
    let ground = if N == 4 { f32::from(pixel[3]) / 255.0 * (1.0 - part) } else { 1.0 - part };
    let sum = part + ground;
    if sum <= 0.0 {
        return;
    }
    for (value, color) in pixel.iter_mut().zip(color) {
        *value = ((f32::from(*value) * ground + color * part) / sum).round() as u8;
    }
    if N == 4 {
        pixel[3] = (sum * 255.0).round() as u8;
    }
}
