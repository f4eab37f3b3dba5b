//! The Step Functions variant, `infra/workflow.asl.json`: a photo's way in stages, each an invocation, with the same job row,
//! derivatives and notice as by the queue.
//!
//! An execution holds the job's lease from its first stage to its last. Between stages travels what is small: what the photo
//! is and shows, and its recipe, which may be another by the next stage; each stage fetches and decodes the photo anew, at the
//! scale that all derivatives together ask for. What fails for a reason that passes goes on by the queue, which has more
//! patience than a state machine, and dead letters. Absent: a choice of stages by the client.

use std::time::Duration;

use lambda_runtime::{Diagnostic, Error};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::arrival::Arrival;
use shared::error::{Code, Failure};
use shared::job::{Delivery, Derivative, Job, Lease};
use shared::key::{self, RAW_PREFIX, UploadKey};
use shared::message::WorkItem;
use shared::recipe::{DerivativeName, DerivativeSpec, Recipe};
use shared::time::Timestamp;
use tokio::time::error::Elapsed;

use crate::image::{ImageError, MAX_OUTPUT};
use crate::pipeline::{Busy, Interruption, Photo};
use crate::process::{OUR_FAULT, Processor, time_to_work};

/// How long an execution may take, `TimeoutSeconds` of the state machine.
const EXECUTION: Duration = Duration::from_mins(5);

/// How long a stage may go on after its execution was cut short, the function's timeout: after that nobody is left to hold
/// its lease.
const LAST_STAGE: Duration = Duration::from_mins(1);

/// The name by which the state machine knows errors that it tries again.
const TRANSIENT: &str = "Transient";

/// The name of those that would come again at each try, and use up the execution's time: the queue has more of it.
const TOO_LONG: &str = "TooLong";

/// What the state machine invokes the worker with: the object that came, and a stage.
#[derive(Debug, Deserialize)]
struct Event {
    /// Id of the execution.
    execution: String,
    detail: Arrival,
    #[serde(flatten)]
    stage: Stage,
}

/// A state of the state machine, by its name there, with what earlier ones found.
#[derive(Debug, Deserialize)]
#[serde(tag = "stage")]
enum Stage {
    /// Makes the job, takes it, and decodes and classifies the photo.
    ValidateImage,
    /// Makes the derivatives that change the size.
    ResizeImage { photo: Validated },
    /// Makes those with filters.
    ApplyFilters { photo: Validated },
    /// Makes those that are the photo as it is, for the web, and completes the job.
    OptimizeImage { photo: Validated, made: Vec<Made> },
    /// Announces a job that is over.
    NotifySuccess,
    /// Fails the job and announces that, or hands it to the queue.
    NotifyError { error: Caught },
}

/// What `ValidateImage` found, or `OptimizeImage` ended with.
#[derive(Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
enum Verdict {
    /// The photo is to be processed.
    Accepted { photo: Box<Validated> },
    /// The job has its result.
    Completed,
    /// The job fails. Not an error of the invocation, of which there are alarms.
    Refused { error: Caught },
    /// The object is no photo of ours, or its job is over or in other hands.
    Nothing,
}

/// A photo that decodes, and what is to be made of it.
#[derive(Debug, Serialize, Deserialize)]
struct Validated {
    #[serde(flatten)]
    photo: Photo,
    recipe: Recipe,
}

/// A stage that makes derivatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    ResizeImage,
    ApplyFilters,
    OptimizeImage,
}

/// What a stage made.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Made {
    Derivatives(Vec<Derivative>),
    /// The job fails, as with [`Verdict::Refused`].
    Refused(Caught),
}

/// An error as a state machine hands it on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Caught {
    error: String,
    #[serde(default)]
    cause: String,
}

/// A stage that failed, under the name by which the state machine chooses what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct StageError {
    name: &'static str,
    message: String,
}

/// Too little is left of the invocation.
#[derive(Debug, thiserror::Error)]
#[error("too late in this invocation")]
struct TooLate;

/// An error of the function as Lambda reports it; that of a stage keeps its name.
pub fn diagnostic(error: Error) -> Diagnostic {
    match error.downcast::<StageError>() {
        Ok(error) => Diagnostic { error_type: error.name.to_owned(), error_message: error.message },
        Err(error) => error.into(),
    }
}

