//! WebP: what its chunks say up to the first frame's pixels. The pixels are `image`'s business.

use super::header::Claim;

/// Memory that the decoder takes besides pictures, in bytes.
const OVERHEAD: u64 = 2 << 20;

/// What the chunks say, up to the first frame's pixels.
#[derive(Default)]
struct Survey {
    /// The canvas, where the file states one, and the first frame where that is larger: decoders allocate both.
    width: u32,
    height: u32,
    /// A frame on a canvas.
    animated: bool,
    alpha: bool,
    lossless: bool,
}

/// Walks over the chunks. A size of zero means that the file ends before one.
pub(super) fn survey(bytes: &[u8]) -> Claim {
    let mut survey = Survey::default();
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some(next) = survey.read(rest) {
        rest = next;
    }
    let Survey { width, height, animated, alpha, lossless } = survey;
    // What lossy pixels are decoded to at first counts in whole blocks of 16 × 16.
    let blocks = u64::from(width.next_multiple_of(16)) * u64::from(height.next_multiple_of(16));
    let channels = if alpha || animated { 4 } else { 3 };
    // In bytes a pixel: lossless ones are decoded as RGBA, with up to a byte for the transforms; lossy ones take one and
    // a half before they become RGB, and their alpha is a lossless picture of its own. An animation has a canvas.
    let mut each = channels * 2 + if lossless { 10 } else { 3 };
    if alpha && !lossless {
        each += 10;
    }
    if animated {
        each += 16;
    }
    Claim { width, height, channels, decoding: blocks * each / 2 + bytes.len() as u64 + OVERHEAD, least: 0 }
}

/// The first chunk of a kind, not counting those within the frames of an animation.
pub(super) fn chunk(bytes: &[u8], kind: [u8; 4]) -> Option<&[u8]> {
    let mut rest = bytes.get(12..)?;
    loop {
        let (head, body) = rest.split_first_chunk::<8>()?;
        let length = u32::from_le_bytes(*head.last_chunk()?) as usize;
        if head.starts_with(&kind) {
            return body.get(..length);
        }
        // Chunks are padded to an even length.
        rest = body.get(length.checked_next_multiple_of(2)?..)?;
    }
}

/// The colour profile, if the header promises one.
pub(super) fn profile(bytes: &[u8]) -> Option<&[u8]> {
    let flags = *chunk(bytes, *b"VP8X")?.first()?;
    if flags & 0x20 == 0 { None } else { chunk(bytes, *b"ICCP") }
}

impl Survey {
    /// Takes what a chunk states, and returns the chunks that follow, none after the first frame's pixels.
    fn read<'a>(&mut self, chunk: &'a [u8]) -> Option<&'a [u8]> {
        let long = |side: &[u8]| Some(u32::from_le_bytes([*side.first()?, *side.get(1)?, *side.get(2)?, 0]) + 1);
        let body = chunk.get(8..)?;
        let length = u32::from_le_bytes(*chunk.get(4..)?.first_chunk()?) as usize;
        let after = length.checked_add(length & 1).and_then(|length| body.get(length..)).unwrap_or_default();
        let (size, next): (_, &[u8]) = match chunk.get(..4)? {
            b"VP8X" => {
                let flags = *body.first()?;
                self.alpha |= flags & 0x10 != 0;
                self.animated |= flags & 0x02 != 0;
                ((long(body.get(4..)?)?, long(body.get(7..)?)?), after)
            }
            // A frame of an animation: sixteen bytes, and then chunks of its own.
            b"ANMF" => {
                self.animated = true;
                ((long(body.get(6..)?)?, long(body.get(9..)?)?), body.get(16..).unwrap_or_default())
            }
            b"VP8L" => {
                let bits = u32::from_le_bytes(*body.strip_prefix(b"\x2F")?.first_chunk()?);
                self.lossless = true;
                self.alpha |= bits >> 28 & 1 == 1;
                (((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), &[])
            }
            b"VP8 " => {
                let &[w0, w1, h0, h1] = body.get(3..)?.strip_prefix(b"\x9D\x01\x2A")?.first_chunk()?;
                // The upper two bits ask for scaling, which no decoder does.
                let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
                ((side(w0, w1), side(h0, h1)), &[])
            }
            b"ALPH" => {
                self.alpha = true;
                ((0, 0), after)
            }
            _ => ((0, 0), after),
        };
        (self.width, self.height) = (self.width.max(size.0), self.height.max(size.1));
        Some(next)
    }
}
