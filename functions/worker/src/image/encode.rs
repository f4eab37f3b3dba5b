//! Writes pixels as a file, without any metadata: no EXIF, XMP, profile or comment of the source can be in it, since
//! a raster has none. The same pixels always give the same bytes.

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, ErrorKind, Write};

use gif::Frame;
use image::codecs::bmp::BmpEncoder;
use image::{ExtendedColorType, ImageEncoder};
use mozjpeg::{ColorSpace, Compress};
use shared::format::Format;
use shared::recipe::{DEFAULT_QUALITY, DerivativeSpec, OutputFormat, Quality};
use tiff::encoder::{Compression, Predictor, TiffEncoder, colortype};
use tiff::tags::{ExtraSamples, Tag};
use webp::{WebPConfig, WebPEncodingError};

use super::output::Output;
use super::raster::{self, Raster};
use super::{ImageError, avif, jpeg as libjpeg, palette};

/// Longest side of a JPEG that libjpeg writes, and everybody reads.
const MAX_JPEG_SIDE: u32 = 65_500;

/// Longest side of a WebP, by its 14-bit sizes.
const MAX_WEBP_SIDE: u32 = 16_383;

/// Longest side of a GIF, by its 16-bit sizes.
const MAX_GIF_SIDE: u32 = 65_535;

/// From this quality on, JPEG and AVIF keep colours at full resolution.
pub(super) const FULL_COLOR_QUALITY: u32 = 90;

/// WebP effort from 0 to 6. On photos, 0 saves a third of the time for files a fifth larger, 3 takes twice as long for
/// files 4 % smaller.
const WEBP_METHOD: i32 = 2;

/// Pixels from which on WebP gets effort 0, or the largest photos would take more time than they may.
const LARGE_WEBP: u64 = 20_000_000;

/// Effort for a lossless WebP from 0 to 100.
const LOSSLESS_EFFORT: f32 = 20.0;

/// Bytes of a PNG that are kept before they become a chunk.
const PNG_CHUNK: usize = 64 << 10;

/// The format that a derivative gets.
pub(super) fn choose(asked: Option<OutputFormat>, source: Format, raster: &Raster) -> Format {
    match asked {
        Some(OutputFormat::Jpeg) => Format::Jpeg,
        Some(OutputFormat::Png) => Format::Png,
        Some(OutputFormat::Webp) => Format::Webp,
        Some(OutputFormat::Avif) => Format::Avif,
        Some(OutputFormat::Auto) if source == Format::Png && !raster.has_alpha() && fits(raster, Format::Jpeg) => {
            Format::Jpeg
        }
        Some(OutputFormat::Auto) | None => source,
    }
}

/// Whether a file of this format can hold a picture of this size.
fn fits(raster: &Raster, format: Format) -> bool {
    let longest = match format {
        Format::Jpeg => MAX_JPEG_SIDE,
        Format::Webp => MAX_WEBP_SIDE,
        Format::Gif => MAX_GIF_SIDE,
        Format::Avif => avif::MAX_SIDE,
        Format::Png | Format::Bmp | Format::Tiff => i32::MAX as u32,
    };
    raster.width().max(raster.height()) <= longest
}

/// Encodes into at most `room` bytes, by the options that `spec` has for this format.
pub(super) fn encode(
    raster: Cow<'_, Raster>,
    format: Format,
    spec: &DerivativeSpec,
    room: usize,
) -> Result<Vec<u8>, ImageError> {
    let (width, height) = (raster.width(), raster.height());
    if !fits(&raster, format) {
        return Err(ImageError::TooLongForFormat { format, width, height });
    }
    let mut output = Output::new(room);
    let written = match raster {
        // Indexes of colours take the pixels' place.
        Cow::Owned(raster) if format == Format::Gif => gif(raster, &mut output),
        raster => {
            let written = write(&raster, format, spec, &mut output);
            raster::finish(raster);
            written
        }
    };
    match written {
        _ if output.is_exceeded() => Err(ImageError::OutputTooLarge),
        Ok(()) => Ok(output.into_bytes()),
        Err(error) => Err(match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(ErrorKind::OutOfMemory) => ImageError::TooMuchMemory,
            Some(ErrorKind::FileTooLarge) => ImageError::TooLongForFormat { format, width, height },
            _ => ImageError::encode(format, error),
        }),
    }
}

