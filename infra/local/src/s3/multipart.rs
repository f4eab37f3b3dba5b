//! Uploads in parts: begun, fed, listed and given up. How one becomes an object is in [`super::complete`].
//!
//! An upload that nobody completes or aborts stays for ever, as it does in a bucket without a lifecycle rule.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use s3s::S3Request;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumType, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, UploadPartInput, UploadPartOutput,
};
use uuid::Uuid;

use super::attributes::{Attributes, check_key, sent_attributes};
use super::body::{Expected, Sent, receive};
use super::bucket;
use super::checksum::{Algorithm, Checksum, put_checksum, sent_checksum};
use super::content::Content;
use super::error::Error;
use super::object::read_checksum;
use super::store::Store;
use crate::wall_clock;

/// Parts are numbered from 1 to this, as S3 has it.
const MAX_PART_NUMBER: i32 = 10_000;

/// The names by which a request finds an upload. All three have to agree.
#[derive(Debug, Clone)]
pub(crate) struct UploadId {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) id: String,
}

/// The row of an upload.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) attributes: Attributes,
    /// The checksum that every part has to have.
    pub(crate) algorithm: Option<Algorithm>,
    /// Whether the object's checksum is to be of the parts' checksums.
    pub(crate) composite: bool,
}

/// The row of a part.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) number: i32,
    pub(crate) file: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified_at: i64,
    pub(crate) checksum: Option<Checksum>,
}

impl Upload {
    pub(crate) fn find(database: &Connection, upload: &UploadId) -> Result<Self, Error> {
        bucket::check(database, &upload.bucket)?;
        let found = database
            .prepare_cached(
                "SELECT attributes, algorithm, composite FROM upload WHERE id = ?1 AND bucket = ?2 AND key = ?3",
            )?
            .query_row([&upload.id, &upload.bucket, &upload.key], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get(2)?))
            })
            .optional()?;
        let (attributes, algorithm, composite) = found.ok_or(Error::NoSuchUpload)?;
        Ok(Self {
            attributes: serde_json::from_str(&attributes)?,
            algorithm: algorithm.as_deref().map(Algorithm::named).transpose()?,
            composite,
        })
    }
}

impl Part {
    /// The parts of an upload behind number `after`, in order.
    pub(crate) fn list(database: &Connection, upload: &str, after: i32) -> Result<Vec<Self>, Error> {
        let mut select = database.prepare_cached(
            "SELECT number, file, size, etag, modified_at, checksum FROM part
             WHERE upload = ?1 AND number > ?2 ORDER BY number",
        )?;
        let parts = select.query_map(params![upload, after], |row| Ok(Self::read(row)))?;
        parts.map(|part| part?).collect()
    }

    fn read(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            number: row.get(0)?,
            file: row.get(1)?,
            size: row.get(2)?,
            etag: row.get(3)?,
            modified_at: row.get(4)?,
            checksum: read_checksum(row, 5)?,
        })
    }
}

pub(crate) async fn create(
    store: &Arc<Store>,
    mut input: CreateMultipartUploadInput,
) -> Result<CreateMultipartUploadOutput, Error> {
    check_key(&input.key)?;
    let attributes = sent_attributes!(input)?;
    let algorithm = input.checksum_algorithm.as_ref().map(|name| Algorithm::named(name.as_str())).transpose()?;
    let composite = composite(algorithm, input.checksum_type.as_ref().map(ChecksumType::as_str))?;
    let id = Uuid::new_v4().simple().to_string();
    let upload = UploadId { bucket: input.bucket.clone(), key: input.key.clone(), id: id.clone() };
    store
        .blocking(move |store| {
            store.transaction(|transaction| {
                bucket::check(transaction, &upload.bucket)?;
                transaction.execute(
                    "INSERT INTO upload (id, bucket, key, started_at, attributes, algorithm, composite)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        upload.id,
                        upload.bucket,
                        upload.key,
                        wall_clock::now_millis(),
                        serde_json::to_string(&attributes)?,
                        algorithm.map(Algorithm::name),
                        composite,
                    ],
                )?;
                Ok(())
            })
        })
        .await?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: algorithm.map(|algorithm| algorithm.name().to_owned().into()),
        checksum_type: algorithm.map(|_| checksum_type(composite).to_owned().into()),
        ..CreateMultipartUploadOutput::default()
    })
}

