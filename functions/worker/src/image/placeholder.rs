//! What stands for a photo until it is loaded: a blur of some twenty bytes, and a colour.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use shared::job::Placeholder;
use shared::recipe::Color;

use super::raster::Raster;
use super::resize::glance;

/// Longest side of what both are made from, in pixels: a `ThumbHash` takes up to 100, and keeps seven waves of them.
const SIDE: u32 = 64;

/// Bits of each channel in which colours have to agree to count as one.
const BITS: u32 = 3;

/// Alpha from which on a pixel counts as visible.
const VISIBLE: u8 = 128;

pub(super) fn of(raster: &Raster) -> Placeholder {
    let small = glance(raster, SIDE);
    let pixels: Vec<[u8; 4]> = if small.has_alpha() {
        small.bytes().as_chunks::<4>().0.to_vec()
    } else {
        small.bytes().as_chunks::<3>().0.iter().map(|&[r, g, b]| [r, g, b, 255]).collect()
    };
    let (width, height) = (small.width() as usize, small.height() as usize);
    let hash = thumbhash::rgba_to_thumb_hash(width, height, pixels.as_flattened());
    Placeholder { thumb_hash: BASE64_STANDARD.encode(hash), dominant_color: dominant(&pixels) }
}

/// The mean of the colours that most pixels are close to; white where nothing is visible.
fn dominant(pixels: &[[u8; 4]]) -> Color {
    // Of each colour, how many pixels there are, and the sums of their channels.
    let mut buckets = vec![(0u32, [0u32; 3]); 1 << (3 * BITS)];
    for [colors @ .., alpha] in pixels {
        if *alpha >= VISIBLE {
            let at = colors.iter().fold(0, |at, value| at << BITS | usize::from(value >> (8 - BITS)));
            let (count, sums) = &mut buckets[at];
            *count += 1;
            sums.iter_mut().zip(colors).for_each(|(sum, &value)| *sum += u32::from(value));
        }
    }
    match buckets.into_iter().max_by_key(|(count, _)| *count) {
        Some((count @ 1.., sums)) => Color(sums.map(|sum| ((sum + count / 2) / count) as u8)),
        _ => Color::WHITE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(width: u32, height: u32, pixel: &[u8]) -> Raster {
        Raster::new(width, height, pixel.len() == 4, pixel.repeat(width as usize * height as usize))
    }

    #[test]
    fn it_looks_like_the_photo() {
        // The left two thirds blue, the rest orange.
        let row: Vec<u8> = (0..300).flat_map(|x| if x < 200 { [20, 40, 200] } else { [250, 140, 10] }).collect();
        let found = of(&Raster::new(300, 150, false, row.repeat(150)));
        assert_eq!(found.dominant_color, Color([20, 40, 200]));
        let hash = BASE64_STANDARD.decode(&found.thumb_hash).unwrap();
        assert!(hash.len() < 26, "{} bytes", hash.len());
        let (width, height, shown) = thumbhash::thumb_hash_to_rgba(&hash).unwrap();
        // It knows shapes roughly.
        assert!(width == 32 && (14..=20).contains(&height), "{width} × {height}");
        let at = |x: usize| <[u8; 4]>::try_from(&shown[(height / 2 * width + x) * 4..][..4]).unwrap();
        let ([r, _, b, alpha], [red, _, blue, _]) = (at(4), at(28));
        assert!(b > r + 60 && red > blue + 60 && alpha == 255, "{:?} {:?}", at(4), at(28));
    }

    #[test]
    fn every_shape_has_one() {
        for (width, height) in [(1, 1), (1, 65_535), (65_535, 1), (500_000, 4), (99, 101), (3000, 2000)] {
            assert_eq!(of(&flat(width, height, &[7, 8, 9])).dominant_color, Color([7, 8, 9]), "{width} × {height}");
        }
    }

    #[test]
    fn what_is_invisible_has_no_say() {
        assert_eq!(of(&flat(40, 40, &[9, 9, 9, 0])).dominant_color, Color::WHITE);
        let row = [[[9, 9, 9, 0]; 30].concat(), [[200, 100, 50, 255]; 10].concat()].concat();
        assert_eq!(of(&Raster::new(40, 40, true, row.repeat(40))).dominant_color, Color([200, 100, 50]));
        // White dots on nothing, which is black beneath.
        let row = [[0, 0, 0, 0], [255; 4], [255; 4]].concat().repeat(100);
        assert_eq!(of(&Raster::new(300, 300, true, row.repeat(300))).dominant_color, Color::WHITE);
    }
}
