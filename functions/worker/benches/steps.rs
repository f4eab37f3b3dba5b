//! Each step of a photo by itself, by Criterion: to see what a change to one of them does.
//!
//! Takes the rooms of the worker that know pixels and models by their paths, so that they stay private.

#![expect(unused, unreachable_pub, reason = "a program that uses a part of what it takes in")]

#[path = "../src/classify/mod.rs"]
mod classify;
#[path = "../src/image/mod.rs"]
mod image;

use std::fs;
use std::hint::black_box;
use std::path::Path;

use classify::Classifier;
use criterion::{BatchSize, Criterion};
use image::{Header, ImageError, Photo, Scale, Watermarker, Watermarks};
use mozjpeg::{ColorSpace, Compress, Decompress};
use serde_json::json;
use shared::recipe::Recipe;

/// What the worker takes, if nobody says otherwise.
const MAX_PIXELS: u64 = 100_000_000;

/// Width and height of the photo, in pixels.
const SIZE: (usize, usize) = (4000, 3000);

/// What is rendered of the photo, by what it costs the most.
const RECIPES: [(&str, &str); 7] = [
    ("to 1600 as JPEG", r#"{"resize":{"width":1600}}"#),
    ("to 1600 as JPEG, without a mark", r#"{"resize":{"width":1600},"watermark":false}"#),
    ("to 1600 as progressive JPEG", r#"{"resize":{"width":1600},"progressive":true}"#),
    ("to 1600 as WebP", r#"{"resize":{"width":1600},"format":"webp"}"#),
    ("to 1600 as PNG", r#"{"resize":{"width":1600},"format":"png"}"#),
    ("to 400 as AVIF", r#"{"resize":{"width":400},"format":"avif"}"#),
    ("to 1600 as JPEG, blurred", r#"{"resize":{"width":1600},"filters":[{"blur":5}]}"#),
];

fn main() {
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/efficientnet-lite0");
    let classifier = Classifier::load(&model).expect("a model that is in order");
    criterion.bench_function("load the model", |bencher| bencher.iter(|| Classifier::load(&model)));

    let file = photo();
    let header = Header::read(&file, MAX_PIXELS).expect("a photo");
    criterion.bench_function("survey", |bencher| bencher.iter(|| Header::read(black_box(&file), MAX_PIXELS)));
    let decode = |scale| Photo::decode(&file, &header, scale).expect("a photo that decodes");
    let half = header.scale(Some(&recipe(RECIPES[0].1)), &classifier.view()).expect("a recipe that suits");
    for (name, scale) in [("decode", Scale::FULL), ("decode at half its size", half)] {
        criterion.bench_function(name, |bencher| bencher.iter(|| decode(scale)));
    }
    let photo = decode(half);
    criterion.bench_function("placeholder", |bencher| bencher.iter(|| photo.placeholder()));
    criterion.bench_function("view", |bencher| bencher.iter(|| classifier.view().of(&photo)));
    let view = classifier.view().of(&photo);
    criterion.bench_function("classify", |bencher| bencher.iter(|| classifier.answer(classifier.prepare(&view))));

    let text = "© Darkroom".to_owned().try_into().expect("a text that can be written");
    let watermarker = Watermarker::new(Watermarks { text, images: [].into() });
    for (name, derivative) in RECIPES {
        let recipe = recipe(derivative);
        let render = |photo| {
            image::render(photo, None, &recipe, &watermarker, usize::MAX, |rendered| {
                black_box(rendered);
                Ok::<_, ImageError>(())
            })
        };
        criterion.bench_function(&format!("render {name}"), |bencher| {
            bencher.iter_batched(|| photo.clone(), render, BatchSize::PerIteration);
        });
    }
    criterion.final_summary();
}

fn recipe(derivative: &str) -> Recipe {
    let mut derivative: serde_json::Value = serde_json::from_str(derivative).expect("JSON");
    derivative["name"] = json!("bench");
    serde_json::from_value(json!([derivative])).expect("a recipe")
}

/// A sample, enlarged to a camera's size, with a camera's grain, which is what a decoder works on.
fn photo() -> Vec<u8> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples/coffee.jpg");
    let file = fs::read(sample).expect("a sample");
    let mut sample = Decompress::new_mem(&file).and_then(Decompress::rgb).expect("a JPEG");
    let (width, height) = (sample.width(), sample.height());
    let pixels: Vec<[u8; 3]> = sample.read_scanlines().expect("pixels");
    let mut random = 1u32;
    let mut grain = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 28) as u8
    };
    let enlarged: Vec<u8> = (0..SIZE.0 * SIZE.1)
        .map(|at| pixels[at / SIZE.0 * height / SIZE.1 * width + at % SIZE.0 * width / SIZE.0])
        .flat_map(|pixel| pixel.map(|value| value.saturating_add(grain())))
        .collect();
    let mut settings = Compress::new(ColorSpace::JCS_RGB);
    settings.set_fastest_defaults();
    settings.set_size(SIZE.0, SIZE.1);
    settings.set_quality(92.0);
    let mut encoder = settings.start_compress(Vec::new()).expect("a JPEG");
    encoder.write_scanlines(&enlarged).expect("rows");
    encoder.finish().expect("a JPEG")
}
