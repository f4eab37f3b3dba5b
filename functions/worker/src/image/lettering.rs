//! Text as a mask: which pixels its letters cover, and how much.
//!
//! `ab_glyph` draws the letters. Where they stand is decided here, since nothing in the image crates reads the kerning
//! of a modern font.

use std::ops::Range;

use ab_glyph::{Font as _, FontRef, GlyphId, OutlinedGlyph, PxScale, ScaleFont};
use image::{GrayImage, Luma};
use ttf_parser::Face;
use ttf_parser::gpos::{PairAdjustment, PositioningSubtable};

/// Noto Sans Bold, a TrueType file.
const FONT: &[u8] = include_bytes!("../../../../assets/fonts/NotoSans-Bold.ttf");

/// The font, read.
pub(super) struct Font(FontRef<'static>);

/// A line of text, laid out and not drawn yet.
pub(super) struct Line {
    glyphs: Vec<OutlinedGlyph>,
    columns: Range<f32>,
    rows: Range<f32>,
}

impl Font {
    pub(super) fn load() -> Self {
        Self(FontRef::try_from_slice(FONT).expect("the font is among the sources"))
    }

    /// Lays out one line, `height` pixels from the top of its tallest letter to the bottom of its lowest.
    pub(super) fn line(&self, text: &str, height: f32) -> Line {
        let scaled = self.0.as_scaled(PxScale::from(height));
        let units = scaled.h_scale_factor();
        let face = Face::parse(FONT, 0).ok();
        let mut glyphs = Vec::new();
        let mut caret = 0.0;
        let mut previous = None;
        for id in text.chars().map(|c| self.0.glyph_id(c)) {
            if let Some(previous) = previous {
                let pair = scaled.kern(previous, id);
                caret +=
                    if pair == 0.0 { face.as_ref().map_or(0.0, |face| kern(face, previous, id) * units) } else { pair };
            }
            let glyph = id.with_scale_and_position(PxScale::from(height), ab_glyph::point(caret, 0.0));
            caret += scaled.h_advance(id);
            previous = Some(id);
            glyphs.extend(self.0.outline_glyph(glyph));
        }
        let bounds: Vec<_> = glyphs.iter().map(OutlinedGlyph::px_bounds).collect();
        let least = |of: fn(&ab_glyph::Rect) -> f32| bounds.iter().map(of).reduce(f32::min).unwrap_or_default();
        let most = |of: fn(&ab_glyph::Rect) -> f32| bounds.iter().map(of).reduce(f32::max).unwrap_or_default();
        let columns = least(|rect| rect.min.x)..most(|rect| rect.max.x);
        let rows = least(|rect| rect.min.y)..most(|rect| rect.max.y);
        Line { glyphs, columns, rows }
    }
}

impl Line {
    /// Width of the letters themselves, in whole pixels.
    pub(super) fn width(&self) -> f32 {
        self.columns.end - self.columns.start
    }

    /// Height of the letters themselves, in whole pixels.
    pub(super) fn height(&self) -> f32 {
        self.rows.end - self.rows.start
    }

    /// Draws the letters, with `pad` empty pixels on every side: 255 where a letter covers all of a pixel.
    pub(super) fn mask(&self, pad: u32) -> GrayImage {
        let mut mask = GrayImage::new(self.width() as u32 + 2 * pad, self.height() as u32 + 2 * pad);
        for glyph in &self.glyphs {
            let bounds = glyph.px_bounds();
            let left = (bounds.min.x - self.columns.start) as u32 + pad;
            let top = (bounds.min.y - self.rows.start) as u32 + pad;
            glyph.draw(|x, y, part| {
                if let Some(Luma([cover])) = mask.get_pixel_mut_checked(left + x, top + y) {
                    // Letters that touch add up to at most a full cover.
                    *cover = cover.saturating_add((part * 255.0).round() as u8);
                }
            });
        }
        mask
    }
}

/// How far a pair of letters is moved apart, in font units, by the font's `GPOS` table: new fonts have no other.
fn kern(face: &Face<'_>, left: GlyphId, right: GlyphId) -> f32 {
    let (left, right) = (ttf_parser::GlyphId(left.0), ttf_parser::GlyphId(right.0));
    let Some(gpos) = face.tables().gpos else { return 0.0 };
    let kerning = gpos.features.into_iter().filter(|feature| feature.tag == ttf_parser::Tag::from_bytes(b"kern"));
    let lookups = kerning.flat_map(|feature| feature.lookup_indices).filter_map(|index| gpos.lookups.get(index));
    let mut pairs =
        lookups.flat_map(|lookup| lookup.subtables.into_iter::<PositioningSubtable<'_>>()).filter_map(|subtable| {
            match subtable {
                PositioningSubtable::Pair(pair) => Some(pair),
                _ => None,
            }
        });
    let found = pairs.find_map(|pair| match pair {
        PairAdjustment::Format1 { coverage, sets } => sets.get(coverage.get(left)?)?.get(right),
        PairAdjustment::Format2 { coverage, classes, matrix } => {
            coverage.get(left)?;
            matrix.get((classes.0.get(left), classes.1.get(right)))
        }
    });
    found.map_or(0.0, |(first, _)| f32::from(first.x_advance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_kerned() {
        let font = Font::load();
        let face = Face::parse(FONT, 0).unwrap();
        let pair = |left, right| kern(&face, font.0.glyph_id(left), font.0.glyph_id(right));
        assert!(pair('A', 'V') < 0.0 && pair('T', 'o') < 0.0);
        assert!(pair('H', 'H').abs() < f32::EPSILON);
    }

    #[test]
    fn a_space_alone_has_no_size() {
        assert!(Font::load().line(" ", 40.0).width() <= 0.0);
    }
}
