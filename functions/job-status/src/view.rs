//! A job as a client sees it: what there is to say, and nothing that is null.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::error::Code;
use shared::job::{Classification, Derivative, Job, JobId, Source, State, Status};
use shared::time::Timestamp;

/// The body of `GET /jobs/{jobId}`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobView<'a> {
    job_id: JobId,
    status: Status,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    download_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    download_url_expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classification: Option<&'a Classification>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    derivatives: &'a [Derivative],
}

impl<'a> JobView<'a> {
    /// What there is to say about `job`.
    pub(crate) fn of(job: &'a Job) -> Self {
        let mut view = Self {
            job_id: job.job_id,
            status: job.status(),
            created_at: job.created_at,
            updated_at: job.updated_at,
            download_url: None,
            download_url_expires_at: None,
            error_code: None,
            error_message: None,
            filename: job.filename.as_deref(),
            metadata: &job.metadata,
            attempts: Some(job.attempts).filter(|attempts| *attempts > 0),
            source: None,
            classification: None,
            derivatives: &[],
        };
        match &job.state {
            State::Completed(completed) => {
                view.download_url = completed.derivatives.first().and_then(|first| first.url.as_deref());
                view.download_url_expires_at = completed.download_url_expires_at;
                view.source = Some(&completed.source);
                view.classification = Some(&completed.classification);
                view.derivatives = &completed.derivatives;
            }
            State::Failed { error_code, error_message } => {
                view.error_code = Some(*error_code);
                view.error_message = Some(error_message);
            }
            State::Pending | State::Processing { .. } => {}
        }
        view
    }
}
