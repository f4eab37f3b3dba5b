//! Colour profiles: from the colours that a file is in to sRGB, which everything after decoding takes for granted.
//!
//! Which profile counts, and how, is as in browsers, so that a derivative looks like its source beside it: of a LUT
//! profile the perceptual table, else the colorimetric one (Chrome and Firefox take the perceptual one whatever the
//! profile's header wishes), without black point compensation. A profile that cannot be read, or that is of another
//! kind of colours than the pixels, is ignored, and they are taken as sRGB.
//!
//! Each format says where its profile is; `moxcms` reads it and converts. Of a hostile profile it would believe too much
//! (each of a million descriptions may be the same megabyte), so it is shown a profile with nothing but the few tags that
//! colours need, each once. Absent here: what PNG says of its colours without a profile (`cICP`, `gAMA`, `cHRM`), the
//! profiles that a BMP may hold, and the tone curves for HDR that a profile may name beside its own.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use flate2::read::ZlibDecoder;
use moxcms::{
    ColorProfile, DataColorSpace, Layout, ParsingOptions, ProfileClass, RenderingIntent, Transform8BitExecutor,
    TransformOptions,
};
use shared::format::Format;

use super::raster::{Raster, Samples};
use super::{ifd, jpeg, png, webp};

/// Longest profile that is read, in bytes. Those of printing presses have up to three million.
const LONGEST: usize = 4 << 20;

/// How many times its length a profile may inflate to. Of those that come with operating systems and Ghostscript none
/// exceeds 6; deflate's bound is 1032.
const INFLATION: usize = 32;

/// Bytes that are allocated for each byte of a profile at once, at most: the profile itself, a table as it is stored (its
/// grid and its curves may be the same bytes), and the grid as floats.
const MEMORY_PER_BYTE: u64 = 8;

/// What a conversion takes besides, in bytes: tables of fixed sizes, of which the largest are 17⁴ and 33³ colours.
const OVERHEAD: u64 = 8 << 20;

/// Length of a profile's header, with the number of its tags.
const HEADER: usize = 132;

/// Length of a tag's signature, place and length.
const TAG: usize = 12;

/// The tags that say what colours are; of the tables, the first that is there counts.
const CURVES: [&[u8; 4]; 7] = [b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC"];
const TABLES: [&[u8; 4]; 2] = [b"A2B0", b"A2B1"];

/// Pixels converted at a time.
const AT_ONCE: usize = 4096;

/// By how much a conversion may change a channel and still not be worth it.
const UNSEEN: u8 = 1;

/// A profile as it stands in a file.
pub(super) struct Profile<'a> {
    /// Its bytes, in order.
    pub(super) parts: Vec<&'a [u8]>,
    /// Whether they are deflated.
    pub(super) deflated: bool,
    /// Whether the file's pixels are four inks.
    pub(super) inks: bool,
}

impl<'a> Profile<'a> {
    fn find(bytes: &'a [u8], format: Format) -> Option<Self> {
        match format {
            Format::Jpeg => jpeg::profile(bytes),
            Format::Png => png::profile(bytes).map(|part| Self { parts: vec![part], deflated: true, inks: false }),
            Format::Webp => webp::profile(bytes).map(|part| Self { parts: vec![part], deflated: false, inks: false }),
            Format::Tiff => ifd::profile(bytes),
            Format::Gif | Format::Bmp | Format::Avif => None,
        }
    }

    /// The most bytes it can have.
    fn length(&self) -> usize {
        let length = self.parts.iter().map(|part| part.len()).sum::<usize>();
        length.saturating_mul(if self.deflated { INFLATION } else { 1 }).min(LONGEST)
    }

    /// As many bytes as it says that it has; none, if those are too many, or more than there are.
    fn open(&self) -> Option<Vec<u8>> {
        let longest = self.length();
        match self.parts[..] {
            [deflated] if self.deflated => claimed(ZlibDecoder::new(deflated), longest),
            [whole] => claimed(whole, longest),
            _ => claimed(&self.parts.concat()[..], longest),
        }
    }
}

