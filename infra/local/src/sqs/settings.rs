//! What can be set on a queue, each within the limits of AWS.
//!
//! Absent: FIFO, access policies and encryption. Asking for one is refused instead of ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::error::Error;

/// Largest message, body and attributes together, in bytes; also the largest batch.
pub(super) const MAX_MESSAGE_BYTES: u32 = 1024 * 1024;

/// Longest visibility timeout: 12 hours.
pub(super) const MAX_VISIBILITY_SECONDS: u32 = 43_200;

/// Longest delay of a message: 15 minutes.
pub(super) const MAX_DELAY_SECONDS: u32 = 900;

/// Longest long poll.
pub(super) const MAX_WAIT_SECONDS: u32 = 20;

/// A queue's own attributes. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) visibility_timeout: u32,
    pub(super) wait: u32,
    pub(super) delay: u32,
    pub(super) retention: u32,
    pub(super) max_message_bytes: u32,
    pub(super) redrive: Option<RedrivePolicy>,
}

/// Where a message goes that was received too often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RedrivePolicy {
    pub(super) dead_letter_target_arn: String,
    #[serde(deserialize_with = "number_or_text")]
    pub(super) max_receive_count: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            visibility_timeout: 30,
            wait: 0,
            delay: 0,
            retention: 4 * 24 * 60 * 60,
            max_message_bytes: MAX_MESSAGE_BYTES,
            redrive: None,
        }
    }
}

impl Settings {
    /// Sets the attributes that `changes` names.
    pub(super) fn apply(&mut self, changes: &BTreeMap<String, String>) -> Result<(), Error> {
        changes.iter().try_for_each(|(name, value)| self.set(name, value))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let number = |min: u32, max: u32| {
            let parsed = value.parse().ok().filter(|number| (min..=max).contains(number));
            parsed.ok_or_else(|| Error::InvalidAttributeValue(name.to_owned()))
        };
        match name {
            "VisibilityTimeout" => self.visibility_timeout = number(0, MAX_VISIBILITY_SECONDS)?,
            "ReceiveMessageWaitTimeSeconds" => self.wait = number(0, MAX_WAIT_SECONDS)?,
            "DelaySeconds" => self.delay = number(0, MAX_DELAY_SECONDS)?,
            "MessageRetentionPeriod" => self.retention = number(60, 14 * 24 * 60 * 60)?,
            "MaximumMessageSize" => self.max_message_bytes = number(1024, MAX_MESSAGE_BYTES)?,
            "RedrivePolicy" => self.redrive = redrive_policy(value)?,
            "FifoQueue" => return Err(Error::UnsupportedOperation("FIFO queues are not part of this endpoint.")),
            _ => return Err(Error::InvalidAttributeName(name.to_owned())),
        }
        Ok(())
    }

    /// The attributes as `GetQueueAttributes` writes them.
    pub(super) fn attributes(&self) -> BTreeMap<&'static str, String> {
        let mut attributes = BTreeMap::from([
            ("VisibilityTimeout", self.visibility_timeout.to_string()),
            ("ReceiveMessageWaitTimeSeconds", self.wait.to_string()),
            ("DelaySeconds", self.delay.to_string()),
            ("MessageRetentionPeriod", self.retention.to_string()),
            ("MaximumMessageSize", self.max_message_bytes.to_string()),
        ]);
        if let Some(RedrivePolicy { dead_letter_target_arn, max_receive_count }) = &self.redrive {
            let policy = serde_json::json!({
                "deadLetterTargetArn": dead_letter_target_arn,
                "maxReceiveCount": max_receive_count,
            });
            attributes.insert("RedrivePolicy", policy.to_string());
        }
        attributes
    }
}

/// Parses a redrive policy; an empty text takes the policy away.
fn redrive_policy(text: &str) -> Result<Option<RedrivePolicy>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let policy: RedrivePolicy =
        serde_json::from_str(text).map_err(|error| Error::invalid("RedrivePolicy", text, &error.to_string()))?;
    if !(1..=1000).contains(&policy.max_receive_count) {
        return Err(Error::invalid("RedrivePolicy", text, "maxReceiveCount must be between 1 and 1000."));
    }
    Ok(Some(policy))
}

/// `5` and `"5"` are both common.
fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u32),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, code: Result<(), &str>) {
        let applied = Settings::default().apply(&BTreeMap::from([(name.to_owned(), value.to_owned())]));
        assert_eq!(applied.as_ref().map_err(Error::code).copied(), code, "{name}={value}");
    }

    #[test]
    fn attributes_are_held_to_their_limits() {
        check("VisibilityTimeout", "0", Ok(()));
        check("VisibilityTimeout", "43200", Ok(()));
        check("VisibilityTimeout", "43201", Err("InvalidAttributeValue"));
        check("VisibilityTimeout", "-1", Err("InvalidAttributeValue"));
        check("ReceiveMessageWaitTimeSeconds", "21", Err("InvalidAttributeValue"));
        check("DelaySeconds", "901", Err("InvalidAttributeValue"));
        check("MessageRetentionPeriod", "59", Err("InvalidAttributeValue"));
        check("MaximumMessageSize", "1048577", Err("InvalidAttributeValue"));
        check("QueueArn", "x", Err("InvalidAttributeName"));
        check("FifoQueue", "true", Err("AWS.SimpleQueueService.UnsupportedOperation"));
        check("RedrivePolicy", "", Ok(()));
        check("RedrivePolicy", r#"{"deadLetterTargetArn":"a","maxReceiveCount":"5"}"#, Ok(()));
        check("RedrivePolicy", r#"{"deadLetterTargetArn":"a","maxReceiveCount":0}"#, Err("InvalidParameterValue"));
        check("RedrivePolicy", "{", Err("InvalidParameterValue"));
    }
}