/// Carries out a stage, and answers what the next ones need.
pub(crate) async fn handle(processor: &Processor, event: Value, deadline: Timestamp) -> Result<Value, StageError> {
    let answer = async {
        // Not for good: a new version of this function may not understand what an older one handed on.
        let unreadable = |error| Failure::transient("the photo came in an unknown form", error);
        let Event { execution, detail, stage }: Event = serde_json::from_value(event).map_err(unreadable)?;
        Execution { processor, id: execution, arrival: detail, deadline }.enter(stage).await
    };
    answer.await.map_err(StageError::from)
}

/// An execution of the state machine, seen from within one of its stages.
struct Execution<'a> {
    processor: &'a Processor,
    id: String,
    arrival: Arrival,
    deadline: Timestamp,
}

impl Execution<'_> {
    async fn enter(&self, stage: Stage) -> Result<Value, Failure> {
        let Arrival { bucket, key, .. } = &self.arrival;
        let is_upload = key.starts_with(RAW_PREFIX) && key::classify_upload_key(key) != UploadKey::Ignored;
        if !is_upload || bucket != self.processor.pipeline.uploads.name() {
            tracing::info!(s3.bucket = bucket, s3.key = key, "not an upload: ignored");
            return serde_json::to_value(Verdict::Nothing).map_err(Failure::permanent);
        }
        let answer = match stage {
            Stage::ValidateImage => serde_json::to_value(self.validate().await?),
            Stage::ResizeImage { photo } => serde_json::to_value(self.make(Maker::ResizeImage, &photo).await?),
            Stage::ApplyFilters { photo } => serde_json::to_value(self.make(Maker::ApplyFilters, &photo).await?),
            Stage::OptimizeImage { photo, made } => serde_json::to_value(self.complete(photo, made).await?),
            Stage::NotifySuccess => match self.known().await? {
                Some(job) => Ok(self.announce(job).await?),
                None => serde_json::to_value(Verdict::Nothing),
            },
            Stage::NotifyError { error } => Ok(self.conclude(&error).await?),
        };
        answer.map_err(Failure::permanent)
    }

    async fn validate(&self) -> Result<Verdict, Failure> {
        let (now, job) = (self.now(), self.job().await?);
        let delivery = Delivery { work_id: Some(self.id.clone()), sent_at: now };
        let claim = |job: &mut Job| job.claim(&self.id, &delivery, now + EXECUTION + LAST_STAGE, now);
        let job = self.processor.jobs.update_from(job, now, claim).await?;
        if job.lease_of(&self.id).is_none() {
            tracing::info!(job.id = %job.job_id, status = job.status().as_str(), "nothing to do for this execution");
            return Ok(Verdict::Nothing);
        }
        let (pipeline, item) = (&self.processor.pipeline, WorkItem::of(&job));
        let slot = pipeline.capacity.slot().await;
        match self.in_time(Box::pin(pipeline.see(&job, &item, slot))).await {
            Ok((photo, recipe)) => Ok(Verdict::Accepted { photo: Box::new(Validated { photo, recipe }) }),
            Err(failure) => Ok(Verdict::Refused { error: Caught::refusal(failure)? }),
        }
    }

    /// Makes the stage's own derivatives; none if the job is in other hands.
    async fn make(&self, stage: Maker, photo: &Validated) -> Result<Made, Failure> {
        let own = photo.recipe.derivatives().iter().filter(|spec| Maker::of(spec) == stage);
        let names: Vec<DerivativeName> = own.map(|spec| spec.name.clone()).collect();
        let held = if names.is_empty() { None } else { self.held().await? };
        let Some((mut job, _)) = held else { return Ok(Made::Derivatives(Vec::new())) };
        job.recipe = Some(photo.recipe.clone());
        let (pipeline, item) = (&self.processor.pipeline, WorkItem::of(&job));
        let slot = pipeline.capacity.slot().await;
        match self.in_time(Box::pin(pipeline.make(&job, &item, slot, names))).await {
            Ok(derivatives) => Ok(Made::Derivatives(derivatives)),
            Err(failure) => Ok(Made::Refused(Caught::refusal(failure)?)),
        }
    }

    /// Makes what is left to make, and ends the job with its result.
    async fn complete(&self, photo: Validated, mut made: Vec<Made>) -> Result<Verdict, Failure> {
        made.push(self.make(Maker::OptimizeImage, &photo).await?);
        let Validated { photo, recipe } = photo;
        let mut derivatives = Vec::new();
        for made in made {
            match made {
                Made::Derivatives(more) => derivatives.extend(more),
                Made::Refused(error) => return Ok(Verdict::Refused { error }),
            }
        }
        let place = |derivative: &Derivative| {
            recipe.derivatives().iter().position(|spec| spec.name.as_str() == derivative.name)
        };
        derivatives.sort_by_key(place);
        // A stage sees its own ones only.
        if derivatives.iter().map(|derivative| derivative.bytes).sum::<u64>() > MAX_OUTPUT {
            return Ok(Verdict::Refused { error: Caught::refusal(ImageError::OutputTooLarge.into())? });
        }
        let Some((job, lease)) = self.held().await? else {
            // It may be this very stage that completed it, if its answer was lost.
            return Ok(Verdict::of(self.known().await?.as_ref()));
        };
        let now = self.now();
        let completed = self.processor.pipeline.finish(&job, photo, derivatives).await?;
        let complete = |job: &mut Job| job.complete(&lease, completed.clone(), now);
        let job = self.processor.jobs.update_from(job, now, complete).await?;
        tracing::info!(job.id = %job.job_id, status = job.status().as_str(), "photo processed by the state machine");
        Ok(Verdict::of(Some(&job)))
    }

    /// Announces the job, if it is over and has not been announced, and that is not for reconcile to do.
    async fn announce(&self, job: Job) -> Result<Value, Failure> {
        let status = job.status();
        if !job.is_timed_out() {
            self.processor.announcer.announce(job, self.now()).await?;
        }
        Ok(json!({ "status": status }))
    }

    /// Ends the job with the error, or has the queue go on with it.
    async fn conclude(&self, caught: &Caught) -> Result<Value, Failure> {
        let (now, job) = (self.now(), self.job().await?);
        let Some(lease) = job.lease_of(&self.id) else {
            // It is over, in other hands, or waits for reconcile, which queues it.
            return self.announce(job).await;
        };
        let Some((code, message)) = caught.verdict() else {
            tracing::warn!(job.id = %job.job_id, error = caught.error, "a stage failed: the job goes on by the queue");
            // The same one, should this stage be tried again: another would count as another attempt that was no attempt.
            let work_id = format!("{}#{}", self.id, lease.attempt);
            self.processor.try_queue_anew(job, &lease, work_id, Duration::ZERO, now).await?;
            return Ok(json!({ "status": "QUEUED" }));
        };
        tracing::info!(job.id = %job.job_id, %code, attempt = lease.attempt, "job failed");
        let job = self.processor.jobs.update_from(job, now, |job| job.fail(&lease, code, &message, now)).await?;
        self.announce(job).await
    }

    /// The object's job, made if there is none.
    async fn job(&self) -> Result<Job, Failure> {
        let now = self.now();
        self.processor.jobs.create(self.arrival.clone().job(self.processor.job_ttl, now), now).await
    }

    /// The object's job, if it is still known: who has deleted its row meanwhile wants none made again.
    async fn known(&self) -> Result<Option<Job>, Failure> {
        self.processor.jobs.get(self.arrival.job_id(), self.now()).await
    }

    /// The object's job and the execution's lease on it; `None` if the job is over or in other hands.
    async fn held(&self) -> Result<Option<(Job, Lease)>, Failure> {
        Ok(self.known().await?.and_then(|job| job.lease_of(&self.id).map(|lease| (job, lease))))
    }

    /// Does the work in what is left of the invocation. Boxed by who calls: it is large.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Interruption>>) -> Result<T, Failure> {
        let too_long = "the photo took too long";
        let Some(time) = time_to_work(self.deadline, self.now()) else {
            return Err(Failure::transient(too_long, TooLate));
        };
        match tokio::time::timeout(time, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Interruption::Failed(failure))) => Err(failure),
            Ok(Err(Interruption::Busy)) => Err(Failure::transient("other large photos come first", Busy)),
            Ok(Err(Interruption::Replaced(_))) => Err(Failure::permanent("an upload slot's object, under raw/")),
            Err(elapsed) => Err(Failure::transient(too_long, elapsed)),
        }
    }

    fn now(&self) -> Timestamp {
        self.processor.ambient.now()
    }
}

