//! Huffman codes, looked up: two coefficients at once where both are short, which most are.
//!
//! What is decoded next depends on where the last code ended, so nothing here can be done side by side, and the time is
//! that of the chain from one look into a table to the next. Hence as few looks as possible, and no branch in between
//! that depends on the data.

#![expect(clippy::inline_always, reason = "what is not inlined into the call for wide registers does not use them")]

/// Bits in which one symbol is looked up; longer codes take longer. Measured: tables any larger leave the first cache.
const ONE: u32 = 11;

/// Bits in which two symbols are looked up, by the same measurement.
const TWO: u32 = 11;

/// The steps that the end of a block counts as: more than any block has left.
const END: u32 = 63;

/// Bits that the values have at most in 8-bit JPEGs: those of means, which are differences, and all others.
const MAX_DC: u32 = 11;
const MAX_AC: u32 = 10;

/// What a code stands for, as bytes from the lowest: bits of code and value together, bits of the code alone, 63 less
/// the value's bits, steps.
///
/// The lengths stand where shifts take them from, since they count in the lowest six bits only.
#[derive(Clone, Copy)]
pub(super) struct Symbol(u32);

impl Symbol {
    /// A code too long for the table, or none at all.
    const ABSENT: Self = Self(u32::MAX);

    /// A symbol, unless it means nothing in a sequential JPEG.
    fn new(symbol: u8, length: u32, kind: Kind) -> Self {
        let (run, bits) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let steps = match (kind, run, bits) {
            (Kind::Dc, 0, 0..=MAX_DC) => 1,
            (Kind::Ac, 0, 0) => END,
            (Kind::Ac, 15, 0) | (Kind::Ac, _, 1..=MAX_AC) => run + 1,
            _ => return Self::ABSENT,
        };
        Self((length + bits) | length << 8 | (63 - bits) << 16 | steps << 24)
    }

    fn is_absent(self) -> bool {
        self.0 == Self::ABSENT.0
    }

    /// Bits of code and value, in the lowest six bits.
    #[inline(always)]
    pub(super) fn length(self) -> u32 {
        self.0
    }

    /// By how many coefficients it goes on: to its own, or beyond the end.
    #[inline(always)]
    pub(super) fn steps(self) -> u32 {
        self.0 >> 24
    }

    /// The value behind the code that these bits start with. Of its bits, a first 0 makes it negative.
    #[inline(always)]
    pub(super) fn value(self, bits: u64) -> i32 {
        let rest = bits << (self.0 >> 8 & 63);
        let negative = !((rest.cast_signed()) >> 63);
        // Two shifts, since a value of no bits needs one by 64.
        let size = (rest ^ negative.cast_unsigned()) >> 1 >> (self.0 >> 16 & 63);
        (size.cast_signed() ^ negative).wrapping_sub(negative) as i32
    }
}

/// What a table is for: the mean of a block, or its other coefficients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dc,
    Ac,
}

/// A table, one symbol a time.
pub(super) struct Codes {
    kind: Kind,
    short: [Symbol; 1 << ONE],
    /// By length: the first 16 bits that are no code of it, nor of a shorter one.
    ends: [u32; 17],
    /// By length: what makes of a code the place of its symbol.
    places: [u32; 17],
    symbols: [u8; 256],
}

impl Codes {
    /// From how many codes there are of each length, and their symbols in order. None if libjpeg would refuse it.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8], kind: Kind) -> Option<Self> {
        let mut new =
            Self { kind, short: [Symbol::ABSENT; 1 << ONE], ends: [0; 17], places: [0; 17], symbols: [0; 256] };
        new.symbols.get_mut(..symbols.len())?.copy_from_slice(symbols);
        let (mut code, mut place) = (0u32, 0u32);
        for (length, &count) in (1..=16).zip(counts) {
            new.places[length as usize] = place.wrapping_sub(code);
            for _ in 0..count {
                let symbol = *symbols.get(place as usize)?;
                if kind == Kind::Dc && symbol > 15 {
                    return None;
                }
                if length <= ONE {
                    let free = ONE - length;
                    let same = new.short.get_mut((code << free) as usize..((code + 1) << free) as usize)?;
                    same.fill(Symbol::new(symbol, length, kind));
                }
                place += 1;
                code += 1;
            }
            // A code all of ones is none.
            if count > 0 && code >= 1 << length {
                return None;
            }
            new.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(new)
    }

    /// What these bits start with, if it is in the table.
    #[inline(always)]
    pub(super) fn short(&self, bits: u64) -> Option<Symbol> {
        let symbol = self.short[(bits >> (64 - ONE)) as usize];
        (!symbol.is_absent()).then_some(symbol)
    }

    /// What these bits start with, whatever its length, if it means anything.
    #[cold]
    #[inline(never)]
    pub(super) fn any(&self, bits: u64) -> Option<Symbol> {
        let bits = (bits >> 48) as u32;
        let length = (1..=16).find(|&length| bits < self.ends[length as usize])?;
        let place = (bits >> (16 - length)).wrapping_add(self.places[length as usize]);
        let symbol = Symbol::new(*self.symbols.get(place as usize)?, length, self.kind);
        (!symbol.is_absent()).then_some(symbol)
    }
}

/// Up to two symbols, from the lowest bit: six bits of length, six of steps, six of further steps, seven of each value.
/// Nothing if the first does not fit; with no further steps, the values are the same.
#[derive(Clone, Copy)]
pub(super) struct Pair(u32);

impl Pair {
    #[inline(always)]
    pub(super) fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// Bits of all, in the lowest six bits.
    #[inline(always)]
    pub(super) fn length(self) -> u32 {
        self.0
    }

    /// As [`Symbol::steps`], from one to the other.
    #[inline(always)]
    pub(super) fn steps(self) -> (u32, u32) {
        (self.0 >> 6 & 63, self.0 >> 12 & 63)
    }

    #[inline(always)]
    pub(super) fn values(self) -> (i16, i16) {
        ((((self.0 << 7).cast_signed()) >> 25) as i16, (self.0.cast_signed() >> 25) as i16)
    }
}

/// A table of coefficients, two a time.
pub(super) struct Pairs {
    pub(super) codes: Codes,
    pairs: [Pair; 1 << TWO],
}

impl Pairs {
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let codes = Codes::new(counts, symbols, Kind::Ac)?;
        // One symbol that starts these bits, is whole in them, and has a value of seven bits.
        let fitting = |bits: u32, room: u32| {
            let bits = u64::from(bits) << (64 - TWO);
            let symbol = codes.short(bits)?;
            let (length, value) = (symbol.length() & 63, symbol.value(bits));
            (length <= room && (-64..64).contains(&value)).then_some((length, symbol.steps(), value))
        };
        let mut pairs = [Pair(0); 1 << TWO];
        for (pair, bits) in pairs.iter_mut().zip(0..) {
            let Some((length, steps, value)) = fitting(bits, TWO) else { continue };
            let rest = bits << length & ((1 << TWO) - 1);
            // What has no value may end the block.
            let second = if value == 0 { None } else { fitting(rest, TWO - length) };
            let (more, further, other) = second.unwrap_or((0, 0, value));
            let values = [value, other].map(|value| value.cast_unsigned() & 127);
            *pair = Pair((length + more) | steps << 6 | further << 12 | values[0] << 18 | values[1] << 25);
        }
        Some(Self { codes, pairs })
    }

    /// What these bits start with.
    #[inline(always)]
    pub(super) fn pair(&self, bits: u64) -> Pair {
        self.pairs[(bits >> (64 - TWO)) as usize]
    }
}
