//! Recipes carried out: formats, sizes, and what must not be in a derivative.

use super::*;

pub(super) fn watermarker() -> Watermarker {
    let logo = ("logo.png".to_owned().try_into().unwrap(), fixture("rgba.png"));
    Watermarker::new(Watermarks { text: "© Darkroom".to_owned().try_into().unwrap(), images: [logo].into() })
}

pub(super) fn recipe(json: &str) -> Recipe {
    serde_json::from_str(json).unwrap()
}

pub(super) fn render(photo: Photo, recipe: &Recipe) -> Result<Vec<Rendered>, ImageError> {
    let mut derivatives = Vec::new();
    super::render(photo, recipe, &watermarker(), 64 << 20, |rendered| {
        derivatives.push(rendered);
        Ok::<_, ImageError>(())
    })?;
    Ok(derivatives)
}

/// The only derivative of this recipe, and what it decodes to.
pub(super) fn rendered(photo: Photo, json: &str) -> (Rendered, Photo) {
    let derivative = render(photo, &recipe(json)).unwrap().remove(0);
    let again = decode(&derivative.bytes).unwrap();
    assert_eq!((again.width(), again.height()), (derivative.width, derivative.height));
    assert_eq!(again.format(), derivative.format);
    (derivative, again)
}

pub(super) fn flat(width: u32, height: u32, pixel: &[u8]) -> Photo {
    let data = pixel.repeat(width as usize * height as usize);
    let raster = Raster::new(width, height, pixel.len() == 4, data);
    Photo { raster, size: (width, height), format: Format::Png }
}

