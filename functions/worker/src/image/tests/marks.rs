//! Watermarks: where they stand, how they look, and what they leave alone.

use super::rendering::{flat, recipe, render, rendered};
use super::*;

/// Left, top, right and bottom of what differs.
fn changed(before: &Photo, after: &Photo) -> Option<(u32, u32, u32, u32)> {
    let (a, b) = (before.raster(), after.raster());
    assert_eq!((a.width(), a.channels()), (b.width(), b.channels()));
    let differs = |at: &usize| {
        let at = at * a.channels();
        a.bytes()[at..at + a.channels()] != b.bytes()[at..at + a.channels()]
    };
    let places =
        (0..(a.width() * a.height()) as usize).filter(differs).map(|at| (at as u32 % a.width(), at as u32 / a.width()));
    places.fold(None, |found, (x, y)| {
        let (left, top, right, bottom) = found.unwrap_or((x, y, x, y));
        Some((left.min(x), top.min(y), right.max(x), bottom.max(y)))
    })
}

#[test]
fn the_default_mark_stands_bottom_right_and_nowhere_else() {
    for ground in [[250, 250, 250], [10, 10, 10]] {
        let photo = flat(1200, 900, &ground);
        let (_, marked) = rendered(photo.clone(), r#"[{"name":"a","format":"png"}]"#);
        let (left, top, right, bottom) = changed(&photo, &marked).unwrap();
        assert!(left > 800 && top > 800, "{left} {top}");
        assert!((1165..1190).contains(&right) && (865..890).contains(&bottom), "{right} {bottom}");
        let ends = marked.raster().bytes().iter().fold((255, 0), |(low, high), &v| (v.min(low), v.max(high)));
        assert!(ends.0 < 130 && ends.1 >= 225, "letters and halo stand out on {ground:?}: {ends:?}");
    }
}

/// A derivative of grey with this watermark and nothing else.
fn marked(size: (u32, u32), watermark: &str) -> (Photo, Photo) {
    let photo = flat(size.0, size.1, &[128, 128, 128]);
    let json = format!(r#"[{{"name":"a","watermark":{watermark},"format":"png"}}]"#);
    let (_, marked) = rendered(photo.clone(), &json);
    (photo, marked)
}

#[test]
fn tiles_are_everywhere_and_leave_most_of_the_photo_to_be_seen() {
    for watermark in [r#"{"position":"tile"}"#, r#"{"image":"logo.png","position":"tile"}"#] {
        let (photo, marked) = marked((900, 600), watermark);
        let differs = |x: usize, y: usize| {
            let at = y * photo.raster().stride() + x * 3;
            photo.raster().bytes()[at..at + 3] != marked.raster().bytes()[at..at + 3]
        };
        for (left, top) in (0..9).map(|n| (n % 3 * 300, n / 3 * 200)) {
            let count =
                (left..left + 300).flat_map(|x| (top..top + 200).map(move |y| (x, y))).filter(|&(x, y)| differs(x, y));
            assert!((300..40_000).contains(&count.count()), "{watermark} at {left}, {top}");
        }
        let furthest = marked.raster().bytes().iter().map(|&value| value.abs_diff(128)).max().unwrap();
        assert!((20..90).contains(&furthest), "{watermark} is to be seen through: {furthest}");
    }
}

#[test]
fn an_image_is_drawn_as_it_is() {
    let solid = r#"{"image":"logo.png","opacity":1,"size":0.9,"margin":0.05,"position":"center"}"#;
    let (photo, marked) = marked((400, 300), solid);
    let (left, top, right, bottom) = changed(&photo, &marked).unwrap();
    // 48 × 32 pixels come out as 360 wide, nine tenths, and 240 high; the last quarter is transparent.
    assert_eq!((left, top, right, bottom), (20, 30, 379, 269));
    let at = |x: usize, y: usize| {
        let at = y * marked.raster().stride() + x * 3;
        <[u8; 3]>::try_from(&marked.raster().bytes()[at..at + 3]).unwrap()
    };
    assert_eq!(
        [at(110, 90), at(290, 90), at(110, 210), at(290, 210)],
        [[255, 0, 0], [64, 192, 64], [0, 0, 255], [128; 3]]
    );
}

#[test]
fn an_image_that_is_not_there_is_the_recipes_fault() {
    let json = r#"[{"name":"a","watermark":{"image":"other.png"}}]"#;
    let error = render(flat(300, 300, &[1, 2, 3]), &recipe(json)).unwrap_err();
    assert_eq!(error.code().as_str(), "INVALID_RECIPE");
    assert!(error.message().contains("other.png"), "{}", error.message());
}

#[test]
fn a_watermark_image_that_does_not_decode_is_not_the_clients_fault() {
    let logo = fixture("rgba.png");
    let images = [("logo.png".to_owned().try_into().unwrap(), logo[..logo.len() / 2].to_vec())].into();
    let watermarker = Watermarker::new(Watermarks { text: "x".to_owned().try_into().unwrap(), images });
    let recipe = recipe(r#"[{"name":"a","watermark":{"image":"logo.png"}}]"#);
    let outcome =
        super::render(flat(300, 300, &[1, 2, 3]), None, &recipe, &watermarker, 1 << 20, |_| Ok::<_, ImageError>(()));
    assert_eq!(outcome.unwrap_err().code().as_str(), "INTERNAL");
}

#[test]
fn an_outline_has_its_own_colour_or_is_off() {
    let extremes = |watermark: &str| {
        let (_, marked) = marked((900, 600), watermark);
        let pixels = marked.raster().bytes().as_chunks::<3>().0.to_vec();
        let darkest = pixels.iter().map(|pixel| pixel.iter().copied().max().unwrap()).min().unwrap();
        let reddest = pixels.iter().map(|&[r, g, _]| r.saturating_sub(g)).max().unwrap();
        (darkest, reddest)
    };
    assert!(extremes("{}").0 < 80, "a dark one, unasked");
    assert_eq!(extremes(r#"{"outline":false}"#), (128, 0));
    let (darkest, reddest) = extremes(r##"{"outline":"#ff0000"}"##);
    assert!(darkest >= 128 && reddest > 60, "{darkest} {reddest}");
}

#[test]
fn a_mark_is_visible_on_nothing() {
    let photo = flat(600, 400, &[0, 0, 0, 0]);
    let (_, marked) = rendered(photo, r#"[{"name":"a"}]"#);
    let solid = marked.raster().bytes().as_chunks::<4>().0.iter().filter(|pixel| pixel[3] > 200 && pixel[0] > 240);
    assert!(solid.count() > 50);
}

#[test]
fn a_mark_that_nobody_could_read_is_left_off() {
    for (width, height) in [(1, 5000), (5000, 1), (20, 20), (40, 8)] {
        let photo = flat(width, height, &[128, 128, 128]);
        let (_, same) = rendered(photo.clone(), r#"[{"name":"a"}]"#);
        assert_eq!(changed(&photo, &same), None, "{width} × {height}");
    }
}

#[test]
fn a_mark_stays_within_the_frame() {
    let long = "A rather long line of text, for a photographer of many names and titles".to_owned();
    for (width, height) in [(300, 3000), (3000, 300), (900, 900)] {
        let photo = flat(width, height, &[128, 128, 128]);
        for position in
            ["top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right"]
        {
            let json = format!(r#"[{{"name":"a","watermark":{{"text":"{long}","position":"{position}"}}}}]"#);
            let (_, marked) = rendered(photo.clone(), &json);
            if let Some((left, _, right, _)) = changed(&photo, &marked) {
                assert!(right - left <= width * 92 / 100 + 20, "{width} × {height} {position}");
            }
        }
    }
}