/// Which of the two kinds of checksum the object is to have. Not every kind goes with every algorithm.
fn composite(algorithm: Option<Algorithm>, kind: Option<&str>) -> Result<bool, Error> {
    let composite = match kind {
        None => algorithm.is_some_and(Algorithm::composite_by_default),
        Some("COMPOSITE") => true,
        Some("FULL_OBJECT") => false,
        Some(_) => return Err(Error::InvalidArgument("Unknown checksum type.")),
    };
    let fits = match algorithm {
        None => kind.is_none(),
        Some(Algorithm::Crc32 | Algorithm::Crc32c) => true,
        Some(Algorithm::Crc64Nvme) => !composite,
        Some(Algorithm::Sha1 | Algorithm::Sha256) => composite,
    };
    if fits {
        Ok(composite)
    } else {
        Err(Error::InvalidRequest("The checksum type does not go with the checksum algorithm."))
    }
}

pub(crate) fn checksum_type(composite: bool) -> &'static str {
    if composite { "COMPOSITE" } else { "FULL_OBJECT" }
}

pub(crate) fn check_part_number(number: i32) -> Result<(), Error> {
    if (1..=MAX_PART_NUMBER).contains(&number) {
        Ok(())
    } else {
        Err(Error::InvalidArgument("Part number must be an integer between 1 and 10000, inclusive"))
    }
}

pub(crate) async fn upload_part(
    store: &Arc<Store>,
    request: S3Request<UploadPartInput>,
) -> Result<UploadPartOutput, Error> {
    let mut input = request.input;
    check_part_number(input.part_number)?;
    let upload = UploadId { bucket: input.bucket, key: input.key, id: input.upload_id };
    let sought = upload.clone();
    let algorithm = store.blocking(move |store| Ok(Upload::find(&store.database(), &sought)?.algorithm)).await?;
    let sent = Sent {
        content_length: input.content_length,
        content_md5: input.content_md5.take(),
        checksum: sent_checksum!(input)?,
        headers: &request.headers,
        trailers: request.trailing_headers,
    };
    let expected = Expected::new(sent, input.body.as_ref())?.with_algorithm(algorithm)?;
    let content = receive(store, input.body, expected).await?;

    let mut output = UploadPartOutput { e_tag: Some(ETag::Strong(content.md5.clone())), ..UploadPartOutput::default() };
    put_checksum!(output, &content.checksum);
    store.blocking(move |store| add_part(store, &upload, input.part_number, content)).await?;
    Ok(output)
}

/// Adds a part or replaces the one of its number, and says when. The upload may be gone by now, completed or aborted.
pub(crate) fn add_part(store: &Store, upload: &UploadId, number: i32, content: Content) -> Result<i64, Error> {
    let now = wall_clock::now_millis();
    let checksum = content.checksum.as_ref().map(serde_json::to_string).transpose()?;
    let replaced: Option<String> = store.transaction(|transaction| {
        Upload::find(transaction, upload)?;
        let replaced = transaction
            .prepare_cached("SELECT file FROM part WHERE upload = ?1 AND number = ?2")?
            .query_row(params![upload.id, number], |row| row.get(0))
            .optional()?;
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO part (upload, number, file, size, etag, modified_at, checksum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![upload.id, number, content.new.id(), content.size, content.md5, now, checksum])?;
        Ok(replaced)
    })?;
    content.new.keep();
    store.remove(replaced);
    Ok(now)
}

pub(crate) async fn abort(
    store: &Arc<Store>,
    input: AbortMultipartUploadInput,
) -> Result<AbortMultipartUploadOutput, Error> {
    let upload = UploadId { bucket: input.bucket, key: input.key, id: input.upload_id };
    store
        .blocking(move |store| {
            let parts = store.transaction(|transaction| {
                Upload::find(transaction, &upload)?;
                forget(transaction, &upload.id)
            })?;
            store.remove(parts.into_iter().map(|part| part.file));
            Ok(AbortMultipartUploadOutput::default())
        })
        .await
}

/// Removes an upload with its parts, whose files are the caller's to remove once that is committed.
pub(crate) fn forget(transaction: &Connection, upload: &str) -> Result<Vec<Part>, Error> {
    let parts = Part::list(transaction, upload, 0)?;
    transaction.prepare_cached("DELETE FROM upload WHERE id = ?1")?.execute([upload])?;
    Ok(parts)
}
