//! Object keys: what a user's file name becomes in one, what an event's key means, where derivatives go.

use percent_encoding::percent_decode_str;

use crate::error::{Code, Failure};
use crate::format::Format;
use crate::job::JobId;

/// Where uploads live in the uploads bucket.
pub const UPLOADS_PREFIX: &str = "uploads/";

/// Where uploads live that take the road of the state machine, where one is deployed.
pub const RAW_PREFIX: &str = "raw/";

/// Longest file name that a client may give, in bytes: far beyond any file system's, and small in a row.
pub const MAX_FILENAME_BYTES: usize = 16 * 1024;

/// Longest file name in a key, in bytes: what file systems that a user copies to accept.
const MAX_FILE_NAME: usize = 255;

/// Name of an upload that came without a usable one, without its extension.
const DEFAULT_STEM: &str = "photo";

/// The key of the upload slot of `job`: `uploads/{jobId}/{name}`.
pub fn upload_key(job: JobId, filename: Option<&str>, format: Format) -> String {
    let name = safe_file_name(filename.unwrap_or_default())
        .unwrap_or_else(|| format!("{DEFAULT_STEM}.{}", format.extension()));
    format!("{UPLOADS_PREFIX}{job}/{name}")
}

/// The key of a derivative in the processed bucket.
pub fn derivative_key(job: JobId, name: &str, format: Format) -> String {
    format!("processed/{UPLOADS_PREFIX}{job}/{name}.{}", format.extension())
}

/// The file name that a client gave, as it is kept; an empty one counts as none.
pub fn given_filename(name: Option<String>) -> Result<Option<String>, Failure> {
    match name {
        Some(name) if name.len() > MAX_FILENAME_BYTES => {
            Err(Failure::client(Code::InvalidRequest, format!("filename: at most {MAX_FILENAME_BYTES} bytes")))
        }
        name => Ok(name.filter(|name| !name.is_empty())),
    }
}

/// The file name that a user gave, made safe to stand in a key and on a disk; `None` if nothing is left of it.
///
/// That is the last path segment (either slash), without control characters and invisible direction marks, without
/// leading dots and surrounding space, cut to 255 bytes with its extension kept.
pub fn safe_file_name(name: &str) -> Option<String> {
    let segment = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = segment.chars().filter(|c| !c.is_control() && !is_direction_mark(*c)).collect();
    let trimmed = visible.trim_start_matches(|c: char| c == '.' || c.is_whitespace()).trim_end();
    if trimmed.is_empty() {
        return None;
    }
    if trimmed.len() <= MAX_FILE_NAME {
        return Some(trimmed.to_owned());
    }
    let extension = match trimmed.rsplit_once('.') {
        Some((_, extension)) if (1..=10).contains(&extension.len()) => format!(".{extension}"),
        _ => String::new(),
    };
    // The cut may lay bare a space within the name.
    let stem = trimmed[..trimmed.floor_char_boundary(MAX_FILE_NAME - extension.len())].trim_end();
    Some(format!("{stem}{extension}"))
}

/// Characters that turn the text around them, so that `gpj.exe` reads as `exe.jpg`.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Why an event's key cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Decoded, the key is not UTF-8, which every S3 key is.
    #[error("the event's key is not UTF-8 once decoded")]
    NotUtf8,
}

/// The key that an S3 event names. Events write it form-encoded: `+` is a space, `%2B` a plus.
///
/// Decodes exactly once: a key may well contain what looks like an escape. A percent sign that starts no escape stands
/// for itself.
pub fn decode_event_key(encoded: &str) -> Result<String, KeyError> {
    let spaced = encoded.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| KeyError::NotUtf8)
}

/// What an object's key says about its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadKey {
    /// `uploads/{uuid}/{name}`: an upload slot's, if there is a job of that id.
    Slot(JobId),
    /// Anything else under `uploads/`, and all under `raw/`.
    Direct,
    /// A folder marker, or under neither: no photo of ours.
    Ignored,
}

/// Reads a decoded key.
pub fn classify_upload_key(key: &str) -> UploadKey {
    if key.ends_with('/') {
        return UploadKey::Ignored;
    }
    let Some(rest) = key.strip_prefix(UPLOADS_PREFIX) else {
        return if key.starts_with(RAW_PREFIX) { UploadKey::Direct } else { UploadKey::Ignored };
    };
    match rest.split_once('/').map(|(id, name)| (id.parse(), name)) {
        Some((Ok(id), name)) if !name.contains('/') => UploadKey::Slot(id),
        _ => UploadKey::Direct,
    }
}

