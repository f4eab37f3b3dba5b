//! Pillow's antialiased bilinear resampling, bit for bit.
//!
//! Classifiers are trained and evaluated on pixels that Pillow resampled: weights in 22-bit fixed point, rows first,
//! rounded to 8 bits in between. A resampler of the same name and other rounding differs by one step in every seventh
//! value, which moves logits by up to 0.13. Only the window that is asked for is computed, so that a photo 65,535
//! pixels wide and one high costs no more than any other.
//!
//! Of a photo many times larger than what it becomes, whole blocks of pixels are averaged first, as Pillow's `resize` does
//! it with a `reducing_gap`: a tenth of the time, for what nobody sees.

#![expect(clippy::inline_always, reason = "what is not inlined into the call for wide registers does not use them")]

use std::ops::Range;

use super::raster::Raster;

/// Fraction bits of a weight. Pillow takes what 8 bits of sample leave of 32, less one for the sign and one to spare.
const PRECISION: u32 = 22;

/// What averaging leaves is at least so many times larger than the result: Pillow's own choice for thumbnails.
const REDUCING_GAP: f64 = 2.0;

/// Rows that are weighted at a time, side by side.
const STRIP: usize = 16;

/// Samples that are averaged at a time: what stays in a processor's registers.
const LANES: usize = 32;

/// A window of the resampled picture, as RGB rows. An alpha channel is ignored, as `convert("RGB")` does.
///
/// `size` is the size of the whole resampled picture, of which `columns` × `rows` are returned.
pub(crate) fn resample(raster: &Raster, size: (u32, u32), columns: Range<u32>, rows: Range<u32>) -> Vec<u8> {
    let across = Axis::new(raster.width(), size.0, columns);
    let down = Axis::new(raster.height(), size.1, rows);
    match raster.channels() {
        3 => window(raster.bytes().as_chunks::<3>().0, raster.width(), &across, &down),
        _ => window(raster.bytes().as_chunks::<4>().0, raster.width(), &across, &down),
    }
}

fn window<const N: usize>(pixels: &[[u8; N]], width: u32, across: &Axis, down: &Axis) -> Vec<u8> {
    pulp::Arch::new().dispatch(Window { pixels, width: width as usize, across, down })
}

/// One window, to be computed with the widest registers that the processor has.
struct Window<'a, const N: usize> {
    pixels: &'a [[u8; N]],
    width: usize,
    across: &'a Axis,
    down: &'a Axis,
}

impl<const N: usize> pulp::NullaryFnOnce for Window<'_, N> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn call(self) -> Vec<u8> {
        let Self { pixels, width, across, down } = self;
        if across.block == 1 && down.block == 1 {
            return weighted(pixels, width, (0, 0), across, down);
        }
        let (columns, rows) = (across.needed(), down.needed());
        let reduced = averaged(pixels, width, across, down);
        weighted(&reduced, columns.len(), (columns.start, rows.start), across, down)
    }
}

/// The mean of each block that is needed. Those at the right and lower edge may be smaller.
#[inline(always)]
fn averaged<const N: usize>(pixels: &[[u8; N]], width: usize, across: &Axis, down: &Axis) -> Vec<[u8; 3]> {
    let (columns, rows, block) = (across.needed(), down.needed(), across.block);
    let span = columns.start * block..(columns.end * block).min(across.source);
    let (whole, rest) = (span.len() / block * block, span.len() % block);
    let mut out = Vec::with_capacity(columns.len() * rows.len());
    let mut sums = vec![0; span.len() * N];
    let mut means = vec![0; whole * N];
    for row in rows {
        let lines = row * down.block..((row + 1) * down.block).min(down.source);
        let first = lines.start * width + span.start;
        stack(&pixels.as_flattened()[first * N..], width * N, lines.len(), &mut sums);
        slide::<N>(&sums[..whole * N], block, lines.len(), &mut means);
        out.extend(means.as_chunks::<N>().0.iter().step_by(block).map(|mean| [mean[0], mean[1], mean[2]]));
        if rest > 0 {
            let mut mean = [0; N];
            slide::<N>(&sums[whole * N..], rest, lines.len(), &mut mean);
            out.push([mean[0], mean[1], mean[2]]);
        }
    }
    out
}

