//! What this function is configured by.

use std::time::Duration;

use shared::access::Access;
use shared::callback::CallbackHosts;
use shared::config::{ConfigError, Vars};

/// Settings of request-upload.
#[derive(Clone, Debug)]
pub struct Config {
    /// `UPLOAD_BUCKET`.
    pub upload_bucket: String,
    /// `DYNAMODB_TABLE`.
    pub table: String,
    /// `UPLOAD_URL_TTL_SECONDS`, default 300.
    pub upload_url_ttl: Duration,
    /// `MAX_UPLOAD_BYTES`, default 25 MiB.
    pub max_upload_bytes: u64,
    /// `JOB_TTL_DAYS`, default 30.
    pub job_ttl: Duration,
    /// `ALLOWED_ORIGINS`, default `*`.
    pub allowed_origins: Vec<String>,
    /// `API_KEY_SHA256`, `JWT_SCOPE`, `JWT_OPERATOR_SCOPE`; unset: whoever calls is let in.
    pub access: Access,
    /// `CALLBACK_HOSTS`, `CALLBACK_PRIVATE`; unset: nobody may be called.
    pub callback_hosts: CallbackHosts,
}

impl Config {
    /// Reads the settings, or says everything that is wrong with them.
    pub fn read(mut vars: Vars) -> Result<Self, ConfigError> {
        let config = Self {
            upload_bucket: vars.required("UPLOAD_BUCKET"),
            table: vars.required("DYNAMODB_TABLE"),
            upload_url_ttl: vars.url_ttl_or("UPLOAD_URL_TTL_SECONDS", 300),
            max_upload_bytes: vars.max_upload_bytes(),
            job_ttl: vars.job_ttl(),
            allowed_origins: vars.allowed_origins(),
            access: vars.access(),
            callback_hosts: vars.callback_hosts(),
        };
        vars.finish(config)
    }
}
