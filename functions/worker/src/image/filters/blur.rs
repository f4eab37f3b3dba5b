//! A Gaussian blur of any radius at the cost of a small one: three box filters in a row, whose edges count in part, so that
//! every standard deviation is met exactly.
//!
//! After Gwosdek, Grewenig, Bruhn and Weickert, "Theoretical foundations of Gaussian convolution by extended box filtering"
//! (2011). What lies beyond the picture's edge is taken to be as its edge.

use super::super::raster::Raster;

/// Box filters in a row: three come within some percent of the bell curve.
const BOXES: u32 = 3;

/// Bytes of a row that are filtered downwards at once.
const STRIP: usize = 64;

/// Fraction bits of a weight. A sum of 255s, which weigh one together, and a half fit 32 bits.
const PRECISION: u32 = 24;

/// Bytes that a blur takes besides the picture: what stands in two lines or strips, before and after.
pub(super) fn memory((width, height): (u32, u32)) -> u64 {
    (u64::from(width) * 4 * 2).max(u64::from(height) * STRIP as u64 * 2)
}

/// Blurs by `sigma` pixels. Colours are weighted by their alpha, or invisible ones would show.
pub(super) fn blur(raster: &mut Raster, sigma: f64) {
    let Some(extended) = ExtendedBox::new(sigma) else { return };
    if raster.has_alpha() {
        raster.bytes_mut().as_chunks_mut::<4>().0.iter_mut().for_each(premultiply);
        across::<4>(raster, &extended);
    } else {
        across::<3>(raster, &extended);
    }
    down(raster, &extended);
    if raster.has_alpha() {
        raster.bytes_mut().as_chunks_mut::<4>().0.iter_mut().for_each(divide);
    }
}

fn premultiply([colors @ .., alpha]: &mut [u8; 4]) {
    for color in colors {
        *color = ((u32::from(*color) * u32::from(*alpha) + 127) / 255) as u8;
    }
}

fn divide([colors @ .., alpha]: &mut [u8; 4]) {
    let alpha = u32::from(*alpha);
    for color in colors {
        *color = ((u32::from(*color) * 255 + alpha / 2).checked_div(alpha).unwrap_or(0)).min(255) as u8;
    }
}

/// A box filter over an odd number of pixels, and a part of one more at either end.
struct ExtendedBox {
    radius: usize,
    /// What each pixel within the radius counts.
    inner: u32,
    /// What the two beyond it count.
    edge: u32,
}

impl ExtendedBox {
    /// The one that, applied [`BOXES`] times, spreads by `sigma`; none for what would change nothing.
    fn new(sigma: f64) -> Option<Self> {
        let variance = sigma * sigma / f64::from(BOXES);
        let radius = ((12.0 * variance + 1.0).sqrt() / 2.0 - 0.5).floor();
        let next = radius + 1.0;
        let part = (2.0 * radius + 1.0) * (radius * next - 3.0 * variance) / (6.0 * (variance - next * next));
        let one = f64::from(1 << PRECISION);
        let whole = 2.0 * radius + 1.0 + 2.0 * part;
        let extended = Self { radius: radius as usize, inner: (one / whole) as u32, edge: (one * part / whole) as u32 };
        (extended.inner < 1 << PRECISION).then_some(extended)
    }

    /// Filters a line of `N` bytes side by side, each for itself.
    fn apply<const N: usize>(&self, source: &[[u8; N]], target: &mut [[u8; N]]) {
        let last = source.len() - 1;
        let (first, end) = (source[0], source[last]);
        let mut sums: [u32; N] = std::array::from_fn(|lane| u32::from(first[lane]) * (self.radius as u32 + 1));
        for at in 1..=self.radius {
            add(&mut sums, &source[at.min(last)]);
        }
        for (at, target) in target.iter_mut().enumerate() {
            let before = at.checked_sub(self.radius + 1).map_or(&first, |at| &source[at]);
            let after = source.get(at + self.radius + 1).unwrap_or(&end);
            for lane in 0..N {
                let edges = u32::from(before[lane]) + u32::from(after[lane]);
                let sum = sums[lane] * self.inner + edges * self.edge + (1 << (PRECISION - 1));
                target[lane] = (sum >> PRECISION) as u8;
            }
            // What the next window has more, and what it has no longer.
            let leaves = at.checked_sub(self.radius).map_or(&first, |at| &source[at]);
            for lane in 0..N {
                sums[lane] = sums[lane] + u32::from(after[lane]) - u32::from(leaves[lane]);
            }
        }
    }

