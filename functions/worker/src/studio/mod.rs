//! Studios: child processes that turn untrusted bytes into pixels, and pixels into derivatives.
//!
//! Decoders are where hostile bytes do harm, and within one process nothing helps: a thread that decodes cannot be
//! ended, a failed allocation or a crash in a C library takes every other photo along, and memory has no owner. So the
//! worker keeps a few children of its own executable (one a core), hands them one photo after another over pipes, and
//! gives each photo a limit of memory and of processor time. A child that exceeds either, or crashes, is one photo's
//! end; its successor is started at once. The children know no credentials, and end when their worker does.
//!
//! What the classifier looks at comes back as soon as the photo is decoded, so that the model, which stays in the
//! worker, runs while the child renders.
//!
//! `frame` and `message` are the language, `room` the child, `limits` what confines it, `process` the worker's hold on
//! it. Absent: a choice of what runs in a child. It is always the whole road of `image`.

mod frame;
mod limits;
mod message;
mod process;
mod room;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use shared::error::{Code, Failure};
use shared::format::Format;
use shared::job::Placeholder;
use shared::recipe::Recipe;

use frame::FrameError;
use message::{Answer, Budget, Order, Rest};
use process::{Death, Process};

pub use message::Part;
pub use process::{Holder, Leash};

use crate::image::Header;
pub use crate::image::{Cost, View, Watermarks};

/// The one argument that makes the executable a studio. No option of anybody's: it stands in no help text.
const ARGUMENT: &str = "darkroom-studio";

/// Makes this process a studio if it was started as one, and returns `true` when the studio has closed.
///
/// Every executable that makes a [`Worker`](crate::Worker) calls it before anything else, and ends if it is `true`.
pub fn serve_if_studio() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != ARGUMENT) || arguments.next().is_some() {
        return false;
    }
    // OK to ignore: the worker sees that the studio has closed, and opens another.
    let _ = room::serve();
    true
}

/// What a photo and its derivatives will take, from its header; refused if that is too much, or if it is no photo.
pub fn foretell(file: &[u8], max_pixels: u64, recipe: Option<&Recipe>, view: &View) -> Result<Cost, Failure> {
    Ok(Header::read(file, max_pixels)?.cost(file, recipe, view)?)
}

/// The executable that this process runs, to be run again as a studio.
pub(crate) fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        // The very file, even if another was put in its place since: both have to speak the same language.
        Ok(PathBuf::from("/proc/self/exe"))
    } else {
        std::env::current_exe()
    }
}

/// A derivative, not stored yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Print {
    /// The recipe's name for it.
    pub name: String,
    /// What it is encoded as.
    pub format: Format,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// SHA-256 of the file, in lower-case hex.
    pub sha256: String,
    /// The file.
    pub bytes: Vec<u8>,
}

/// A photo that decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// Width in pixels, upright.
    pub width: u32,
    /// Height in pixels, upright.
    pub height: u32,
    /// What stands for the photo until it is loaded.
    pub placeholder: Placeholder,
    /// RGB rows of what the classifier looks at.
    pub cropped: Vec<u8>,
}

