//! A mark as pixels, ready to be laid over a picture.

use image::{GrayImage, Luma};
use imageproc::filter::box_filter;
use shared::recipe::{Color, Outline};

use super::super::lettering::Line;
use super::super::raster::Raster;
use super::super::resize::exactly;

/// Opacity of the outline where it is densest, of the letters' own.
const OUTLINE: f32 = 0.66;

/// How far the outline reaches, of the line's height.
const REACH: f32 = 0.055;

/// Pixels around a line of this height that its outline needs: each of its blurs spreads by its radius.
pub(super) fn outline_pad(line: f32) -> u32 {
    3 * reach(line)
}

fn reach(line: f32) -> u32 {
    (line * REACH).ceil() as u32
}

/// What letters are drawn with.
#[derive(Clone, Copy)]
pub(super) struct Ink {
    letters: [u8; 3],
    /// None: no outline.
    outline: Option<[u8; 3]>,
    opacity: f32,
}

impl Ink {
    pub(super) fn new(color: Option<Color>, outline: Option<Outline>, opacity: f32) -> Self {
        let Color(letters) = color.unwrap_or(Color::WHITE);
        let [r, g, b] = letters.map(f32::from);
        // Rec. 601 luma, as good as any for choosing black or white.
        let light = 0.299 * r + 0.587 * g + 0.114 * b > 127.0;
        let outline = match outline {
            Some(Outline::Off) => None,
            Some(Outline::On(Color(color))) => Some(color),
            None => Some([if light { 0 } else { 255 }; 3]),
        };
        Self { letters, outline, opacity }
    }
}

/// A mark with its opacity in it, and what it spreads beyond its own size.
pub(super) struct Stamp {
    /// With transparency.
    picture: Raster,
    /// Pixels on each side that belong to the outline.
    pad: u32,
}

impl Stamp {
    /// A line of text, `size` pixels high.
    pub(super) fn of_line(line: &Line, size: f32, ink: Ink) -> Self {
        let reach = reach(size);
        let pad = if ink.outline.is_some() { outline_pad(size) } else { 0 };
        let letters = line.mask(pad);
        let (width, height) = letters.dimensions();
        let mut picture = Raster::new(width, height, true, vec![0; letters.len() * 4]);
        let (pixels, _) = picture.bytes_mut().as_chunks_mut::<4>();
        if let Some(color) = ink.outline {
            let around = blurred(&letters, reach);
            for ((pixel, Luma([letter])), Luma([around])) in
                pixels.iter_mut().zip(letters.pixels()).zip(around.pixels())
            {
                // It stays out from under the letters, which would look grey on it; its gain makes it an outline.
                let shade = (f32::from(*around) / 255.0 * 2.2).min(1.0) * (1.0 - f32::from(*letter) / 255.0);
                over(pixel, color, shade * OUTLINE * ink.opacity);
            }
        }
        for (pixel, Luma([letter])) in pixels.iter_mut().zip(letters.pixels()) {
            over(pixel, ink.letters, f32::from(*letter) / 255.0 * ink.opacity);
        }
        Self { picture, pad }
    }

    /// An image, resized to this many pixels.
    pub(super) fn of_image(image: Raster, size: (u32, u32), opacity: f32) -> Self {
        let mut picture = exactly(&image.with_alpha(), size);
        for [.., alpha] in picture.bytes_mut().as_chunks_mut::<4>().0 {
            *alpha = (f32::from(*alpha) * opacity).round() as u8;
        }
        Self { picture, pad: 0 }
    }

    /// Width and height of the mark itself, in pixels.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.picture.width() - 2 * self.pad, self.picture.height() - 2 * self.pad)
    }

    /// Lays it over the picture, its own corner at this place; what stands over the edge is left out.
    pub(super) fn print(&self, raster: &mut Raster, (left, top): (i64, i64)) {
        let corner = (left - i64::from(self.pad), top - i64::from(self.pad));
        match raster.channels() {
            3 => self.print_on::<3>(raster, corner),
            _ => self.print_on::<4>(raster, corner),
        }
    }

    fn print_on<const N: usize>(&self, raster: &mut Raster, (left, top): (i64, i64)) {
        let (width, height) = (i64::from(raster.width()), i64::from(raster.height()));
        let (ground, _) = raster.bytes_mut().as_chunks_mut::<N>();
        // Columns of the stamp that lie within the picture.
        let wide = i64::from(self.picture.width());
        let (first, end) = ((-left).clamp(0, wide), (width - left).clamp(0, wide));
        let (pixels, _) = self.picture.bytes().as_chunks::<4>();
        for (row, y) in pixels.chunks_exact(wide as usize).zip(top..) {
            if first == end || !(0..height).contains(&y) {
                continue;
            }
            let ground = &mut ground[(y * width + left + first) as usize..];
            for (pixel, &[r, g, b, alpha]) in ground.iter_mut().zip(&row[first as usize..end as usize]) {
                if alpha != 0 {
                    over(pixel, [r, g, b], f32::from(alpha) / 255.0);
                }
            }
        }
    }

    /// Lays it over all of the picture, `gap` pixels apart, in rows that are shifted against one another by half.
    pub(super) fn tile(&self, raster: &mut Raster, gap: u32) {
        let (width, height) = (i64::from(raster.width()), i64::from(raster.height()));
        let (wide, high) = self.size();
        let step = (i64::from(wide + gap), i64::from(high + gap));
        // From a mark in the very middle back to the first that is seen.
        let middle = ((width - i64::from(wide)) / 2, (height - i64::from(high)) / 2);
        let rows = middle.1 / step.1 + 1;
        for row in 0.. {
            let top = middle.1 + (row - rows) * step.1;
            // A rim of what lies beyond the edge is still seen.
            if top >= height + i64::from(self.pad) {
                break;
            }
            let shift = if (row - rows) % 2 == 0 { 0 } else { step.0 / 2 };
            let first = (middle.0 + shift).rem_euclid(step.0) - step.0;
            (first..width + i64::from(self.pad))
                .step_by(step.0 as usize)
                .for_each(|left| self.print(raster, (left, top)));
        }
    }
}

/// The letters, spread softly: three box blurs come close to a Gaussian one, at a cost that no radius changes.
fn blurred(letters: &GrayImage, radius: u32) -> GrayImage {
    (1..3).fold(box_filter(letters, radius, radius), |soft, _| box_filter(&soft, radius, radius))
}

/// Lays a colour over a pixel. On a transparent ground the colour becomes visible by as much.
fn over<const N: usize>(pixel: &mut [u8; N], color: [u8; 3], part: f32) {
    let ground = if N == 4 { f32::from(pixel[3]) / 255.0 * (1.0 - part) } else { 1.0 - part };
    let sum = part + ground;
    if sum <= 0.0 {
        return;
    }
    for (value, color) in pixel.iter_mut().zip(color) {
        *value = ((f32::from(*value) * ground + f32::from(color) * part) / sum).round() as u8;
    }
    if N == 4 {
        pixel[3] = (sum * 255.0).round() as u8;
    }
}
