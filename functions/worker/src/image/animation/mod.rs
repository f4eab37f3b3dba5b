//! Animations: of a GIF whose derivative is a GIF or a WebP and at most resized, every frame is kept.
//!
//! The file is gone through once for each such derivative: a frame is decoded onto its `screen`, resized, and written (by
//! `gif` or `webp`) before the next one is looked at. Only what is encoded already is in memory as a whole.
//!
//! Whatever else is asked of a GIF is made of its first frame, and so is what the classifier and the placeholder see. Absent:
//! the frames of an animated WebP.

mod changes;
mod gif;
mod screen;
mod webp;

use std::borrow::Cow;
use std::time::Duration;

use shared::format::Format;
use shared::recipe::{DerivativeSpec, OutputFormat, Recipe, WatermarkChoice};

use super::cost::{LOSSLESS_WEBP, MAX_OUTPUT, area, lossy_webp};
use super::gif::{COPIES, Frames, frames};
use super::header::Header;
use super::{ImageError, Rendered, resize};
use screen::Screen;

/// Most frames.
pub(super) const MAX_FRAMES: u64 = 2000;

/// Pixels that may be read for all derivatives of a photo together: for each, those of the whole screen, which are resized,
/// and those of the frame itself, which are decoded.
const MAX_READ_PIXELS: u64 = 500_000_000;

/// Processor time for each of them, in nanoseconds. Mostly it takes 6.
const READ_TIME: u64 = 8;

/// Pixels that may be written for all derivatives of a photo together.
const MAX_WRITTEN_PIXELS: u64 = 60_000_000;

/// Processor time for each of them, in nanoseconds. Of a photo as a GIF it takes 100, of noise as a WebP 120.
const WRITE_TIME: u64 = 120;

/// Written pixels that a frame takes as long as, however little of it changes: a millisecond.
const FRAME_PIXELS: u64 = 1 << 13;

/// Part of the screen that counts as written where nothing changes: it is resized and compared.
const UNCHANGED: u64 = 8;

/// Memory that reading takes besides pictures, in bytes.
const OVERHEAD: u64 = 2 << 20;

/// Most bytes of a frame besides its pixels: a place, a delay, a palette.
const FRAME_OVERHEAD: u64 = 2 << 10;

/// A file that is needed until its derivatives are made.
pub(crate) struct Animation {
    file: Vec<u8>,
    frames: Frames,
}

/// Whether the frames are kept, should there be several: in this derivative of a GIF nothing happens but a resize.
pub(super) fn moves(spec: &DerivativeSpec) -> bool {
    let plain = spec.crop.is_none() && spec.filters.is_empty() && spec.watermark == Some(WatermarkChoice::Off);
    plain && matches!(spec.format, None | Some(OutputFormat::Auto | OutputFormat::Webp))
}

/// What a file with this header holds, if the recipe keeps its frames and there are several. Refuses what would take too
/// long.
pub(super) fn survey(file: &[u8], header: &Header, recipe: Option<&Recipe>) -> Result<Option<Frames>, ImageError> {
    let specs = recipe.map_or(&[][..], Recipe::derivatives);
    if header.format != Format::Gif || !specs.iter().any(moves) {
        return Ok(None);
    }
    let frames = frames(file)?;
    if frames.count < 2 {
        return Ok(None);
    }
    if frames.count > MAX_FRAMES {
        return Err(ImageError::TooManyFrames { frames: frames.count });
    }
    let (read, written) = pixels(frames, specs);
    for (pixels, limit, done) in [(read, MAX_READ_PIXELS, "read"), (written, MAX_WRITTEN_PIXELS, "written")] {
        if pixels > limit {
            return Err(ImageError::TooMuchAnimation { pixels, limit, done });
        }
    }
    Ok(Some(frames))
}

/// Processor time that keeping these frames in these derivatives is allowed.
pub(super) fn time(frames: Frames, specs: &[DerivativeSpec]) -> Duration {
    let (read, written) = pixels(frames, specs);
    Duration::from_nanos(read * READ_TIME + written * WRITE_TIME)
}

/// Pixels that are read and written for those of these derivatives that keep all frames.
fn pixels(frames: Frames, specs: &[DerivativeSpec]) -> (u64, u64) {
    let moving = specs.iter().filter(|spec| moves(spec));
    let each = moving.map(|spec| (frames.pixels_to_read(), written(frames, spec)));
    each.fold((0u64, 0u64), |all, one| (all.0.saturating_add(one.0), all.1.saturating_add(one.1)))
}

