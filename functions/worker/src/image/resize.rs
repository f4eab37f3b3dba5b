//! Fits a picture into the box that a recipe asks for.

use std::borrow::Cow;
use std::error::Error;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8x3, U8x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use shared::recipe::{Fit, MAX_SIDE, Resize};

use super::raster::Raster;

/// Which part of the source becomes a picture of which size.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    /// Centred part of the source, in pixels; the whole of it unless the fit cuts something off.
    from: (f64, f64),
    to: (u32, u32),
}

/// Decides sizes, in pixels; no side of the result is ever 0.
///
/// Without `enlarge`, `cover` shrinks a box that the source cannot fill and keeps its shape, and `fill` takes the
/// shorter of box and source on each side. Where `inside` names one side only and may enlarge, the other one ends at
/// [`MAX_SIDE`]: a photo one pixel wide would otherwise grow to billions.
fn plan((width, height): (u32, u32), resize: &Resize) -> Plan {
    let beyond = if resize.enlarge { MAX_SIDE } else { u32::MAX };
    let boxed = (resize.width.unwrap_or(beyond), resize.height.unwrap_or(beyond));
    let whole = (f64::from(width), f64::from(height));
    match resize.fit {
        Fit::Inside if !resize.enlarge && boxed.0 >= width && boxed.1 >= height => {
            Plan { from: whole, to: (width, height) }
        }
        Fit::Inside => Plan { from: whole, to: inside((width, height), boxed) },
        Fit::Cover => {
            let fills = resize.enlarge || (boxed.0 <= width && boxed.1 <= height);
            let to = if fills { boxed } else { inside(boxed, (width, height)) };
            let shape = f64::from(boxed.0) / f64::from(boxed.1);
            Plan { from: (whole.0.min(whole.1 * shape), whole.1.min(whole.0 / shape)), to }
        }
        Fit::Fill if resize.enlarge => Plan { from: whole, to: boxed },
        Fit::Fill => Plan { from: whole, to: (boxed.0.min(width), boxed.1.min(height)) },
    }
}

/// The largest size of this shape in that box, rounded to whole pixels.
fn inside((width, height): (u32, u32), (box_width, box_height): (u32, u32)) -> (u32, u32) {
    let [w, h, bw, bh] = [width, height, box_width, box_height].map(u64::from);
    let scaled = |side: u64, to: u64, of: u64| ((side * to + of / 2) / of).max(1) as u32;
    if bw * h <= bh * w { (box_width, scaled(h, bw, w)) } else { (scaled(w, bh, h), box_height) }
}

/// Width and height that a picture of this size gets.
pub(super) fn size(source: (u32, u32), resize: &Resize) -> (u32, u32) {
    plan(source, resize).to
}

/// The picture at the recipe's size; borrowed where it has that size already.
pub(super) fn resize<'a>(raster: Cow<'a, Raster>, resize: &Resize) -> Cow<'a, Raster> {
    let size = (raster.width(), raster.height());
    let Plan { from: (width, height), to } = plan(size, resize);
    if to == size {
        return raster;
    }
    let (left, top) = ((f64::from(size.0) - width) / 2.0, (f64::from(size.1) - height) / 2.0);
    // Colours are weighted by their alpha, or invisible ones would bleed into the edges.
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .crop(left.max(0.0), top.max(0.0), width, height)
        .use_alpha(true);
    let mut data = vec![0; to.0 as usize * to.1 as usize * raster.channels()];
    match raster.channels() {
        3 => convolve::<U8x3>(&raster, &mut data, to, &options),
        _ => convolve::<U8x4>(&raster, &mut data, to, &options),
    }
    .expect("a raster holds exactly its pixels, and the plan stays within them");
    Cow::Owned(Raster::new(to.0, to.1, raster.has_alpha(), data))
}

