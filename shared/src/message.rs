//! What travels: the work item in SQS and the notice on SNS.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Code;
use crate::job::{Classification, Derivative, Job, JobId, ObjectVersion, State, Status};

/// Message attribute of a work item that repeats its job's id.
pub const JOB_ID_ATTRIBUTE: &str = "JobId";

/// Message attribute that every copy of a work item carries, and no other work item: see [`crate::job::Delivery`].
pub const WORK_ID_ATTRIBUTE: &str = "WorkId";

/// One photo to process: the body of an SQS message. Only the first three fields are required.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkItem {
    /// The job.
    pub job_id: JobId,
    /// The object's key.
    pub s3_key: String,
    /// The object's bucket.
    pub bucket: String,
    /// Version id, in a versioned bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// `ETag` without quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Orders the events of one key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<String>,
}

impl WorkItem {
    /// Whether this is about the very object that `job` is about. Anybody who may send messages can name any job.
    pub fn is_about(&self, job: &Job) -> bool {
        (&self.s3_key, &self.bucket) == (&job.s3_key, &job.bucket)
    }

    /// The work item of `job`, about the object version that its row names.
    pub fn of(job: &Job) -> Self {
        let object = job.object.clone();
        let ObjectVersion { e_tag, version_id, size, sequencer } = object.unwrap_or_default();
        Self {
            job_id: job.job_id,
            s3_key: job.s3_key.clone(),
            bucket: job.bucket.clone(),
            version_id,
            e_tag: Some(e_tag).filter(|tag| !tag.is_empty()),
            size,
            sequencer,
        }
    }
}

/// Tells the world that a job is over. `job_id` + `status` is the key to drop repetitions by.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobNotice<'a> {
    /// The job.
    pub job_id: JobId,
    /// `COMPLETED` or `FAILED`.
    pub status: Status,
    /// The photo's object key.
    pub s3_key: &'a str,
    /// The name the user knows the photo by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<&'a str>,
    /// The client's own labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: &'a BTreeMap<String, String>,
    /// What the photo shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<&'a Classification>,
    /// What was made of it, without URLs: those are secrets with an expiry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub derivatives: Vec<Derivative>,
    /// Why the job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Code>,
    /// The same as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<&'a str>,
}

impl<'a> JobNotice<'a> {
    /// The notice of a final job; `None` while it is not.
    pub fn of(job: &'a Job) -> Option<Self> {
        let mut notice = Self {
            job_id: job.job_id,
            status: job.status(),
            s3_key: &job.s3_key,
            filename: job.filename.as_deref(),
            metadata: &job.metadata,
            classification: None,
            derivatives: Vec::new(),
            error_code: None,
            error_message: None,
        };
        match &job.state {
            State::Completed(completed) => {
                notice.classification = Some(&completed.classification);
                notice.derivatives = completed
                    .derivatives
                    .iter()
                    .map(|derivative| Derivative { url: None, ..derivative.clone() })
                    .collect();
            }
            State::Failed { error_code, error_message } => {
                notice.error_code = Some(*error_code);
                notice.error_message = Some(error_message);
            }
            State::Pending | State::Processing { .. } => return None,
        }
        Some(notice)
    }
}

/// A notice on its way to an application: the body of a message in the queue of callbacks. It is all that the call takes,
/// so that a row that is gone by then is not missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Callback {
    /// The job.
    pub job_id: JobId,
    /// The same for every repetition of the notice, and for no other one.
    pub id: String,
    /// Whom to call.
    pub url: String,
    /// The notice as JSON: what is sent, and signed, to the byte.
    pub body: String,
}

impl Callback {
    /// The callback that `job` asks for with its notice, if it asks for one.
    pub fn of(job: &Job, notice: &JobNotice) -> serde_json::Result<Option<Self>> {
        let Some(url) = job.callback_url.clone() else { return Ok(None) };
        let id = format!("{}.{}", notice.job_id, notice.status.as_str());
        Ok(Some(Self { job_id: job.job_id, id, url, body: serde_json::to_string(notice)? }))
    }
}

/// A message as JSON that SQS and SNS take.
///
/// Both refuse two characters that a file name and an object key may well hold, U+FFFE and U+FFFF; a job whose message
/// is refused would never end. Outside of strings JSON has neither, so escaping them changes nothing.
pub fn to_json(message: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(message)?;
    Ok(text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn no_key_makes_a_body_that_sqs_refuses() {
        let text: String = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
        let body = to_json(&text).unwrap();
        // What SQS takes: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
        let is_taken = |c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        assert_eq!(body.chars().find(|c| !is_taken(*c)), None);
        assert_eq!(serde_json::from_str::<String>(&body).unwrap(), text);
    }

    #[test]
    fn a_notice_does_not_tell_whose_the_job_is() {
        let now = Timestamp::from_micros(0);
        let mut job = Job::awaiting_upload(JobId::random(), "b", "uploads/x/a.jpg", now, now);
        job.owner = Some("ann".into());
        let error_message = "no".to_owned();
        job.state = State::Failed { error_code: Code::UploadExpired, error_message };
        let notice = to_json(&JobNotice::of(&job).unwrap()).unwrap();
        assert!(!notice.contains("ann") && !notice.contains("owner"), "{notice}");
    }

    #[test]
    fn three_fields_make_a_work_item() {
        let id = JobId::random();
        let body = format!(r#"{{"jobId":"{id}","s3Key":"uploads/a b.jpg","bucket":"b"}}"#);
        let item: WorkItem = serde_json::from_str(&body).unwrap();
        assert_eq!((item.job_id, item.size), (id, None));
        assert_eq!(serde_json::to_string(&item).unwrap(), body);
    }
}