/// Pixels that are written for a derivative: what each frame changes, and somewhat more.
fn written(frames: Frames, spec: &DerivativeSpec) -> u64 {
    let changes = frames.changes;
    let screen = area(size(frames, spec));
    let scale = spec.resize.as_ref().map_or(1.0, |resize| resize::magnification(frames.screen, resize));
    // A pixel changes three to each side of it, in whichever of the two sizes they are larger; a corner has even numbers.
    let around = if size(frames, spec) == frames.screen { 2.0 } else { 6.0 * scale.max(1.0) + 2.0 };
    let [parts, pixels, sides] = [changes.parts, changes.pixels, changes.sides].map(|number| number as f64);
    let parts = pixels * scale * scale + sides * scale * around + parts * around * around;
    let parts = (parts as u64).min(changes.parts * screen);
    changes.wholes * screen + parts + frames.count * (screen / UNCHANGED + FRAME_PIXELS)
}

/// Width and height that the frames get.
fn size(frames: Frames, spec: &DerivativeSpec) -> (u32, u32) {
    spec.resize.as_ref().map_or(frames.screen, |resize| resize::size(frames.screen, resize))
}

/// Bytes that making a derivative of these frames takes besides the photo, its file and the derivative itself, and the most
/// that it can have.
pub(super) fn memory(frames: Frames, spec: &DerivativeSpec, last: bool) -> (u64, u64) {
    let (source, size) = (frames.screen, size(frames, spec));
    let (screen, pixels) = (area(source) * 4, area(size));
    let (encoding, each) = match spec.format {
        Some(OutputFormat::Webp) if spec.lossless => (pixels * LOSSLESS_WEBP, pixels * 24 / 5),
        Some(OutputFormat::Webp) => lossy_webp(pixels, 4, spec),
        // The part that changed becomes indexes in its own place; they are packed beside them.
        _ => (pixels * 3 + (4 << 20), pixels * 2),
    };
    // Twice the screen; what the resizer takes; this frame, the one before and, for a GIF, the one before that, or what
    // changed; and an encoded one that is not in its place yet.
    let between = if size == source { 0 } else { screen + u64::from(source.0) * u64::from(size.1) * 4 };
    let extra = screen * 2 + between + pixels * 4 * 4 + OVERHEAD + frames.applications * COPIES;
    let output = MAX_OUTPUT.min(frames.count * (each + FRAME_OVERHEAD));
    (extra + encoding + MAX_OUTPUT.min(each) + if last { 0 } else { output }, output)
}

impl Animation {
    /// Keeps the file if any derivative needs its frames.
    pub(crate) fn of(file: Vec<u8>, header: &Header, recipe: Option<&Recipe>) -> Result<Option<Self>, ImageError> {
        let frames = survey(&file, header, recipe)?;
        Ok(frames.map(|frames| Self { file, frames }))
    }

    /// A derivative of all frames, of at most `room` bytes; none if it is one of a single picture.
    pub(super) fn derive(&self, spec: &DerivativeSpec, room: usize) -> Option<Result<Rendered, ImageError>> {
        moves(spec).then(|| self.film(spec, room))
    }

    /// Pixels of all frames together, as they are limited.
    #[cfg(fuzzing)]
    pub(crate) fn pixels(&self) -> u64 {
        self.frames.pixels_to_read()
    }

    fn film(&self, spec: &DerivativeSpec, room: usize) -> Result<Rendered, ImageError> {
        let mut screen = Screen::open(&self.file, self.frames.screen)?;
        let (width, height) = size(self.frames, spec);
        let mut next = || {
            let delay = screen.advance()?;
            let frame = Cow::Borrowed(screen.shown());
            let frame =
                spec.resize.as_ref().map_or(frame.clone(), |spec| resize::resize(frame, self.frames.screen, spec));
            Ok::<_, ImageError>((frame.into_owned(), delay))
        };
        let (format, bytes) = if spec.format == Some(OutputFormat::Webp) {
            let mut film = webp::Film::new((width, height), self.frames.repeats, spec, room)?;
            (0..self.frames.count).try_for_each(|_| next().and_then(|(frame, delay)| film.add(frame, delay)))?;
            (Format::Webp, film.finish()?)
        } else {
            let mut film = gif::Film::new((width, height), self.frames.repeats, room)?;
            (0..self.frames.count).try_for_each(|_| next().and_then(|(frame, delay)| film.add(frame, delay)))?;
            (Format::Gif, film.finish()?)
        };
        Ok(Rendered { format, width, height, bytes })
    }
}
