//! From a file's bytes to upright pixels in sRGB.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, webp::WebPDecoder};
use image::error::LimitErrorKind;
use image::{ColorType, ImageDecoder, ImageResult, Limits};
use shared::format::Format;

use super::header::{Claim, Header};
use super::raster::Raster;
use super::{ImageError, Photo, Scale, gif, jpeg, orientation, png, profile, spare, tiff};

impl Photo {
    /// Decodes the file that has this header, converts its colours, and turns it upright. A smaller scale counts for JPEG
    /// only. Of an animation, the first frame is the photo.
    ///
    /// Takes no more memory than the header's claim says, and than is allowed for its colour profile.
    pub(crate) fn decode(bytes: &[u8], header: &Header, scale: Scale) -> Result<Self, ImageError> {
        let Header { format, claim, orientation, .. } = *header;
        let mut raster = match format {
            Format::Jpeg => jpeg::decode(bytes, scale)?,
            Format::Png => png::decode(bytes, &claim)?,
            Format::Webp => with(format, WebPDecoder::new(Cursor::new(bytes)), &claim)?,
            Format::Gif => gif::decode(bytes, &claim)?,
            Format::Bmp => with(format, BmpDecoder::new(Cursor::new(bytes)), &claim)?,
            Format::Tiff => tiff::decode(bytes, &claim)?,
            Format::Avif => return Err(ImageError::UnsupportedFormat { detected: "AVIF" }),
        };
        profile::to_srgb(&mut raster, bytes, format);
        let raster = orientation::upright(raster, orientation);
        let size = if scale == Scale::FULL { (raster.width(), raster.height()) } else { header.upright() };
        Ok(Self { raster, size, format })
    }
}

/// Decodes within the size that the header announced and was checked for.
fn with<D: ImageDecoder>(format: Format, decoder: ImageResult<D>, claim: &Claim) -> Result<Raster, ImageError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(claim.width);
    limits.max_image_height = Some(claim.height);
    limits.max_alloc = Some(claim.decoding);
    let pixels = decoder.and_then(|mut decoder| {
        decoder.set_limits(limits)?;
        let ((width, height), color) = (decoder.dimensions(), decoder.color_type());
        let mut data = spare::zeros(decoder.total_bytes() as usize);
        decoder.read_image(&mut data)?;
        Ok((width, height, color, data))
    });
    let (width, height, color, data) = pixels.map_err(|error| match error {
        image::ImageError::Unsupported(_) => ImageError::UnsupportedFormat { detected: "an image of a rare kind" },
        image::ImageError::Limits(error) if matches!(error.kind(), LimitErrorKind::InsufficientMemory) => {
            ImageError::TooMuchMemory
        }
        error => ImageError::corrupt(format, error),
    })?;
    // The two that these decoders have.
    Ok(if color == ColorType::Rgba8 {
        Raster::from_rgba(width, height, data)
    } else {
        Raster::new(width, height, false, data)
    })
}
