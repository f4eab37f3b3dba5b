//! A photo from beginning to end, as docs/api.md shows it for Rust: `cargo run --example develop -- photo.jpg`.

#![expect(clippy::print_stdout, reason = "it is run by people")]

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use reqwest::Client;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Slot {
    job_id: String,
    url: String,
    headers: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    status: String,
    download_url: Option<String>,
    classification: Option<Classification>,
    error_message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Classification {
    predicted_class: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let api = env::var("API").unwrap_or("http://127.0.0.1:8080".into());
    let path = PathBuf::from(env::args().nth(1).ok_or("which photo?")?);
    let filename = path.file_name().ok_or("a folder is no photo")?.to_string_lossy();
    let http = Client::new();

    let wish = http.post(format!("{api}/uploads")).json(&json!({ "filename": filename }));
    let slot: Slot = wish.send().await?.error_for_status()?.json().await?;
    let headers = (&slot.headers).try_into()?;
    http.put(&slot.url).headers(headers).body(fs::read(&path)?).send().await?.error_for_status()?;

    let job = loop {
        let look = http.get(format!("{api}/jobs/{}?wait=20", slot.job_id));
        let job: Job = look.send().await?.error_for_status()?.json().await?;
        if ["COMPLETED", "FAILED"].contains(&job.status.as_str()) {
            break job;
        }
    };
    let (Some(seen), Some(url)) = (job.classification, job.download_url) else {
        return Err(job.error_message.unwrap_or_default().into());
    };
    println!("{}", seen.predicted_class);
    let picture = http.get(url).send().await?.error_for_status()?.bytes().await?;
    fs::write("watermarked.jpg", picture)?;
    Ok(())
}
