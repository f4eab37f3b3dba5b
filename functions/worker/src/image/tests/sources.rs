//! Every kind of source: right size, right way up, right colours.

use mozjpeg::{ColorSpace, Compress};

use super::*;

const RED: [u8; 4] = [255, 0, 0, 255];
const GREEN: [u8; 4] = [0, 255, 0, 255];
const BLUE: [u8; 4] = [0, 0, 255, 255];
const YELLOW: [u8; 4] = [255, 255, 0, 255];

fn grey(value: u8) -> [u8; 4] {
    [value, value, value, 255]
}

fn check(name: &str, expected: [[u8; 4]; 4], tolerance: u8) {
    let photo = decode(&fixture(name)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert_eq!((photo.width(), photo.height()), (48, 32), "{name}");
    assert_eq!(Some(photo.format()), Format::from_file_name(name), "{name}");
    assert_eq!(photo.raster().has_alpha(), expected.iter().any(|pixel| pixel[3] != 255), "{name}");
    assert_close(name, quarters(&photo), expected, tolerance);
}

#[test]
fn colours_come_out_right() {
    let luma = [grey(76), grey(150), grey(29), grey(226)];
    let white_first = [grey(255), grey(0), grey(0), grey(0)];
    let shades = [grey(255), grey(128), grey(64), grey(0)];
    let see_through = [RED, [0, 255, 0, 128], BLUE, [0, 0, 0, 0]];
    let grey_alpha = [grey(255), [128, 128, 128, 128], grey(64), [0, 0, 0, 0]];
    for name in [
        "rgb-16.png",
        "interlaced.png",
        "interlaced-16.png",
        "palette.png",
        "animated.webp",
        "animated.gif",
        "plain.gif",
        "rgb.bmp",
        "palette.bmp",
        "plain.tiff",
        "deflate.tiff",
        "palette.tiff",
        "cmyk.tiff",
    ] {
        check(name, QUARTERS, 0);
    }
    for name in ["baseline.jpg", "progressive.jpg", "cmyk.jpg", "lossy.webp"] {
        check(name, QUARTERS, 6);
    }
    for name in ["one-bit.png", "one-bit.bmp", "one-bit.tiff", "fax.tiff"] {
        check(name, white_first, 0);
    }
    for name in ["rgba.png", "rgba.webp", "rgba.tiff"] {
        check(name, see_through, 0);
    }
    // By profiles; `colors` says where the figures are from.
    let opaque = |colors: [[u8; 3]; 4]| colors.map(|[r, g, b]| [r, g, b, 255]);
    let muted = opaque([[216, 93, 24], [0, 185, 54], [0, 59, 92], [129, 129, 129]]);
    let printed = opaque([[99, 184, 207], [229, 134, 161], [179, 185, 187], [191, 185, 172]]);
    for name in ["display-p3.png", "display-p3.webp", "display-p3.tiff"] {
        check(name, muted, 2);
    }
    check("display-p3.jpg", muted, 6);
    check("press.tiff", printed, 2);
    check("press.jpg", printed, 4);
    check("grey-gamma.png", [grey(0), grey(81), grey(146), grey(210)], 1);
    check("grey.jpg", luma, 2);
    check("grey.png", luma, 0);
    check("grey-16.png", shades, 0);
    check("grey-16.tiff", shades, 0);
    check("grey-alpha.png", grey_alpha, 0);
    check("grey-alpha.tiff", grey_alpha, 0);
    check("palette-alpha.png", [[255, 0, 0, 128], GREEN, [0, 0, 255, 0], YELLOW], 0);
    check("transparent.gif", [RED, GREEN, [0, 0, 255, 0], YELLOW], 0);
}

/// No writer at hand makes YCCK but libjpeg itself.
#[test]
fn ycck_comes_out_right() {
    let mut settings = Compress::new(ColorSpace::JCS_CMYK);
    settings.set_size(48, 32);
    settings.set_color_space(ColorSpace::JCS_YCCK);
    let mut encoder = settings.start_compress(Vec::new()).unwrap();
    // Inverted, as Adobe does: 255 is no ink.
    let row = |left: [u8; 4], right: [u8; 4]| [left.repeat(24), right.repeat(24)].concat();
    let upper = row([255, 0, 0, 255], [0, 255, 0, 255]).repeat(16);
    let lower = row([0, 0, 255, 255], [255, 255, 0, 255]).repeat(16);
    encoder.write_scanlines(&[upper, lower].concat()).unwrap();
    let photo = decode(&encoder.finish().unwrap()).unwrap();
    assert_close("YCCK", quarters(&photo), QUARTERS, 6);
}

#[test]
fn at_any_scale_a_jpeg_shows_the_same() {
    for name in ["baseline.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "orientation-6.jpg", "orientation-7.jpg"] {
        let full = decode(&fixture(name)).unwrap();
        for (scale, size) in Scale::ALL.into_iter().zip([(48, 32), (24, 16), (12, 8), (6, 4)]) {
            let photo = decode_at(&fixture(name), scale).unwrap();
            assert_eq!((photo.raster().width(), photo.raster().height()), size, "{name}");
            assert_eq!((photo.width(), photo.height()), (48, 32), "{name}");
            assert_close(name, quarters(&photo), quarters(&full), 20);
        }
    }
    // Of another format all pixels are there.
    assert_eq!(decode_at(&fixture("rgb-16.png"), Scale::ALL[3]).unwrap(), decode(&fixture("rgb-16.png")).unwrap());
}

#[test]
fn every_orientation_ends_upright() {
    for extension in ["jpg", "png", "webp", "tiff"] {
        for orientation in 0..=9 {
            check(&format!("orientation-{orientation}.{extension}"), QUARTERS, 6);
        }
    }
}

#[test]
fn the_size_in_the_header_is_the_stored_one() {
    for (name, bytes) in fixtures() {
        let Header { format, claim, .. } = Header::read(&bytes, MAX_PIXELS).unwrap();
        let turned = ["-5.", "-6.", "-7.", "-8."].iter().any(|part| name.contains(part));
        assert_eq!((claim.width, claim.height), if turned { (32, 48) } else { (48, 32) }, "{name}");
        assert_eq!(Some(format), Format::from_file_name(&name), "{name}");
    }
}

#[test]
fn a_name_decides_nothing() {
    // The bytes are all there is: no function here takes a name.
    assert_eq!(decode(&fixture("plain.gif")).unwrap().format(), Format::Gif);
    let html = decode(b"<!DOCTYPE html><script>alert(1)</script>").unwrap_err();
    assert_eq!(html.code().as_str(), "UNSUPPORTED_FORMAT");
    assert!(html.message().contains("HTML"), "{}", html.message());
}

#[test]
fn a_cameras_raw_file_is_not_its_preview() {
    use ::tiff::encoder::{TiffEncoder, colortype::RGB8};
    use ::tiff::tags::Tag;

    let raw = |tags: &[(Tag, &[u32])]| {
        let mut out = std::io::Cursor::new(Vec::new());
        let mut file = TiffEncoder::new(&mut out).unwrap();
        let mut preview = file.new_image::<RGB8>(2, 2).unwrap();
        for (tag, value) in tags {
            preview.encoder().write_tag(*tag, *value).unwrap();
        }
        preview.write_data(&[7; 12]).unwrap();
        decode(&out.into_inner()).map_err(|error| error.code().as_str()).map(|photo| photo.width())
    };
    assert_eq!(raw(&[]), Ok(2));
    assert_eq!(raw(&[(Tag::NewSubfileType, &[0])]), Ok(2));
    assert_eq!(raw(&[(Tag::Unknown(50_706), &[1])]), Err("UNSUPPORTED_FORMAT"));
    assert_eq!(raw(&[(Tag::NewSubfileType, &[1]), (Tag::SubIfd, &[8])]), Err("UNSUPPORTED_FORMAT"));
}
