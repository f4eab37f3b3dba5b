//! The compressed bits of a scan, and the coefficients in them.
//!
//! Nothing is checked while a block is decoded that can be checked afterwards: behind the end there are zeros to read,
//! and a coefficient too many has a place where it is found.

#![expect(clippy::inline_always, reason = "what is not inlined into the call for wide registers does not use them")]

use super::huffman::{Codes, Pairs};
use super::idct::{Batch, LAST, Order};

/// Bytes that are kept ready: a power of 2, so that no place in them needs a check.
const ROOM: usize = 8192;

/// More than an MCU takes, by six blocks of 64 coefficients, 27 bits each, and by what is read ahead.
const MOST: usize = 1536;

/// Reads the bits from one marker to the next.
pub(super) struct Bits<'a> {
    /// What has not been made ready.
    input: &'a [u8],
    /// Bytes without the zeros that follow a 0xFF, and zeros behind the last.
    ready: Box<[u8; ROOM + 8]>,
    filled: usize,
    /// The marker behind the last byte, once that is ready; 0 if there is none.
    marker: Option<u8>,
    /// The next bits, from the highest.
    next: u64,
    /// How many of them count, in the lowest six bits. At least 56 after a refill; what is above six is of no meaning.
    count: u32,
    /// Where those start that do not count.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(input: &'a [u8]) -> Option<Self> {
        let ready = Box::new([0; ROOM + 8]);
        let mut new = Self { input, ready, filled: 0, marker: None, next: 0, count: 0, at: 0 };
        new.start()?;
        Some(new)
    }

    /// Goes on behind the marker.
    fn start(&mut self) -> Option<()> {
        (self.filled, self.marker, self.next, self.count, self.at) = (0, None, 0, 0, 0);
        self.prepare()?;
        self.refill();
        Some(())
    }

    /// Makes ready what an MCU may take. None if the last took more than there was.
    #[inline(always)]
    pub(super) fn prepare(&mut self) -> Option<()> {
        if self.at + MOST <= self.filled { Some(()) } else { self.fill() }
    }

    #[cold]
    #[inline(never)]
    fn fill(&mut self) -> Option<()> {
        if self.marker.is_some() {
            return (self.at <= self.filled + 8).then_some(());
        }
        self.ready.copy_within(self.at..self.filled, 0);
        let (mut filled, mut input) = (self.filled - self.at, self.input);
        while filled < ROOM - MOST - 16 {
            if let Some((chunk, rest)) = input.split_first_chunk::<8>() {
                self.ready[filled..filled + 8].copy_from_slice(chunk);
                let bytes = u64::from_le_bytes(*chunk);
                // The highest bit of each byte that is a 0xFF, or at least of the first.
                let full = !bytes.wrapping_add(0x0101_0101_0101_0101) & bytes & 0x8080_8080_8080_8080;
                if full == 0 {
                    filled += 8;
                    input = rest;
                    continue;
                }
                let plain = full.trailing_zeros() as usize / 8;
                filled += plain;
                input = &input[plain..];
            }
            match input {
                [0xFF, 0, rest @ ..] => {
                    self.ready[filled] = 0xFF;
                    filled += 1;
                    input = rest;
                }
                [0xFF, marker, rest @ ..] => {
                    self.marker = Some(*marker);
                    input = rest;
                    break;
                }
                [0xFF] | [] => {
                    self.marker = Some(0);
                    break;
                }
                [byte, rest @ ..] => {
                    self.ready[filled] = *byte;
                    filled += 1;
                    input = rest;
                }
            }
        }
        if self.marker.is_some() {
            self.ready[filled..filled + MOST].fill(0);
        }
        (self.filled, self.input, self.at) = (filled, input, 0);
        Some(())
    }

    /// The marker, if exactly the bits in front of it were used, but for what fills the last byte.
    pub(super) fn end(&mut self) -> Option<u8> {
        self.prepare()?;
        // Bits that were loaded before the last bytes were made ready are not the end's.
        let used = (self.at * 8).checked_sub((self.count & 63) as usize)?;
        if used.div_ceil(8) == self.filled { self.marker } else { None }
    }

    /// Goes on behind a restart marker.
    pub(super) fn restart(&mut self, number: u8) -> Option<()> {
        if self.end()? == 0xD0 + number { self.start() } else { None }
    }

    /// Loads whole bytes, without a branch: some of the bits above may be the same again.
    #[inline(always)]
    fn refill(&mut self) {
        let at = self.at & (ROOM - 1);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.ready[at..at + 8]);
        self.next |= u64::from_be_bytes(bytes) >> (self.count & 63);
        self.at += (!self.count & 63) as usize / 8;
        self.count |= 0b11_1000;
    }

    #[inline(always)]
    fn skip(&mut self, length: u32) {
        self.next <<= length & 63;
        self.count = self.count.wrapping_sub(length);
    }

    /// A symbol: its value and its steps.
    #[inline(always)]
    pub(super) fn symbol(&mut self, codes: &Codes) -> Option<(i32, u32)> {
        let symbol = codes.short(self.next);
        self.refill();
        let symbol = match symbol {
            Some(symbol) => symbol,
            None => codes.any(self.next)?,
        };
        let value = symbol.value(self.next);
        self.skip(symbol.length());
        Some((value, symbol.steps()))
    }

    /// All coefficients of a block but the first.
    #[inline(always)]
    pub(super) fn coefficients(&mut self, table: &Pairs, order: &Order, batch: &mut Batch, lane: usize) -> Option<()> {
        let mut number = 0;
        while number < LAST {
            let pair = table.pair(self.next);
            // In time for the values, and no part of the chain from pair to pair.
            self.refill();
            let (steps, further) = pair.steps();
            let middle = number + steps;
            // The second of a pair is no part of the block if the first completes it. Whether there is a second is not
            // asked: a branch on that, as likely as not, would cost more than all the rest.
            if pair.is_nothing() || middle == LAST {
                let (value, steps) = self.symbol(&table.codes)?;
                number += steps;
                order.put(batch, number, lane, value as i16);
                continue;
            }
            number = middle + further;
            self.skip(pair.length());
            let (first, second) = pair.values();
            // In this order, so that what is beyond the block is not overwritten by an end there.
            order.put(batch, number, lane, second);
            order.put(batch, middle, lane, first);
        }
        Some(())
    }
}