/// The name a directly uploaded object goes by: the last segment of its key.
pub fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_the_pipeline_writes_starts_the_pipeline() {
        let id = JobId::random();
        for key in [derivative_key(id, "uploads", Format::Png), crate::results::results_key(id)] {
            assert_eq!(classify_upload_key(&key), UploadKey::Ignored, "{key}");
        }
    }

    #[test]
    fn file_names_become_safe() {
        let long = format!("{}.jpeg", "ü".repeat(300));
        let cases = [
            ("beach-sunset.jpg", Some("beach-sunset.jpg")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\photos\\cat.jpg", Some("cat.jpg")),
            ("a\r\nb\0.jpg", Some("ab.jpg")),
            (".htaccess", Some("htaccess")),
            ("..%2f", Some("%2f")),
            ("\u{202e}gpj.exe", Some("gpj.exe")),
            (" Ünï cöde+plus 100%.jpg ", Some("Ünï cöde+plus 100%.jpg")),
            ("...", None),
            ("   ", None),
            ("", None),
            ("dir/", None),
        ];
        for (name, safe) in cases {
            assert_eq!(safe_file_name(name).as_deref(), safe, "{name:?}");
        }
        let cut = safe_file_name(&long).unwrap();
        assert!(cut.len() <= 255 && cut.ends_with("ü.jpeg"));
    }

    #[test]
    fn a_name_cut_at_a_space_does_not_end_with_it() {
        let stem = "x".repeat(250);
        assert_eq!(safe_file_name(&format!("{stem}        and more")), Some(stem.clone()));
        assert_eq!(safe_file_name(&format!("{}        and more.jpeg", &stem[..248])).unwrap().len(), 248 + 5);
    }

    #[test]
    fn event_keys_decode_once() {
        let cases = [
            ("uploads/a+b%2Bc.jpg", Ok("uploads/a b+c.jpg")),
            ("uploads/%C3%9Cn%C3%AF+100%25.jpg", Ok("uploads/Ünï 100%.jpg")),
            ("uploads/%252e%252e", Ok("uploads/%2e%2e")),
            ("uploads/100%.jpg", Ok("uploads/100%.jpg")),
            ("uploads/%FF", Err(KeyError::NotUtf8)),
        ];
        for (encoded, key) in cases {
            assert_eq!(decode_event_key(encoded).as_deref(), key.as_ref().map(|k| *k), "{encoded}");
        }
    }

    #[test]
    fn keys_say_whose_they_are() {
        let id = JobId::random();
        let cases = [
            (format!("uploads/{id}/cat.jpg"), UploadKey::Slot(id)),
            (format!("uploads/{id}/deep/cat.jpg"), UploadKey::Direct),
            ("uploads/cat.jpg".into(), UploadKey::Direct),
            ("uploads/2026/trip/cat.jpg".into(), UploadKey::Direct),
            ("uploads/".into(), UploadKey::Ignored),
            ("uploads/folder/".into(), UploadKey::Ignored),
            (format!("raw/{id}/cat.jpg"), UploadKey::Direct),
            ("raw/folder/".into(), UploadKey::Ignored),
            ("processed/uploads/x.jpg".into(), UploadKey::Ignored),
            ("uploadsx/cat.jpg".into(), UploadKey::Ignored),
        ];
        for (key, expected) in cases {
            assert_eq!(classify_upload_key(&key), expected, "{key}");
        }
    }

    proptest! {
        #[test]
        fn any_name_makes_a_key_of_its_job(name in ".*") {
            let id = JobId::random();
            let key = upload_key(id, Some(&name), Format::Png);
            prop_assert_eq!(classify_upload_key(&key), UploadKey::Slot(id));
            let file = file_name(&key);
            prop_assert!((1..=255).contains(&file.len()) && !file.starts_with('.') && !file.contains(char::is_control));
        }

        #[test]
        fn any_key_survives_an_event(key in ".*") {
            let encoded: String = form_encode(&key);
            prop_assert_eq!(decode_event_key(&encoded), Ok(key));
        }
    }

    fn form_encode(key: &str) -> String {
        percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC).to_string().replace("%20", "+")
    }
}
