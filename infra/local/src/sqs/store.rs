//! Queues and messages in SQLite: the tables, and what is done to a queue as a whole.
//!
//! Functions here run within a transaction and take the time, in milliseconds since 1970, as an argument. What is
//! done to messages stands in [`super::message`], moving them between queues in [`super::redrive`].

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::error::Error;
use super::settings::Settings;
use crate::sqlite::{self, OpenError};
use crate::stack::{ACCOUNT, REGION};

/// The layout of the tables.
const LAYOUT: i64 = 1;

// A message is visible once `visible_at` has passed; before that it is in flight if it has a `receipt`, else delayed.
// `receive_count` counts over all queues, as AWS does; `count_on_arrival` is what it was when this queue got the
// message, so that a dead-letter queue's own policy starts afresh.
const SCHEMA: &str = "
    CREATE TABLE queue (
        name        TEXT PRIMARY KEY,
        settings    TEXT NOT NULL,
        created_at  INTEGER NOT NULL,
        modified_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE message (
        id                 INTEGER PRIMARY KEY AUTOINCREMENT,
        queue              TEXT NOT NULL REFERENCES queue (name) ON DELETE CASCADE,
        message_id         TEXT NOT NULL,
        body               TEXT NOT NULL,
        attributes         TEXT NOT NULL,
        sent_at            INTEGER NOT NULL,
        visible_at         INTEGER NOT NULL,
        receipt            TEXT,
        receive_count      INTEGER NOT NULL DEFAULT 0,
        count_on_arrival   INTEGER NOT NULL DEFAULT 0,
        first_received_at  INTEGER,
        dead_letter_source TEXT
    ) STRICT;
    CREATE INDEX message_by_visibility ON message (queue, visible_at, id);

    CREATE TABLE move_task (
        id           INTEGER PRIMARY KEY AUTOINCREMENT,
        source       TEXT NOT NULL REFERENCES queue (name) ON DELETE CASCADE,
        destination  TEXT,
        rate         INTEGER,
        started_at   INTEGER NOT NULL,
        to_move      INTEGER NOT NULL,
        moved        INTEGER NOT NULL
    ) STRICT;
";

/// A queue that exists.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) settings: Settings,
}

/// Opens the database, and makes what was in flight visible again: whoever received it died with the last process.
pub(super) fn open(path: &Path, now: i64) -> Result<Connection, OpenError> {
    let database = sqlite::open(path, LAYOUT, SCHEMA)?;
    // A delay lasts at most 15 minutes, so a longer one means that the clock was set back meanwhile.
    database
        .execute(
            "UPDATE message SET visible_at = ?1 WHERE visible_at > ?1 AND (receipt IS NOT NULL OR visible_at > ?2)",
            params![now, now + i64::from(super::settings::MAX_DELAY_SECONDS) * 1000],
        )
        .map_err(|source| OpenError::Database { path: path.to_owned(), source })?;
    Ok(database)
}

pub(crate) fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
}

/// The queue behind an ARN of this endpoint.
pub(super) fn queue_by_arn(tx: &Transaction<'_>, arn: &str) -> Result<Option<Queue>, Error> {
    match arn.strip_prefix(&format!("arn:aws:sqs:{REGION}:{ACCOUNT}:")) {
        Some(name) => find(tx, name),
        None => Ok(None),
    }
}

/// The queue `name`, which has to exist.
pub(super) fn queue(tx: &Transaction<'_>, name: &str) -> Result<Queue, Error> {
    find(tx, name)?.ok_or(Error::QueueDoesNotExist)
}

