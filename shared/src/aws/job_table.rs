//! The job table: rows by id, each written only if it is still the row that was read.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use super::failure;
use crate::error::Failure;
use crate::job::{Job, JobId, Transition};
use crate::time::Timestamp;

/// Over how many partitions each index spreads its rows.
///
/// A partition takes 1,000 write units a second. A job takes ten of `byDue`, where most moves delete one entry and put
/// another, and no more of `byStatus` for any one status: so eight carry some 800 jobs a second. See docs/scale.md. An
/// owner may be a whole application, so `byOwner` is spread as widely.
pub(super) const SHARDS: u8 = 8;

/// How often a move is tried against a row that somebody else keeps changing.
const MAX_CONFLICTS: u32 = 10;

/// The table of all jobs.
#[derive(Clone, Debug)]
pub struct JobTable {
    pub(super) client: Client,
    pub(super) table: String,
}

#[derive(Debug, thiserror::Error)]
enum RowError {
    #[error("a job's row cannot be read or written")]
    Format(#[source] serde_dynamo::Error),
    #[error("job {0} kept changing under {MAX_CONFLICTS} tries to move it")]
    Contended(JobId),
    #[error("job {0} is gone: its time to live has passed")]
    Gone(JobId),
}

impl JobTable {
    /// The table `table`.
    pub fn new(sdk: &SdkConfig, table: &str) -> Self {
        Self { client: Client::new(sdk), table: table.to_owned() }
    }

    /// The job, as the latest write left it. `None` if there is none, or its time to live has passed.
    pub async fn get(&self, id: JobId, now: Timestamp) -> Result<Option<Job>, Failure> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("jobId", AttributeValue::S(id.to_string()))
            .consistent_read(true)
            .send()
            .await
            .map_err(failure)?;
        let job = answer.item.map(from_item).transpose()?;
        Ok(job.filter(|job| !job.is_expired(now)))
    }

    /// Writes a new row, unless there is one of its id. Answers the row that stands in the table now.
    pub async fn create(&self, job: Job, now: Timestamp) -> Result<Job, Failure> {
        loop {
            let put = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(to_item(&job)?))
                // An expired row counts as gone, though DynamoDB may take days to delete it.
                .condition_expression("attribute_not_exists(jobId) OR expiresAt <= :now")
                .expression_attribute_values(":now", AttributeValue::N(now.epoch_seconds().to_string()));
            match put.send().await {
                Ok(_) => return Ok(job),
                Err(error) if is_refused(&error) => {
                    // `None`: it expired in between, and the next try writes over it.
                    if let Some(existing) = self.get(job.job_id, now).await? {
                        return Ok(existing);
                    }
                }
                Err(error) => return Err(failure(error)),
            }
        }
    }

    /// Applies `change` to the job and writes it, provided nobody wrote in between; else to what they wrote.
    ///
    /// Answers the row as it stands afterwards, changed or not; `None` if there is no such job. A write whose answer
    /// was lost is found out by reading again, so `change` has to leave a job alone that it has changed already.
    pub async fn update(
        &self,
        id: JobId,
        now: Timestamp,
        change: impl FnMut(&mut Job) -> Transition,
    ) -> Result<Option<Job>, Failure> {
        match self.get(id, now).await? {
            Some(job) => self.update_from(job, now, change).await.map(Some),
            None => Ok(None),
        }
    }

    /// As [`JobTable::update`], starting from a row that the caller has read: one request where nobody interferes.
    pub async fn update_from(
        &self,
        mut job: Job,
        now: Timestamp,
        mut change: impl FnMut(&mut Job) -> Transition,
    ) -> Result<Job, Failure> {
        for _ in 0..MAX_CONFLICTS {
            let seen = job.revision;
            if change(&mut job) == Transition::Unchanged {
                return Ok(job);
            }
            job.revision += 1;
            match self.write(&job, seen).await {
                Ok(true) => return Ok(job),
                Ok(false) => {}
                // Who knows whether it was written: the row itself does. Without an answer to that either, it stays open.
                Err(error @ Failure::Transient { .. }) => {
                    tracing::warn!(job.id = %job.job_id, %error, "a write without an answer: the row is read again");
                }
                Err(error) => return Err(error),
            }
            match self.get(job.job_id, now).await? {
                Some(current) => job = current,
                // Its time to live passed just now: nothing of what the caller holds is so any more.
                None => return Err(Failure::transient("the job is gone", RowError::Gone(job.job_id))),
            }
        }
        Err(Failure::transient("the job kept changing", RowError::Contended(job.job_id)))
    }

    /// How far a long walk has come, as [`JobTable::set_bookmark`] has it.
    pub async fn bookmark(&self, name: &str) -> Result<Option<String>, Failure> {
        let get = self.client.get_item().table_name(&self.table).key("jobId", bookmark_key(name)).consistent_read(true);
        let item = get.send().await.map_err(failure)?.item.unwrap_or_default();
        Ok(item.get("position").and_then(|position| position.as_s().ok()).cloned())
    }

    /// Notes how far a long walk has come, or that it is over.
    pub async fn set_bookmark(&self, name: &str, position: Option<&str>) -> Result<(), Failure> {
        let key = bookmark_key(name);
        match position {
            Some(position) => {
                let put = self.client.put_item().table_name(&self.table).item("jobId", key);
                put.item("position", AttributeValue::S(position.to_owned())).send().await.map_err(failure)?;
            }
            None => {
                self.client.delete_item().table_name(&self.table).key("jobId", key).send().await.map_err(failure)?;
            }
        }
        Ok(())
    }

    /// Writes the row if the table still has revision `seen` of it; `false` if it has another.
    async fn write(&self, job: &Job, seen: u64) -> Result<bool, Failure> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(job)?))
            .condition_expression("revision = :seen")
            .expression_attribute_values(":seen", AttributeValue::N(seen.to_string()));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(failure(error)),
        }
    }
}

