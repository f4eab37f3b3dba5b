//! What happens to a message: it is sent, received, hidden for longer or shorter, deleted, or expires.
//!
//! A receipt handle belongs to one receive. A stale one deletes nothing and the request still succeeds, as the API
//! reference has it: so a consumer that was too slow cannot delete what another one works on.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::content::{self, Attributes};
use super::error::Error;
use super::settings::{MAX_DELAY_SECONDS, MAX_VISIBILITY_SECONDS};
use super::store::{self, Queue, unreadable};
use super::{SENDER, redrive};

/// A message as a receive hands it out.
#[derive(Debug)]
pub(crate) struct Message {
    row: i64,
    pub(crate) id: String,
    pub(crate) receipt_handle: String,
    pub(crate) body: String,
    pub(crate) attributes: Attributes,
    /// Milliseconds since 1970, as every time here.
    sent_at: i64,
    first_received_at: i64,
    /// This receive included.
    receive_count: u32,
    count_on_arrival: u32,
    /// The queue that gave up on the message, if this one is its dead-letter queue.
    dead_letter_source: Option<String>,
}

impl Message {
    /// What SQS itself says about the message.
    pub(crate) fn system_attributes(&self) -> Map<String, Value> {
        let mut attributes = Map::new();
        let mut put = |name: &str, value: String| attributes.insert(name.to_owned(), value.into());
        put("SenderId", SENDER.to_owned());
        put("SentTimestamp", self.sent_at.to_string());
        put("ApproximateReceiveCount", self.receive_count.to_string());
        put("ApproximateFirstReceiveTimestamp", self.first_received_at.to_string());
        if let Some(queue) = &self.dead_letter_source {
            put("DeadLetterQueueSourceArn", store::arn(queue));
        }
        attributes
    }
}

/// What one look into a queue brought.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) messages: Vec<Message>,
    /// Messages that went to the dead-letter queue instead.
    pub(super) redriven: usize,
    /// When the next message, hidden so far, becomes visible.
    pub(super) next_visible_at: Option<i64>,
}

/// Puts a message into the queue, and returns its id.
pub(super) fn send(
    tx: &Transaction<'_>,
    queue: &Queue,
    body: &str,
    attributes: &Attributes,
    delay: Option<u32>,
    now: i64,
) -> Result<String, Error> {
    content::check(body, attributes, queue.settings.max_message_bytes)?;
    let delay = delay.unwrap_or(queue.settings.delay);
    if delay > MAX_DELAY_SECONDS {
        return Err(Error::invalid("DelaySeconds", delay, "DelaySeconds must be >= 0 and <= 900."));
    }
    let message_id = Uuid::new_v4().to_string();
    tx.prepare_cached(
        "INSERT INTO message (queue, message_id, body, attributes, sent_at, visible_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        queue.name,
        message_id,
        body,
        serde_json::to_string(attributes).map_err(unreadable)?,
        now,
        now + i64::from(delay) * 1000
    ])?;
    Ok(message_id)
}

/// Takes up to `max` visible messages and hides them for `visibility` seconds. What was received too often already
/// goes to the dead-letter queue.
pub(super) fn receive(
    tx: &Transaction<'_>,
    queue: &Queue,
    max: u32,
    visibility: Option<u32>,
    now: i64,
) -> Result<Received, Error> {
    let target = redrive::target(tx, queue)?;
    let visible_at = now + i64::from(visibility.unwrap_or(queue.settings.visibility_timeout)) * 1000;
    let mut received = Received { messages: Vec::new(), redriven: 0, next_visible_at: None };
    for mut message in visible(tx, queue, max, now)? {
        if let Some((dead_letter_queue, max_receives)) = &target
            && message.receive_count - message.count_on_arrival >= *max_receives
        {
            redrive::to_dead_letter_queue(tx, queue, message.row, dead_letter_queue, now)?;
            received.redriven += 1;
            continue;
        }
        let receipt = Uuid::new_v4();
        message.receipt_handle = receipt_handle(message.row, receipt);
        message.receive_count += 1;
        tx.prepare_cached(
            "UPDATE message SET visible_at = ?2, receipt = ?3, receive_count = receive_count + 1, first_received_at = ?4
             WHERE id = ?1",
        )?
        .execute(params![message.row, visible_at, receipt.to_string(), message.first_received_at])?;
        received.messages.push(message);
    }
    received.next_visible_at = tx
        .prepare_cached("SELECT min(visible_at) FROM message WHERE queue = ?1 AND visible_at > ?2")?
        .query_row(params![queue.name, now], |row| row.get(0))?;
    Ok(received)
}

fn visible(tx: &Transaction<'_>, queue: &Queue, max: u32, now: i64) -> Result<Vec<Message>, Error> {
    let mut statement = tx.prepare_cached(
        "SELECT id, message_id, body, attributes, sent_at, first_received_at, receive_count, count_on_arrival,
                dead_letter_source
         FROM message WHERE queue = ?1 AND visible_at <= ?2 AND sent_at > ?3 ORDER BY visible_at, id LIMIT ?4",
    )?;
    let mut rows = statement.query(params![queue.name, now, expiry(queue, now), max])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(read(row, now)?);
    }
    Ok(messages)
}

fn read(row: &Row<'_>, now: i64) -> Result<Message, Error> {
    Ok(Message {
        row: row.get(0)?,
        id: row.get(1)?,
        receipt_handle: String::new(),
        body: row.get(2)?,
        attributes: serde_json::from_str(&row.get::<_, String>(3)?).map_err(unreadable)?,
        sent_at: row.get(4)?,
        first_received_at: row.get::<_, Option<i64>>(5)?.unwrap_or(now),
        receive_count: row.get(6)?,
        count_on_arrival: row.get(7)?,
        dead_letter_source: row.get(8)?,
    })
}