impl Maker {
    /// The stage that makes a derivative.
    fn of(spec: &DerivativeSpec) -> Self {
        if !spec.filters.is_empty() {
            Self::ApplyFilters
        } else if spec.resize.is_some() || spec.crop.is_some() {
            Self::ResizeImage
        } else {
            Self::OptimizeImage
        }
    }
}

impl Verdict {
    /// What the last stage ends with, the job being as it is.
    fn of(job: Option<&Job>) -> Self {
        if job.is_some_and(|job| job.completed().is_some()) { Self::Completed } else { Self::Nothing }
    }
}

impl Caught {
    /// What the photo is refused for, as if Lambda had reported it; or the failure, if it is none of the photo's.
    fn refusal(failure: Failure) -> Result<Self, Failure> {
        let Failure::Client { code, message } = failure else { return Err(failure) };
        let cause = json!({ "errorType": code, "errorMessage": message });
        Ok(Self { error: code.to_string(), cause: cause.to_string() })
    }

    /// What the job fails with; `None` if what went wrong may pass: an error that is none of ours, a crash included.
    fn verdict(&self) -> Option<(Code, String)> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Report {
            error_message: String,
        }
        let code = serde_json::from_value(Value::from(self.error.as_str())).ok()?;
        let report: Option<Report> = serde_json::from_str(&self.cause).ok();
        Some((code, report.map_or_else(|| OUR_FAULT.to_owned(), |report| report.error_message)))
    }
}

