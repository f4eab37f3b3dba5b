//! The JPEGs that cameras write, decoded in less time than libjpeg takes, to the same pixels.
//!
//! That is: 8 bits, Huffman codes, one scan in sequential order, and no colours to be enlarged, because they are as
//! fine as the brightness, or half as fine and decoded at a smaller scale. Whatever else a file may be, and whatever is
//! irregular about it, is left to libjpeg from the start: what becomes of damaged files is for one decoder to say.
//!
//! Most of the time goes to the codes (`bits`, `huffman`), whose chain is half as long here as in libjpeg. A few MCUs
//! are decoded at a time, so that their blocks can be transformed side by side (`idct`) while they are in the first
//! cache.

#![expect(clippy::inline_always, reason = "what is not inlined into the call for wide registers does not use them")]

use mozjpeg::ColorSpace;

use super::bits::Bits;
use super::head::{Component, Head};
use super::idct::{Batch, EMPTY, LANES, Order, Samples, transform};
use super::spare;

/// What the mean of a block may be: as far from the middle as 8-bit samples take it, and as far again.
const MEANS: std::ops::Range<i32> = -2048..2048;

/// Pixels of a row that are converted at a time.
const CHUNK: usize = 32;

/// Decodes to RGB, with blocks of 8 × 8 samples becoming `side` × `side`. None of anything out of the ordinary.
///
/// The colour space is what libjpeg takes the file's to be.
pub(super) fn decode(bytes: &[u8], side: u8, colors: ColorSpace) -> Option<Vec<u8>> {
    let head = Head::read(bytes)?;
    let picture = Picture::new(&head, side.into(), colors)?;
    pulp::Arch::new().dispatch(picture)
}

/// What is to be decoded.
struct Picture<'a> {
    head: &'a Head<'a>,
    /// Width and height, decoded.
    size: (usize, usize),
    /// MCUs across and down.
    units: (usize, usize),
    /// Side of an MCU, decoded.
    side: usize,
    planes: Vec<Plane<'a>>,
}

/// A component while it is decoded.
struct Plane<'a> {
    component: &'a Component,
    /// Side of a block, decoded.
    side: usize,
    order: Order,
    /// Mean of the last block.
    mean: i32,
    /// The blocks of as many MCUs as there are lanes, as many batches as an MCU has blocks: from row to row of them,
    /// and within a row in the order in which they stand side by side.
    batches: Vec<Batch>,
    /// The samples of a row of MCUs.
    samples: Vec<u8>,
}

impl<'a> Picture<'a> {
    fn new(head: &'a Head<'a>, scaled: usize, colors: ColorSpace) -> Option<Self> {
        let sampling: Vec<_> = head.components.iter().map(|component| component.sampling).collect();
        // Components are decoded to the same size, whatever they have been reduced to: at 4:2:0, colours at twice the
        // scale.
        let blocks = match (colors, &sampling[..]) {
            (ColorSpace::JCS_GRAYSCALE, [(1, 1)]) | (ColorSpace::JCS_YCbCr, [(1, 1), (1, 1), (1, 1)]) => 1,
            (ColorSpace::JCS_YCbCr, [(2, 2), (1, 1), (1, 1)]) if scaled < 8 => 2,
            _ => return None,
        };
        let (width, height) = head.size;
        let units = (width.div_ceil(8 * blocks), height.div_ceil(8 * blocks));
        let size = ((width * scaled).div_ceil(8), (height * scaled).div_ceil(8));
        let unit = scaled * blocks;
        let stride = (units.0.next_multiple_of(LANES) * unit).next_multiple_of(CHUNK);
        let plane = |component: &'a Component| {
            let (across, down) = component.sampling;
            Plane {
                component,
                side: unit / across,
                order: Order::new(unit / across),
                mean: 0,
                batches: vec![EMPTY; across * down],
                samples: vec![0; stride * unit],
            }
        };
        Some(Self { head, size, units, side: unit, planes: head.components.iter().map(plane).collect() })
    }
}

impl pulp::NullaryFnOnce for Picture<'_> {
    type Output = Option<Vec<u8>>;

    #[inline(always)]
    fn call(self) -> Option<Vec<u8>> {
        let Self { head, size, units, side, mut planes } = self;
        let mut bits = Bits::new(head.data)?;
        let mut restarts = Restarts { interval: head.interval, left: head.interval, next: 0 };
        let mut pixels = spare::room(size.0 * size.1 * 3);
        for row in 0..units.1 {
            for first in (0..units.0).step_by(LANES) {
                for plane in &mut planes {
                    plane.batches.fill(EMPTY);
                }
                for lane in 0..LANES.min(units.0 - first) {
                    restarts.step(&mut bits, &mut planes)?;
                    bits.prepare()?;
                    for plane in &mut planes {
                        plane.read(&mut bits, lane)?;
                    }
                }
                for plane in &mut planes {
                    plane.transform(first)?;
                }
            }
            for y in 0..side.min(size.1 - row * side) {
                append(&planes, y, side, size.0, &mut pixels);
            }
        }
        (bits.end()? == super::EOI).then_some(pixels)
    }
}

