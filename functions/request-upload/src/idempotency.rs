//! `Idempotency-Key`: a request that is sent again within a day gets the jobs that the first one got.
//!
//! Pure; the table keeps what is set aside here.

use std::time::Duration;

use http::HeaderMap;
use serde_json::json;
use sha2::{Digest, Sha256};
use shared::access::Principal;
use shared::aws::Reservation;
use shared::error::{Code, Failure};
use shared::job::JobId;
use shared::time::Timestamp;

use crate::request::Upload;

/// The header that carries the key.
const HEADER: &str = "idempotency-key";

/// Longest key, in characters.
const MAX_KEY: usize = 255;

/// How long a key stands for its request.
const KEPT_FOR: Duration = Duration::from_hours(24);

/// The request's key, if it has one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut given = headers.get_all(HEADER).into_iter();
    let Some(value) = given.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if !(1..=MAX_KEY).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) || given.next().is_some()
    {
        let message = format!("Idempotency-Key: 1 to {MAX_KEY} visible ASCII characters, without spaces");
        return Err(Failure::client(Code::InvalidRequest, message));
    }
    Ok(Some(key))
}

/// Refuses a key where it would mean nothing: who sends one relies on it.
pub(crate) fn refuse(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.contains_key(HEADER) {
        let message = "Idempotency-Key: this route takes none; POST /uploads does";
        return Err(Failure::client(Code::InvalidRequest, message));
    }
    Ok(())
}

/// Under which name a caller's key is kept: nobody else's key has it.
pub(crate) fn name(key: &str, caller: &Principal) -> String {
    let mut hash = Sha256::new();
    match caller.subject() {
        Some(subject) => {
            // With its length before it, no subject runs on into a key; and no length begins as "nobody" does.
            hash.update((subject.len() as u64).to_be_bytes());
            hash.update(subject);
        }
        None => hash.update("nobody"),
    }
    hash.update(key);
    hex(hash)
}

/// What is set aside for the request. Whatever makes a difference to its jobs or their URLs makes one to the fingerprint,
/// and how it was written does not. A batch of one is another request than an upload.
pub(crate) fn reservation(id: JobId, is_batch: bool, uploads: &[Upload], now: Timestamp) -> Reservation {
    let meaning = uploads.iter().map(|upload| {
        let Upload { filename, format, size, checksum_sha256, recipe, metadata, callback_url } = upload;
        json!([filename, format.media_type(), size, checksum_sha256, recipe, metadata, callback_url])
    });
    let meaning = json!([is_batch, meaning.collect::<Vec<_>>()]);
    let fingerprint = hex(Sha256::new_with_prefix(meaning.to_string()));
    Reservation { for_job: id, fingerprint, expires_at: (now + KEPT_FOR).epoch_seconds() }
}

fn hex(hash: Sha256) -> String {
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use shared::callback::CallbackHosts;
    use shared::http::parse_body;

    use super::*;
    use crate::request::{Limits, UploadBody};

    fn check_key(values: &[&[u8]], expected: Result<Option<&str>, ()>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, http::HeaderValue::from_bytes(value).unwrap());
        }
        assert_eq!(key(&headers).map_err(|_| ()), expected, "{values:?}");
    }

    #[test]
    fn a_key_is_visible_ascii() {
        let long = "k".repeat(MAX_KEY);
        check_key(&[], Ok(None));
        check_key(&[b"!"], Ok(Some("!")));
        check_key(&[b"\"8e03978e\""], Ok(Some("\"8e03978e\"")));
        check_key(&[long.as_bytes()], Ok(Some(&long)));
        for bad in [&b""[..], b"a b", b"a\tb", "ä".as_bytes(), b"\xff", format!("{long}k").as_bytes()] {
            check_key(&[bad], Err(()));
        }
        check_key(&[b"a", b"a"], Err(()));
    }

    #[test]
    fn a_key_is_its_callers_own() {
        let (ann, bob) = (Principal::Subject("ann".into()), Principal::Subject("bob".into()));
        let nobody = Principal::Anybody;
        assert_eq!(name("k", &ann), name("k", &ann));
        assert_eq!(name("k", &ann), name("k", &Principal::Operator("ann".into())), "a scope more is no other subject");
        let names = [name("k", &ann), name("k", &bob), name("k", &nobody), name("annk", &nobody), name("l", &ann)];
        for (index, one) in names.iter().enumerate() {
            assert!(!names[..index].contains(one), "{index}");
        }
        // Neither a longer subject nor one by that name is taken for another.
        assert_ne!(name("nk", &Principal::Subject("an".into())), name("k", &Principal::Subject("ann".into())));
        assert_ne!(name("k", &Principal::Subject("nobody".into())), name("k", &nobody));
    }

    fn fingerprint(is_batch: bool, body: &str) -> String {
        let body: UploadBody = parse_body(&HeaderMap::new(), body.as_bytes()).unwrap();
        let (id, now) = (JobId::random(), Timestamp::from_micros(0));
        let callback_hosts = CallbackHosts { hosts: vec!["hooks.test".parse().unwrap()], private: false };
        let limits = Limits { max_upload_bytes: 1000, callback_hosts: &callback_hosts };
        reservation(id, is_batch, &[body.check(limits).unwrap()], now).fingerprint
    }

    #[test]
    fn the_same_request_is_known_however_it_is_written() {
        let same = |one: &str, other: &str| assert_eq!(fingerprint(false, one), fingerprint(false, other), "{one}");
        same("", "{}");
        same(r#"{"contentType":"image/jpeg"}"#, "{}");
        same(r#"{"size":1,"filename":"a.png"}"#, r#" {"filename":"a.png","contentType":"image/png","size":1}"#);
        same(r#"{"metadata":{"a":"1","b":"2"}}"#, r#"{"metadata":{"b":"2","a":"1"}}"#);
        let resized = r#"{"derivatives":[{"name":"a","resize":{"height":3,"width":2}}]}"#;
        same(resized, r#"{"derivatives":[{"resize":{"width":2,"height":3,"fit":"inside"},"name":"a"}]}"#);
    }

    #[test]
    fn another_request_is_told_from_it() {
        let sha = format!(r#"{{"checksumSha256":"{}="}}"#, "A".repeat(43));
        let bodies = [
            "{}",
            r#"{"filename":"a.jpg"}"#,
            r#"{"filename":"b.jpg"}"#,
            r#"{"contentType":"image/png"}"#,
            r#"{"size":1}"#,
            &sha,
            r#"{"metadata":{"a":"1"}}"#,
            r#"{"callbackUrl":"https://hooks.test/a"}"#,
            r#"{"callbackUrl":"https://hooks.test/b"}"#,
            r#"{"derivatives":[{"name":"a"}]}"#,
            r#"{"derivatives":[{"name":"a"},{"name":"b"}]}"#,
        ];
        let mut prints: Vec<String> = bodies.iter().map(|body| fingerprint(false, body)).collect();
        prints.push(fingerprint(true, "{}"));
        prints.sort_unstable();
        prints.dedup();
        assert_eq!(prints.len(), bodies.len() + 1);
    }
}
