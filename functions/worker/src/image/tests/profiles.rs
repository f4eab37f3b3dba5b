//! Colour profiles to put into pictures.

use moxcms::ColorProfile;

pub(crate) fn display_p3() -> Vec<u8> {
    ColorProfile::new_display_p3().encode().unwrap()
}

/// A JPEG with a profile, in segments of so many bytes.
pub(crate) fn embed(jpeg: &[u8], profile: &[u8], length: usize) -> Vec<u8> {
    let count = profile.len().div_ceil(length) as u8;
    let segments: Vec<u8> =
        profile.chunks(length).zip(1..).flat_map(|(part, number)| segment(number, count, part)).collect();
    [&jpeg[..2], &segments, &jpeg[2..]].concat()
}

/// A JPEG's segment with part of a profile. The encoder's own counts from zero, which is no profile to anybody.
pub(crate) fn segment(number: u8, count: u8, part: &[u8]) -> Vec<u8> {
    let length = (16 + part.len()) as u16;
    [&[0xFF, 0xE2], &length.to_be_bytes()[..], b"ICC_PROFILE\0", &[number, count], part].concat()
}

/// A profile with a table and nothing else: L\*a\*b\* of all channels at zero, and by how much each changes it. So any way
/// to interpolate comes to the same.
fn table(space: [u8; 4], zero: [i32; 3], channels: &[[i32; 3]]) -> Vec<u8> {
    let count = channels.len();
    let mut table = [b"mft2\0\0\0\0", &[count as u8, 3, 2, 0][..]].concat();
    for n in 0..9u32 {
        table.extend(if n % 4 == 0 { 1 << 16 } else { 0u32 }.to_be_bytes());
    }
    let straight = [0, 0, 0xFF, 0xFF];
    table.extend([0, 2, 0, 2]);
    table.extend(straight.repeat(count));
    // The first channel changes slowest.
    for corner in 0..1 << count {
        let full = (0..count).filter(|n| corner >> (count - 1 - n) & 1 == 1).map(|n| channels[n]);
        let [l, a, b] = full.fold(zero, |sum, change| std::array::from_fn(|n| sum[n] + change[n]));
        table.extend(
            [l * 65_280 / 100, (a + 128) * 256, (b + 128) * 256].into_iter().flat_map(|v| (v as u16).to_be_bytes()),
        );
    }
    table.extend(straight.repeat(3));
    profile(space, &table)
}

/// A profile of version 2.4 with nothing but a table.
pub(crate) fn profile(space: [u8; 4], table: &[u8]) -> Vec<u8> {
    let start = 132 + 12;
    let mut file = ((start + table.len()) as u32).to_be_bytes().to_vec();
    file.extend(b"test\x02\x40\0\0prtr");
    file.extend([space, *b"Lab "].as_flattened());
    // A date, the signature, and further down the white point, D50.
    file.extend(b"\x07\xD0\0\x01\0\x01\0\0\0\0\0\0acsp");
    file.resize(68, 0);
    file.extend([0xF6D6u32, 0x1_0000, 0xD32D].map(u32::to_be_bytes).as_flattened());
    file.resize(128, 0);
    // One tag.
    file.extend(b"\0\0\0\x01A2B0");
    file.extend([start as u32, table.len() as u32].map(u32::to_be_bytes).as_flattened());
    file.extend(table);
    file
}

/// A press on yellowish paper.
pub(crate) fn press() -> Vec<u8> {
    table(*b"CMYK", [95, 0, 10], &[[-25, -22, -30], [-28, 40, -8], [-6, -4, 40], [-30, 0, -5]])
}

/// A scanner that has its colours mixed up.
pub(crate) fn scanner() -> Vec<u8> {
    table(*b"RGB ", [10, 10, -10], &[[20, -40, 20], [30, 50, 10], [35, -10, -30]])
}
