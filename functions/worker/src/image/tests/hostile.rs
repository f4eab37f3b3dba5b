//! Damaged and hostile bytes: an error with its code, never a panic, never work out of proportion.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn code(bytes: &[u8]) -> &'static str {
    decode(bytes).map_or_else(|error| error.code().as_str(), |_| "decoded")
}

#[test]
fn a_file_cut_short_is_corrupt() {
    for (name, bytes) in fixtures() {
        // What follows the pixels (EXIF of a WebP, the other frames of an animation) may be missing.
        let whole = if name.starts_with("animated") { bytes.len() / 3 } else { bytes.len() };
        for percent in (10..90).step_by(5) {
            let cut = whole * percent / 100;
            if cut > 40 && !(name.contains("orientation") && (name.ends_with("webp") || name.ends_with("png"))) {
                assert_eq!(code(&bytes[..cut]), "CORRUPT_IMAGE", "{name} at {percent} % of {}", bytes.len());
            }
        }
    }
}

#[test]
fn a_jpeg_without_its_last_byte_is_corrupt() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/samples/cat.jpg");
    for bytes in [std::fs::read(samples).unwrap(), fixture("progressive.jpg"), fixture("cmyk.jpg")] {
        assert_eq!(code(&bytes), "decoded");
        for percent in 10..100 {
            assert_eq!(code(&bytes[..bytes.len() * percent / 100]), "CORRUPT_IMAGE", "{percent} %");
        }
        assert_eq!(code(&bytes[..bytes.len() - 1]), "CORRUPT_IMAGE");
        assert_eq!(
            code(&[&bytes[..], b"<?php system($_GET[0]);"].concat()),
            "decoded",
            "what follows the end is ignored"
        );
    }
}

#[test]
fn empty_and_tiny_files_have_their_codes() {
    assert_eq!(code(b""), "EMPTY_FILE");
    assert_eq!(code(b"\xFF"), "UNSUPPORTED_FORMAT");
    assert_eq!(code(b"\xFF\xD8\xFF"), "CORRUPT_IMAGE");
    assert_eq!(code(b"\x89PNG\r\n\x1A\n"), "CORRUPT_IMAGE");
    assert_eq!(code(b"GIF89a"), "CORRUPT_IMAGE");
    assert_eq!(code(b"II*\0\x08\0\0\0"), "CORRUPT_IMAGE");
}

/// A baseline frame of this size, and as many empty scans.
fn jpeg(width: u16, height: u16, scans: usize) -> Vec<u8> {
    let [h1, h0] = height.to_be_bytes();
    let [w1, w0] = width.to_be_bytes();
    let frame = [0xFF, 0xC2, 0, 11, 8, h1, h0, w1, w0, 1, 1, 0x11, 0];
    let scan = [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0];
    [&b"\xFF\xD8"[..], &frame, &scan.repeat(scans), b"\xFF\xD9"].concat()
}

