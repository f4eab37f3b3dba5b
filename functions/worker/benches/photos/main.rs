//! The speed of a photo's way through the worker: beside that of others, and step by step.
//!
//! `scripts/bench` starts it with a model's folder and a recipe ([`serve`]); `cargo bench -p worker` measures [`steps`]. Takes the
//! rooms of the worker that know pixels and models by their paths, so that they stay private.

#![expect(unused, unreachable_pub, reason = "a program that uses a part of what it takes in")]
#![expect(clippy::print_stdout, reason = "its answers")]

#[path = "../../src/classify/mod.rs"]
mod classify;
#[path = "../../src/image/mod.rs"]
mod image;
mod serve;
mod steps;

use std::error::Error;
use std::path::Path;

use image::{Watermarker, Watermarks};

/// What the worker takes, if nobody says otherwise.
const MAX_PIXELS: u64 = 100_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [model, recipe] if Path::new(model).is_dir() => serve::serve(model.into(), recipe),
        _ => {
            steps::measure();
            Ok(())
        }
    }
}

fn watermarker() -> Watermarker {
    let text = "© Darkroom".to_owned().try_into().expect("a text that can be written");
    Watermarker::new(Watermarks { text, images: [].into() })
}
