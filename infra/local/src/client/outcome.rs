//! What came of a photo, as it is told in the end: a row for a person, or a line of JSON for a program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::DecimalBytes;
use serde_json::{Value, json};

use super::End;
use super::api::Prediction;
use super::table;

/// What came of a photo.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    file: PathBuf,
    pub(super) came: Came,
    pub(super) job_id: Option<String>,
    /// Whether it was sent in this run.
    pub(super) uploaded: bool,
    pub(super) label: Option<Prediction>,
    pub(super) bytes: Option<u64>,
    pub(super) derivatives: Vec<Kept>,
    pub(super) took: Duration,
}

/// How far it came.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Came {
    Completed,
    Failed {
        /// The job's or the API's code, if one of them failed it.
        code: Option<String>,
        sentence: String,
    },
    /// Not to its end: somebody stopped the run.
    Stopped,
}

/// A derivative.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// Where it is on the disk, if it was fetched.
    pub(super) file: Option<PathBuf>,
}

impl Outcome {
    /// A photo that has come nowhere yet.
    pub(super) fn of(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            came: Came::Stopped,
            job_id: None,
            uploaded: false,
            label: None,
            bytes: None,
            derivatives: Vec::new(),
            took: Duration::ZERO,
        }
    }

    pub(super) fn fail(&mut self, code: Option<String>, sentence: String) {
        self.came = Came::Failed { code, sentence };
    }

    /// One line of `--json`. The README promises its shape.
    pub(super) fn json(&self) -> Value {
        let mut line = json!({
            "file": self.file.display().to_string(),
            "outcome": match self.came {
                Came::Completed => "completed",
                Came::Failed { .. } => "failed",
                Came::Stopped => "stopped",
            },
            "uploaded": self.uploaded,
            "seconds": (self.took.as_secs_f64() * 1000.0).round() / 1000.0,
            "derivatives": self.derivatives.iter().map(Kept::json).collect::<Vec<_>>(),
        });
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                line[name] = value;
            }
        };
        add("jobId", self.job_id.clone().map(Into::into));
        add("bytes", self.bytes.map(Into::into));
        add("label", self.label.as_ref().map(|top| top.label.clone().into()));
        add("probability", self.label.as_ref().map(|top| top.probability.into()));
        if let Came::Failed { code, sentence } = &self.came {
            add("errorCode", code.clone().map(Into::into));
            add("errorMessage", Some(sentence.clone().into()));
        }
        line
    }

    fn row(&self) -> Vec<String> {
        let size = match (self.bytes, self.derivatives.iter().map(|kept| kept.bytes).sum::<u64>()) {
            (Some(before), 0) => DecimalBytes(before).to_string(),
            (Some(before), after) => format!("{} → {}", DecimalBytes(before), DecimalBytes(after)),
            (None, _) => String::new(),
        };
        let outcome = match &self.came {
            Came::Completed if self.uploaded => "completed".to_owned(),
            Came::Completed => "completed before".to_owned(),
            Came::Failed { code: Some(code), sentence } => format!("failed: {sentence} ({code})"),
            Came::Failed { code: None, sentence } => format!("failed: {sentence}"),
            Came::Stopped => "stopped".to_owned(),
        };
        let label = self.label.as_ref().map(table::label).unwrap_or_default();
        vec![self.file.display().to_string(), label, size, format!("{:.1} s", self.took.as_secs_f64()), outcome]
    }
}

impl Kept {
    fn json(&self) -> Value {
        let mut kept = json!({ "name": self.name, "bytes": self.bytes, "sha256": self.sha256 });
        if let Some(file) = &self.file {
            kept["file"] = file.display().to_string().into();
        }
        kept
    }
}

/// The table of all photos, and how many of them came to what.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let rows: Vec<Vec<String>> = outcomes.iter().map(Outcome::row).collect();
    let count = |came: fn(&Came) -> bool| outcomes.iter().filter(|outcome| came(&outcome.came)).count();
    let mut sum = vec![format!("{} completed", count(|came| *came == Came::Completed))];
    let failed = count(|came| matches!(came, Came::Failed { .. }));
    let stopped = count(|came| *came == Came::Stopped);
    sum.extend((failed > 0).then(|| format!("{failed} failed")));
    sum.extend((stopped > 0).then(|| format!("{stopped} stopped")));
    let photos = if outcomes.len() == 1 { "photo" } else { "photos" };
    let table = table::table(&["file", "shows", "size", "time", "outcome"], &rows);
    format!("{table}\n{} {photos}: {}\n", outcomes.len(), sum.join(", "))
}

/// How the run ended.
pub(super) fn end(outcomes: &[Outcome]) -> End {
    if outcomes.iter().any(|outcome| outcome.came == Came::Stopped) {
        End::Stopped
    } else if outcomes.iter().all(|outcome| outcome.came == Came::Completed) {
        End::Complete
    } else {
        End::SomeFailed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed() -> Outcome {
        Outcome {
            came: Came::Completed,
            job_id: Some("6f1c2b54-8f0e-4b6e-9d5b-3d1f7a90c3e2".into()),
            uploaded: true,
            label: Some(Prediction { label: "tabby".into(), probability: 0.625 }),
            bytes: Some(3_400_000),
            derivatives: vec![
                Kept { name: "web".into(), bytes: 300_000, sha256: "aa".into(), file: Some("out/cat-web.jpg".into()) },
                Kept { name: "thumb".into(), bytes: 12_000, sha256: "bb".into(), file: None },
            ],
            took: Duration::from_millis(1234),
            ..Outcome::of(Path::new("photos/cat.jpg"))
        }
    }

    fn failed(code: Option<&str>) -> Outcome {
        let mut outcome = Outcome { bytes: Some(12), ..Outcome::of(Path::new("写真.jpg")) };
        outcome.fail(code.map(str::to_owned), "this is no image".to_owned());
        outcome
    }

    #[test]
    fn the_table_is_this() {
        let before = Outcome { uploaded: false, ..completed() };
        let stopped = Outcome::of(Path::new("late.jpg"));
        insta::assert_snapshot!(table(&[
            completed(),
            before,
            failed(Some("UNSUPPORTED_FORMAT")),
            failed(None),
            stopped
        ]));
    }

    #[test]
    fn a_line_of_json_is_this() {
        let lines = [completed().json(), failed(Some("UNSUPPORTED_FORMAT")).json(), Outcome::of(Path::new("x")).json()];
        insta::assert_json_snapshot!(lines);
    }

    #[test]
    fn the_end_is_the_worst_of_them() {
        assert_eq!(end(&[completed(), completed()]), End::Complete);
        assert_eq!(end(&[completed(), failed(None)]), End::SomeFailed);
        assert_eq!(end(&[failed(None), Outcome::of(Path::new("x"))]), End::Stopped);
    }
}
