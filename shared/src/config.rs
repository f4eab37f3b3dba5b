//! Reading configuration: environment variables, read once, with every problem reported together.
//!
//! Each function's own `config.rs` says which variables it needs; the names and defaults that several share are here.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Largest upload, in bytes: 25 MiB.
pub const DEFAULT_MAX_UPLOAD_BYTES: u64 = 25 * 1024 * 1024;

/// Longest lifetime of a presigned URL, in seconds: seven days, the limit of Signature Version 4.
const MAX_URL_TTL_SECONDS: u64 = 7 * 24 * 60 * 60;

/// The variables of a process, and the problems found in them so far.
#[derive(Clone, Debug)]
pub struct Vars {
    values: HashMap<String, String>,
    problems: Vec<String>,
}

/// Everything that is wrong with the configuration, a line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<String>,
}

impl ConfigError {
    /// The problems of several configurations as one, each once: a process may have more than one to read.
    pub fn joined(errors: impl IntoIterator<Item = Self>) -> Self {
        let mut problems: Vec<String> = errors.into_iter().flat_map(|error| error.problems).collect();
        let mut seen = std::collections::HashSet::new();
        problems.retain(|problem| seen.insert(problem.clone()));
        Self { problems }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is not usable:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl Vars {
    /// The variables of this process.
    pub fn from_env() -> Self {
        // `vars_os`: a foreign variable that is not Unicode must not stop the process.
        let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::new(std::env::vars_os().filter_map(unicode))
    }

    /// Variables from a list.
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        // An empty variable counts as unset: that is how a template parameter without a value arrives.
        Self { values: values.into_iter().filter(|(_, value)| !value.is_empty()).collect(), problems: Vec::new() }
    }

    /// These variables with `values` over them.
    #[must_use]
    pub fn with(mut self, values: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.values.extend(values.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// A variable that has to be there.
    pub fn required(&mut self, name: &str) -> String {
        self.values.get(name).cloned().unwrap_or_else(|| {
            self.problem(name, "is not set");
            String::new()
        })
    }

    /// A variable that may be absent.
    pub fn optional(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// A path, or `default`.
    pub fn path_or(&self, name: &str, default: &str) -> PathBuf {
        self.values.get(name).map_or(default, String::as_str).into()
    }

    /// A whole number from `min` to `max`, or `default`.
    pub fn number_or<N>(&mut self, name: &str, default: N, min: N, max: N) -> N
    where
        N: Copy + PartialOrd + FromStr + fmt::Display,
    {
        let Some(text) = self.values.get(name) else { return default };
        match text.parse::<N>() {
            Ok(number) if number >= min && number <= max => number,
            _ => {
                let what = format!("is {text:?}, and has to be a number from {min} to {max}");
                self.problem(name, what);
                default
            }
        }
    }

    /// Lifetime of a presigned URL in seconds, or `default`.
    pub fn url_ttl_or(&mut self, name: &str, default: u64) -> std::time::Duration {
        std::time::Duration::from_secs(self.number_or(name, default, 1, MAX_URL_TTL_SECONDS))
    }

    /// Largest upload in bytes. `MAX_UPLOAD_BYTES`, 1 to 128 MiB: the worker holds whole files in memory.
    pub fn max_upload_bytes(&mut self) -> u64 {
        self.number_or("MAX_UPLOAD_BYTES", DEFAULT_MAX_UPLOAD_BYTES, 1, 128 * 1024 * 1024)
    }

    /// How long a job's row lives. `JOB_TTL_DAYS`, 1 to 3650, default 30.
    pub fn job_ttl(&mut self) -> std::time::Duration {
        std::time::Duration::from_secs(self.number_or("JOB_TTL_DAYS", 30, 1, 3650) * 24 * 60 * 60)
    }

    /// The two buckets, uploads first. They must differ: a derivative in the uploads bucket would start a job.
    pub fn buckets(&mut self) -> (String, String) {
        let (uploads, processed) = (self.required("UPLOAD_BUCKET"), self.required("PROCESSED_BUCKET"));
        if uploads == processed && !uploads.is_empty() {
            self.problem("PROCESSED_BUCKET", "is the same bucket as UPLOAD_BUCKET");
        }
        (uploads, processed)
    }

    /// Origins that browsers may call from. `ALLOWED_ORIGINS`, separated by commas, default `*`.
    pub fn allowed_origins(&self) -> Vec<String> {
        let text = self.values.get("ALLOWED_ORIGINS").map_or("*", String::as_str);
        text.split(',').map(|origin| origin.trim().trim_end_matches('/').to_owned()).collect()
    }

    /// Notes a problem with a variable.
    pub fn problem(&mut self, name: &str, what: impl fmt::Display) {
        self.problems.push(format!("{name} {what}"));
    }

    /// `config`, if nothing was wrong with what it was read from.
    pub fn finish<C>(self, config: C) -> Result<C, ConfigError> {
        if self.problems.is_empty() { Ok(config) } else { Err(self.into_error()) }
    }

    /// The problems noted, where there are too many to make anything of the rest.
    pub fn into_error(self) -> ConfigError {
        ConfigError { problems: self.problems }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vars {
        Vars::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let mut vars = vars(&[
            ("UPLOAD_BUCKET", "one"),
            ("PROCESSED_BUCKET", "one"),
            ("MAX_UPLOAD_BYTES", "0"),
            ("JOB_TTL_DAYS", "soon"),
            ("UPLOAD_URL_TTL_SECONDS", "604801"),
        ]);
        vars.buckets();
        vars.max_upload_bytes();
        vars.job_ttl();
        vars.url_ttl_or("UPLOAD_URL_TTL_SECONDS", 300);
        vars.required("DYNAMODB_TABLE");
        let message = vars.finish(()).unwrap_err().to_string();
        for name in ["PROCESSED_BUCKET", "MAX_UPLOAD_BYTES", "JOB_TTL_DAYS", "UPLOAD_URL_TTL_SECONDS", "DYNAMODB_TABLE"]
        {
            assert!(message.contains(name), "{name} is not named in: {message}");
        }
    }

    #[test]
    fn empty_counts_as_unset() {
        let mut vars = vars(&[("JOB_TTL_DAYS", "")]);
        assert_eq!(vars.job_ttl().as_secs(), 30 * 86_400);
        assert!(vars.finish(()).is_ok());
    }
}