/// What an encoder says that failed.
pub(super) type Problem = Box<dyn Error + Send + Sync>;

fn write(raster: &Raster, format: Format, spec: &DerivativeSpec, out: &mut Output) -> Result<(), Problem> {
    let quality = spec.quality.unwrap_or(DEFAULT_QUALITY);
    match format {
        Format::Jpeg => Ok(libjpeg::caught(|| jpeg(raster, quality, spec.progressive, out))?),
        Format::Png => png(raster, out),
        Format::Webp if spec.lossless => lossless_webp(raster, out),
        Format::Webp => lossy_webp(raster, quality, out),
        Format::Gif => gif(raster.clone(), out),
        Format::Bmp => bmp(raster, out),
        Format::Tiff => tiff(raster, out),
        Format::Avif => avif::write(raster, quality, out),
    }
}

/// JPEG. Transparency falls on white.
fn jpeg(raster: &Raster, quality: Quality, progressive: bool, out: &mut Output) -> io::Result<()> {
    let mut settings = Compress::new(ColorSpace::JCS_RGB);
    // libjpeg-turbo's own settings; Mozilla's make files a fifth smaller in thirty times the time.
    settings.set_fastest_defaults();
    settings.set_size(raster.width() as usize, raster.height() as usize);
    if progressive {
        settings.set_progressive_mode();
    }
    settings.set_quality(quality.get() as f32);
    let color = if quality.get() < FULL_COLOR_QUALITY { (2, 2) } else { (1, 1) };
    settings.set_chroma_sampling_pixel_sizes(color, color);
    let mut encoder = settings.start_compress(out)?;
    if raster.has_alpha() {
        let mut opaque = Vec::with_capacity(raster.width() as usize * 3);
        for row in raster.bytes().chunks_exact(raster.stride()) {
            opaque.clear();
            opaque.extend(row.as_chunks::<4>().0.iter().copied().flat_map(on_white));
            encoder.write_scanlines(&opaque)?;
        }
    } else {
        encoder.write_scanlines(raster.bytes())?;
    }
    encoder.finish()?;
    Ok(())
}

