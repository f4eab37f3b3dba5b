//! A batch of SQS messages: each record on its own, and an answer that names exactly those to be given back.

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_lambda_events::sqs::SqsBatchResponse;
use futures::stream::{self, StreamExt};
use shared::time::Timestamp;

use crate::process::{Outcome, Processor};
use crate::received::Received;

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
    let Received { message_id, receipt_handle, receive_count, delivery, item } = record.into();
    let item = match item {
        Ok(item) => item,
        Err(error) => {
            tracing::error!(sqs.message_id = message_id, %error, "a message that is no work item: left for the dead-letter queue");
            return Some(message_id);
        }
    };
    match processor.process(&item, &delivery, receive_count, deadline).await {
        Outcome::Done => None,
        Outcome::Poison(why) => {
            tracing::error!(sqs.message_id = message_id, job.id = %item.job_id, "{why}: left for the dead-letter queue");
            Some(message_id)
        }
        Outcome::Retry { after } => {
            if let Err(error) = processor.queue.retry_in(&receipt_handle, after.as_secs()).await {
                // It comes again all the same, at the end of the visibility timeout; or somebody else has received it
                // meanwhile, and reconcile queues the job again.
                tracing::warn!(sqs.message_id = message_id, %error, "the message's pause could not be set");
            }
            Some(message_id)
        }
    }
}
