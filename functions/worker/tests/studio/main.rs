//! Studios as processes: what they make, what ends them, and what they leave behind.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which lie outside of test functions")]

mod files;
mod foretold;
#[path = "../../src/image/tests/profiles.rs"]
mod profiles;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use files::{jpeg, png};
use shared::error::{Code, Failure};
use shared::format::Format;
use shared::recipe::Recipe;
use worker::studio::{Cost, Holder, Part, Print, Studios, View, Watermarks, foretell};

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
    develop_part(studios, file, recipe, Part::All, cost)
}

fn develop_part(
    studios: &Studios,
    file: &[u8],
    recipe: &Recipe,
    part: Part,
    cost: &Cost,
) -> Result<Vec<Print>, Failure> {
    let holder = Holder::default();
    studios.develop(file.to_vec(), Some(recipe.clone()), part, cost, &holder.leash(), |taken| {
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

/// Alone, the second would be decoded at an eighth of its size.
#[test]
fn a_derivative_is_the_same_whichever_others_are_made_beside_it() {
    let studios = studios();
    let recipe =
        recipe(r#"[{"name":"whole"},{"name":"small","resize":{"width":120}},{"name":"grey","filters":["grayscale"]}]"#);
    let file = files::jpeg(2400, 1600, false);
    let cost = foretell(&file, MAX_PIXELS, Some(&recipe), &VIEW).unwrap();
    let all = develop(&studios, &file, &recipe, &cost).unwrap();
    for spec in recipe.derivatives() {
        let part = Part::Only(vec![spec.name.clone()]);
        let [alone] = &develop_part(&studios, &file, &recipe, part, &cost).unwrap()[..] else { panic!() };
        assert!(all.contains(alone), "{}", alone.name);
    }
    assert!(develop_part(&studios, &file, &recipe, Part::Only(Vec::new()), &cost).unwrap().is_empty());
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

/// What a studio keeps of the photos before neither helps the next one nor is in its way.
#[test]
fn what_came_before_changes_nothing() {
    let file = png(512, 512, png::ColorType::Rgb, png::BitDepth::Eight);
    let recipe = recipe(r#"[{"name":"a","watermark":false,"format":"avif","quality":100}]"#);
    let cost = foretell(&file, MAX_PIXELS, Some(&recipe), &VIEW).unwrap();
    let scarce = Cost { studio: 41 << 20, ..cost };
    check_refused(develop(&studios(), &file, &recipe, &scarce), Code::ImageTooLarge, "more memory to process than");
    let warm = studios();
    develop(&warm, &file, &recipe, &cost).unwrap();
    check_refused(develop(&warm, &file, &recipe, &scarce), Code::ImageTooLarge, "more memory to process than");
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
        check_refused(outcome, Code::ImageTooLarge, "more than 65536 bytes, the most that was foretold");
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
        let at_work = scope.spawn(|| studios.develop(file, Some(default_recipe()), Part::All, &cost, &leash, |_| ()));
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
