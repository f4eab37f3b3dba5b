//! Cuts the part that a recipe asks for out of a picture.

use std::borrow::Cow;

use shared::recipe::Crop;

use super::ImageError;
use super::raster::Raster;

/// A part of a picture in whole pixels, at least one of them, and none outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Region {
    /// What `crop` names in a picture of this size; refused if the picture has no such part.
    fn of((width, height): (u32, u32), crop: &Crop) -> Result<Self, ImageError> {
        let region = Self { left: crop.x.get(), top: crop.y.get(), width: crop.width.get(), height: crop.height.get() };
        // No sum overflows: each number is at most half of what the type holds.
        if region.left + region.width <= width && region.top + region.height <= height {
            Ok(region)
        } else {
            Err(ImageError::CropOutside {
                right: region.left + region.width,
                bottom: region.top + region.height,
                width,
                height,
            })
        }
    }
}

/// Width and height that a picture of this size gets.
pub(super) fn size(source: (u32, u32), crop: &Crop) -> Result<(u32, u32), ImageError> {
    Region::of(source, crop).map(|region| (region.width, region.height))
}

/// The part as a picture of its own. A picture that may be changed is cut in place.
///
/// `source` is the picture's size as the recipe counts. A raster that was decoded at a smaller scale can be cropped to the
/// whole of it only: see [`Header::scale`](super::Header::scale).
pub(super) fn crop<'a>(
    raster: Cow<'a, Raster>,
    source: (u32, u32),
    crop: &Crop,
) -> Result<Cow<'a, Raster>, ImageError> {
    let Region { left, top, width, height } = Region::of(source, crop)?;
    if (width, height) == source {
        return Ok(raster);
    }
    let (alpha, channels, stride) = (raster.has_alpha(), raster.channels(), raster.stride());
    let length = width as usize * channels;
    let from = |row: usize| (top as usize + row) * stride + left as usize * channels;
    let data = match raster {
        Cow::Borrowed(raster) => {
            let mut data = Vec::with_capacity(length * height as usize);
            (0..height as usize).for_each(|row| data.extend_from_slice(&raster.bytes()[from(row)..][..length]));
            data
        }
        Cow::Owned(raster) => {
            let mut data = raster.into_bytes();
            (0..height as usize).for_each(|row| data.copy_within(from(row)..from(row) + length, row * length));
            data.truncate(length * height as usize);
            data.shrink_to_fit();
            data
        }
    };
    Ok(Cow::Owned(Raster::new(width, height, alpha, data)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A picture whose pixels tell where they stand.
    fn numbered(width: u32, height: u32, alpha: bool) -> Raster {
        let pixel = |at: u32| [(at % width) as u8, (at / width) as u8, 7, 200];
        let data = (0..width * height).flat_map(|at| pixel(at).into_iter().take(if alpha { 4 } else { 3 })).collect();
        Raster::new(width, height, alpha, data)
    }

    fn region(size: (u32, u32), json: &str) -> Result<Region, ImageError> {
        Region::of(size, &serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_part_outside_the_picture_is_the_recipes_fault() {
        assert!(region((10, 10), r#"{"x":0,"y":0,"width":10,"height":10}"#).is_ok());
        assert!(region((10, 10), r#"{"x":9,"y":9,"width":1,"height":1}"#).is_ok());
        for json in [
            r#"{"x":0,"y":0,"width":11,"height":1}"#,
            r#"{"x":10,"y":0,"width":1,"height":1}"#,
            r#"{"x":0,"y":1,"width":1,"height":10}"#,
            r#"{"x":2147483647,"y":2147483647,"width":2147483647,"height":2147483647}"#,
        ] {
            let error = region((10, 10), json).unwrap_err();
            assert_eq!(error.code().as_str(), "INVALID_RECIPE");
            assert!(error.message().contains("10 × 10"), "{}", error.message());
        }
    }

    proptest! {
        #[test]
        fn a_part_shows_the_pixels_that_stood_there(
            (width, height) in (1u32..40, 1u32..40), alpha: bool, owned: bool,
            corner in (0u32..40, 0u32..40), size in (1u32..40, 1u32..40),
        ) {
            let (left, top) = (corner.0 % width, corner.1 % height);
            let (wide, high) = (size.0.min(width - left), size.1.min(height - top));
            let source = numbered(width, height, alpha);
            let borrowed = if owned { Cow::Owned(source.clone()) } else { Cow::Borrowed(&source) };
            let json = format!(r#"{{"x":{left},"y":{top},"width":{wide},"height":{high}}}"#);
            let part = crop(borrowed, (width, height), &serde_json::from_str(&json).unwrap()).unwrap();
            prop_assert_eq!((part.width(), part.height(), part.has_alpha()), (wide, high, alpha));
            for (at, pixel) in part.bytes().chunks_exact(source.channels()).enumerate() {
                let (x, y) = (at as u32 % wide + left, at as u32 / wide + top);
                prop_assert_eq!(pixel[..2].to_vec(), vec![x as u8, y as u8]);
            }
        }
    }
}
