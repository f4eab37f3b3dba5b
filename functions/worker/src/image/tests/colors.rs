//! Colour profiles: what pixels come to, by every format's way of carrying one.
//!
//! What they should come to was computed by `LittleCMS` 2.19 from the very bytes of the profiles made here, with Pillow:
//! `ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB", 1, 0x0140)`, neither optimised nor cached.
//! With the relative colorimetric intent, since at the perceptual one `LittleCMS` compensates the black point.

use std::borrow::Cow;
use std::io::Cursor;

use ::image::codecs::webp::WebPEncoder;
use ::image::{ExtendedColorType, ImageEncoder};
use ::png::{BitDepth, ColorType, Encoder, Info};
use ::tiff::encoder::TiffEncoder;
use ::tiff::encoder::colortype::{CMYK8, Gray8, RGB8, RGB16, RGBA8};
use ::tiff::tags::Tag;
use moxcms::ColorProfile;
use mozjpeg::{ColorSpace, Compress};

use super::profiles::{display_p3, embed, press, scanner, segment};
use super::*;

/// A tile's side, in pixels: one is a block of the coarsest scaled JPEG at least.
const TILE: usize = 16;

const COLORS: [[u8; 3]; 7] =
    [[255, 0, 0], [200, 100, 50], [20, 60, 90], [128, 128, 128], [60, 180, 75], [255, 255, 255], [10, 20, 200]];

const IN_DISPLAY_P3: [[u8; 3]; 7] =
    [[255, 0, 0], [215, 93, 31], [0, 61, 93], [128, 128, 128], [0, 183, 57], [255, 255, 255], [7, 20, 208]];

/// A row of tiles.
fn tiles<const N: usize>(colors: &[[u8; N]]) -> Vec<u8> {
    colors.iter().flat_map(|color| color.repeat(TILE)).collect::<Vec<u8>>().repeat(TILE)
}

/// The colours in the middle of a row of tiles.
fn shown(photo: &Photo) -> Vec<[u8; 4]> {
    let raster = photo.raster();
    let side = raster.height() as usize;
    let row = &raster.bytes()[side / 2 * raster.stride()..][..raster.stride()];
    let pixel = |tile: &[u8]| {
        let pixel = &tile[side / 2 * raster.channels()..][..raster.channels()];
        [pixel[0], pixel[1], pixel[2], pixel.get(3).copied().unwrap_or(255)]
    };
    row.chunks(side * raster.channels()).map(pixel).collect()
}

#[track_caller]
fn check(name: &str, file: &[u8], expected: &[[u8; 3]], tolerance: u8) {
    let photo = decode(file).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let got: Vec<[u8; 3]> = shown(&photo).into_iter().map(|[r, g, b, _]| [r, g, b]).collect();
    let far = got.as_flattened().iter().zip(expected.as_flattened()).any(|(a, b)| a.abs_diff(*b) > tolerance);
    assert!(!far && got.len() == expected.len(), "{name}: {got:?}, not {expected:?}");
}

/// A JPEG that loses next to nothing: as good as they get, and the channels as they are.
fn jpeg<const N: usize>(colors: &[[u8; N]], space: ColorSpace, profile: &[u8]) -> Vec<u8> {
    let mut settings = Compress::new(match N {
        1 => ColorSpace::JCS_GRAYSCALE,
        3 => ColorSpace::JCS_RGB,
        _ => ColorSpace::JCS_CMYK,
    });
    settings.set_size(colors.len() * TILE, TILE);
    settings.set_color_space(space);
    settings.set_quality(100.0);
    settings.set_chroma_sampling_pixel_sizes((1, 1), (1, 1));
    let mut encoder = settings.start_compress(Vec::new()).unwrap();
    encoder.write_scanlines(&tiles(colors)).unwrap();
    embed(&encoder.finish().unwrap(), profile, 300)
}

fn png<const N: usize>(colors: &[[u8; N]], profile: &[u8]) -> Vec<u8> {
    let mut info = Info::with_size((colors.len() * TILE) as u32, TILE as u32);
    info.color_type = [ColorType::Grayscale, ColorType::GrayscaleAlpha, ColorType::Rgb, ColorType::Rgba][N - 1];
    info.bit_depth = BitDepth::Eight;
    info.icc_profile = (!profile.is_empty()).then_some(Cow::Borrowed(profile));
    let mut out = Vec::new();
    Encoder::with_info(&mut out, info).unwrap().write_header().unwrap().write_image_data(&tiles(colors)).unwrap();
    out
}

fn webp<const N: usize>(colors: &[[u8; N]], profile: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut out);
    encoder.set_icc_profile(profile.to_vec()).unwrap();
    let kind = if N == 3 { ExtendedColorType::Rgb8 } else { ExtendedColorType::Rgba8 };
    encoder.write_image(&tiles(colors), (colors.len() * TILE) as u32, TILE as u32, kind).unwrap();
    out
}

