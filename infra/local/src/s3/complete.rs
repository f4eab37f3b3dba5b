//! Completing an upload: its parts, checked and put together, become one object.
//!
//! The parts are copied into a new file, so an object is one file however it came. That costs a copy of its bytes,
//! once, and spares every reader the bookkeeping.

use std::sync::Arc;

use rusqlite::Connection;
use s3s::S3Response;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, ETag};

use super::checksum::{Algorithm, Checksum, put_checksum, sent_checksum};
use super::condition::Conditions;
use super::content::{Content, hex};
use super::error::Error;
use super::event::{Cause, RequestId};
use super::multipart::{Part, Upload, UploadId, forget};
use super::object::{NewObject, Object, publish};
use super::store::Store;
use super::write::request_headers;

/// Least bytes of every part but the last, as S3 has it: 5 MiB.
const MIN_PART_BYTES: u64 = 5 << 20;

/// What the client says the object will be.
struct Claims {
    parts: Vec<CompletedPart>,
    size: Option<i64>,
    checksum: Option<(Algorithm, String)>,
    conditions: Conditions,
}

pub(crate) async fn complete(
    store: &Arc<Store>,
    mut input: CompleteMultipartUploadInput,
) -> Result<S3Response<CompleteMultipartUploadOutput>, Error> {
    let claims = Claims {
        parts: input.multipart_upload.take().and_then(|upload| upload.parts).unwrap_or_default(),
        size: input.mpu_object_size,
        checksum: sent_checksum!(input)?,
        conditions: Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            ..Conditions::default()
        },
    };
    let upload = UploadId { bucket: input.bucket, key: input.key, id: input.upload_id };
    let request = RequestId::new();
    let headers = request_headers(&request);
    let output = store
        .blocking(move |store| match assemble(store, &upload, claims, &request) {
            // The answer to an earlier request may have been lost: it is given again, and nothing happens twice.
            Err(Error::NoSuchUpload) => completed_before(&store.database(), &upload),
            done => done,
        })
        .await?;
    Ok(S3Response::with_headers(output, headers))
}

fn assemble(
    store: &Store,
    upload: &UploadId,
    claims: Claims,
    request: &RequestId,
) -> Result<CompleteMultipartUploadOutput, Error> {
    let (found, parts) = {
        let database = store.database();
        (Upload::find(&database, upload)?, Part::list(&database, &upload.id, 0)?)
    };
    let parts = choose(claims.parts, &parts)?;
    let etag = etag(&parts);
    let content = join(store, &parts, found.algorithm.filter(|_| !found.composite))?;
    let checksum = match found.algorithm {
        Some(algorithm) if found.composite => {
            let values = parts.iter().filter_map(|part| Some(part.checksum.as_ref()?.value.as_str()));
            Some(algorithm.composite(values))
        }
        _ => content.checksum.clone(),
    };
    if claims.size.is_some_and(|size| u64::try_from(size) != Ok(content.size)) {
        return Err(Error::InvalidRequest("The provided 'x-amz-mp-object-size' header does not match the object."));
    }
    check_checksum(claims.checksum, checksum.as_ref())?;

    let new = NewObject {
        bucket: &upload.bucket,
        key: &upload.key,
        etag: &etag,
        content: &content,
        attributes: &found.attributes,
        checksum: checksum.as_ref(),
        upload: Some(&upload.id),
        cause: Cause::CompleteMultipartUpload,
        conditions: &claims.conditions,
        request,
    };
    let (published, parts) = store.transaction(|transaction| {
        Upload::find(transaction, upload)?;
        let published = publish(store, transaction, &new)?;
        let forgotten = forget(transaction, &upload.id)?;
        // A part that was replaced while it was read is not the one that the client chose.
        if parts.iter().any(|part| !forgotten.contains(part)) {
            return Err(Error::InvalidPart);
        }
        Ok((published, forgotten))
    })?;
    published.settle(store, content);
    store.remove(parts.into_iter().map(|part| part.file));
    Ok(answer(upload, etag, checksum.as_ref()))
}

/// The answer of a completion that has happened, if it is the one that made the object.
fn completed_before(database: &Connection, upload: &UploadId) -> Result<CompleteMultipartUploadOutput, Error> {
    let object = Object::find(database, &upload.bucket, &upload.key)?;
    let object = object.filter(|object| object.upload.as_ref() == Some(&upload.id)).ok_or(Error::NoSuchUpload)?;
    Ok(answer(upload, object.etag, object.checksum.as_ref()))
}

fn answer(upload: &UploadId, etag: String, checksum: Option<&Checksum>) -> CompleteMultipartUploadOutput {
    let mut output = CompleteMultipartUploadOutput {
        bucket: Some(upload.bucket.clone()),
        key: Some(upload.key.clone()),
        location: Some(format!("/{}/{}", upload.bucket, upload.key)),
        e_tag: Some(ETag::Strong(etag)),
        checksum_type: checksum.map(|checksum| checksum.kind().to_owned().into()),
        ..CompleteMultipartUploadOutput::default()
    };
    put_checksum!(output, checksum);
    output
}

