//! Delivers the events of S3 to the dispatcher, as Lambda's asynchronous invocation does.
//!
//! An event stays in the outbox until the dispatcher has taken it, so a kill repeats a delivery and loses none. Order
//! is not kept, as on AWS.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::functions::{Function, Functions};
use crate::s3::{Error, OutboxEvent, Store};
use crate::wall_clock;

/// Deliveries at once.
const CONCURRENCY: usize = 8;

/// Tries before an event is given up. It is not lost for good: the sweep over the bucket finds its object.
const MAX_ATTEMPTS: u32 = 20;

/// Wait before the first repetition; it doubles from one to the next.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Longest wait between two tries.
const LAST_RETRY: Duration = Duration::from_mins(1);

/// Shortest wait for an event to fall due. While one is under way, that one is due all the time.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);

/// Longest wait without a look at what is due.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Delivers events until `stop`, then finishes the deliveries that are under way.
pub(crate) async fn run(store: Arc<Store>, functions: Arc<Functions>, stop: CancellationToken) {
    let signal = store.event_signal();
    let mut deliveries = JoinSet::new();
    let mut under_way = HashMap::new();
    loop {
        let wait = match start(&store, &functions, &mut deliveries, &mut under_way).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be read");
                LAST_RETRY
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(done) = deliveries.join_next_with_id() => {
                let task = done.map_or_else(
                    |error| {
                        tracing::error!(%error, "a delivery did not end well");
                        error.id()
                    },
                    |(task, ())| task,
                );
                under_way.remove(&task);
            }
            () = signal.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    while deliveries.join_next().await.is_some() {}
}

/// Starts deliveries of what is due, as far as there is room, and says how long nothing more falls due.
async fn start(
    store: &Arc<Store>,
    functions: &Arc<Functions>,
    deliveries: &mut JoinSet<()>,
    under_way: &mut HashMap<Id, i64>,
) -> Result<Duration, Error> {
    let room = CONCURRENCY - under_way.len();
    if room == 0 {
        return Ok(LONGEST_WAIT);
    }
    // Those under way are among the due ones still.
    let due = store.pending_events(CONCURRENCY as u32).await?;
    let fresh: Vec<OutboxEvent> =
        due.into_iter().filter(|event| !under_way.values().any(|id| *id == event.id)).take(room).collect();
    for event in fresh {
        let id = event.id;
        let task = deliveries.spawn(deliver(Arc::clone(store), Arc::clone(functions), event));
        under_way.insert(task.id(), id);
    }
    let next = store.next_event_due().await?;
    Ok(next
        .map_or(LONGEST_WAIT, |due| (due - wall_clock::now()).to_std().unwrap_or_default())
        .clamp(SHORTEST_WAIT, LONGEST_WAIT))
}

/// Delivers one event, and notes what came of it.
async fn deliver(store: Arc<Store>, functions: Arc<Functions>, event: OutboxEvent) {
    let OutboxEvent { id, attempts, body } = event;
    let noted = match functions.invoke(Function::Dispatcher, body).await {
        Ok(_) => store.event_delivered(id).await,
        Err(error) if attempts + 1 >= MAX_ATTEMPTS => {
            tracing::error!(event = id, %error, attempts = attempts + 1, "an event was given up");
            store.event_delivered(id).await
        }
        Err(error) => {
            let wait = backoff(attempts);
            tracing::warn!(event = id, %error, attempt = attempts + 1, retry_s = wait.as_secs(), "an event was not taken");
            store.event_failed(id, wall_clock::now() + TimeDelta::from_std(wait).unwrap_or_default()).await
        }
    };
    if let Err(error) = noted {
        // OK to go on: the event is delivered once more.
        tracing::error!(event = id, %error, "the outbox cannot be written");
    }
}

/// The wait after the try with `attempts` failures before it.
fn backoff(attempts: u32) -> Duration {
    FIRST_RETRY.saturating_mul(2_u32.saturating_pow(attempts)).min(LAST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let waits: Vec<u64> = [0, 1, 2, 5, 6, 19, u32::MAX].map(|attempts| backoff(attempts).as_secs()).to_vec();
        assert_eq!(waits, [1, 2, 4, 32, 60, 60, 60]);
    }
}