    /// Filters a line as often as it takes; the result stands in `line`.
    fn spread<const N: usize>(&self, line: &mut [[u8; N]], other: &mut [[u8; N]]) {
        let (mut from, mut to) = (line, other);
        for _ in 0..BOXES {
            self.apply(from, to);
            std::mem::swap(&mut from, &mut to);
        }
        // An odd number of times, so it stands in the other.
        to.copy_from_slice(from);
    }
}

fn add<const N: usize>(sums: &mut [u32; N], values: &[u8; N]) {
    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += u32::from(value));
}

fn across<const N: usize>(raster: &mut Raster, extended: &ExtendedBox) {
    let width = raster.width() as usize;
    let mut other = vec![[0; N]; width];
    for row in raster.bytes_mut().as_chunks_mut::<N>().0.chunks_exact_mut(width) {
        extended.spread(row, &mut other);
    }
}

fn down(raster: &mut Raster, extended: &ExtendedBox) {
    let (stride, height) = (raster.stride(), raster.height() as usize);
    let (mut strip, mut other) = (vec![[0; STRIP]; height], vec![[0; STRIP]; height]);
    for left in (0..stride).step_by(STRIP) {
        let length = STRIP.min(stride - left);
        for (line, row) in strip.iter_mut().zip(raster.bytes().chunks_exact(stride)) {
            line[..length].copy_from_slice(&row[left..left + length]);
        }
        extended.spread(&mut strip, &mut other);
        for (line, row) in strip.iter().zip(raster.bytes_mut().chunks_exact_mut(stride)) {
            row[left..left + length].copy_from_slice(&line[..length]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bell curve itself, over one line.
    fn exact(line: &[u8], sigma: f64) -> Vec<f64> {
        let reach = (sigma * 5.0).ceil() as isize + 1;
        let weights: Vec<f64> = (-reach..=reach).map(|x| (-((x * x) as f64) / (2.0 * sigma * sigma)).exp()).collect();
        let total: f64 = weights.iter().sum();
        let length = line.len().cast_signed();
        let value = |at: isize| f64::from(line[at.clamp(0, length - 1).cast_unsigned()]);
        (0..length)
            .map(|at| (-reach..=reach).zip(&weights).map(|(x, weight)| value(at + x) * weight).sum::<f64>() / total)
            .collect()
    }

    #[test]
    fn it_comes_close_to_the_bell_curve() {
        let line: Vec<u8> = (0..400).map(|x| if (100..180).contains(&x) || x % 97 == 50 { 255 } else { 20 }).collect();
        // Below that, the bell is narrower than the pixels that it is sampled at; above, it spreads beyond the line.
        for sigma in [1.0, 1.7, 3.0, 8.0, 25.0] {
            let expected = exact(&line, sigma);
            // One row, and one column.
            for (width, height) in [(400, 1), (1, 400)] {
                let data = line.iter().flat_map(|&value| [value; 3]).collect();
                let mut raster = Raster::new(width, height, false, data);
                blur(&mut raster, sigma);
                let found = raster.bytes().as_chunks::<3>().0.iter().map(|pixel| f64::from(pixel[0]));
                let worst = found.zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < 4.0, "{sigma} over {width} × {height}: off by {worst}");
            }
        }
    }

    #[test]
    fn invisible_colours_do_not_show() {
        let row = [[255, 0, 0, 255], [0, 255, 0, 0]].concat();
        let mut raster = Raster::new(2, 40, true, row.repeat(40));
        blur(&mut raster, 5.0);
        for &[r, g, b, alpha] in raster.bytes().as_chunks::<4>().0 {
            assert!(r >= 253 && g == 0 && b == 0 && (100..160).contains(&alpha), "{r} {g} {b} {alpha}");
        }
    }

    proptest! {
        #[test]
        fn what_is_flat_stays_flat(
            (width, height) in (1u32..90, 1u32..90), alpha: bool, value: u8, sigma in 0.0..100.0,
        ) {
            let pixel = if alpha { &[value, value, value, 255][..] } else { &[value; 3] };
            let flat = Raster::new(width, height, alpha, pixel.repeat((width * height) as usize));
            let mut blurred = flat.clone();
            blur(&mut blurred, sigma);
            prop_assert_eq!(blurred, flat);
        }
    }
}
