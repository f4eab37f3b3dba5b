//! What a file is, judged by its first bytes. Names and declared types are claims; bytes are what a decoder meets.

use shared::format::Format;

use super::ImageError;

/// Bytes at the start of a file that are looked at for text.
const TEXT_WINDOW: usize = 1024;

/// Tells which of the six formats these bytes are, or names what they are instead.
pub(crate) fn sniff(bytes: &[u8]) -> Result<Format, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Ok(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(Format::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Format::Webp),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Format::Gif),
        // Text may begin with BM too; a bitmap goes on with the length of its second header.
        [b'B', b'M', _, _, _, _, _, _, _, _, _, _, _, _, 12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0, ..] => {
            Ok(Format::Bmp)
        }
        [b'I', b'I', 42, 0, _, _, _, _, b'C', b'R', ..] => Err(unsupported("Canon raw")),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Format::Tiff),
        _ => Err(unsupported(name(bytes))),
    }
}

fn unsupported(detected: &'static str) -> ImageError {
    ImageError::UnsupportedFormat { detected }
}

/// A name for what is no image we read, in words that a user of such a file would know.
fn name(bytes: &[u8]) -> &'static str {
    const SIGNATURES: &[(usize, &[u8], &str)] = &[
        (0, b"%PDF-", "PDF"),
        (0, b"8BPS", "Photoshop (PSD)"),
        (0, b"\x00\x00\x01\x00", "Windows icon (ICO)"),
        (0, b"\x00\x00\x02\x00", "Windows cursor (CUR)"),
        (0, b"\xFF\x0A", "JPEG XL"),
        (4, b"JXL \r\n\x87\n", "JPEG XL"),
        (4, b"jP  \r\n\x87\n", "JPEG 2000"),
        (0, b"\xFF\x4F\xFF\x51", "JPEG 2000"),
        (0, b"PK\x03\x04", "ZIP"),
        (0, b"PK\x05\x06", "ZIP"),
        (0, b"\x1F\x8B", "gzip"),
        (0, b"7z\xBC\xAF\x27\x1C", "7-Zip"),
        (0, b"Rar!\x1A\x07", "RAR"),
        (0, b"%!PS", "PostScript"),
        (0, b"gimp xcf", "GIMP (XCF)"),
        (0, b"qoif", "QOI"),
        (0, b"DDS ", "DDS"),
        (0, b"\x76\x2F\x31\x01", "OpenEXR"),
        (0, b"#?RADIANCE", "Radiance HDR"),
        (0, b"\x1A\x45\xDF\xA3", "Matroska or WebM"),
        (8, b"AVI ", "AVI"),
        (8, b"WAVE", "WAV"),
        (0, b"OggS", "Ogg"),
        (0, b"ID3", "MP3"),
        (0, b"\x7FELF", "a program"),
        (0, b"FUJIFILMCCD-RAW", "Fujifilm raw"),
        (0, b"IIRO", "Olympus raw"),
        (0, b"IIU\0", "Panasonic raw"),
    ];
    if bytes.get(4..8) == Some(b"ftyp") {
        return iso_media(bytes);
    }
    let starts = |&&(at, magic, _): &&(usize, &[u8], &str)| bytes.get(at..at + magic.len()) == Some(magic);
    if let Some((.., name)) = SIGNATURES.iter().find(starts) {
        return name;
    }
    text(bytes).unwrap_or("of an unknown type")
}

/// ISO base media files say in their first box what they are and what else they can be read as.
fn iso_media(bytes: &[u8]) -> &'static str {
    let length = bytes.first_chunk().map_or(0, |length| u32::from_be_bytes(*length)) as usize;
    let head = &bytes[..length.clamp(8, bytes.len()).min(256)];
    let (brands, _) = head.get(8..).unwrap_or_default().as_chunks::<4>();
    let has = |wanted: &[&[u8; 4]]| brands.iter().any(|brand| wanted.contains(&brand));
    if has(&[b"avif", b"avis"]) {
        "AVIF"
    } else if has(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) {
        "HEIC"
    } else if has(&[b"crx "]) {
        "Canon raw"
    } else if has(&[b"qt  "]) {
        "QuickTime"
    } else {
        "MP4"
    }
}

/// The kind of a text, if the file begins like one.
fn text(bytes: &[u8]) -> Option<&'static str> {
    let window = &bytes[..bytes.len().min(TEXT_WINDOW)];
    let start = match std::str::from_utf8(window) {
        Ok(text) => text,
        // The window may end inside a character; anything worse is no UTF-8.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&window[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    if start.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0C')) {
        return None;
    }
    let start = start.trim_start_matches('\u{FEFF}').trim_start().to_ascii_lowercase();
    let svg = start.starts_with("<svg") || start.starts_with("<!doctype svg");
    Some(if svg || (start.starts_with("<?xml") || start.starts_with("<!--")) && start.contains("<svg") {
        "SVG"
    } else if start.starts_with("<?xml") {
        "XML"
    } else if start.starts_with("<!doctype html") || start.starts_with("<html") {
        "HTML"
    } else {
        "text"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<Format, &str>) {
        match (sniff(bytes), expected) {
            (Ok(format), Ok(expected)) => assert_eq!(format, expected),
            (Err(ImageError::UnsupportedFormat { detected }), Err(expected)) => assert_eq!(detected, expected),
            (got, _) => panic!("{bytes:?}: {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn the_six_formats_are_known_by_content() {
        check(b"\xFF\xD8\xFF\xE0", Ok(Format::Jpeg));
        check(b"\x89PNG\r\n\x1A\n", Ok(Format::Png));
        check(b"RIFF\0\0\0\0WEBPVP8 ", Ok(Format::Webp));
        check(b"GIF87a", Ok(Format::Gif));
        check(b"GIF89a", Ok(Format::Gif));
        check(b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0", Ok(Format::Bmp));
        check(b"II*\0\x08\0\0\0", Ok(Format::Tiff));
        check(b"MM\0*\0\0\0\x08", Ok(Format::Tiff));
        check(b"II+\0\x08\0\0\0", Ok(Format::Tiff));
    }

    #[test]
    fn everything_else_is_named() {
        check(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Err("HEIC"));
        check(b"\0\0\0\x1Cftypmif1\0\0\0\0mif1avifmiaf", Err("AVIF"));
        check(b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", Err("MP4"));
        check(b"\0\0\0\x0CJXL \r\n\x87\n", Err("JPEG XL"));
        check(b"%PDF-1.7\n", Err("PDF"));
        check(b"PK\x03\x04", Err("ZIP"));
        check(b"\0\0\x01\0\x01\0", Err("Windows icon (ICO)"));
        check(b"8BPS\0\x01", Err("Photoshop (PSD)"));
        check(b"<svg xmlns='x'/>", Err("SVG"));
        check(b"\xEF\xBB\xBF <?xml version='1.0'?>\n<!-- a --> <SVG>", Err("SVG"));
        check(b"<?xml version='1.0'?><note/>", Err("XML"));
        check(b"<!DOCTYPE html><img onerror=x>", Err("HTML"));
        check(b"BM is how this letter begins", Err("text"));
        check("x".repeat(1023).as_bytes(), Err("text"));
        check(&["x".repeat(1023).as_bytes(), "é".as_bytes()].concat(), Err("text"));
        check(b"\x01\x02\x03\xFF\xFE", Err("of an unknown type"));
        check(b"\xFF", Err("of an unknown type"));
        assert!(matches!(sniff(b""), Err(ImageError::Empty)));
    }
}