/// Counts the MCUs between restart markers.
struct Restarts {
    /// None if 0.
    interval: usize,
    left: usize,
    next: u8,
}

impl Restarts {
    /// Passes the marker in front of an MCU, if one is due.
    #[inline(always)]
    fn step(&mut self, bits: &mut Bits<'_>, planes: &mut [Plane<'_>]) -> Option<()> {
        if self.interval == 0 {
            return Some(());
        }
        if self.left == 0 {
            bits.restart(self.next)?;
            self.next = (self.next + 1) % 8;
            self.left = self.interval;
            for plane in planes {
                plane.mean = 0;
            }
        }
        self.left -= 1;
        Some(())
    }
}

impl Plane<'_> {
    /// Reads the blocks of one MCU.
    #[inline(always)]
    fn read(&mut self, bits: &mut Bits<'_>, lane: usize) -> Option<()> {
        let (across, down) = self.component.sampling;
        for y in 0..down {
            for x in 0..across {
                // Side by side is what stands in a row.
                let place = lane * across + x;
                let batch = &mut self.batches[y * across + place / LANES];
                let lane = place % LANES;
                self.mean += bits.symbol(&self.component.means)?.0;
                if !MEANS.contains(&self.mean) {
                    return None;
                }
                batch[0][lane] = self.mean as i16;
                bits.coefficients(&self.component.others, &self.order, batch, lane)?;
            }
        }
        Some(())
    }

    /// Transforms the batches, which start at this MCU of the row.
    #[inline(always)]
    fn transform(&mut self, unit: usize) -> Option<()> {
        match self.side {
            8 => self.transform_to::<8>(unit),
            4 => self.transform_to::<4>(unit),
            2 => self.transform_to::<2>(unit),
            _ => self.transform_to::<1>(unit),
        }
    }

    #[inline(always)]
    fn transform_to<const S: usize>(&mut self, unit: usize) -> Option<()> {
        let (across, down) = self.component.sampling;
        let stride = self.samples.len() / (down * S);
        let rows = self.samples.chunks_exact_mut(stride * S);
        for (batches, rows) in self.batches.chunks_exact(across).zip(rows) {
            for (batch, place) in batches.iter().zip(0..) {
                let samples: Samples<S> = transform(batch, &self.component.factors)?;
                let start = (unit * across + place * LANES) * S;
                for (row, samples) in rows.chunks_exact_mut(stride).zip(&samples) {
                    row[start..start + LANES * S].copy_from_slice(samples.as_flattened());
                }
            }
        }
        Some(())
    }
}

/// Appends one of the rows that were decoded last.
#[inline(always)]
fn append(planes: &[Plane<'_>], y: usize, side: usize, width: usize, pixels: &mut Vec<u8>) {
    let row = |plane: usize| {
        let samples = &planes[plane].samples;
        let stride = samples.len() / side;
        samples[y * stride..(y + 1) * stride].as_chunks::<CHUNK>().0
    };
    let mut left = width;
    for at in 0..width.div_ceil(CHUNK) {
        let chunk = match planes {
            [_, _, _] => rgb(&row(0)[at], &row(1)[at], &row(2)[at]),
            _ => rgb(&row(0)[at], &[128; CHUNK], &[128; CHUNK]),
        };
        if let Some(rest) = left.checked_sub(CHUNK) {
            pixels.extend_from_slice(chunk.as_flattened());
            left = rest;
        } else {
            pixels.extend_from_slice(chunk[..left].as_flattened());
        }
    }
}

/// By JFIF's equations, in libjpeg's fixed point.
#[inline(always)]
fn rgb(luma: &[u8; CHUNK], blue: &[u8; CHUNK], red: &[u8; CHUNK]) -> [[u8; 3]; CHUNK] {
    const HALF: i32 = 1 << 15;
    let (mut r, mut g, mut b) = ([0; CHUNK], [0; CHUNK], [0; CHUNK]);
    for at in 0..CHUNK {
        let (y, cb, cr) = (i32::from(luma[at]), i32::from(blue[at]) - 128, i32::from(red[at]) - 128);
        r[at] = (y + ((cr * 91_881 + HALF) >> 16)).clamp(0, 255) as u8;
        g[at] = (y + ((cb * -22_554 + cr * -46_802 + HALF) >> 16)).clamp(0, 255) as u8;
        b[at] = (y + ((cb * 116_130 + HALF) >> 16)).clamp(0, 255) as u8;
    }
    // Apart, since of a loop that does both the compiler stores single bytes.
    let mut pixels = [[0; 3]; CHUNK];
    for at in 0..CHUNK {
        pixels[at] = [r[at], g[at], b[at]];
    }
    pixels
}
