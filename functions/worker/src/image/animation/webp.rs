//! Writes an animated WebP: a container around frames, each of which is encoded like a picture of its own. The format:
//! <https://developers.google.com/speed/webp/docs/riff_container>.
//!
//! libwebp's own writer of animations is not used: as it is bound, it wants all frames in memory at once.

use std::borrow::Cow;
use std::io::{Seek, SeekFrom, Write};

use shared::format::Format;
use shared::recipe::DerivativeSpec;

use super::super::output::Output;
use super::super::raster::Raster;
use super::super::{ImageError, encode};
use super::changes::Region;

/// Bytes in front of the first chunk: `RIFF`, the length, `WEBP`.
const HEADER: usize = 12;

/// A chunk's name and length.
const CHUNK: usize = 8;

/// What the chunk `VP8X` holds.
const EXTENDED: usize = 10;

/// What the chunk `ANMF` holds before the frame's own chunks.
const PLACE: usize = 16;

/// Flags of `VP8X`.
const ANIMATED: u8 = 0x02;
const ALPHA: u8 = 0x10;

/// Flag of `ANMF`: what was there is replaced, invisible pixels included.
const REPLACES: u8 = 0x02;

/// An animation that is being written.
pub(super) struct Film<'a> {
    spec: &'a DerivativeSpec,
    output: Output,
    room: usize,
    /// Bytes so far.
    length: usize,
    alpha: bool,
    before: Option<Raster>,
}

impl<'a> Film<'a> {
    /// Of this size, shown once and then `repeats` times more (0: without end), in at most `room` bytes.
    pub(super) fn new(
        (width, height): (u32, u32),
        repeats: Option<u16>,
        spec: &'a DerivativeSpec,
        room: usize,
    ) -> Result<Self, ImageError> {
        // Here it is counted how often it is shown at all.
        let times = match repeats {
            None => 1,
            Some(0) => 0,
            Some(times) => times.saturating_add(1),
        };
        let mut film = Self { spec, output: Output::new(room), room, length: 0, alpha: false, before: None };
        film.write(b"RIFF\0\0\0\0WEBP")?;
        film.write(&chunk(*b"VP8X", EXTENDED))?;
        film.write(&[ANIMATED, 0, 0, 0])?;
        film.write(&[long(width - 1), long(height - 1)].concat())?;
        film.write(&chunk(*b"ANIM", 6))?;
        // On nothing.
        film.write(&[0; 4])?;
        film.write(&times.to_le_bytes())?;
        Ok(film)
    }

    /// Appends a picture in RGBA of the film's size, shown for so many hundredths of a second.
    pub(super) fn add(&mut self, frame: Raster, delay: u16) -> Result<(), ImageError> {
        let mut region = match &self.before {
            None => Region::whole(&frame),
            Some(before) => Region::of(before, &frame, is_same),
        };
        // A corner has even numbers.
        let (odd, uneven) = (region.left % 2, region.top % 2);
        region = Region {
            left: region.left - odd,
            top: region.top - uneven,
            width: region.width + odd,
            height: region.height + uneven,
        };
        let part: Vec<u8> = region.rows(&frame).flatten().flatten().copied().collect();
        let part = Raster::from_rgba(region.width, region.height, part);
        self.alpha |= part.has_alpha();
        // What stands in front of the chunks of a file is not kept.
        let room = self.room - self.length + HEADER + CHUNK + EXTENDED;
        let file = encode::encode(Cow::Borrowed(&part), Format::Webp, self.spec, room)?;
        let mut chunks = &file[HEADER..];
        if chunks.starts_with(b"VP8X") {
            chunks = &chunks[CHUNK + EXTENDED..];
        }
        let place = [region.left / 2, region.top / 2, region.width - 1, region.height - 1, u32::from(delay) * 10];
        self.write(&chunk(*b"ANMF", PLACE + chunks.len()))?;
        self.write(place.map(long).as_flattened())?;
        self.write(&[REPLACES])?;
        self.write(chunks)?;
        self.before = Some(frame);
        Ok(())
    }

    /// Writes what is known in the end, and hands out the file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, ImageError> {
        let length = self.length - CHUNK;
        self.replace(4, &(length as u32).to_le_bytes())?;
        if self.alpha {
            self.replace(HEADER + CHUNK, &[ANIMATED | ALPHA])?;
        }
        Ok(self.output.into_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.length += bytes.len();
        // An `Output` refuses nothing but what is too long.
        self.output.write_all(bytes).map_err(|_| ImageError::OutputTooLarge)
    }

    fn replace(&mut self, at: usize, bytes: &[u8]) -> Result<(), ImageError> {
        let replaced = self.output.seek(SeekFrom::Start(at as u64)).and_then(|_| self.output.write_all(bytes));
        replaced.map_err(|error| ImageError::encode(Format::Webp, error))
    }
}

/// A chunk's name and length.
fn chunk(name: [u8; 4], length: usize) -> [u8; CHUNK] {
    let [n0, n1, n2, n3] = name;
    let [l0, l1, l2, l3] = (length as u32).to_le_bytes();
    [n0, n1, n2, n3, l0, l1, l2, l3]
}

/// A number in three bytes.
fn long(number: u32) -> [u8; 3] {
    let [low, middle, high, _] = number.to_le_bytes();
    [low, middle, high]
}

/// Whether two pixels look the same.
fn is_same(one: [u8; 4], other: [u8; 4]) -> bool {
    one == other || one[3] == 0 && other[3] == 0
}