#[test]
fn every_format_becomes_every_format() {
    for name in ["baseline.jpg", "rgb-16.png", "lossy.webp", "plain.gif", "rgb.bmp", "plain.tiff"] {
        let photo = decode(&fixture(name)).unwrap();
        let source = photo.format();
        for (asked, expected) in [
            ("", source),
            (r#","format":"jpeg""#, Format::Jpeg),
            (r#","format":"png""#, Format::Png),
            (r#","format":"webp""#, Format::Webp),
            (r#","format":"auto""#, if source == Format::Png { Format::Jpeg } else { source }),
        ] {
            let (derivative, again) = rendered(photo.clone(), &format!(r#"[{{"name":"a","watermark":false{asked}}}]"#));
            assert_eq!(derivative.format, expected, "{name} {asked}");
            assert_close(name, quarters(&again), QUARTERS, 12);
        }
    }
}

#[test]
fn transparency_is_kept_where_it_can_be_and_white_elsewhere() {
    for name in ["rgba.png", "rgba.webp", "rgba.tiff"] {
        let photo = decode(&fixture(name)).unwrap();
        let kept = [[255, 0, 0, 255], [0, 255, 0, 128], [0, 0, 255, 255]];
        let (derivative, again) = rendered(photo.clone(), r#"[{"name":"a","watermark":false,"format":"auto"}]"#);
        assert_eq!(derivative.format, photo.format());
        assert!(again.raster().has_alpha());
        // Lossy WebP keeps transparency, not the colours beneath.
        assert_close(
            name,
            quarters(&again).map(|p| if p[3] == 0 { [0; 4] } else { p }),
            [kept[0], kept[1], kept[2], [0; 4]],
            12,
        );
        let (_, again) = rendered(photo, r#"[{"name":"a","watermark":false,"format":"jpeg"}]"#);
        let on_white = [[255, 0, 0, 255], [127, 255, 127, 255], [0, 0, 255, 255], [255; 4]];
        assert_close(name, quarters(&again), on_white, 12);
    }
}

#[test]
fn grey_is_stored_as_grey() {
    let colored = rendered(flat(300, 300, &[90, 91, 92]), r#"[{"name":"a","watermark":false}]"#).0;
    let grey = rendered(flat(300, 300, &[90, 90, 90]), r#"[{"name":"a","watermark":false}]"#).0;
    // Byte 25 of a PNG is its colour type: 2 is RGB, 0 grey.
    assert_eq!((colored.bytes[25], grey.bytes[25]), (2, 0));
}

#[test]
fn derivatives_come_in_order_and_do_not_see_one_another() {
    let photo = decode(&fixture("rgb-16.png")).unwrap();
    let json = r#"[{"name":"full","watermark":false},{"name":"small","resize":{"width":24},"watermark":false},
                   {"name":"again","watermark":false}]"#;
    let all = render(photo.clone(), &recipe(json)).unwrap();
    let widths: Vec<_> = all.iter().map(|derivative| derivative.width).collect();
    assert_eq!(widths, [48, 24, 48]);
    assert_eq!((all[1].width, all[1].height), (24, 16));
    assert_eq!(all[0].bytes, all[2].bytes);
    assert_eq!(all, render(photo, &recipe(json)).unwrap(), "the same again gives the same bytes");
}

#[test]
fn metadata_stays_behind() {
    let mut photo = fixture("orientation-6.jpg");
    let comment = b"\xFF\xFE\x00\x0Ecamera-serial";
    photo.splice(2..2, *comment);
    photo.extend_from_slice(b"trailing-secret");
    for format in ["jpeg", "png", "webp"] {
        let json = format!(r#"[{{"name":"a","format":"{format}"}}]"#);
        let (derivative, _) = rendered(decode(&photo).unwrap(), &json);
        for secret in [&b"Exif"[..], b"EXIF", b"eXIf", b"camera", b"secret", b"ICC", b"iCCP", b"http://ns.adobe"] {
            assert!(!derivative.bytes.windows(secret.len()).any(|part| part == secret), "{format}");
        }
    }
}

#[test]
fn nothing_of_a_file_but_its_pixels_is_in_a_derivative() {
    for (name, mut file) in fixtures() {
        if name.ends_with("gif") {
            // A comment before the first frame, behind a palette whose size is in the lower bits of the flags.
            let palette = if file[10] & 0x80 == 0 { 0 } else { 3 << ((file[10] & 7) + 1) };
            file.splice(13 + palette..13 + palette, *b"\x21\xFE\x0Dcamera-serial\0");
        }
        file.extend_from_slice(b"trailing-secret");
        let (derivative, _) = rendered(decode(&file).unwrap(), r#"[{"name":"a"}]"#);
        for secret in [&b"Exif"[..], b"EXIF", b"eXIf", b"camera", b"secret", b"ICC", b"iCCP", b"http://ns.adobe"] {
            assert!(!derivative.bytes.windows(secret.len()).any(|part| part == secret), "{name}");
        }
    }
}

#[test]
fn a_line_of_pixels_is_rendered_like_any_photo() {
    for (width, height) in [(1, 65_535), (65_535, 1), (1, 1)] {
        let photo = flat(width, height, &[9, 9, 9]);
        let (full, _) = rendered(photo.clone(), r#"[{"name":"a","format":"auto"}]"#);
        assert_eq!((full.width, full.height), (width, height));
        // JPEG ends 35 pixels earlier.
        assert_eq!(full.format, if width == height { Format::Jpeg } else { Format::Png });
        let (small, _) = rendered(photo, r#"[{"name":"a","resize":{"width":300,"height":300},"format":"webp"}]"#);
        assert_eq!((small.width, small.height), (width.min(300), height.min(300)));
    }
}

#[test]
fn a_size_that_the_format_cannot_hold_is_the_recipes_fault() {
    let error = render(flat(16_384, 1, &[0; 3]), &recipe(r#"[{"name":"a","format":"webp"}]"#));
    assert_eq!(error.unwrap_err().code().as_str(), "INVALID_RECIPE");
}

#[test]
fn a_crop_counts_from_the_corner_of_the_upright_photo() {
    for name in ["rgb-16.png", "orientation-6.png", "orientation-3.png", "rgba.png"] {
        let photo = decode(&fixture(name)).unwrap();
        let quarter = r#"[{"name":"a","crop":{"x":24,"y":0,"width":24,"height":16},"watermark":false,"format":"png"}]"#;
        let (derivative, part) = rendered(photo.clone(), quarter);
        assert_eq!((derivative.width, derivative.height), (24, 16), "{name}");
        let expected = quarters(&photo)[1];
        assert_close(name, quarters(&part), [expected; 4], 1);
        let resized = quarter.replace(r#""watermark""#, r#""resize":{"width":12},"watermark""#);
        let (derivative, part) = rendered(photo.clone(), &resized);
        assert_eq!((derivative.width, derivative.height), (12, 8), "{name}");
        assert_close(name, quarters(&part), [expected; 4], 1);
        let error = render(photo, &recipe(&quarter.replace(r#""x":24"#, r#""x":25"#))).unwrap_err();
        assert_eq!(error.code().as_str(), "INVALID_RECIPE", "{name}");
    }
}

#[test]
fn every_shape_fits_every_way() {
    // Width and height of the photo, and what `inside`, `cover`, `contain` and `fill` make of it in a box of 30 × 20.
    for (size, expected) in [
        ((60, 40), [(30, 20), (30, 20), (30, 20), (30, 20)]),
        ((60, 60), [(20, 20), (30, 20), (30, 20), (30, 20)]),
        ((90, 20), [(30, 7), (30, 20), (30, 20), (30, 20)]),
        ((10, 90), [(2, 20), (10, 7), (30, 20), (10, 20)]),
        ((15, 10), [(15, 10), (15, 10), (30, 20), (15, 10)]),
        ((1, 1), [(1, 1), (1, 1), (30, 20), (1, 1)]),
    ] {
        for (fit, expected) in ["inside", "cover", "contain", "fill"].into_iter().zip(expected) {
            let json = format!(
                r#"[{{"name":"a","resize":{{"width":30,"height":20,"fit":"{fit}"}},"watermark":false,"format":"png"}}]"#
            );
            let (derivative, _) = rendered(flat(size.0, size.1, &[9, 9, 9]), &json);
            assert_eq!((derivative.width, derivative.height), expected, "{size:?} {fit}");
            let enlarged = json.replace(r#""fit""#, r#""enlarge":true,"fit""#);
            let (derivative, _) = rendered(flat(size.0, size.1, &[9, 9, 9]), &enlarged);
            let boxed = (derivative.width, derivative.height);
            assert!(boxed == (30, 20) || fit == "inside" && (boxed.0 == 30 || boxed.1 == 20), "{size:?} {fit}");
        }
    }
}

#[test]
fn what_a_smaller_scale_is_enough_for_looks_as_if_it_had_been_made_from_all_pixels() {
    // As soft as what comes from a camera: 1353 × 900 pixels of the sample, which has a third of them.
    let cat = decode(include_bytes!("../../../../../assets/samples/cat.jpg")).unwrap();
    let large =
        r#"[{"name":"a","resize":{"width":1353,"enlarge":true},"watermark":false,"format":"jpeg","quality":95}]"#;
    let file = render(cat, &recipe(large)).unwrap().remove(0).bytes;
    for (scale, steps) in Scale::ALL.into_iter().skip(1).zip([
        [r#""resize":{"width":540}"#, r#""resize":{"width":500,"height":300,"fit":"cover"}"#],
        [r#""resize":{"width":200,"height":180,"fit":"cover"}"#, r#""resize":{"width":250,"height":150,"fit":"fill"}"#],
        [r#""resize":{"width":120,"height":120,"fit":"contain"}"#, r#""resize":{"height":60}"#],
    ]) {
        for steps in steps {
            let json = format!(r#"[{{"name":"a",{steps},"watermark":false,"format":"png"}}]"#);
            let (one, full) = rendered(decode(&file).unwrap(), &json);
            let (other, small) = rendered(decode_at(&file, scale).unwrap(), &json);
            assert_eq!((one.width, one.height), (other.width, other.height), "{steps}");
            let errors = full.raster().bytes().iter().zip(small.raster().bytes());
            let error: f64 = errors.map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
            let psnr = 10.0 * (255.0f64.powi(2) * full.raster().bytes().len() as f64 / error).log10();
            assert!(psnr > 33.0, "{scale:?} {steps}: {psnr} dB");
        }
    }
}

#[test]
fn a_crop_to_the_whole_photo_is_none() {
    let whole = r#"[{"name":"a","crop":{"x":0,"y":0,"width":48,"height":32},"resize":{"width":4},"watermark":false}]"#;
    for scale in Scale::ALL {
        let (derivative, _) = rendered(decode_at(&fixture("baseline.jpg"), scale).unwrap(), whole);
        assert_eq!((derivative.width, derivative.height), (4, 3), "{scale:?}");
    }
}

#[test]
fn filters_are_applied_before_the_watermark() {
    let photo = flat(600, 400, &[250, 40, 10]);
    let (_, plain) =
        rendered(photo.clone(), r#"[{"name":"a","filters":["grayscale"],"watermark":false,"format":"png"}]"#);
    assert!(plain.raster().is_grey());
    let json = r##"[{"name":"a","filters":["grayscale"],"watermark":{"color":"#ff0000"},"format":"png"}]"##;
    let (_, marked) = rendered(photo, json);
    assert!(!marked.raster().is_grey(), "the mark keeps its colour");
}

#[test]
fn a_blurred_and_a_sharpened_photo_keep_its_size_and_its_mean() {
    let photo = decode(include_bytes!("../../../../../assets/samples/cat.jpg")).unwrap();
    let mean = |photo: &Photo| {
        let bytes = photo.raster().bytes();
        bytes.iter().map(|&v| f64::from(v)).sum::<f64>() / bytes.len() as f64
    };
    for filter in [r#"{"blur":2}"#, r#"{"sharpen":1}"#] {
        let json = format!(r#"[{{"name":"a","filters":[{filter}],"watermark":false,"format":"png"}}]"#);
        let (derivative, again) = rendered(photo.clone(), &json);
        assert_eq!((derivative.width, derivative.height), (photo.width(), photo.height()));
        assert!((mean(&again) - mean(&photo)).abs() < 1.0, "{filter}");
        assert!(again.raster() != photo.raster(), "{filter}");
    }
}

#[test]
fn lossless_is_every_pixel_and_progressive_the_same_pixels_in_another_order() {
    for name in ["rgba.png", "rgb-16.png", "grey-alpha.png"] {
        let photo = decode(&fixture(name)).unwrap();
        let (_, again) = rendered(photo.clone(), r#"[{"name":"a","watermark":false,"format":"webp","lossless":true}]"#);
        assert_eq!(again.raster(), photo.raster(), "{name}");
    }
    let photo = decode(&fixture("baseline.jpg")).unwrap();
    let (baseline, one) = rendered(photo.clone(), r#"[{"name":"a","watermark":false}]"#);
    let (progressive, other) = rendered(photo, r#"[{"name":"a","watermark":false,"progressive":true}]"#);
    assert_eq!(one.raster(), other.raster());
    // Start of frame, baseline and progressive.
    let has = |file: &Rendered, marker: u8| file.bytes.windows(3).any(|part| part == [0xFF, marker, 0]);
    assert!(has(&baseline, 0xC0) && !has(&baseline, 0xC2) && has(&progressive, 0xC2));
}
