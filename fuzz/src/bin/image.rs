//! Photos: a file's header, and then its pixels, of an animation those of every frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::error::Code;
use shared::format::Format;

#[allow(dead_code, unused_imports, reason = "photos are decoded here, and little is made of them")]
#[path = "../../../functions/worker/src/image/mod.rs"]
mod image;

use self::image::{Animation, Header, ImageError, Photo, Scale, Watermarker, Watermarks, render};

/// Small, so that a file which claims much costs little; the limits are the same at every size.
const MAX_PIXELS: u64 = 1 << 18;

/// Pixels of all frames together that are gone through: more of them are only slower.
const MAX_MOVING_PIXELS: u64 = 1 << 20;

/// Keeps the frames of an animation, in either format.
const MOVING: &str = r#"[{"name":"a","watermark":false,"resize":{"width":16}},
    {"name":"b","watermark":false,"resize":{"width":16},"format":"webp"}]"#;

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
            move_on(bytes, &header, photo);
        }
        Err(error) => {
            let codes = [Code::EmptyFile, Code::UnsupportedFormat, Code::CorruptImage, Code::ImageTooLarge];
            assert!(codes.contains(&error.code()), "{error}");
        }
    }
});

fn move_on(bytes: &[u8], header: &Header, photo: Photo) {
    let recipe = serde_json::from_str(MOVING).expect("a recipe");
    let Ok(Some(animation)) = Animation::of(bytes.to_vec(), header, Some(&recipe)) else { return };
    if animation.pixels() > MAX_MOVING_PIXELS {
        return;
    }
    let text = "x".to_owned().try_into().expect("a text");
    let watermarker = Watermarker::new(Watermarks { text, images: [].into() });
    let mut made = 0;
    let outcome = render(photo, Some(&animation), &recipe, &watermarker, 1 << 20, |rendered| {
        made += 1;
        let header = Header::read(&rendered.bytes, MAX_PIXELS)?;
        assert_eq!((header.claim.width, header.claim.height), (rendered.width, rendered.height));
        Ok::<_, ImageError>(())
    });
    match outcome {
        Ok(()) => assert_eq!(made, 2),
        Err(error) => assert!([Code::CorruptImage, Code::ImageTooLarge].contains(&error.code()), "{error}"),
    }
}
