//! Batches of SQS messages that wake the worker, and the work items in them.
#![no_main]

use aws_lambda_events::sqs::SqsEvent;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use shared::message::WorkItem;

#[allow(dead_code, reason = "what is read is not carried out here")]
#[path = "../../../functions/worker/src/received.rs"]
mod received;

use received::Received;

fuzz_target!(|bytes: &[u8]| {
    // A body by itself, since mutations seldom get through two layers of JSON.
    if let Ok(item) = serde_json::from_slice(bytes) {
        survives_the_queue(&item);
    }
    let Ok(json) = serde_json::from_slice::<Value>(bytes) else { return };
    let Ok(batch) = serde_json::from_value::<SqsEvent>(json) else { return };
    for record in batch.records {
        let given_id = record.message_id.clone().unwrap_or_default();
        let Received { message_id, item, .. } = record.into();
        assert_eq!(message_id, given_id);
        if let Ok(item) = item {
            survives_the_queue(&item);
        }
    }
});

fn survives_the_queue(item: &WorkItem) {
    let body = serde_json::to_string(item).expect("a work item is JSON");
    assert_eq!(serde_json::from_str::<WorkItem>(&body).as_ref().ok(), Some(item), "{body}");
}
