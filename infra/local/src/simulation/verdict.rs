//! What must hold once all is quiet.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use aws_config::SdkConfig;
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shared::job::JobId;
use shared::key::{UploadKey, classify_upload_key};

use super::world::{World, url};
use crate::stack::{CALLBACK_QUEUE, DEAD_LETTER_QUEUE, PROCESSED_BUCKET, QUEUE, UPLOAD_BUCKET};

/// What derivative each source gave, over all runs of the process.
static DERIVATIVES: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// More questions than a run has faults.
const MAX_QUESTIONS: u32 = 50;

impl World {
    /// Whether nothing is left to do: every object has its job, every job is over and announced, and nothing waits to be
    /// delivered.
    pub(super) async fn is_quiet(&self, sdk: &SdkConfig) -> bool {
        self.wire.turns.take("onlooker").await;
        let unfinished = self.unfinished();
        let waiting = self.stack.s3.pending_events(1).await.unwrap_or_default().len();
        unfinished == 0
            && waiting == 0
            && self.queue_depth(QUEUE).await == (0, 0)
            && self.objects_without_job(&aws_sdk_s3::Client::new(sdk)).await.is_empty()
    }

    async fn objects_without_job(&self, s3: &aws_sdk_s3::Client) -> Vec<String> {
        let uploads = s3.list_objects_v2().bucket(UPLOAD_BUCKET).send().await;
        let uploads = uploads.unwrap_or_else(|error| panic!("no listing: {error:?}"));
        let state = self.wire.state();
        let rows = state.observer.rows();
        let without = uploads.contents().iter().filter_map(|object| {
            let (key, e_tag) = (object.key()?, object.e_tag()?.trim_matches('"'));
            let id = match classify_upload_key(key) {
                UploadKey::Slot(id) => id,
                _ => JobId::derived(UPLOAD_BUCKET, key, e_tag),
            };
            (!rows.contains_key(id.to_string().as_str())).then(|| key.to_owned())
        });
        without.collect()
    }

    /// What the API says of a job, asked as often as it takes: faults that are left over may still meet the question.
    async fn view(&self, id: &str) -> Value {
        for _ in 0..MAX_QUESTIONS {
            match self.api(Method::GET, &format!("/jobs/{id}"), Value::Null).await {
                Some((status, view)) if status == 200 => return view,
                _ => {}
            }
        }
        Value::Null
    }

    fn unfinished(&self) -> usize {
        let state = self.wire.state();
        let rows = state.observer.rows();
        let over =
            |row: &Value| matches!(text(row, "status"), "COMPLETED" | "FAILED") && row.get("announcedAt").is_some();
        rows.values().filter(|row| !over(row)).count()
    }

