//! The child process: takes an order, decodes, shows the classifier its view, renders, and tells what came of it.

use std::any::Any;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use shared::recipe::ImageName;

use super::frame::{self, FrameError};
use super::limits::{self, Watchdog};
use super::message::{Answer, Order, Rest};
use crate::image::{self, Animation, Header, ImageError, Photo, Rendered, Watermarker, Watermarks};

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Serves orders from standard input until that ends.
pub(super) fn serve() -> Result<(), Box<dyn Error>> {
    limits::leave_no_core();
    // What a panic says is told to whoever gave the order.
    std::panic::set_hook(Box::new(|_| {}));
    let mut orders = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut answers = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let watchdog = Watchdog::start()?;
    loop {
        let order: Order = match frame::hear(&mut orders) {
            Err(FrameError::Gone(_)) => return Ok(()),
            order => order?,
        };
        let limited = watchdog.limit(order.budget);
        let file = frame::receive(&mut orders, order.bytes)?;
        let mut images = BTreeMap::new();
        for (name, length) in &order.images {
            images.insert(name.clone(), frame::receive(&mut orders, *length)?);
        }
        match catch_unwind(AssertUnwindSafe(|| develop(file, images, &order, &mut answers))) {
            Ok(Ok(())) => {}
            Ok(Err(Stop::Image(error))) => frame::tell(&mut answers, &refusal(&error))?,
            Ok(Err(Stop::Frame(error))) => return Err(error.into()),
            Err(panic) => {
                let detail = format!("a panic: {}", words(panic.as_ref()));
                frame::tell(&mut answers, &Answer::Failed { detail })?;
            }
        }
        drop(limited);
        frame::tell(&mut answers, &Rest { ready: watchdog.is_ready() })?;
    }
}

fn develop(file: Vec<u8>, images: BTreeMap<ImageName, Vec<u8>>, order: &Order, answers: &mut File) -> Result<(), Stop> {
    let header = Header::read(&file, order.max_pixels)?;
    let photo = Photo::decode(&file, &header, header.scale(order.recipe.as_ref(), &order.view)?)?;
    // Nothing else needs the file any more.
    let animation = Animation::of(file, &header, order.recipe.as_ref())?;
    let (width, height, placeholder) = (photo.width(), photo.height(), photo.placeholder());
    frame::tell(answers, &Answer::Taken { width, height, placeholder })?;
    frame::send(answers, &order.view.of(&photo))?;
    let Some(recipe) = order.wanted() else { return Ok(()) };
    let watermarker = Watermarker::new(Watermarks { text: order.watermark_text.clone(), images });
    image::render(photo, animation.as_ref(), &recipe, &watermarker, order.budget.output, |rendered| {
        let Rendered { format, width, height, bytes } = rendered;
        frame::tell(answers, &Answer::Made { format, width, height })?;
        Ok(frame::send(answers, &bytes)?)
    })
}

fn refusal(error: &ImageError) -> Answer {
    let mut detail = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        detail.extend([": ", &error.to_string()]);
        cause = error.source();
    }
    match error {
        ImageError::Encode { .. } | ImageError::DamagedImage { .. } => Answer::Failed { detail },
        _ => Answer::Refused { code: error.code(), message: error.message(), detail },
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}
