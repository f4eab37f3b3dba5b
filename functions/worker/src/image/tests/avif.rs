//! AVIF, which nothing here reads: what a derivative is, is seen in its container, and by somebody else's decoder in the
//! tests of the running product.

use super::rendering::{flat, recipe, render};
use super::*;

const SAMPLE: &[u8] = include_bytes!("../../../../../assets/samples/cat.jpg");

/// The only derivative of this photo by these steps, without a watermark.
fn written(photo: Photo, steps: &str) -> Rendered {
    let json = format!(r#"[{{"name":"a","watermark":false,"format":"avif"{steps}}}]"#);
    render(photo, &recipe(&json)).unwrap().remove(0)
}

/// Where this is in a file, which ends there.
fn after<'a>(file: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    memchr::memmem::find(file, part).map(|at| &file[at + part.len()..])
}

/// Width and height by the container.
fn size(file: &[u8]) -> (u32, u32) {
    let (_, rest) = after(file, b"ispe").unwrap().split_first_chunk::<4>().unwrap();
    let (width, rest) = rest.split_first_chunk().unwrap();
    (u32::from_be_bytes(*width), u32::from_be_bytes(*rest.first_chunk().unwrap()))
}

#[test]
fn every_format_becomes_avif_and_avif_is_not_read() {
    for (name, file) in fixtures() {
        let photo = decode(&file).unwrap();
        let (has_alpha, upright) = (photo.raster().has_alpha(), (photo.width(), photo.height()));
        let Rendered { format, width, height, bytes } = written(photo, "");
        assert_eq!((format, (width, height)), (Format::Avif, upright), "{name}");
        assert_eq!((&bytes[4..12], size(&bytes)), (&b"ftypavif"[..], upright), "{name}");
        // The opacity is a picture of its own.
        assert_eq!(after(&bytes, b"auxiliary:alpha").is_some(), has_alpha, "{name}");
        let error = decode(&bytes).unwrap_err();
        assert_eq!((error.code().as_str(), error.to_string().as_str()), ("UNSUPPORTED_FORMAT", "the content is AVIF"));
    }
}

#[test]
fn the_same_pixels_give_the_same_bytes_and_nothing_else_is_in_them() {
    let mut file = fixture("orientation-6.jpg");
    file.splice(2..2, *b"\xFF\xFE\x00\x0Ecamera-serial");
    let first = written(decode(&file).unwrap(), "");
    assert_eq!(first, written(decode(&file).unwrap(), ""));
    for secret in [&b"Exif"[..], b"camera", b"http://ns.adobe", b"prof", b"mime", b"rICC"] {
        assert!(after(&first.bytes, secret).is_none(), "{secret:?}");
    }
}

