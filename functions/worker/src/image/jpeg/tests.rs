//! What `baseline` decodes is what libjpeg makes of the same bytes, to the last bit; what it declines is libjpeg's
//! anyway.

mod scan;

use mozjpeg::{ColorSpace, Compress, Decompress};
use proptest::prelude::*;

use self::scan::{Blocks, SAMPLINGS, written};
use super::*;

fn libjpeg(bytes: &[u8], scale: Scale) -> io::Result<Vec<u8>> {
    let mut header = Decompress::new_mem(bytes)?;
    header.scale(scale.block());
    header.rgb()?.read_scanlines()
}

/// At how many scales the file is decoded here, and then as libjpeg does it.
#[track_caller]
fn check(bytes: &[u8]) -> usize {
    let Ok(colors) = caught(|| Ok(Decompress::new_mem(bytes)?.color_space())) else { return 0 };
    let ours = |scale: &Scale| Some((*scale, baseline::decode(bytes, scale.block(), colors)?));
    let decoded: Vec<_> = Scale::ALL.iter().filter_map(ours).collect();
    for (scale, pixels) in &decoded {
        let expected = caught(|| libjpeg(bytes, *scale)).unwrap();
        let differing = expected.iter().zip(pixels).position(|(a, b)| a != b);
        assert!(pixels.len() == expected.len() && differing.is_none(), "{scale:?}, {differing:?}");
    }
    decoded.len()
}

/// How a picture is encoded.
#[derive(Clone, Copy, Debug)]
struct Encoding {
    quality: u8,
    /// Grey, or how many pixels a colour sample spans, across and down.
    colors: Option<(u8, u8)>,
    optimized: bool,
}

fn encoded((width, height): (usize, usize), pixels: &[u8], encoding: Encoding) -> Vec<u8> {
    let mut jpeg =
        Compress::new(if encoding.colors.is_some() { ColorSpace::JCS_RGB } else { ColorSpace::JCS_GRAYSCALE });
    jpeg.set_fastest_defaults();
    jpeg.set_size(width, height);
    if let Some(size) = encoding.colors {
        jpeg.set_chroma_sampling_pixel_sizes(size, size);
    } else {
        jpeg.set_color_space(ColorSpace::JCS_GRAYSCALE);
    }
    jpeg.set_quality(encoding.quality.into());
    jpeg.set_optimize_coding(encoding.optimized);
    let mut jpeg = jpeg.start_compress(Vec::new()).unwrap();
    let channels = if encoding.colors.is_some() { 3 } else { 1 };
    jpeg.write_scanlines(&pixels[..width * height * channels]).unwrap();
    jpeg.finish().unwrap()
}

/// Bytes between waves and noise: at 0 the one, at 255 the other.
fn pattern(length: usize, seed: u64, noise: u8) -> Vec<u8> {
    let mut state = seed | 1;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let wave = |at: usize| (127.5 + 127.0 * (at as f64 / (10.0 + (seed % 100) as f64)).sin()) as u8;
    (0..length).map(|at| if random() < noise { random() } else { wave(at) }).collect()
}

const HALVED: Option<(u8, u8)> = Some((2, 2));
const WHOLE: Option<(u8, u8)> = Some((1, 1));

#[test]
fn the_samples_are_decoded_here() {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/samples")).unwrap();
    let paths =
        folder.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|name| name == "jpg"));
    let taken: Vec<_> = paths.map(|path| check(&std::fs::read(path).unwrap())).collect();
    assert_eq!(taken, [4; 4]);
}

#[test]
fn every_small_size_is_decoded_here() {
    let pixels = pattern(40 * 40 * 3, 1, 20);
    for width in 1..=40 {
        for height in 1..=40 {
            for (colors, scales) in [(HALVED, 3), (WHOLE, 4), (None, 4)] {
                let encoding = Encoding { quality: 85, colors, optimized: (width + height) % 2 == 0 };
                let taken = check(&encoded((width, height), &pixels, encoding));
                assert_eq!(taken, scales, "{width} × {height} {encoding:?}");
            }
        }
    }
}

