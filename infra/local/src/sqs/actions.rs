//! The protocol's operations: which request does what, and what it answers.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::Transaction;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::content::{self, is_wanted, md5_of_attributes, md5_of_body};
use super::error::Error;
use super::request::{
    Batch, ChangeVisibility, CreateQueue, DeleteMessage, Entry, GetAttributes, GetQueueUrl, ListQueues, MoveTask,
    OnQueue, ReceiveMessage, SendMessage, SetAttributes, parse,
};
use super::settings::{MAX_MESSAGE_BYTES, MAX_WAIT_SECONDS};
use super::store::Queue;
use super::{Message, Receive, Sqs, message, now, redrive, store};
use crate::stack::ACCOUNT;

/// Most entries of a batch, and most messages of a receive.
const MAX_ENTRIES: usize = 10;

/// Runs one operation. `base_url` starts the URLs of queues, so that they lead back the way the client came.
pub(super) async fn run(sqs: &Sqs, action: &str, base_url: &str, body: &[u8]) -> Result<Value, Error> {
    let url = |name: &str| format!("{base_url}/{ACCOUNT}/{name}");
    match action {
        "CreateQueue" => {
            let CreateQueue { queue_name, attributes } = parse(body)?;
            let answer = json!({ "QueueUrl": url(&queue_name) });
            sqs.transact(move |tx| store::create(tx, &queue_name, &attributes, now())).await?;
            Ok(answer)
        }
        "GetQueueUrl" => {
            let GetQueueUrl { queue_name } = parse(body)?;
            let answer = json!({ "QueueUrl": url(&queue_name) });
            sqs.transact(move |tx| store::queue(tx, &queue_name)).await?;
            Ok(answer)
        }
        "ListQueues" => {
            let ListQueues { queue_name_prefix, next_token, max_results } = parse(body)?;
            let limit = max_results.unwrap_or(1000).clamp(1, 1000);
            let names = sqs.transact(move |tx| store::names(tx, &queue_name_prefix, &next_token, limit)).await?;
            let mut answer = json!({ "QueueUrls": names.iter().map(|name| url(name)).collect::<Vec<_>>() });
            // A token only for who asked for pages, as on AWS.
            if let (Some(_), Some(last)) = (max_results.filter(|_| names.len() == limit as usize), names.last()) {
                answer["NextToken"] = last.as_str().into();
            }
            Ok(answer)
        }
        "DeleteQueue" => on_queue(sqs, body, |tx, queue, ()| store::delete(tx, queue)).await,
        "PurgeQueue" => on_queue(sqs, body, |tx, queue, ()| message::purge(tx, queue)).await,
        "SetQueueAttributes" => {
            on_queue(sqs, body, |tx, queue, SetAttributes { attributes }| {
                store::set_attributes(tx, queue, attributes, now())
            })
            .await
        }
        "GetQueueAttributes" => on_queue(sqs, body, get_attributes).await,
        "SendMessage" => on_queue(sqs, body, send).await,
        "SendMessageBatch" => on_queue(sqs, body, send_batch).await,
        "ReceiveMessage" => receive(sqs, parse(body)?).await,
        "DeleteMessage" => on_queue(sqs, body, delete).await,
        "DeleteMessageBatch" => on_queue(sqs, body, |tx, queue, request| batch(tx, queue, request, delete)).await,
        "ChangeMessageVisibility" => on_queue(sqs, body, change_visibility).await,
        "ChangeMessageVisibilityBatch" => {
            on_queue(sqs, body, |tx, queue, request| batch(tx, queue, request, change_visibility)).await
        }
        "StartMessageMoveTask" => {
            let task: MoveTask = parse(body)?;
            let answer = sqs.transact(move |tx| {
                let rate = task.max_number_of_messages_per_second;
                redrive::start_move_task(tx, &task.source_arn, task.destination_arn.as_deref(), rate, now())
            });
            let answer = answer.await?;
            sqs.arrivals.notify_waiters();
            Ok(answer)
        }
        "ListMessageMoveTasks" => {
            let task: MoveTask = parse(body)?;
            sqs.transact(move |tx| redrive::move_tasks(tx, &task.source_arn, task.max_results.unwrap_or(1))).await
        }
        _ => Err(Error::UnknownOperation(action.to_owned())),
    }
}

