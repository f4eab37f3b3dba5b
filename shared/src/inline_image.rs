//! A photo as base64 in a request's body, as an older client sends it to `POST /image` and `POST /classify`.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::error::{Code, Failure};
use crate::format::Format;
use crate::http::{Response, json};
use crate::key;
use crate::object::Object;

/// Largest photo in a body: its base64 has to fit a Lambda event, 6 MB with everything around it.
const MAX_INLINE_BYTES: usize = 4_500_000;

/// Padding is optional, as in what browsers and older clients send.
const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
struct ImageBody {
    image: Option<String>,
    filename: Option<String>,
}

/// A photo that came in a body.
#[derive(Debug)]
pub struct InlineImage {
    /// The photo's bytes; at least one.
    pub bytes: Vec<u8>,
    /// The name that came with it.
    pub filename: Option<String>,
    /// What the name, or else the data URL, says it is.
    pub format: Format,
}

/// Why a body holds no photo.
#[derive(Debug)]
pub enum InlineImageError {
    /// There is no `image` in it. The older contract has an answer of its own for this: [`missing`].
    Missing,
    /// What is there cannot be used.
    Refused(Failure),
}

/// The older contract's answer to a body without an image.
pub fn missing() -> Response {
    json(StatusCode::BAD_REQUEST, &json!({ "error": "Missing image data in request." }))
}

/// Reads a body.
pub fn read(body: &[u8]) -> Result<InlineImage, InlineImageError> {
    let refuse = |code, message: &str| InlineImageError::Refused(Failure::client(code, message));
    if body.trim_ascii().is_empty() {
        return Err(InlineImageError::Missing);
    }
    let no_object = || refuse(Code::InvalidRequest, "the body is not a JSON object with an image");
    // Whatever content type it comes as: older clients were never asked for one.
    let Object(body): Object<ImageBody> = serde_json::from_slice(body).map_err(|_| no_object())?;
    let filename = key::given_filename(body.filename).map_err(InlineImageError::Refused)?;
    let text = body.image.filter(|image| !image.is_empty()).ok_or(InlineImageError::Missing)?;
    let (media_type, encoded) = split_data_url(&text);
    let encoded: Vec<u8> = encoded.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if encoded.len() / 4 * 3 > MAX_INLINE_BYTES {
        let message = "the image is too large for a request body; ask POST /uploads for a URL and PUT it there";
        return Err(refuse(Code::PayloadTooLarge, message));
    }
    let bytes =
        LENIENT_BASE64.decode(&encoded).map_err(|_| refuse(Code::InvalidRequest, "the image is not valid base64"))?;
    if bytes.is_empty() {
        return Err(InlineImageError::Missing);
    }
    let named = filename.as_deref().and_then(Format::from_file_name);
    let format = named.or_else(|| media_type.and_then(Format::from_media_type));
    let format = format.filter(|format| format.is_read()).unwrap_or(Format::Jpeg);
    Ok(InlineImage { bytes, filename, format })
}

/// Splits `data:image/png;base64,…` into its media type and its data; anything else is data.
fn split_data_url(text: &str) -> (Option<&str>, &str) {
    text.strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"))
        .map_or((None, text), |(media_type, data)| (Some(media_type), data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::MAX_FILENAME_BYTES;

    #[test]
    fn an_image_is_read_with_and_without_a_prefix() {
        for body in [
            r#"{"image":"aGVsbG8="}"#,
            r#"{"image":"aGVs\nbG8"}"#,
            r#"{"image":"data:image/png;base64,aGVsbG8=","filename":"x"}"#,
        ] {
            assert_eq!(read(body.as_bytes()).unwrap().bytes, b"hello", "{body}");
        }
    }

    #[test]
    fn a_missing_image_is_answered_word_for_word() {
        for body in ["", "{}", r#"{"image":null}"#, r#"{"image":""}"#, r#"{"image":"data:image/png;base64,"}"#] {
            assert!(matches!(read(body.as_bytes()), Err(InlineImageError::Missing)), "{body}");
        }
        assert_eq!(missing().status(), 400);
        assert_eq!(missing().body(), r#"{"error":"Missing image data in request."}"#);
    }

    #[test]
    fn what_does_not_decode_is_refused() {
        let long_name = format!(r#"{{"image":"aGVsbG8=","filename":"{}"}}"#, "x".repeat(MAX_FILENAME_BYTES + 1));
        let large = format!(r#"{{"image":"{}"}}"#, "A".repeat(6_000_004));
        for (body, expected) in [
            ("[", Code::InvalidRequest),
            (r#"["aGVsbG8="]"#, Code::InvalidRequest),
            (&long_name, Code::InvalidRequest),
            (r#"{"image":"%%%"}"#, Code::InvalidRequest),
            (r#"{"image":7}"#, Code::InvalidRequest),
            (&large, Code::PayloadTooLarge),
        ] {
            match read(body.as_bytes()) {
                Err(InlineImageError::Refused(Failure::Client { code, .. })) => assert_eq!(code, expected),
                other => panic!("{other:?}"),
            }
        }
    }
}