#[test]
fn every_quality_is_decoded_here() {
    for quality in 1..=100 {
        for (seed, noise) in [(1, 0), (2, 10), (3, 255)] {
            let pixels = pattern(100 * 60 * 3, seed, noise);
            for (colors, scales) in [(HALVED, 3), (WHOLE, 4), (None, 4)] {
                let encoding = Encoding { quality, colors, optimized: quality % 2 == 0 };
                let taken = check(&encoded((100, 60), &pixels, encoding));
                assert_eq!(taken, scales, "{noise} {encoding:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_picture_comes_out_as_from_libjpeg(
        size in (1..200usize, 1..100usize),
        (seed, noise) in any::<(u64, u8)>(),
        quality in 1..=100u8,
        colors in prop_oneof![Just(None), Just(WHOLE), Just(HALVED)],
        optimized: bool,
    ) {
        let pixels = pattern(size.0 * size.1 * 3, seed, noise);
        let bytes = encoded(size, &pixels, Encoding { quality, colors, optimized });
        prop_assert_ne!(check(&bytes), 0);
    }

    #[test]
    fn any_coefficients_come_out_as_from_libjpeg(blocks: Blocks) {
        check(&written(&blocks));
    }

    #[test]
    fn any_damage_is_left_to_libjpeg(
        blocks: Blocks,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = written(&blocks);
        for (at, value) in damage {
            *at.get_mut(&mut bytes) = value;
        }
        if let Some(at) = cut {
            bytes.remove(at.index(bytes.len()));
        }
        check(&bytes);
    }
}

#[test]
fn restart_markers_are_passed() {
    for sampling in SAMPLINGS {
        for interval in 1..30 {
            let blocks = Blocks { sampling, interval, most: 4, factor: 3, ..Blocks::default() };
            assert!(check(&written(&blocks)) >= 3, "{blocks:?}");
        }
    }
}

/// However much of a scan is left when its picture is complete.
#[test]
fn a_scan_longer_than_its_picture_is_left_to_libjpeg() {
    let encoding = Encoding { quality: 100, colors: HALVED, optimized: false };
    let file = encoded((16, 640), &pattern(16 * 640 * 3, 1, 255), encoding);
    let height = file.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap() + 5;
    for rows in (16..=640u16).step_by(16) {
        let mut bytes = file.clone();
        bytes[height..height + 2].copy_from_slice(&rows.to_be_bytes());
        assert_eq!(check(&bytes), if rows == 640 { 3 } else { 0 }, "{rows}");
    }
}

#[test]
fn what_is_out_of_the_ordinary_is_left_to_libjpeg() {
    let plain = written(&Blocks { interval: 2, most: 4, factor: 3, ..Blocks::default() });
    assert_eq!(check(&plain), 3);
    let edited = |edit: fn(&mut Vec<u8>)| {
        let mut bytes = plain.clone();
        edit(&mut bytes);
        check(&bytes)
    };
    assert_eq!(edited(|bytes| bytes.extend(b"what follows the end")), 3);
    assert_eq!(edited(|bytes| bytes.truncate(bytes.len() - 2)), 0, "no end");
    assert_eq!(edited(|bytes| bytes.insert(bytes.len() - 2, 0)), 0, "a byte too many");
    assert_eq!(edited(|bytes| _ = bytes.remove(bytes.len() - 3)), 0, "a byte too few");
    assert_eq!(edited(|bytes| bytes.insert(bytes.len() - 2, 0xFF)), 0, "a byte in front of the end");
    let marker = |bytes: &[u8], code| bytes.windows(2).position(|pair| pair == [0xFF, code]).unwrap();
    for code in [0xC1, 0xC4, 0xDB] {
        let mut bytes = plain.clone();
        let at = marker(&bytes, code);
        bytes[at + 1] = 0xE5;
        assert_eq!(check(&bytes), 0, "no {code:x}");
    }
    let mut bytes = plain.clone();
    let at = marker(&bytes, 0xD0);
    bytes[at + 1] = 0xD1;
    assert_eq!(check(&bytes), 0, "restarts out of order");
    let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
    jpeg.set_size(20, 20);
    let mut jpeg = jpeg.start_compress(Vec::new()).unwrap();
    jpeg.write_scanlines(&[99; 1200]).unwrap();
    assert_eq!(check(&jpeg.finish().unwrap()), 0, "progressive");
    let narrow = Encoding { quality: 85, colors: Some((2, 1)), optimized: false };
    assert_eq!(check(&encoded((20, 20), &[99; 1200], narrow)), 0, "colours halved across only");
}
