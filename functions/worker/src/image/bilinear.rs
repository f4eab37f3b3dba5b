//! Pillow's antialiased bilinear resampling, bit for bit.
//!
//! Classifiers are trained and evaluated on pixels that Pillow resampled: weights in 22-bit fixed point, rows first,
//! rounded to 8 bits in between. A resampler of the same name and other rounding differs by one step in every seventh
//! value, which moves logits by up to 0.13. Only the window that is asked for is computed, so that a photo 65,535
//! pixels wide and one high costs no more than any other.

use std::ops::Range;

use super::raster::Raster;

/// Fraction bits of a weight. Pillow takes what 8 bits of sample leave of 32, less one for the sign and one to spare.
const PRECISION: u32 = 22;

/// A window of the resampled picture, as RGB rows. An alpha channel is ignored, as `convert("RGB")` does.
///
/// `size` is the size of the whole resampled picture, of which `columns` × `rows` are returned.
pub(crate) fn resample(raster: &Raster, size: (u32, u32), columns: Range<u32>, rows: Range<u32>) -> Vec<u8> {
    match raster.channels() {
        3 => window(raster.bytes().as_chunks::<3>().0, raster, size, columns, rows),
        _ => window(raster.bytes().as_chunks::<4>().0, raster, size, columns, rows),
    }
}

fn window<const N: usize>(
    pixels: &[[u8; N]],
    raster: &Raster,
    (width, height): (u32, u32),
    columns: Range<u32>,
    rows: Range<u32>,
) -> Vec<u8> {
    let across = weights(raster.width(), width, columns);
    let down = weights(raster.height(), height, rows);
    let first = down.first().map_or(0, |tap| tap.first);
    let last = down.last().map_or(0, |tap| tap.first + tap.weights.len());

    let mut narrow = Vec::with_capacity((last - first) * across.len() * 3);
    for row in pixels.chunks_exact(raster.width() as usize).skip(first).take(last - first) {
        for tap in &across {
            let mut sums = [1 << (PRECISION - 1); 3];
            for (pixel, weight) in row[tap.first..].iter().zip(&tap.weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            narrow.extend(sums.map(to_byte));
        }
    }

    let stride = across.len() * 3;
    let mut out = Vec::with_capacity(down.len() * stride);
    let mut sums = vec![0; stride];
    for tap in &down {
        sums.fill(1 << (PRECISION - 1));
        for (row, weight) in narrow.chunks_exact(stride).skip(tap.first - first).zip(&tap.weights) {
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

/// Where one pixel of the result comes from, along one axis.
struct Tap {
    /// The first source pixel that counts.
    first: usize,
    /// What each counts from there on; together about one.
    weights: Vec<i32>,
}

/// One [`Tap`] for each pixel of `window`, a part of `target` pixels that are made from `source` pixels.
fn weights(source: u32, target: u32, window: Range<u32>) -> Vec<Tap> {
    let scale = f64::from(source) / f64::from(target);
    let filter_scale = scale.max(1.0);
    window
        .map(|at| {
            let center = (f64::from(at) + 0.5) * scale;
            // The casts cut towards zero, as C's do; the first also stops at zero.
            let first = (center - filter_scale + 0.5) as u32;
            let end = ((center + filter_scale + 0.5) as u32).min(source);
            let triangle = |x: u32| {
                let distance = (f64::from(x) - center + 0.5) * (1.0 / filter_scale);
                (1.0 - distance.abs()).max(0.0)
            };
            let raw: Vec<f64> = (first..end).map(triangle).collect();
            let total: f64 = raw.iter().sum();
            let fixed = |weight: f64| (0.5 + weight / total * f64::from(1 << PRECISION)) as i32;
            Tap { first: first as usize, weights: raw.into_iter().map(fixed).collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_flat_picture_stays_flat() {
        let raster = Raster::new(7, 3, true, vec![200; 7 * 3 * 4]);
        assert!(resample(&raster, (31, 2), 0..31, 0..2).iter().all(|&v| v == 200));
    }
}
