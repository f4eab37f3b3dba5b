//! Studios as processes: what they make, what ends them, and what they leave behind.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which lie outside of test functions")]

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use shared::error::{Code, Failure};
use shared::format::Format;
use shared::recipe::Recipe;
use worker::studio::{Cost, Holder, Print, Studios, View, Watermarks, foretell};

const PROGRAM: &str = env!("CARGO_BIN_EXE_worker");
const MAX_PIXELS: u64 = 100_000_000;
const VIEW: View = View { resize: 256, width: 224, height: 224 };

fn studios() -> Studios {
    Studios::open(PathBuf::from(PROGRAM), 1, watermarks(), VIEW, MAX_PIXELS).unwrap()
}

fn watermarks() -> Watermarks {
    let logo = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rgba.png")).unwrap();
    let images = [("logo.png".to_owned().try_into().unwrap(), logo)].into();
    Watermarks { text: "© Darkroom".to_owned().try_into().unwrap(), images }
}

fn recipe(json: &str) -> Recipe {
    serde_json::from_str(json).unwrap()
}

fn default_recipe() -> Recipe {
    recipe(r#"[{"name":"watermarked"}]"#)
}

fn develop(studios: &Studios, file: &[u8], recipe: &Recipe, cost: &Cost) -> Result<Vec<Print>, Failure> {
    let holder = Holder::default();
    studios.develop(file.to_vec(), Some(recipe.clone()), cost, &holder.leash(), |taken| {
        assert_eq!(taken.cropped.len(), 224 * 224 * 3);
    })
}

/// Within what is foretold, and not a byte more.
fn developed(studios: &Studios, file: &[u8], recipe: &Recipe) -> Result<Vec<Print>, Failure> {
    let cost = foretell(file, MAX_PIXELS, Some(recipe), &VIEW)?;
    develop(studios, file, recipe, &cost)
}

#[track_caller]
fn check_refused(outcome: Result<Vec<Print>, Failure>, expected: Code, part: &str) {
    match outcome {
        Err(Failure::Client { code, message }) => {
            assert_eq!(code, expected, "{message}");
            assert!(message.contains(part), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

fn sample() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/samples/cat.jpg")).unwrap()
}

/// Bytes that no encoder makes small, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn jpeg(width: usize, height: usize, progressive: bool) -> Vec<u8> {
    let mut settings = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
    settings.set_fastest_defaults();
    settings.set_size(width, height);
    if progressive {
        settings.set_progressive_mode();
    }
    let mut encoder = settings.start_compress(Vec::new()).unwrap();
    encoder.write_scanlines(&noise(width * height * 3)).unwrap();
    encoder.finish().unwrap()
}

fn png(width: u32, height: u32, color: png::ColorType, depth: png::BitDepth) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    encoder.set_compression(png::Compression::Fast);
    let bytes = width as usize * height as usize * color.samples() * depth as usize / 8;
    encoder.write_header().unwrap().write_image_data(&noise(bytes)).unwrap();
    out
}

fn gif(width: u16, height: u16, transparent: Option<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let palette: Vec<u8> = (0..=255).flat_map(|shade| [shade, 255 - shade, shade]).collect();
    let buffer = noise(usize::from(width) * usize::from(height)).into();
    let frame = gif::Frame { width, height, buffer, transparent, ..gif::Frame::default() };
    gif::Encoder::new(&mut out, width, height, &palette).unwrap().write_frame(&frame).unwrap();
    out
}

fn bmp(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let color = image::ExtendedColorType::Rgb8;
    let pixels = noise((width * height * 3) as usize);
    image::codecs::bmp::BmpEncoder::new(&mut out).encode(&pixels, width, height, color).unwrap();
    out
}

fn tiff<C: tiff::encoder::colortype::ColorType>(width: u32, height: u32, sample: impl Fn(u8) -> C::Inner) -> Vec<u8>
where
    [C::Inner]: tiff::encoder::TiffValue,
{
    let mut out = Cursor::new(Vec::new());
    let samples = width as usize * height as usize * C::BITS_PER_SAMPLE.len();
    let samples: Vec<C::Inner> = noise(samples).into_iter().map(sample).collect();
    tiff::encoder::TiffEncoder::new(&mut out).unwrap().write_image::<C>(width, height, &samples).unwrap();
    out.into_inner()
}

/// A figure of a process in `/proc`, in bytes.
fn memory(process: u32, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
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
    let studios = studios();
    // The first photo also brings what the process keeps.
    developed(&studios, &sample(), &default_recipe()).unwrap();
    for (name, file) in files {
        let cost = foretell(&file, MAX_PIXELS, Some(&default_recipe()), &VIEW).unwrap();
        let process = studios.waiting()[0];
        let rest = memory(process, "RssAnon");
        let made = develop(&studios, &file, &default_recipe(), &cost).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((made[0].width, made[0].height), (width, height), "{name}");
        assert!(made[0].bytes.len() as u64 <= cost.output, "{name}: {} bytes", made[0].bytes.len());
        assert_eq!(studios.waiting(), [process], "{name}: the process lives");
        let after = memory(process, "RssAnon");
        assert!(after < rest + (16 << 20), "{name}: {rest} bytes at rest, {after} afterwards");
        // The estimate is no blank cheque either.
        assert!(cost.studio < 40 * 3_000_000 + (48 << 20), "{name}: {} bytes", cost.studio);
    }
}

#[test]
fn every_recipe_stays_within_what_is_foretold() {
    let studios = studios();
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
        let made = developed(&studios, &file, &recipe(json)).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(made.len(), recipe(json).derivatives().len());
    }
}

#[test]
fn a_lossless_webp_stays_within_what_is_foretold() {
    let studios = studios();
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
            developed(&studios, &file, &recipe).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

/// With so many pixels that what is allowed for everything else hides nothing.
#[test]
fn twelve_megapixels_stay_within_what_is_foretold() {
    let studios = studios();
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
        developed(&studios, file, &recipe).unwrap_or_else(|error| panic!("{steps}: {error}"));
    }
}

/// At a smaller scale there are fewer pixels, but all the coefficients of a progressive photo.
#[test]
fn a_jpeg_at_a_smaller_scale_stays_within_what_is_foretold() {
    let studios = studios();
    for file in [jpeg(2400, 1600, false), jpeg(2400, 1600, true)] {
        let mut costs = Vec::new();
        for width in [1500, 900, 450] {
            let recipe = recipe(&format!(
                r#"[{{"name":"a","resize":{{"width":{width}}}}},{{"name":"b","resize":{{"width":9}}}}]"#
            ));
            let made = developed(&studios, &file, &recipe).unwrap_or_else(|error| panic!("{width}: {error}"));
            assert_eq!((made[0].width, made[0].height), (width, width * 2 / 3));
            costs.push(foretell(&file, MAX_PIXELS, Some(&recipe), &VIEW).unwrap().studio);
        }
        assert!(costs.is_sorted_by(|larger, smaller| larger > smaller), "{costs:?}");
    }
}

#[test]
fn every_fixture_is_developed() {
    let studios = studios();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).unwrap() {
        let path = entry.unwrap().path();
        if let Some(format) = Format::from_file_name(path.to_str().unwrap()) {
            let made = developed(&studios, &std::fs::read(&path).unwrap(), &default_recipe());
            let made = made.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!((made[0].width, made[0].height, made[0].format), (48, 32, format), "{}", path.display());
        }
    }
}

