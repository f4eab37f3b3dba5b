//! Turns a picture the way its camera was held: finds the EXIF orientation, and applies it to the pixels.

use image::metadata::Orientation;
use shared::format::Format;

use super::raster::Raster;
use super::{jpeg, png, webp};

/// Side of the square that is turned at once, in pixels: two of them fit the fastest cache.
const TILE: usize = 32;

/// The orientation that the file asks for; none, 0 and 9 count as upright.
pub(super) fn read(bytes: &[u8], format: Format) -> Orientation {
    let exif = match format {
        Format::Jpeg => jpeg::exif(bytes),
        Format::Png => png::chunk(bytes, *b"eXIf").map(without_prefix),
        Format::Webp => webp::chunk(bytes, *b"EXIF").map(without_prefix),
        // A TIFF file and an EXIF block have the same structure.
        Format::Tiff => Some(bytes),
        Format::Gif | Format::Bmp | Format::Avif => None,
    };
    exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// Some writers copy JPEG's prefix along.
fn without_prefix(exif: &[u8]) -> &[u8] {
    exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)
}

/// The picture, turned and mirrored as `orientation` says.
pub(super) fn upright(mut raster: Raster, orientation: Orientation) -> Raster {
    match raster.channels() {
        3 => turn::<3>(&mut raster, orientation),
        _ => turn::<4>(&mut raster, orientation),
    }
    .unwrap_or(raster)
}

/// Mirrors in place; `Some` is a picture whose sides have changed places.
fn turn<const N: usize>(raster: &mut Raster, orientation: Orientation) -> Option<Raster> {
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let (pixels, _) = raster.bytes_mut().as_chunks_mut::<N>();
    match orientation {
        Orientation::NoTransforms => None,
        Orientation::FlipHorizontal => {
            pixels.chunks_exact_mut(width).for_each(<[_]>::reverse);
            None
        }
        Orientation::Rotate180 => {
            pixels.reverse();
            None
        }
        Orientation::FlipVertical => {
            for row in 0..height / 2 {
                let (upper, lower) = pixels.split_at_mut((height - 1 - row) * width);
                upper[row * width..][..width].swap_with_slice(&mut lower[..width]);
            }
            None
        }
        Orientation::Rotate90FlipH => Some(swap_sides::<N>(raster, false, false)),
        Orientation::Rotate90 => Some(swap_sides::<N>(raster, true, false)),
        Orientation::Rotate270 => Some(swap_sides::<N>(raster, false, true)),
        Orientation::Rotate270FlipH => Some(swap_sides::<N>(raster, true, true)),
    }
}

/// The transposed picture, then mirrored horizontally or vertically.
fn swap_sides<const N: usize>(raster: &Raster, mirror_x: bool, mirror_y: bool) -> Raster {
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let mut data = vec![0; raster.bytes().len()];
    let (source, _) = raster.bytes().as_chunks::<N>();
    let (target, _) = data.as_chunks_mut::<N>();
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for x in left..width.min(left + TILE) {
                let row = if mirror_y { width - 1 - x } else { x } * height;
                for y in top..height.min(top + TILE) {
                    let column = if mirror_x { height - 1 - y } else { y };
                    target[row + column] = source[y * width + x];
                }
            }
        }
    }
    Raster::new(raster.height(), raster.width(), raster.has_alpha(), data)
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, RgbImage, RgbaImage};

    use super::*;

    #[test]
    fn sizes_that_fill_no_tile_turn_like_any() {
        let bytes = |channels: u32| (0..70 * 33 * channels).map(|n| (n % 251) as u8).collect::<Vec<_>>();
        for orientation in (1..=8).filter_map(Orientation::from_exif) {
            let mut rgb = DynamicImage::from(RgbImage::from_raw(70, 33, bytes(3)).unwrap());
            rgb.apply_orientation(orientation);
            let got = upright(Raster::new(70, 33, false, bytes(3)), orientation);
            assert_eq!((got.width(), got.bytes()), (rgb.width(), rgb.as_bytes()), "{orientation:?}");

            let mut rgba = DynamicImage::from(RgbaImage::from_raw(70, 33, bytes(4)).unwrap());
            rgba.apply_orientation(orientation);
            let got = upright(Raster::new(70, 33, true, bytes(4)), orientation);
            assert_eq!((got.width(), got.bytes()), (rgba.width(), rgba.as_bytes()), "{orientation:?}");
        }
    }
}