fn tiff<C: ::tiff::encoder::colortype::ColorType<Inner = u8>>(samples: &[u8], profile: &[u8]) -> Vec<u8> {
    let width = samples.len() / C::BITS_PER_SAMPLE.len() / TILE;
    let mut out = Cursor::new(Vec::new());
    let mut file = TiffEncoder::new(&mut out).unwrap();
    let mut image = file.new_image::<C>(width as u32, TILE as u32).unwrap();
    image.encoder().write_tag(Tag::IccProfile, profile).unwrap();
    image.write_data(samples).unwrap();
    out.into_inner()
}

fn rgb_in_every_format(colors: &[[u8; 3]], profile: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    [
        ("JPEG", jpeg(colors, ColorSpace::JCS_RGB, profile)),
        ("PNG", png(colors, profile)),
        ("WebP", webp(colors, profile)),
        ("TIFF", tiff::<RGB8>(&tiles(colors), profile)),
    ]
}

#[test]
fn wide_gamut_colours_become_srgb() {
    let adobe_rgb =
        [[255, 0, 0], [227, 100, 42], [0, 57, 91], [129, 129, 129], [0, 181, 64], [255, 255, 255], [0, 12, 205]];
    let pro_photo =
        [[255, 0, 0], [255, 80, 47], [0, 84, 114], [146, 146, 146], [0, 209, 60], [255, 255, 255], [0, 25, 224]];
    for (profile, expected) in [
        (ColorProfile::new_display_p3(), IN_DISPLAY_P3),
        (ColorProfile::new_adobe_rgb(), adobe_rgb),
        (ColorProfile::new_pro_photo_rgb(), pro_photo),
    ] {
        for (name, file) in rgb_in_every_format(&COLORS, &profile.encode().unwrap()) {
            check(name, &file, &expected, 2);
        }
    }
    let ycc = jpeg(&COLORS, ColorSpace::JCS_YCbCr, &display_p3());
    check("a JPEG of the usual kind", &ycc, &IN_DISPLAY_P3, 4);
}

#[test]
fn sixteen_bits_are_converted_as_eight() {
    let samples: Vec<u16> = tiles(&COLORS).into_iter().map(|sample| u16::from(sample) * 257).collect();
    let mut out = Cursor::new(Vec::new());
    let mut file = TiffEncoder::new(&mut out).unwrap();
    let mut image = file.new_image::<RGB16>((COLORS.len() * TILE) as u32, TILE as u32).unwrap();
    image.encoder().write_tag(Tag::IccProfile, &display_p3()[..]).unwrap();
    image.write_data(&samples).unwrap();
    check("16 bits", &out.into_inner(), &IN_DISPLAY_P3, 2);
}

#[test]
fn greys_have_profiles_too() {
    let gamma = ColorProfile::new_gray_with_gamma(1.8).encode().unwrap();
    let shades = [[0], [64], [128], [200], [255]];
    let expected = [0, 81, 146, 210, 255].map(|shade| [shade; 3]);
    check("JPEG", &jpeg(&shades, ColorSpace::JCS_GRAYSCALE, &gamma), &expected, 2);
    check("PNG", &png(&shades, &gamma), &expected, 1);
    check("TIFF", &tiff::<Gray8>(&tiles(&shades), &gamma), &expected, 1);
    let see_through = png(&shades.map(|[shade]| [shade, 255 - shade]), &gamma);
    check("grey and alpha", &see_through, &expected, 1);
    assert_eq!(
        shown(&decode(&see_through).unwrap()).iter().map(|pixel| pixel[3]).collect::<Vec<_>>(),
        [255, 191, 127, 55, 0]
    );
    // A profile of colours goes for greys; one of greys not for colours.
    let pro_photo = ColorProfile::new_pro_photo_rgb().encode().unwrap();
    check("grey in ProPhoto", &png(&shades, &pro_photo), &expected, 1);
    check("colours and a grey profile", &png(&COLORS, &gamma), &COLORS, 0);
}

#[test]
fn tables_are_profiles_too() {
    let expected =
        [[0, 82, 54], [100, 107, 98], [87, 65, 99], [137, 120, 143], [156, 87, 122], [254, 235, 255], [76, 95, 148]];
    for (name, file) in rgb_in_every_format(&COLORS, &scanner()) {
        check(name, &file, &expected, 2);
    }
}

