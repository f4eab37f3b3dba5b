//! What a record of an SQS batch says, read without ever failing: one unreadable record must not harm the others.

use aws_lambda_events::sqs::SqsMessage;
use shared::job::Delivery;
use shared::message::{WORK_ID_ATTRIBUTE, WorkItem};
use shared::object::Object;

/// A message as it was received.
#[derive(Debug)]
pub(crate) struct Received {
    /// Names the message in the batch's answer.
    pub(crate) message_id: String,
    /// Names this receive of it to SQS.
    pub(crate) receipt_handle: String,
    /// How often the message has been received, this time included.
    pub(crate) receive_count: u32,
    /// By which a job knows the message again that redrives it.
    pub(crate) delivery: Delivery,
    /// The photo to process, if the body is a work item.
    pub(crate) item: Result<WorkItem, serde_json::Error>,
}

impl From<SqsMessage> for Received {
    fn from(record: SqsMessage) -> Self {
        // A message whose count is missing is on its first receive, as far as anybody can say.
        let receive_count =
            record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
        let work_id = record.message_attributes.get(WORK_ID_ATTRIBUTE);
        let sent_at = record.attributes.get("SentTimestamp");
        let delivery = Delivery::of_message(
            work_id.and_then(|attribute| attribute.string_value.as_deref()),
            sent_at.map(String::as_str),
        );
        Self {
            message_id: record.message_id.unwrap_or_default(),
            receipt_handle: record.receipt_handle.unwrap_or_default(),
            receive_count,
            delivery,
            item: serde_json::from_str(record.body.as_deref().unwrap_or_default()).map(|Object(item)| item),
        }
    }
}
