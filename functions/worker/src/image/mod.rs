//! Photos: bytes of unknown origin in, derivatives out.
//!
//! The way of a photo, in order, a file for each step:
//!
//! 1. `sniff`: what the bytes are, by content.
//! 2. `header` (with a file for each format, `ifd` for TIFF): how many pixels they claim, and what those will take. With
//!    the recipe's derivatives, `scale` makes of it how large the photo is decoded, and `cost` what all that takes.
//! 3. `decode` (with `jpeg`, which has a decoder of its own for what cameras write, `png`, `gif`, `tiff`): 8-bit RGB or
//!    RGBA; by the colour `profile`, in sRGB.
//! 4. `orientation`: upright.
//! 5. For each derivative of the recipe: `crop`, `resize`, `filters`, `watermark` (its letters from `lettering`), `encode`
//!    (with `palette` for GIF, `avif` for AVIF) into an `output` of limited length.
//!
//! What the classifier looks at leaves this road after step 4, by `view` and `bilinear`, and so does what stands for the
//! photo until it is loaded, the `placeholder`. A derivative that keeps the frames of a GIF has a road of its own, `animation`,
//! and meets this one in `resize` and `encode`. Memory of pictures that are finished with is held in `spare` for the next
//! ones. Everything here is synchronous and keeps one core busy; nothing here knows about buckets or jobs. Absent so far: of an
//! animated WebP any frame but the first.

mod animation;
mod avif;
mod bilinear;
mod bmp;
mod cost;
mod crop;
mod decode;
mod encode;
mod error;
mod filters;
mod gif;
mod header;
mod ifd;
mod jpeg;
mod lettering;
mod orientation;
mod output;
mod palette;
mod placeholder;
mod png;
mod profile;
mod raster;
mod resize;
mod scale;
mod sniff;
pub(crate) mod spare;
mod tiff;
mod view;
mod watermark;
mod webp;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use shared::format::Format;
use shared::job::Placeholder;
use shared::recipe::{DerivativeSpec, Recipe, Watermark, WatermarkChoice};

pub(crate) use animation::Animation;
pub use cost::Cost;
pub(crate) use cost::{MAX_OUTPUT, MEMORY_MIB};
pub(crate) use error::ImageError;
pub(crate) use header::Header;
pub(crate) use raster::Raster;
pub(crate) use scale::Scale;
pub use view::View;
pub use watermark::Watermarks;
pub(crate) use watermark::{MAX_IMAGE_SIDE, Watermarker};

/// A decoded photo, upright, in 8-bit RGB or RGBA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Photo {
    /// Its pixels, or fewer, if it was decoded at a smaller scale.
    raster: Raster,
    /// Width and height that it really has.
    size: (u32, u32),
    format: Format,
}

impl Photo {
    /// Width in pixels, upright; at least 1.
    pub(crate) fn width(&self) -> u32 {
        self.size.0
    }

    /// Height in pixels, upright; at least 1.
    pub(crate) fn height(&self) -> u32 {
        self.size.1
    }

    /// The format that the photo came in, by content.
    #[cfg(test)]
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// What stands for the photo until it is loaded.
    pub(crate) fn placeholder(&self) -> Placeholder {
        placeholder::of(&self.raster)
    }

    pub(crate) fn raster(&self) -> &Raster {
        &self.raster
    }
}

/// A finished derivative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// What it is encoded as.
    pub format: Format,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Makes the derivatives of a recipe, in its order, and hands over each as soon as it is finished. The same photo and
/// recipe give the same bytes, of which there are at most `room` in all.
///
/// The photo is given away so that the last derivative, often the only one, is drawn on it and not on a copy. An animation
/// takes its place in the derivatives that keep all frames.
pub(crate) fn render<E: From<ImageError>>(
    photo: Photo,
    animation: Option<&Animation>,
    recipe: &Recipe,
    watermarker: &Watermarker,
    mut room: usize,
    mut made: impl FnMut(Rendered) -> Result<(), E>,
) -> Result<(), E> {
    let Photo { raster, size, format } = photo;
    let (last, others) = recipe.derivatives().split_last().expect("a recipe has a derivative");
    let foretold = room;
    let too_long = |error| match error {
        ImageError::OutputTooLarge if (foretold as u64) < cost::MAX_OUTPUT => ImageError::OutputUnforeseen { foretold },
        error => error,
    };
    let moving = |spec, room| animation.and_then(|animation| animation.derive(spec, room));
    for spec in others {
        let still = || derive(Cow::Borrowed(&raster), size, format, spec, watermarker, room);
        let rendered = moving(spec, room).unwrap_or_else(still).map_err(too_long)?;
        room -= rendered.bytes.len();
        made(rendered)?;
        // What is foretold is the most that one derivative takes, and none of it for the others.
        spare::clear();
    }
    let still = || derive(Cow::Owned(raster), size, format, last, watermarker, room);
    made(moving(last, room).unwrap_or_else(still).map_err(too_long)?)
}

/// One derivative of at most `room` bytes.
fn derive(
    mut raster: Cow<'_, Raster>,
    mut size: (u32, u32),
    source: Format,
    spec: &DerivativeSpec,
    watermarker: &Watermarker,
    room: usize,
) -> Result<Rendered, ImageError> {
    if let Some(crop) = &spec.crop {
        raster = crop::crop(raster, size, crop)?;
        size = crop::size(size, crop)?;
    }
    if let Some(resize) = &spec.resize {
        raster = resize::resize(raster, size, resize);
    }
    filters::apply(&mut raster, &spec.filters);
    match &spec.watermark {
        Some(WatermarkChoice::Off) => {}
        Some(WatermarkChoice::On(watermark)) => watermarker.draw(&mut raster, watermark)?,
        None => watermarker.draw(&mut raster, &Watermark::default())?,
    }
    let format = encode::choose(spec.format, source, &raster);
    let (width, height) = (raster.width(), raster.height());
    let bytes = encode::encode(raster, format, spec, room)?;
    Ok(Rendered { format, width, height, bytes })
}