/// How many messages could be received now, counted up to `limit`.
pub(super) fn backlog(tx: &Transaction<'_>, queue: &Queue, limit: u32, now: i64) -> Result<u32, Error> {
    let count = tx
        .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM message WHERE queue = ?1 AND visible_at <= ?2 LIMIT ?3)")?
        .query_row(params![queue.name, now, limit], |row| row.get(0))?;
    Ok(count)
}

/// Deletes the message of a receipt handle, if that is the handle of its latest receive.
pub(super) fn delete(tx: &Transaction<'_>, queue: &Queue, handle: &str) -> Result<(), Error> {
    let (row, receipt) = parse_handle(handle)?;
    let mut statement = tx.prepare_cached("DELETE FROM message WHERE id = ?1 AND queue = ?2 AND receipt = ?3")?;
    statement.execute(params![row, queue.name, receipt.to_string()])?;
    Ok(())
}

/// Hides a message that is in flight for `seconds` from now; 0 gives it back at once.
pub(super) fn change_visibility(
    tx: &Transaction<'_>,
    queue: &Queue,
    handle: &str,
    seconds: u32,
    now: i64,
) -> Result<(), Error> {
    check_visibility(seconds)?;
    let (row, receipt) = parse_handle(handle)?;
    let visible_at: Option<i64> = tx
        .prepare_cached("SELECT visible_at FROM message WHERE id = ?1 AND queue = ?2 AND receipt = ?3")?
        .query_row(params![row, queue.name, receipt.to_string()], |row| row.get(0))
        .optional()?;
    match visible_at {
        None => Err(Error::invalid(
            "ReceiptHandle",
            handle,
            "Message does not exist or is not available for visibility timeout change.",
        )),
        Some(visible_at) if visible_at <= now => Err(Error::MessageNotInflight),
        Some(_) => {
            tx.prepare_cached("UPDATE message SET visible_at = ?2 WHERE id = ?1")?
                .execute(params![row, now + i64::from(seconds) * 1000])?;
            Ok(())
        }
    }
}

pub(super) fn check_visibility(seconds: u32) -> Result<(), Error> {
    if seconds <= MAX_VISIBILITY_SECONDS {
        return Ok(());
    }
    Err(Error::invalid("VisibilityTimeout", seconds, "VisibilityTimeout must be an integer between 0 and 43200."))
}

/// Deletes every message of the queue.
pub(super) fn purge(tx: &Transaction<'_>, queue: &Queue) -> Result<(), Error> {
    tx.prepare_cached("DELETE FROM message WHERE queue = ?1")?.execute([&queue.name])?;
    Ok(())
}

/// Deletes what is older than the queue's retention period.
pub(super) fn expire(tx: &Transaction<'_>, queue: &Queue, now: i64) -> Result<usize, Error> {
    let expired = tx
        .prepare_cached("DELETE FROM message WHERE queue = ?1 AND sent_at <= ?2")?
        .execute(params![queue.name, expiry(queue, now)])?;
    Ok(expired)
}

fn expiry(queue: &Queue, now: i64) -> i64 {
    now - i64::from(queue.settings.retention) * 1000
}

fn receipt_handle(row: i64, receipt: Uuid) -> String {
    BASE64_STANDARD.encode(format!("{row}:{receipt}"))
}

fn parse_handle(handle: &str) -> Result<(i64, Uuid), Error> {
    let parse = || {
        let text = String::from_utf8(BASE64_STANDARD.decode(handle).ok()?).ok()?;
        let (row, receipt) = text.split_once(':')?;
        Some((row.parse().ok()?, receipt.parse().ok()?))
    };
    parse().ok_or(Error::ReceiptHandleIsInvalid)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::data_dir::DataDir;
    use crate::sqs::store;

    #[test]
    fn a_message_past_its_retention_is_not_received_and_goes() {
        let dir = DataDir::ephemeral().unwrap();
        let mut database = store::open(&dir.path().join("sqs.sqlite"), 0).unwrap();
        let tx = database.transaction().unwrap();
        let attributes = BTreeMap::from([("MessageRetentionPeriod".to_owned(), "60".to_owned())]);
        store::create(&tx, "q", &attributes, 0).unwrap();
        let queue = store::queue(&tx, "q").unwrap();
        send(&tx, &queue, "x", &Attributes::new(), None, 1_000).unwrap();

        let received = |now| receive(&tx, &queue, 10, Some(0), now).unwrap().messages.len();
        assert_eq!(received(60_999), 1);
        assert_eq!(received(61_000), 0);
        assert_eq!(expire(&tx, &queue, 60_999).unwrap(), 0);
        assert_eq!(expire(&tx, &queue, 61_000).unwrap(), 1);
    }

    #[test]
    fn a_clock_that_was_set_back_holds_no_message_longer_than_a_delay() {
        let dir = DataDir::ephemeral().unwrap();
        let path = dir.path().join("sqs.sqlite");
        let day = 24 * 60 * 60 * 1000;
        let mut database = store::open(&path, day).unwrap();
        let tx = database.transaction().unwrap();
        store::create(&tx, "q", &BTreeMap::new(), day).unwrap();
        let queue = store::queue(&tx, "q").unwrap();
        send(&tx, &queue, "x", &Attributes::new(), None, day).unwrap();
        tx.commit().unwrap();
        drop(database);

        let mut database = store::open(&path, 0).unwrap();
        let tx = database.transaction().unwrap();
        assert_eq!(receive(&tx, &queue, 10, None, 0).unwrap().messages.len(), 1);
    }
}