/// The sums of what stands below each other in so many `lines`, each `stride` samples after the one above.
#[inline(always)]
fn stack(samples: &[u8], stride: usize, lines: usize, sums: &mut [u32]) {
    let (chunks, rest) = sums.as_chunks_mut::<LANES>();
    let done = chunks.len() * LANES;
    for (sums, at) in chunks.iter_mut().zip((0..).step_by(LANES)) {
        let mut totals = [0; LANES];
        for line in 0..lines {
            for (total, &value) in totals.iter_mut().zip(&samples[at + line * stride..][..LANES]) {
                *total += u32::from(value);
            }
        }
        *sums = totals;
    }
    for (sum, at) in rest.iter_mut().zip(done..) {
        *sum = samples[at..].iter().step_by(stride).take(lines).map(|&value| u32::from(value)).sum();
    }
}

/// The mean of the `block` pixels that begin at each one, from their sums over so many `lines`. Of all that, only the first of
/// every block is wanted; to compute it for those alone takes longer, since neighbours share no register then.
#[inline(always)]
fn slide<const N: usize>(sums: &[u32], block: usize, lines: usize, means: &mut [u8]) {
    let count = (block * lines) as u32;
    // Pillow's division, a multiplication whose factor is rounded down: at most 2³² · 255.5 / 256 comes of it.
    let reciprocal = (2.0f32.powi(32) / (count << 8) as f32) as u32;
    let wanted = (sums.len() + N).saturating_sub(block * N);
    let (chunks, rest) = means[..wanted].as_chunks_mut::<LANES>();
    let done = chunks.len() * LANES;
    for (means, at) in chunks.iter_mut().zip((0..).step_by(LANES)) {
        let mut totals = [count / 2; LANES];
        for pixel in 0..block {
            for (total, sum) in totals.iter_mut().zip(&sums[at + pixel * N..][..LANES]) {
                *total += sum;
            }
        }
        for (mean, total) in means.iter_mut().zip(totals) {
            *mean = ((total * reciprocal) >> 24) as u8;
        }
    }
    for (mean, at) in rest.iter_mut().zip(done..) {
        let total: u32 = sums[at..].iter().step_by(N).take(block).sum();
        *mean = (((total + count / 2) * reciprocal) >> 24) as u8;
    }
}