/// Reads a profile by the length at its start.
fn claimed(mut stream: impl Read, longest: usize) -> Option<Vec<u8>> {
    let mut start = [0; 4];
    stream.read_exact(&mut start).ok()?;
    let length = u32::from_be_bytes(start) as usize;
    if !(HEADER..=longest).contains(&length) {
        return None;
    }
    let mut profile = vec![0; length];
    profile[..4].copy_from_slice(&start);
    stream.read_exact(&mut profile[4..]).ok()?;
    Some(profile)
}

/// Leaves only the tags that colours need, each once.
fn pare(profile: &mut [u8]) {
    let grey = profile[16..20] == *b"GRAY";
    let (header, tags) = profile.split_at_mut(HEADER);
    let count = header.last_chunk_mut::<4>().expect("a header is longer than that");
    let table = &tags.as_chunks::<TAG>().0;
    let table = &table[..table.len().min(u32::from_be_bytes(*count) as usize)];
    let first = |name: &&[u8; 4]| table.iter().find(|tag| tag.starts_with(*name)).copied();
    let tables = if grey { &[] } else { &TABLES[..] };
    let kept: Vec<[u8; TAG]> = CURVES.iter().filter_map(first).chain(tables.iter().find_map(first)).collect();
    *count = (kept.len() as u32).to_be_bytes();
    tags[..kept.len() * TAG].copy_from_slice(kept.as_flattened());
}

/// Bytes that the profile of a file has, at most; none if there is none.
pub(super) fn length(bytes: &[u8], format: Format) -> u64 {
    Profile::find(bytes, format).map_or(0, |profile| profile.length() as u64)
}

/// Most memory that is taken for a profile of this length, in bytes.
pub(super) fn memory(length: u64) -> u64 {
    if length == 0 { 0 } else { length * MEMORY_PER_BYTE + OVERHEAD }
}

/// Converts what a file was decoded to, unless its pixels are inks: they are no longer in the profile's colours.
pub(super) fn to_srgb(raster: &mut Raster, bytes: &[u8], format: Format) {
    let Some(profile) = read(bytes, format, false) else { return };
    match profile.color_space {
        DataColorSpace::Gray if raster.is_grey() => convert_shades(raster, &profile),
        // Grey pixels are colours as well.
        DataColorSpace::Rgb => convert_colors(raster, &profile),
        _ => {}
    }
}

fn convert_shades(raster: &mut Raster, profile: &ColorProfile) {
    let shades: Vec<u8> = (0..=255).collect();
    let Some((_, converted)) = conversion(profile, Layout::Gray, Layout::Rgb, &shades) else { return };
    let converted = converted.as_chunks::<3>().0;
    if shades.iter().zip(converted).all(|(&shade, color)| unseen(&[shade; 3], color)) {
        return;
    }
    match raster.channels() {
        3 => raster
            .bytes_mut()
            .as_chunks_mut::<3>()
            .0
            .iter_mut()
            .for_each(|pixel| *pixel = converted[usize::from(pixel[0])]),
        _ => raster
            .bytes_mut()
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .for_each(|[r, g, b, _]| [*r, *g, *b] = converted[usize::from(*r)]),
    }
}

fn convert_colors(raster: &mut Raster, profile: &ColorProfile) {
    let colors = grid(3, 17);
    let Some((mut transform, converted)) = conversion(profile, Layout::Rgb, Layout::Rgb, &colors) else { return };
    // Most profiles are sRGB's own.
    if unseen(&colors, &converted) {
        return;
    }
    let channels = raster.channels();
    if raster.has_alpha() {
        let Some(other) = conversion(profile, Layout::Rgba, Layout::Rgba, &[0; 4]) else { return };
        transform = other.0;
    }
    let mut before = vec![0; AT_ONCE * channels];
    for part in raster.bytes_mut().chunks_mut(before.len()) {
        let before = &mut before[..part.len()];
        before.copy_from_slice(part);
        transform.transform(before, part).expect("whole pixels, as many on both sides");
    }
}

