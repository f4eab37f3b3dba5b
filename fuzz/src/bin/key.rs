//! Object keys as S3 events write them, and the file names that keys are made of.
#![no_main]

use libfuzzer_sys::fuzz_target;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shared::format::Format;
use shared::job::JobId;
use shared::key::{
    RAW_PREFIX, UPLOADS_PREFIX, UploadKey, classify_upload_key, decode_event_key, safe_file_name, upload_key,
};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    survives_an_event(&text);
    if let Ok(key) = decode_event_key(&text) {
        survives_an_event(&key);
        belongs_where_it_says(&key);
    }
    makes_a_safe_name(&text);
});

fn survives_an_event(key: &str) {
    let encoded = utf8_percent_encode(key, NON_ALPHANUMERIC).to_string().replace("%20", "+");
    assert_eq!(decode_event_key(&encoded).as_deref(), Ok(key));
}

fn belongs_where_it_says(key: &str) {
    let segments: Vec<&str> = key.split('/').collect();
    match classify_upload_key(key) {
        UploadKey::Slot(id) => {
            let [folder, slot, name] = segments[..] else { panic!("a slot holds one file") };
            assert_eq!((folder, slot.to_ascii_lowercase()), ("uploads", id.to_string()));
            assert!(!name.is_empty());
        }
        UploadKey::Direct => assert!(is_below(key) && !key.ends_with('/')),
        UploadKey::Ignored => assert!(!is_below(key) || key.ends_with('/')),
    }
}

fn is_below(key: &str) -> bool {
    key.starts_with(UPLOADS_PREFIX) || key.starts_with(RAW_PREFIX)
}

fn makes_a_safe_name(given: &str) {
    if let Some(name) = safe_file_name(given) {
        assert!((1..=255).contains(&name.len()));
        assert!(!name.starts_with('.') && !name.contains(['/', '\\']) && !name.contains(char::is_control));
        assert_eq!(safe_file_name(&name).as_deref(), Some(&*name), "a safe name is its own safe name");
    }
    let id = JobId::derived("bucket", given, "version");
    assert_eq!(classify_upload_key(&upload_key(id, Some(given), Format::Png)), UploadKey::Slot(id));
}
