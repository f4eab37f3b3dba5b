//! Buckets. They can be made, found and listed, not deleted or configured: what they need is set up at start.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};
use s3s::dto::{Bucket, ListBucketsInput, ListBucketsOutput, Owner};

use super::REGION;
use super::error::Error;
use super::object::timestamp;
use super::store::Store;
use crate::wall_clock;

impl Store {
    /// Makes a bucket, unless it is there already.
    pub(crate) async fn create_bucket(self: &Arc<Self>, name: &str) -> Result<(), Error> {
        if !s3s::path::check_bucket_name(name) {
            return Err(Error::InvalidBucketName);
        }
        let name = name.to_owned();
        self.blocking(move |store| {
            store
                .database()
                .prepare_cached("INSERT OR IGNORE INTO bucket (name, created_at) VALUES (?1, ?2)")?
                .execute(params![name, wall_clock::now_millis()])?;
            Ok(())
        })
        .await
    }
}

/// Refuses what is about a bucket that does not exist.
pub(crate) fn check(database: &Connection, name: &str) -> Result<(), Error> {
    let found =
        database.prepare_cached("SELECT 1 FROM bucket WHERE name = ?1")?.query_row([name], |_| Ok(())).optional()?;
    found.ok_or(Error::NoSuchBucket)
}

/// The same from an async thread, for instance before a long body is taken in for nothing.
pub(crate) async fn expect(store: &Arc<Store>, name: &str) -> Result<(), Error> {
    let name = name.to_owned();
    store.blocking(move |store| check(&store.database(), &name)).await
}

pub(crate) async fn list(store: &Arc<Store>, input: ListBucketsInput) -> Result<ListBucketsOutput, Error> {
    store
        .blocking(move |store| {
            let database = store.database();
            let mut buckets = database.prepare_cached("SELECT name, created_at FROM bucket ORDER BY name")?;
            let buckets = buckets.query_map([], |row| {
                Ok(Bucket {
                    name: Some(row.get(0)?),
                    creation_date: Some(timestamp(row.get(1)?)),
                    bucket_region: Some(REGION.to_owned()),
                })
            })?;
            let mut buckets: Vec<_> = buckets.collect::<Result<_, _>>()?;
            if let Some(prefix) = &input.prefix {
                buckets.retain(|bucket| bucket.name.as_ref().is_some_and(|name| name.starts_with(prefix)));
            }
            Ok(ListBucketsOutput { buckets: Some(buckets), owner: Some(owner()), ..ListBucketsOutput::default() })
        })
        .await
}

/// Everything belongs to the one account there is.
pub(crate) fn owner() -> Owner {
    Owner { display_name: Some("darkroom".to_owned()), id: Some("darkroom".to_owned()) }
}
