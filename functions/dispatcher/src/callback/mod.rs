//! Calls applications that asked to be told when a job is over: a signed POST, again and again until somebody takes it or
//! time is up.
//!
//! Nothing here touches a job: it was over before, and stays what it is, whoever answers what.

mod signature;

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_lambda_events::sqs::SqsBatchResponse;
use futures::future::join_all;
use http::StatusCode;
use shared::ambient::Ambient;
use shared::aws::{CallbackQueue, Caller};
use shared::callback::CallbackHosts;
use shared::message::Callback;
use shared::object::Object;
use shared::time::Timestamp;

pub(crate) use signature::SigningKey;

/// Wait after the first call that did not succeed; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// Longest wait between two calls.
const MAX_WAIT: Duration = Duration::from_hours(2);

/// Calls applications.
#[derive(Debug)]
pub(crate) struct Callbacks {
    pub(crate) ambient: Ambient,
    pub(crate) queue: CallbackQueue,
    pub(crate) caller: Caller,
    pub(crate) hosts: CallbackHosts,
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) give_up_after: Duration,
}

/// What a message says of itself besides its body.
#[derive(Debug)]
struct Receipt {
    handle: String,
    /// This time included.
    count: u32,
    sent_at: Timestamp,
}

impl Callbacks {
    /// Makes each call of a batch, and answers which messages have to come again.
    pub(crate) async fn deliver(&self, event: SqsEvent) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        let calls = join_all(event.records.into_iter().map(|record| self.deliver_one(record))).await;
        calls.into_iter().flatten().for_each(|message_id| response.add_failure(message_id));
        response
    }

    /// Makes one call; the message's id if it has to come again.
    async fn deliver_one(&self, record: SqsMessage) -> Option<String> {
        let message_id = record.message_id.clone().unwrap_or_default();
        let Object(callback) =
            match serde_json::from_str::<Object<Callback>>(record.body.as_deref().unwrap_or_default()) {
                Ok(callback) => callback,
                Err(error) => {
                    tracing::error!(sqs.message_id = message_id, %error, "a message that is no callback: dropped");
                    return None;
                }
            };
        let receipt = Receipt::of(&record, self.ambient.now());
        let why = match self.call(&callback).await {
            Ok(status) if status.is_success() => {
                tracing::info!(job.id = %callback.job_id, attempt = receipt.count, "the application was told");
                return None;
            }
            // Gone: the receiver says that it wants no more.
            Ok(StatusCode::GONE) => return self.give_up(&callback, &receipt, "the receiver answered 410"),
            Ok(status) => format!("the receiver answered {}", status.as_u16()),
            Err(why) => why,
        };
        let (now, wait) = (self.ambient.now(), wait_after(receipt.count, self.ambient.uuid().as_u128()));
        if now.since(receipt.sent_at) + wait > self.give_up_after {
            return self.give_up(&callback, &receipt, &why);
        }
        tracing::info!(job.id = %callback.job_id, attempt = receipt.count, wait_s = wait.as_secs(), "a callback comes again: {why}");
        if let Err(error) = self.queue.retry_in(&receipt.handle, wait.as_secs()).await {
            // It comes again all the same, at the end of the visibility timeout.
            tracing::warn!(sqs.message_id = message_id, %error, "the message's pause could not be set");
        }
        Some(message_id)
    }

    /// Makes one call. Neither the URL nor the answer is told: both may hold what is nobody else's business.
    async fn call(&self, callback: &Callback) -> Result<StatusCode, String> {
        let url = self.hosts.check(&callback.url).map_err(|error| format!("its URL is not called: {error}"))?;
        let timestamp = self.ambient.now().epoch_seconds();
        let headers = [
            ("webhook-id", callback.id.clone()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signature::header(&self.keys, &callback.id, timestamp, &callback.body)),
        ];
        self.caller.post(&url, &headers, callback.body.clone()).await.map_err(|error| chain(&error))
    }

    fn give_up(&self, callback: &Callback, receipt: &Receipt, why: &str) -> Option<String> {
        let after_s = self.ambient.now().since(receipt.sent_at).as_secs();
        tracing::warn!(job.id = %callback.job_id, attempt = receipt.count, after_s, "a callback is given up: {why}");
        None
    }
}

impl Receipt {
    fn of(record: &SqsMessage, now: Timestamp) -> Self {
        let number = |name: &str| record.attributes.get(name).and_then(|text| text.parse::<i64>().ok());
        Self {
            handle: record.receipt_handle.clone().unwrap_or_default(),
            count: number("ApproximateReceiveCount").and_then(|count| count.try_into().ok()).unwrap_or(1),
            sent_at: number("SentTimestamp").map_or(now, |millis| Timestamp::from_micros(millis.saturating_mul(1000))),
        }
    }
}

/// How long after the `count`th call the next one is made. Up to a quarter more by chance, so that a receiver that comes
/// back does not meet all that it missed at once.
fn wait_after(count: u32, chance: u128) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(count.saturating_sub(1)));
    let wait = doubled.min(MAX_WAIT);
    wait + wait.mul_f64(0.25 * (chance % 1000) as f64 / 1000.0)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.extend([": ", &error.to_string()]);
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_two_hours_and_vary() {
        let seconds = |count| wait_after(count, 0).as_secs();
        assert_eq!([1, 2, 3, 10, 11, 500].map(seconds), [10, 20, 40, 5120, 7200, 7200]);
        for chance in [1, 999, u128::MAX] {
            let wait = wait_after(2, chance);
            assert!(wait > Duration::from_secs(20) && wait <= Duration::from_secs(25), "{wait:?}");
        }
    }
}
