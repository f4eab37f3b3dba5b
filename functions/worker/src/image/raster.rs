//! Pixels in memory: 8 bits a channel, red, green, blue and sometimes alpha, row after row without padding.
//!
//! Every decoder ends here, so that no later step has to know about grey, palettes, CMYK or 16 bits.

use std::borrow::Cow;

use super::spare;

/// A picture as plain bytes. Both sides are at least 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raster {
    width: u32,
    height: u32,
    alpha: bool,
    data: Vec<u8>,
}

impl Raster {
    /// Takes `width` × `height` × (3 or, with alpha, 4) bytes.
    pub(super) fn new(width: u32, height: u32, alpha: bool, data: Vec<u8>) -> Self {
        let channels = if alpha { 4 } else { 3 };
        assert_eq!(data.len(), width as usize * height as usize * channels, "a raster holds exactly its pixels");
        Self { width, height, alpha, data }
    }

    /// Takes RGBA bytes and drops an alpha channel that says nothing.
    pub(super) fn from_rgba(width: u32, height: u32, mut data: Vec<u8>) -> Self {
        if data.as_chunks::<4>().0.iter().any(|pixel| pixel[3] != 255) {
            return Self::new(width, height, true, data);
        }
        let pixels = data.len() / 4;
        for pixel in 1..pixels {
            data.copy_within(pixel * 4..pixel * 4 + 3, pixel * 3);
        }
        data.truncate(pixels * 3);
        data.shrink_to_fit();
        Self::new(width, height, false, data)
    }

    /// The same picture with an alpha channel, opaque if it had none.
    pub(super) fn with_alpha(self) -> Self {
        if self.alpha {
            return self;
        }
        let data = self.data.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect();
        Self::new(self.width, self.height, true, data)
    }

    pub(crate) fn width(&self) -> u32 {
        self.width
    }

    pub(crate) fn height(&self) -> u32 {
        self.height
    }

    /// Number of pixels.
    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    pub(crate) fn has_alpha(&self) -> bool {
        self.alpha
    }

    /// Bytes a pixel: 3, or 4 with alpha.
    pub(crate) fn channels(&self) -> usize {
        if self.alpha { 4 } else { 3 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.data
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.data
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// Bytes of one row.
    pub(crate) fn stride(&self) -> usize {
        self.width as usize * self.channels()
    }

    /// Whether every pixel is a shade of grey.
    pub(super) fn is_grey(&self) -> bool {
        match self.channels() {
            3 => self.data.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b),
            _ => self.data.as_chunks::<4>().0.iter().all(|[r, g, b, _]| r == g && g == b),
        }
    }
}

/// Holds the memory of a picture that is done with for another one, if it was nobody else's.
pub(super) fn finish(raster: Cow<'_, Raster>) {
    if let Cow::Owned(raster) = raster {
        spare::keep(raster.data);
    }
}

/// What the samples of a decoder mean, in the order they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Samples {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    /// 255 is full ink.
    Cmyk,
    /// 255 is no ink: how Adobe, and after it everybody, writes CMYK into JPEG.
    InvertedCmyk,
}

impl Samples {
    pub(super) fn has_alpha(self) -> bool {
        matches!(self, Self::GreyAlpha | Self::Rgba)
    }

    /// Appends whole pixels to `out` as RGB, or RGBA where [`Self::has_alpha`].
    pub(super) fn append(self, samples: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Grey => out.extend(samples.iter().flat_map(|&grey| [grey; 3])),
            Self::GreyAlpha => {
                out.extend(samples.as_chunks::<2>().0.iter().flat_map(|&[grey, alpha]| [grey, grey, grey, alpha]));
            }
            Self::Rgb | Self::Rgba => out.extend_from_slice(samples),
            Self::Cmyk => out.extend(samples.as_chunks::<4>().0.iter().flat_map(|ink| on_paper(ink.map(|v| 255 - v)))),
            Self::InvertedCmyk => out.extend(samples.as_chunks::<4>().0.iter().flat_map(|&paper| on_paper(paper))),
        }
    }
}

/// RGB of what four inks leave of white paper, without a colour profile: each ink takes its share of the light.
fn on_paper([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|left| ((u32::from(left) * u32::from(k) + 127) / 255) as u8)
}

/// The nearest 8-bit value of a 16-bit sample.
pub(super) fn narrow(sample: u16) -> u8 {
    // 257 = 65535 / 255, so this is exact; a plain shift would darken everything by half a step.
    ((u32::from(sample) + 128) / 257) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alpha_channel_stays_only_if_it_says_something() {
        let opaque = Raster::from_rgba(2, 1, vec![1, 2, 3, 255, 4, 5, 6, 255]);
        assert_eq!(opaque, Raster::new(2, 1, false, vec![1, 2, 3, 4, 5, 6]));
        assert!(Raster::from_rgba(2, 1, vec![1, 2, 3, 255, 4, 5, 6, 254]).has_alpha());
    }

    #[test]
    fn sixteen_bits_round_to_the_nearest_of_eight() {
        for sample in 0..=u16::MAX {
            let exact = f64::from(sample) / 257.0;
            assert!((f64::from(narrow(sample)) - exact).abs() <= 0.5, "{sample}");
        }
    }

    #[test]
    fn inks_become_light() {
        let check = |samples: Samples, four: [u8; 4], expected: [u8; 3]| {
            let mut out = Vec::new();
            samples.append(&four, &mut out);
            assert_eq!(out, expected, "{samples:?} {four:?}");
        };
        check(Samples::Cmyk, [0, 0, 0, 0], [255, 255, 255]);
        check(Samples::Cmyk, [255, 0, 0, 0], [0, 255, 255]);
        check(Samples::Cmyk, [0, 0, 0, 255], [0, 0, 0]);
        check(Samples::InvertedCmyk, [255, 0, 255, 255], [255, 0, 255]);
        check(Samples::InvertedCmyk, [255, 255, 255, 128], [128, 128, 128]);
    }
}
