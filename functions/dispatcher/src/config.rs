//! What this function is configured by.

use std::time::Duration;

use shared::callback::CallbackHosts;
use shared::config::{ConfigError, Vars};

use crate::callback::SigningKey;

/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// Settings of the dispatcher.
#[derive(Clone, Debug)]
pub struct Config {
    /// `UPLOAD_BUCKET`.
    pub upload_bucket: String,
    /// `PROCESSED_BUCKET`: results of the jobs that reconcile ends.
    pub processed_bucket: String,
    /// `DYNAMODB_TABLE`.
    pub table: String,
    /// `SQS_QUEUE_URL`.
    pub queue_url: String,
    /// `NOTIFY_TOPIC_ARN`; unset: nothing is published.
    pub topic_arn: Option<String>,
    /// `JOB_TTL_DAYS`, default 30.
    pub job_ttl: Duration,
    /// `CALLBACK_QUEUE_URL`; unset: no application is called.
    pub callback_queue_url: Option<String>,
    /// `CALLBACK_HOSTS` and `CALLBACK_PRIVATE`; unset: no application is called.
    pub callback_hosts: CallbackHosts,
    /// `CALLBACK_SECRET`.
    pub(crate) callback_keys: Vec<SigningKey>,
    /// `CALLBACK_RETRY_SECONDS`, default one day.
    pub callback_retry: Duration,
}

impl Config {
    /// Reads the settings, or says everything that is wrong with them.
    pub fn read(mut vars: Vars) -> Result<Self, ConfigError> {
        let (upload_bucket, processed_bucket) = vars.buckets();
        let config = Self {
            upload_bucket,
            processed_bucket,
            table: vars.required("DYNAMODB_TABLE"),
            queue_url: vars.required("SQS_QUEUE_URL"),
            topic_arn: vars.optional("NOTIFY_TOPIC_ARN"),
            job_ttl: vars.job_ttl(),
            callback_queue_url: vars.optional("CALLBACK_QUEUE_URL"),
            callback_hosts: vars.callback_hosts(),
            callback_keys: callback_keys(&mut vars),
            callback_retry: Duration::from_secs(vars.number_or("CALLBACK_RETRY_SECONDS", DAY, 0, 4 * DAY)),
        };
        if !config.callback_hosts.hosts.is_empty() && config.callback_keys.is_empty() {
            vars.problem("CALLBACK_SECRET", "is not set, and CALLBACK_HOSTS is");
        }
        vars.finish(config)
    }
}

/// `CALLBACK_SECRET`: what callbacks are signed with.
fn callback_keys(vars: &mut Vars) -> Vec<SigningKey> {
    let Some(text) = vars.optional("CALLBACK_SECRET") else { return Vec::new() };
    text.split(',').map(str::parse).collect::<Result<Vec<SigningKey>, _>>().unwrap_or_else(|error| {
        vars.problem("CALLBACK_SECRET", error);
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_are_signed_or_not_made() {
        let read = |secret: &str| {
            let given =
                ["UPLOAD_BUCKET", "PROCESSED_BUCKET", "DYNAMODB_TABLE", "SQS_QUEUE_URL"].map(|name| (name, name));
            let callbacks = [("CALLBACK_HOSTS", "hooks.test"), ("CALLBACK_SECRET", secret)];
            let vars = given.into_iter().chain(callbacks).map(|(name, value)| (name.to_owned(), value.to_owned()));
            Config::read(Vars::new(vars)).map(|config| config.callback_keys.len()).map_err(|error| error.to_string())
        };
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert_eq!(read(secret), Ok(1));
        assert_eq!(read(&format!("{secret},{secret}")), Ok(2));
        assert!(read("").unwrap_err().contains("CALLBACK_SECRET is not set"));
        let refused = read("hunter2").unwrap_err();
        assert!(refused.contains("CALLBACK_SECRET has to be whsec_") && !refused.contains("hunter2"), "{refused}");
    }
}
