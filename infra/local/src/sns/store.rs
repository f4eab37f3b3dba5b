//! Topics and what was published to them, in SQLite.

use std::path::Path;

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::error::Error;
use super::form::Attributes;
use crate::sqlite::{self, OpenError};

/// The layout of the tables.
const LAYOUT: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE topic (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

    CREATE TABLE notification (
        sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
        message_id TEXT NOT NULL,
        topic      TEXT NOT NULL REFERENCES topic (name),
        subject    TEXT,
        message    TEXT NOT NULL,
        attributes TEXT NOT NULL,
        time       TEXT NOT NULL
    ) STRICT;
";

/// How many notifications are kept.
const KEPT: i64 = 10_000;

pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    sqlite::open(path, LAYOUT, SCHEMA)
}

pub(super) fn create_topic(database: &Connection, name: &str) -> Result<(), Error> {
    database.prepare_cached("INSERT OR IGNORE INTO topic (name) VALUES (?1)")?.execute([name])?;
    Ok(())
}

pub(super) fn topics(database: &Connection) -> Result<Vec<String>, Error> {
    let mut statement = database.prepare_cached("SELECT name FROM topic ORDER BY name")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

pub(super) fn check_topic(database: &Connection, name: &str) -> Result<(), Error> {
    let exists = database.prepare_cached("SELECT 1 FROM topic WHERE name = ?1")?.exists([name])?;
    if exists { Ok(()) } else { Err(Error::NotFound) }
}

pub(super) fn publish(
    database: &Connection,
    topic: &str,
    message_id: &str,
    subject: Option<&str>,
    message: &str,
    attributes: &Attributes,
) -> Result<(), Error> {
    database
        .prepare_cached(
            "INSERT INTO notification (message_id, topic, subject, message, attributes, time)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            message_id,
            topic,
            subject,
            message,
            json!(attributes).to_string(),
            chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
        ])?;
    database
        .prepare_cached("DELETE FROM notification WHERE sequence <= ?1")?
        .execute([database.last_insert_rowid() - KEPT])?;
    Ok(())
}

/// What was published after the notification `after`, oldest first.
pub(super) fn published(database: &Connection, after: u32, limit: u32) -> Result<Vec<Value>, Error> {
    let mut statement = database.prepare_cached(
        "SELECT sequence, message_id, topic, subject, message, attributes, time
         FROM notification WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let notifications = statement.query_map(params![after, limit], |row| {
        let attributes: Value = serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or_default();
        let mut notification = json!({
            "sequence": row.get::<_, i64>(0)?,
            "messageId": row.get::<_, String>(1)?,
            "topicArn": super::arn(&row.get::<_, String>(2)?),
            "message": row.get::<_, String>(4)?,
            "attributes": attributes,
            "time": row.get::<_, String>(6)?,
        });
        if let Some(subject) = row.get::<_, Option<String>>(3)? {
            notification["subject"] = subject.into();
        }
        Ok(notification)
    })?;
    Ok(notifications.collect::<Result<_, _>>()?)
}
