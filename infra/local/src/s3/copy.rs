//! Copies: of a whole object to another key, and of a range of one into a part of an upload.

use std::io::{Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, ETag, MetadataDirective,
    UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Request, S3Response};

use super::attributes::sent_attributes;
use super::checksum::{Algorithm, put_checksum};
use super::condition::Conditions;
use super::error::Error;
use super::event::{Cause, RequestId};
use super::multipart::{self, Upload, UploadId};
use super::object::{NewObject, Object, publish, timestamp};
use super::store::Store;
use super::write::request_headers;

/// The source conditions in one of s3s's inputs: they share the field names, but no trait.
macro_rules! source_conditions {
    ($input:expr) => {
        Conditions {
            if_match: $input.copy_source_if_match.take(),
            if_none_match: $input.copy_source_if_none_match.take(),
            if_modified_since: $input.copy_source_if_modified_since.take(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.take(),
        }
    };
}

pub(crate) async fn object(
    store: &Arc<Store>,
    request: S3Request<CopyObjectInput>,
) -> Result<S3Response<CopyObjectOutput>, Error> {
    let conditions = Conditions::of_target(&request.headers)?;
    let mut input = request.input;
    let request = RequestId::new();
    let headers = request_headers(&request);
    let output = store
        .blocking(move |store| {
            let (from_bucket, from_key) = source(&input.copy_source)?;
            let replace = match input.metadata_directive.as_ref().map(MetadataDirective::as_str) {
                None | Some("COPY") => false,
                Some("REPLACE") => true,
                Some(_) => return Err(Error::InvalidArgument("Unknown metadata directive.")),
            };
            if !replace && (from_bucket, from_key) == (&input.bucket, &input.key) {
                return Err(Error::InvalidRequest(
                    "This copy request is illegal because it is trying to copy an object to itself without changing \
                     the object's metadata, storage class, website redirect location or encryption attributes.",
                ));
            }
            let (source, mut file) = Object::open(store, from_bucket, from_key)?;
            source_conditions!(input).allow_copy(&source)?;
            let sent = sent_attributes!(input)?;
            let attributes = if replace { sent } else { source.attributes };

            let algorithm = input.checksum_algorithm.as_ref().map(|name| Algorithm::named(name.as_str()));
            let algorithm = algorithm.transpose()?.or(source.checksum.map(|checksum| checksum.algorithm));
            let mut draft = store.files.draft(algorithm)?;
            draft.write_from(&mut file, source.size)?;
            let content = draft.finish()?;

            let etag = content.md5.clone();
            let checksum = content.checksum.clone();
            let new = NewObject {
                bucket: &input.bucket,
                key: &input.key,
                etag: &etag,
                content: &content,
                attributes: &attributes,
                checksum: checksum.as_ref(),
                upload: None,
                cause: Cause::Copy,
                conditions: &conditions,
                request: &request,
            };
            let published = store.transaction(|transaction| publish(store, transaction, &new))?;
            let modified_at = published.modified_at;
            published.settle(store, content);
            let mut result = CopyObjectResult {
                e_tag: Some(ETag::Strong(etag)),
                last_modified: Some(timestamp(modified_at)),
                checksum_type: checksum.as_ref().map(|checksum| checksum.kind().to_owned().into()),
                ..CopyObjectResult::default()
            };
            put_checksum!(result, &checksum);
            Ok(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() })
        })
        .await?;
    Ok(S3Response::with_headers(output, headers))
}

pub(crate) async fn part(store: &Arc<Store>, mut input: UploadPartCopyInput) -> Result<UploadPartCopyOutput, Error> {
    store
        .blocking(move |store| {
            multipart::check_part_number(input.part_number)?;
            let id = UploadId { bucket: input.bucket, key: input.key, id: input.upload_id };
            let upload = Upload::find(&store.database(), &id)?;
            let (from_bucket, from_key) = source(&input.copy_source)?;
            let (source, mut file) = Object::open(store, from_bucket, from_key)?;
            source_conditions!(input).allow_copy(&source)?;
            let range = match &input.copy_source_range {
                Some(range) => byte_range(range, source.size)?,
                None => 0..source.size,
            };
            file.seek(SeekFrom::Start(range.start))?;
            let mut draft = store.files.draft(upload.algorithm)?;
            draft.write_from(&mut file, range.end - range.start)?;
            let content = draft.finish()?;

            let (etag, checksum) = (content.md5.clone(), content.checksum.clone());
            let modified_at = multipart::add_part(store, &id, input.part_number, content)?;
            let mut result = CopyPartResult {
                e_tag: Some(ETag::Strong(etag)),
                last_modified: Some(timestamp(modified_at)),
                ..CopyPartResult::default()
            };
            put_checksum!(result, &checksum);
            Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() })
        })
        .await
}

fn source(source: &CopySource) -> Result<(&str, &str), Error> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => {
            Object::check_version(version_id.as_deref())?;
            Ok((bucket, key))
        }
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => {
            Err(Error::InvalidArgument("A copy source is a bucket and a key."))
        }
    }
}

/// `bytes=first-last`, both within the source: unlike a download's, a copy's range is not cut to fit.
fn byte_range(range: &str, size: u64) -> Result<Range<u64>, Error> {
    let ends = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let ends = ends.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    match ends {
        Some((first, last)) if first <= last && last < size => Ok(first..last + 1),
        Some((first, last)) if first <= last => Err(Error::InvalidRange { size }),
        _ => Err(Error::InvalidArgument("The x-amz-copy-source-range value must be of the form bytes=first-last.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_range(range: &str, size: u64, start_and_end: Option<(u64, u64)>) {
        let found = byte_range(range, size).ok();
        assert_eq!(found.map(|range| (range.start, range.end)), start_and_end);
    }

    #[test]
    fn a_copy_range_lies_within_its_source() {
        check_range("bytes=0-9", 10, Some((0, 10)));
        check_range("bytes=9-9", 10, Some((9, 10)));
        check_range("bytes=0-10", 10, None);
        check_range("bytes=5-4", 10, None);
        check_range("bytes=5-", 10, None);
        check_range("bytes=-5", 10, None);
        check_range("0-9", 10, None);
        check_range("bytes=0-18446744073709551615", 10, None);
    }
}
