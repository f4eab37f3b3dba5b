//! Photos: bytes of unknown origin in, derivatives out.
//!
//! The way of a photo, in order, a file for each step:
//!
//! 1. `sniff`: what the bytes are, by content.
//! 2. `header`: how many pixels they claim, and whether that is acceptable.
//! 3. `decode` (with `jpeg`, `png`, `tiff`): 8-bit RGB or RGBA.
//! 4. `orientation`: upright.
//! 5. For each derivative of the recipe: `resize`, then `watermark` (its letters from `lettering`), then `encode`.
//!
//! The classifier leaves this road after step 4, by `bilinear`. Everything here is synchronous and keeps one core
//! busy; nothing here knows about buckets or jobs. Absent so far: colour profiles (pixels are taken as sRGB), and any
//! frame but the first.

mod bilinear;
mod decode;
mod encode;
mod error;
mod header;
mod jpeg;
mod lettering;
mod orientation;
mod png;
mod raster;
mod resize;
mod sniff;
mod tiff;
mod watermark;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use shared::format::Format;
use shared::recipe::{DerivativeSpec, Recipe, WatermarkChoice};

pub(crate) use bilinear::resample;
pub(crate) use error::ImageError;
#[cfg(fuzzing)]
pub(crate) use header::Header;
pub(crate) use raster::Raster;
pub(crate) use watermark::Watermarker;

/// A decoded photo, upright, in 8-bit RGB or RGBA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Photo {
    raster: Raster,
    format: Format,
}

impl Photo {
    /// Width in pixels, upright; at least 1.
    pub(crate) fn width(&self) -> u32 {
        self.raster.width()
    }

    /// Height in pixels, upright; at least 1.
    pub(crate) fn height(&self) -> u32 {
        self.raster.height()
    }

    /// The format that the photo came in, by content.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn raster(&self) -> &Raster {
        &self.raster
    }
}

/// A finished derivative, not stored yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// The recipe's name for it.
    pub name: String,
    /// What it is encoded as.
    pub format: Format,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Makes the derivatives of a recipe, in its order. The same photo and recipe give the same bytes.
///
/// The photo is given away so that the last derivative, often the only one, is drawn on it and not on a copy.
pub(crate) fn render(photo: Photo, recipe: &Recipe, watermarker: &Watermarker) -> Result<Vec<Rendered>, ImageError> {
    let Photo { raster, format } = photo;
    let (last, others) = recipe.derivatives().split_last().expect("a recipe has a derivative");
    let mut derivatives = Vec::with_capacity(others.len() + 1);
    for spec in others {
        derivatives.push(derive(Cow::Borrowed(&raster), format, spec, watermarker)?);
    }
    derivatives.push(derive(Cow::Owned(raster), format, last, watermarker)?);
    Ok(derivatives)
}

/// One derivative: resize, watermark, encode.
fn derive(
    mut raster: Cow<'_, Raster>,
    source: Format,
    spec: &DerivativeSpec,
    watermarker: &Watermarker,
) -> Result<Rendered, ImageError> {
    if let Some(resize) = &spec.resize {
        raster = resize::resize(raster, resize);
    }
    match &spec.watermark {
        Some(WatermarkChoice::Off) => {}
        Some(WatermarkChoice::On(watermark)) => watermarker.draw(&mut raster, watermark),
        None => watermarker.draw(&mut raster, &shared::recipe::Watermark::default()),
    }
    let format = encode::choose(spec.format, source, &raster);
    Ok(Rendered {
        name: spec.name.as_str().to_owned(),
        format,
        width: raster.width(),
        height: raster.height(),
        bytes: encode::encode(&raster, format, spec.quality.unwrap_or_default())?,
    })
}