/// The parts that the client names, each checked against what was uploaded. Parts it leaves out are dropped.
fn choose(wanted: Vec<CompletedPart>, uploaded: &[Part]) -> Result<Vec<Part>, Error> {
    let mut chosen: Vec<Part> = Vec::with_capacity(wanted.len());
    for mut wanted in wanted {
        let number = wanted.part_number.ok_or(Error::MalformedXml)?;
        if chosen.last().is_some_and(|last| last.number >= number) {
            return Err(Error::InvalidPartOrder);
        }
        if chosen.last().is_some_and(|last| last.size < MIN_PART_BYTES) {
            return Err(Error::EntityTooSmall);
        }
        let part = uploaded.iter().find(|part| part.number == number).ok_or(Error::InvalidPart)?;
        if wanted.e_tag.take().is_none_or(|etag| etag.value() != part.etag) {
            return Err(Error::InvalidPart);
        }
        if let Some((algorithm, value)) = sent_checksum!(wanted)?
            && part.checksum.as_ref().is_some_and(|sum| sum.algorithm == algorithm && sum.value != value)
        {
            return Err(Error::InvalidPart);
        }
        chosen.push(part.clone());
    }
    if chosen.is_empty() { Err(Error::MalformedXml) } else { Ok(chosen) }
}

/// The MD5 of the parts' MD5s, and their number.
fn etag(parts: &[Part]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        let digest =
            (0..part.etag.len()).step_by(2).map_while(|at| u8::from_str_radix(part.etag.get(at..at + 2)?, 16).ok());
        md5.update(&digest.collect::<Vec<_>>());
    }
    format!("{}-{}", hex(&md5.finalize()), parts.len())
}

fn join(store: &Store, parts: &[Part], algorithm: Option<Algorithm>) -> Result<Content, Error> {
    let mut draft = store.files.draft(algorithm)?;
    for part in parts {
        // A part that is gone was replaced or aborted meanwhile.
        let mut file = store.files.read(&part.file).map_err(|_| Error::InvalidPart)?;
        draft.write_from(&mut file, part.size)?;
    }
    Ok(draft.finish()?)
}

/// Holds the object's checksum against the client's, which for a composite one may lack the number of parts.
fn check_checksum(claimed: Option<(Algorithm, String)>, checksum: Option<&Checksum>) -> Result<(), Error> {
    let (Some((algorithm, claimed)), Some(checksum)) = (claimed, checksum) else { return Ok(()) };
    let value = checksum.value.as_str();
    let bare = value.split_once('-').map_or(value, |(bare, _)| bare);
    if algorithm == checksum.algorithm && (claimed == value || claimed == bare) {
        Ok(())
    } else {
        Err(Error::BadDigest(algorithm.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: i32, size: u64, etag: &str) -> Part {
        Part { number, file: String::new(), size, etag: etag.to_owned(), modified_at: 0, checksum: None }
    }

    fn named(number: i32, tag: &str) -> CompletedPart {
        let e_tag = Some(ETag::Strong(tag.to_owned()));
        CompletedPart { part_number: Some(number), e_tag, ..CompletedPart::default() }
    }

    #[test]
    fn the_entity_tag_is_the_md5_of_the_parts_md5s_and_their_number() {
        // echo -n '' | md5sum; then the md5 of that digest's 16 bytes.
        let empty = "d41d8cd98f00b204e9800998ecf8427e";
        assert_eq!(etag(&[part(1, 0, empty)]), "59adb24ef3cdbe0297f05b395827453f-1");
        assert_eq!(etag(&[part(1, 0, empty), part(2, 0, empty)]).rsplit_once('-').unwrap().1, "2");
    }

    #[test]
    fn parts_are_chosen_by_number_and_entity_tag_in_ascending_order() {
        let uploaded = [part(1, MIN_PART_BYTES, "a"), part(2, 7, "b"), part(5, 9, "c")];
        let numbers = |wanted| choose(wanted, &uploaded).map(|parts| parts.iter().map(|part| part.number).collect());
        let check = |wanted, numbers_or_error: Result<Vec<i32>, &str>| {
            let found: Result<Vec<i32>, Error> = numbers(wanted);
            match (found, numbers_or_error) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(format!("{found:?}").contains(expected), "{found:?}"),
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        };
        check(vec![named(1, "a"), named(2, "b")], Ok(vec![1, 2]));
        check(vec![named(1, "a"), named(5, "c")], Ok(vec![1, 5]));
        check(vec![named(2, "b")], Ok(vec![2]));
        check(vec![named(2, "b"), named(1, "a")], Err("InvalidPartOrder"));
        check(vec![named(1, "a"), named(1, "a")], Err("InvalidPartOrder"));
        check(vec![named(2, "b"), named(5, "c")], Err("EntityTooSmall"));
        check(vec![named(1, "b")], Err("InvalidPart"));
        check(vec![named(3, "b")], Err("InvalidPart"));
        check(vec![], Err("MalformedXml"));
    }
}
