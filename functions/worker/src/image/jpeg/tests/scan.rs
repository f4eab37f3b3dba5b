//! JPEGs of any coefficients, as no encoder writes them.

use std::iter::repeat_n;

use super::*;

/// Blocks of each component in an MCU, across and down, for 4:2:0, for 4:4:4, and for grey.
pub(super) const SAMPLINGS: [&[u8]; 3] = [&[0x22, 0x11, 0x11], &[0x11; 3], &[0x11]];

/// A picture by its coefficients.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    pub(super) size: (u16, u16),
    pub(super) sampling: &'static [u8],
    /// MCUs between restart markers.
    pub(super) interval: u16,
    /// Bits of the largest coefficients, up to 10.
    pub(super) most: u32,
    /// Of 256 coefficients, so many are not 0.
    pub(super) density: u8,
    /// What all are multiplied by.
    pub(super) factor: u16,
    pub(super) seed: u64,
}

impl Default for Blocks {
    fn default() -> Self {
        Self { size: (150, 70), sampling: SAMPLINGS[0], interval: 0, most: 10, density: 40, factor: 1, seed: 7 }
    }
}

impl Arbitrary for Blocks {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        let sampling = prop::sample::select(&SAMPLINGS[..]);
        let factor = prop_oneof![3 => 1..4u16, 2 => 4..256u16, 1 => any::<u16>()];
        let interval = prop_oneof![Just(0u16), 1..9u16];
        (((1..150u16), (1..70u16)), sampling, interval, 1..=10u32, any::<u8>(), factor, any::<u64>())
            .prop_map(|(size, sampling, interval, most, density, factor, seed)| {
                // Where they are large, few of them make a picture that fits.
                let density = density >> (most / 2);
                Self { size, sampling, interval, most, density, factor, seed }
            })
            .boxed()
    }
}

/// How many codes there are of each length: short ones, long ones, and the rest as long as can be.
const COUNTS: [u8; 16] = [0, 1, 1, 1, 1, 1, 1, 1, 0, 60, 0, 60, 0, 0, 0, 35];

/// Writes the picture as a file.
pub(super) fn written(blocks: &Blocks) -> Vec<u8> {
    let Blocks { size: (width, height), sampling, interval, most, density, factor, seed } = *blocks;
    let mut random = random(seed);
    let mut symbols: Vec<u8> =
        (0..=255).filter(|symbol| matches!(symbol & 15, 1..=10) || matches!(symbol, 0 | 0xF0)).collect();
    // Which are short is a matter of chance.
    for at in (1..symbols.len()).rev() {
        symbols.swap(at, random() as usize % (at + 1));
    }
    let means: Vec<u8> = (0..=11).collect();
    let counts = |count: u8| [[0; 4].as_slice(), &[count], &[0; 11]].concat();
    let parts = sampling.len() as u8;

    let mut file = vec![0xFF, 0xD8];
    let mut segment = |code: u8, parts: &[&[u8]]| {
        let payload = parts.concat();
        file.extend([0xFF, code]);
        file.extend((payload.len() as u16 + 2).to_be_bytes());
        file.extend(payload);
    };
    segment(0xDB, &[&[0x10], &factor.to_be_bytes().repeat(64)]);
    segment(0xC4, &[&[0], &counts(12), &means, &[0x10], &COUNTS, &symbols]);
    segment(0xDD, &[&interval.to_be_bytes()]);
    let components: Vec<u8> = sampling.iter().zip(1..).flat_map(|(&sampling, id)| [id, sampling, 0]).collect();
    segment(0xC1, &[&[8], &height.to_be_bytes(), &width.to_be_bytes(), &[parts], &components]);
    let components: Vec<u8> = (1..=parts).flat_map(|id| [id, 0]).collect();
    segment(0xDA, &[&[parts], &components, &[0, 63, 0]]);

    let side = 8 * u16::from(sampling[0] >> 4);
    let units = width.div_ceil(side) * height.div_ceil(side);
    let mut bits = Bits { file, held: 0, count: 0 };
    let mut last = [0; 3];
    for unit in 0..units {
        if interval > 0 && unit > 0 && unit % interval == 0 {
            bits.end(0xD0 + (unit / interval - 1) as u8 % 8);
            last = [0; 3];
        }
        for (&sampling, last) in sampling.iter().zip(&mut last) {
            for _ in 0..(sampling >> 4) * (sampling & 15) {
                let mut value = |density: u8| {
                    let bits = random() as u32 % (most + 1);
                    let value = (random() as i32 & ((1 << bits) - 1)) * if random() & 1 == 0 { 1 } else { -1 };
                    if random() as u8 <= density { value } else { 0 }
                };
                let mean = value(255);
                bits.value(mean - *last, |size| (size, 5));
                *last = mean;
                let mut run = 0;
                for at in 1..64 {
                    let coefficient = value(density);
                    if coefficient == 0 {
                        run += 1;
                        continue;
                    }
                    for _ in 0..run / 16 {
                        bits.put(code(&symbols, 0xF0));
                    }
                    bits.value(coefficient, |size| code(&symbols, ((run % 16) << 4) | size as u8));
                    run = if at == 63 { u8::MAX } else { 0 };
                }
                if run != u8::MAX {
                    bits.put(code(&symbols, 0));
                }
            }
        }
    }
    bits.end(0xD9);
    bits.file
}

/// Code and length of a symbol.
fn code(symbols: &[u8], symbol: u8) -> (u32, u32) {
    let place = symbols.iter().position(|&other| other == symbol).unwrap();
    let lengths: Vec<u32> =
        COUNTS.iter().zip(1..).flat_map(|(&count, length)| repeat_n(length, count.into())).collect();
    let before: u32 = lengths[..place].iter().map(|length| 1 << (16 - length)).sum();
    (before >> (16 - lengths[place]), lengths[place])
}

fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

/// Writes bits.
struct Bits {
    file: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, (bits, length): (u32, u32)) {
        for at in (0..length).rev() {
            self.held = self.held << 1 | (bits >> at & 1);
            self.count += 1;
            if self.count == 8 {
                let byte = self.held as u8;
                self.file.push(byte);
                if byte == 0xFF {
                    self.file.push(0);
                }
                self.count = 0;
            }
        }
    }

    /// A value behind the code of its size.
    fn value(&mut self, value: i32, code: impl Fn(u32) -> (u32, u32)) {
        let size = i32::BITS - value.unsigned_abs().leading_zeros();
        self.put(code(size));
        let bits = if value < 0 { value - 1 } else { value };
        self.put((bits.cast_unsigned() & ((1 << size) - 1), size));
    }

    fn end(&mut self, marker: u8) {
        while self.count > 0 {
            self.put((1, 1));
        }
        self.file.extend([0xFF, marker]);
    }
}
