//! One photo's way: slot, upload, wait, derivatives; taken up wherever an earlier run left it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::api::{Api, Job, Slot};
use super::download;
use super::files::{self, Wishes};
use super::names::Names;
use super::outcome::{Came, Kept, Outcome};
use super::problem::{Problem, persistently};
use super::progress::Bar;

/// Most jobs of one photo that are looked at: each has failed for a reason that passes.
const MAX_ATTEMPTS: u32 = 10;

/// Most jobs of one photo that a run makes or waits for.
const MAX_OWN_ATTEMPTS: u32 = 2;

/// How long a job is waited for. Darkroom ends every job some time; one that takes so long has lost something on the way.
const PATIENCE: Duration = Duration::from_mins(20);

/// What all photos of a run have in common.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) api: Api,
    pub(super) recipe: Option<Value>,
    /// `None`: derivatives stay where they are.
    pub(super) names: Option<Names>,
    /// Equal photos of one name are one job, so one waits for the other.
    pub(super) at_work: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// What a job needs from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Its photo.
    Photo,
    /// Time.
    Patience,
    /// Nothing: it is completed.
    Nothing,
    /// Another job in its place.
    Successor,
    /// Nothing that would help.
    Hopeless,
}

impl Need {
    fn of(job: &Job) -> Self {
        match job.status.as_str() {
            "COMPLETED" => Self::Nothing,
            "FAILED" => match job.error_code.as_deref() {
                Some("UPLOAD_EXPIRED" | "TIMED_OUT" | "RETRIES_EXHAUSTED" | "INTERNAL") => Self::Successor,
                _ => Self::Hopeless,
            },
            // It has moved since it was made, so its photo has come.
            "PENDING" if job.updated_at == job.created_at => Self::Photo,
            _ => Self::Patience,
        }
    }
}

impl Run {
    /// Takes the photo at `index` through; it never fails but in its outcome.
    pub(super) async fn photo(&self, index: usize, photo: &Path, bar: &Bar) -> Outcome {
        let started = Instant::now();
        let mut outcome = Outcome::of(photo);
        if let Err(problem) = self.go(index, photo, bar, &mut outcome).await {
            outcome.fail(None, problem.to_string());
        }
        outcome.took = started.elapsed();
        outcome
    }

    async fn go(&self, index: usize, photo: &Path, bar: &Bar, outcome: &mut Outcome) -> Result<(), Problem> {
        bar.says("reading");
        let wishes = self.wishes(photo).await?;
        outcome.bytes = Some(wishes.size);
        let key = wishes.key(0);
        let turn =
            Arc::clone(self.at_work.lock().unwrap_or_else(std::sync::PoisonError::into_inner).entry(key).or_default());
        let _turn = turn.lock().await;

        let mut own_attempts = 0;
        for attempt in 0..MAX_ATTEMPTS {
            let key = wishes.key(attempt);
            bar.says("asking for a slot");
            let slot = self.api.slot(&wishes, &key).await?;
            outcome.job_id = Some(slot.job_id.clone());
            let mut job = self.api.job(&slot.job_id, 0).await?;
            let need = Need::of(&job);
            if matches!(need, Need::Photo | Need::Patience) {
                own_attempts += 1;
                if need == Need::Photo {
                    self.put(slot, &key, photo, &wishes, bar).await?;
                    outcome.uploaded = true;
                }
                bar.says("in the darkroom");
                job = self.over(&job.id).await?;
            }
            let is_last = own_attempts == MAX_OWN_ATTEMPTS || attempt + 1 == MAX_ATTEMPTS;
            match Need::of(&job) {
                Need::Nothing => return self.keep(index, job, bar, outcome).await,
                Need::Successor if !is_last => {}
                Need::Successor | Need::Hopeless => {
                    outcome.fail(job.error_code, job.error_message.unwrap_or_default());
                    return Ok(());
                }
                Need::Photo | Need::Patience => {
                    let minutes = PATIENCE.as_secs() / 60;
                    return Err(Problem::Other(format!("it was not over after {minutes} minutes; ask again later")));
                }
            }
        }
        Ok(())
    }

