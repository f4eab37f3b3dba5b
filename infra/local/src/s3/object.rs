//! Objects: their row, and how one becomes visible.
//!
//! Versions of an object are not kept: the newest is the only one.

use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use s3s::dto::Timestamp;

use super::attributes::Attributes;
use super::bucket;
use super::checksum::Checksum;
use super::condition::Conditions;
use super::content::Content;
use super::error::Error;
use super::event::{Cause, Created, RequestId};
use super::store::Store;
use crate::wall_clock;

/// The row of an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    /// Name of the content file.
    pub(crate) file: String,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) modified_at: i64,
    pub(crate) attributes: Attributes,
    pub(crate) checksum: Option<Checksum>,
    /// The multipart upload that made it.
    pub(crate) upload: Option<String>,
}

impl Object {
    pub(crate) fn find(database: &Connection, bucket: &str, key: &str) -> Result<Option<Self>, Error> {
        database
            .prepare_cached(
                "SELECT file, size, etag, modified_at, upload, attributes, checksum
                 FROM object WHERE bucket = ?1 AND key = ?2",
            )?
            .query_row([bucket, key], |row| Ok(Self::read(row)))
            .optional()?
            .transpose()
    }

    fn read(row: &Row<'_>) -> Result<Self, Error> {
        let attributes: String = row.get(5)?;
        Ok(Self {
            file: row.get(0)?,
            size: row.get(1)?,
            etag: row.get(2)?,
            modified_at: row.get(3)?,
            upload: row.get(4)?,
            attributes: serde_json::from_str(&attributes)?,
            checksum: read_checksum(row, 6)?,
        })
    }

    /// Finds an object that has to be there.
    pub(crate) fn get(database: &Connection, bucket: &str, key: &str) -> Result<Self, Error> {
        bucket::check(database, bucket)?;
        Self::find(database, bucket, key)?.ok_or(Error::NoSuchKey)
    }

    /// Finds the object and opens its content, which stays readable when the object is replaced meanwhile.
    pub(crate) fn open(store: &Store, bucket: &str, key: &str) -> Result<(Self, File), Error> {
        let database = store.database();
        let object = Self::get(&database, bucket, key)?;
        let file = store.files.read(&object.file)?;
        Ok((object, file))
    }

    /// Refuses every version but the one there is, which has no name in a bucket that keeps none.
    pub(crate) fn check_version(id: Option<&str>) -> Result<(), Error> {
        if id.is_none_or(|id| id == "null") { Ok(()) } else { Err(Error::InvalidVersion) }
    }

    pub(crate) fn modified(&self) -> Timestamp {
        timestamp(self.modified_at)
    }

    /// As `Last-Modified` says it, which is what a condition can be about.
    pub(crate) fn modified_to_the_second(&self) -> Timestamp {
        timestamp(self.modified_at - self.modified_at.rem_euclid(1000))
    }
}

/// A checksum column, which holds JSON.
pub(crate) fn read_checksum(row: &Row<'_>, column: usize) -> Result<Option<Checksum>, Error> {
    let checksum: Option<String> = row.get(column)?;
    Ok(checksum.as_deref().map(serde_json::from_str).transpose()?)
}

pub(crate) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or_default()))
}

/// An object about to become visible.
pub(crate) struct NewObject<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) etag: &'a str,
    pub(crate) content: &'a Content,
    pub(crate) attributes: &'a Attributes,
    pub(crate) checksum: Option<&'a Checksum>,
    pub(crate) upload: Option<&'a str>,
    pub(crate) cause: Cause,
    pub(crate) conditions: &'a Conditions,
    pub(crate) request: &'a RequestId,
}

/// What publishing an object leaves to do once it is committed.
pub(crate) struct Published {
    pub(crate) modified_at: i64,
    replaced: Option<String>,
    announced: bool,
}

/// Makes an object visible, and records its event: one transaction, so there is never the one without the other.
pub(crate) fn publish(store: &Store, transaction: &Transaction<'_>, new: &NewObject<'_>) -> Result<Published, Error> {
    bucket::check(transaction, new.bucket)?;
    let current = Object::find(transaction, new.bucket, new.key)?;
    new.conditions.allow_write(current.as_ref())?;

    let at = wall_clock::now();
    let checksum = new.checksum.map(serde_json::to_string).transpose()?;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO object (bucket, key, file, size, etag, modified_at, attributes, checksum, upload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            new.bucket,
            new.key,
            new.content.new.id(),
            new.content.size,
            new.etag,
            at.timestamp_millis(),
            serde_json::to_string(new.attributes)?,
            checksum,
            new.upload,
        ])?;
    let created = Created {
        cause: new.cause,
        bucket: new.bucket,
        key: new.key,
        size: new.content.size,
        etag: new.etag,
        at,
        request: new.request,
    };
    let announced = store.record(transaction, &created)?;
    Ok(Published { modified_at: at.timestamp_millis(), replaced: current.map(|object| object.file), announced })
}

impl Published {
    /// Call once committed: keeps the new content, drops the replaced one, rings for the event.
    pub(crate) fn settle(self, store: &Store, content: Content) {
        content.new.keep();
        store.remove(self.replaced);
        if self.announced {
            store.signal.notify_one();
        }
    }
}
