//! The whole road over the pictures in `tests/fixtures/`, and over bytes that nobody meant as a picture.

mod animations;
mod avif;
mod colors;
mod hostile;
mod marks;
mod profiles;
mod rendering;
mod sources;

use super::header::Header;
use super::*;

/// Red, green, blue and yellow: the quarters of every fixture, in reading order.
const QUARTERS: [[u8; 4]; 4] = [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [255, 255, 0, 255]];

const MAX_PIXELS: u64 = 100_000_000;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Every picture in the folder, with its name.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).unwrap();
    let mut names: Vec<_> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| Format::from_file_name(name).is_some());
    names.sort();
    assert!(names.len() > 60, "the fixtures are there");
    names.into_iter().map(|name| (name.clone(), fixture(&name))).collect()
}

fn decode(bytes: &[u8]) -> Result<Photo, ImageError> {
    decode_at(bytes, Scale::FULL)
}

fn decode_at(bytes: &[u8], scale: Scale) -> Result<Photo, ImageError> {
    Photo::decode(bytes, &Header::read(bytes, MAX_PIXELS)?, scale)
}

/// RGBA in the middle of each quarter.
fn quarters(photo: &Photo) -> [[u8; 4]; 4] {
    let raster = photo.raster();
    [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| {
        let (x, y) = (raster.width() as usize * x / 4, raster.height() as usize * y / 4);
        let at = y * raster.stride() + x * raster.channels();
        let pixel = &raster.bytes()[at..at + raster.channels()];
        [pixel[0], pixel[1], pixel[2], pixel.get(3).copied().unwrap_or(255)]
    })
}

#[track_caller]
fn assert_close(name: &str, got: [[u8; 4]; 4], expected: [[u8; 4]; 4], tolerance: u8) {
    let far = got.iter().flatten().zip(expected.iter().flatten()).any(|(a, b)| a.abs_diff(*b) > tolerance);
    assert!(!far, "{name}: {got:?}, not {expected:?}");
}
