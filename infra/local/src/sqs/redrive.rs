//! Moving messages between queues: to the dead-letter queue when they were received too often, and back by a message
//! move task.
//!
//! A move task is done within its own request, whatever rate it asks for, so there is none to cancel. It moves messages
//! in flight too: AWS goes on until the queue is empty, and comes to them once they are visible again.

use rusqlite::{Transaction, params};
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::Error;
use super::store::{self, Queue};

/// The queue's dead-letter queue, if that exists, and how many receives a message has before it goes there.
pub(super) fn target(tx: &Transaction<'_>, queue: &Queue) -> Result<Option<(String, u32)>, Error> {
    let Some(policy) = &queue.settings.redrive else { return Ok(None) };
    let target = store::queue_by_arn(tx, &policy.dead_letter_target_arn)?;
    Ok(target.map(|target| (target.name, policy.max_receive_count)))
}

/// Moves one message. It keeps its id, its age and its receive count.
pub(super) fn to_dead_letter_queue(
    tx: &Transaction<'_>,
    from: &Queue,
    message: i64,
    to: &str,
    now: i64,
) -> Result<(), Error> {
    tx.prepare_cached(
        "UPDATE message SET queue = ?2, dead_letter_source = ?3, count_on_arrival = receive_count, receipt = NULL,
                            visible_at = ?4
         WHERE id = ?1",
    )?
    .execute(params![message, to, from.name, now])?;
    Ok(())
}

/// Moves every message of a dead-letter queue to `destination`, or back to where each came from. To their new
/// queue they are new messages, as on AWS.
pub(super) fn start_move_task(
    tx: &Transaction<'_>,
    source_arn: &str,
    destination_arn: Option<&str>,
    rate: Option<u32>,
    now: i64,
) -> Result<Value, Error> {
    let missing =
        || Error::ResourceNotFound("The resource that you specified for the SourceArn parameter doesn't exist.".into());
    let source = store::queue_by_arn(tx, source_arn)?.ok_or_else(missing)?;
    if !is_dead_letter_queue(tx, source_arn)? {
        return Err(Error::InvalidParameterValue("Source queue must be configured as a Dead Letter Queue.".into()));
    }
    if rate.is_some_and(|rate| !(1..=500).contains(&rate)) {
        return Err(Error::InvalidParameterValue("MaxNumberOfMessagesPerSecond must be between 1 and 500.".into()));
    }
    if let Some(arn) = destination_arn {
        let missing = || {
            Error::ResourceNotFound(
                "The resource that you specified for the DestinationArn parameter doesn't exist.".into(),
            )
        };
        store::queue_by_arn(tx, arn)?.ok_or_else(missing)?;
    }

    let waiting: Vec<(i64, Option<String>)> = tx
        .prepare_cached("SELECT id, dead_letter_source FROM message WHERE queue = ?1")?
        .query_map(params![source.name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut moved = 0_u32;
    for (id, came_from) in &waiting {
        let to = destination_arn.map(str::to_owned).or_else(|| came_from.as_deref().map(store::arn));
        let Some(to) = to else { continue };
        let Some(to) = store::queue_by_arn(tx, &to)? else { continue };
        tx.prepare_cached(
            "UPDATE message SET queue = ?2, message_id = ?3, sent_at = ?4, visible_at = ?4, receipt = NULL,
                                receive_count = 0, count_on_arrival = 0, first_received_at = NULL,
                                dead_letter_source = NULL
             WHERE id = ?1",
        )?
        .execute(params![id, to.name, Uuid::new_v4().to_string(), now])?;
        moved += 1;
    }
    tx.prepare_cached(
        "INSERT INTO move_task (source, destination, rate, started_at, to_move, moved) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![source.name, destination_arn, rate, now, waiting.len(), moved])?;
    Ok(json!({ "TaskHandle": format!("{}:{}", source.name, tx.last_insert_rowid()) }))
}

/// Whether some queue's redrive policy names `arn`.
fn is_dead_letter_queue(tx: &Transaction<'_>, arn: &str) -> Result<bool, Error> {
    let named = tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM queue WHERE settings ->> '$.redrive.deadLetterTargetArn' = ?1)")?
        .query_row([arn], |row| row.get(0))?;
    Ok(named)
}

/// The latest move tasks of a queue, newest first.
pub(super) fn move_tasks(tx: &Transaction<'_>, source_arn: &str, limit: u32) -> Result<Value, Error> {
    let missing =
        || Error::ResourceNotFound("The resource that you specified for the SourceArn parameter doesn't exist.".into());
    let source = store::queue_by_arn(tx, source_arn)?.ok_or_else(missing)?;
    if !(1..=10).contains(&limit) {
        return Err(Error::InvalidParameterValue("MaxResults must be between 1 and 10.".into()));
    }
    let mut statement = tx.prepare_cached(
        "SELECT destination, rate, started_at, to_move, moved FROM move_task WHERE source = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let tasks = statement.query_map(params![source.name, limit], |row| {
        let (destination, rate): (Option<String>, Option<u32>) = (row.get(0)?, row.get(1)?);
        let (started_at, to_move, moved): (i64, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let mut task = json!({
            "Status": if moved == to_move { "COMPLETED" } else { "FAILED" },
            "SourceArn": source_arn,
            "StartedTimestamp": started_at,
            "ApproximateNumberOfMessagesToMove": to_move,
            "ApproximateNumberOfMessagesMoved": moved,
        });
        // Absent parts stay absent: a null is a value to some clients.
        if let Some(destination) = destination {
            task["DestinationArn"] = destination.into();
        }
        if let Some(rate) = rate {
            task["MaxNumberOfMessagesPerSecond"] = rate.into();
        }
        if moved < to_move {
            task["FailureReason"] = "CouldNotDetermineMessageSource".into();
        }
        Ok(task)
    })?;
    let tasks: Vec<Value> = tasks.collect::<Result<_, _>>()?;
    Ok(json!({ "Results": tasks }))
}