/// Whether a put was refused for its condition.
pub(super) fn is_refused(error: &SdkError<PutItemError>) -> bool {
    error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception)
}

/// Bookmarks stand in the job table under keys that are no UUIDs, and in none of its indexes.
fn bookmark_key(name: &str) -> AttributeValue {
    AttributeValue::S(format!("bookmark#{name}"))
}

/// A job as an item: its own fields, and those that follow from them, for the indexes and for who reads the table.
fn to_item(job: &Job) -> Result<HashMap<String, AttributeValue>, Failure> {
    let mut item: HashMap<String, AttributeValue> =
        serde_dynamo::to_item(job).map_err(|error| Failure::permanent(RowError::Format(error)))?;
    let shard = job.job_id.shard(SHARDS);
    let listing = super::listing::partition(job.status(), &job.created_at.month(), shard);
    item.insert("statusShard".to_owned(), AttributeValue::S(listing));
    item.insert("listedAt".to_owned(), AttributeValue::S(super::listing::Cursor::of(job).to_string()));
    if let Some(owner) = &job.owner {
        let owned = super::listing::owned_partition(owner, job.status(), shard);
        item.insert("ownerShard".to_owned(), AttributeValue::S(owned));
    }
    if let Some(url) = job.completed().and_then(|completed| completed.derivatives.first()?.url.clone()) {
        item.insert("downloadUrl".to_owned(), AttributeValue::S(url));
    }
    if job.due_at.is_some() {
        item.insert("dueShard".to_owned(), AttributeValue::S(super::listing::due_partition(shard)));
    }
    Ok(item)
}

/// The job in an item of the table or of an index that holds whole rows.
pub(super) fn from_item(item: HashMap<String, AttributeValue>) -> Result<Job, Failure> {
    serde_dynamo::from_item(item).map_err(|error| Failure::permanent(RowError::Format(error)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::Delivery;

    fn item(owner: Option<&str>) -> HashMap<String, AttributeValue> {
        let now = Timestamp::from_micros(0);
        let mut job = Job::awaiting_upload(JobId::random(), "b", "uploads/x/a.jpg", now, now);
        job.owner = owner.map(str::to_owned);
        let delivery = Delivery { work_id: None, sent_at: now };
        assert_eq!(job.claim("worker", &delivery, now + Duration::from_mins(1), now), Transition::Changed);
        let item = to_item(&job).unwrap();
        assert_eq!(from_item(item.clone()).unwrap(), job);
        item
    }

    #[test]
    fn a_jobs_owner_is_not_its_leases_and_has_a_place_in_an_index() {
        let owned = item(Some("ann"));
        let text = |name: &str| owned[name].as_s().unwrap().as_str();
        assert_eq!((text("owner"), text("leaseOwner")), ("ann", "worker"));
        assert!(text("ownerShard").starts_with("PROCESSING#") && text("ownerShard").ends_with("#ann"));
        // Sparse: what belongs to nobody costs nothing there.
        let nobodys = item(None);
        assert!(!nobodys.contains_key("owner") && !nobodys.contains_key("ownerShard"));
    }
}