#[test]
fn more_quality_is_more_bytes() {
    let photo = decode(SAMPLE).unwrap();
    let qualities = [1, 10, 20, 30, 40, 50, 60, 70, 80, 85, 89, 90, 95, 100];
    let lengths = qualities.map(|quality| {
        written(photo.clone(), &format!(r#","resize":{{"width":150}},"quality":{quality}"#)).bytes.len()
    });
    assert!(lengths.is_sorted_by(|less, more| less < more), "{lengths:?}");
    let absent = written(photo, r#","resize":{"width":150}"#).bytes.len();
    assert_eq!(absent, lengths[9], "85 where none is given");
}

#[test]
fn colours_are_halved_below_quality_90() {
    let photo = decode(SAMPLE).unwrap();
    for (quality, halved) in [(89, true), (90, false)] {
        let file = written(photo.clone(), &format!(r#","resize":{{"width":99}},"quality":{quality}"#)).bytes;
        // Version, profile and level, and then flags: the third bit from below is for columns, the second for rows.
        let settings = after(&file, b"av1C").unwrap();
        assert_eq!(settings[2] & 0b1100, if halved { 0b1100 } else { 0 }, "{quality}");
        assert_eq!(settings[1] >> 5, u8::from(!halved), "{quality}: the profile");
    }
}

#[test]
fn it_takes_less_than_jpeg_and_webp() {
    let photo = decode(SAMPLE).unwrap();
    let length = |format: &str| {
        let json = format!(r#"[{{"name":"a","watermark":false,"format":"{format}"}}]"#);
        render(photo.clone(), &recipe(&json)).unwrap().remove(0).bytes.len()
    };
    let (avif, webp, jpeg) = (length("avif"), length("webp"), length("jpeg"));
    assert!(avif * 10 < webp * 9 && avif * 10 < jpeg * 7, "{avif}, {webp}, {jpeg}");
}

#[test]
fn every_size_is_written_up_to_the_longest_that_is_read() {
    for (width, height) in [(1, 1), (2, 3), (7, 8), (9, 65), (65, 9), (513, 700)] {
        for pixel in [&[200, 40, 90][..], &[200, 40, 90, 99]] {
            for quality in [50, 95] {
                let made = written(flat(width, height, pixel), &format!(r#","quality":{quality}"#));
                assert_eq!(size(&made.bytes), (width, height));
            }
        }
    }
    for (width, height) in [(1, 32_768), (4097, 1)] {
        assert_eq!(size(&written(flat(width, height, &[9; 3]), "").bytes), (width, height));
    }
    let error = render(flat(1, 32_769, &[0; 3]), &recipe(r#"[{"name":"a","format":"avif"}]"#)).unwrap_err();
    assert_eq!(error.code().as_str(), "INVALID_RECIPE");
}

#[test]
fn it_has_no_more_room_than_any_derivative() {
    let recipe = recipe(r#"[{"name":"a","format":"avif"}]"#);
    let outcome = super::super::render(decode(SAMPLE).unwrap(), None, &recipe, &rendering::watermarker(), 1000, |_| {
        Ok::<_, ImageError>(())
    });
    assert!(matches!(outcome, Err(ImageError::OutputUnforeseen { .. })), "{outcome:?}");
}

#[test]
fn more_than_there_is_time_for_is_refused_by_the_header() {
    let view = View { resize: 256, width: 224, height: 224 };
    // Nothing but a header is needed: a PNG of 3000 × 2000.
    let mut file = b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\x0B\xB8\0\0\x07\xD0\x08\x02\0\0\0".to_vec();
    file.resize(100_000, 0);
    let header = Header::read(&file, MAX_PIXELS).unwrap();
    let check = |steps: &[&str]| {
        let specs: Vec<_> = steps.iter().zip(0..).map(|(steps, n)| format!(r#"{{"name":"d{n}"{steps}}}"#)).collect();
        header.cost(&file, Some(&recipe(&format!("[{}]", specs.join(",")))), &view)
    };
    let small = r#","format":"avif","resize":{"width":1200}"#;
    for (steps, fits) in [
        (&[r#","format":"avif""#][..], false),
        (&[r#","format":"avif","resize":{"width":2508}"#], true),
        (&[r#","format":"avif","resize":{"width":2509}"#], false),
        (&[r#","format":"avif","quality":90,"resize":{"width":1773}"#], true),
        (&[r#","format":"avif","quality":90,"resize":{"width":1774}"#], false),
        (&[r#","format":"avif","crop":{"x":0,"y":0,"width":3000,"height":1398}"#], true),
        (&[r#","format":"avif","resize":{"width":8192,"enlarge":true}"#], false),
        (&[small, "", small, small, small], true),
        (&[small; 5], false),
        (&[r#","format":"avif","resize":{"width":8192,"height":9,"fit":"fill","enlarge":true}"#; 8], true),
        (
            &[r#","format":"avif","quality":95,"resize":{"width":8192,"height":9,"fit":"fill","enlarge":true}"#; 8],
            false,
        ),
    ] {
        match check(steps) {
            Ok(cost) => assert!(fits && cost.time.as_secs() <= 20, "{steps:?}: {cost:?}"),
            Err(error) => {
                assert!(!fits && matches!(error, ImageError::TooMuchAvif { .. }), "{steps:?}: {error}");
                assert_eq!(error.code().as_str(), "INVALID_RECIPE");
                assert!(error.message().contains("4194304 pixels together"), "{}", error.message());
            }
        }
    }
    let [with, without] =
        [r#","format":"avif","resize":{"width":2000}"#, ""].map(|steps| check(&[steps]).unwrap().time);
    assert!(with > without, "it has time of its own");
}

#[test]
fn what_is_invisible_continues_its_neighbours() {
    let check = |alpha: [[u8; 3]; 4], expected: [[u8; 3]; 4]| {
        // Each pixel has a colour of its own.
        let pixels: Vec<u8> = alpha.iter().flatten().zip(1..).flat_map(|(&alpha, n)| [n, n, n, alpha]).collect();
        let picture = ::avif::Picture { width: 3, height: 4, alpha: true, pixels: &pixels };
        let mut shown = ::avif::Shown::new(&picture);
        for (row, expected) in pixels.chunks_exact(12).zip(expected) {
            shown.advance(row);
            assert_eq!(shown.row, expected.map(|n| [n; 3]), "{alpha:?}");
        }
    };
    check([[255; 3]; 4], [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]);
    check([[0; 3], [0, 9, 0], [0; 3], [9, 0, 9]], [[5; 3], [5; 3], [5; 3], [10, 10, 12]]);
    check([[9, 0, 0], [0; 3], [0, 0, 9], [0; 3]], [[1; 3], [1; 3], [9; 3], [9; 3]]);
    check([[0; 3]; 4], [[0; 3]; 4]);
}
