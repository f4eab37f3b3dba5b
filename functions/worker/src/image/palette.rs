//! At most 256 colours for a picture of many, and which of them each pixel gets.

use color_quant::NeuQuant;

use super::raster::Raster;

/// Colours of a GIF.
const COLORS: usize = 256;

/// Pixels that a palette is learned from at most: more change nothing that anybody sees.
const LESSONS: usize = 300_000;

/// Of small pictures, one in so many pixels is learned from at least.
const STRIDE: usize = 10;

/// Bits of each channel that decide about a pixel's colour, where there are too many to look at each.
const BITS: u32 = 6;

/// Alpha below which a pixel is invisible: GIF knows nothing between.
pub(super) const VISIBLE: u8 = 128;

/// A picture in colours of its own.
pub(super) struct Indexed {
    pub(super) palette: Vec<u8>,
    /// The index of what is invisible.
    pub(super) transparent: Option<u8>,
    pub(super) pixels: Vec<u8>,
}

/// Chooses the colours. A picture that has few keeps them exactly.
pub(super) fn index(raster: Raster) -> Indexed {
    let channels = raster.channels();
    if channels == 3 { indexed::<3>(raster.into_bytes()) } else { indexed::<4>(raster.into_bytes()) }
}

/// What a pixel counts as: a colour, or nothing where it is invisible.
fn color<const N: usize>(pixel: &[u8; N]) -> Option<[u8; 3]> {
    let visible = N == 3 || pixel[N - 1] >= VISIBLE;
    visible.then(|| [pixel[0], pixel[1], pixel[2]])
}

fn indexed<const N: usize>(data: Vec<u8>) -> Indexed {
    let invisible = N == 4 && data.as_chunks::<N>().0.iter().any(|pixel| color(pixel).is_none());
    let room = COLORS - usize::from(invisible);
    let mut indexed = match exact::<N>(&data, room) {
        Some(few) => fill::<N>(data, few.palette.clone(), |pixel| few.indexes[few.slot(pixel)]),
        None => learned::<N>(data, room),
    };
    if invisible {
        // Last, where `fill` has put it.
        indexed.transparent = Some((indexed.palette.len() / 3) as u8);
        indexed.palette.extend([0; 3]);
    }
    indexed
}

/// Slots for at most [`COLORS`] colours, so that hardly two want the same one.
const SLOTS: usize = 1024;

/// A few colours, found again in some nanoseconds: it is asked for every pixel.
struct Few {
    palette: Vec<u8>,
    /// What stands in each slot; none: nothing.
    colors: [Option<[u8; 3]>; SLOTS],
    indexes: [u8; SLOTS],
}

impl Few {
    /// Where this colour stands, or would.
    fn slot(&self, color: [u8; 3]) -> usize {
        let [r, g, b] = color.map(u32::from);
        // Fibonacci hashing: the upper bits of a product with the golden ratio.
        let mut at = ((r << 16 | g << 8 | b).wrapping_mul(0x9E37_79B9) >> 22) as usize;
        while self.colors[at].is_some_and(|other| other != color) {
            at = (at + 1) % SLOTS;
        }
        at
    }
}

/// All colours, if there are no more than `room`.
fn exact<const N: usize>(data: &[u8], room: usize) -> Option<Few> {
    let mut few = Few { palette: Vec::new(), colors: [None; SLOTS], indexes: [0; SLOTS] };
    for pixel in data.as_chunks::<N>().0.iter().filter_map(color) {
        let at = few.slot(pixel);
        if few.colors[at].is_none() {
            let count = few.palette.len() / 3;
            if count == room {
                return None;
            }
            few.colors[at] = Some(pixel);
            few.indexes[at] = count as u8;
            few.palette.extend(pixel);
        }
    }
    Some(few)
}

/// Colours learned from some of the pixels, and each pixel's nearest, to within two steps of a channel.
fn learned<const N: usize>(data: Vec<u8>, room: usize) -> Indexed {
    let visible = || data.as_chunks::<N>().0.iter().filter_map(color);
    let count = visible().count();
    let stride = (count / LESSONS).max(STRIDE.min(count / 1000 + 1));
    let seen = visible().step_by(stride);
    let lessons: Vec<u8> = seen.flat_map(|[r, g, b]| [r, g, b, 255]).collect();
    let net = NeuQuant::new(1, room, &lessons);
    let palette = net.color_map_rgb();
    let mut table = vec![None; 1 << (3 * BITS)];
    fill::<N>(data, palette, |pixel| {
        let at = pixel.iter().fold(0, |at, value| at << BITS | usize::from(value >> (8 - BITS)));
        *table[at].get_or_insert_with(|| {
            // The middle of the colours that share the place.
            let [r, g, b] = pixel.map(|value| value >> (8 - BITS) << (8 - BITS) | 1 << (7 - BITS));
            net.index_of(&[r, g, b, 255]) as u8
        })
    })
}

/// Puts indexes in the pixels' own place: each stands before the pixel it was made from, or on it.
fn fill<const N: usize>(mut data: Vec<u8>, palette: Vec<u8>, mut index: impl FnMut([u8; 3]) -> u8) -> Indexed {
    let invisible = (palette.len() / 3) as u8;
    let count = data.len() / N;
    for at in 0..count {
        let pixel: [u8; N] = std::array::from_fn(|channel| data[at * N + channel]);
        data[at] = color(&pixel).map_or(invisible, &mut index);
    }
    data.truncate(count);
    data.shrink_to_fit();
    Indexed { palette, transparent: None, pixels: data }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colour that each pixel ends up with; none: invisible.
    fn shown(Indexed { palette, transparent, pixels }: &Indexed) -> Vec<Option<[u8; 3]>> {
        let color = |&index: &u8| (*transparent != Some(index)).then(|| palette.as_chunks::<3>().0[usize::from(index)]);
        pixels.iter().map(color).collect()
    }

    #[test]
    fn few_colours_stay_exactly_what_they_are() {
        let data: Vec<u8> = (0..=255u8).flat_map(|n| [n, n.wrapping_mul(7), 255 - n]).collect();
        let indexed = index(Raster::new(256, 1, false, data.clone()));
        assert_eq!(indexed.palette.len(), 256 * 3);
        let expected: Vec<_> = data.as_chunks::<3>().0.iter().copied().map(Some).collect();
        assert_eq!(shown(&indexed), expected);
    }

    #[test]
    fn what_is_faint_is_invisible_and_takes_a_place_of_its_own() {
        let data: Vec<u8> = (0..=255u8).flat_map(|n| [n, n, n, if n == 9 { 127 } else { 128 }]).collect();
        let indexed = index(Raster::new(16, 16, true, data));
        assert_eq!(indexed.palette.len(), 256 * 3);
        assert_eq!(shown(&indexed).iter().position(Option::is_none), Some(9));
    }

    #[test]
    fn many_colours_come_close() {
        let data: Vec<u8> = (0..256 * 256u32).flat_map(|n| [(n % 256) as u8, (n / 256) as u8, 100]).collect();
        let indexed = index(Raster::new(256, 256, false, data.clone()));
        let distance = |(a, b): (&Option<[u8; 3]>, &[u8; 3])| {
            a.unwrap().iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum::<f64>()
        };
        let sum: f64 = shown(&indexed).iter().zip(data.as_chunks().0).map(distance).sum();
        assert!((sum / 65_536.0).sqrt() < 16.0, "{}", (sum / 65_536.0).sqrt());
    }
}
