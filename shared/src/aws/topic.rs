//! The topic that announces finished jobs.

use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;

use super::failure;
use crate::error::Failure;
use crate::message::{self, JobNotice};

/// An SNS topic.
#[derive(Clone, Debug)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// The topic `arn`.
    pub fn new(sdk: &SdkConfig, arn: &str) -> Self {
        Self { client: Client::new(sdk), arn: arn.to_owned() }
    }

    /// Publishes a notice, with the attributes `status` and `errorCode` for subscribers to filter by.
    pub async fn publish(&self, notice: &JobNotice<'_>) -> Result<(), Failure> {
        let mut request = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .message(message::to_json(notice).map_err(Failure::permanent)?)
            .message_attributes("status", attribute(notice.status.as_str())?);
        if let Some(code) = notice.error_code {
            request = request.message_attributes("errorCode", attribute(code.as_str())?);
        }
        request.send().await.map_err(failure)?;
        Ok(())
    }
}

fn attribute(value: &str) -> Result<MessageAttributeValue, Failure> {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().map_err(Failure::permanent)
}