/// What went wrong with a studio itself.
#[derive(Debug, thiserror::Error)]
enum StudioError {
    #[error("no studio could be started")]
    Start(#[source] io::Error),
    #[error("the studio died: {0}")]
    Died(ExitStatus),
    #[error("the studio was killed")]
    Killed,
    #[error("the studio failed: {0}")]
    Failed(String),
    #[error("the studio said something unexpected")]
    Unexpected(#[source] FrameError),
}

/// The worker's studios.
#[derive(Debug)]
pub struct Studios {
    program: PathBuf,
    watermarks: Watermarks,
    view: View,
    max_pixels: u64,
    /// Those that wait for a photo. As many photos as there are callers can be at work at once.
    idle: Mutex<Vec<Process>>,
}

impl Studios {
    /// Opens `count` studios, each a process of `program`, which calls [`serve_if_studio`].
    pub fn open(
        program: PathBuf,
        count: usize,
        watermarks: Watermarks,
        view: View,
        max_pixels: u64,
    ) -> io::Result<Self> {
        let idle = (0..count).map(|_| Process::start(&program)).collect::<io::Result<_>>()?;
        Ok(Self { program, watermarks, view, max_pixels, idle: Mutex::new(idle) })
    }

    /// Has a photo decoded, and of a recipe, if one is given, the derivatives of `part` made. Blocks until all is done.
    ///
    /// `taken` hears of the photo as soon as it is decoded. The file is given away, so that it is not in memory twice
    /// for longer than it takes to hand it over.
    pub fn develop(
        &self,
        file: Vec<u8>,
        recipe: Option<Recipe>,
        part: Part,
        cost: &Cost,
        leash: &Leash,
        taken: impl FnOnce(Taken),
    ) -> Result<Vec<Print>, Failure> {
        let Process { child, mut orders, mut answers } = self.take().map_err(|error| {
            Failure::transient("no process could be started for the photo", StudioError::Start(error))
        })?;
        // One that is not configured is refused by the studio, as any part of a recipe that cannot be carried out.
        let images: BTreeMap<_, _> = recipe
            .iter()
            .flat_map(Recipe::image_names)
            .filter_map(|name| self.watermarks.images.get_key_value(name))
            .collect();
        let order = Order {
            bytes: file.len(),
            images: images.iter().map(|(&name, image)| (name.clone(), image.len())).collect(),
            watermark_text: self.watermarks.text.clone(),
            view: self.view,
            max_pixels: self.max_pixels,
            budget: Budget { memory: cost.studio, time: cost.time, output: cost.output as usize },
            recipe,
            part,
        };
        leash.tie(child);
        let outcome = converse(&mut orders, &mut answers, &order, file, images.into_values(), taken)
            .and_then(|outcome| Ok((outcome, frame::hear::<Rest>(&mut answers)?.ready)));
        // Nobody else unties.
        let Some(child) = leash.untie() else { return Err(Failure::permanent(StudioError::Killed)) };
        let outcome = match outcome {
            Ok((outcome, true)) if !leash.is_let_go() => {
                self.idle().push(Process { child, orders, answers });
                return outcome;
            }
            outcome => outcome,
        };
        let death = process::bury(child);
        match Process::start(&self.program) {
            Ok(successor) => self.idle().push(successor),
            // OK to go on: the next photo tries again.
            Err(error) => tracing::warn!(%error, "no successor could be started for a studio"),
        }
        match outcome {
            Ok((outcome, _)) => outcome,
            Err(FrameError::Gone(_)) => Err(verdict(death)),
            Err(error) => Err(Failure::permanent(StudioError::Unexpected(error))),
        }
    }

    /// Ids of the processes that wait for a photo.
    pub fn waiting(&self) -> Vec<u32> {
        self.idle().iter().map(|process| process.child.id()).collect()
    }

    /// A studio that lives: a waiting one, or else a new one.
    fn take(&self) -> io::Result<Process> {
        loop {
            let Some(mut process) = self.idle().pop() else { return Process::start(&self.program) };
            if process.lives() {
                return Ok(process);
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Process>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Studios {
    /// Waits for the children, which end when their standard input does, so that none stays behind as a zombie.
    fn drop(&mut self) {
        for Process { child, orders, answers } in self.idle().drain(..) {
            drop((orders, answers));
            process::bury(child);
        }
    }
}

/// Gives an order and hears what comes of it: derivatives or a failure. An error means that the studio is of no more use.
fn converse<'a>(
    orders: &mut impl Write,
    answers: &mut impl Read,
    order: &Order,
    file: Vec<u8>,
    images: impl Iterator<Item = &'a Vec<u8>>,
    taken: impl FnOnce(Taken),
) -> Result<Result<Vec<Print>, Failure>, FrameError> {
    frame::tell(orders, order)?;
    frame::send(orders, &file)?;
    drop(file);
    for image in images {
        frame::send(orders, image)?;
    }
    match frame::hear(answers)? {
        Answer::Taken { width, height, placeholder } => {
            let cropped = frame::receive_exactly(answers, order.view.bytes())?;
            taken(Taken { width, height, placeholder, cropped });
        }
        other => return failure(other).map(Err),
    }
    let mut prints = Vec::new();
    let mut room = order.budget.output;
    for spec in order.wanted().iter().flat_map(|recipe| recipe.derivatives()) {
        match frame::hear(answers)? {
            Answer::Made { format, width, height } => {
                let bytes = frame::receive(answers, room)?;
                room -= bytes.len();
                let sha256 = format!("{:x}", Sha256::digest(&bytes));
                prints.push(Print { name: spec.name.to_string(), format, width, height, sha256, bytes });
            }
            other => return failure(other).map(Err),
        }
    }
    Ok(Ok(prints))
}

/// What an answer that ends a conversation says; an error if it is none of those.
fn failure(answer: Answer) -> Result<Failure, FrameError> {
    match answer {
        Answer::Refused { code, message, detail } => {
            tracing::debug!(%code, detail, "photo refused");
            Ok(Failure::client(code, message))
        }
        Answer::Failed { detail } => Ok(Failure::permanent(StudioError::Failed(detail))),
        Answer::Taken { .. } | Answer::Made { .. } => Err(FrameError::OutOfTurn),
    }
}

/// Whose fault a studio's death was.
fn verdict(death: Death) -> Failure {
    let too_large = |what| {
        Failure::client(Code::ImageTooLarge, format!("The image takes more {what} to process than one photo may have."))
    };
    match death {
        Death::OutOfMemory => too_large("memory"),
        Death::OutOfTime => too_large("time"),
        Death::Killed => Failure::transient("the photo's process was ended", StudioError::Killed),
        Death::Crashed(status) => Failure::permanent(StudioError::Died(status)),
    }
}
