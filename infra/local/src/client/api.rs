//! The HTTP API as its clients see it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::Utc;
use futures::StreamExt as _;
use reqwest::{Body, Client, RequestBuilder, Response, Url, header, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::files::{self, Wishes};
use super::problem::{Problem, persistently, retry_after};
use crate::cli::{Server, given_or_set};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for an answer of the API, which may itself hold one back for 20 seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);

/// After how long without a byte a transfer counts as broken.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(45);

/// Where the API is, and what gets one in.
#[derive(Debug)]
pub(super) struct Api {
    http: Client,
    base: String,
    key: Option<String>,
}

/// An upload slot.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Slot {
    pub(super) job_id: String,
    pub(super) url: String,
    pub(super) headers: Map<String, Value>,
}

/// A job, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    #[serde(rename = "jobId")]
    pub(super) id: String,
    pub(super) status: String,
    pub(super) created_at: String,
    pub(super) updated_at: String,
    pub(super) filename: Option<String>,
    pub(super) source: Option<Source>,
    pub(super) classification: Option<Classification>,
    #[serde(default)]
    pub(super) derivatives: Vec<Derivative>,
    pub(super) error_code: Option<String>,
    pub(super) error_message: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Source {
    pub(super) key: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Classification {
    pub(super) predictions: Vec<Prediction>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Prediction {
    pub(super) label: String,
    pub(super) probability: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Derivative {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) key: String,
    pub(super) bytes: u64,
    /// In hex.
    pub(super) sha256: String,
}

impl Job {
    /// What the photo most likely shows.
    pub(super) fn top(&self) -> Option<&Prediction> {
        self.classification.as_ref()?.predictions.first()
    }
}

/// The API's own form of an error.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    code: String,
}

impl Api {
    /// The API at the address that was named.
    pub(super) fn new(server: &Server) -> Result<Self, String> {
        let base = server.api.as_str().trim_end_matches('/').to_owned();
        // A redirect would take the key elsewhere, and there is none in the API.
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("darkroom/", env!("CARGO_PKG_VERSION")));
        // A proxy does not reach this machine's own ports.
        let http = if is_here(&server.api) { http.no_proxy() } else { http };
        let http =
            http.build().map_err(|_| "the system's certificates cannot be read, so no connection can be made")?;
        Ok(Self { http, base, key: given_or_set(server.api_key.clone())? })
    }

    /// Finds out whether there is a Darkroom, and whether it lets one in. Who is not there is not waited for.
    pub(super) async fn knock(&self) -> Result<(), String> {
        let nobodys = format!("{}/jobs/00000000-0000-4000-8000-000000000000", self.base);
        let knock = async || match self.ask::<Value>(self.http.get(&nobodys)).await {
            Err(Problem::NoAnswer(why @ ("nothing listens there" | "its name is not known here"))) => {
                Err(Problem::Other(why.to_owned()))
            }
            answer => answer,
        };
        let Err(problem) = persistently(knock).await else { return Ok(()) };
        Err(match &problem {
            Problem::Refused { code: Some(code), message, .. } => match code.as_str() {
                "JOB_NOT_FOUND" => return Ok(()),
                "INVALID_API_KEY" => {
                    format!("{} wants a valid API key (--api-key, or the variable DARKROOM_API_KEY)", self.base)
                }
                _ => format!("{} refuses: {message}", self.base),
            },
            Problem::Refused { status, .. } => {
                format!("there is no Darkroom at {}: it answers {status} (--api names another address)", self.base)
            }
            Problem::NoAnswer(why) => {
                format!("no Darkroom answers at {}: {why} (--api names another address)", self.base)
            }
            Problem::Other(why) => {
                format!("no Darkroom answers at {}: {why} (--api names another address)", self.base)
            }
        })
    }

    /// A slot for a photo; with the same key, the same job.
    pub(super) async fn slot(&self, wishes: &Wishes, key: &str) -> Result<Slot, Problem> {
        let url = format!("{}/uploads", self.base);
        let body = serde_json::to_vec(wishes).map_err(|error| Problem::Other(error.to_string()))?;
        let request = || {
            let request = self.http.post(&url).header("idempotency-key", key);
            self.ask(request.header(header::CONTENT_TYPE, "application/json").body(body.clone()))
        };
        persistently(request).await
    }

    /// The job, once it is over or `wait` seconds have passed.
    pub(super) async fn job(&self, id: &str, wait: u8) -> Result<Job, Problem> {
        let url = format!("{}/jobs/{id}?wait={wait}", self.base);
        persistently(|| self.ask(self.http.get(&url))).await
    }

    /// A page of `GET /jobs`.
    pub(super) async fn jobs(&self, query: &[(&str, String)]) -> Result<Value, Problem> {
        let url = format!("{}/jobs", self.base);
        persistently(|| self.ask(self.http.get(&url).query(query))).await
    }

    /// Sends a photo to its slot, once, from the disk. `on_progress` is told of each piece's length as it is sent.
    pub(super) async fn put(
        &self,
        slot: &Slot,
        photo: &Path,
        size: u64,
        on_progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<(), Problem> {
        let file = tokio::fs::File::open(photo).await;
        let file = file.map_err(|error| Problem::Other(format!("it cannot be read: {}", files::why(&error))))?;
        let sent = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&sent);
        let pieces = ReaderStream::new(file.take(size)).inspect(move |piece| {
            if let Ok(piece) = piece {
                counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
                on_progress(piece.len() as u64);
            }
        });
        let mut request = self.http.put(&slot.url).header(header::CONTENT_LENGTH, size).body(Body::wrap_stream(pieces));
        for (name, value) in &slot.headers {
            if !name.eq_ignore_ascii_case("content-length") {
                request = request.header(name, value.as_str().unwrap_or_default());
            }
        }
        let answer = async { request.send().await.map_err(|error| Problem::of(&error)) };
        let answer = tokio::select! {
            answer = answer => answer?,
            () = stalled(&sent) => return Err(Problem::NoAnswer("the transfer stood still")),
        };
        if answer.status().is_success() { Ok(()) } else { Err(refused_by_s3(answer).await) }
    }

    /// Begins to fetch what is at a presigned URL.
    pub(super) async fn fetch(&self, url: &str) -> Result<Response, Problem> {
        let answer = tokio::time::timeout(STALLED_AFTER, self.http.get(url).send()).await;
        let answer = answer.map_err(|_| Problem::NoAnswer("it did not answer in time"))?;
        let answer = answer.map_err(|error| Problem::of(&error))?;
        if answer.status().is_success() { Ok(answer) } else { Err(refused_by_s3(answer).await) }
    }

    /// One request to the API, once.
    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Problem> {
        let request = match &self.key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        };
        let answer = request.timeout(ANSWER_TIMEOUT).send().await.map_err(|error| Problem::of(&error))?;
        let (status, retry_after) = (answer.status(), retry_after_of(&answer));
        let body = answer.bytes().await.map_err(|error| Problem::of(&error))?;
        if status.is_success() {
            let not_ours = |_| Problem::Other(format!("{} does not answer as a Darkroom does", self.base));
            return serde_json::from_slice(&body).map_err(not_ours);
        }
        let refusal: Option<Refusal> = serde_json::from_slice(&body).ok();
        let (code, message) = match refusal {
            Some(Refusal { error, code }) => (Some(code), error),
            None => (None, format!("{} answers {status}", self.base)),
        };
        Err(Problem::Refused { status: status.as_u16(), code, message, retry_after })
    }
}

