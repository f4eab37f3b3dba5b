//! The whole path against the reference, and what a model folder can do wrong.

use serde_json::{Value, json};

use super::*;
use crate::image::{Header, Photo, Scale};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/efficientnet-lite0");
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/samples");

/// Largest difference of a logit from the reference's: what different orders of the same sums come to.
const TOLERANCE: f64 = 1e-3;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    photos: Vec<ReferencePhoto>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReferencePhoto {
    file: String,
    decoded_sha256: String,
    cropped_sha256: String,
    top5: Vec<ReferenceLabel>,
    logits: Vec<f64>,
}

#[derive(Deserialize)]
struct ReferenceLabel {
    label: String,
    probability: f64,
}

fn decode(bytes: &[u8]) -> Photo {
    Photo::decode(bytes, &Header::read(bytes, 1_000_000).unwrap(), Scale::FULL).unwrap()
}

/// The file with its colour profile made unknown: the reference takes pixels as they are, as its training did.
fn without_profile(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(at) = memchr::memmem::find(&bytes, b"ICC_PROFILE\0") {
        bytes[at] = b'_';
    }
    bytes
}

#[test]
fn a_photo_is_seen_in_the_colours_of_its_profile() {
    let classifier = Classifier::load(Path::new(MODEL)).unwrap();
    let rocket = fs::read(Path::new(SAMPLES).join("rocket.jpg")).unwrap();
    let seen = |bytes: &[u8]| classifier.view().of(&decode(bytes));
    let (with, without) = (seen(&rocket), seen(&without_profile(rocket.clone())));
    assert_ne!(with, without);
    let best = classifier.answer(classifier.prepare(&with)).unwrap().predictions;
    assert_eq!(best[0].label, "missile");
}

#[test]
fn from_the_file_to_the_logits_it_is_the_reference() {
    let classifier = Classifier::load(Path::new(MODEL)).unwrap();
    let reference = fs::read(Path::new(MODEL).join("reference.json")).unwrap();
    let Reference { photos } = serde_json::from_slice(&reference).unwrap();
    assert!(!photos.is_empty());
    for expected in photos {
        let bytes = fs::read(Path::new(SAMPLES).join(&expected.file)).unwrap();
        let photo = decode(&without_profile(bytes));
        assert_eq!(
            format!("{:x}", Sha256::digest(photo.raster().bytes())),
            expected.decoded_sha256,
            "{}",
            expected.file
        );
        let cropped = classifier.view().of(&photo);
        assert_eq!(format!("{:x}", Sha256::digest(&cropped)), expected.cropped_sha256, "{}", expected.file);

        let logits = classifier.run(classifier.prepare(&cropped)).unwrap();
        let worst = logits.iter().zip(&expected.logits).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
        assert!(worst <= TOLERANCE, "{}: a logit is off by {worst}", expected.file);
        let best = classifier.answer(classifier.prepare(&cropped)).unwrap().predictions;
        assert_eq!(best.len(), 5);
        for (got, expected) in best.iter().zip(&expected.top5) {
            assert_eq!(got.label, expected.label);
            assert!((got.probability - expected.probability).abs() <= TOLERANCE, "{}", got.label);
        }
    }
}

/// Loads a folder with a description changed by `change` and with these files, and expects a refusal that names `file`.
#[track_caller]
fn check_refused(file: &str, problem: &str, change: (&str, Value), files: &[(&str, &[u8])]) {
    let folder = std::env::temp_dir().join(format!("darkroom-model-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut description: Value =
        serde_json::from_slice(&fs::read(Path::new(MODEL).join("model.json")).unwrap()).unwrap();
    description[change.0] = change.1;
    fs::write(folder.join("model.json"), description.to_string()).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let error = Classifier::load(&folder).unwrap_err().to_string();
    fs::remove_dir_all(&folder).unwrap();
    assert!(error.contains(folder.join(file).to_str().unwrap()) && error.contains(problem), "{error}");
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_by_file() {
    let onnx = fs::read(Path::new(MODEL).join("model.onnx")).unwrap();
    let unchecked = || ("sha256", Value::Null);
    check_refused("model.onnx", "cannot be read", unchecked(), &[]);
    check_refused("model.onnx", "SHA-256", ("sha256", json!("00")), &[("model.onnx", &onnx)]);
    check_refused("model.onnx", "no model that can be run", unchecked(), &[("model.onnx", b"x")]);
    check_refused("labels.txt", "cannot be read", unchecked(), &[("model.onnx", &onnx)]);
    let files = [("model.onnx", &onnx[..]), ("labels.txt", b"cat\ndog\n")];
    check_refused("labels.txt", "has 2 labels, but the model has 1000 outputs", unchecked(), &files);

    check_refused("model.json", "does not describe a model", ("interpolation", json!("nearest")), &[]);
    check_refused("model.json", "does not describe a model", ("meen", json!(0)), &[]);
    check_refused("model.json", "smaller than the input", ("resize", json!(200)), &[]);
    check_refused("model.json", "outside its own folder", ("file", json!("../model.onnx")), &[]);
    let nowhere = Classifier::load(Path::new("no/such/folder")).unwrap_err().to_string();
    assert!(nowhere.contains("no/such/folder/model.json"), "{nowhere}");
}

#[test]
fn a_line_of_pixels_is_classified_like_any_photo() {
    let classifier = Classifier::load(Path::new(MODEL)).unwrap();
    for (width, height) in [(1, 65_000), (65_000, 1), (1, 1)] {
        let file = image::DynamicImage::new_rgb8(width, height);
        let mut bytes = std::io::Cursor::new(Vec::new());
        file.write_to(&mut bytes, image::ImageFormat::Bmp).unwrap();
        let photo = decode(bytes.get_ref());
        let cropped = classifier.view().of(&photo);
        let answer = classifier.answer(classifier.prepare(&cropped)).unwrap();
        assert_eq!(answer.predictions.len(), 5);
    }
}

#[test]
fn probabilities_add_up() {
    let sum: f64 = softmax(&[1000.0, 999.0, -1000.0]).iter().sum();
    assert!((sum - 1.0).abs() < 1e-12);
}
