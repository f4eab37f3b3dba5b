//! What stands before the one scan of a sequential JPEG: sizes and tables.

use std::rc::Rc;

use super::huffman::{Codes, Kind, Pairs};
use super::idct::ZIGZAG;
use super::{Marker, SOS, markers};

/// All that it takes to decode the scan.
pub(super) struct Head<'a> {
    /// Width and height in pixels, both at least 1.
    pub(super) size: (usize, usize),
    /// In the order in which an MCU has them.
    pub(super) components: Vec<Component>,
    /// MCUs between restart markers; 0 if there are none.
    pub(super) interval: usize,
    /// From the scan's first byte to the end of the file.
    pub(super) data: &'a [u8],
}

/// The brightness, or one of the colours.
pub(super) struct Component {
    /// Blocks of it in an MCU, across and down.
    pub(super) sampling: (usize, usize),
    /// By which its coefficients are multiplied.
    pub(super) factors: Rc<[i32; 64]>,
    /// Codes of the first coefficients, which are a block's mean.
    pub(super) means: Rc<Codes>,
    /// Codes of all others.
    pub(super) others: Rc<Pairs>,
}

/// Tables of codes that are read. A file needs four; each takes some microseconds to build, and a file has room for a million.
const MOST_CODES: usize = 32;

/// What has been read.
#[derive(Default)]
struct Tables {
    /// Tables of codes so far.
    codes: usize,
    factors: [Option<Rc<[i32; 64]>>; 4],
    means: [Option<Rc<Codes>>; 4],
    others: [Option<Rc<Pairs>>; 4],
}

impl<'a> Head<'a> {
    /// Reads up to the scan. None if it is no scan of all components, or there is anything that not every baseline file
    /// has.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (mut tables, mut frame, mut interval) = (Tables::default(), None, 0);
        for Marker { code, payload, rest } in markers(bytes) {
            match code {
                // Start of a sequential frame.
                0xC0 | 0xC1 if frame.is_none() => frame = Some(payload),
                // Huffman codes.
                0xC4 => tables.add_codes(payload)?,
                // Factors, which libjpeg calls quantization tables.
                0xDB => tables.add_factors(payload)?,
                // Restart interval.
                0xDD => interval = u16::from_be_bytes(payload.try_into().ok()?).into(),
                // Applications' own, and comments.
                0xE0..=0xEF | 0xFE => {}
                SOS => {
                    let [8, h1, h0, w1, w0, count, frame @ ..] = frame? else { return None };
                    let size = (u16::from_be_bytes([*w1, *w0]).into(), u16::from_be_bytes([*h1, *h0]).into());
                    let components = tables.components(*count, frame, payload)?;
                    return (size.0 > 0 && size.1 > 0).then_some(Self { size, components, interval, data: rest });
                }
                _ => return None,
            }
        }
        None
    }
}

impl Tables {
    fn add_factors(&mut self, mut payload: &[u8]) -> Option<()> {
        while let [kind, rest @ ..] = payload {
            let width = match kind >> 4 {
                0 => 1,
                1 => 2,
                _ => return None,
            };
            let (values, rest) = rest.split_at_checked(64 * width)?;
            let mut factors = [0; 64];
            for (&at, value) in ZIGZAG.iter().zip(values.chunks_exact(width)) {
                factors[usize::from(at)] = value.iter().fold(0, |value, &byte| value << 8 | i32::from(byte));
            }
            *self.factors.get_mut(usize::from(kind & 15))? = Some(Rc::new(factors));
            payload = rest;
        }
        Some(())
    }

    fn add_codes(&mut self, mut payload: &[u8]) -> Option<()> {
        while let [kind, rest @ ..] = payload {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let (symbols, rest) = rest.split_at_checked(counts.iter().map(|&count| usize::from(count)).sum())?;
            let number = usize::from(kind & 15);
            self.codes += 1;
            if self.codes > MOST_CODES {
                return None;
            }
            match kind >> 4 {
                0 => *self.means.get_mut(number)? = Some(Rc::new(Codes::new(counts, symbols, Kind::Dc)?)),
                1 => *self.others.get_mut(number)? = Some(Rc::new(Pairs::new(counts, symbols)?)),
                _ => return None,
            }
            payload = rest;
        }
        Some(())
    }

    /// The components of a frame and of its scan, if they are the same, and all coefficients come at once.
    fn components(&self, count: u8, frame: &[u8], scan: &[u8]) -> Option<Vec<Component>> {
        let [counted, scan @ .., 0, 63, 0] = scan else { return None };
        let ((frame, []), (scan, [])) = (frame.as_chunks::<3>(), scan.as_chunks::<2>()) else { return None };
        if *counted != count || frame.len() != usize::from(count) || scan.len() != frame.len() {
            return None;
        }
        let component = |(number, (&[id, sampling, factors], &[same, codes])): (usize, (&[u8; 3], &[u8; 2]))| {
            let unique = frame[..number].iter().all(|other| other[0] != id);
            (unique && same == id).then_some(())?;
            Some(Component {
                sampling: (usize::from(sampling >> 4), usize::from(sampling & 15)),
                factors: self.factors.get(usize::from(factors))?.clone()?,
                means: self.means.get(usize::from(codes >> 4))?.clone()?,
                others: self.others.get(usize::from(codes & 15))?.clone()?,
            })
        };
        frame.iter().zip(scan).enumerate().map(component).collect()
    }
}
