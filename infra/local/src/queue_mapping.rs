//! The event source mappings between queues and functions: they receive batches, invoke, and delete what succeeded.
//!
//! Lambda's rules: an answer names the records that failed and the rest are deleted; an error, or an answer that names
//! a record nobody sent, fails the whole batch. What failed comes back after its visibility timeout.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::functions::{Function, Functions};
use crate::sqs::{self, Message, Receive, Sqs};
use crate::stack::{CALLBACK_QUEUE, QUEUE, REGION};

/// Feeds a function from a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping {
    queue: &'static str,
    function: Function,
    /// Batches under way at once.
    pollers: u32,
    /// Largest batch.
    max_batch: u32,
}

/// More pollers than there are cores: a photo should not have to wait because others, which take all the memory that
/// there is, wait for one another. Lambda begins with five and adds some when many messages come. It would take batches of
/// ten, but starts more workers too; here, what is received and has to wait for a core uses up its invocation's time.
pub(crate) const PHOTOS: Mapping = Mapping { queue: QUEUE, function: Function::Worker, pollers: 10, max_batch: 2 };

/// As deployed: calls wait for others and take next to nothing, so all of a batch are made at once.
pub(crate) const CALLBACKS: Mapping =
    Mapping { queue: CALLBACK_QUEUE, function: Function::Dispatcher, pollers: 2, max_batch: 10 };

/// Length of a long poll.
const WAIT: Duration = Duration::from_secs(20);

/// Wait after a receive that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Feeds the function until `stop`, then finishes the batches that are under way.
pub(crate) async fn run(mapping: Mapping, sqs: Arc<Sqs>, functions: Arc<Functions>, stop: CancellationToken) {
    futures::future::join_all((0..mapping.pollers).map(|_| mapping.poll(&sqs, &functions, &stop))).await;
}