#[test]
fn more_memory_than_allowed_ends_the_photo_and_no_other() {
    let studios = studios();
    let file = png(2000, 1500, png::ColorType::Rgb, png::BitDepth::Eight);
    let cost = foretell(&file, MAX_PIXELS, Some(&default_recipe()), &VIEW).unwrap();
    let process = studios.waiting();
    let outcome = develop(&studios, &file, &default_recipe(), &Cost { studio: 12 << 20, ..cost });
    check_refused(outcome, Code::ImageTooLarge, "more memory to process than");
    assert_ne!(studios.waiting(), process, "another process has taken its place");
    assert_eq!(develop(&studios, &file, &default_recipe(), &cost).unwrap().len(), 1);
}

#[test]
fn more_time_than_allowed_ends_the_photo_and_no_other() {
    let studios = studios();
    let file = jpeg(4000, 3000, false);
    let cost = foretell(&file, MAX_PIXELS, Some(&default_recipe()), &VIEW).unwrap();
    let outcome = develop(&studios, &file, &default_recipe(), &Cost { time: Duration::from_millis(60), ..cost });
    check_refused(outcome, Code::ImageTooLarge, "more time to process than");
    assert_eq!(developed(&studios, &sample(), &default_recipe()).unwrap().len(), 1);
}

