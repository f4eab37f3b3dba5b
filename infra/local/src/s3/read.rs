//! GET and HEAD of objects.
//!
//! The `response-*` parameters that replace headers are s3s's work. Single parts of an object that was uploaded in
//! parts cannot be asked for: where they met is forgotten.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream;
use http::StatusCode;
use s3s::S3Response;
use s3s::dto::{ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, StreamingBlob};
use tokio::io::AsyncReadExt as _;

use super::checksum::put_checksum;
use super::condition::Conditions;
use super::error::Error;
use super::object::Object;
use super::store::Store;

/// Bytes read from a file at a time.
const READ_BYTES: usize = 256 * 1024;

/// The type of an object that was given none, as S3 has it.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

pub(crate) async fn get(store: &Arc<Store>, input: GetObjectInput) -> Result<GetObjectOutput, Error> {
    let conditions = Conditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    check_part_number(input.part_number)?;
    Object::check_version(input.version_id.as_deref())?;
    store
        .blocking(move |store| {
            let (object, mut file) = Object::open(store, &input.bucket, &input.key)?;
            conditions.allow_read(&object)?;
            let size = object.size;
            let part = part_of(size, input.range)?;
            // A checksum is over the whole, so beside a part of it the client would find it wrong.
            let checked = part.is_none() && input.checksum_mode.is_some_and(|mode| mode.as_str() == "ENABLED");
            let range = part.clone().unwrap_or(0..size);
            file.seek(SeekFrom::Start(range.start))?;

            let mut output = describe(object, checked);
            output.content_range = part.map(|part| content_range(&part, size));
            output.content_length = i64::try_from(range.end - range.start).ok();
            output.body = Some(stream(file, &range));
            Ok(output)
        })
        .await
}

pub(crate) async fn head(store: &Arc<Store>, input: HeadObjectInput) -> Result<S3Response<HeadObjectOutput>, Error> {
    let conditions = Conditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    check_part_number(input.part_number)?;
    Object::check_version(input.version_id.as_deref())?;
    let checked = input.checksum_mode.is_some_and(|mode| mode.as_str() == "ENABLED");
    let object = store.blocking(move |store| Object::get(&store.database(), &input.bucket, &input.key)).await?;
    conditions.allow_read(&object)?;
    let size = object.size;
    let part = part_of(size, input.range)?;
    let found = describe(object, checked && part.is_none());
    let output = HeadObjectOutput {
        accept_ranges: found.accept_ranges,
        cache_control: found.cache_control,
        checksum_crc32: found.checksum_crc32,
        checksum_crc32c: found.checksum_crc32c,
        checksum_crc64nvme: found.checksum_crc64nvme,
        checksum_sha1: found.checksum_sha1,
        checksum_sha256: found.checksum_sha256,
        checksum_type: found.checksum_type,
        content_disposition: found.content_disposition,
        content_encoding: found.content_encoding,
        content_language: found.content_language,
        content_length: i64::try_from(part.as_ref().map_or(size, |part| part.end - part.start)).ok(),
        content_range: part.as_ref().map(|part| content_range(part, size)),
        content_type: found.content_type,
        e_tag: found.e_tag,
        expires: found.expires,
        last_modified: found.last_modified,
        metadata: found.metadata,
        ..HeadObjectOutput::default()
    };
    let mut response = S3Response::new(output);
    response.status = part.map(|_| StatusCode::PARTIAL_CONTENT);
    Ok(response)
}

/// The bytes that a request is about, if those are not all.
fn part_of(size: u64, range: Option<s3s::dto::Range>) -> Result<Option<Range<u64>>, Error> {
    let part = range.map(|range| match range.check(size) {
        Ok(range) if !range.is_empty() => Ok(range),
        _ => Err(Error::InvalidRange { size }),
    });
    part.transpose()
}

fn content_range(part: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end - 1)
}

/// The first part of an object stands for the whole; an object has no other.
fn check_part_number(number: Option<i32>) -> Result<(), Error> {
    if number.unwrap_or(1) == 1 { Ok(()) } else { Err(Error::InvalidPartNumber) }
}

/// Everything about the object but its bytes.
fn describe(object: Object, with_checksum: bool) -> GetObjectOutput {
    let last_modified = object.modified();
    let checksum = object.checksum.filter(|_| with_checksum);
    let attributes = object.attributes;
    let mut output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: attributes.cache_control,
        checksum_type: checksum.as_ref().map(|checksum| checksum.kind().to_owned().into()),
        content_disposition: attributes.content_disposition,
        content_encoding: attributes.content_encoding,
        content_language: attributes.content_language,
        content_length: i64::try_from(object.size).ok(),
        content_type: Some(attributes.content_type.unwrap_or_else(|| DEFAULT_CONTENT_TYPE.to_owned())),
        e_tag: Some(ETag::Strong(object.etag)),
        expires: attributes.expires,
        last_modified: Some(last_modified),
        metadata: (!attributes.metadata.is_empty()).then_some(attributes.metadata),
        ..GetObjectOutput::default()
    };
    put_checksum!(output, &checksum);
    output
}

/// The file's next bytes, as many as the range has.
fn stream(file: File, range: &Range<u64>) -> StreamingBlob {
    let left = range.end - range.start;
    let file = tokio::fs::File::from_std(file);
    StreamingBlob::wrap(stream::try_unfold((file, left), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let wanted = usize::try_from(left).map_or(READ_BYTES, |left| left.min(READ_BYTES));
        let mut buffer = BytesMut::with_capacity(wanted);
        let read = (&mut file).take(wanted as u64).read_buf(&mut buffer).await?;
        if read == 0 {
            // Breaks the connection off, so that the client does not take a part for the whole.
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok::<_, io::Error>(Some((Bytes::from(buffer), (file, left - read as u64))))
    }))
}
