//! A batch of SQS messages: each record on its own, and an answer that names exactly those to be given back.

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_lambda_events::sqs::SqsBatchResponse;
use futures::stream::{self, StreamExt};
use shared::message::WorkItem;
use shared::object::Object;
use shared::time::Timestamp;

use crate::process::{Outcome, Processor};

/// Handles every record; none harms another.
pub(crate) async fn handle(processor: &Processor, event: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
    let count = event.records.len().max(1);
    let failed = stream::iter(event.records)
        .map(|record| give_back(processor, record, deadline))
        .buffer_unordered(count)
        .filter_map(std::future::ready);
    let mut response = SqsBatchResponse::default();
    for message_id in failed.collect::<Vec<String>>().await {
        response.add_failure(message_id);
    }
    response
}

/// Handles one record; its message id if it has to come again.
async fn give_back(processor: &Processor, record: SqsMessage, deadline: Timestamp) -> Option<String> {
    let message_id = record.message_id.unwrap_or_default();
    // Parsed here and not while the event is: one unreadable body must not fail the whole batch.
    let item: WorkItem = match serde_json::from_str(record.body.as_deref().unwrap_or_default()) {
        Ok(Object(item)) => item,
        Err(error) => {
            tracing::error!(sqs.message_id = message_id, %error, "a message that is no work item: left for the dead-letter queue");
            return Some(message_id);
        }
    };
    // A message whose count is missing is on its first receive, as far as anybody can say.
    let receive_count =
        record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
    match processor.process(&item, receive_count, deadline).await {
        Outcome::Done => None,
        Outcome::Poison(why) => {
            tracing::error!(sqs.message_id = message_id, job.id = %item.job_id, "{why}: left for the dead-letter queue");
            Some(message_id)
        }
        Outcome::Retry { after } => {
            let receipt_handle = record.receipt_handle.unwrap_or_default();
            if let Err(error) = processor.queue.retry_in(&receipt_handle, after.as_secs()).await {
                // It comes again all the same, at the end of the visibility timeout.
                tracing::warn!(sqs.message_id = message_id, %error, "the message's pause could not be set");
            }
            Some(message_id)
        }
    }
}
