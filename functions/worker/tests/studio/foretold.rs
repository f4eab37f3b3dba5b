//! What is foretold of a photo and its derivatives is never too low: each is made within exactly that, by a studio that has
//! seen no other.

use super::files::{
    animation, bare_tiff, black_and_white, bmp, cmyk, finely_measured_press, gif, jpeg, noise, png, tiff,
};
use super::profiles::{display_p3, embed, press, scanner};
use super::*;

/// A figure of a process in `/proc`, in bytes.
fn memory(process: u32, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// What a studio may keep between two photos is no part of what one is foretold to take.
fn exactly(cost: Cost) -> Cost {
    Cost { studio: cost.studio - (8 << 20), ..cost }
}

/// Made within what is foretold, and not a byte more.
fn within(file: &[u8], recipe: &Recipe) -> Result<Vec<Print>, Failure> {
    let cost = foretell(file, MAX_PIXELS, Some(recipe), &VIEW)?;
    develop(&studios(), file, recipe, &exactly(cost))
}

#[test]
fn every_kind_of_photo_stays_within_what_is_foretold() {
    use png::{BitDepth, ColorType};
    use tiff::encoder::colortype::{Gray16, RGB8, RGB16, RGB32Float, RGBA8};

    let (width, height) = (2000, 1500);
    let pixels = noise(2000 * 1500 * 3);
    // As smooth as the transparency of photos is.
    let see_through: Vec<u8> =
        pixels.as_chunks::<3>().0.iter().zip(0..).flat_map(|(&[r, g, b], n)| [r, g, b, (n / 12_000) as u8]).collect();
    let files = [
        ("baseline JPEG", jpeg(2000, 1500, false)),
        ("progressive JPEG", jpeg(2000, 1500, true)),
        ("JPEG in Display P3", embed(&jpeg(2000, 1500, false), &display_p3(), 60_000)),
        ("progressive JPEG with a table", embed(&jpeg(2000, 1500, true), &scanner(), 60_000)),
        ("CMYK JPEG", cmyk(2000, 1500)),
        ("CMYK JPEG with a table", embed(&cmyk(2000, 1500), &press(), 60_000)),
        ("8-bit PNG", png(width, height, ColorType::Rgb, BitDepth::Eight)),
        ("PNG with alpha", png(width, height, ColorType::Rgba, BitDepth::Eight)),
        ("16-bit PNG", png(width, height, ColorType::Rgba, BitDepth::Sixteen)),
        ("1-bit PNG", png(width, height, ColorType::Grayscale, BitDepth::One)),
        ("lossy WebP", webp::Encoder::from_rgb(&pixels, width, height).encode(90.0).to_vec()),
        ("lossy WebP with alpha", webp::Encoder::from_rgba(&see_through, width, height).encode(90.0).to_vec()),
        ("GIF", gif(2000, 1500, None)),
        ("transparent GIF", gif(2000, 1500, Some(7))),
        ("BMP", bmp(width, height)),
        ("8-bit TIFF", tiff::<RGB8>(width, height, |v| v)),
        ("TIFF with alpha", tiff::<RGBA8>(width, height, |v| v)),
        ("16-bit TIFF", tiff::<RGB16>(width, height, |v| u16::from(v) << 8)),
        ("grey 16-bit TIFF", tiff::<Gray16>(width, height, |v| u16::from(v) << 8)),
        ("TIFF of floats", tiff::<RGB32Float>(width, height, |v| f32::from(v) / 255.0)),
    ];
    for (name, file) in files {
        let studios = studios();
        let cost = foretell(&file, MAX_PIXELS, Some(&default_recipe()), &VIEW).unwrap();
        let made =
            develop(&studios, &file, &default_recipe(), &exactly(cost)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((made[0].width, made[0].height), (width, height), "{name}");
        assert!(made[0].bytes.len() as u64 <= cost.output, "{name}: {} bytes", made[0].bytes.len());
        let after = memory(studios.waiting()[0], "RssAnon");
        // A picture's memory is held for the next one.
        assert!(after < (16 << 20) + 4 * 3_000_000, "{name}: {after} bytes afterwards");
        // The estimate is no blank cheque either.
        assert!(cost.studio < 40 * 3_000_000 + (48 << 20), "{name}: {} bytes", cost.studio);
    }
}

#[test]
fn every_recipe_stays_within_what_is_foretold() {
    let file = png(2000, 1500, png::ColorType::Rgba, png::BitDepth::Eight);
    for json in [
        r#"[{"name":"a","resize":{"width":3000,"enlarge":true},"format":"png"}]"#,
        r#"[{"name":"a","resize":{"width":900},"format":"jpeg"},{"name":"b","format":"jpeg","quality":100}]"#,
        r#"[{"name":"b"},{"name":"c","format":"jpeg"},{"name":"d","watermark":false}]"#,
        r#"[{"name":"a","watermark":{"size":1}}]"#,
        r#"[{"name":"a","crop":{"x":1,"y":1,"width":1990,"height":1490},"resize":{"width":1980}},{"name":"b"}]"#,
        r#"[{"name":"a","crop":{"x":1,"y":1,"width":1990,"height":1490},"watermark":false,"format":"png"}]"#,
        r#"[{"name":"a","resize":{"width":3000,"height":3000,"fit":"contain"},"watermark":false,"format":"png"}]"#,
        r#"[{"name":"a","filters":[{"blur":100},"sepia",{"sharpen":2}],"watermark":false},{"name":"b","format":"jpeg"}]"#,
        r#"[{"name":"a","filters":[{"sharpen":2}],"watermark":false,"format":"jpeg"}]"#,
        r#"[{"name":"a","watermark":{"image":"logo.png","size":1,"margin":0},"format":"jpeg"}]"#,
        r#"[{"name":"a","watermark":{"image":"logo.png","position":"tile","size":0.01,"margin":0},"format":"jpeg"}]"#,
        r#"[{"name":"a","watermark":{"text":".","position":"tile","size":0.01,"margin":0},"format":"jpeg"}]"#,
        r#"[{"name":"a","format":"jpeg","progressive":true},{"name":"b","format":"jpeg","progressive":true,"quality":100}]"#,
        r#"[{"name":"a","format":"webp","lossless":true}]"#,
        r#"[{"name":"a","watermark":false,"format":"webp","lossless":true},{"name":"b","format":"jpeg"}]"#,
    ] {
        let made = within(&file, &recipe(json)).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(made.len(), recipe(json).derivatives().len());
    }
}

/// Those that are not decoded into one byte a sample, pixel by pixel.
#[test]
fn a_tiff_that_is_rearranged_stays_within_what_is_foretold() {
    let recipe = recipe(r#"[{"name":"a","resize":{"width":1600},"format":"jpeg"}]"#);
    for (width, height, depth, samples, planar) in
        [(4960, 7016, 1, 1, false), (4000, 3000, 8, 3, true), (3000, 2000, 8, 4, true), (3000, 2000, 16, 3, true)]
    {
        let made = within(&bare_tiff(width, height, depth, samples, planar), &recipe);
        made.unwrap_or_else(|error| panic!("{samples} channels of {depth} bits: {error}"));
    }
}

#[test]
fn a_lossless_webp_stays_within_what_is_foretold() {
    let (width, height) = (2000, 1500);
    let flat = vec![90; 2000 * 1500 * 3];
    let smooth: Vec<u8> = (0..1500u32)
        .flat_map(|y| (0..2000u32).flat_map(move |x| [x / 8, y / 6, (x + y) / 14].map(|v| v as u8)))
        .collect();
    let stripes: Vec<u8> = (0..1500u32)
        .flat_map(|y| (0..2000u32).flat_map(move |x| [x * y % 7, x % 251, y % 13].map(|v| v as u8)))
        .collect();
    for (name, pixels) in [("flat", flat), ("smooth", smooth), ("stripes", stripes), ("noise", noise(2000 * 1500 * 3))]
    {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        for mark in ["", r#""watermark":false,"#] {
            let recipe = recipe(&format!(r#"[{{"name":"a",{mark}"format":"webp","lossless":true}}]"#));
            within(&file, &recipe).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

/// Noise is the longest and takes the most, the finer the more; and libwebp has several ways to say that it has no memory.
#[test]
fn a_lossy_webp_stays_within_what_is_foretold() {
    use png::{BitDepth, ColorType};

    let (grain, contrast) = (png(2400, 1800, ColorType::Rgb, BitDepth::Eight), black_and_white(2000, 1500));
    for file in [&grain, &contrast] {
        for quality in [50, 85, 89, 90, 95, 100] {
            let recipe = recipe(&format!(r#"[{{"name":"a","watermark":false,"format":"webp","quality":{quality}}}]"#));
            within(file, &recipe).unwrap_or_else(|error| panic!("{quality}: {error}"));
        }
    }
    let recipe = recipe(r#"[{"name":"a","watermark":false,"format":"webp"}]"#);
    let cost = foretell(&grain, MAX_PIXELS, Some(&recipe), &VIEW).unwrap();
    for memory in (16..48).step_by(2) {
        let cost = Cost { studio: memory << 20, ..cost };
        if let Err(error) = develop(&studios(), &grain, &recipe, &cost) {
            check_refused(Err(error), Code::ImageTooLarge, "more memory to process than");
        }
    }
}

#[test]
fn a_jpeg_in_full_colour_stays_within_what_is_foretold() {
    for progressive in [false, true] {
        let steps = format!(r#""watermark":false,"format":"jpeg","quality":100,"progressive":{progressive}"#);
        let recipe = recipe(&format!(r#"[{{"name":"a",{steps}}}]"#));
        within(&black_and_white(2000, 1500), &recipe).unwrap_or_else(|error| panic!("{steps}: {error}"));
    }
}

/// Noise takes the most memory and time, and so does noise for its opacity.
#[test]
fn an_avif_stays_within_what_is_foretold() {
    use png::{BitDepth, ColorType};

    for (width, height, color, quality) in [
        (1600, 1200, ColorType::Rgb, 85),
        (1600, 1200, ColorType::Rgba, 100),
        (512, 512, ColorType::Rgba, 100),
        (512, 512, ColorType::Rgb, 97),
        (640, 819, ColorType::Rgb, 100),
        (8, 16_384, ColorType::Rgb, 89),
        (1, 16_384, ColorType::Rgba, 100),
        (8, 4000, ColorType::Rgba, 85),
        (900, 20, ColorType::Rgb, 100),
        (5, 5, ColorType::Rgb, 1),
    ] {
        let file = png(width, height, color, BitDepth::Eight);
        let recipe = recipe(&format!(r#"[{{"name":"a","watermark":false,"format":"avif","quality":{quality}}}]"#));
        let made = within(&file, &recipe);
        made.unwrap_or_else(|error| panic!("{width} × {height} {color:?}: {error}"));
    }
}

/// With so many pixels that what is allowed for everything else hides nothing.
#[test]
fn twelve_megapixels_stay_within_what_is_foretold() {
    let photo = jpeg(4000, 3000, false);
    let drawing = png(3000, 2000, png::ColorType::Rgb, png::BitDepth::Eight);
    for (file, steps) in [
        (&photo, r#""format":"jpeg","progressive":true,"watermark":false"#),
        (&photo, r#""format":"jpeg","progressive":true,"quality":95"#),
        (&drawing, r#""format":"auto","progressive":true,"quality":95"#),
        (&photo, r#""resize":{"width":100,"height":2900,"fit":"fill"},"watermark":false"#),
        (&photo, r#""resize":{"width":3900,"height":100,"fit":"fill"},"watermark":false"#),
        (&photo, r#""resize":{"width":4001,"height":3001,"fit":"cover"},"watermark":false"#),
        (&photo, r#""resize":{"width":1600,"height":1000,"fit":"cover"}"#),
        (&photo, r#""watermark":{"image":"logo.png","size":1,"margin":0}"#),
        (&drawing, r#""filters":["sepia",{"sharpen":1}],"watermark":false"#),
        (&drawing, r#""filters":[{"blur":30}],"watermark":{"size":1}"#),
    ] {
        let recipe = recipe(&format!(r#"[{{"name":"a",{steps}}}]"#));
        within(file, &recipe).unwrap_or_else(|error| panic!("{steps}: {error}"));
    }
    // What the first is done with is nothing that the second could use.
    let recipe = recipe(
        r#"[{"name":"a","crop":{"x":0,"y":0,"width":4000,"height":2990},"resize":{"width":300},"watermark":false},
            {"name":"b","watermark":false,"format":"jpeg","progressive":true}]"#,
    );
    within(&photo, &recipe).unwrap_or_else(|error| panic!("a crop, then a progressive JPEG: {error}"));
}

/// At a smaller scale there are fewer pixels, but all the coefficients of a progressive photo.
#[test]
fn a_jpeg_at_a_smaller_scale_stays_within_what_is_foretold() {
    for file in [jpeg(2400, 1600, false), jpeg(2400, 1600, true)] {
        let mut costs = Vec::new();
        for width in [1500, 900, 450] {
            let recipe = recipe(&format!(
                r#"[{{"name":"a","resize":{{"width":{width}}}}},{{"name":"b","resize":{{"width":9}}}}]"#
            ));
            let made = within(&file, &recipe).unwrap_or_else(|error| panic!("{width}: {error}"));
            assert_eq!((made[0].width, made[0].height), (width, width * 2 / 3));
            costs.push(foretell(&file, MAX_PIXELS, Some(&recipe), &VIEW).unwrap().studio);
        }
        assert!(costs.is_sorted_by(|larger, smaller| larger > smaller), "{costs:?}");
    }
}

/// Of small photos, so that nothing else is in the way.
#[test]
fn a_profile_stays_within_what_is_foretold() {
    let press = finely_measured_press();
    for profile in [&press[..], &press[..2 << 20], &press[..1000], b"", &display_p3(), &scanner()] {
        for file in [cmyk(16, 16), jpeg(16, 16, false), jpeg(16, 16, true)] {
            within(&embed(&file, profile, 60_000), &default_recipe()).unwrap();
        }
    }
    let cost = |profile| foretell(&embed(&cmyk(16, 16), profile, 60_000), MAX_PIXELS, None, &VIEW).unwrap();
    assert!(cost(&press).studio > cost(b"").studio + (24 << 20));
}

/// However its frames follow on one another, whatever becomes of them.
#[test]
fn an_animation_stays_within_what_is_foretold() {
    use gif::DisposalMethod::{Background, Keep, Previous};

    for disposal in [Keep, Background, Previous] {
        let file = animation(700, 500, 3, disposal);
        for json in [
            r#"[{"name":"a","watermark":false}]"#,
            r#"[{"name":"a","watermark":false,"format":"webp"}]"#,
            r#"[{"name":"a","watermark":false,"format":"webp","lossless":true}]"#,
            r#"[{"name":"a","watermark":false,"resize":{"width":400}}]"#,
            r#"[{"name":"a","watermark":false,"resize":{"width":699,"height":50,"fit":"fill"},"format":"webp"}]"#,
            r#"[{"name":"a","watermark":false,"resize":{"width":1100,"enlarge":true},"format":"webp"}]"#,
            r#"[{"name":"a","watermark":false,"resize":{"width":1100,"enlarge":true}},{"name":"b"}]"#,
            r#"[{"name":"a"},{"name":"b","watermark":false},{"name":"c","watermark":false,"format":"webp"}]"#,
        ] {
            let made = within(&file, &recipe(json)).unwrap_or_else(|error| panic!("{json}: {error}"));
            assert_eq!(made.len(), recipe(json).derivatives().len());
        }
    }
}
