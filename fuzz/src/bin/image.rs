//! Photos: a file's header, and then its pixels.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::error::Code;
use shared::format::Format;

#[allow(dead_code, unused_imports, reason = "photos are decoded here, and nothing is made of them")]
#[path = "../../../functions/worker/src/image/mod.rs"]
mod image;

use self::image::{Header, Photo, Scale};

/// Small, so that a file which claims much costs little; the limits are the same at every size.
const MAX_PIXELS: u64 = 1 << 18;

fuzz_target!(|bytes: &[u8]| {
    // Any of them, whatever is made of the photo.
    let scale = Scale::ALL[bytes.len() % Scale::ALL.len()];
    let decoded =
        Header::read(bytes, MAX_PIXELS).and_then(|header| Ok((header, Photo::decode(bytes, &header, scale)?)));
    match decoded {
        Ok((header, photo)) => {
            let (width, height) = (photo.width(), photo.height());
            assert!(width > 0 && height > 0 && u64::from(width) * u64::from(height) <= MAX_PIXELS);
            // Of a GIF or a WebP the header tells the larger one of canvas and frame.
            if !matches!(header.format, Format::Gif | Format::Webp) {
                assert!([(width, height), (height, width)].contains(&(header.claim.width, header.claim.height)));
            }
        }
        Err(error) => {
            let codes = [Code::EmptyFile, Code::UnsupportedFormat, Code::CorruptImage, Code::ImageTooLarge];
            assert!(codes.contains(&error.code()), "{error}");
        }
    }
});