/// Of pixels that are all there but the first `origin` columns and rows, in rows of `stride`.
#[inline(always)]
fn weighted<const N: usize>(
    pixels: &[[u8; N]],
    stride: usize,
    origin: (usize, usize),
    across: &Axis,
    down: &Axis,
) -> Vec<u8> {
    let (columns, rows) = (across.needed(), down.needed());
    let wide = across.taps.len() * 3;
    let mut narrow = vec![0; rows.len() * wide];
    let mut strip = vec![[[0; 3]; STRIP]; columns.len()];
    let above = rows.start - origin.1;
    let lines = pixels[above * stride..(above + rows.len()) * stride].chunks(stride * STRIP);
    for (lines, narrow) in lines.zip(narrow.chunks_mut(wide * STRIP)) {
        for (at, line) in lines.chunks_exact(stride).enumerate() {
            for (column, pixel) in strip.iter_mut().zip(&line[columns.start - origin.0..]) {
                column[at] = [pixel[0], pixel[1], pixel[2]];
            }
        }
        for (at, tap) in across.taps.iter().enumerate() {
            let mut sums = [[1 << (PRECISION - 1); 3]; STRIP];
            for (column, weight) in strip[tap.first - columns.start..].iter().zip(&tap.weights) {
                for (sum, &value) in sums.as_flattened_mut().iter_mut().zip(column.as_flattened()) {
                    *sum += i32::from(value) * weight;
                }
            }
            let mut column = [[0; 3]; STRIP];
            for (value, &sum) in column.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                *value = to_byte(sum);
            }
            for (row, pixel) in narrow.chunks_exact_mut(wide).zip(column) {
                row[at * 3..at * 3 + 3].copy_from_slice(&pixel);
            }
        }
    }

    let mut out = Vec::with_capacity(down.taps.len() * wide);
    let mut sums = vec![0; wide];
    for tap in &down.taps {
        sums.fill(1 << (PRECISION - 1));
        for (row, weight) in narrow.chunks_exact(wide).skip(tap.first - rows.start).zip(&tap.weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        out.extend(sums.iter().copied().map(to_byte));
    }
    out
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// How the pixels of a window come from those of the photo, along one axis.
struct Axis {
    /// Pixels of the photo.
    source: usize,
    /// Of them, so many are averaged into one first.
    block: usize,
    /// One for each pixel of the window.
    taps: Vec<Tap>,
}

/// Where one pixel of the result comes from.
struct Tap {
    /// The first block that counts.
    first: usize,
    /// What each counts from there on; together about one.
    weights: Vec<i32>,
}

impl Axis {
    /// For `window`, a part of `target` pixels that are made from `source` pixels.
    fn new(source: u32, target: u32, window: Range<u32>) -> Self {
        let block = (f64::from(source) / f64::from(target) / REDUCING_GAP) as u32;
        Self::of_blocks(block.max(1), source, target, window)
    }

    fn of_blocks(block: u32, source: u32, target: u32, window: Range<u32>) -> Self {
        let (blocks, length) = (source.div_ceil(block), f64::from(source) / f64::from(block));
        let scale = length / f64::from(target);
        let filter_scale = scale.max(1.0);
        let taps = window
            .map(|at| {
                let center = (f64::from(at) + 0.5) * scale;
                // The casts cut towards zero, as C's do; the first also stops at zero.
                let first = (center - filter_scale + 0.5) as u32;
                let end = ((center + filter_scale + 0.5) as u32).min(blocks);
                let triangle = |x: u32| {
                    let distance = (f64::from(x) - center + 0.5) * (1.0 / filter_scale);
                    (1.0 - distance.abs()).max(0.0)
                };
                let raw: Vec<f64> = (first..end).map(triangle).collect();
                let total: f64 = raw.iter().sum();
                let fixed = |weight: f64| (0.5 + weight / total * f64::from(1 << PRECISION)) as i32;
                Tap { first: first as usize, weights: raw.into_iter().map(fixed).collect() }
            })
            .collect();
        Self { source: source as usize, block: block as usize, taps }
    }

    /// The blocks that count for anything.
    fn needed(&self) -> Range<usize> {
        let first = self.taps.first().map_or(0, |tap| tap.first);
        first..self.taps.last().map_or(0, |tap| tap.first + tap.weights.len())
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn a_window_is_a_part_of_the_whole() {
        let data: Vec<u8> = (0..50 * 40 * 3).map(|n| (n * 37 % 251) as u8).collect();
        let raster = Raster::new(50, 40, false, data);
        let whole = resample(&raster, (20, 16), 0..20, 0..16);
        let part = resample(&raster, (20, 16), 3..17, 5..9);
        for (row, expected) in part.chunks_exact(14 * 3).zip(whole.chunks_exact(20 * 3).skip(5)) {
            assert_eq!(row, &expected[9..51]);
        }
    }

    /// The hash is what Pillow 13 makes of the same pixels: `resize((341, 256), BILINEAR, reducing_gap=2.0)`, then the crop.
    #[test]
    fn averaging_is_done_as_pillow_does_it() {
        let value = |x: u32, y: u32, c: u32| ((x / 9 * 7 + y / 5 * 13 + c * 50) % 251) as u8;
        let data = (0..1501).flat_map(|y| (0..2003).flat_map(move |x| [0, 1, 2].map(|c| value(x, y, c)))).collect();
        let found = resample(&Raster::new(2003, 1501, false, data), (341, 256), 58..282, 16..240);
        assert_eq!(
            format!("{:x}", Sha256::digest(&found)),
            "b767fa496741faf874bb224cc75d104abe93be711d94684ce85f9034f8098ba7"
        );
    }

    #[test]
    fn averaging_first_changes_next_to_nothing() {
        // Waves of some hundred pixels.
        let wave = |x: u32, y: u32, c: u32| {
            let angle = f64::from(x) / 60.0 + f64::from(y * (c + 1)) / 90.0;
            (127.5 + 120.0 * angle.sin()) as u8
        };
        let data = (0..1500).flat_map(|y| (0..2000).flat_map(move |x| [0, 1, 2].map(|c| wave(x, y, c)))).collect();
        let raster = Raster::new(2000, 1500, false, data);
        let found = resample(&raster, (341, 256), 58..282, 16..240);
        let (across, down) = (Axis::of_blocks(1, 2000, 341, 58..282), Axis::of_blocks(1, 1500, 256, 16..240));
        let exact = window(raster.bytes().as_chunks::<3>().0, 2000, &across, &down);
        let worst = found.iter().zip(&exact).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 2, "{worst}");
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        let raster = Raster::new(7, 3, true, vec![200; 7 * 3 * 4]);
        assert!(resample(&raster, (31, 2), 0..31, 0..2).iter().all(|&v| v == 200));
    }
}
