//! Looks at every request that was served, keeps the run's history, and says what must not have happened.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use bytes::Bytes;
use http::Response;
use serde_json::Value;

use super::call::Call;
use super::surroundings;
use super::wire::Invocation;
use crate::functions::Function;

/// What is kept of a run.
#[derive(Debug, Default)]
pub(super) struct Observer {
    pub(super) history: String,
    /// What must not have happened.
    pub(super) violations: Vec<String>,
    rows: HashMap<String, Row>,
    /// The messages of each notice, by job and status.
    pub(super) notices: BTreeMap<(String, String), Vec<String>>,
    /// How often a job was claimed.
    pub(super) claims: u32,
    /// Whether somebody has put dead letters back.
    pub(super) redriven: bool,
}

/// A job's row, as the last write left it.
#[derive(Debug)]
struct Row {
    item: Value,
    /// The invocation that claimed it last.
    claimed_by: Option<u32>,
}

impl Row {
    fn text<'a>(item: &'a Value, name: &str) -> &'a str {
        item[name]["S"].as_str().or(item[name]["N"].as_str()).unwrap_or_default()
    }

    fn number(item: &Value, name: &str) -> u64 {
        Self::text(item, name).parse().unwrap_or_default()
    }
}

/// Attributes of a final row that may change: its download URLs, and when reconcile looks at it.
const FREE_WHEN_FINAL: [&str; 7] =
    ["downloadUrl", "downloadUrlExpiresAt", "derivatives", "announcedAt", "dueAt", "dueShard", "revision"];

impl Observer {
    /// Adds a line to the history.
    pub(super) fn note(&mut self, invocation: &Invocation, call: &Call, what: &str) {
        let at = surroundings::elapsed().as_millis();
        let Invocation { number, function, .. } = invocation;
        let Call { operation, subject, number: call, .. } = call;
        let _ = writeln!(self.history, "{at:>9} {function:?}#{number} {call} {operation} {subject} {what}");
    }

    /// Adds a line of what did not go over the wire.
    pub(super) fn remark(&mut self, what: &str) {
        let _ = writeln!(self.history, "{:>9} {what}", surroundings::elapsed().as_millis());
    }

    fn violated(&mut self, what: String) {
        self.remark(&format!("VIOLATION {what}"));
        self.violations.push(what);
    }

    /// Looks at a request that was served.
    pub(super) fn saw(&mut self, invocation: &Invocation, call: &Call, body: &Bytes, response: &Response<Bytes>) {
        let status = response.status().as_u16();
        self.note(invocation, call, &format!("→ {status}"));
        if status != 200 {
            return;
        }
        match call.operation.as_str() {
            "DynamoDB.PutItem" => {
                let request: Value = serde_json::from_slice(body).unwrap_or_default();
                if let Some(item) = request.get("Item").filter(|item| item.get("status").is_some()) {
                    self.saw_row(invocation, item.clone());
                }
            }
            "SNS.Publish" => self.saw_notice(body),
            "S3.PUT" if call.subject.starts_with("/darkroom-uploads/") && invocation.function == Function::Worker => {
                self.violated(format!("the worker wrote {} into the uploads bucket", call.subject));
            }
            _ => {}
        }
    }

    fn saw_row(&mut self, invocation: &Invocation, item: Value) {
        let id = Row::text(&item, "jobId").to_owned();
        let (status, attempts) = (Row::text(&item, "status").to_owned(), Row::number(&item, "attempts"));
        let mut problems = Vec::new();
        let old = self.rows.remove(&id);
        let mut claimed_by = old.as_ref().and_then(|row| row.claimed_by);
        let before = old.as_ref().map_or("nothing", |row| Row::text(&row.item, "status"));
        let legal = match (before, status.as_str()) {
            ("nothing", "PENDING")
            | ("PENDING", "PENDING" | "PROCESSING" | "FAILED")
            | ("PROCESSING", "PROCESSING" | "COMPLETED" | "FAILED")
            | ("COMPLETED", "COMPLETED")
            | ("FAILED", "FAILED") => true,
            ("FAILED", "PENDING") => {
                let code = old.as_ref().map_or("", |row| Row::text(&row.item, "errorCode"));
                self.redriven && matches!(code, "RETRIES_EXHAUSTED" | "TIMED_OUT")
            }
            _ => false,
        };
        if !legal {
            problems.push(format!("job {id} went from {before} to {status}"));
        }
        if let Some(Row { item: old, .. }) = &old {
            let attempts_before = Row::number(old, "attempts");
            let claimed = Row::text(&item, "leaseOwner") != Row::text(old, "leaseOwner") && status == "PROCESSING";
            if attempts != attempts_before + u64::from(claimed) {
                problems.push(format!("job {id} went from attempt {attempts_before} to {attempts}"));
            }
            if claimed {
                claimed_by = Some(invocation.number);
                self.claims += 1;
            }
            if Row::number(&item, "revision") != Row::number(old, "revision") + 1 {
                problems.push(format!("job {id} was written over a revision that the writer had not seen"));
            }
            let by_worker = invocation.function == Function::Worker;
            if before == "PROCESSING" && status != "PROCESSING" && by_worker && claimed_by != Some(invocation.number) {
                problems.push(format!("job {id} was ended by an invocation that does not hold it"));
            }
            if matches!(before, "COMPLETED" | "FAILED") && status == before {
                for (name, value) in item.as_object().into_iter().flatten() {
                    if !FREE_WHEN_FINAL.contains(&name.as_str()) && old.get(name) != Some(value) {
                        problems.push(format!("job {id} was {before}, and its {name} changed"));
                    }
                }
            }
            let (sequencer, older) = (Row::text(&item, "sequencer"), Row::text(old, "sequencer"));
            if !sequencer.is_empty() && sequencer < older {
                problems.push(format!("job {id} went back to an older version of its object"));
            }
        }
        self.rows.insert(id, Row { item, claimed_by });
        for problem in problems {
            self.violated(problem);
        }
    }

    fn saw_notice(&mut self, body: &Bytes) {
        let message = form_urlencoded::parse(body).find(|(name, _)| name == "Message").map(|(_, value)| value);
        let message = message.unwrap_or_default().into_owned();
        let notice: Value = serde_json::from_str(&message).unwrap_or_default();
        let key = ["jobId", "status"].map(|name| notice[name].as_str().unwrap_or_default().to_owned());
        let [job, status] = key;
        // A redriven job may be announced as failed a little late.
        let row = self.rows.get(&job).map(|row| Row::text(&row.item, "status").to_owned()).unwrap_or_default();
        if row != status && !self.redriven {
            self.violated(format!("job {job} was announced {status} while it was {row}"));
        }
        self.notices.entry((job, status)).or_default().push(message);
    }

    /// Every row, by its job.
    pub(super) fn rows(&self) -> BTreeMap<&str, &Value> {
        self.rows.iter().map(|(id, row)| (id.as_str(), &row.item)).collect()
    }
}