    /// Everything that does not hold.
    pub(super) async fn verdict(&self, sdk: &SdkConfig, redriven: bool) -> Vec<String> {
        let mut wrong = self.wire.state().observer.violations.clone();
        if !self.is_quiet(sdk).await {
            wrong.push("it never became quiet".to_owned());
        }
        let rows: BTreeMap<String, Value> =
            self.wire.state().observer.rows().into_iter().map(|(id, row)| (id.to_owned(), row.clone())).collect();
        let notices = self.wire.state().observer.notices.clone();
        let s3 = aws_sdk_s3::Client::new(sdk);

        for key in self.objects_without_job(&s3).await {
            wrong.push(format!("the object {key} has no job"));
        }
        for (id, row) in &rows {
            let status = text(row, "status");
            let completed = status == "COMPLETED";
            match notices.get(&(id.clone(), status.to_owned())) {
                None => wrong.push(format!("job {id} was never announced {status}")),
                Some(copies) if copies.iter().any(|copy| *copy != copies[0]) && !redriven => {
                    wrong.push(format!("job {id} was announced in different words"));
                }
                Some(_) => {}
            }
            let view = self.view(id).await;
            if view["status"] != *status || view.get("downloadUrl").is_some() != completed {
                wrong.push(format!("job {id} is {status} and shows {view}"));
            }
            let result = fetch(&s3, &format!("results/{id}.json")).await;
            let result: Value = result.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
            if result["status"] != status.to_lowercase() {
                wrong.push(format!("job {id} is {status}, and its result says {}", result["status"]));
            }
            if completed {
                wrong.extend(self.wrong_derivatives(&s3, id, row).await);
            }
        }
        let processed = s3.list_objects_v2().bucket(PROCESSED_BUCKET).prefix("processed/").send().await;
        for object in processed.unwrap_or_else(|error| panic!("{error:?}")).contents() {
            let owner = object.key().and_then(|key| key.split('/').nth(2)).unwrap_or_default();
            if !rows.contains_key(owner) {
                wrong.push(format!("{:?} belongs to no job", object.key()));
            }
        }
        let callbacks = self.messages(CALLBACK_QUEUE).await;
        for callback in &callbacks {
            let (id, status) = callback["id"].as_str().and_then(|id| id.split_once('.')).unwrap_or_default();
            // A job that was redriven ended twice, and was announced each time.
            if !notices.contains_key(&(id.to_owned(), status.to_owned())) {
                wrong.push(format!("a callback says that job {id} is {status}, and no notice does"));
            }
        }
        for (id, row) in rows.iter().filter(|(_, row)| row.get("callbackUrl").is_some()) {
            let expected = format!("{id}.{}", text(row, "status"));
            if !callbacks.iter().any(|callback| callback["id"] == *expected) {
                wrong.push(format!("nobody is to be called about {expected}"));
            }
        }
        for letter in self.messages(DEAD_LETTER_QUEUE).await {
            let id = letter["jobId"].as_str().unwrap_or_default();
            let status = rows.get(id).map_or("no job", |row| text(row, "status"));
            if status != "FAILED" {
                wrong.push(format!("a dead letter of job {id}, which is {status}"));
            }
        }
        wrong
    }

    async fn wrong_derivatives(&self, s3: &aws_sdk_s3::Client, id: &str, row: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let source = text(&row["source"]["M"], "eTag");
        let object = text(row, "eTag");
        if !object.is_empty() && object != source {
            wrong.push(format!("job {id} is about {object} and was made of {source}"));
        }
        for derivative in row["derivatives"]["L"].as_array().into_iter().flatten() {
            let derivative = &derivative["M"];
            let (key, hash) = (text(derivative, "key"), text(derivative, "sha256"));
            match fetch(s3, key).await {
                None => wrong.push(format!("job {id} is COMPLETED without {key}")),
                Some(bytes)
                    if format!("{:x}", Sha256::digest(&bytes)) != hash
                        || bytes.len().to_string() != text(derivative, "bytes") =>
                {
                    wrong.push(format!("{key} is not what job {id} recorded"));
                }
                Some(_) => {}
            }
            let mut known = DERIVATIVES.lock().unwrap_or_else(PoisonError::into_inner);
            let first = known.entry(source.to_owned()).or_insert_with(|| hash.to_owned());
            if first != hash {
                wrong.push(format!("the photo {source} gave {first} once and {hash} for job {id}"));
            }
        }
        wrong
    }

    /// The bodies of what lies in a queue.
    async fn messages(&self, queue: &str) -> Vec<Value> {
        let mut bodies = Vec::new();
        loop {
            let request = json!({ "QueueUrl": url(queue), "MaxNumberOfMessages": 10, "VisibilityTimeout": 60 });
            let answer = self.sqs("ReceiveMessage", request).await;
            let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                return bodies;
            }
            let body = |message: &Value| {
                serde_json::from_str(message["Body"].as_str().unwrap_or_default()).unwrap_or_default()
            };
            bodies.extend(messages.iter().map(body));
        }
    }
}

async fn fetch(s3: &aws_sdk_s3::Client, key: &str) -> Option<Vec<u8>> {
    let object = s3.get_object().bucket(PROCESSED_BUCKET).key(key).send().await.ok()?;
    Some(object.body.collect().await.ok()?.into_bytes().to_vec())
}

/// A string or number attribute of an item.
fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name]["S"].as_str().or(item[name]["N"].as_str()).unwrap_or_default()
}
