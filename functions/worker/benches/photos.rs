//! Photos one after another, without a pipeline around: what `scripts/bench` sets beside its peers.
//!
//! Starts with a model's folder and a recipe. One process, no studio: neither the peers confine what they decode. The model has a
//! thread of its own, which loads it while the first photo is decoded; after that, one thread waits for the other. Each line of
//! standard input names a photo and where its derivative goes, with a tab between; each line of the answer is JSON with what
//! the photo shows and what it took. Takes the rooms of the worker that know pixels and models by their paths, so that they
//! stay private.

#![expect(unused, unreachable_pub, reason = "a program that uses a part of what it takes in")]
#![expect(clippy::print_stdout, reason = "its answers")]

#[path = "../src/classify/mod.rs"]
mod classify;
#[path = "../src/image/mod.rs"]
mod image;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use classify::{Classifier, Description};
use image::{Animation, Header, Photo, View, Watermarker, Watermarks};
use rustix::time::{ClockId, clock_gettime};
use shared::recipe::Recipe;

/// What the worker takes, if nobody says otherwise.
const MAX_PIXELS: u64 = 100_000_000;

/// Processor time of each step, in milliseconds.
type Steps = BTreeMap<&'static str, f64>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(model), Some(recipe)) = (arguments.next(), arguments.next()) else {
        return Err("takes a model's folder and a recipe".into());
    };
    let model = PathBuf::from(model);
    let recipe: Recipe = serde_json::from_slice(recipe.as_encoded_bytes())?;
    let description = Description::read(&model)?;
    let view = description.view();
    let ((views, to_classify), (found, labels)) = (channel::<Vec<u8>>(), channel());
    thread::spawn(move || {
        let classifier = Classifier::load_described(&model, description).expect("a model that is in order");
        for cropped in to_classify {
            let answer = classifier.answer(classifier.prepare(&cropped)).expect("a model that runs");
            // OK to ignore: nobody waits for it any more.
            let _ = found.send(answer.predicted_class);
        }
    });
    let text = "© Darkroom".to_owned().try_into()?;
    let watermarker = Watermarker::new(Watermarks { text, images: [].into() });
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (photo, derivative) = line.split_once('\t').ok_or("a photo and its derivative")?;
        let clock = Clock::start();
        let (label, steps) = develop(photo, derivative, &recipe, &watermarker, view, (&views, &labels))?;
        let (wall, cpu) = clock.elapsed();
        println!("{}", serde_json::json!({ "label": label, "wall": wall, "cpu": cpu, "steps": steps }));
    }
    Ok(())
}

/// The way of a photo in the worker, files in the place of buckets. Says what it shows, and what each step took.
fn develop(
    photo: &str,
    derivative: &str,
    recipe: &Recipe,
    watermarker: &Watermarker,
    view: View,
    (views, labels): (&Sender<Vec<u8>>, &Receiver<String>),
) -> Result<(String, Steps), Box<dyn Error>> {
    let mut steps = Steps::new();
    let mut clock = Clock::start();
    let mut done = |step| {
        steps.insert(step, clock.elapsed().1);
        clock = Clock::start();
    };
    let file = std::fs::read(photo)?;
    done("read");
    let header = Header::read(&file, MAX_PIXELS)?;
    let scale = header.scale(Some(recipe), &view)?;
    done("survey");
    let photo = Photo::decode(&file, &header, scale)?;
    let animation = Animation::of(file, &header, Some(recipe))?;
    done("decode");
    let _placeholder = photo.placeholder();
    done("placeholder");
    let cropped = view.of(&photo);
    done("view");
    image::render(photo, animation.as_ref(), recipe, watermarker, usize::MAX, |rendered| {
        std::fs::write(derivative, &rendered.bytes).map_err(Box::<dyn Error>::from)
    })?;
    done("render");
    views.send(cropped)?;
    let label = labels.recv()?;
    done("classify");
    Ok((label, steps))
}

/// Wall and processor time of this process, the latter in milliseconds.
struct Clock(Instant, f64);

impl Clock {
    fn start() -> Self {
        Self(Instant::now(), processor_time())
    }

    /// Both, in milliseconds.
    fn elapsed(&self) -> (f64, f64) {
        (self.0.elapsed().as_secs_f64() * 1e3, processor_time() - self.1)
    }
}

fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}