#[test]
fn longer_derivatives_than_allowed_are_refused() {
    let studios = studios();
    let file = png(2000, 1500, png::ColorType::Rgb, png::BitDepth::Eight);
    let process = studios.waiting();
    for format in ["jpeg", "png", "webp"] {
        let recipe = recipe(&format!(r#"[{{"name":"w","format":"{format}"}}]"#));
        let cost = foretell(&file, MAX_PIXELS, Some(&recipe), &VIEW).unwrap();
        let outcome = develop(&studios, &file, &recipe, &Cost { output: 1 << 16, ..cost });
        check_refused(outcome, Code::ImageTooLarge, "derivatives");
        assert_eq!(studios.waiting(), process, "a refusal ends no process");
    }
}

#[test]
fn damaged_bytes_are_the_clients() {
    let studios = studios();
    let mut file = png(300, 200, png::ColorType::Rgb, png::BitDepth::Eight);
    let middle = file.len() / 2;
    file[middle] ^= 0xFF;
    check_refused(developed(&studios, &file, &default_recipe()), Code::CorruptImage, "damaged");
    assert_eq!(developed(&studios, &sample(), &default_recipe()).unwrap().len(), 1);
}

#[test]
fn a_studio_whose_photo_nobody_waits_for_is_ended_at_once() {
    let studios = studios();
    let file = jpeg(6000, 5000, false);
    let cost = foretell(&file, MAX_PIXELS, Some(&default_recipe()), &VIEW).unwrap();
    let holder = Holder::default();
    let leash = holder.leash();
    let (outcome, took) = std::thread::scope(|scope| {
        let at_work = scope.spawn(|| studios.develop(file, Some(default_recipe()), &cost, &leash, |_| ()));
        until_at_work(&studios);
        let dropped = Instant::now();
        drop(holder);
        (at_work.join().unwrap(), dropped.elapsed())
    });
    assert!(matches!(outcome, Err(Failure::Transient { .. })), "{outcome:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(developed(&studios, &sample(), &default_recipe()).unwrap().len(), 1);
}

/// Waits until the only studio has its photo, and some of it is done.
fn until_at_work(studios: &Studios) {
    while !studios.waiting().is_empty() {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(50));
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
}

#[test]
fn a_studio_that_is_killed_is_replaced_and_its_photo_tried_again() {
    let studios = studios();
    let file = jpeg(6000, 5000, false);
    let cost = foretell(&file, MAX_PIXELS, Some(&default_recipe()), &VIEW).unwrap();
    let process = studios.waiting()[0];
    let outcome = std::thread::scope(|scope| {
        let at_work = scope.spawn(|| develop(&studios, &file, &default_recipe(), &cost));
        until_at_work(&studios);
        kill(process);
        at_work.join().unwrap()
    });
    assert!(matches!(outcome, Err(Failure::Transient { .. })), "{outcome:?}");
    // One that dies while it waits is not even noticed.
    kill(studios.waiting()[0]);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(developed(&studios, &sample(), &default_recipe()).unwrap().len(), 1);
}

#[test]
fn a_studio_holds_nothing_of_the_workers() {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let file = std::fs::File::open(PROGRAM).unwrap();
    let studios = studios();
    developed(&studios, &sample(), &default_recipe()).unwrap();
    let folder = Path::new("/proc").join(studios.waiting()[0].to_string());
    for entry in std::fs::read_dir(folder.join("fd")).unwrap() {
        let target = std::fs::read_link(entry.unwrap().path()).unwrap();
        let target = target.to_str().unwrap();
        assert!(target.starts_with("pipe:") || target == "/dev/null", "{target}");
    }
    let environment = std::fs::read_to_string(folder.join("environ")).unwrap();
    assert!(environment.split_terminator('\0').all(|variable| variable.starts_with("MALLOC_")), "{environment}");
    drop((listener, file));
}

#[test]
fn a_studio_ends_with_its_worker() {
    let mut studio =
        Command::new(PROGRAM).arg("darkroom-studio").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(studio.try_wait().unwrap().is_none(), "it waits for an order");
    drop(studio.stdin.take());
    assert!(studio.wait().unwrap().success());
}
