//! From a file's bytes to upright pixels.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, webp::WebPDecoder};
use image::{DynamicImage, ImageDecoder, ImageResult, Limits};
use shared::format::Format;

use super::header::Header;
use super::raster::Raster;
use super::{ImageError, Photo, jpeg, orientation, png, tiff};

/// Memory a decoder may take besides its pixels, in bytes.
const OVERHEAD: u64 = 1 << 20;

impl Photo {
    /// Decodes a file: by content, within `max_pixels`, and turned upright.
    ///
    /// Takes up to 8 bytes of memory a pixel while it works. Of an animation, the first frame is the photo.
    pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<Self, ImageError> {
        let Header { format, width, height } = Header::read(bytes, max_pixels)?;
        let raster = match format {
            Format::Jpeg => jpeg::decode(bytes)?,
            Format::Png => png::decode(bytes, width, height)?,
            Format::Webp => with(format, WebPDecoder::new(Cursor::new(bytes)), width, height)?,
            Format::Gif => with(format, GifDecoder::new(Cursor::new(bytes)), width, height)?,
            Format::Bmp => with(format, BmpDecoder::new(Cursor::new(bytes)), width, height)?,
            Format::Tiff => tiff::decode(bytes, width, height)?,
        };
        let raster = orientation::upright(raster, orientation::read(bytes, format));
        Ok(Self { raster, format })
    }
}

/// Decodes within the size that the header announced and was checked for.
fn with<D: ImageDecoder>(
    format: Format,
    decoder: ImageResult<D>,
    width: u32,
    height: u32,
) -> Result<Raster, ImageError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(width);
    limits.max_image_height = Some(height);
    // A frame and the canvas it is put on, four bytes a pixel each.
    limits.max_alloc = Some(u64::from(width) * u64::from(height) * 8 + OVERHEAD);
    let image = decoder.and_then(|mut decoder| {
        decoder.set_limits(limits)?;
        DynamicImage::from_decoder(decoder)
    });
    let image = image.map_err(|error| match error {
        image::ImageError::Unsupported(_) => ImageError::UnsupportedFormat { detected: "an image of a rare kind" },
        error => ImageError::corrupt(format, error),
    })?;
    let (width, height) = (image.width(), image.height());
    Ok(if image.color().has_alpha() {
        Raster::from_rgba(width, height, image.into_rgba8().into_raw())
    } else {
        Raster::new(width, height, false, image.into_rgb8().into_raw())
    })
}
