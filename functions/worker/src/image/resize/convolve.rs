//! Pixels of one size out of those of another, some rows at a time.

use std::error::Error;

use fast_image_resize::images::{TypedCroppedImageMut, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8x3, U8x4};
use fast_image_resize::{CropBox, FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::super::raster::Raster;
use super::super::spare;

/// Rows of the result that are made at a time, so that what lies between the two passes over them is not one more picture in
/// memory. Weights are computed for each band anew: of a quarter as many rows, that takes a quarter of the whole time.
pub(in super::super) const BAND: u32 = 256;

const FITS: &str = "a raster holds exactly its pixels, and no plan reaches beyond them";

/// Colours are weighted by their alpha, or invisible ones would bleed into the edges.
pub(super) fn lanczos() -> ResizeOptions {
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3)).use_alpha(true)
}

/// A part of the picture, in this size.
pub(super) fn fitted(raster: &Raster, from: CropBox, to: (u32, u32), options: &ResizeOptions) -> Raster {
    laid(raster, from, spare::zeros(to.0 as usize * to.1 as usize * raster.channels()), to, to, options)
}

/// The same in the middle of a canvas, whose bytes are `data`.
pub(super) fn laid(
    raster: &Raster,
    from: CropBox,
    mut data: Vec<u8>,
    canvas: (u32, u32),
    to: (u32, u32),
    options: &ResizeOptions,
) -> Raster {
    match raster.channels() {
        3 => convolve::<U8x3>(raster, from, &mut data, canvas, to, options),
        _ => convolve::<U8x4>(raster, from, &mut data, canvas, to, options),
    }
    .expect(FITS);
    Raster::new(canvas.0, canvas.1, raster.has_alpha(), data)
}

/// Whether [`in_place`] can make this of it.
pub(super) fn fits_in_place(raster: &Raster, from: CropBox, (width, height): (u32, u32)) -> bool {
    let row = width as usize * raster.channels();
    // Alpha is multiplied into a copy anyway, and what is too large to be held for the next photo is better given back.
    if raster.has_alpha() || !(row * height as usize..=spare::MOST).contains(&raster.bytes().len()) {
        return false;
    }
    // Lanczos3 looks at three pixels of the larger picture on either side; one more, for what is rounded.
    let reach = 3.0 * (from.height / f64::from(height)).max(1.0) + 1.0;
    // No band that has been written reaches the rows that the next ones are made of.
    bands(raster.height(), from, height, BAND)
        .skip(1)
        .all(|band| row * band.first as usize <= raster.stride() * (band.top - reach).max(0.0) as usize)
}

/// A part of the picture in this size, in the picture's own memory, from its start on.
pub(super) fn in_place(raster: Raster, from: CropBox, (width, height): (u32, u32)) -> Raster {
    let (size, row) = ((raster.width(), raster.height()), width as usize * raster.channels());
    let mut data = raster.into_bytes();
    let mut made = vec![0; row * BAND.min(height) as usize];
    let mut resizer = Resizer::new();
    for band in bands(size.1, from, height, BAND) {
        let made = &mut made[..row * band.count as usize];
        let mut resize = || {
            let source = TypedImageRef::<U8x3>::from_buffer(size.0, size.1, &data)?;
            let mut target = TypedImage::<U8x3>::from_buffer(width, band.count, made)?;
            let options = lanczos().crop(from.left, band.top, from.width, band.rows);
            Ok::<_, Box<dyn Error>>(resizer.resize_typed(&source, &mut target, &options)?)
        };
        resize().expect(FITS);
        data[row * band.first as usize..][..made.len()].copy_from_slice(made);
    }
    data.truncate(row * height as usize);
    Raster::new(width, height, false, data)
}

/// Of one pixel type: the resizer's own choice at run time would have thirteen of them compiled, for two minutes.
fn convolve<P: PixelTrait>(
    raster: &Raster,
    from: CropBox,
    data: &mut [u8],
    canvas: (u32, u32),
    (width, height): (u32, u32),
    options: &ResizeOptions,
) -> Result<(), Box<dyn Error>> {
    let source = TypedImageRef::<P>::from_buffer(raster.width(), raster.height(), raster.bytes())?;
    let (left, top) = ((canvas.0 - width) / 2, (canvas.1 - height) / 2);
    // With alpha all at once: the source is multiplied by it each time.
    let most = if raster.has_alpha() { height } else { BAND };
    let mut resizer = Resizer::new();
    for band in bands(raster.height(), from, height, most) {
        let target = TypedImage::<P>::from_buffer(canvas.0, canvas.1, data)?;
        let mut target = TypedCroppedImageMut::new(target, left, top + band.first, width, band.count)?;
        let options = options.crop(from.left, band.top, from.width, band.rows);
        resizer.resize_typed(&source, &mut target, &options)?;
    }
    Ok(())
}

