//! What this function is configured by.

use std::time::Duration;

use shared::config::{ConfigError, Vars};

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
        };
        vars.finish(config)
    }
}
