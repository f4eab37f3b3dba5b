//! The dead-letter queue: messages that were received as often as may be, kept as evidence until somebody redrives them.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
};

use super::failure;
use super::work_queue::attributes;
use crate::error::Failure;
use crate::job::Delivery;
use crate::message::{self, WORK_ID_ATTRIBUTE, WorkItem};
use crate::object::Object;

/// How long messages stay hidden while they are looked at, in seconds; afterwards they are shown again at once.
const LOOK_SECONDS: i32 = 30;

/// Most messages in one request: an SQS limit.
const MAX_BATCH: i32 = 10;

/// The dead-letter queue of a queue of work items.
#[derive(Clone, Debug)]
pub struct DeadLetterQueue {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) arn: String,
    pub(super) work_queue_arn: String,
}

/// A message in the dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// What it asked for; `None` if it is no work item.
    pub item: Option<WorkItem>,
    /// What else it tells of itself.
    pub delivery: Delivery,
    receipt_handle: String,
}

impl DeadLetterQueue {
    /// Takes at most ten messages for a look. Whoever looks either removes them or puts them back.
    pub async fn look(&self) -> Result<Vec<DeadLetter>, Failure> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MAX_BATCH)
            .visibility_timeout(LOOK_SECONDS)
            .wait_time_seconds(0)
            .message_attribute_names(WORK_ID_ATTRIBUTE)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(failure)?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(DeadLetter::of).collect())
    }

    /// Shows messages again that were taken for a look.
    pub async fn put_back(&self, letters: &[DeadLetter]) -> Result<(), Failure> {
        for batch in letters.chunks(MAX_BATCH as usize) {
            let entries = batch.iter().enumerate().map(|(index, letter)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&letter.receipt_handle)
                    .visibility_timeout(0)
                    .build()
                    .map_err(Failure::permanent)
            });
            let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
            let request = self.client.change_message_visibility_batch().queue_url(&self.url);
            request.set_entries(Some(entries)).send().await.map_err(failure)?;
        }
        Ok(())
    }

    /// Removes a message that was taken for a look.
    pub async fn remove(&self, letter: &DeadLetter) -> Result<(), Failure> {
        let request = self.client.delete_message().queue_url(&self.url).receipt_handle(&letter.receipt_handle);
        request.send().await.map_err(failure)?;
        Ok(())
    }

    /// Starts to put every message into the work queue, where it starts its job anew.
    pub async fn redrive(&self) -> Result<(), Failure> {
        // Named, since SQS does not know where evidence that was laid down came from.
        let request = self.client.start_message_move_task().source_arn(&self.arn).destination_arn(&self.work_queue_arn);
        request.send().await.map_err(failure)?;
        Ok(())
    }

    /// How many messages are in the queue, about.
    pub async fn depth(&self) -> Result<u64, Failure> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names.to_vec()));
        let attributes = request.send().await.map_err(failure)?.attributes.unwrap_or_default();
        Ok(names.iter().filter_map(|name| attributes.get(name)?.parse::<u64>().ok()).sum())
    }

    /// Lays down a work item as evidence of a job that was given up.
    pub async fn send(&self, item: &WorkItem, work_id: &str) -> Result<(), Failure> {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(message::to_json(item).map_err(Failure::permanent)?)
            .set_message_attributes(Some(attributes(item, work_id)?))
            .send()
            .await
            .map_err(failure)?;
        Ok(())
    }
}

impl DeadLetter {
    fn of(message: Message) -> Self {
        let attribute = message.message_attributes.as_ref().and_then(|attributes| attributes.get(WORK_ID_ATTRIBUTE));
        let work_id = attribute.and_then(|attribute| attribute.string_value());
        let attributes = message.attributes.as_ref();
        let sent_at = attributes.and_then(|attributes| attributes.get(&MessageSystemAttributeName::SentTimestamp));
        Self {
            item: message.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).map(|Object(item)| item),
            delivery: Delivery::of_message(work_id, sent_at.map(String::as_str)),
            receipt_handle: message.receipt_handle.unwrap_or_default(),
        }
    }
}
