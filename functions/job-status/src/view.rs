//! A job as a client sees it: what there is to say, and nothing that is null.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::error::Code;
use shared::job::{Classification, Derivative, Job, JobId, Placeholder, Source, State, Status};
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
    #[serde(skip_serializing_if = "Option::is_none")]
    placeholder: Option<&'a Placeholder>,
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
            placeholder: None,
            derivatives: &[],
        };
        match &job.state {
            State::Completed(completed) => {
                view.download_url = completed.derivatives.first().and_then(|first| first.url.as_deref());
                view.download_url_expires_at = completed.download_url_expires_at;
                view.source = Some(&completed.source);
                view.classification = Some(&completed.classification);
                view.placeholder = completed.placeholder.as_ref();
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    /// A completed job whose derivative has a URL.
    fn completed() -> Job {
        let now = Timestamp::from_micros(0);
        let mut job =
            serde_json::to_value(Job::awaiting_upload(JobId::random(), "b", "uploads/x/a.jpg", now, now)).unwrap();
        let completed = json!({
            "status": "COMPLETED",
            "source": {
                "key": "uploads/x/a.jpg", "bytes": 1, "contentType": "image/jpeg", "format": "jpeg",
                "width": 1, "height": 1, "eTag": "e",
            },
            "classification": { "model": "m", "predictedClass": "cat", "predictions": [] },
            "derivatives": [{
                "name": "full", "url": "https://signed", "key": "k", "width": 1, "height": 1, "bytes": 1,
                "contentType": "image/jpeg", "sha256": "s",
            }],
            "processedUrl": "s3://processed/k",
            "downloadUrlExpiresAt": now,
        });
        job.as_object_mut().unwrap().extend(completed.as_object().unwrap().clone());
        serde_json::from_value(job).unwrap()
    }

    #[test]
    fn there_is_no_download_url_unless_the_job_is_completed() {
        let job = completed();
        assert_eq!(serde_json::to_value(JobView::of(&job)).unwrap()["downloadUrl"], "https://signed");
        let lease = State::Processing { lease_owner: "w".into(), lease_until: Timestamp::from_micros(1) };
        let failure = State::Failed { error_code: Code::Internal, error_message: "no".into() };
        for state in [State::Pending, lease, failure] {
            let job = Job { state, ..job.clone() };
            let view = serde_json::to_string(&JobView::of(&job)).unwrap();
            assert!(!view.to_ascii_lowercase().contains("url") && !view.contains("signed"), "{view}");
        }
    }

    #[test]
    fn the_description_of_the_api_has_the_fields_of_a_job() {
        let job = Job {
            filename: Some("a.jpg".into()),
            metadata: BTreeMap::from([("a".into(), "b".into())]),
            attempts: 1,
            ..completed()
        };
        let failure = State::Failed { error_code: Code::Internal, error_message: "no".into() };
        let fields = |state: State, base: &Job| -> BTreeSet<String> {
            let job = Job { state, ..base.clone() };
            serde_json::to_value(JobView::of(&job)).unwrap().as_object().unwrap().keys().cloned().collect()
        };
        let now = Timestamp::from_micros(0);
        let bare = Job::awaiting_upload(JobId::random(), "b", "uploads/x/a.jpg", now, now);
        let all: Value = serde_json::from_str(include_str!("../../../assets/web/openapi.json")).unwrap();
        let described = &all["components"]["schemas"]["Job"];
        let listed = |list: &Value| -> BTreeSet<String> { serde_json::from_value(list.clone()).unwrap() };

        let full = &fields(job.state.clone(), &job) | &fields(failure.clone(), &job);
        let properties: BTreeSet<String> = described["properties"].as_object().unwrap().keys().cloned().collect();
        // Rows that were written before there was one have no placeholder.
        assert_eq!(properties, &full | &BTreeSet::from(["placeholder".to_owned()]));
        let always = fields(State::Pending, &bare);
        assert_eq!(listed(&described["required"]), always);
        let worked_on = Job { attempts: 1, ..bare };
        let completed = &fields(job.state.clone(), &worked_on) - &always;
        assert_eq!(listed(&described["then"]["required"]), completed);
        let failed = &(&fields(failure, &worked_on) - &always) - &BTreeSet::from(["attempts".to_owned()]);
        assert_eq!(listed(&described["else"]["then"]["required"]), failed);
    }
}