/// Of one pixel type: the resizer's own choice at run time would have thirteen of them compiled, for two minutes.
fn convolve<P: PixelTrait>(
    raster: &Raster,
    data: &mut [u8],
    (width, height): (u32, u32),
    options: &ResizeOptions,
) -> Result<(), Box<dyn Error>> {
    let source = TypedImageRef::<P>::from_buffer(raster.width(), raster.height(), raster.bytes())?;
    let mut target = TypedImage::<P>::from_buffer(width, height, data)?;
    Ok(Resizer::new().resize_typed(&source, &mut target, options)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(source: (u32, u32), json: &str, expected: (u32, u32)) {
        let spec: Resize = serde_json::from_str(json).unwrap();
        let raster = Raster::new(source.0, source.1, false, vec![90; source.0 as usize * source.1 as usize * 3]);
        let got = resize(Cow::Owned(raster), &spec);
        assert_eq!((got.width(), got.height()), expected, "{source:?} {json}");
        assert!(got.bytes().iter().all(|&v| v == 90), "{source:?} {json}: a flat picture stays flat");
    }

    #[test]
    fn each_fit_gives_the_size_it_promises() {
        check((400, 300), r#"{"width":200}"#, (200, 150));
        check((400, 300), r#"{"height":100}"#, (133, 100));
        check((400, 300), r#"{"width":100,"height":100}"#, (100, 75));
        check((40, 30), r#"{"width":80}"#, (40, 30));
        check((40, 30), r#"{"width":80,"enlarge":true}"#, (80, 60));
        check((400, 300), r#"{"width":100,"height":100,"fit":"cover"}"#, (100, 100));
        check((40, 30), r#"{"width":100,"height":100,"fit":"cover"}"#, (30, 30));
        check((40, 30), r#"{"width":100,"height":100,"fit":"cover","enlarge":true}"#, (100, 100));
        check((40, 300), r#"{"width":100,"height":100,"fit":"cover"}"#, (40, 40));
        check((400, 300), r#"{"width":50,"height":100,"fit":"fill"}"#, (50, 100));
        check((40, 300), r#"{"width":50,"height":100,"fit":"fill"}"#, (40, 100));
        check((1, 5000), r#"{"width":300,"height":300}"#, (1, 300));
        check((5000, 1), r#"{"width":300}"#, (300, 1));
        check((1, 5000), r#"{"width":100,"enlarge":true}"#, (2, 8192));
    }

    #[test]
    fn cover_keeps_the_middle() {
        let row = [[0; 3], [9; 3], [9; 3], [0; 3]].concat();
        let raster = Raster::new(4, 2, false, [row.clone(), row].concat());
        let spec = serde_json::from_str(r#"{"width":2,"height":2,"fit":"cover"}"#).unwrap();
        assert_eq!(resize(Cow::Owned(raster), &spec).bytes(), [9; 12]);
    }

    #[test]
    fn invisible_colours_do_not_bleed() {
        let half = [[255, 0, 0, 255], [0, 255, 0, 0]].concat();
        let raster = Raster::new(2, 64, true, half.repeat(64));
        let spec = serde_json::from_str(r#"{"width":1,"height":64,"fit":"fill"}"#).unwrap();
        let got = resize(Cow::Owned(raster), &spec);
        assert!(got.bytes().as_chunks().0.iter().all(|&[r, g, b, _]: &[u8; 4]| r == 255 && g == 0 && b == 0));
    }

    proptest! {
        #[test]
        fn inside_never_enlarges_and_never_leaves_the_box(
            width in 1u32..70_000, height in 1u32..70_000,
            box_width in proptest::option::of(1u32..=MAX_SIDE), box_height in 1u32..=MAX_SIDE, enlarge: bool,
        ) {
            let spec = Resize { width: box_width, height: Some(box_height), fit: Fit::Inside, enlarge };
            let (w, h) = plan((width, height), &spec).to;
            prop_assert!(w >= 1 && h >= 1);
            prop_assert!(w <= box_width.unwrap_or(u32::MAX) && h <= box_height);
            prop_assert!(enlarge || (w <= width && h <= height));
            prop_assert!(!enlarge || (w <= MAX_SIDE && h <= MAX_SIDE));
        }

        #[test]
        fn no_fit_enlarges_unasked(
            width in 1u32..70_000, height in 1u32..70_000, box_width in 1u32..=MAX_SIDE, box_height in 1u32..=MAX_SIDE,
            fit in prop_oneof![Just(Fit::Inside), Just(Fit::Cover), Just(Fit::Fill)],
        ) {
            let spec = Resize { width: Some(box_width), height: Some(box_height), fit, enlarge: false };
            let Plan { from, to } = plan((width, height), &spec);
            prop_assert!((1..=width.min(box_width)).contains(&to.0) && (1..=height.min(box_height)).contains(&to.1));
            prop_assert!(from.0 <= f64::from(width) && from.1 <= f64::from(height));
        }
    }
}
