//! Filters that look at one pixel at a time: matrices over its colours.
//!
//! The matrices and their order of clamping are those of CSS, so that a page can show beforehand what will come out:
//! <https://www.w3.org/TR/filter-effects-1/#feColorMatrixElement>.

use shared::recipe::Filter;

use super::super::raster::Raster;

/// A row for each of red, green and blue: what it takes of each of them, and what is added, in steps of 8 bits.
pub(super) type Matrix = [[f32; 4]; 3];

/// Pixels that are worked on at once, each channel in a row of its own, as vector units like it.
const LANES: usize = 64;

/// The matrix of a filter that is one.
pub(super) fn matrix(filter: &Filter) -> Option<Matrix> {
    let factor = |percent: f64| (1.0 + percent / 100.0) as f32;
    Some(match *filter {
        Filter::Grayscale => [[0.2126, 0.7152, 0.0722, 0.0]; 3],
        Filter::Sepia => [[0.393, 0.769, 0.189, 0.0], [0.349, 0.686, 0.168, 0.0], [0.272, 0.534, 0.131, 0.0]],
        Filter::Invert => diagonal(-1.0, 255.0),
        Filter::Brightness(percent) => diagonal(factor(percent.get()), 0.0),
        Filter::Contrast(percent) => {
            let factor = factor(percent.get());
            diagonal(factor, 127.5 * (1.0 - factor))
        }
        Filter::Saturation(percent) => {
            let factor = factor(percent.get());
            let luma = [0.213, 0.715, 0.072].map(|part| part * (1.0 - factor));
            let [r, g, b] = luma;
            [[r + factor, g, b, 0.0], [r, g + factor, b, 0.0], [r, g, b + factor, 0.0]]
        }
        Filter::Blur(_) | Filter::Sharpen(_) => return None,
    })
}

fn diagonal(factor: f32, plus: f32) -> Matrix {
    [[factor, 0.0, 0.0, plus], [0.0, factor, 0.0, plus], [0.0, 0.0, factor, plus]]
}

/// Applies one after another in one pass over the pixels, rounded once at the end. Transparency stays as it is.
pub(super) fn apply(raster: &mut Raster, matrices: &[Matrix]) {
    match raster.channels() {
        3 => pixels(raster.bytes_mut().as_chunks_mut::<3>().0, matrices),
        _ => pixels(raster.bytes_mut().as_chunks_mut::<4>().0, matrices),
    }
}

fn pixels<const N: usize>(pixels: &mut [[u8; N]], matrices: &[Matrix]) {
    let mut planes = [[0.0; LANES]; 3];
    for pixels in pixels.chunks_mut(LANES) {
        for (channel, plane) in planes.iter_mut().enumerate() {
            plane.iter_mut().zip(&*pixels).for_each(|(value, pixel)| *value = f32::from(pixel[channel]));
        }
        for matrix in matrices {
            let [red, green, blue] = planes;
            for (plane, [r, g, b, plus]) in planes.iter_mut().zip(matrix) {
                for (lane, value) in plane.iter_mut().enumerate() {
                    *value = (red[lane] * r + green[lane] * g + blue[lane] * b + plus).clamp(0.0, 255.0);
                }
            }
        }
        for (channel, plane) in planes.iter().enumerate() {
            // Half a step more, cut off: rounding, without a call for each value.
            plane.iter().zip(&mut *pixels).for_each(|(value, pixel)| pixel[channel] = (value + 0.5) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, [r, g, b]: [u8; 3], expected: [u8; 3]) {
        let filter: Filter = serde_json::from_str(json).unwrap();
        for alpha in [false, true] {
            // More than are worked on at once, and not a multiple of it.
            let pixel = if alpha { &[r, g, b, 99][..] } else { &[r, g, b] };
            let mut raster = Raster::new(50, 3, alpha, pixel.repeat(150));
            apply(&mut raster, &[matrix(&filter).unwrap()]);
            let expected = if alpha { [&expected[..], &[99]].concat() } else { expected.to_vec() };
            for found in raster.bytes().chunks_exact(pixel.len()) {
                assert_eq!(found, expected, "{json}");
            }
        }
    }

    #[test]
    fn colours_come_out_as_css_has_them() {
        check(r#""grayscale""#, [255, 0, 0], [54, 54, 54]);
        check(r#""grayscale""#, [10, 200, 30], [147, 147, 147]);
        check(r#""sepia""#, [100, 100, 100], [135, 120, 94]);
        check(r#""sepia""#, [255, 255, 255], [255, 255, 239]);
        check(r#""invert""#, [0, 100, 255], [255, 155, 0]);
        check(r#"{"brightness":50}"#, [100, 200, 10], [150, 255, 15]);
        check(r#"{"brightness":-100}"#, [100, 200, 10], [0, 0, 0]);
        check(r#"{"contrast":100}"#, [100, 127, 200], [73, 127, 255]);
        check(r#"{"contrast":-100}"#, [0, 127, 255], [128, 128, 128]);
        check(r#"{"saturation":-100}"#, [255, 0, 0], [54, 54, 54]);
        check(r#"{"saturation":100}"#, [120, 100, 80], [137, 97, 57]);
        for json in [r#"{"brightness":0}"#, r#"{"contrast":0}"#, r#"{"saturation":0}"#] {
            check(json, [1, 127, 254], [1, 127, 254]);
        }
    }

    #[test]
    fn what_one_filter_clips_the_next_does_not_bring_back() {
        let twice: Filter = serde_json::from_str(r#"{"brightness":100}"#).unwrap();
        let half: Filter = serde_json::from_str(r#"{"brightness":-50}"#).unwrap();
        let mut raster = Raster::new(1, 1, false, vec![200, 100, 0]);
        apply(&mut raster, &[twice, half].map(|filter| matrix(&filter).unwrap()));
        assert_eq!(raster.bytes(), [128, 100, 0]);
    }
}
