//! The queue of callbacks: a notice waits here until the application has taken it, or time is up.
//!
//! Apart from the queue of photos, since a receiver that hangs must not make a photo wait.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;

use super::failure;
use super::work_queue::retry_in;
use crate::error::Failure;
use crate::message::{self, Callback};

/// A queue of callbacks.
#[derive(Clone, Debug)]
pub struct CallbackQueue {
    client: Client,
    url: String,
}

impl CallbackQueue {
    /// The queue at `url`.
    pub fn new(sdk: &SdkConfig, url: &str) -> Self {
        Self { client: Client::new(sdk), url: url.to_owned() }
    }

    /// Puts a callback into the queue. A request that failed may have been carried out all the same.
    pub async fn send(&self, callback: &Callback) -> Result<(), Failure> {
        let body = message::to_json(callback).map_err(Failure::permanent)?;
        self.client.send_message().queue_url(&self.url).message_body(body).send().await.map_err(failure)?;
        Ok(())
    }

    /// Lets a callback that was received reappear in `seconds`, at most twelve hours.
    pub async fn retry_in(&self, receipt_handle: &str, seconds: u64) -> Result<(), Failure> {
        retry_in(&self.client, &self.url, receipt_handle, seconds).await
    }
}