/// What becomes of four inks: colours by the file's profile, or else what they leave of white paper.
pub(super) struct Inks(Option<Arc<Transform8BitExecutor>>);

impl Inks {
    /// For the pixels of this file.
    pub(super) fn of(bytes: &[u8], format: Format) -> Self {
        let profile = read(bytes, format, true).filter(|profile| profile.color_space == DataColorSpace::Cmyk);
        let converted = profile.and_then(|profile| conversion(&profile, Layout::Rgba, Layout::Rgb, &grid(4, 51)));
        Self(converted.map(|(transform, _)| transform))
    }

    /// Appends whole pixels to `out` as RGB.
    pub(super) fn append(&self, kind: Samples, inks: &[u8], out: &mut Vec<u8>) {
        let Some(transform) = &self.0 else { return kind.append(inks, out) };
        let mut amounts = vec![0; AT_ONCE * 4];
        for part in inks.chunks(amounts.len()) {
            let amounts = &mut amounts[..part.len()];
            let inverted = if kind == Samples::InvertedCmyk { u8::MAX } else { 0 };
            amounts.iter_mut().zip(part).for_each(|(amount, &sample)| *amount = sample ^ inverted);
            let start = out.len();
            out.resize(start + part.len() / 4 * 3, 0);
            transform.transform(amounts, &mut out[start..]).expect("whole pixels, as many on both sides");
        }
    }
}

/// The file's profile, if it is one of devices, and the pixels are inks or not, as expected.
fn read(bytes: &[u8], format: Format, inks: bool) -> Option<ColorProfile> {
    let mut profile = Profile::find(bytes, format).filter(|profile| profile.inks == inks)?.open()?;
    pare(&mut profile);
    let options = ParsingOptions { max_profile_size: LONGEST + 1, ..ParsingOptions::default() };
    let mut profile = attempt(|| ColorProfile::new_from_slice_with_options(&profile, options).ok())?;
    // Only what is taken for perceptual is used.
    profile.lut_a_to_b_perceptual = profile.lut_a_to_b_perceptual.or(profile.lut_a_to_b_colorimetric.take());
    let of_a_device =
        [ProfileClass::InputDevice, ProfileClass::DisplayDevice, ProfileClass::OutputDevice, ProfileClass::ColorSpace];
    of_a_device.contains(&profile.profile_class).then_some(profile)
}

/// A conversion to sRGB, and what it makes of `samples`.
fn conversion(
    profile: &ColorProfile,
    from: Layout,
    to: Layout,
    samples: &[u8],
) -> Option<(Arc<Transform8BitExecutor>, Vec<u8>)> {
    let options = TransformOptions {
        rendering_intent: RenderingIntent::Perceptual,
        allow_use_cicp_transfer: false,
        ..TransformOptions::default()
    };
    attempt(|| {
        let transform = profile.create_transform_8bit(from, &ColorProfile::new_srgb(), to, options).ok()?;
        let mut converted = vec![0; samples.len() / from.channels() * to.channels()];
        transform.transform(samples, &mut converted).ok()?;
        Some((transform, converted))
    })
}

/// Every combination of values that lie so far apart.
fn grid(channels: u32, step: usize) -> Vec<u8> {
    let values: Vec<u8> = (0..=255).step_by(step).collect();
    let count = values.len();
    let color = |n: usize| (0..channels).map(move |channel| n / count.pow(channel) % count);
    (0..count.pow(channels)).flat_map(color).map(|n| values[n]).collect()
}

fn unseen(before: &[u8], after: &[u8]) -> bool {
    before.iter().zip(after).all(|(before, after)| before.abs_diff(*after) <= UNSEEN)
}

/// What the library makes of hostile bytes; nothing, if that is a panic.
fn attempt<T>(work: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok().flatten()
}
