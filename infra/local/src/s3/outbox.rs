//! Events that wait for delivery, at least once each.
//!
//! They were written in the transaction that made their object visible ([`super::object::publish`]). Who delivers
//! them, where to, and how often it tries, is the caller's business.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Transaction, params};
use serde_json::Value;
use tokio::sync::Notify;

use super::error::Error;
use super::event::Created;
use super::store::Store;
use crate::wall_clock;

/// An event that is due.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutboxEvent {
    pub(crate) id: i64,
    /// Deliveries that failed so far.
    pub(crate) attempts: u32,
    /// The whole notification, `{"Records": […]}`.
    pub(crate) body: Value,
}

/// Longest that a deliverer holds an event back. One that seems to wait longer was put back before somebody set the
/// clock back, and is due.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(1);

impl Store {
    /// Rings when a new event is due. A ring between two waits is kept, so a loop that drains, then waits, misses none.
    pub(crate) fn event_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.signal)
    }

    /// The oldest events that are due now, at most `limit`.
    pub(crate) async fn pending_events(self: &Arc<Self>, limit: u32) -> Result<Vec<OutboxEvent>, Error> {
        self.blocking(move |store| {
            let database = store.database();
            let mut due = database.prepare_cached(
                "SELECT id, attempts, body FROM outbox WHERE due_at NOT BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
            )?;
            let now = wall_clock::now();
            let (next, last) = (now.timestamp_millis() + 1, (now + LONGEST_WAIT).timestamp_millis());
            let mut rows = due.query(params![next, last, limit])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                let body: String = row.get(2)?;
                events.push(OutboxEvent { id: row.get(0)?, attempts: row.get(1)?, body: serde_json::from_str(&body)? });
            }
            Ok(events)
        })
        .await
    }

    /// When the next event falls due by the clock as it is now, which may have passed; `None` if none waits.
    pub(crate) async fn next_event_due(self: &Arc<Self>) -> Result<Option<DateTime<Utc>>, Error> {
        self.blocking(|store| {
            let due: Option<i64> =
                store.database().query_row("SELECT min(due_at) FROM outbox", [], |row| row.get(0))?;
            Ok(due.and_then(DateTime::from_timestamp_millis))
        })
        .await
    }

    /// Forgets an event that its receiver has taken.
    pub(crate) async fn event_delivered(self: &Arc<Self>, id: i64) -> Result<(), Error> {
        self.blocking(move |store| {
            store.database().prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id])?;
            Ok(())
        })
        .await
    }

    /// Counts a failed delivery, and holds the event back until `retry_at`.
    pub(crate) async fn event_failed(self: &Arc<Self>, id: i64, retry_at: DateTime<Utc>) -> Result<(), Error> {
        self.blocking(move |store| {
            store
                .database()
                .prepare_cached("UPDATE outbox SET attempts = attempts + 1, due_at = ?2 WHERE id = ?1")?
                .execute(params![id, retry_at.timestamp_millis()])?;
            Ok(())
        })
        .await
    }

    /// Records the event of an object, if anybody is to hear of it. Says whether there is one.
    pub(super) fn record(&self, transaction: &Transaction<'_>, created: &Created<'_>) -> Result<bool, Error> {
        let Some(rule) = self.rules.iter().find(|rule| rule.covers(created.bucket, created.key)) else {
            return Ok(false);
        };
        let sequencer: u64 = transaction
            .prepare_cached("UPDATE sequencer SET last = last + 1 RETURNING last")?
            .query_row([], |row| row.get(0))?;
        transaction
            // Due since ever, so that a clock set back does not hold it up.
            .prepare_cached("INSERT INTO outbox (body, due_at) VALUES (?1, 0)")?
            .execute([created.notification(rule, sequencer).to_string()])?;
        Ok(true)
    }
}
