//! Ids that are set aside in the job table for requests that may come again.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::failure;
use super::job_table::{JobTable, is_refused};
use crate::error::Failure;
use crate::job::JobId;
use crate::time::Timestamp;

/// What is set aside for a request: the id of its job, and what tells the request from another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reservation {
    /// The job's id; a batch derives its jobs' ids from it.
    pub for_job: JobId,
    /// A hash of what was asked for.
    pub fingerprint: String,
    /// When it may be forgotten, in seconds since 1970 (the table's TTL attribute).
    pub expires_at: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    job_id: &'a str,
    #[serde(flatten)]
    reservation: &'a Reservation,
}

impl JobTable {
    /// Sets `wished` aside under `name`, unless something is. Answers what stands there now.
    ///
    /// As bookmarks do, these rows have keys that are no UUIDs, and stand in no index.
    pub async fn reserve(&self, name: &str, wished: Reservation, now: Timestamp) -> Result<Reservation, Failure> {
        let key = format!("idempotency#{name}");
        let item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(Row { job_id: &key, reservation: &wished }).map_err(Failure::permanent)?;
        loop {
            let put = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                // An expired row counts as gone, though DynamoDB may take days to delete it.
                .condition_expression("attribute_not_exists(jobId) OR expiresAt <= :now")
                .expression_attribute_values(":now", AttributeValue::N(now.epoch_seconds().to_string()));
            match put.send().await {
                Ok(_) => return Ok(wished),
                Err(error) if is_refused(&error) => {}
                Err(error) => return Err(failure(error)),
            }
            let get = self.client.get_item().table_name(&self.table).key("jobId", AttributeValue::S(key.clone()));
            // `None`: it was deleted in between, and the next try writes it.
            if let Some(item) = get.consistent_read(true).send().await.map_err(failure)?.item {
                return serde_dynamo::from_item(item).map_err(Failure::permanent);
            }
        }
    }
}
