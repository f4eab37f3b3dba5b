//! Writes pixels as a file, without any metadata: no EXIF, XMP, profile or comment of the source can be in it, since
//! a raster has none. The same pixels always give the same bytes.

use std::io::Cursor;

use image::codecs::{bmp::BmpEncoder, gif::GifEncoder};
use image::{ExtendedColorType, Frame, ImageEncoder, RgbaImage};
use mozjpeg::{ColorSpace, Compress};
use shared::format::Format;
use shared::recipe::{OutputFormat, Quality};
use tiff::encoder::{Compression, Predictor, TiffEncoder, colortype};
use tiff::tags::{ExtraSamples, Tag};
use webp::WebPConfig;

use super::ImageError;
use super::raster::Raster;

/// Longest side of a JPEG that libjpeg writes, and everybody reads.
const MAX_JPEG_SIDE: u32 = 65_500;

/// Longest side of a WebP, by its 14-bit sizes.
const MAX_WEBP_SIDE: u32 = 16_383;

/// Longest side of a GIF, by its 16-bit sizes.
const MAX_GIF_SIDE: u32 = 65_535;

/// From this quality on, JPEG keeps colours at full resolution.
const FULL_COLOR_QUALITY: u8 = 90;

/// WebP effort from 0 to 6. On photos, 0 saves a third of the time for files a fifth larger, 3 takes twice as long for
/// files 4 % smaller.
const WEBP_METHOD: i32 = 2;

/// GIF palette effort from 1 (slow) to 30: every tenth pixel is looked at.
const GIF_SPEED: i32 = 10;

/// The format that a derivative gets.
pub(super) fn choose(asked: Option<OutputFormat>, source: Format, raster: &Raster) -> Format {
    match asked {
        Some(OutputFormat::Jpeg) => Format::Jpeg,
        Some(OutputFormat::Png) => Format::Png,
        Some(OutputFormat::Webp) => Format::Webp,
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
        Format::Png | Format::Bmp | Format::Tiff => i32::MAX as u32,
    };
    raster.width().max(raster.height()) <= longest
}

/// Encodes; `quality` counts for JPEG and WebP.
pub(super) fn encode(raster: &Raster, format: Format, quality: Quality) -> Result<Vec<u8>, ImageError> {
    if !fits(raster, format) {
        return Err(ImageError::TooLongForFormat { format, width: raster.width(), height: raster.height() });
    }
    match format {
        Format::Jpeg => jpeg(raster, quality).map_err(|error| ImageError::encode(format, error)),
        Format::Png => png(raster).map_err(|error| ImageError::encode(format, error)),
        Format::Webp => webp(raster, quality),
        Format::Gif => gif(raster).map_err(|error| ImageError::encode(format, error)),
        Format::Bmp => bmp(raster).map_err(|error| ImageError::encode(format, error)),
        Format::Tiff => tiff(raster).map_err(|error| ImageError::encode(format, error)),
    }
}

/// Baseline JPEG. Transparency falls on white.
fn jpeg(raster: &Raster, quality: Quality) -> std::io::Result<Vec<u8>> {
    let mut settings = Compress::new(ColorSpace::JCS_RGB);
    // libjpeg-turbo's own settings; Mozilla's make files a fifth smaller in thirty times the time.
    settings.set_fastest_defaults();
    settings.set_size(raster.width() as usize, raster.height() as usize);
    settings.set_quality(f32::from(quality.get()));
    let color = if quality.get() < FULL_COLOR_QUALITY { (2, 2) } else { (1, 1) };
    settings.set_chroma_sampling_pixel_sizes(color, color);
    let mut encoder = settings.start_compress(Vec::new())?;
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
    encoder.finish()
}

