//! What this function is configured by.

use std::time::Duration;

use shared::access::Access;
use shared::config::{ConfigError, Vars};

/// Settings of job-status.
#[derive(Clone, Debug)]
pub struct Config {
    /// `PROCESSED_BUCKET`.
    pub processed_bucket: String,
    /// `DYNAMODB_TABLE`.
    pub table: String,
    /// `DOWNLOAD_URL_TTL_SECONDS`, default 3600.
    pub download_url_ttl: Duration,
    /// `JOB_TTL_DAYS`, default 30: no listing looks further back.
    pub job_ttl: Duration,
    /// `ALLOWED_ORIGINS`, default `*`.
    pub allowed_origins: Vec<String>,
    /// `API_KEY_SHA256`, `JWT_SCOPE`, `JWT_OPERATOR_SCOPE`; unset: whoever calls is let in.
    pub access: Access,
}

impl Config {
    /// Reads the settings, or says everything that is wrong with them.
    pub fn read(mut vars: Vars) -> Result<Self, ConfigError> {
        let config = Self {
            processed_bucket: vars.required("PROCESSED_BUCKET"),
            table: vars.required("DYNAMODB_TABLE"),
            download_url_ttl: vars.url_ttl_or("DOWNLOAD_URL_TTL_SECONDS", 3600),
            job_ttl: vars.job_ttl(),
            allowed_origins: vars.allowed_origins(),
            access: vars.access(),
        };
        vars.finish(config)
    }
}
