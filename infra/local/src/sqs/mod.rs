//! Embedded SQS: standard queues that outlive the process, in the AWS JSON 1.0 protocol.
//!
//! What an acknowledged request wrote is still there after a kill. Messages in flight become visible again at the
//! next start, since the only consumer of Darkroom's own queue dies with the process. The receive that was cut short
//! counts, so that a message which kills its consumer ends in the dead-letter queue. Time is the wall clock's, but that
//! nobody waits longer for a clock that is set back.
//!
//! Absent: FIFO queues, tags, access policies, encryption, trace headers, the older Query protocol, the 120,000
//! messages in flight at most, and the minute that AWS wants between two purges. Signatures are not checked: who reaches this loopback
//! address may use the queues, with any credentials.

mod actions;
mod content;
mod error;
mod message;
mod redrive;
mod request;
mod settings;
mod store;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header;
use http_body_util::{BodyExt as _, Limited};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use content::md5_of_body;
pub(crate) use error::Error;
pub(crate) use message::Message;
pub(crate) use store::arn;

use crate::sqlite::OpenError;
use crate::steady;

/// Media type of requests and answers.
const JSON: &str = "application/x-amz-json-1.0";

/// Largest request: a batch of 1 MiB whose every byte is escaped in JSON, and some room.
const MAX_REQUEST_BYTES: usize = 8 * 1024 * 1024;

/// Sender of every message: credentials are not looked at, so there is no telling who it was.
const SENDER: &str = "darkroom";

/// How often messages past their retention period are cleared away. Until then they are merely not received.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(1);

/// The queue service.
#[derive(Debug)]
pub(crate) struct Sqs {
    database: Arc<Mutex<Connection>>,
    /// Rings whenever a message may have become visible.
    arrivals: Notify,
    /// Ends long polls early.
    stop: CancellationToken,
}

/// How to receive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receive {
    /// Messages at most, 1 to 10.
    pub(crate) max: u32,
    /// Longest wait for the first message; `None` for the queue's own.
    pub(crate) wait: Option<Duration>,
    /// Seconds that the messages stay hidden; `None` for the queue's own.
    pub(crate) visibility: Option<u32>,
}

impl Sqs {
    /// Opens the queues in `path`. Long polls end when `stop` is cancelled.
    pub(crate) fn open(path: &Path, stop: CancellationToken) -> Result<Arc<Self>, OpenError> {
        let database = Arc::new(Mutex::new(store::open(path, now())?));
        Ok(Arc::new(Self { database, arrivals: Notify::new(), stop }))
    }

    /// Answers one request of the protocol.
    pub(crate) async fn handle(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let action = text("x-amz-target").strip_prefix("AmazonSQS.").unwrap_or_default();
        let base_url = format!("http://{}", text(header::HOST.as_str()));
        let answer = match Limited::new(body, MAX_REQUEST_BYTES).collect().await {
            Ok(body) => actions::run(self, action, &base_url, &body.to_bytes()).await,
            Err(error) => Err(Error::Serialization(error.to_string())),
        };
        let request_id = [("x-amzn-requestid", Uuid::new_v4().to_string())];
        match answer {
            Ok(answer) => (request_id, [(header::CONTENT_TYPE, JSON)], answer.to_string()).into_response(),
            Err(error) => {
                if let Some(cause) = std::error::Error::source(&error) {
                    tracing::error!(action, error = cause, "a queue operation failed");
                }
                (request_id, error).into_response()
            }
        }
    }

    /// Creates a queue with `attributes`, or sets them on the one that is there.
    pub(crate) async fn ensure_queue(&self, name: &'static str, attributes: &[(&str, String)]) -> Result<(), Error> {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.transact(move |tx| match store::find(tx, name)? {
            Some(queue) => store::set_attributes(tx, &queue, &attributes, now()),
            None => store::create(tx, name, &attributes, now()),
        })
        .await
    }

    /// Receives messages: at once if there are any, else as soon as one becomes visible within the wait.
    pub(crate) async fn receive(&self, queue: &str, receive: Receive) -> Result<Vec<Message>, Error> {
        let started = Instant::now();
        loop {
            // Listening starts before looking, so nothing that arrives in between is missed.
            let mut arrival = pin!(self.arrivals.notified());
            arrival.as_mut().enable();

            let name = queue.to_owned();
            let (received, default_wait) = self
                .transact(move |tx| {
                    let queue = store::queue(tx, &name)?;
                    let received = message::receive(tx, &queue, receive.max, receive.visibility, now())?;
                    Ok((received, Duration::from_secs(queue.settings.wait.into())))
                })
                .await?;
            if received.redriven > 0 {
                self.arrivals.notify_waiters();
            }
            let left = receive.wait.unwrap_or(default_wait).saturating_sub(started.elapsed());
            if !received.messages.is_empty() || left.is_zero() || self.stop.is_cancelled() {
                return Ok(received.messages);
            }
            if received.redriven > 0 {
                continue;
            }
            let until_visible = received.next_visible_at.map(|at| Duration::from_millis((at - now()).max(1) as u64));
            tokio::select! {
                () = arrival => {}
                () = tokio::time::sleep(until_visible.map_or(left, |until| until.min(left))) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// How many messages could be received now, counted up to `limit`.
    pub(crate) async fn backlog(&self, queue: &'static str, limit: u32) -> Result<u32, Error> {
        self.transact(move |tx| message::backlog(tx, &store::queue(tx, queue)?, limit, now())).await
    }

    /// Deletes the messages of `handles`.
    pub(crate) async fn delete(&self, queue: &'static str, handles: Vec<String>) -> Result<(), Error> {
        self.transact(move |tx| {
            let queue = store::queue(tx, queue)?;
            handles.iter().try_for_each(|handle| message::delete(tx, &queue, handle))
        })
        .await
    }

    /// Clears away expired messages, until `stop`.
    pub(crate) async fn expire(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(EXPIRY_INTERVAL)).await.is_some() {
            let expired = self.transact(|tx| {
                let names = store::names(tx, "", "", u32::MAX)?;
                names.iter().try_fold(0, |sum, name| Ok(sum + message::expire(tx, &store::queue(tx, name)?, now())?))
            });
            match expired.await {
                Ok(0) => {}
                Ok(messages) => tracing::info!(messages, "messages expired"),
                Err(error) => tracing::error!(%error, "messages could not be expired"),
            }
        }
    }

    /// Does `work` wholly or, if it fails, not at all; off the async threads, for it may wait for the disk.
    async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let database = Arc::clone(&self.database);
        let done = tokio::task::spawn_blocking(move || {
            // OK after a panic: a transaction cut short was rolled back when it was dropped.
            let mut database = database.lock().unwrap_or_else(PoisonError::into_inner);
            let tx = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&tx)?;
            tx.commit()?;
            Ok(done)
        });
        done.await.unwrap_or_else(|error| Err(error.into()))
    }
}

/// Milliseconds since 1970.
fn now() -> i64 {
    steady::now()
}
