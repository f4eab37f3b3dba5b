//! Keeps the rules of ARCHITECTURE.md about who may use whom, so that nobody has to remember them.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which lie outside of test functions")]

use std::fs;
use std::path::{Path, PathBuf};

/// Longest source file, in lines; beyond it a reader would rather have two.
const MAX_LINES: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every Rust file below `folder`, as a path from the root and its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// No line of code (comments aside) in `folder` contains any of `words`, but for the files in `except`.
fn check_absent(folder: &str, words: &[&str], except: &[&str]) {
    for (name, text) in sources(folder) {
        if except.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in words {
                assert!(!code.contains(word), "{name}:{} names {word}", number + 1);
            }
        }
    }
}

#[test]
fn nothing_in_shared_names_lambda() {
    check_absent("shared/src", &["lambda_runtime", "lambda_http", "aws_lambda_events"], &[]);
}

#[test]
fn only_shared_aws_names_an_sdk() {
    let sdk = ["aws_sdk_", "aws_config", "aws_smithy", "serde_dynamo"];
    check_absent("shared/src", &sdk, &["shared/src/aws/"]);
    check_absent("functions", &sdk, &[]);
}

#[test]
fn nothing_in_shared_uses_its_aws_module() {
    check_absent("shared/src", &["crate::aws", "super::aws"], &["shared/src/aws/"]);
}

#[test]
fn functions_do_not_use_one_another() {
    for (folder, others) in [
        ("functions/request-upload/src", ["dispatcher::", "worker::", "job_status::"]),
        ("functions/dispatcher/src", ["request_upload::", "worker::", "job_status::"]),
        ("functions/worker/src", ["request_upload::", "dispatcher::", "job_status::"]),
        ("functions/job-status/src", ["request_upload::", "dispatcher::", "worker::"]),
    ] {
        check_absent(folder, &others, &[&format!("{folder}/main.rs")]);
        check_absent(folder, &["local::"], &[]);
    }
}

#[test]
fn only_the_worker_knows_pixels_and_models() {
    let words = ["tract_", "image::Dynamic", "imageproc", "ab_glyph", "mozjpeg", "rav1e"];
    for folder in ["shared/src", "functions/request-upload", "functions/dispatcher", "functions/job-status"] {
        check_absent(folder, &words, &[]);
    }
}

#[test]
fn the_environment_is_read_in_one_place() {
    let words = ["env::var", "vars_os", "env!(\"HOME\")"];
    check_absent("shared/src", &words, &["shared/src/config.rs"]);
    check_absent("functions", &words, &[]);
    check_absent("infra/local/src", &words, &[]);
}

#[test]
fn no_function_asks_whether_it_runs_on_a_laptop() {
    check_absent("functions", &["is_local", "127.0.0.1", "localhost"], &[]);
    check_absent("shared/src", &["is_local", "127.0.0.1", "localhost"], &[]);
}

#[test]
fn every_metric_is_a_field_of_some_line() {
    let telemetry = fs::read_to_string(root().join("shared/src/telemetry.rs")).unwrap();
    let table = telemetry.split("const METRICS").nth(1).unwrap().split("];").next().unwrap();
    let names: Vec<&str> = table.split("(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(names.len() > 10, "{names:?}");
    let all = all_of("functions", ".rs") + &all_of("shared/src/aws", ".rs");
    let lines: Vec<&str> = all.split("tracing::").skip(1).map(|rest| rest.split(");").next().unwrap()).collect();
    for name in names {
        let is_field = |line: &&str| line.split([',', '(', '=']).any(|part| part.trim() == name);
        assert!(lines.iter().any(is_field), "no line has {name}");
    }
}

/// The text of every file below `folder` whose name ends with `ending`, in one.
fn all_of(folder: &str, ending: &str) -> String {
    let (mut text, mut folders) = (String::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().is_some_and(|path| path.ends_with(ending)) {
                text += &fs::read_to_string(&path).unwrap();
            }
        }
    }
    text
}

#[test]
fn every_promise_has_a_test_that_is_there() {
    let page = fs::read_to_string(root().join("TESTING.md")).unwrap();
    let (rust, python) = (
        ["shared", "functions", "infra/local"].map(|folder| all_of(folder, ".rs")).concat(),
        all_of("infra/local/tests", ".py"),
    );
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |")).collect();
    assert_eq!(rows.len(), 22, "one row a promise");
    for row in rows {
        let shown_by = row.trim_end_matches('|').rsplit('|').next().unwrap();
        assert!(!shown_by.trim().is_empty(), "nothing shows it: {row}");
        for name in shown_by.split('`').skip(1).step_by(2) {
            let is_there = python.contains(&format!("def {name}("))
                || rust.contains(&format!("fn {name}("))
                || rust.contains(&format!("(\"{name}\","));
            assert!(is_there, "TESTING.md names {name}, which is no test");
        }
    }
}

#[test]
fn files_stay_short_and_say_what_they_are_for() {
    for folder in ["shared/src", "functions", "fuzz/src", "infra/local/src"] {
        for (name, text) in sources(folder) {
            let lines = text.lines().count();
            assert!(lines <= MAX_LINES, "{name} has {lines} lines");
            let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
            assert!(text.starts_with("//!") || is_test, "{name} does not say what it is for");
        }
    }
}

/// What GitHub makes of a heading, to be linked to.
fn anchor(heading: &str) -> String {
    let letters = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    letters.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let folders = ["", "docs", "models"].map(|folder| root().join(folder));
    let pages = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let mut links = 0;
    for page in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(&page).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (file, wanted) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(file.exists(), "{} links to {target}, which is not there", page.display());
            let is_there = wanted.is_empty() || {
                let other = fs::read_to_string(&file).unwrap();
                other.lines().any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#').trim()) == wanted)
            };
            assert!(is_there, "{} links to {target}, and there is no such heading", page.display());
            links += 1;
        }
    }
    assert!(links > 50, "only {links} links were found");
}
