//! The queue between dispatcher and worker. What is received too often leaves it for [`super::DeadLetterQueue`].

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry};

use super::{DeadLetterQueue, failure};
use crate::error::Failure;
use crate::message::{self, JOB_ID_ATTRIBUTE, WORK_ID_ATTRIBUTE, WorkItem};

/// Most messages in one request: an SQS limit.
const MAX_BATCH: usize = 10;

/// Longest delay of a message, in seconds: an SQS limit.
const MAX_DELAY: u64 = 15 * 60;

/// Longest visibility timeout, in seconds: twelve hours, an SQS limit.
const MAX_VISIBILITY: u64 = 12 * 60 * 60;

/// A queue of work items.
#[derive(Clone, Debug)]
pub struct WorkQueue {
    client: Client,
    url: String,
}

/// The queue took only some entries of a batch.
#[derive(Debug, thiserror::Error)]
#[error("the queue refused {count} messages, the first with {code}")]
struct PartlyRefused {
    count: usize,
    code: String,
}

impl WorkQueue {
    /// The queue at `url`.
    pub fn new(sdk: &SdkConfig, url: &str) -> Self {
        Self { client: Client::new(sdk), url: url.to_owned() }
    }

    /// Sends every item with its work id, ten to a request, and answers for each one whether it is in the queue. Nobody
    /// receives them before `delay` is over, at most a quarter of an hour.
    ///
    /// A request that failed may have been carried out all the same, so an item may be queued twice.
    pub async fn send(&self, items: &[(WorkItem, String)], delay: Duration) -> Vec<Result<(), Failure>> {
        let mut outcomes = Vec::with_capacity(items.len());
        for batch in items.chunks(MAX_BATCH) {
            outcomes.extend(self.send_batch(batch, delay).await);
        }
        outcomes
    }

    async fn send_batch(&self, batch: &[(WorkItem, String)], delay: Duration) -> Vec<Result<(), Failure>> {
        let refuse_all = |error: &dyn Fn() -> Failure| batch.iter().map(|_| Err(error())).collect();
        let entries = batch.iter().enumerate().map(|(index, (item, id))| entry(&index.to_string(), item, id, delay));
        let entries: Result<Vec<_>, Failure> = entries.collect();
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => {
                let text = error.to_string();
                return refuse_all(&|| Failure::permanent(text.clone()));
            }
        };
        let answer = match self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await
        {
            Ok(answer) => answer,
            Err(error) => {
                let error = failure(error);
                return refuse_all(&|| match &error {
                    Failure::Transient { cause, .. } => Failure::transient(cause, error.to_string()),
                    _ => Failure::permanent(error.to_string()),
                });
            }
        };
        let mut outcomes: Vec<Result<(), Failure>> = batch.iter().map(|_| Ok(())).collect();
        for refused in answer.failed() {
            if let Some(outcome) = refused.id().parse().ok().and_then(|index: usize| outcomes.get_mut(index)) {
                let error = PartlyRefused { count: answer.failed().len(), code: refused.code().to_owned() };
                *outcome = Err(if refused.sender_fault() {
                    Failure::permanent(error)
                } else {
                    Failure::transient("the queue did not take the job", error)
                });
            }
        }
        outcomes
    }

    /// The queue's dead-letter queue, if it has one.
    pub async fn dead_letter_queue(&self) -> Result<Option<DeadLetterQueue>, Failure> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct RedrivePolicy {
            dead_letter_target_arn: String,
        }
        let names = [QueueAttributeName::RedrivePolicy, QueueAttributeName::QueueArn];
        let request = self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names.to_vec()));
        let attributes = request.send().await.map_err(failure)?.attributes.unwrap_or_default();
        let [Some(policy), Some(arn)] = names.map(|name| attributes.get(&name)) else { return Ok(None) };
        let RedrivePolicy { dead_letter_target_arn } = serde_json::from_str(policy).map_err(Failure::permanent)?;
        let name = dead_letter_target_arn.rsplit(':').next().unwrap_or_default();
        let answer = self.client.get_queue_url().queue_name(name).send().await.map_err(failure)?;
        Ok(answer.queue_url.map(|url| DeadLetterQueue {
            client: self.client.clone(),
            url,
            arn: dead_letter_target_arn,
            work_queue_arn: arn.clone(),
        }))
    }

    /// Lets a message that was received reappear in `seconds` instead of at the end of its visibility timeout.
    pub async fn retry_in(&self, receipt_handle: &str, seconds: u64) -> Result<(), Failure> {
        retry_in(&self.client, &self.url, receipt_handle, seconds).await
    }
}

/// Sets when a message that was received from the queue at `url` reappears.
pub(super) async fn retry_in(client: &Client, url: &str, receipt_handle: &str, seconds: u64) -> Result<(), Failure> {
    client
        .change_message_visibility()
        .queue_url(url)
        .receipt_handle(receipt_handle)
        .visibility_timeout(i32::try_from(seconds.min(MAX_VISIBILITY)).unwrap_or(i32::MAX))
        .send()
        .await
        .map_err(failure)?;
    Ok(())
}

fn entry(id: &str, item: &WorkItem, work_id: &str, delay: Duration) -> Result<SendMessageBatchRequestEntry, Failure> {
    SendMessageBatchRequestEntry::builder()
        .id(id)
        .delay_seconds(delay.as_secs().min(MAX_DELAY) as i32)
        .message_body(message::to_json(item).map_err(Failure::permanent)?)
        .set_message_attributes(Some(attributes(item, work_id)?))
        .build()
        .map_err(Failure::permanent)
}

/// The attributes of a work item's message.
pub(super) fn attributes(item: &WorkItem, work_id: &str) -> Result<HashMap<String, MessageAttributeValue>, Failure> {
    let pairs = [(JOB_ID_ATTRIBUTE, item.job_id.to_string()), (WORK_ID_ATTRIBUTE, work_id.to_owned())];
    let text = |(name, value): (&str, String)| {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        value.map(|value| (name.to_owned(), value)).map_err(Failure::permanent)
    };
    pairs.into_iter().map(text).collect()
}
