//! Draws a line of text or an image over a picture, once or all over it.
//!
//! Light letters stand on a soft dark outline (dark letters on a light one), so that they hold on snow, at night and over
//! foliage alike. Sizes are fractions of the short side: the mark looks the same on a thumbnail and on twelve
//! megapixels. A text that would not be legible, since the picture is too small or too narrow, is left off.
//!
//! Either kind is made into a `Stamp` first, which knows no more about where it came from.

mod stamp;

use std::borrow::Cow;
use std::collections::BTreeMap;

use shared::recipe::{Content, ImageName, MAX_SIDE, Position, Watermark, WatermarkChoice, WatermarkText};

use super::lettering::Font;
use super::raster::Raster;
use super::{Header, ImageError, Photo, Scale};
use stamp::{Ink, Stamp};

/// Height of a line of text, of the short side.
const SIZE: f32 = 0.045;

/// Height of an image, of the short side.
const IMAGE_SIZE: f32 = 0.12;

/// Height of a line that nobody chose, in pixels: letters of twelve pixels, which are legible on a 300-pixel thumbnail.
const LEAST_LINE: f32 = 18.0;

/// Height of a line below which letters are noise, in pixels: capitals would be less than five high.
const LEGIBLE_LINE: f32 = 9.0;

/// Share of a side that the mark may take.
const WIDEST: f32 = 0.9;

/// Distance from the edges, of the short side.
const MARGIN: f32 = 0.028;

/// Distance between tiles, of the short side.
const TILE_MARGIN: f32 = 0.1;

/// Distance from the edges that nobody chose, of a line's height: small pictures have letters large for their size. And
/// the least between tiles.
const LEAST_MARGIN: f32 = 0.35;

/// Opacity of a mark that stands in one place.
const OPACITY: f32 = 0.88;

/// Opacity of one that is everywhere.
const TILE_OPACITY: f32 = 0.35;

/// Longest side of an image that marks are made from, in pixels. More is never seen of a mark.
pub(crate) const MAX_IMAGE_SIDE: u32 = 1024;

/// Memory to decode such an image and to resize it, in bytes, the result not counted.
const IMAGE_MEMORY: u64 = (MAX_IMAGE_SIDE as u64).pow(2) * 4 * 3 + MAX_SIDE as u64 * MAX_IMAGE_SIDE as u64 * 4;

/// Bytes that drawing a mark on a picture of this size takes at most.
pub(super) fn memory((width, height): (u32, u32), choice: Option<&WatermarkChoice>) -> u64 {
    let (wide, high) = (f64::from(width), f64::from(height));
    let short = wide.min(high);
    let watermark = match choice {
        Some(WatermarkChoice::On(watermark)) => watermark,
        Some(WatermarkChoice::Off) => return 0,
        None => &Watermark::default(),
    };
    let size = watermark.size.map(|size| size.get() * short);
    if let Some(Content::Image(_)) = watermark.content {
        let size = size.unwrap_or(f64::from(IMAGE_SIZE) * short);
        return IMAGE_MEMORY + (wide.min(f64::from(MAX_SIDE)) * (size + 1.0) * 4.0) as u64;
    }
    let size = size.unwrap_or((f64::from(SIZE) * short).max(f64::from(LEAST_LINE)));
    let pad = 2.0 * f64::from(stamp::outline_pad(size as f32) + 1);
    // The letters, their outline while it is blurred, and the stamp that they become.
    ((wide + pad) * ((size * 1.5).min(high) + pad) * 8.0) as u64 + (1 << 20)
}

/// What the operator has configured for watermarks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// Drawn where a recipe names neither a text nor an image.
    pub text: WatermarkText,
    /// PNG files that recipes name.
    pub images: BTreeMap<ImageName, Vec<u8>>,
}

/// Draws watermarks: what a recipe leaves open, and the font.
pub(crate) struct Watermarker {
    font: Font,
    configured: Watermarks,
}

impl Watermarker {
    /// Loads the font.
    pub(crate) fn new(configured: Watermarks) -> Self {
        Self { font: Font::load(), configured }
    }

