//! What a GIF's screen shows, frame after frame.

use std::io::Cursor;

use gif::{Decoder, DisposalMethod};

use super::super::ImageError;
use super::super::gif::{Placed, corrupt, open};
use super::super::raster::Raster;

/// A screen and the frames that are still to come. At most two pictures of its size are in memory.
pub(super) struct Screen<'a> {
    decoder: Decoder<Cursor<&'a [u8]>>,
    size: (usize, usize),
    /// With an alpha channel always, so that all frames are treated alike.
    shown: Raster,
    /// What is to be done before the next frame.
    disposal: Disposal,
    /// What was shown before a frame that is taken back afterwards.
    before: Vec<u8>,
}

enum Disposal {
    Keep,
    /// The frame's place becomes invisible.
    Clear(Placed),
    /// All becomes what it was before the frame.
    TakeBack,
}

impl<'a> Screen<'a> {
    /// Shows nothing yet. `size` is what the file was surveyed with.
    pub(super) fn open(bytes: &'a [u8], size: (u32, u32)) -> Result<Self, ImageError> {
        let decoder = open(bytes)?;
        let (width, height) = size;
        if (u32::from(decoder.width()), u32::from(decoder.height())) != size {
            return Err(corrupt("a screen of another size than at first sight"));
        }
        let size = (width as usize, height as usize);
        let shown = Raster::new(width, height, true, vec![0; size.0 * size.1 * 4]);
        Ok(Self { decoder, size, shown, disposal: Disposal::Keep, before: Vec::new() })
    }

    /// Shows the next frame, and tells for how many hundredths of a second.
    pub(super) fn advance(&mut self) -> Result<u16, ImageError> {
        match self.disposal {
            Disposal::Keep => {}
            Disposal::TakeBack => self.shown.bytes_mut().copy_from_slice(&self.before),
            Disposal::Clear(frame) => {
                let pixels = self.shown.bytes_mut().as_chunks_mut::<4>().0;
                frame.rows().for_each(|row| pixels[frame.visible(row, self.size)].fill([0; 4]));
            }
        }
        let frame = Placed::next(&mut self.decoder)?.ok_or_else(|| corrupt("fewer frames than at first sight"))?;
        if frame.disposal == DisposalMethod::Previous {
            self.before.clear();
            self.before.extend_from_slice(self.shown.bytes());
        }
        let colors = frame.colors(&self.decoder)?;
        let pixels = self.shown.bytes_mut().as_chunks_mut::<4>().0;
        frame.decode(&mut self.decoder, self.size, |visible, row| {
            for (pixel, &index) in pixels[visible].iter_mut().zip(row) {
                let color = colors[usize::from(index)];
                // What is invisible leaves what is there.
                if color[3] != 0 {
                    *pixel = color;
                }
            }
        })?;
        self.disposal = match frame.disposal {
            DisposalMethod::Background => Disposal::Clear(frame),
            DisposalMethod::Previous => Disposal::TakeBack,
            DisposalMethod::Any | DisposalMethod::Keep => Disposal::Keep,
        };
        Ok(frame.delay)
    }

    /// All of the screen, with its invisible parts.
    pub(super) fn shown(&self) -> &Raster {
        &self.shown
    }
}
