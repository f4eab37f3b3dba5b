//! GIF: what its blocks say, and the first frame on its screen, row by row into the raster. All frames, one after another,
//! are the business of `animation`.

use std::io::Cursor;
use std::ops::Range;

use gif::{ColorOutput, DecodeOptions, Decoder, DecodingError, DisposalMethod, MemoryLimit};
use shared::format::Format;

use super::ImageError;
use super::header::Claim;
use super::raster::Raster;

/// Pixels that a byte of LZW can stand for: at best 4,096 in a code of 12 bits.
const PIXELS_PER_BYTE: u64 = 2731;

/// Memory that the decoder takes besides a row and what it keeps of applications, in bytes: its table of strings, buffers.
const OVERHEAD: u64 = 1 << 20;

/// How many times over the decoder has what applications wrote into the file (XMP, a colour profile), as it grows.
pub(super) const COPIES: u64 = 3;

/// Labels of extensions: what becomes of the next frame, and what is an application's own.
const CONTROL: u8 = 0xF9;
const APPLICATION: u8 = 0xFF;

/// Bytes in front of the colours: signature, screen, flags.
const HEADER: usize = 13;

/// Where the flags are among them.
const FLAGS: usize = 10;

/// What stands in front of the number of repetitions, behind an extension's introducer.
const LOOPS: [&[u8; 15]; 2] = [b"\xFF\x0BNETSCAPE2.0\x03\x01", b"\xFF\x0BANIMEXTS1.0\x03\x01"];

/// A step through an interlaced frame: its first row and the distance to the next.
const PASSES: [(usize, usize); 4] = [(0, 8), (4, 8), (2, 4), (1, 2)];

/// Reads the header and walks to the first frame.
pub(super) fn survey(bytes: &[u8]) -> Result<Claim, ImageError> {
    let Survey { screen, frame, transparent, applications } =
        walk(bytes).ok_or_else(|| corrupt("the header is cut short"))?;
    // The screen, and the first frame where that is larger. Whatever the frame, nothing shows on a screen without sides.
    let shows = screen.0 > 0 && screen.1 > 0;
    let (width, height) = if shows { (screen.0.max(frame.0), screen.1.max(frame.1)) } else { screen };
    let full = frame == screen && !transparent;
    let pixels = u64::from(width) * u64::from(height);
    let channels = if full { 3 } else { 4 };
    let least = u64::from(frame.0) * u64::from(frame.1) / PIXELS_PER_BYTE;
    let decoding = pixels * channels + OVERHEAD + applications * COPIES;
    Ok(Claim { width, height, channels, decoding, least })
}

/// Counts the frames of a whole file, and finds out how often they are repeated; of each only its size is looked at.
///
/// What is no block ends the file, as in browsers, and so does a frame whose data do: it tells by its rows whether they are
/// enough. Anything else that is cut short makes the file corrupt.
pub(super) fn frames(bytes: &[u8]) -> Result<Frames, ImageError> {
    let cut = || corrupt("a block is cut short");
    let mut frames = Frames { screen: pair(bytes, 6).ok_or_else(cut)?, ..Frames::default() };
    let flags = bytes.get(FLAGS).copied().unwrap_or_default();
    let mut rest = bytes.get(HEADER + colors_after(flags)..).unwrap_or_default();
    // Whether something vanishes after this frame, and whether it does before it: the first one stands on nothing.
    let (mut vanishes, mut uncovered) = (false, true);
    while let [introducer @ (0x21 | 0x2C), block @ ..] = rest {
        rest = if *introducer == 0x2C {
            let (width, height) = pair(block, 4).ok_or_else(cut)?;
            frames.count += 1;
            frames.pixels += u64::from(width) * u64::from(height);
            let part = (width.min(frames.screen.0), height.min(frames.screen.1));
            frames.changes.add((!vanishes && !uncovered).then_some(part));
            uncovered = std::mem::take(&mut vanishes);
            // Behind the colours, a byte says how long codes are at first.
            let data = block.get(10 + colors_after(*block.get(8).ok_or_else(cut)?)..).ok_or_else(cut)?;
            let Some(next) = behind(data) else { break };
            next
        } else {
            if let [CONTROL, _, flags, ..] = block {
                // It becomes invisible, or what it was before.
                vanishes = matches!(flags >> 2 & 7, 2 | 3);
            }
            if let Some([low, high, ..]) = LOOPS.iter().find_map(|name| block.strip_prefix(&name[..])) {
                frames.repeats = Some(u16::from_le_bytes([*low, *high]));
            }
            let next = block.get(1..).and_then(behind).ok_or_else(cut)?;
            if block[0] == APPLICATION {
                frames.applications += (block.len() - next.len()) as u64;
            }
            next
        };
    }
    Ok(frames)
}