/// Whether a URL is of this machine.
fn is_here(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address: Option<std::net::IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        host == "localhost" || address.is_some_and(|address| address.is_loopback())
    })
}

/// Returns once nothing was sent for [`STALLED_AFTER`].
async fn stalled(sent: &AtomicU64) {
    let mut before = None;
    loop {
        let now = Some(sent.load(Ordering::Relaxed));
        if now == before {
            return;
        }
        before = now;
        tokio::time::sleep(STALLED_AFTER).await;
    }
}

fn retry_after_of(answer: &Response) -> Option<Duration> {
    retry_after(answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?, Utc::now())
}

/// S3 says what is wrong in XML, of which the code is enough.
async fn refused_by_s3(answer: Response) -> Problem {
    let (status, retry_after) = (answer.status().as_u16(), retry_after_of(&answer));
    let body = answer.text().await.unwrap_or_default();
    let code =
        body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code.to_owned());
    let said = code.as_ref().map_or_else(|| status.to_string(), |code| format!("{status} {code}"));
    Problem::Refused { status, code, message: format!("the file store answers {said}"), retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_for_other_machines() {
        for (url, here) in [
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://localhost", true),
            ("https://abc.execute-api.eu-central-1.amazonaws.com", false),
            ("http://127.0.0.1.example.com", false),
        ] {
            assert_eq!(is_here(&url.parse().unwrap()), here, "{url}");
        }
    }
}