impl From<Failure> for StageError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Client { code, message } => Self { name: code.as_str(), message },
            Failure::Permanent(_) => {
                tracing::error!(error = %failure, "a stage failed");
                Self { name: Code::Internal.as_str(), message: OUR_FAULT.to_owned() }
            }
            Failure::Transient { cause, ref source } => {
                tracing::warn!(error = %failure, "a stage failed for now");
                let name = if source.is::<Elapsed>() { TOO_LONG } else { TRANSIENT };
                Self { name, message: cause.to_owned() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derivative_is_made_by_the_stage_that_names_most_of_its_work() {
        let recipe: Recipe = serde_json::from_str(
            r#"[{"name":"whole"},{"name":"small","resize":{"width":9}},{"name":"part","crop":{"x":0,"y":0,"width":1,"height":1}},
                {"name":"grey","resize":{"width":9},"filters":["grayscale"]},{"name":"web","format":"webp"}]"#,
        )
        .unwrap();
        let stages: Vec<Maker> = recipe.derivatives().iter().map(Maker::of).collect();
        let [optimize, resize, filter] = [Maker::OptimizeImage, Maker::ResizeImage, Maker::ApplyFilters];
        assert_eq!(stages, [optimize, resize, resize, filter, optimize]);
    }

    #[tokio::test]
    async fn an_error_comes_back_as_it_was_raised() {
        let check = |failure: Failure, expected: Option<(Code, &str)>| {
            let Diagnostic { error_type, error_message } = diagnostic(Box::new(StageError::from(failure)));
            let cause = json!({ "errorType": error_type, "errorMessage": error_message, "stackTrace": [] });
            let caught: Caught =
                serde_json::from_value(json!({ "Error": error_type, "Cause": cause.to_string() })).unwrap();
            assert_eq!(caught.verdict(), expected.map(|(code, message)| (code, message.to_owned())));
        };
        check(Failure::client(Code::CorruptImage, "No."), Some((Code::CorruptImage, "No.")));
        check(Failure::permanent("no"), Some((Code::Internal, OUR_FAULT)));
        check(Failure::transient("it rained", TooLate), None);
        assert_eq!(StageError::from(Failure::transient("it rained", TooLate)).name, TRANSIENT);
        let endless = tokio::time::timeout(Duration::ZERO, std::future::pending::<()>()).await;
        assert_eq!(StageError::from(Failure::transient("it rained", endless.unwrap_err())).name, TOO_LONG);
        let crash = Caught { error: "Runtime.ExitError".to_owned(), cause: "signal: killed".to_owned() };
        assert_eq!(crash.verdict(), None);
    }
}