/// What follows blocks with their length in front, of which the last one is empty.
fn behind(mut blocks: &[u8]) -> Option<&[u8]> {
    while let (&length @ 1.., after) = blocks.split_first()? {
        blocks = after.get(usize::from(length)..)?;
    }
    Some(&blocks[1..])
}

/// Two numbers of 16 bits.
fn pair(bytes: &[u8], at: usize) -> Option<(u32, u32)> {
    let &[w0, w1, h0, h1] = bytes.get(at..)?.first_chunk()?;
    Some((u32::from(u16::from_le_bytes([w0, w1])), u32::from(u16::from_le_bytes([h0, h1]))))
}

/// Length of the table of colours that these flags announce, in bytes.
fn colors_after(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The frames of a whole file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    /// Width and height of what they are shown on.
    pub(super) screen: (u32, u32),
    pub(super) count: u64,
    /// What they have together, on their screen or beside it.
    pub(super) pixels: u64,
    /// How often they are shown once more: 0 without end, none not at all.
    pub(super) repeats: Option<u16>,
    pub(super) changes: Changes,
    /// What applications wrote between them, in bytes.
    pub(super) applications: u64,
}

/// How much of their screen frames change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Frames that may change any of it: the first, and those before and after which something vanishes.
    pub(super) wholes: u64,
    /// All others.
    pub(super) parts: u64,
    /// The pixels of these, and their widths and heights, added up.
    pub(super) pixels: u64,
    pub(super) sides: u64,
}

impl Changes {
    /// Counts a frame, of this width and height if it changes no more than that.
    fn add(&mut self, part: Option<(u32, u32)>) {
        let Some((width, height)) = part else {
            self.wholes += 1;
            return;
        };
        let (width, height) = (u64::from(width), u64::from(height));
        *self = Self {
            parts: self.parts + 1,
            pixels: self.pixels + width * height,
            sides: self.sides + width + height,
            ..*self
        };
    }
}

impl Frames {
    /// Pixels that reading them goes through: for each frame the whole screen, and its own.
    pub(super) fn pixels_to_read(&self) -> u64 {
        let screen = u64::from(self.screen.0) * u64::from(self.screen.1);
        self.count.saturating_mul(screen).saturating_add(self.pixels)
    }
}

struct Survey {
    screen: (u32, u32),
    frame: (u32, u32),
    /// Whether the first frame has an invisible colour.
    transparent: bool,
    /// What applications wrote in front of it, in bytes.
    applications: u64,
}

fn walk(bytes: &[u8]) -> Option<Survey> {
    let screen = pair(bytes, 6)?;
    let (mut transparent, mut applications) = (false, 0);
    let mut rest = bytes.get(HEADER + colors_after(*bytes.get(FLAGS)?)..).unwrap_or_default();
    loop {
        match rest {
            // An extension: its label, then blocks with their length in front, the last one empty.
            [0x21, label, blocks @ ..] => {
                if *label == CONTROL {
                    transparent = blocks.get(1)? & 1 == 1;
                }
                rest = behind(blocks)?;
                if *label == APPLICATION {
                    applications += (blocks.len() - rest.len()) as u64;
                }
            }
            [0x2C, descriptor @ ..] => {
                let frame = pair(descriptor, 4)?;
                return Some(Survey { screen, frame, transparent, applications });
            }
            // A screen of nothing is refused for that.
            _ if screen.0 == 0 || screen.1 == 0 => {
                return Some(Survey { screen, frame: (0, 0), transparent, applications });
            }
            _ => return None,
        }
    }
}

/// A decoder that is in front of the first frame.
pub(super) fn open(bytes: &[u8]) -> Result<Decoder<Cursor<&[u8]>>, ImageError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // All of it is counted.
    let limit = OVERHEAD + bytes.len() as u64;
    options.set_memory_limit(MemoryLimit::Bytes(limit.try_into().expect("a mebibyte and more is not zero")));
    // Browsers pass over extensions that they do not know.
    options.allow_unknown_blocks(true);
    options.read_info(Cursor::new(bytes)).map_err(refuse)
}

/// A frame and its place on the screen, which it may reach beyond.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    interlaced: bool,
    /// The index of what is invisible.
    transparent: Option<u8>,
    /// How long it is shown, in hundredths of a second.
    pub(super) delay: u16,
    /// What becomes of it before the next one is shown.
    pub(super) disposal: DisposalMethod,
}