pub(super) fn find(tx: &Transaction<'_>, name: &str) -> Result<Option<Queue>, Error> {
    let settings: Option<String> = tx
        .prepare_cached("SELECT settings FROM queue WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let Some(settings) = settings else { return Ok(None) };
    let settings = serde_json::from_str(&settings).map_err(unreadable)?;
    Ok(Some(Queue { name: name.to_owned(), settings }))
}

/// A stored text that does not parse: somebody else wrote into the file.
pub(super) fn unreadable(error: serde_json::Error) -> Error {
    Error::Internal(rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
}

/// Creates a queue. One that is there with the same attributes already is as good.
pub(super) fn create(
    tx: &Transaction<'_>,
    name: &str,
    attributes: &BTreeMap<String, String>,
    now: i64,
) -> Result<(), Error> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !(1..=80).contains(&name.len()) || !name.bytes().all(allowed) {
        let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.";
        return Err(Error::InvalidParameterValue(reason.to_owned()));
    }
    if let Some(existing) = find(tx, name)? {
        let (has, mut wants) = (existing.settings.attributes(), existing.settings);
        wants.apply(attributes)?;
        let differs = wants.attributes().into_iter().find(|(name, value)| has.get(name) != Some(value));
        return differs.map_or(Ok(()), |(name, _)| Err(Error::QueueNameExists(name.to_owned())));
    }
    let mut settings = Settings::default();
    settings.apply(attributes)?;
    check_redrive(tx, &settings)?;
    tx.prepare_cached("INSERT INTO queue (name, settings, created_at, modified_at) VALUES (?1, ?2, ?3, ?3)")?
        .execute(params![name, as_json(&settings)?, now])?;
    Ok(())
}

pub(super) fn set_attributes(
    tx: &Transaction<'_>,
    queue: &Queue,
    attributes: &BTreeMap<String, String>,
    now: i64,
) -> Result<(), Error> {
    let mut settings = queue.settings.clone();
    settings.apply(attributes)?;
    check_redrive(tx, &settings)?;
    tx.prepare_cached("UPDATE queue SET settings = ?2, modified_at = ?3 WHERE name = ?1")?.execute(params![
        queue.name,
        as_json(&settings)?,
        now
    ])?;
    Ok(())
}

fn as_json(settings: &Settings) -> Result<String, Error> {
    serde_json::to_string(settings).map_err(unreadable)
}

fn check_redrive(tx: &Transaction<'_>, settings: &Settings) -> Result<(), Error> {
    let Some(policy) = &settings.redrive else { return Ok(()) };
    if queue_by_arn(tx, &policy.dead_letter_target_arn)?.is_some() {
        return Ok(());
    }
    Err(Error::invalid("RedrivePolicy", &policy.dead_letter_target_arn, "Dead letter target does not exist."))
}

/// All attributes of a queue, as `GetQueueAttributes` names them.
pub(super) fn attributes(
    tx: &Transaction<'_>,
    queue: &Queue,
    now: i64,
) -> Result<BTreeMap<&'static str, String>, Error> {
    let mut attributes = queue.settings.attributes();
    attributes.insert("QueueArn", arn(&queue.name));
    tx.prepare_cached("SELECT created_at / 1000, modified_at / 1000 FROM queue WHERE name = ?1")?.query_row(
        [&queue.name],
        |row| {
            attributes.insert("CreatedTimestamp", row.get::<_, i64>(0)?.to_string());
            attributes.insert("LastModifiedTimestamp", row.get::<_, i64>(1)?.to_string());
            Ok(())
        },
    )?;
    tx.prepare_cached(
        "SELECT count(*) FILTER (WHERE visible_at <= ?2),
                count(*) FILTER (WHERE visible_at > ?2 AND receipt IS NOT NULL),
                count(*) FILTER (WHERE visible_at > ?2 AND receipt IS NULL)
         FROM message WHERE queue = ?1",
    )?
    .query_row(params![queue.name, now], |row| {
        attributes.insert("ApproximateNumberOfMessages", row.get::<_, i64>(0)?.to_string());
        attributes.insert("ApproximateNumberOfMessagesNotVisible", row.get::<_, i64>(1)?.to_string());
        attributes.insert("ApproximateNumberOfMessagesDelayed", row.get::<_, i64>(2)?.to_string());
        Ok(())
    })?;
    Ok(attributes)
}

/// Names of queues that start with `prefix` and come after `after`, in order, at most `limit`.
pub(super) fn names(tx: &Transaction<'_>, prefix: &str, after: &str, limit: u32) -> Result<Vec<String>, Error> {
    let mut statement = tx.prepare_cached(
        "SELECT name FROM queue WHERE name > ?1 AND substr(name, 1, length(?2)) = ?2 ORDER BY name LIMIT ?3",
    )?;
    let names = statement.query_map(params![after, prefix, limit], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Deletes the queue and all that is in it.
pub(super) fn delete(tx: &Transaction<'_>, queue: &Queue) -> Result<(), Error> {
    tx.prepare_cached("DELETE FROM queue WHERE name = ?1")?.execute([&queue.name])?;
    Ok(())
}
