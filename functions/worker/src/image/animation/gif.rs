//! Writes an animated GIF. What does not change from one frame to the next is left out, so that it neither takes room nor
//! flickers between the palettes of two frames.

use std::borrow::Cow;

use gif::{DisposalMethod, Encoder, EncodingError, Frame, Repeat};
use shared::format::Format;

use super::super::ImageError;
use super::super::output::Output;
use super::super::palette::{self, Indexed, VISIBLE};
use super::super::raster::Raster;
use super::changes::Region;

/// An animation that is being written.
pub(super) struct Film {
    encoder: Encoder<Output>,
    /// What is seen when `last` comes; nothing where that was cleared away.
    before: Option<Raster>,
    /// The newest frame, and its delay. It is written when the next one is known, since what vanishes from a frame to the
    /// next can only be cleared away with the frame itself.
    last: Option<(Raster, u16)>,
}

impl Film {
    /// Of this size, shown once and then `repeats` times more (0: without end), in at most `room` bytes.
    pub(super) fn new((width, height): (u32, u32), repeats: Option<u16>, room: usize) -> Result<Self, ImageError> {
        let size = (u16::try_from(width).ok(), u16::try_from(height).ok());
        let (Some(wide), Some(high)) = size else {
            return Err(ImageError::TooLongForFormat { format: Format::Gif, width, height });
        };
        let mut encoder = Encoder::new(Output::new(room), wide, high, &[]).map_err(problem)?;
        if let Some(times) = repeats {
            let repeat = if times == 0 { Repeat::Infinite } else { Repeat::Finite(times) };
            encoder.set_repeat(repeat).map_err(problem)?;
        }
        Ok(Self { encoder, before: None, last: None })
    }

    /// Appends a picture in RGBA of the film's size, shown for so many hundredths of a second.
    pub(super) fn add(&mut self, frame: Raster, delay: u16) -> Result<(), ImageError> {
        if let Some((last, shown)) = self.last.take() {
            let pairs = last.bytes().as_chunks().0.iter().zip(frame.bytes().as_chunks().0);
            let vanishes = pairs.into_iter().any(|(&before, &after)| is_visible(before) && !is_visible(after));
            self.write(&last, shown, vanishes)?;
            self.before = (!vanishes).then_some(last);
        }
        self.last = Some((frame, delay));
        Ok(())
    }

    /// Writes the last frame, and hands out the file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, ImageError> {
        if let Some((last, shown)) = self.last.take() {
            self.write(&last, shown, false)?;
        }
        Ok(self.encoder.into_inner().map_err(problem)?.into_bytes())
    }

    /// Writes what a frame changes. All of the picture is cleared away with it where `cleared`.
    fn write(&mut self, frame: &Raster, delay: u16, cleared: bool) -> Result<(), ImageError> {
        let blank;
        let before = match &self.before {
            Some(before) => before,
            None => {
                blank = Raster::new(frame.width(), frame.height(), true, vec![0; frame.bytes().len()]);
                &blank
            }
        };
        let region = if cleared { Region::whole(frame) } else { Region::of(before, frame, is_same) };
        let mut part = Vec::with_capacity(region.width as usize * region.height as usize * 4);
        for (before, after) in region.rows(before).zip(region.rows(frame)) {
            let changed = before.iter().zip(after).map(|(&a, &b)| if is_same(a, b) { [0; 4] } else { b });
            part.extend(changed.flatten());
        }
        let Indexed { palette, transparent, pixels } =
            palette::index(Raster::new(region.width, region.height, true, part));
        self.encoder
            .write_frame(&Frame {
                delay,
                dispose: if cleared { DisposalMethod::Background } else { DisposalMethod::Keep },
                transparent,
                left: region.left as u16,
                top: region.top as u16,
                width: region.width as u16,
                height: region.height as u16,
                palette: Some(palette),
                buffer: Cow::Owned(pixels),
                ..Frame::default()
            })
            .map_err(problem)
    }
}

fn is_visible(pixel: [u8; 4]) -> bool {
    pixel[3] >= VISIBLE
}

/// Whether two pixels look the same in a GIF.
fn is_same(one: [u8; 4], other: [u8; 4]) -> bool {
    match (is_visible(one), is_visible(other)) {
        (true, true) => one[..3] == other[..3],
        (one, other) => one == other,
    }
}

fn problem(error: EncodingError) -> ImageError {
    match error {
        // An `Output` refuses nothing but what is too long.
        EncodingError::Io(_) => ImageError::OutputTooLarge,
        EncodingError::OutOfMemory => ImageError::TooMuchMemory,
        error => ImageError::encode(Format::Gif, error),
    }
}
