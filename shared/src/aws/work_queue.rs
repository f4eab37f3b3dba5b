//! The queue between dispatcher and worker.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};

use super::failure;
use crate::error::Failure;
use crate::message::{self, JOB_ID_ATTRIBUTE, WorkItem};

/// Most messages in one request: an SQS limit.
const MAX_BATCH: usize = 10;

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

    /// Sends every item, ten to a request, and answers for each one whether it is in the queue.
    ///
    /// A request that failed may have been carried out all the same, so an item may be queued twice.
    pub async fn send(&self, items: &[WorkItem]) -> Vec<Result<(), Failure>> {
        let mut outcomes = Vec::with_capacity(items.len());
        for batch in items.chunks(MAX_BATCH) {
            outcomes.extend(self.send_batch(batch).await);
        }
        outcomes
    }

    async fn send_batch(&self, batch: &[WorkItem]) -> Vec<Result<(), Failure>> {
        let refuse_all = |error: &dyn Fn() -> Failure| batch.iter().map(|_| Err(error())).collect();
        let entries: Result<Vec<_>, Failure> =
            batch.iter().enumerate().map(|(index, item)| entry(&index.to_string(), item)).collect();
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

    /// Lets a message that was received reappear in `seconds` instead of at the end of its visibility timeout.
    pub async fn retry_in(&self, receipt_handle: &str, seconds: u64) -> Result<(), Failure> {
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(seconds.min(MAX_VISIBILITY)).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(failure)?;
        Ok(())
    }
}

fn entry(id: &str, item: &WorkItem) -> Result<SendMessageBatchRequestEntry, Failure> {
    let job_id = MessageAttributeValue::builder()
        .data_type("String")
        .string_value(item.job_id.to_string())
        .build()
        .map_err(Failure::permanent)?;
    SendMessageBatchRequestEntry::builder()
        .id(id)
        .message_body(message::to_json(item).map_err(Failure::permanent)?)
        .message_attributes(JOB_ID_ATTRIBUTE, job_id)
        .build()
        .map_err(Failure::permanent)
}