/// The queue's name in its URL.
fn name_in(queue_url: &str) -> String {
    queue_url.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Runs an operation on one queue in a transaction, and wakes who waits for messages.
async fn on_queue<T, A>(
    sqs: &Sqs,
    body: &[u8],
    operation: impl FnOnce(&Transaction<'_>, &Queue, &T) -> Result<A, Error> + Send + 'static,
) -> Result<Value, Error>
where
    T: DeserializeOwned + Send + 'static,
    A: Into<Value> + Send + 'static,
{
    let OnQueue { queue_url, rest } = parse(body)?;
    let name = name_in(&queue_url);
    let answer = sqs.transact(move |tx| operation(tx, &store::queue(tx, &name)?, &rest)).await?;
    sqs.arrivals.notify_waiters();
    Ok(answer_of(answer))
}

/// What an operation without a result answers is an empty object.
fn answer_of(result: impl Into<Value>) -> Value {
    match result.into() {
        Value::Null => json!({}),
        value => value,
    }
}

/// Runs each entry of a batch. One that fails says so in its place and harms no other.
fn batch<T, A: Into<Value>>(
    tx: &Transaction<'_>,
    queue: &Queue,
    batch: &Batch<T>,
    operation: impl Fn(&Transaction<'_>, &Queue, &T) -> Result<A, Error>,
) -> Result<Value, Error> {
    check_ids(&batch.entries)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for Entry { id, request } in &batch.entries {
        match operation(tx, queue, request) {
            Ok(result) => {
                let mut answer = answer_of(result);
                answer["Id"] = id.as_str().into();
                successful.push(answer);
            }
            Err(error) if error.is_senders() => {
                failed.push(json!({
                    "Id": id, "Code": error.code(), "Message": error.to_string(), "SenderFault": true,
                }));
            }
            Err(error) => return Err(error),
        }
    }
    let mut answer = json!({ "Successful": successful });
    if !failed.is_empty() {
        answer["Failed"] = failed.into();
    }
    Ok(answer)
}

fn check_ids<T>(entries: &[Entry<T>]) -> Result<(), Error> {
    match entries.len() {
        0 => return Err(Error::EmptyBatchRequest),
        1..=MAX_ENTRIES => {}
        more => return Err(Error::TooManyEntriesInBatchRequest(more)),
    }
    let mut ids = BTreeSet::new();
    for Entry { id, .. } in entries {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if !(1..=80).contains(&id.len()) || !id.bytes().all(allowed) {
            return Err(Error::InvalidBatchEntryId);
        }
        if !ids.insert(id) {
            return Err(Error::BatchEntryIdsNotDistinct(id.clone()));
        }
    }
    Ok(())
}

fn get_attributes(tx: &Transaction<'_>, queue: &Queue, request: &GetAttributes) -> Result<Value, Error> {
    let mut attributes = store::attributes(tx, queue, now())?;
    let known = |name: &String| name == "All" || name == "RedrivePolicy" || attributes.contains_key(name.as_str());
    if let Some(unknown) = request.attribute_names.iter().find(|name| !known(name)) {
        return Err(Error::InvalidAttributeName(unknown.clone()));
    }
    attributes.retain(|name, _| is_wanted(&request.attribute_names, name));
    Ok(if attributes.is_empty() { json!({}) } else { json!({ "Attributes": attributes }) })
}

fn send(tx: &Transaction<'_>, queue: &Queue, request: &SendMessage) -> Result<Value, Error> {
    let SendMessage { message_body, delay_seconds, message_attributes } = request;
    let message_id = message::send(tx, queue, message_body, message_attributes, *delay_seconds, now())?;
    let mut answer = json!({ "MessageId": message_id, "MD5OfMessageBody": md5_of_body(message_body) });
    if let Some(md5) = md5_of_attributes(message_attributes) {
        answer["MD5OfMessageAttributes"] = md5.into();
    }
    Ok(answer)
}

fn send_batch(tx: &Transaction<'_>, queue: &Queue, request: &Batch<SendMessage>) -> Result<Value, Error> {
    // What is wrong with a single message is told in its place.
    let size = |entry: &Entry<SendMessage>| {
        content::check(&entry.request.message_body, &entry.request.message_attributes, u32::MAX).unwrap_or(0)
    };
    let bytes: usize = request.entries.iter().map(size).sum();
    if bytes > MAX_MESSAGE_BYTES as usize {
        return Err(Error::BatchRequestTooLong(bytes));
    }
    batch(tx, queue, request, send)
}

fn delete(tx: &Transaction<'_>, queue: &Queue, request: &DeleteMessage) -> Result<(), Error> {
    message::delete(tx, queue, &request.receipt_handle)
}

fn change_visibility(tx: &Transaction<'_>, queue: &Queue, request: &ChangeVisibility) -> Result<(), Error> {
    message::change_visibility(tx, queue, &request.receipt_handle, request.visibility_timeout, now())
}

async fn receive(sqs: &Sqs, OnQueue { queue_url, rest }: OnQueue<ReceiveMessage>) -> Result<Value, Error> {
    let max = rest.max_number_of_messages.unwrap_or(1);
    if !(1..=MAX_ENTRIES).contains(&(max as usize)) {
        return Err(Error::invalid("MaxNumberOfMessages", max, "Must be between 1 and 10, if provided."));
    }
    if let Some(wait) = rest.wait_time_seconds.filter(|wait| *wait > MAX_WAIT_SECONDS) {
        return Err(Error::invalid("WaitTimeSeconds", wait, "Must be >= 0 and <= 20, if provided."));
    }
    message::check_visibility(rest.visibility_timeout.unwrap_or(0))?;

    let wait = rest.wait_time_seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let receive = Receive { max, wait, visibility: rest.visibility_timeout };
    let messages = sqs.receive(&name_in(&queue_url), receive).await?;
    if messages.is_empty() {
        return Ok(json!({}));
    }
    let system = [rest.attribute_names, rest.message_system_attribute_names].concat();
    let messages: Vec<Value> =
        messages.into_iter().map(|message| as_json(message, &system, &rest.message_attribute_names)).collect();
    Ok(json!({ "Messages": messages }))
}

/// A message with those system attributes and attributes that the receiver asked for.
fn as_json(mut message: Message, system: &[String], wanted: &[String]) -> Value {
    let mut answer = json!({
        "MessageId": message.id,
        "ReceiptHandle": message.receipt_handle,
        "MD5OfBody": md5_of_body(&message.body),
        "Body": message.body,
    });
    let attributes: Map<String, Value> =
        message.system_attributes().into_iter().filter(|(name, _)| is_wanted(system, name)).collect();
    if !attributes.is_empty() {
        answer["Attributes"] = attributes.into();
    }
    message.attributes.retain(|name, _| is_wanted(wanted, name));
    if let Some(md5) = md5_of_attributes(&message.attributes) {
        answer["MD5OfMessageAttributes"] = md5.into();
        answer["MessageAttributes"] = json!(message.attributes);
    }
    answer
}
