//! Listings of jobs, served by the table's indexes and never by a scan.
//!
//! `byKey` has the jobs of one object key. `byStatus` has all jobs, in partitions by status, month and shard, so that
//! no partition is written by every job; a listing merges them newest first. `byOwner` has the jobs that belong to
//! somebody, in partitions by status, shard and owner. `byDue` has the jobs that reconcile has to look at, in partitions
//! by shard; a job that is over and announced is not in it.

use std::fmt;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;

use super::failure;
use super::job_table::{JobTable, SHARDS, from_item};
use crate::error::Failure;
use crate::job::{Job, JobId, Status};
use crate::time::Timestamp;

/// A place in a listing: the last job that was shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    created_at: Timestamp,
    job_id: JobId,
}

impl Cursor {
    /// The place right after `job`.
    pub fn of(job: &Job) -> Self {
        Self { created_at: job.created_at, job_id: job.job_id }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.created_at, self.job_id)
    }
}

/// The text is no cursor that a listing has given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (time, id) = text.split_once('_').ok_or(InvalidCursor)?;
        Ok(Self {
            created_at: time.parse().map_err(|_| InvalidCursor)?,
            job_id: id.parse().map_err(|_| InvalidCursor)?,
        })
    }
}

/// Some jobs, newest first.
#[derive(Debug)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Where the listing goes on; `None` at its end.
    pub cursor: Option<Cursor>,
}

/// The partition of `byStatus` that a job stands in.
pub(super) fn partition(status: Status, month: &str, shard: u8) -> String {
    format!("{}#{month}#{shard}", status.as_str())
}

/// The partition of `byOwner` that a job stands in. The owner comes last, so that no name of one reads like another's.
pub(super) fn owned_partition(owner: &str, status: Status, shard: u8) -> String {
    format!("{}#{shard}#{owner}", status.as_str())
}

/// An index whose partitions a listing merges: its name, and the attribute that names the partition.
type Merged = (&'static str, &'static str);

const BY_STATUS: Merged = ("byStatus", "statusShard");
const BY_OWNER: Merged = ("byOwner", "ownerShard");

/// The partition of `byDue` that a job stands in.
pub(super) fn due_partition(shard: u8) -> String {
    format!("due#{shard}")
}

impl JobTable {
    /// The jobs of an object key, all or those with one status, newest first, at most `limit`.
    pub async fn by_key(
        &self,
        key: &str,
        status: Option<Status>,
        limit: usize,
        after: Option<&Cursor>,
        now: Timestamp,
    ) -> Result<JobPage, Failure> {
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("byKey")
            .key_condition_expression("s3Key = :key AND createdAt <= :before")
            .expression_attribute_values(":key", AttributeValue::S(key.to_owned()))
            .scan_index_forward(false);
        let before = after.map_or(now + CLOCK_SKEW, |cursor| cursor.created_at);
        query = query.expression_attribute_values(":before", AttributeValue::S(before.to_string()));
        let mut jobs = Vec::new();
        let mut pages = query.into_paginator().items().send();
        while let Some(item) = pages.next().await {
            let job = from_item(item.map_err(failure)?)?;
            // Jobs of one microsecond share a sort key, so the cursor decides among them.
            let comes_after = after.is_none_or(|cursor| Cursor::of(&job) < *cursor);
            if comes_after && status.is_none_or(|status| status == job.status()) && !job.is_expired(now) {
                jobs.push(job);
            }
            if jobs.len() > limit {
                break;
            }
        }
        Ok(page(jobs, limit))
    }

    /// The jobs with one of these statuses, newest first, at most `limit`, back to `oldest`.
    pub async fn by_status(
        &self,
        statuses: &[Status],
        limit: usize,
        after: Option<&Cursor>,
        oldest: Timestamp,
        now: Timestamp,
    ) -> Result<JobPage, Failure> {
        // No later than any job there can be: a cursor is the client's word, and each month costs 32 queries.
        let newest = now + CLOCK_SKEW;
        let mut from = after.map_or(newest, |cursor| cursor.created_at.min(newest));
        let mut jobs: Vec<Job> = Vec::new();
        let mut before = after.map_or_else(|| from.to_string(), ToString::to_string);
        // Month by month back in time: the newest month is all that most listings need.
        loop {
            let month = from.month();
            let partitions = shards_of(statuses).map(|(status, shard)| partition(status, &month, shard));
            jobs.append(&mut self.merged(BY_STATUS, partitions, &before, limit + 1, now).await?);
            let Some(month_start) = format!("{month}-01T00:00:00Z").parse::<Timestamp>().ok() else { break };
            if jobs.len() > limit || month_start <= oldest {
                break;
            }
            from = month_start - std::time::Duration::from_micros(1);
            before = month_start.to_string();
        }
        Ok(page(jobs, limit))
    }

