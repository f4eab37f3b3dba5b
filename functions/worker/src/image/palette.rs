//! At most 256 colours for a picture of many, and which of them each pixel gets.

use std::collections::HashMap;

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
const VISIBLE: u8 = 128;

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
        Some((palette, index)) => {
            let mut last = (None, 0);
            fill::<N>(data, palette, |pixel| {
                if last.0 != Some(pixel) {
                    last = (Some(pixel), index[&pixel]);
                }
                last.1
            })
        }
        None => learned::<N>(data, room),
    };
    if invisible {
        // Last, where `fill` has put it.
        indexed.transparent = Some((indexed.palette.len() / 3) as u8);
        indexed.palette.extend([0; 3]);
    }
    indexed
}

type Exact = (Vec<u8>, HashMap<[u8; 3], u8>);

/// All colours, if there are no more than `room`.
fn exact<const N: usize>(data: &[u8], room: usize) -> Option<Exact> {
    let (mut palette, mut index) = (Vec::new(), HashMap::new());
    let mut last = None;
    for pixel in data.as_chunks::<N>().0.iter().filter_map(color) {
        if last == Some(pixel) {
            continue;
        }
        last = Some(pixel);
        if !index.contains_key(&pixel) {
            if index.len() == room {
                return None;
            }
            index.insert(pixel, index.len() as u8);
            palette.extend(pixel);
        }
    }
    Some((palette, index))
}

/// Colours learned from some of the pixels, and each pixel's nearest, to within two steps of a channel.
fn learned<const N: usize>(data: Vec<u8>, room: usize) -> Indexed {
    let pixels = data.as_chunks::<N>().0;
    let stride = (pixels.len() / LESSONS).max(STRIDE.min(pixels.len() / 1000 + 1));
    let seen = pixels.iter().step_by(stride).filter_map(color);
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
