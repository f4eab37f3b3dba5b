//! BMP: what its header says. The pixels are `image`'s business.

use shared::format::Format;

use super::ImageError;
use super::header::Claim;

/// Pixels that two bytes of a run-length encoding can stand for.
const LONGEST_RUN: u64 = 255;

/// Memory that the decoder takes besides the pixels, in bytes: a row, a palette, a buffer.
const OVERHEAD: u64 = 1 << 20;

/// Reads the header.
pub(super) fn survey(bytes: &[u8]) -> Result<Claim, ImageError> {
    let Header { width, height, depth, runs } = read(bytes).ok_or_else(|| corrupt("the header is cut short"))?;
    let pixels = u64::from(width) * u64::from(height);
    let least = if runs {
        (pixels / LONGEST_RUN).saturating_sub(1) * 2
    } else {
        // Rows are padded to four bytes.
        (u64::from(width) * depth).div_ceil(32).saturating_mul(4 * u64::from(height))
    };
    // Sixteen and thirty-two bits may be masked to give an alpha channel, and run-length encoded pixels may be left out.
    let channels = if depth == 32 || depth == 16 || runs { 4 } else { 3 };
    Ok(Claim { width, height, channels, decoding: pixels.saturating_mul(channels).saturating_add(OVERHEAD), least })
}

struct Header {
    width: u32,
    height: u32,
    /// Bits a pixel.
    depth: u64,
    /// Whether the pixels are run-length encoded.
    runs: bool,
}

/// The old header counts in 16 bits; in the newer ones a negative height means that the top row comes first.
fn read(bytes: &[u8]) -> Option<Header> {
    let size = bytes.get(18..)?;
    let short = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    if bytes.get(14) == Some(&12) {
        let depth = short(24)?.into();
        return Some(Header { width: short(18)?.into(), height: short(20)?.into(), depth, runs: false });
    }
    let width = i32::from_le_bytes(*size.first_chunk()?);
    let height = i32::from_le_bytes(*size.get(4..)?.first_chunk()?);
    let compression = bytes.get(30..).and_then(<[u8]>::first_chunk).map_or(0, |four| u32::from_le_bytes(*four));
    Some(Header {
        width: u32::try_from(width).unwrap_or(0),
        height: height.unsigned_abs(),
        depth: short(28).unwrap_or(1).into(),
        runs: matches!(compression, 1 | 2),
    })
}

fn corrupt(detail: &'static str) -> ImageError {
    ImageError::corrupt(Format::Bmp, detail)
}
