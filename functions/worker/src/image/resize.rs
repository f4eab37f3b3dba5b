//! Fits a picture into the box that a recipe asks for.

mod convolve;

use std::borrow::Cow;

use fast_image_resize::{CropBox, FilterType, ResizeAlg, ResizeOptions};
use shared::recipe::{Color, Fit, MAX_SIDE, Resize};

pub(super) use self::convolve::BAND;
use self::convolve::{fits_in_place, fitted, in_place, laid, lanczos};
use super::raster::{self, Raster};

/// Which part of the source becomes a picture of which size.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    /// Centred part of the source, in pixels; the whole of it unless the fit cuts something off.
    from: (f64, f64),
    to: (u32, u32),
    /// What the picture stands in the middle of, where that is larger.
    canvas: (u32, u32),
}

impl Plan {
    /// Without a rim.
    fn new(from: (f64, f64), to: (u32, u32)) -> Self {
        Self { from, to, canvas: to }
    }
}

/// Decides sizes, in pixels; no side of the result is ever 0.
///
/// Without `enlarge`, `cover` shrinks a box that the source cannot fill and keeps its shape, `fill` takes the shorter of
/// box and source on each side, and `contain` leaves a small source as it is in the middle of its box. Where `inside` names
/// one side only and may enlarge, the other one ends at [`MAX_SIDE`]: a photo one pixel wide would otherwise grow to
/// billions.
fn plan((width, height): (u32, u32), resize: &Resize) -> Plan {
    let beyond = if resize.enlarge { MAX_SIDE } else { u32::MAX };
    let boxed = (resize.width.unwrap_or(beyond), resize.height.unwrap_or(beyond));
    let whole = (f64::from(width), f64::from(height));
    match resize.fit {
        Fit::Inside => Plan::new(whole, scaled((width, height), boxed, resize.enlarge)),
        Fit::Contain => Plan { from: whole, to: scaled((width, height), boxed, resize.enlarge), canvas: boxed },
        Fit::Cover => {
            let fills = resize.enlarge || (boxed.0 <= width && boxed.1 <= height);
            let to = if fills { boxed } else { inside(boxed, (width, height)) };
            let shape = f64::from(boxed.0) / f64::from(boxed.1);
            // What ends at its own size is not worth half a pixel of shape.
            let from = if to == (width, height) {
                whole
            } else {
                (whole.0.min(whole.1 * shape), whole.1.min(whole.0 / shape))
            };
            Plan::new(from, to)
        }
        Fit::Fill if resize.enlarge => Plan::new(whole, boxed),
        Fit::Fill => Plan::new(whole, (boxed.0.min(width), boxed.1.min(height))),
    }
}

/// The size that fits into the box, which a picture smaller than it has already unless it may grow.
fn scaled(size: (u32, u32), boxed: (u32, u32), enlarge: bool) -> (u32, u32) {
    if !enlarge && boxed.0 >= size.0 && boxed.1 >= size.1 { size } else { inside(size, boxed) }
}

/// The largest size of this shape in that box, rounded to whole pixels.
fn inside((width, height): (u32, u32), (box_width, box_height): (u32, u32)) -> (u32, u32) {
    let [w, h, bw, bh] = [width, height, box_width, box_height].map(u64::from);
    let scaled = |side: u64, to: u64, of: u64| ((side * to + of / 2) / of).max(1) as u32;
    if bw * h <= bh * w { (box_width, scaled(h, bw, w)) } else { (scaled(w, bh, h), box_height) }
}

/// Width and height that a picture of this size gets.
pub(super) fn size(source: (u32, u32), resize: &Resize) -> (u32, u32) {
    plan(source, resize).canvas
}

/// How much larger the picture gets on the side that grows most, or shrinks least.
pub(super) fn magnification(source: (u32, u32), resize: &Resize) -> f64 {
    let Plan { from, to, .. } = plan(source, resize);
    (f64::from(to.0) / from.0).max(f64::from(to.1) / from.1)
}

/// The picture at the recipe's size; borrowed where it has that size already.
///
/// `source` is its size as the recipe counts, which differs from the raster's if that was decoded at a smaller scale.
pub(super) fn resize<'a>(raster: Cow<'a, Raster>, source: (u32, u32), resize: &Resize) -> Cow<'a, Raster> {
    let size = (raster.width(), raster.height());
    let Plan { from, to, canvas } = plan(source, resize);
    let whole = from == (f64::from(source.0), f64::from(source.1));
    if whole && to == size && canvas == size {
        return raster;
    }
    // Exactly the whole where it is the whole: a rounding error would reach beyond.
    let part = |of: u32, source: u32, part: f64| (f64::from(of) * (part / f64::from(source))).min(f64::from(of));
    let (width, height) = (part(size.0, source.0, from.0), part(size.1, source.1, from.1));
    let rest = |of: u32, part: f64| (f64::from(of) - part) / 2.0;
    let from = CropBox { left: rest(size.0, width), top: rest(size.1, height), width, height };
    let resized = match raster {
        Cow::Owned(raster) if canvas == to && fits_in_place(&raster, from, to) => in_place(raster, from, to),
        raster => {
            let resized = if canvas == to {
                fitted(&raster, from, to, &lanczos())
            } else {
                laid(&raster, from, ground(canvas, &raster, resize.background), canvas, to, &lanczos())
            };
            raster::finish(raster);
            resized
        }
    };
    Cow::Owned(resized)
}

/// The whole picture, quickly and roughly, no longer than this on either side: of the source only some pixels are looked at.
pub(super) fn glance(raster: &Raster, longest: u32) -> Raster {
    let size = (raster.width(), raster.height());
    let some = (size.0.min(longest * 4), size.1.min(longest * 4));
    let nearest = ResizeOptions::new().resize_alg(ResizeAlg::Nearest).use_alpha(false);
    let sampled = fitted(raster, all(raster), some, &nearest);
    let mean = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box)).use_alpha(true);
    fitted(&sampled, all(&sampled), scaled(size, (longest, longest), false), &mean)
}