#[test]
fn four_inks_are_what_their_press_makes_of_them() {
    let inks = [
        [0, 0, 0, 0],
        [255, 0, 0, 0],
        [0, 255, 0, 0],
        [0, 0, 255, 0],
        [0, 0, 0, 255],
        [128, 64, 32, 0],
        [255, 255, 0, 0],
        [40, 30, 30, 100],
    ];
    let printed = [
        [247, 240, 221],
        [99, 184, 207],
        [229, 134, 161],
        [240, 224, 125],
        [161, 157, 149],
        [179, 185, 187],
        [110, 90, 146],
        [191, 185, 172],
    ];
    // What each ink leaves of white light.
    let light = [
        [255, 255, 255],
        [0, 255, 255],
        [255, 0, 255],
        [255, 255, 0],
        [0, 0, 0],
        [127, 191, 223],
        [0, 0, 255],
        [131, 137, 137],
    ];
    let inverted = inks.map(|ink| ink.map(|amount| 255 - amount));
    for (profile, expected) in [(press(), printed), (display_p3(), light), (Vec::new(), light)] {
        check("CMYK", &jpeg(&inverted, ColorSpace::JCS_CMYK, &profile), &expected, 2);
        check("YCCK", &jpeg(&inverted, ColorSpace::JCS_YCCK, &profile), &expected, 4);
        check("TIFF", &tiff::<CMYK8>(&tiles(&inks), &profile), &expected, 2);
    }
    for (name, file) in rgb_in_every_format(&COLORS, &press()) {
        check(name, &file, &COLORS, 1);
    }
}

#[test]
fn an_srgb_profile_changes_nothing() {
    let ramp: Vec<[u8; 3]> = (0..=255).map(|n| [n, 255 - n, n / 2 + 60]).collect();
    let mut curves = ColorProfile::new_srgb();
    // As older profiles have it: a list of values, rounded.
    let value = |n: u32| {
        let v = f64::from(n) / 1023.0;
        let linear = if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) };
        (linear * 65535.0).round() as u16
    };
    let list = moxcms::ToneReprCurve::Lut((0..1024).map(value).collect());
    (curves.red_trc, curves.green_trc, curves.blue_trc) = (Some(list.clone()), Some(list.clone()), Some(list));
    for profile in [ColorProfile::new_srgb(), curves] {
        let with = rgb_in_every_format(&ramp, &profile.encode().unwrap());
        for ((name, with), (_, without)) in with.into_iter().zip(rgb_in_every_format(&ramp, &[])) {
            assert_eq!(decode(&with).unwrap(), decode(&without).unwrap(), "{name}");
        }
    }
}

#[test]
fn transparency_stays_as_it_was() {
    let see_through: Vec<[u8; 4]> = COLORS.iter().zip(0..).map(|(&[r, g, b], n)| [r, g, b, n * 42]).collect();
    for (profile, red) in [(display_p3(), [215, 93, 31]), (scanner(), [100, 107, 98])] {
        for (name, file) in [
            ("PNG", png(&see_through, &profile)),
            ("WebP", webp(&see_through, &profile)),
            ("TIFF", tiff::<RGBA8>(&tiles(&see_through), &profile)),
        ] {
            let got = shown(&decode(&file).unwrap());
            assert!(got.iter().zip(&see_through).all(|(got, was)| got[3] == was[3]), "{name}: {got:?}");
            assert!(got[1].iter().zip(red).all(|(a, b)| a.abs_diff(b) <= 2), "{name}: {got:?}");
        }
    }
}

#[test]
fn a_jpeg_at_any_scale_is_converted() {
    let file = jpeg(&COLORS, ColorSpace::JCS_RGB, &display_p3());
    for scale in Scale::ALL {
        let got = shown(&decode_at(&file, scale).unwrap());
        let near = |(got, expected): (&[u8; 4], &[u8; 3])| got.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= 2);
        assert!(got.iter().zip(&IN_DISPLAY_P3).all(near), "{scale:?}: {got:?}");
    }
}

#[test]
fn a_png_that_calls_itself_srgb_is() {
    let file = png(&COLORS, &display_p3());
    let at = file.windows(4).position(|kind| kind == b"iCCP").unwrap() - 4;
    let srgb = [&file[..at], b"\0\0\0\x01sRGB\0\xAE\xCE\x1C\xE9", &file[at..]].concat();
    check("sRGB", &srgb, &COLORS, 0);
}