#[test]
fn claims_are_refused_before_any_pixel() {
    let start = Instant::now();
    let png = |width: u32, height: u32| {
        [b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR", &width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat()
    };
    assert_eq!(code(&png(i32::MAX as u32, 1)), "IMAGE_TOO_LARGE");
    assert_eq!(code(&png(20_000, 20_000)), "IMAGE_TOO_LARGE");
    assert_eq!(code(&png(0, 7)), "CORRUPT_IMAGE");
    assert_eq!(code(&jpeg(65_500, 65_500, 1)), "IMAGE_TOO_LARGE");
    assert_eq!(code(&jpeg(65_535, 1, 1)), "IMAGE_TOO_LARGE");
    assert_eq!(code(&jpeg(100, 0, 1)), "CORRUPT_IMAGE");
    assert_eq!(code(&jpeg(8192, 8192, 99)), "IMAGE_TOO_LARGE");
    assert_eq!(code(&jpeg(1, 1, 50_000)), "IMAGE_TOO_LARGE");
    assert_eq!(code(b"GIF89a\xFF\xFF\xFF\xFF\0\0\0,\0\0\0\0\x01\0\x01\0\0"), "IMAGE_TOO_LARGE");
    assert_eq!(code(b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\xFF\xFF\xFF\xFF\0"), "IMAGE_TOO_LARGE");
    assert_eq!(code(b"RIFF\xFF\xFF\xFF\xFFWEBPVP8X\x0A\0\0\0\0\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF"), "IMAGE_TOO_LARGE");
    assert_eq!(code(b"RIFF\xFF\xFF\xFF\xFFWEBPVP8L\x0A\0\0\0\x2F\xFF\xFF\xFF\x0F"), "IMAGE_TOO_LARGE");
    let bmp = [b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0", &[0, 0, 1, 0, 0, 0, 255, 255][..]].concat();
    assert_eq!(code(&bmp), "IMAGE_TOO_LARGE");
    assert_eq!(code(&[b"\xFF\xD8".to_vec(), vec![0xFF; 5 << 20]].concat()), "CORRUPT_IMAGE");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn limits_are_the_callers() {
    let bytes = fixture("rgb.bmp");
    assert!(Header::read(&bytes, 48 * 32).is_ok());
    let error = Header::read(&bytes, 48 * 32 - 1).unwrap_err();
    assert_eq!(error.code().as_str(), "IMAGE_TOO_LARGE");
    assert!(error.message().contains("48 × 32"), "{}", error.message());
}

#[test]
fn a_png_palette_holds_whole_colours_and_at_most_256() {
    let png = fixture("palette-alpha.png");
    let at = png.windows(4).position(|kind| kind == b"PLTE").unwrap();
    let length = u32::from_be_bytes(*png[..at].last_chunk().unwrap()) as usize;
    for (size, expected) in [(length, "decoded"), (length + 1, "CORRUPT_IMAGE"), (257 * 3, "CORRUPT_IMAGE")] {
        let mut palette = png[at + 4..at + 4 + length].to_vec();
        palette.resize(size, 0);
        let chunk = [&(size as u32).to_be_bytes()[..], b"PLTE", &palette].concat();
        let checksum = crc32(&chunk[4..]).to_be_bytes();
        let bytes = [&png[..at - 4], &chunk, &checksum, &png[at + 8 + length..]].concat();
        assert_eq!(code(&bytes), expected, "{size} bytes");
    }
}

/// As PNG's appendix has it: <https://www.w3.org/TR/png-3/#D-CRCAppendix>.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

fn some_fixture() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(fixtures()).prop_map(|(_, bytes)| bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(
        start in proptest::sample::select(vec![
            &b""[..], b"\xFF\xD8\xFF", b"\x89PNG\r\n\x1A\n", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"II*\0", b"MM\0*",
            b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0",
        ]),
        rest in proptest::collection::vec(any::<u8>(), 0..600),
        scale in proptest::sample::select(&Scale::ALL[..]),
    ) {
        let bytes = [start, &rest].concat();
        let _ = Header::read(&bytes, 1_000_000).and_then(|header| Photo::decode(&bytes, &header, scale));
    }

    #[test]
    fn damaged_pictures_never_panic(
        mut bytes in some_fixture(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
        scale in proptest::sample::select(&Scale::ALL[..]),
    ) {
        for (place, value) in damage {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        let _ = Header::read(&bytes, 1_000_000).and_then(|header| Photo::decode(&bytes, &header, scale));
    }
}

#[test]
fn a_webp_frame_larger_than_its_canvas_is_refused_by_its_own_size() {
    let canvas = [0; 10];
    let frame = [0, 0, 0, 0x9D, 0x01, 0x2A, 0xFF, 0x3F, 0xFF, 0x3F];
    let bytes = [&b"RIFF\x2C\0\0\0WEBPVP8X\x0A\0\0\0"[..], &canvas, b"VP8 \x0A\0\0\0", &frame].concat();
    assert_eq!(code(&bytes), "IMAGE_TOO_LARGE");
}

#[test]
fn a_gif_screen_without_width_or_height_is_corrupt() {
    for side in [6, 8] {
        let mut file = fixture("plain.gif");
        file[side..side + 2].fill(0);
        assert_eq!(code(&file), "CORRUPT_IMAGE");
    }
}

#[test]
fn a_gif_frame_beside_its_screen_shows_nothing() {
    let mut file = fixture("plain.gif");
    let frame = file.iter().position(|&byte| byte == b',').unwrap();
    for (left, top) in [(47, 0), (48, 31), (0, 32), (255, 255)] {
        (file[frame + 1], file[frame + 3]) = (left, top);
        let photo = decode(&file).unwrap();
        assert_eq!((photo.width(), photo.height()), (48, 32));
        let visible = photo.raster().bytes().as_chunks::<4>().0.iter().filter(|pixel| pixel[3] != 0).count();
        assert_eq!(visible, if left == 47 { 32 } else { 0 }, "{left}, {top}");
    }
}
