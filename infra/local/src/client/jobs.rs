//! `darkroom jobs`: the newest jobs, as a table or as the API has them.

use std::error::Error;
use std::io::Write as _;

use serde_json::Value;

use super::End;
use super::api::{Api, Job};
use super::table;
use crate::cli::Jobs;

/// Most jobs on a page of the API.
const MAX_PAGE: u32 = 100;

/// Lists jobs, newest first.
pub(crate) async fn run(options: Jobs) -> Result<End, Box<dyn Error + Send + Sync>> {
    let api = Api::new(&options.server)?;
    api.knock().await?;
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(options.status.map(|status| ("status", status.to_uppercase())));
    query.extend(options.key.map(|key| ("key", key)));
    let (mut jobs, mut cursor): (Vec<Value>, Option<String>) = (Vec::new(), None);
    loop {
        let missing = options.limit.saturating_sub(jobs.len() as u32);
        let mut page: Vec<(&str, String)> = query.clone();
        page.push(("limit", missing.min(MAX_PAGE).to_string()));
        page.extend(cursor.map(|cursor| ("cursor", cursor)));
        let mut answer = api.jobs(&page).await.map_err(|problem| format!("the jobs cannot be listed: {problem}"))?;
        if let Value::Array(page) = answer["jobs"].take() {
            jobs.extend(page);
        }
        cursor = answer["cursor"].as_str().map(str::to_owned);
        if cursor.is_none() || jobs.len() >= options.limit as usize {
            break;
        }
    }
    let text: String = if options.json {
        jobs.iter().flat_map(|job| [job.to_string(), "\n".to_owned()]).collect()
    } else {
        let rows = jobs.into_iter().map(|job| serde_json::from_value(job).map(row)).collect::<Result<Vec<_>, _>>();
        let rows = rows.map_err(|_| "the answer is not a list of jobs as a Darkroom has it")?;
        table::table(&["created", "status", "shows", "photo", "job"], &rows)
    };
    // OK to ignore: who does not read on has seen enough.
    let _ = write!(std::io::stdout().lock(), "{text}");
    Ok(End::Complete)
}

fn row(job: Job) -> Vec<String> {
    let shows = job.top().map(table::label).unwrap_or_default();
    let status = match job.error_code {
        Some(code) => format!("{} {code}", job.status),
        None => job.status,
    };
    // To the second, as a person reads it.
    let created = job.created_at.split('.').next().unwrap_or_default().replace('T', " ");
    let photo = job.filename.or_else(|| job.source.map(|source| source.key)).unwrap_or_default();
    vec![created, status, shows, photo, job.id]
}
