//! Animations: what is seen of each frame, for how long, and how often; and where there is nothing to be seen but the first.

use std::io::Cursor;

use ::gif::{DisposalMethod, Encoder, Frame, Repeat};
use image::codecs::{gif::GifDecoder, webp::WebPDecoder};
use image::{AnimationDecoder, RgbaImage};
use proptest::prelude::*;

use super::rendering::{recipe, watermarker};
use super::*;

/// One derivative that keeps all frames, in either format.
const GIF: &str = r#"[{"name":"a","resize":{"width":20},"watermark":false}]"#;
const WEBP: &str = r#"[{"name":"a","resize":{"width":20},"watermark":false,"format":"webp"}]"#;

const VIEW: View = View { resize: 256, width: 224, height: 224 };

/// Colours of all frames, of which the last one is invisible.
const PALETTE: [[u8; 3]; 8] =
    [[0, 0, 0], [255, 0, 0], [0, 200, 0], [0, 0, 255], [250, 250, 0], [0, 255, 255], [255, 255, 255], [9, 9, 9]];
const INVISIBLE: u8 = 7;

/// A frame of this place and size, whose pixels are what `index` says of column and row.
fn frame(
    (left, top, width, height): (u16, u16, u16, u16),
    dispose: DisposalMethod,
    delay: u16,
    index: impl Fn(u16, u16) -> u8,
) -> Frame<'static> {
    let pixels: Vec<u8> = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| index(x, y)).collect();
    let transparent = Some(INVISIBLE);
    Frame { left, top, width, height, dispose, delay, transparent, buffer: pixels.into(), ..Frame::default() }
}