fn on_white([colors @ .., alpha]: [u8; 4]) -> [u8; 3] {
    let alpha = u32::from(alpha);
    colors.map(|color| ((u32::from(color) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

/// 8-bit PNG; one channel where every pixel is grey.
fn png(raster: &Raster, out: &mut Output) -> Result<(), Problem> {
    let grey = raster.is_grey();
    let mut encoder = png::Encoder::new(out, raster.width(), raster.height());
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_color(match (grey, raster.has_alpha()) {
        (true, true) => png::ColorType::GrayscaleAlpha,
        (true, false) => png::ColorType::Grayscale,
        (false, true) => png::ColorType::Rgba,
        (false, false) => png::ColorType::Rgb,
    });
    let mut header = encoder.write_header()?;
    let mut writer = header.stream_writer_with_size(PNG_CHUNK)?;
    let mut shades = Vec::new();
    for row in raster.bytes().chunks_exact(raster.stride()) {
        shades.clear();
        match (grey, raster.has_alpha()) {
            (true, true) => shades.extend(row.as_chunks::<4>().0.iter().flat_map(|&[grey, _, _, alpha]| [grey, alpha])),
            (true, false) => shades.extend(row.as_chunks::<3>().0.iter().map(|&[grey, _, _]| grey)),
            (false, _) => {}
        }
        writer.write_all(if grey { &shades } else { row })?;
    }
    writer.finish()?;
    header.finish()?;
    Ok(())
}

fn lossy_webp(raster: &Raster, quality: Quality, out: &mut Output) -> Result<(), Problem> {
    let mut config = webp_config()?;
    config.quality = quality.get() as f32;
    config.method = if raster.pixels() < LARGE_WEBP { WEBP_METHOD } else { 0 };
    webp(raster, &config, out)
}

/// Every pixel stays as it is, the colours of invisible ones included.
fn lossless_webp(raster: &Raster, out: &mut Output) -> Result<(), Problem> {
    let mut config = webp_config()?;
    config.lossless = 1;
    config.exact = 1;
    config.quality = LOSSLESS_EFFORT;
    config.method = 0;
    webp(raster, &config, out)
}

fn webp_config() -> Result<WebPConfig, Problem> {
    WebPConfig::new().map_err(|()| "another version of libwebp".into())
}

fn webp(raster: &Raster, config: &WebPConfig, out: &mut Output) -> Result<(), Problem> {
    let (width, height) = (raster.width(), raster.height());
    let encoder = if raster.has_alpha() {
        webp::Encoder::from_rgba(raster.bytes(), width, height)
    } else {
        webp::Encoder::from_rgb(raster.bytes(), width, height)
    };
    let file = encoder.encode_advanced(config).map_err(|error| match error {
        // Short of memory, libwebp's parts say different things: that of the pixels that there are none, that of the bits so, and
        // the writer, which has nowhere to write but memory, that it cannot write.
        WebPEncodingError::VP8_ENC_ERROR_OUT_OF_MEMORY
        | WebPEncodingError::VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY
        | WebPEncodingError::VP8_ENC_ERROR_NULL_PARAMETER
        | WebPEncodingError::VP8_ENC_ERROR_BAD_WRITE => ErrorKind::OutOfMemory.into(),
        // What is known of the blocks has 512 KiB at most, which is less than noise of 20 megapixels needs.
        WebPEncodingError::VP8_ENC_ERROR_PARTITION0_OVERFLOW => ErrorKind::FileTooLarge.into(),
        error => std::io::Error::other(format!("{error:?}")),
    })?;
    Ok(out.write_all(&file)?)
}

/// GIF knows visible and invisible only. What is faint, such as the rim of a shadow, becomes invisible.
fn gif(raster: Raster, out: &mut Output) -> Result<(), Problem> {
    let (width, height) = (raster.width() as u16, raster.height() as u16);
    let palette::Indexed { palette, transparent, pixels } = palette::index(raster);
    let mut encoder = gif::Encoder::new(out, width, height, &[])?;
    let frame =
        Frame { width, height, buffer: Cow::Owned(pixels), palette: Some(palette), transparent, ..Frame::default() };
    Ok(encoder.write_frame(&frame)?)
}

fn bmp(raster: &Raster, out: &mut Output) -> Result<(), Problem> {
    let color = if raster.has_alpha() { ExtendedColorType::Rgba8 } else { ExtendedColorType::Rgb8 };
    Ok(BmpEncoder::new(out).write_image(raster.bytes(), raster.width(), raster.height(), color)?)
}

/// LZW with a predictor: lossless, and what every reader of TIFF understands.
fn tiff(raster: &Raster, out: &mut Output) -> Result<(), Problem> {
    let mut file = TiffEncoder::new(out)?.with_compression(Compression::Lzw).with_predictor(Predictor::Horizontal);
    if raster.has_alpha() {
        let mut image = file.new_image::<colortype::RGBA8>(raster.width(), raster.height())?;
        // Without this tag, readers take the fourth channel for padding.
        image.encoder().write_tag(Tag::ExtraSamples, ExtraSamples::UnassociatedAlpha.to_u16())?;
        image.write_data(raster.bytes())?;
    } else {
        file.write_image::<colortype::RGB8>(raster.width(), raster.height(), raster.bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::spare;

    #[test]
    fn what_a_picture_was_in_is_held_for_the_next_one() {
        let bytes = 512 * 1024 * 3;
        let picture = Raster::new(1024, 512, false, vec![90; bytes]);
        let spec: DerivativeSpec = serde_json::from_str(r#"{"name":"full"}"#).unwrap();
        for format in [Format::Jpeg, Format::Png, Format::Webp, Format::Bmp, Format::Tiff, Format::Avif] {
            for (raster, expected) in [(Cow::Owned(picture.clone()), bytes), (Cow::Borrowed(&picture), 0)] {
                spare::clear();
                encode(raster, format, &spec, usize::MAX).unwrap();
                assert_eq!(spare::held(), expected, "{format:?}");
            }
        }
    }
}
