//! Files of every format, of any size and full of noise.

use std::io::Cursor;

use super::profiles::profile;

/// Bytes that no encoder makes small, the same each time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

pub(crate) fn jpeg(width: usize, height: usize, progressive: bool) -> Vec<u8> {
    let mut settings = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
    settings.set_fastest_defaults();
    settings.set_size(width, height);
    if progressive {
        settings.set_progressive_mode();
    }
    let mut encoder = settings.start_compress(Vec::new()).unwrap();
    encoder.write_scanlines(&noise(width * height * 3)).unwrap();
    encoder.finish().unwrap()
}

/// Four inks.
pub(crate) fn cmyk(width: usize, height: usize) -> Vec<u8> {
    let mut settings = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_CMYK);
    settings.set_fastest_defaults();
    settings.set_size(width, height);
    let mut encoder = settings.start_compress(Vec::new()).unwrap();
    encoder.write_scanlines(&noise(width * height * 4)).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn png(width: u32, height: u32, color: png::ColorType, depth: png::BitDepth) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    encoder.set_compression(png::Compression::Fast);
    let bytes = width as usize * height as usize * color.samples() * depth as usize / 8;
    encoder.write_header().unwrap().write_image_data(&noise(bytes)).unwrap();
    out
}

/// A PNG whose channels have no values but the least and the most, of which encoders of photos make more than of any other noise.
pub(crate) fn black_and_white(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    let values: Vec<u8> = noise((width * height * 3) as usize).iter().map(|value| (value >> 7) * 255).collect();
    encoder.write_header().unwrap().write_image_data(&values).unwrap();
    out
}

pub(crate) fn gif(width: u16, height: u16, transparent: Option<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let palette: Vec<u8> = (0..=255).flat_map(|shade| [shade, 255 - shade, shade]).collect();
    let buffer = noise(usize::from(width) * usize::from(height)).into();
    let frame = gif::Frame { width, height, buffer, transparent, ..gif::Frame::default() };
    gif::Encoder::new(&mut out, width, height, &palette).unwrap().write_frame(&frame).unwrap();
    out
}

/// Frames that have colours of their own, and vanish here and there.
pub(crate) fn animation(width: u16, height: u16, count: usize, disposal: gif::DisposalMethod) -> Vec<u8> {
    let mut encoder = gif::Encoder::new(Vec::new(), width, height, &[]).unwrap();
    let pixels = noise(usize::from(width) * usize::from(height) * 2);
    for number in 0..count {
        let palette = noise(768 * (number + 1)).split_off(768 * number);
        let buffer = pixels[number * 31..][..pixels.len() / 2].into();
        let transparent = Some(number as u8);
        let frame = gif::Frame { width, height, buffer, transparent, palette: Some(palette), ..gif::Frame::default() };
        encoder.write_frame(&gif::Frame { dispose: disposal, ..frame }).unwrap();
    }
    encoder.into_inner().unwrap()
}

pub(crate) fn bmp(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let color = image::ExtendedColorType::Rgb8;
    let pixels = noise((width * height * 3) as usize);
    image::codecs::bmp::BmpEncoder::new(&mut out).encode(&pixels, width, height, color).unwrap();
    out
}

pub(crate) fn tiff<C: tiff::encoder::colortype::ColorType>(
    width: u32,
    height: u32,
    sample: impl Fn(u8) -> C::Inner,
) -> Vec<u8>
where
    [C::Inner]: tiff::encoder::TiffValue,
{
    let mut out = Cursor::new(Vec::new());
    let samples = width as usize * height as usize * C::BITS_PER_SAMPLE.len();
    let samples: Vec<C::Inner> = noise(samples).into_iter().map(sample).collect();
    tiff::encoder::TiffEncoder::new(&mut out).unwrap().write_image::<C>(width, height, &samples).unwrap();
    out.into_inner()
}

/// A TIFF without compression, white on one channel and noise on several, which stand pixel by pixel or one plane after another.
pub(crate) fn bare_tiff(width: u32, height: u32, depth: u32, samples: u32, planar: bool) -> Vec<u8> {
    let planes = if planar { samples } else { 1 };
    let plane = (width * (samples / planes) * depth).div_ceil(8) * height;
    let (depths, offsets, lengths, directory, pixels) = (8u32, 16u32, 32u32, 48u32, 176u32);
    let several = |count: u32, value: u32, place: u32| if count == 1 { value } else { place };
    let mut file = [&b"II*\0"[..], &directory.to_le_bytes()].concat();
    file.extend([depth as u16; 4].map(u16::to_le_bytes).as_flattened());
    (0..4).for_each(|n| file.extend((pixels + n * plane).to_le_bytes()));
    (0..4).for_each(|_| file.extend(plane.to_le_bytes()));
    file.extend(10u16.to_le_bytes());
    for (tag, kind, count, value) in [
        (256u16, 4u16, 1, width),
        (257, 4, 1, height),
        (258, 3, samples, several(samples, depth, depths)),
        (259, 3, 1, 1),
        (262, 3, 1, if samples == 1 { 1 } else { 2 }),
        (273, 4, planes, several(planes, pixels, offsets)),
        (277, 3, 1, samples),
        (278, 4, 1, height),
        (279, 4, planes, several(planes, plane, lengths)),
        (284, 3, 1, if planar { 2 } else { 1 }),
    ] {
        file.extend([&tag.to_le_bytes()[..], &kind.to_le_bytes()].concat());
        file.extend([count.to_le_bytes(), value.to_le_bytes()].as_flattened());
    }
    file.resize(pixels as usize, 0);
    let length = (plane * planes) as usize;
    file.extend(if samples == 1 { vec![0xFF; length] } else { noise(length) });
    file
}

/// A press measured in 33 steps of each ink, which makes 3.6 MB.
pub(crate) fn finely_measured_press() -> Vec<u8> {
    let mut table = b"mft1\0\0\0\0\x04\x03\x21\0".to_vec();
    table.resize(48, 0);
    table.extend((0..4 * 256 + 33usize.pow(4) * 3 + 3 * 256).map(|n| (n % 251) as u8));
    profile(*b"CMYK", &table)
}
