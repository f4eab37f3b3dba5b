//! Coefficients to samples: libjpeg's inverse transforms, accurate to the last bit, of eight blocks side by side.
//!
//! Those of whole and of halved size are from Loeffler, Ligtenberg and Moschytz (1989), in fixed point: columns first,
//! with two bits more than the result, then rows. libjpeg has them in C and for several processors' registers of 16
//! bits, and all agree as long as no intermediate value is beyond what a picture leads to. Where one is, nothing is
//! returned.

#![expect(clippy::inline_always, reason = "what is not inlined into the call for wide registers does not use them")]

use std::num::Wrapping;

/// Blocks side by side.
pub(super) const LANES: usize = 8;

/// Number of the last coefficient.
pub(super) const LAST: u32 = 63;

/// The rows of a [`Batch`] that are no coefficients: for those that are not needed, and for those that a block does not
/// have.
const UNUSED: u8 = 64;
const BEYOND: u8 = 65;

/// So many blocks, coefficient by coefficient, row by row.
pub(super) type Batch = [[i16; LANES]; 66];

/// A batch of blocks without any coefficient.
pub(super) const EMPTY: Batch = [[0; LANES]; 66];

/// Rounded fractions have so many bits.
const FRACTION: usize = 13;

/// What a coefficient and an intermediate value may be. Two of them add up to 16 bits.
const MAX_WORD: i32 = 1 << 14;

/// What a sample may be before it is clamped, with zero as the middle. Beyond, libjpeg's table wraps.
const MAX_SAMPLE: i32 = 512;

type Value = Wrapping<i32>;

/// Place of each coefficient, in the order of the file.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Where coefficients go, by their number in the file, for blocks that become so many samples wide.
pub(super) struct Order([u8; 256]);

impl Order {
    pub(super) fn new(side: usize) -> Self {
        let mut order = [BEYOND; 256];
        for (place, at) in order.iter_mut().zip(ZIGZAG) {
            let needed = needed(side, usize::from(at / 8)) && needed(side, usize::from(at % 8));
            *place = if needed { at } else { UNUSED };
        }
        Self(order)
    }

    #[inline(always)]
    pub(super) fn put(&self, batch: &mut Batch, number: u32, lane: usize, value: i16) {
        batch[usize::from(self.0[number as usize & 255])][lane] = value;
    }
}

/// Whether a frequency counts for anything at this size.
#[inline(always)]
const fn needed(side: usize, frequency: usize) -> bool {
    match side {
        8 => true,
        4 => frequency != 4,
        2 => frequency == 0 || frequency % 2 == 1,
        _ => frequency == 0,
    }
}

/// The samples of the blocks, row by row, with `S` for each block in a row.
pub(super) type Samples<const S: usize> = [[[u8; S]; LANES]; S];

/// Transforms a batch, with the factors of its coefficients. None if a value is out of bounds, or a coefficient.
#[inline(always)]
pub(super) fn transform<const S: usize>(batch: &Batch, factors: &[i32; 64]) -> Option<Samples<S>> {
    if batch[usize::from(BEYOND)] != [0; LANES] {
        return None;
    }
    // Colours and smooth places seldom have high frequencies.
    if S >= 4 && is_sparse(batch) { part::<S, 4>(batch, factors) } else { part::<S, 8>(batch, factors) }
}

/// Whether only the lower half of frequencies is there, across and down.
#[inline(always)]
fn is_sparse(batch: &Batch) -> bool {
    let mut any = [0; LANES];
    for at in (0..64).filter(|at| at / 8 >= 4 || at % 8 >= 4) {
        for (any, value) in any.iter_mut().zip(&batch[at]) {
            *any |= value;
        }
    }
    any == [0; LANES]
}

/// Transforms the lower `N` frequencies. Every loop over lanes is one over registers.
#[inline(always)]
fn part<const S: usize, const N: usize>(batch: &Batch, factors: &[i32; 64]) -> Option<Samples<S>> {
    let mut beyond = [0; LANES];
    let mut columns = [[[0; LANES]; 8]; S];
    for x in (0..N).filter(|&x| needed(S, x)) {
        for lane in 0..LANES {
            let (mut column, mut out) = ([Wrapping(0); 8], beyond[lane]);
            for y in 0..N {
                if needed(S, y) {
                    column[y] = Wrapping(batch[y * 8 + x][lane].into()) * Wrapping(factors[y * 8 + x]);
                    out |= outside(column[y], MAX_WORD);
                }
            }
            let column = line::<S>(column, FRACTION - 2);
            for y in 0..S {
                columns[y][x][lane] = column[y].0;
                out |= outside(column[y], MAX_WORD);
            }
            beyond[lane] = out;
        }
    }
    let mut samples = [[[0; S]; LANES]; S];
    for (samples, columns) in samples.iter_mut().zip(&columns) {
        let (mut low, mut high) = ([0; LANES], [0; LANES]);
        for lane in 0..LANES {
            let (mut row, mut out) = ([Wrapping(0); 8], beyond[lane]);
            for x in 0..N {
                if needed(S, x) {
                    row[x].0 = columns[x][lane];
                }
            }
            let row = line::<S>(row, FRACTION + 5);
            let mut bytes = [0; 8];
            for x in 0..S {
                bytes[x] = (row[x].0.clamp(-128, 127) + 128).cast_unsigned();
                out |= outside(row[x], MAX_SAMPLE);
            }
            beyond[lane] = out;
            // In one register, bytes come into their order without being moved from lane to lane.
            low[lane] = bytes[0] | bytes[1] << 8 | bytes[2] << 16 | bytes[3] << 24;
            high[lane] = bytes[4] | bytes[5] << 8 | bytes[6] << 16 | bytes[7] << 24;
        }
        for ((samples, low), high) in samples.iter_mut().zip(low).zip(high) {
            let bytes = (u64::from(low) | u64::from(high) << 32).to_le_bytes();
            samples.copy_from_slice(&bytes[..S]);
        }
    }
    (beyond == [0; LANES]).then_some(samples)
}

