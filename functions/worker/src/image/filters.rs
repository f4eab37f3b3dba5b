//! Carries out a recipe's filters, one after another: those of colours in `filters/color`, a blur in `filters/blur`, an
//! unsharp mask here, as what a blur takes away.

mod blur;
mod color;

use std::borrow::Cow;

use shared::recipe::Filter;

use super::raster::Raster;

/// Standard deviation of the blur that an unsharp mask is made of, in pixels.
const MASK_SIGMA: f64 = 1.0;

/// Bytes that the filters take besides the picture, which has so many pixels of so many bytes.
pub(super) fn memory(filters: &[Filter], (width, height): (u32, u32), channels: u64) -> u64 {
    let copied = filters.iter().any(|filter| matches!(filter, Filter::Sharpen(_)));
    let copy = if copied { u64::from(width) * u64::from(height) * channels } else { 0 };
    let blurred = filters.iter().any(|filter| matches!(filter, Filter::Blur(_) | Filter::Sharpen(_)));
    copy + if blurred { blur::memory((width, height)) } else { 0 }
}

/// Applies all of them.
pub(super) fn apply(raster: &mut Cow<'_, Raster>, filters: &[Filter]) {
    let mut rest = filters;
    while let Some(filter) = rest.first() {
        let colors: Vec<_> = rest.iter().map_while(color::matrix).collect();
        match *filter {
            Filter::Blur(sigma) => blur::blur(raster.to_mut(), sigma.get()),
            Filter::Sharpen(amount) => sharpen(raster.to_mut(), amount.get() as f32),
            // Neighbours share one pass over the pixels.
            _ => color::apply(raster.to_mut(), &colors),
        }
        rest = &rest[colors.len().max(1)..];
    }
}

/// Adds once more what a small blur takes away. Transparency stays as it is.
fn sharpen(raster: &mut Raster, amount: f32) {
    let mut soft = raster.clone();
    blur::blur(&mut soft, MASK_SIGMA);
    match raster.channels() {
        3 => add_difference::<3>(raster, &soft, amount),
        _ => add_difference::<4>(raster, &soft, amount),
    }
}

fn add_difference<const N: usize>(raster: &mut Raster, soft: &Raster, amount: f32) {
    let (pixels, _) = raster.bytes_mut().as_chunks_mut::<N>();
    for (pixel, soft) in pixels.iter_mut().zip(soft.bytes().as_chunks::<N>().0) {
        for channel in 0..3 {
            let sharp = f32::from(pixel[channel]);
            let more = amount * (sharp - f32::from(soft[channel]));
            // Half a step more, cut off: rounding, without a call for each value.
            pixel[channel] = (sharp + more + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(raster: &Raster, json: &str) -> Raster {
        let mut raster = Cow::Borrowed(raster);
        apply(&mut raster, &serde_json::from_str::<Vec<Filter>>(json).unwrap());
        raster.into_owned()
    }

    #[test]
    fn filters_come_in_the_order_they_are_named() {
        let raster = Raster::new(1, 1, false, vec![200, 100, 50]);
        let one = filtered(&raster, r#"["invert",{"brightness":-50}]"#);
        let other = filtered(&raster, r#"[{"brightness":-50},"invert"]"#);
        assert_eq!((one.bytes(), other.bytes()), (&[28, 78, 103][..], &[155, 205, 230][..]));
        let blurred_between = filtered(&raster, r#"["invert",{"blur":3},{"brightness":-50}]"#);
        assert_eq!(blurred_between.bytes(), one.bytes(), "a single pixel has nothing to blur with");
    }

    #[test]
    fn none_touch_nothing() {
        let raster = Raster::new(1, 1, false, vec![1, 2, 3]);
        let mut untouched = Cow::Borrowed(&raster);
        apply(&mut untouched, &[]);
        assert!(matches!(untouched, Cow::Borrowed(_)));
    }

    #[test]
    fn sharpening_makes_an_edge_steeper_and_leaves_what_is_flat() {
        let row: Vec<u8> = (0..16).flat_map(|x| [if x < 8 { 80 } else { 160 }; 3]).collect();
        let raster = Raster::new(16, 4, false, row.repeat(4));
        let sharp = filtered(&raster, r#"[{"sharpen":1}]"#);
        let at = |x: usize| sharp.bytes()[(16 + x) * 3];
        assert_eq!((at(1), at(14)), (80, 160));
        assert!(at(7) < 70 && at(8) > 170, "{} {}", at(7), at(8));
        assert_eq!(filtered(&raster, r#"[{"sharpen":0}]"#), raster);
    }

    #[test]
    fn sharpening_leaves_transparency_alone() {
        let raster = Raster::new(4, 1, true, vec![9, 9, 9, 0, 200, 200, 200, 40, 90, 90, 90, 255, 10, 10, 10, 128]);
        let sharp = filtered(&raster, r#"[{"sharpen":3}]"#);
        let alpha = |raster: &Raster| raster.bytes().iter().copied().skip(3).step_by(4).collect::<Vec<_>>();
        assert_eq!(alpha(&sharp), alpha(&raster));
    }
}