    async fn wishes(&self, photo: &Path) -> Result<Wishes, Problem> {
        let (path, recipe) = (photo.to_owned(), self.recipe.clone());
        let wishes = tokio::task::spawn_blocking(move || Wishes::of(&path, recipe.as_ref())).await;
        let wishes = wishes.map_err(|_| Problem::Other("it could not be read".to_owned()))?;
        wishes.map_err(|error| Problem::Other(format!("it cannot be read: {}", files::why(&error))))
    }

    /// Sends the photo; by another URL, should this one be used up by the tries.
    async fn put(&self, slot: Slot, key: &str, photo: &Path, wishes: &Wishes, bar: &Bar) -> Result<(), Problem> {
        let send = async |slot: &Slot| {
            bar.says("uploading");
            persistently(|| {
                bar.begins_anew();
                let bar = bar.clone();
                self.api.put(slot, photo, wishes.size, move |bytes| bar.sent(bytes))
            })
            .await
        };
        match send(&slot).await {
            Err(Problem::Refused { status: 403, .. }) => send(&self.api.slot(wishes, key).await?).await,
            Err(Problem::Refused { code: Some(code), .. }) if code.contains("Digest") || code.contains("Checksum") => {
                Err(Problem::Other("the file was changed while it was uploaded".to_owned()))
            }
            answer => answer,
        }
    }

    async fn over(&self, id: &str) -> Result<Job, Problem> {
        let started = Instant::now();
        loop {
            let job = self.api.job(id, 20).await?;
            if matches!(job.status.as_str(), "COMPLETED" | "FAILED") || started.elapsed() > PATIENCE {
                return Ok(job);
            }
        }
    }

    /// Notes what came of the photo, and fetches it.
    async fn keep(&self, index: usize, job: Job, bar: &Bar, outcome: &mut Outcome) -> Result<(), Problem> {
        outcome.label = job.top().cloned();
        for derivative in &job.derivatives {
            let file: Option<PathBuf> = match &self.names {
                Some(names) => {
                    bar.says("fetching");
                    let strange = || Problem::Other("a derivative has a name that no file should have".to_owned());
                    let (name, extension) = download::name_of(derivative).ok_or_else(strange)?;
                    let place = names.place(index, name, extension);
                    download::keep(&self.api, derivative, &place).await?;
                    Some(place)
                }
                None => None,
            };
            let (name, sha256) = (derivative.name.clone(), derivative.sha256.clone());
            outcome.derivatives.push(Kept { name, bytes: derivative.bytes, sha256, file });
        }
        outcome.came = Came::Completed;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(status: &str, updated_at: &str, code: Option<&str>, expected: Need) {
        let mut job = json!({ "jobId": "1", "status": status, "createdAt": "1", "updatedAt": updated_at });
        if let Some(code) = code {
            job["errorCode"] = code.into();
        }
        assert_eq!(Need::of(&serde_json::from_value(job).unwrap()), expected, "{status} {updated_at} {code:?}");
    }

    #[test]
    fn a_run_goes_on_where_the_job_stands() {
        check("PENDING", "1", None, Need::Photo);
        check("PENDING", "2", None, Need::Patience);
        check("PROCESSING", "2", None, Need::Patience);
        check("COMPLETED", "2", None, Need::Nothing);
        for code in ["UPLOAD_EXPIRED", "TIMED_OUT", "RETRIES_EXHAUSTED", "INTERNAL"] {
            check("FAILED", "2", Some(code), Need::Successor);
        }
        for code in ["CORRUPT_IMAGE", "UNSUPPORTED_FORMAT", "IMAGE_TOO_LARGE", "INVALID_RECIPE", "WHAT_IS_YET_TO_COME"]
        {
            check("FAILED", "2", Some(code), Need::Hopeless);
        }
    }
}