/// The picture in exactly this size.
pub(super) fn exactly(raster: &Raster, to: (u32, u32)) -> Raster {
    fitted(raster, all(raster), to, &lanczos())
}

/// The whole picture.
fn all(raster: &Raster) -> CropBox {
    CropBox { left: 0.0, top: 0.0, width: raster.width().into(), height: raster.height().into() }
}

/// A canvas of one colour, with as many channels as the picture.
fn ground((width, height): (u32, u32), raster: &Raster, Color([r, g, b]): Color) -> Vec<u8> {
    let pixels = width as usize * height as usize;
    if raster.has_alpha() { [r, g, b, 255].repeat(pixels) } else { [r, g, b].repeat(pixels) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All of a picture, resized.
    fn whole(raster: Raster, spec: &Resize) -> Raster {
        let size = (raster.width(), raster.height());
        resize(Cow::Owned(raster), size, spec).into_owned()
    }

    fn check(source: (u32, u32), json: &str, expected: (u32, u32)) {
        let spec: Resize = serde_json::from_str(json).unwrap();
        let raster = Raster::new(source.0, source.1, false, vec![90; source.0 as usize * source.1 as usize * 3]);
        let got = whole(raster, &spec);
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
    fn contain_puts_the_whole_picture_in_the_middle_of_its_box() {
        for (source, json, inner) in [
            ((40, 20), r##"{"width":10,"height":9,"fit":"contain","background":"#010203"}"##, (0, 2, 10, 5)),
            ((4, 2), r##"{"width":10,"height":9,"fit":"contain","background":"#010203"}"##, (3, 3, 4, 2)),
            (
                (4, 2),
                r##"{"width":10,"height":9,"fit":"contain","background":"#010203","enlarge":true}"##,
                (0, 2, 10, 5),
            ),
            ((20, 40), r##"{"width":9,"height":10,"fit":"contain","background":"#010203"}"##, (2, 0, 5, 10)),
        ] {
            for alpha in [false, true] {
                let pixel = if alpha { &[200, 90, 30, 128][..] } else { &[200, 90, 30] };
                let raster =
                    Raster::new(source.0, source.1, alpha, pixel.repeat(source.0 as usize * source.1 as usize));
                let spec: Resize = serde_json::from_str(json).unwrap();
                let got = whole(raster, &spec);
                assert_eq!((Some(got.width()), Some(got.height())), (spec.width, spec.height));
                let (left, top, width, height) = inner;
                for (at, found) in got.bytes().chunks_exact(pixel.len()).enumerate() {
                    let (x, y) = (at as u32 % got.width(), at as u32 / got.width());
                    let within = (left..left + width).contains(&x) && (top..top + height).contains(&y);
                    let expected = if within { pixel } else { &[1, 2, 3, 255][..pixel.len()] };
                    let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= 1);
                    assert!(near, "{source:?} {json} at {x}, {y}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn cover_keeps_the_middle() {
        let row = [[0; 3], [9; 3], [9; 3], [0; 3]].concat();
        let raster = Raster::new(4, 2, false, [row.clone(), row].concat());
        let spec = serde_json::from_str(r#"{"width":2,"height":2,"fit":"cover"}"#).unwrap();
        assert_eq!(whole(raster, &spec).bytes(), [9; 12]);
    }

    #[test]
    fn invisible_colours_do_not_bleed() {
        let half = [[255, 0, 0, 255], [0, 255, 0, 0]].concat();
        let raster = Raster::new(2, 64, true, half.repeat(64));
        let spec = serde_json::from_str(r#"{"width":1,"height":64,"fit":"fill"}"#).unwrap();
        let got = whole(raster, &spec);
        assert!(got.bytes().as_chunks().0.iter().all(|&[r, g, b, _]: &[u8; 4]| r == 255 && g == 0 && b == 0));
    }

    proptest! {
        #[test]
        fn inside_never_enlarges_and_never_leaves_the_box(
            width in 1u32..70_000, height in 1u32..70_000,
            box_width in proptest::option::of(1u32..=MAX_SIDE), box_height in 1u32..=MAX_SIDE, enlarge: bool,
        ) {
            let spec = Resize { width: box_width, height: Some(box_height), fit: Fit::Inside, enlarge, background: Color::WHITE };
            let (w, h) = plan((width, height), &spec).to;
            prop_assert!(w >= 1 && h >= 1);
            prop_assert!(w <= box_width.unwrap_or(u32::MAX) && h <= box_height);
            prop_assert!(enlarge || (w <= width && h <= height));
            prop_assert!(!enlarge || (w <= MAX_SIDE && h <= MAX_SIDE));
        }

        #[test]
        fn no_fit_enlarges_unasked(
            width in 1u32..70_000, height in 1u32..70_000, box_width in 1u32..=MAX_SIDE, box_height in 1u32..=MAX_SIDE,
            fit in prop_oneof![Just(Fit::Inside), Just(Fit::Cover), Just(Fit::Contain), Just(Fit::Fill)],
        ) {
            let spec = Resize { width: Some(box_width), height: Some(box_height), fit, enlarge: false, background: Color::WHITE };
            let Plan { from, to, canvas } = plan((width, height), &spec);
            prop_assert_eq!(canvas, if fit == Fit::Contain { (box_width, box_height) } else { to });
            prop_assert!((1..=width.min(box_width)).contains(&to.0) && (1..=height.min(box_height)).contains(&to.1));
            prop_assert!(from.0 <= f64::from(width) && from.1 <= f64::from(height));
        }
    }
}