#[test]
fn segments_come_in_any_order_but_all() {
    let profile = display_p3();
    let plain = jpeg(&COLORS, ColorSpace::JCS_RGB, &[]);
    let (first, second) = profile.split_at(200);
    let with = |segments: &[(u8, u8, &[u8])]| {
        let segments: Vec<u8> =
            segments.iter().flat_map(|&(number, count, part)| segment(number, count, part)).collect();
        [&plain[..2], &segments, &plain[2..]].concat()
    };
    check("in order", &with(&[(1, 2, first), (2, 2, second)]), &IN_DISPLAY_P3, 2);
    check("the other way round", &with(&[(2, 2, second), (1, 2, first)]), &IN_DISPLAY_P3, 2);
    for (name, segments) in [
        ("the second is missing", &[(1, 2, first)][..]),
        ("the first is missing", &[(2, 2, second)]),
        ("one comes twice", &[(1, 2, first), (1, 2, first), (2, 2, second)]),
        ("counted from zero", &[(0, 2, first), (1, 2, second)]),
        ("other counts", &[(1, 2, first), (2, 3, second)]),
        ("none of none", &[(0, 0, &profile)]),
    ] {
        check(name, &with(segments), &COLORS, 1);
    }
    check("too many", &with(&[(1, 255, first); 300]), &COLORS, 1);
}

#[test]
fn a_profile_that_cannot_be_read_is_ignored() {
    let good = display_p3();
    let changed = |at: usize, bytes: &[u8]| [&good[..at], bytes, &good[at + bytes.len()..]].concat();
    for (name, profile) in [
        ("a word", b"profile".to_vec()),
        ("a header alone", good[..132].to_vec()),
        ("cut short", good[..good.len() - 1].to_vec()),
        ("longer than it is", changed(0, &[0, 0x10, 0, 0])),
        ("longer than is read", changed(0, &[0xFF; 4])),
        ("no signature", changed(36, b"none")),
        ("of Lab", changed(16, b"Lab ")),
        ("of six inks", changed(16, b"6CLR")),
        ("a link from device to device", changed(12, b"link")),
        ("version 5", changed(8, &[5])),
        ("no tags", changed(128, &[0; 4])),
        ("tags beyond the end", changed(132 + 4, &[0x7F; 4])),
    ] {
        for (format, file) in rgb_in_every_format(&COLORS, &profile) {
            check(&format!("{name}, {format}"), &file, &COLORS, 1);
        }
    }
    // All of the file after the profile is still there.
    for (format, file) in rgb_in_every_format(&COLORS, &changed(128, &[0xFF; 4])) {
        check(format, &file, &IN_DISPLAY_P3, 2);
    }
}

#[test]
fn no_more_of_a_profile_is_inflated_than_its_length_is_worth() {
    // An honest profile, but for a tail of zeros that compresses to nothing.
    let padded = |length: usize| {
        let mut profile = display_p3();
        profile.resize(length, 0);
        profile[..4].copy_from_slice(&(length as u32).to_be_bytes());
        png(&COLORS, &profile)
    };
    check("a little", &padded(4 << 10), &IN_DISPLAY_P3, 2);
    check("fifty times as much", &padded(32 << 10), &COLORS, 0);
    check("a hundred megabytes", &padded(100 << 20), &COLORS, 0);
}

#[test]
fn what_a_profile_takes_is_foretold() {
    let memory = |profile: &[u8]| {
        let file = png(&COLORS, profile);
        let header = Header::read(&file, MAX_PIXELS).unwrap();
        header.cost(&file, None, &View { resize: 256, width: 224, height: 224 }).unwrap().studio
    };
    assert!(memory(&display_p3()) > memory(&[]) + (8 << 20));
}

#[test]
fn damaged_profiles_never_panic() {
    let files = |profile: &[u8]| {
        [
            tiff::<RGB8>(&tiles(&COLORS[..1]), profile),
            tiff::<Gray8>(&tiles(&[[9]]), profile),
            tiff::<CMYK8>(&tiles(&[[9, 8, 7, 6]]), profile),
        ]
    };
    for profile in [display_p3(), ColorProfile::new_gray_with_gamma(2.0).encode().unwrap(), press(), scanner()] {
        for at in (0..profile.len()).step_by(7) {
            let mut damaged = profile.clone();
            damaged[at] ^= [0xFF, 0x80, 1][at % 3];
            assert!(files(&damaged).iter().all(|file| decode(file).is_ok()), "byte {at}");
        }
    }
}

#[test]
fn derivatives_are_in_srgb_without_a_profile() {
    for file in [png(&COLORS, &display_p3()), jpeg(&COLORS, ColorSpace::JCS_RGB, &display_p3())] {
        for format in ["jpeg", "png", "webp"] {
            let json = format!(r#"[{{"name":"a","format":"{format}","quality":100,"watermark":false}}]"#);
            let (derivative, again) = rendering::rendered(decode(&file).unwrap(), &json);
            for trace in [&b"ICC_PROFILE"[..], b"iCCP", b"ICCP", b"acsp"] {
                assert!(!derivative.bytes.windows(trace.len()).any(|part| part == trace), "{format}");
            }
            let got = shown(&again);
            let near =
                |(got, expected): (&[u8; 4], &[u8; 3])| got.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= 6);
            assert!(got.iter().zip(&IN_DISPLAY_P3).all(near), "{format}: {got:?}");
        }
    }
}