/// Not zero if the value is less than `-limit`, or `limit` and more; `limit` is a power of 2.
#[inline(always)]
fn outside(value: Value, limit: i32) -> i32 {
    value.0.wrapping_add(limit) & !(2 * limit - 1)
}

/// One row or column: `S` values, and zeros. The result is divided by 2 to the `shift`, and by how much fewer there
/// are.
#[inline(always)]
fn line<const S: usize>(values: [Value; 8], shift: usize) -> [Value; 8] {
    match S {
        8 => eight(values, shift),
        4 => four(values, shift + 1),
        2 => two(values, shift + 2),
        // Alone here, the sum over both directions is rounded once.
        _ => one(values, shift),
    }
}

#[inline(always)]
fn eight(x: [Value; 8], shift: usize) -> [Value; 8] {
    let half = Wrapping(1 << (shift - 1));
    let z = (x[2] + x[6]) * Wrapping(4433);
    let (e2, e3) = (z - x[6] * Wrapping(15137), z + x[2] * Wrapping(6270));
    let (e0, e1) = (((x[0] + x[4]) << FRACTION) + half, ((x[0] - x[4]) << FRACTION) + half);
    let (s0, s1, s2, s3) = (e0 + e3, e1 + e2, e1 - e2, e0 - e3);

    let z5 = (x[7] + x[3] + x[5] + x[1]) * Wrapping(9633);
    let (z1, z2) = ((x[7] + x[1]) * Wrapping(-7373), (x[5] + x[3]) * Wrapping(-20995));
    let (z3, z4) = ((x[7] + x[3]) * Wrapping(-16069) + z5, (x[5] + x[1]) * Wrapping(-3196) + z5);
    let o0 = x[7] * Wrapping(2446) + z1 + z3;
    let o1 = x[5] * Wrapping(16819) + z2 + z4;
    let o2 = x[3] * Wrapping(25172) + z2 + z3;
    let o3 = x[1] * Wrapping(12299) + z1 + z4;
    [s0 + o3, s1 + o2, s2 + o1, s3 + o0, s3 - o0, s2 - o1, s1 - o2, s0 - o3].map(|sum| sum >> shift)
}

#[inline(always)]
fn four(x: [Value; 8], shift: usize) -> [Value; 8] {
    let zero = Wrapping(0);
    let e0 = (x[0] << (FRACTION + 1)) + Wrapping(1 << (shift - 1));
    let e2 = x[2] * Wrapping(15137) - x[6] * Wrapping(6270);
    let o0 = x[7] * Wrapping(-1730) + x[5] * Wrapping(11893) + x[3] * Wrapping(-17799) + x[1] * Wrapping(8697);
    let o2 = x[7] * Wrapping(-4176) + x[5] * Wrapping(-4926) + x[3] * Wrapping(7373) + x[1] * Wrapping(20995);
    let (s0, s2) = (e0 + e2, e0 - e2);
    [s0 + o2, s2 + o0, s2 - o0, s0 - o2, zero, zero, zero, zero].map(|sum| sum >> shift)
}

#[inline(always)]
fn two(x: [Value; 8], shift: usize) -> [Value; 8] {
    let zero = Wrapping(0);
    let even = (x[0] << (FRACTION + 2)) + Wrapping(1 << (shift - 1));
    let odd = x[7] * Wrapping(-5906) + x[5] * Wrapping(6967) + x[3] * Wrapping(-10426) + x[1] * Wrapping(29692);
    [even + odd, even - odd, zero, zero, zero, zero, zero, zero].map(|sum| sum >> shift)
}

#[inline(always)]
fn one(x: [Value; 8], shift: usize) -> [Value; 8] {
    let mut only = [Wrapping(0); 8];
    only[0] = ((x[0] << FRACTION) + Wrapping(1 << (shift - 1))) >> shift;
    only
}
