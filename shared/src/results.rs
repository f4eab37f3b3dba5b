//! The older client's view of a job, word for word: `GET /results`, `POST /classify` and `results/{jobId}.json`.

use serde_json::{Value, json};

use crate::job::{Classification, Job, JobId, State};

/// Key of the result object in the processed bucket.
pub fn results_key(id: JobId) -> String {
    format!("results/{id}.json")
}

/// The older client's predictions, with probabilities in percent.
pub fn predictions(classification: &Classification) -> Value {
    let top: Vec<Value> = classification
        .predictions
        .iter()
        .map(|p| json!({ "class": p.label, "probability": p.probability * 100.0 }))
        .collect();
    json!({ "predicted_class": classification.predicted_class, "top_5_predictions": top })
}

/// The answer for a completed job with `classification`.
pub fn completed(id: JobId, classification: &Classification) -> Value {
    json!({ "job_id": id, "status": "completed", "predictions": predictions(classification) })
}

/// The answer once `job` is final; `None` while it is not.
pub fn of(job: &Job) -> Option<Value> {
    match &job.state {
        State::Completed(done) => Some(completed(job.job_id, &done.classification)),
        State::Failed { error_message, .. } => {
            Some(json!({ "job_id": job.job_id, "status": "failed", "error": error_message }))
        }
        State::Pending | State::Processing { .. } => None,
    }
}