impl Mapping {
    async fn poll(&self, sqs: &Sqs, functions: &Functions, stop: &CancellationToken) {
        // Not raced against the stop: messages of an abandoned receive would hang in flight. The stop ends long polls.
        while !stop.is_cancelled() {
            if let Err(error) = self.feed(sqs, functions).await {
                tracing::error!(%error, "the queue cannot be used");
                stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }

    /// Receives one batch and sees it through.
    async fn feed(&self, sqs: &Sqs, functions: &Functions) -> Result<(), sqs::Error> {
        let Self { queue, function, pollers, max_batch } = *self;
        let max = self.batch_size(sqs.backlog(queue, 2 * pollers * max_batch).await?);
        let messages = sqs.receive(queue, Receive { max, wait: Some(WAIT), visibility: None }).await?;
        if messages.is_empty() {
            return Ok(());
        }
        match functions.invoke(function, event(queue, &messages)).await {
            Ok(answer) => sqs.delete(queue, succeeded(messages, &answer)).await,
            Err(error) => {
                tracing::error!(%error, ?function, messages = messages.len(), "a function failed; its batch comes back");
                Ok(())
            }
        }
    }

    /// How many messages a poller asks for: half its share of the backlog. So a photo that comes alone is not held up by
    /// a batch, and when many come, batches shrink towards the end and no poller is left with a long tail.
    fn batch_size(&self, backlog: u32) -> u32 {
        (backlog / (2 * self.pollers)).clamp(1, self.max_batch)
    }
}

/// The event that Lambda makes of a batch.
pub(crate) fn event(queue: &str, messages: &[Message]) -> Value {
    let records: Vec<Value> = messages
        .iter()
        .map(|message| {
            let attributes: Map<String, Value> = message
                .attributes
                .iter()
                .map(|(name, attribute)| {
                    let mut value =
                        json!({ "stringListValues": [], "binaryListValues": [], "dataType": attribute.data_type });
                    if let Some(text) = &attribute.string_value {
                        value["stringValue"] = text.as_str().into();
                    }
                    if let Some(bytes) = &attribute.binary_value {
                        value["binaryValue"] = bytes.as_str().into();
                    }
                    (name.clone(), value)
                })
                .collect();
            json!({
                "messageId": message.id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": message.system_attributes(),
                "messageAttributes": attributes,
                "md5OfBody": sqs::md5_of_body(&message.body),
                "eventSource": "aws:sqs",
                "eventSourceARN": sqs::arn(queue),
                "awsRegion": REGION,
            })
        })
        .collect();
    json!({ "Records": records })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failures {
    #[serde(default)]
    batch_item_failures: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

/// Receipt handles of the messages that `answer` does not report as failed; none if it makes no sense.
pub(crate) fn succeeded(messages: Vec<Message>, answer: &Value) -> Vec<String> {
    // A function without anything to say answers null.
    let failures = match Option::<Failures>::deserialize(answer) {
        Ok(failures) => failures.and_then(|failures| failures.batch_item_failures).unwrap_or_default(),
        Err(error) => {
            tracing::error!(%error, "the answer is not a batch response; its batch comes back");
            return Vec::new();
        }
    };
    let sent: HashSet<&str> = messages.iter().map(|message| message.id.as_str()).collect();
    let failed: HashSet<String> = failures.into_iter().map(|failure| failure.item_identifier).collect();
    if let Some(unknown) = failed.iter().find(|id| !sent.contains(id.as_str())) {
        tracing::error!(sqs.message_id = unknown, "the function reports a record nobody sent; its batch comes back");
        return Vec::new();
    }
    messages.into_iter().filter(|message| !failed.contains(&message.id)).map(|message| message.receipt_handle).collect()
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::data_dir::DataDir;

    /// Two messages, received.
    async fn messages() -> Vec<Message> {
        let dir = DataDir::ephemeral().unwrap();
        let sqs = Sqs::open(&dir.path().join("sqs.sqlite"), CancellationToken::new()).unwrap();
        sqs.ensure_queue(QUEUE, &[]).await.unwrap();
        for body in ["one", "two"] {
            sqs.send(QUEUE, body).await.unwrap();
        }
        sqs.receive(QUEUE, Receive { max: 10, wait: None, visibility: None }).await.unwrap()
    }

    #[tokio::test]
    async fn the_event_is_the_one_that_lambda_makes() {
        let messages = messages().await;
        let mut event = event(QUEUE, &messages);
        let mut record = event["Records"][0].take();
        let taken = ["messageId", "receiptHandle"].map(|name| record[name].take());
        assert_eq!(taken, [json!(messages[0].id), json!(messages[0].receipt_handle)]);
        let attributes = record["attributes"].take();
        assert_eq!(attributes["ApproximateReceiveCount"], "1");
        assert_eq!(attributes["SentTimestamp"].as_str().map(str::len), Some(13));
        let expected = json!({
            "messageId": null,
            "receiptHandle": null,
            "body": "one",
            "attributes": null,
            "messageAttributes": {},
            "md5OfBody": "f97c5d29941bfb1b2fdab0874906ab82",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:darkroom-queue",
            "awsRegion": "us-east-1",
        });
        assert_eq!(record, expected);
    }

    #[tokio::test]
    async fn only_what_the_function_did_not_report_is_deleted() {
        let [one, two] = ["0", "1"].map(|at| format!("/Records/{at}/messageId"));
        for (answer, deleted) in [
            (json!(null), 2),
            (json!({}), 2),
            (json!({ "batchItemFailures": null }), 2),
            (json!({ "batchItemFailures": [] }), 2),
            (json!({ "batchItemFailures": [{ "itemIdentifier": &one }] }), 1),
            (json!({ "batchItemFailures": [{ "itemIdentifier": &one }, { "itemIdentifier": &two }] }), 0),
            (json!({ "batchItemFailures": [{ "itemIdentifier": "unknown" }] }), 0),
            (json!({ "batchItemFailures": [{ "itemIdentifier": "" }] }), 0),
            (json!({ "batchItemFailures": [{ "itemIdentifier": null }] }), 0),
            (json!({ "batchItemFailures": [{}] }), 0),
            (json!("done"), 0),
        ] {
            let messages = messages().await;
            let event = event(QUEUE, &messages);
            let mut text = answer.to_string();
            for place in [&one, &two] {
                text = text.replace(place.as_str(), event.pointer(place).and_then(Value::as_str).unwrap());
            }
            let answer = serde_json::from_str(&text).unwrap();
            assert_eq!(succeeded(messages, &answer).len(), deleted, "{answer}");
        }
    }

    #[test]
    fn batches_grow_with_the_backlog_and_shrink_towards_its_end() {
        let sizes: Vec<u32> = [0, 1, 19, 39, 40, 1000].map(|backlog| PHOTOS.batch_size(backlog)).to_vec();
        assert_eq!(sizes, [1, 1, 1, 1, 2, 2]);
    }
}