/// Some rows of a result, and which part of the source they are made of.
struct Band {
    first: u32,
    count: u32,
    top: f64,
    rows: f64,
}

/// All rows of a result of this height, so many at a time, out of a source of that height.
fn bands(source: u32, from: CropBox, height: u32, most: u32) -> impl Iterator<Item = Band> {
    let above = move |row: u32| from.top + from.height * (f64::from(row) / f64::from(height));
    (0..height).step_by(most as usize).map(move |first| {
        let count = most.min(height - first);
        let top = above(first);
        // A rounding error may not reach beyond the source.
        Band { first, count, top, rows: (above(first + count) - top).min(f64::from(source) - top) }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::all;
    use super::*;

    #[test]
    fn bands_do_not_show() {
        let noise = |width: u32, height: u32| {
            let bytes = (0..u64::from(width * height * 3)).map(|n| (n * n * 31 % 65_521) as u8).collect();
            Raster::new(width, height, false, bytes)
        };
        for (size, to) in
            [((150, 800), (90, 563)), ((50, 61), (200, 300)), ((64, 1000), (64, 529)), ((90, 300), (45, 300))]
        {
            let raster = noise(size.0, size.1);
            // A part that begins within a pixel.
            let part =
                CropBox { left: 3.25, top: 7.6, width: f64::from(size.0) - 9.5, height: f64::from(size.1) - 11.3 };
            for from in [all(&raster), part] {
                let source = TypedImageRef::<U8x3>::from_buffer(size.0, size.1, raster.bytes()).unwrap();
                let mut target = TypedImage::<U8x3>::new(to.0, to.1);
                let options = lanczos().crop(from.left, from.top, from.width, from.height);
                Resizer::new().resize_typed(&source, &mut target, &options).unwrap();
                let expected = target.pixels().iter().flat_map(|pixel| pixel.0);
                // Weights are rounded as finely as the largest of a band allows, once for each pass.
                let found = fitted(&raster, from, to, &lanczos());
                let worst = found.bytes().iter().zip(expected).map(|(&a, b)| a.abs_diff(b)).max();
                assert!(worst <= Some(2), "{size:?} {to:?}: {worst:?}");
            }
        }
    }

    #[test]
    fn a_camera_photo_is_shrunk_in_place() {
        let raster = Raster::new(2000, 1500, false, vec![90; 9_000_000]);
        assert!(fits_in_place(&raster, all(&raster), (1600, 1200)));
        for close in [(2000, 1499), (1999, 1500), (1990, 1493)] {
            assert!(!fits_in_place(&raster, all(&raster), close), "{close:?}: rows are overtaken");
        }
        assert!(!fits_in_place(&raster, CropBox { height: 100.0, ..all(&raster) }, (3000, 1500)), "longer");
        let raster = raster.with_alpha();
        assert!(!fits_in_place(&raster, all(&raster), (1600, 1200)), "alpha");
    }

    proptest! {
        /// Sizes near the source's, where rows are almost overtaken.
        #[test]
        fn in_place_comes_out_the_same(
            width in 1u32..300, height in 1u32..1500, part in (0.8..=1.0f64, 0.0..=1.0f64), to in (0.9..1.05f64, 0.9..1.05f64),
        ) {
            let bytes = (0..u64::from(width * height * 3)).map(|n| (n * n * 31 % 65_521) as u8).collect();
            let raster = Raster::new(width, height, false, bytes);
            let rows = f64::from(height) * part.0;
            let from = CropBox { top: (f64::from(height) - rows) * part.1, height: rows, ..all(&raster) };
            let to = ((f64::from(width) * to.0).ceil() as u32, (rows * to.1).ceil() as u32);
            if fits_in_place(&raster, from, to) {
                let expected = fitted(&raster, from, to, &lanczos());
                prop_assert!(in_place(raster, from, to) == expected);
            }
        }
    }
}