fn file(size: (u16, u16), repeat: Repeat, frames: &[Frame<'_>]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), size.0, size.1, PALETTE.as_flattened()).unwrap();
    encoder.set_repeat(repeat).unwrap();
    for frame in frames {
        encoder.write_frame(frame).unwrap();
    }
    encoder.into_inner().unwrap()
}

/// Every disposal, transparency, frames smaller than the screen and beyond it, and rows out of their order.
fn movie() -> Vec<u8> {
    use DisposalMethod::{Any, Background, Keep, Previous};
    let hole = |x: u16, y: u16, color| if (x / 3 + y / 3).is_multiple_of(2) { INVISIBLE } else { color };
    let quarters = |x: u16, y: u16| 1 + (x / 20 + y / 15 * 2) as u8;
    let mut interlaced = frame((0, 0, 40, 30), Background, 7, |x, y| hole(x, y, 4));
    interlaced.interlaced = true;
    // The encoder writes rows as they come.
    let rows: Vec<usize> =
        [(0, 8), (4, 8), (2, 4), (1, 2)].iter().flat_map(|&(y, step)| (y..30).step_by(step)).collect();
    let pixels = rows.iter().flat_map(|&y| interlaced.buffer[y * 40..][..40].to_vec()).collect::<Vec<u8>>();
    interlaced.buffer = pixels.into();
    let frames = [
        frame((0, 0, 40, 30), Keep, 5, quarters),
        frame((3, 4, 18, 12), Background, 0, |x, y| hole(x, y, 6)),
        frame((20, 12, 14, 10), Previous, 1, |_, _| 5),
        frame((0, 20, 9, 9), Any, 300, |x, _| if x < 4 { 0 } else { INVISIBLE }),
        interlaced,
        frame((30, 0, 8, 8), Previous, 9, |_, _| 6),
        frame((35, 25, 4, 4), Keep, 65_535, |_, _| 1),
        frame((35, 25, 4, 4), Keep, 2, |_, _| 1),
    ];
    file((40, 30), Repeat::Finite(3), &frames)
}

/// So many frames, each of one colour.
fn flashes(size: (u16, u16), count: usize) -> Vec<u8> {
    let flash = |n| frame((0, 0, size.0, size.1), DisposalMethod::Keep, 4, move |_, _| (n % 7) as u8);
    file(size, Repeat::Infinite, &(0..count).map(flash).collect::<Vec<_>>())
}

/// What is made of a file, as the studio makes it.
fn made(file: &[u8], json: &str) -> Result<Vec<Rendered>, ImageError> {
    made_within(file, json, 64 << 20)
}

fn made_within(file: &[u8], json: &str, room: usize) -> Result<Vec<Rendered>, ImageError> {
    let (recipe, header) = (recipe(json), Header::read(file, MAX_PIXELS)?);
    let photo = Photo::decode(file, &header, Scale::FULL)?;
    let animation = Animation::of(file.to_vec(), &header, Some(&recipe))?;
    let mut derivatives = Vec::new();
    super::super::render(photo, animation.as_ref(), &recipe, &watermarker(), room, |rendered| {
        derivatives.push(rendered);
        Ok::<_, ImageError>(())
    })?;
    Ok(derivatives)
}

/// The frames of a file as somebody else composes them, and their delays in milliseconds.
fn frames(format: Format, file: &[u8]) -> Vec<(RgbaImage, u32)> {
    let frames = match format {
        Format::Gif => GifDecoder::new(Cursor::new(file)).unwrap().into_frames(),
        Format::Webp => WebPDecoder::new(Cursor::new(file)).unwrap().into_frames(),
        other => panic!("{other:?} has no frames"),
    };
    let frame = |frame: image::ImageResult<image::Frame>| {
        let frame = frame.unwrap();
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        (frame.into_buffer(), numerator / denominator)
    };
    frames.map(frame).collect()
}

/// How far two pictures are apart, by their visible colours: the root of the mean square, from 0 to 255.
fn distance(one: &RgbaImage, other: &RgbaImage) -> f64 {
    assert_eq!(one.dimensions(), other.dimensions());
    let seen = |pixel: &[u8; 4]| pixel.map(|value| f64::from(value) * f64::from(pixel[3]) / 255.0);
    let pixels = one.as_chunks::<4>().0.iter().zip(other.as_chunks::<4>().0);
    let square = |(a, b)| seen(a).iter().zip(seen(b)).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 4.0;
    (pixels.map(square).sum::<f64>() / f64::from(one.width() * one.height())).sqrt()
}

/// What these steps make of a single picture.
fn still(picture: &RgbaImage, json: &str) -> RgbaImage {
    let (width, height) = picture.dimensions();
    let raster = Raster::new(width, height, true, picture.to_vec());
    let photo = Photo { raster, size: (width, height), format: Format::Gif };
    let raster = super::rendering::rendered(photo, json).1.raster.with_alpha();
    RgbaImage::from_raw(raster.width(), raster.height(), raster.into_bytes()).unwrap()
}

#[test]
fn every_frame_looks_as_if_it_were_a_picture_of_its_own() {
    let source = frames(Format::Gif, &movie());
    assert_eq!(source.len(), 8);
    for (steps, format, tolerance) in [
        ("", Format::Gif, 0.0),
        (r#","format":"auto""#, Format::Gif, 0.0),
        (r#","format":"webp","lossless":true"#, Format::Webp, 0.0),
        (r#","format":"webp","quality":95"#, Format::Webp, 12.0),
        (r#","resize":{"width":20}"#, Format::Gif, 0.0),
        (r#","resize":{"width":20},"format":"webp","lossless":true"#, Format::Webp, 0.0),
        (r#","resize":{"width":90,"enlarge":true},"format":"webp","quality":95"#, Format::Webp, 12.0),
        (r#","resize":{"width":17,"height":17,"fit":"cover"},"format":"webp","lossless":true"#, Format::Webp, 0.0),
        (r##","resize":{"width":60,"height":61,"fit":"contain","background":"#102030"}"##, Format::Gif, 0.0),
    ] {
        let json = format!(r#"[{{"name":"a","watermark":false{steps}}}]"#);
        let rendered = made(&movie(), &json).unwrap().remove(0);
        assert_eq!(rendered.format, format, "{steps}");
        let frames = frames(format, &rendered.bytes);
        assert_eq!(frames.len(), source.len(), "{steps}");
        for (number, ((got, delay), (picture, asked))) in frames.iter().zip(&source).enumerate() {
            assert_eq!(got.dimensions(), (rendered.width, rendered.height), "{steps}");
            assert_eq!(delay, asked, "{steps}: frame {number}");
            let distance = distance(got, &still(picture, &json));
            assert!(distance <= tolerance, "{steps}: frame {number} is {distance} away");
        }
    }
}

#[test]
fn an_animation_is_repeated_as_often_as_its_source() {
    for (repeat, gif, webp) in [
        // Nothing says so: it is shown once.
        (Repeat::Finite(0), Repeat::Finite(0), 1),
        (Repeat::Finite(3), Repeat::Finite(3), 4),
        (Repeat::Finite(65_535), Repeat::Finite(65_535), 65_535),
        (Repeat::Infinite, Repeat::Infinite, 0),
    ] {
        let source = file((8, 8), repeat, &[0, 1].map(|n| frame((0, 0, 8, 8), DisposalMethod::Keep, 1, |_, _| n)));
        let mut decoder = ::gif::Decoder::new(Cursor::new(made(&source, GIF).unwrap().remove(0).bytes)).unwrap();
        while decoder.read_next_frame().unwrap().is_some() {}
        assert_eq!(decoder.repeat(), gif);
        let file = made(&source, WEBP).unwrap().remove(0).bytes;
        let times = file.windows(4).position(|name| name == b"ANIM").unwrap() + 12;
        assert_eq!(u16::from_le_bytes([file[times], file[times + 1]]), webp, "{repeat:?}");
    }
}

#[test]
fn whatever_does_more_than_resize_shows_the_first_frame() {
    let first = &frames(Format::Gif, &movie())[0].0;
    for steps in [
        r#""format":"jpeg","watermark":false"#,
        r#""format":"png","watermark":false"#,
        r#""watermark":{"text":"x"}"#,
        r#""resize":{"width":30}"#,
        r#""format":"webp""#,
        r#""filters":["invert"],"watermark":false"#,
        r#""crop":{"x":1,"y":1,"width":20,"height":20},"format":"webp","watermark":false"#,
    ] {
        let json = format!(r#"[{{"name":"a",{steps}}}]"#);
        let rendered = made(&movie(), &json).unwrap().remove(0);
        assert!(!rendered.bytes.windows(4).any(|name| name == b"ANIM"), "{steps}");
        if rendered.format == Format::Gif {
            assert_eq!(frames(Format::Gif, &rendered.bytes).len(), 1, "{steps}");
        }
        let got = decode(&rendered.bytes).unwrap().raster.with_alpha();
        let got = RgbaImage::from_raw(got.width(), got.height(), got.into_bytes()).unwrap();
        let distance = distance(&got, &still(first, &json));
        assert!(distance < 12.0, "{steps}: {distance}");
    }
}

#[test]
fn some_derivatives_move_beside_others_that_do_not() {
    let json = r#"[{"name":"a","watermark":false,"format":"png"},{"name":"b","watermark":false,"format":"webp"},
                   {"name":"c"},{"name":"d","resize":{"width":9},"watermark":false},{"name":"e","format":"jpeg"}]"#;
    let all = made(&movie(), json).unwrap();
    let formats: Vec<_> = all.iter().map(|derivative| derivative.format).collect();
    assert_eq!(formats, [Format::Png, Format::Webp, Format::Gif, Format::Gif, Format::Jpeg]);
    assert_eq!((frames(Format::Webp, &all[1].bytes).len(), frames(Format::Gif, &all[3].bytes).len()), (8, 8));
    assert_eq!(frames(Format::Gif, &all[2].bytes).len(), 1);
    let stills = super::rendering::render(decode(&movie()).unwrap(), &recipe(json)).unwrap();
    for still in [0, 2, 4] {
        assert_eq!(all[still], stills[still], "the same as without an animation beside it");
    }
    assert_eq!(all, made(&movie(), json).unwrap(), "the same again gives the same bytes");
}

#[test]
fn a_single_frame_is_a_picture_like_any_other() {
    let one = frame((0, 0, 40, 30), DisposalMethod::Background, 9, |x, y| ((x + y) % 7) as u8);
    for file in [file((40, 30), Repeat::Infinite, &[one]), fixture("plain.gif"), fixture("transparent.gif")] {
        for json in [GIF, WEBP] {
            let stills = super::rendering::render(decode(&file).unwrap(), &recipe(json)).unwrap();
            assert_eq!(made(&file, json).unwrap(), stills);
        }
    }
}

/// What stays as it was is neither written again nor drawn in the colours of another palette.
#[test]
fn only_what_changes_is_written() {
    let noise = |x: u16, y: u16| (x.wrapping_mul(31) ^ y.wrapping_mul(17) ^ (x * y)) as u8 % 7;
    let still = frame((0, 0, 120, 90), DisposalMethod::Keep, 4, noise);
    let dot = |n: u16| frame((n * 2, 40, 3, 3), DisposalMethod::Keep, 4, move |_, _| (n % 6) as u8);
    let mut frames = vec![still];
    frames.extend((0..50).map(dot));
    let (one, all) = (file((120, 90), Repeat::Infinite, &frames[..1]), file((120, 90), Repeat::Infinite, &frames));
    for json in [GIF, WEBP].map(|json| json.replace("20", "80")) {
        let length = |file| made(file, &json).unwrap().remove(0).bytes.len();
        let (one, all) = (length(&one), length(&all));
        assert!(all < one + 50 * 900, "{json}: {one} bytes for a frame, {all} for 51");
    }
}

#[test]
fn what_would_take_too_long_is_refused_where_it_would_be_done() {
    let enlarged = |json: &str| json.replace("20", "2000,\"enlarge\":true");
    let twice = format!("{},{}", GIF.trim_end_matches(']'), WEBP.trim_start_matches('[').replace("\"a\"", "\"b\""));
    for (file, json, part) in [
        (flashes((1, 1), 2001), GIF.to_owned(), "2001 frames; at most 2000"),
        (flashes((1000, 1000), 126), twice, "504000000 pixels to be read; at most 500000000"),
        (flashes((100, 100), 14), enlarged(GIF), "to be written; at most 60000000"),
        (flashes((100, 100), 14), enlarged(WEBP), "to be written; at most 60000000"),
    ] {
        let error = made(&file, &json).unwrap_err();
        assert_eq!(error.code().as_str(), "IMAGE_TOO_LARGE");
        assert!(error.message().contains(part), "{}", error.message());
        assert_eq!(made(&file, r#"[{"name":"a"}]"#).unwrap().len(), 1, "{part}: a picture of the first frame is none");
    }
    assert_eq!(made(&flashes((1, 1), 2000), GIF).unwrap().len(), 1);
}

/// A recording of a screen is long and large, and little of it moves.
#[test]
fn only_what_frames_change_counts_as_written() {
    let screen = |disposal| frame((0, 0, 800, 600), disposal, 4, |_, _| 1);
    let recording = |disposal, count: u16| {
        let dot = |n: u16| frame((n * 9 % 700, n, 8, 8), disposal, 4, |_, _| 2);
        file((800, 600), Repeat::Infinite, &[vec![screen(disposal)], (1..count).map(dot).collect()].concat())
    };
    let cost = |file: &[u8], json: &str| Header::read(file, MAX_PIXELS).unwrap().cost(file, Some(&recipe(json)), &VIEW);
    let steps = ["", r#","format":"webp""#, r#","resize":{"width":700}"#];
    let [gif, webp, smaller] = steps.map(|steps| format!(r#"[{{"name":"a","watermark":false{steps}}}]"#));
    let long = recording(DisposalMethod::Keep, 300);
    for json in [&gif, &webp, &smaller] {
        assert!(cost(&long, json).unwrap().time.as_secs() < 9, "{json}");
        // Where something vanishes, all of the screen may have to be written again.
        let error = cost(&recording(DisposalMethod::Background, 300), json).unwrap_err();
        assert!(matches!(error, ImageError::TooMuchAnimation { done: "written", .. }), "{json}: {error}");
    }
    assert_eq!(made(&recording(DisposalMethod::Keep, 70), &gif).unwrap().len(), 1);
}

/// A further derivative that keeps all frames takes as long as the first, and none has less than any photo.
#[test]
fn each_derivative_has_time_for_its_frames() {
    let file = flashes((400, 300), 100);
    let header = Header::read(&file, MAX_PIXELS).unwrap();
    let time = |count: usize| {
        let specs: Vec<_> = (0..count).map(|n| format!(r#"{{"name":"d{n}","watermark":false}}"#)).collect();
        header.cost(&file, Some(&recipe(&format!("[{}]", specs.join(",")))), &VIEW).unwrap().time.as_micros()
    };
    let each = time(4) - time(3);
    assert!((1_700_000..2_200_000).contains(&each), "{each}");
    assert!((1..=4).all(|count| time(count).abs_diff((each * count as u128).max(4_000_000)) < 10));
}

/// Whatever applications and their authors put between the frames.
#[test]
fn extensions_that_mean_nothing_here_are_passed_over() {
    let file = movie();
    let whole = made(&file, GIF).unwrap();
    let control = file.windows(3).position(|part| part == b"!\xF9\x04").unwrap();
    let block = [&[0xFF][..], &[b'x'; 255]].concat().repeat(6000);
    let with = |extension: &[u8]| [&file[..control], extension, &file[control..]].concat();
    for extension in [
        [b"!\xFF\x0BXMP DataXMP", &block[..], b"\0"].concat(),
        [b"!\xFF\x0BICCRGBG1012", &block[..], b"\0"].concat(),
        [b"!\xFE", &block[..], b"\0"].concat(),
        b"!\x99\x03abc\0".to_vec(),
        b"!\x99\0".to_vec(),
    ] {
        let file = with(&extension);
        assert_eq!(made(&file, GIF).unwrap(), whole);
        assert_eq!(made(&file, r#"[{"name":"a"}]"#).unwrap().len(), 1);
    }
}

/// A frame that is much larger than its screen costs as much as if it were seen.
#[test]
fn frames_beside_the_screen_count() {
    let mut file = flashes((10, 10), 3);
    let last = file.windows(8).rposition(|part| part == b",\0\0\0\0\x0A\0\x0A").unwrap();
    file[last + 5..last + 9].fill(0xFF);
    assert_eq!(made(&file, GIF).unwrap_err().code().as_str(), "IMAGE_TOO_LARGE");
}

#[test]
fn derivatives_of_all_frames_are_no_longer_than_allowed() {
    for json in [GIF, WEBP] {
        let length = made(&movie(), json).unwrap()[0].bytes.len();
        assert_eq!(made_within(&movie(), json, length).unwrap()[0].bytes.len(), length);
        for room in [0, 20, 30, length / 2, length - 1] {
            let error = made_within(&movie(), json, room).unwrap_err();
            assert!(
                matches!(error, ImageError::OutputUnforeseen { .. }),
                "{json}: {room} of {length} bytes: {error:?}"
            );
        }
    }
}

#[test]
fn a_damaged_frame_makes_the_file_corrupt_where_it_is_needed() {
    let mut file = flashes((40, 30), 5);
    let third = file.windows(5).enumerate().filter(|(_, part)| *part == b",\0\0\0\0").nth(2).unwrap().0;
    // Behind its place and size: the length of its codes.
    file[third + 10] = 200;
    for json in [GIF, WEBP] {
        assert_eq!(made(&file, json).unwrap_err().code().as_str(), "CORRUPT_IMAGE");
    }
    assert_eq!(made(&file, r#"[{"name":"a"}]"#).unwrap().len(), 1);
}

#[test]
fn an_animation_cut_short_is_corrupt() {
    let file = movie();
    let whole = made(&file, GIF).unwrap();
    for length in file.len() / 3..file.len() {
        match made(&file[..length], GIF) {
            Ok(made) => {
                let count = frames(Format::Gif, &made[0].bytes).len();
                // The end itself may be missing, and one that falls between two frames does not show.
                assert!(count < 8 || made == whole, "{length} of {} bytes", file.len());
            }
            Err(error) => assert_eq!(error.code().as_str(), "CORRUPT_IMAGE", "{length} of {} bytes", file.len()),
        }
    }
    let complete = |length: &usize| made(&file[..*length], GIF).is_ok();
    assert!((file.len() / 3..file.len()).filter(complete).count() < 20);
}

#[test]
fn what_follows_the_last_frame_is_ignored() {
    let file = movie();
    let whole = made(&file, WEBP).unwrap();
    let end = file.len() - 1;
    for tail in [&b""[..], b";", b"\0", b"\0!,", b"; and more"] {
        assert_eq!(made(&[&file[..end], tail].concat(), WEBP).unwrap(), whole, "{tail:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_animations_never_panic(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
        json in proptest::sample::select(&[GIF, WEBP][..]),
    ) {
        let mut file = movie();
        for (place, value) in damage {
            let at = place.index(file.len());
            file[at] = value;
        }
        file.truncate(cut.map_or(file.len(), |cut| cut.index(file.len())));
        // Screens that have become large are somebody else's test.
        if Header::read(&file, 10_000).is_ok() {
            let _ = made(&file, json);
        }
    }
}