    /// The jobs of an owner with one of these statuses, newest first, at most `limit`.
    pub async fn by_owner(
        &self,
        owner: &str,
        statuses: &[Status],
        limit: usize,
        after: Option<&Cursor>,
        now: Timestamp,
    ) -> Result<JobPage, Failure> {
        let before = after.map_or_else(|| (now + CLOCK_SKEW).to_string(), ToString::to_string);
        let partitions = shards_of(statuses).map(|(status, shard)| owned_partition(owner, status, shard));
        Ok(page(self.merged(BY_OWNER, partitions, &before, limit + 1, now).await?, limit))
    }

    /// The jobs of some partitions in one order, newest first: the first `limit`, and maybe more.
    async fn merged(
        &self,
        index: Merged,
        partitions: impl Iterator<Item = String>,
        before: &str,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Job>, Failure> {
        let found = try_join_all(partitions.map(|partition| self.newest_in(index, partition, before, limit))).await?;
        let mut jobs: Vec<Job> = found.into_iter().flatten().filter(|job| !job.is_expired(now)).collect();
        jobs.sort_by_key(|job| std::cmp::Reverse(Cursor::of(job)));
        Ok(jobs)
    }

    async fn newest_in(
        &self,
        (index, attribute): Merged,
        partition: String,
        before: &str,
        limit: usize,
    ) -> Result<Vec<Job>, Failure> {
        // A page ends at 1 MB, however few rows that are.
        let mut rows = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index)
            .key_condition_expression(format!("{attribute} = :partition AND listedAt < :before"))
            .expression_attribute_values(":partition", AttributeValue::S(partition))
            .expression_attribute_values(":before", AttributeValue::S(before.to_owned()))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .into_paginator()
            .items()
            .send();
        let mut jobs = Vec::new();
        while jobs.len() < limit
            && let Some(item) = rows.next().await
        {
            jobs.push(from_item(item.map_err(failure)?)?);
        }
        Ok(jobs)
    }

    /// At most `limit` ids per shard of jobs that have been due since `now`, longest due first.
    pub async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<JobId>, Failure> {
        let shards = (0..SHARDS).map(|shard| async move {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .index_name("byDue")
                .key_condition_expression("dueShard = :shard AND dueAt <= :now")
                .expression_attribute_values(":shard", AttributeValue::S(due_partition(shard)))
                .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
                .limit(i32::try_from(limit).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(failure)?;
            let ids = answer.items.unwrap_or_default();
            Ok(ids.iter().filter_map(|item| item.get("jobId")?.as_s().ok()?.parse().ok()).collect::<Vec<JobId>>())
        });
        Ok(try_join_all(shards).await?.into_iter().flatten().collect())
    }
}

/// How far another machine's clock may run ahead of ours before its newest jobs are missing in a listing.
const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_mins(5);

/// Every shard of these statuses.
fn shards_of(statuses: &[Status]) -> impl Iterator<Item = (Status, u8)> {
    statuses.iter().flat_map(|status| (0..SHARDS).map(|shard| (*status, shard)))
}

fn page(mut jobs: Vec<Job>, limit: usize) -> JobPage {
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    JobPage { cursor: jobs.last().filter(|_| more).map(Cursor::of), jobs }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_two_owners_share_a_partition(one in "[a#0-9]{0,6}|\\PC{0,9}", other in "[a#0-9]{0,6}|\\PC{0,9}") {
            for ((status, shard), (another, third)) in shards_of(&Status::ALL).zip(shards_of(&Status::ALL).skip(1)) {
                prop_assert_ne!(owned_partition(&one, status, shard), owned_partition(&other, another, third));
                let same = owned_partition(&one, status, shard) == owned_partition(&other, status, shard);
                prop_assert_eq!(same, one == other);
            }
        }
    }

    #[test]
    fn a_cursor_comes_back_and_nonsense_does_not() {
        let cursor = Cursor { created_at: Timestamp::from_micros(1), job_id: JobId::random() };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "_", "2026-01-01T00:00:00Z", "x_y"] {
            assert_eq!(bad.parse::<Cursor>(), Err(InvalidCursor), "{bad}");
        }
    }
}
