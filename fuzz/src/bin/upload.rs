//! Bodies of `POST /uploads`, `/uploads/batch` and `/image`.
#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use shared::callback::CallbackHosts;
use shared::error::Failure;
use shared::http::parse_body;
use shared::inline_image::{self, InlineImageError};

#[allow(dead_code, reason = "what is read is not carried out here")]
#[path = "../../../functions/request-upload/src/request.rs"]
mod request;

use request::{BatchBody, Limits, Upload, UploadBody};

const MAX_UPLOAD_BYTES: u64 = 25 << 20;

fuzz_target!(|bytes: &[u8]| {
    let headers = HeaderMap::new();
    let callback_hosts = CallbackHosts { hosts: vec!["*.example.com".parse().expect("a host")], private: false };
    let limits = Limits { max_upload_bytes: MAX_UPLOAD_BYTES, callback_hosts: &callback_hosts };
    match parse_body::<UploadBody>(&headers, bytes).and_then(|body| body.check(limits)) {
        Ok(upload) => is_within_limits(&upload),
        Err(failure) => is_the_clients(&failure),
    }
    match parse_body::<BatchBody>(&headers, bytes).and_then(|body| body.check(limits)) {
        Ok(uploads) => {
            assert!((1..=100).contains(&uploads.len()));
            uploads.iter().for_each(is_within_limits);
        }
        Err(failure) => is_the_clients(&failure),
    }
    match inline_image::read(bytes) {
        Ok(image) => assert!(!image.bytes.is_empty()),
        Err(InlineImageError::Missing) => {}
        Err(InlineImageError::Refused(failure)) => is_the_clients(&failure),
    }
});

fn is_within_limits(upload: &Upload) {
    let Upload { filename, format: _, size, checksum_sha256, recipe, metadata, callback_url } = upload;
    assert!(filename.as_ref().is_none_or(|name| !name.is_empty()));
    assert!(callback_url.as_ref().is_none_or(|url| url.starts_with("https://")));
    assert!(size.is_none_or(|size| (1..=MAX_UPLOAD_BYTES).contains(&size)));
    // It becomes a header's value.
    assert!(checksum_sha256.as_ref().is_none_or(|hash| hash.len() == 44 && hash.is_ascii()));
    assert!(recipe.as_ref().is_none_or(|recipe| !recipe.derivatives().is_empty()));
    assert!(
        metadata.len() <= 16 && metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= 2048
    );
}

fn is_the_clients(failure: &Failure) {
    match failure {
        Failure::Client { code, message } => assert!(code.status().is_client_error() && !message.is_empty()),
        other => panic!("{other}"),
    }
}