    /// Draws `watermark`, what it leaves open being the configured one, and touches no more than the mark's own place.
    pub(super) fn draw(&self, raster: &mut Cow<'_, Raster>, watermark: &Watermark) -> Result<(), ImageError> {
        let (width, height) = (raster.width() as f32, raster.height() as f32);
        let short = width.min(height);
        let position = watermark.position.unwrap_or_default();
        let tiled = position == Position::Tile;
        let image = match &watermark.content {
            Some(Content::Image(name)) => Some(self.image(name)?),
            _ => None,
        };
        let wanted = match (watermark.size, &image) {
            (Some(size), _) => size.get() as f32 * short,
            (None, Some(_)) => IMAGE_SIZE * short,
            (None, None) => (SIZE * short).max(LEAST_LINE),
        };
        let margin = match watermark.margin {
            Some(margin) => margin.get() as f32 * short,
            None if tiled => TILE_MARGIN * short,
            None => (MARGIN * short).max(LEAST_MARGIN * wanted),
        }
        .round();
        let room = if tiled { (width, height) } else { (width - 2.0 * margin, height - 2.0 * margin) };
        let room = (room.0.min(width * WIDEST), room.1.min(height * WIDEST));
        let opacity = if tiled { TILE_OPACITY } else { OPACITY };
        let opacity = watermark.opacity.map_or(opacity, |opacity| opacity.get() as f32);

        let stamp = match (image, &watermark.content) {
            (Some(image), _) => {
                let (wide, high) = (image.width() as f32, image.height() as f32);
                let scale = (wanted / high).min(room.0.min(MAX_SIDE as f32) / wide).min(room.1 / high);
                let size = ((wide * scale).round(), (high * scale).round());
                let visible = size.0 >= 1.0 && size.1 >= 1.0;
                visible.then(|| Stamp::of_image(image, (size.0 as u32, size.1 as u32), opacity))
            }
            (None, Some(Content::Text(text))) => self.lettered(text, wanted, room, opacity, watermark),
            (None, _) => self.lettered(&self.configured.text, wanted, room, opacity, watermark),
        };
        let Some(stamp) = stamp else { return Ok(()) };
        if let Some((x, y)) = place(position) {
            let (wide, high) = stamp.size();
            let free = (width - wide as f32 - 2.0 * margin, height - high as f32 - 2.0 * margin);
            let corner = (margin + x * free.0, margin + y * free.1);
            stamp.print(raster.to_mut(), (corner.0.round() as i64, corner.1.round() as i64));
        } else {
            stamp.tile(raster.to_mut(), margin.max(LEAST_MARGIN * wanted).ceil() as u32);
        }
        Ok(())
    }

    /// The image of this name, decoded.
    fn image(&self, name: &ImageName) -> Result<Raster, ImageError> {
        let file = self.configured.images.get(name).ok_or_else(|| ImageError::UnknownImage { name: name.clone() })?;
        let decoded = Header::read(file, u64::from(MAX_IMAGE_SIDE).pow(2))
            .and_then(|header| Photo::decode(file, &header, Scale::FULL))
            .map_err(|error| ImageError::DamagedImage { name: name.clone(), source: error.into() })?;
        Ok(decoded.raster)
    }

    /// A line of text, `wanted` pixels high or as much as there is room for; none if nobody could read it.
    fn lettered(
        &self,
        text: &WatermarkText,
        wanted: f32,
        room: (f32, f32),
        opacity: f32,
        watermark: &Watermark,
    ) -> Option<Stamp> {
        let line = self.font.line(text.as_str(), wanted);
        let fits = (room.0 / line.width()).min(room.1 / line.height()).min(1.0);
        let size = wanted * fits;
        // Also false for a text of spaces only, whose width is 0.
        let legible = size >= LEGIBLE_LINE && line.width() > 0.0;
        let line = if fits < 1.0 { self.font.line(text.as_str(), size) } else { line };
        let ink = Ink::new(watermark.color, watermark.outline, opacity);
        legible.then(|| Stamp::of_line(&line, size, ink))
    }
}

impl std::fmt::Debug for Watermarker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watermarker").field("text", &self.configured.text).finish_non_exhaustive()
    }
}

/// Where a mark stands between the left and right, and between the top and bottom margin, 0 to 1; none: everywhere.
fn place(position: Position) -> Option<(f32, f32)> {
    Some(match position {
        Position::TopLeft => (0.0, 0.0),
        Position::Top => (0.5, 0.0),
        Position::TopRight => (1.0, 0.0),
        Position::Left => (0.0, 0.5),
        Position::Center => (0.5, 0.5),
        Position::Right => (1.0, 0.5),
        Position::BottomLeft => (0.0, 1.0),
        Position::Bottom => (0.5, 1.0),
        Position::BottomRight => (1.0, 1.0),
        Position::Tile => return None,
    })
}
