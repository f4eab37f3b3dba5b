//! `ListParts` and `ListMultipartUploads`: what a client that lost its thread asks before it goes on.

use std::sync::Arc;

use rusqlite::params;
use s3s::dto::{
    ETag, EncodingType, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput,
    MultipartUpload, Part as ListedPart,
};

use super::bucket;
use super::checksum::{Algorithm, put_checksum};
use super::error::Error;
use super::list::{Encoding, page_size};
use super::multipart::{Part, Upload, UploadId, checksum_type};
use super::object::timestamp;
use super::store::Store;
use super::walk::{Position, common_prefix};

pub(crate) async fn list_parts(store: &Arc<Store>, input: ListPartsInput) -> Result<ListPartsOutput, Error> {
    let max_parts = page_size(input.max_parts)?;
    let after = input.part_number_marker.unwrap_or_default();
    let id = UploadId { bucket: input.bucket, key: input.key, id: input.upload_id };
    let (upload, mut parts, id) = store
        .blocking(move |store| {
            let database = store.database();
            Ok((Upload::find(&database, &id)?, Part::list(&database, &id.id, after)?, id))
        })
        .await?;
    let size = usize::try_from(max_parts).unwrap_or_default();
    let is_truncated = parts.len() > size;
    parts.truncate(size);
    Ok(ListPartsOutput {
        bucket: Some(id.bucket),
        key: Some(id.key),
        upload_id: Some(id.id),
        part_number_marker: Some(after),
        next_part_number_marker: parts.last().map(|part| part.number),
        max_parts: Some(max_parts),
        is_truncated: Some(is_truncated),
        parts: Some(parts.into_iter().map(describe).collect()),
        owner: Some(bucket::owner()),
        checksum_algorithm: upload.algorithm.map(|algorithm| algorithm.name().to_owned().into()),
        checksum_type: upload.algorithm.map(|_| checksum_type(upload.composite).to_owned().into()),
        ..ListPartsOutput::default()
    })
}

fn describe(part: Part) -> ListedPart {
    let mut listed = ListedPart {
        part_number: Some(part.number),
        size: i64::try_from(part.size).ok(),
        e_tag: Some(ETag::Strong(part.etag)),
        last_modified: Some(timestamp(part.modified_at)),
        ..ListedPart::default()
    };
    put_checksum!(listed, &part.checksum);
    listed
}

/// A page of the uploads that were begun and not ended.
#[derive(Default)]
struct Page {
    uploads: Vec<MultipartUpload>,
    prefixes: Vec<String>,
    /// Key (or common prefix) and upload that the next page comes after.
    next: Option<(String, String)>,
}

pub(crate) async fn list_uploads(
    store: &Arc<Store>,
    input: ListMultipartUploadsInput,
) -> Result<ListMultipartUploadsOutput, Error> {
    let encoding = Encoding::of(input.encoding_type.as_ref().map(EncodingType::as_str))?;
    let max_uploads = page_size(input.max_uploads)?;
    let (page, input) = store.blocking(move |store| Ok((page(store, &input, max_uploads)?, input))).await?;
    let (next_key, next_upload) = page.next.unzip();
    let uploads = page.uploads.into_iter().map(|mut upload| {
        upload.key = upload.key.map(|key| encoding.write(key));
        upload
    });
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix.map(|prefix| encoding.write(prefix)),
        delimiter: input.delimiter.map(|delimiter| encoding.write(delimiter)),
        key_marker: Some(encoding.write(input.key_marker.unwrap_or_default())),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        is_truncated: Some(next_key.is_some()),
        next_key_marker: next_key.map(|key| encoding.write(key)),
        next_upload_id_marker: next_upload.filter(|id| !id.is_empty()),
        max_uploads: Some(max_uploads),
        uploads: Some(uploads.collect()),
        common_prefixes: encoding.prefixes(page.prefixes),
        encoding_type: input.encoding_type,
        ..ListMultipartUploadsOutput::default()
    })
}

fn page(store: &Store, input: &ListMultipartUploadsInput, size: i32) -> Result<Page, Error> {
    let size = usize::try_from(size).unwrap_or_default();
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref();
    let marker = input.key_marker.as_deref().unwrap_or_default();
    // Within the marker's own key the page goes on behind the upload marker, if there is one.
    let (from, upload) = match input.upload_id_marker.as_deref().filter(|_| !marker.is_empty()) {
        Some(upload) => (Position::at(marker), upload),
        None => (Position::after_marker(marker, prefix, delimiter), ""),
    };
    let from = from.max(Position::at(prefix));

    let database = store.database();
    bucket::check(&database, &input.bucket)?;
    let mut select = database.prepare_cached(
        "SELECT key, id, started_at, algorithm, composite FROM upload
         WHERE bucket = ?1 AND key >= ?2 AND key < ?3 AND NOT (key = ?4 AND id <= ?5) ORDER BY key, id",
    )?;
    let mut rows = select.query(params![input.bucket, from, Position::past(prefix), marker, upload])?;
    let mut page = Page::default();
    let mut last = None;
    while let Some(row) = rows.next()? {
        let (key, id): (String, String) = (row.get(0)?, row.get(1)?);
        let common = common_prefix(&key, prefix, delimiter);
        if common.is_some() && page.prefixes.last().map(String::as_str) == common {
            continue;
        }
        if page.uploads.len() + page.prefixes.len() >= size {
            page.next = last;
            break;
        }
        if let Some(common) = common {
            page.prefixes.push(common.to_owned());
            last = Some((common.to_owned(), String::new()));
            continue;
        }
        let algorithm: Option<String> = row.get(3)?;
        let algorithm = algorithm.as_deref().map(Algorithm::named).transpose()?;
        page.uploads.push(MultipartUpload {
            key: Some(key.clone()),
            upload_id: Some(id.clone()),
            initiated: Some(timestamp(row.get(2)?)),
            owner: Some(bucket::owner()),
            checksum_algorithm: algorithm.map(|algorithm| algorithm.name().to_owned().into()),
            checksum_type: algorithm.map(|_| checksum_type(row.get(4).unwrap_or_default()).to_owned().into()),
            ..MultipartUpload::default()
        });
        last = Some((key, id));
    }
    Ok(page)
}