impl Placed {
    /// The next frame, of which no row is decoded yet; none behind the last.
    pub(super) fn next(decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<Option<Self>, ImageError> {
        let frame = decoder.next_frame_info().map_err(refuse)?;
        Ok(frame.map(|frame| Self {
            left: frame.left.into(),
            top: frame.top.into(),
            width: frame.width.into(),
            height: frame.height.into(),
            interlaced: frame.interlaced,
            transparent: frame.transparent,
            delay: frame.delay,
            disposal: frame.dispose,
        }))
    }

    /// Whether it covers a screen of this size, and nothing else.
    fn covers(&self, screen: (usize, usize)) -> bool {
        (self.left, self.top, self.width, self.height) == (0, 0, screen.0, screen.1)
    }

    /// The pixels of a row that are on the screen, by their numbers on it. What hangs over the screen's edge is cut off.
    pub(super) fn visible(&self, row: usize, screen: (usize, usize)) -> Range<usize> {
        let width = self.width.min(screen.0.saturating_sub(self.left));
        let y = self.top + row;
        if width == 0 || y >= screen.1 {
            return 0..0;
        }
        let start = y * screen.0 + self.left;
        start..start + width
    }

    /// RGBA of every index; those beyond the palette are invisible where anything can be, else black.
    pub(super) fn colors(&self, decoder: &Decoder<Cursor<&[u8]>>) -> Result<[[u8; 4]; 256], ImageError> {
        let palette = decoder.palette().map_err(refuse)?;
        let mut colors = [[0; 4]; 256];
        for (color, &[r, g, b]) in colors.iter_mut().zip(palette.as_chunks().0) {
            *color = [r, g, b, 255];
        }
        if let Some(index) = self.transparent {
            colors[usize::from(index)][3] = 0;
        }
        Ok(colors)
    }

    /// Numbers of its rows.
    pub(super) fn rows(&self) -> Range<usize> {
        0..self.height
    }

    /// Decodes it and hands over, of each row, what is on the screen: which pixels of it, and their indexes.
    pub(super) fn decode(
        &self,
        decoder: &mut Decoder<Cursor<&[u8]>>,
        screen: (usize, usize),
        mut show: impl FnMut(Range<usize>, &[u8]),
    ) -> Result<(), ImageError> {
        if self.width == 0 {
            return Ok(());
        }
        let mut row = vec![0; self.width];
        let steps = if self.interlaced { &PASSES[..] } else { &[(0, 1)] };
        for y in steps.iter().flat_map(|&(first, step)| (first..self.height).step_by(step)) {
            if !decoder.fill_buffer(&mut row).map_err(refuse)? {
                return Err(corrupt("fewer rows than announced"));
            }
            let visible = self.visible(y, screen);
            let count = visible.len();
            show(visible, &row[..count]);
        }
        Ok(())
    }
}

/// Decodes the first frame; the screen around it is transparent, as browsers show it.
pub(super) fn decode(bytes: &[u8], claim: &Claim) -> Result<Raster, ImageError> {
    let mut decoder = open(bytes)?;
    let screen = (usize::from(decoder.width()), usize::from(decoder.height()));
    let frame = Placed::next(&mut decoder)?.ok_or_else(|| corrupt("no frame"))?;
    let full = frame.covers(screen) && frame.transparent.is_none();
    let colors = frame.colors(&decoder)?;
    let channels = if full { 3 } else { 4 };
    if (screen.0 * screen.1 * channels) as u64 > claim.decoding {
        return Err(corrupt("a screen of another size than at first sight"));
    }
    let mut data = vec![0; screen.0 * screen.1 * channels];
    frame.decode(&mut decoder, screen, |visible, row| {
        if full {
            let target = data.as_chunks_mut::<3>().0[visible].iter_mut();
            target.zip(row).for_each(|(pixel, &index)| {
                let [color @ .., _] = colors[usize::from(index)];
                *pixel = color;
            });
        } else {
            let target = data.as_chunks_mut::<4>().0[visible].iter_mut();
            target.zip(row).for_each(|(pixel, &index)| *pixel = colors[usize::from(index)]);
        }
    })?;
    let (width, height) = (screen.0 as u32, screen.1 as u32);
    Ok(if full { Raster::new(width, height, false, data) } else { Raster::from_rgba(width, height, data) })
}

pub(super) fn corrupt(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ImageError {
    ImageError::corrupt(Format::Gif, error)
}

fn refuse(error: DecodingError) -> ImageError {
    match error {
        DecodingError::MemoryLimit | DecodingError::OutOfMemory => ImageError::TooMuchMemory,
        error => corrupt(error),
    }
}