fn on_white([colors @ .., alpha]: [u8; 4]) -> [u8; 3] {
    let alpha = u32::from(alpha);
    colors.map(|color| ((u32::from(color) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

/// 8-bit PNG; one channel where every pixel is grey.
fn png(raster: &Raster) -> Result<Vec<u8>, png::EncodingError> {
    let grey = raster.is_grey();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, raster.width(), raster.height());
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_color(match (grey, raster.has_alpha()) {
        (true, true) => png::ColorType::GrayscaleAlpha,
        (true, false) => png::ColorType::Grayscale,
        (false, true) => png::ColorType::Rgba,
        (false, false) => png::ColorType::Rgb,
    });
    let mut writer = encoder.write_header()?;
    match (grey, raster.has_alpha()) {
        (true, true) => {
            let pixels = raster.bytes().as_chunks::<4>().0;
            writer
                .write_image_data(&pixels.iter().flat_map(|&[grey, _, _, alpha]| [grey, alpha]).collect::<Vec<_>>())?;
        }
        (true, false) => {
            let pixels = raster.bytes().as_chunks::<3>().0;
            writer.write_image_data(&pixels.iter().map(|&[grey, _, _]| grey).collect::<Vec<_>>())?;
        }
        (false, _) => writer.write_image_data(raster.bytes())?,
    }
    writer.finish()?;
    Ok(out)
}

fn webp(raster: &Raster, quality: Quality) -> Result<Vec<u8>, ImageError> {
    let failed = |problem: String| ImageError::encode(Format::Webp, problem);
    let mut config = WebPConfig::new().map_err(|()| failed("another version of libwebp".into()))?;
    config.quality = f32::from(quality.get());
    config.method = WEBP_METHOD;
    let (width, height) = (raster.width(), raster.height());
    let encoder = if raster.has_alpha() {
        webp::Encoder::from_rgba(raster.bytes(), width, height)
    } else {
        webp::Encoder::from_rgb(raster.bytes(), width, height)
    };
    encoder.encode_advanced(&config).map(|file| file.to_vec()).map_err(|error| failed(format!("{error:?}")))
}

fn gif(raster: &Raster) -> image::ImageResult<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut out, GIF_SPEED);
    let (width, height) = (raster.width(), raster.height());
    if raster.has_alpha() {
        // GIF knows visible and invisible only. What is faint, such as the rim of a shadow, becomes invisible.
        let mut pixels = raster.bytes().to_vec();
        pixels.as_chunks_mut::<4>().0.iter_mut().for_each(|pixel| pixel[3] = if pixel[3] < 128 { 0 } else { 255 });
        let picture = RgbaImage::from_raw(width, height, pixels).expect("a raster holds exactly its pixels");
        // Takes the pixels, where `encode` would copy them once more.
        encoder.encode_frame(Frame::new(picture))?;
    } else {
        encoder.encode(raster.bytes(), width, height, ExtendedColorType::Rgb8)?;
    }
    drop(encoder);
    Ok(out)
}

fn bmp(raster: &Raster) -> image::ImageResult<Vec<u8>> {
    let mut out = Vec::new();
    let color = if raster.has_alpha() { ExtendedColorType::Rgba8 } else { ExtendedColorType::Rgb8 };
    BmpEncoder::new(&mut out).write_image(raster.bytes(), raster.width(), raster.height(), color)?;
    Ok(out)
}

/// LZW with a predictor: lossless, and what every reader of TIFF understands.
fn tiff(raster: &Raster) -> tiff::TiffResult<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    let mut file = TiffEncoder::new(&mut out)?.with_compression(Compression::Lzw).with_predictor(Predictor::Horizontal);
    if raster.has_alpha() {
        let mut image = file.new_image::<colortype::RGBA8>(raster.width(), raster.height())?;
        // Without this tag, readers take the fourth channel for padding.
        image.encoder().write_tag(Tag::ExtraSamples, ExtraSamples::UnassociatedAlpha.to_u16())?;
        image.write_data(raster.bytes())?;
    } else {
        file.write_image::<colortype::RGB8>(raster.width(), raster.height(), raster.bytes())?;
    }
    Ok(out.into_inner())
}
