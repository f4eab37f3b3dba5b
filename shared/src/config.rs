//! Reading configuration: environment variables, read once, with every problem reported together.
//!
//! Each function's own `config.rs` says which variables it needs; the names and defaults that several share are here.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::access::Access;
use crate::callback::{CallbackHosts, HostPattern, InvalidHost};

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

    /// What a caller of the API has to show, by default nothing. `API_KEY_SHA256`: hashes of API keys in hex, separated by
    /// commas. `JWT_SCOPE` and `JWT_OPERATOR_SCOPE`: one scope each.
    pub fn access(&mut self) -> Access {
        let hashes: Option<Vec<[u8; 32]>> =
            self.optional("API_KEY_SHA256").map_or(Some(Vec::new()), |text| text.split(',').map(sha256).collect());
        if hashes.is_none() {
            // Not shown: it may be the key itself, put there by mistake.
            self.problem("API_KEY_SHA256", "has to be SHA-256 hashes of 64 hex digits, separated by commas");
        }
        let (scope, operator_scope) = (self.scope("JWT_SCOPE"), self.scope("JWT_OPERATOR_SCOPE"));
        match (&scope, &operator_scope) {
            (None, Some(_)) => self.problem("JWT_OPERATOR_SCOPE", "is set, and JWT_SCOPE is not"),
            (Some(scope), Some(operator)) if scope == operator => {
                self.problem("JWT_OPERATOR_SCOPE", "is the same as JWT_SCOPE: everybody would be an operator");
            }
            _ => {}
        }
        Access { api_keys: hashes.unwrap_or_default(), scope, operator_scope }
    }

    /// Whom applications may have called, by default nobody. `CALLBACK_HOSTS`: hosts separated by commas;
    /// `CALLBACK_PRIVATE`: `true` where they may be within a private network.
    pub fn callback_hosts(&mut self) -> CallbackHosts {
        let text = self.optional("CALLBACK_HOSTS").unwrap_or_default();
        let hosts = text.split(',').filter(|host| !host.trim().is_empty()).map(str::parse);
        let hosts = hosts.collect::<Result<Vec<HostPattern>, InvalidHost>>().unwrap_or_else(|_| {
            let what =
                "has to be hosts such as hooks.example.com, *.example.com or example.com:8443, separated by commas";
            self.problem("CALLBACK_HOSTS", format!("is {text:?}, and {what}"));
            Vec::new()
        });
        let private = match self.optional("CALLBACK_PRIVATE").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                self.problem("CALLBACK_PRIVATE", format!("is {other:?}, and has to be true or false"));
                false
            }
        };
        CallbackHosts { hosts, private }
    }

    fn scope(&mut self, name: &str) -> Option<String> {
        let scope = self.optional(name)?;
        // A token has several, with spaces in between: one with a space would be had by nobody.
        if !scope.chars().all(|c| c.is_ascii_graphic()) {
            self.problem(name, format!("is {scope:?}, and has to be one scope"));
        }
        Some(scope)
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

/// The hash that 64 hex digits stand for.
fn sha256(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |n: usize| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
    bytes?.try_into().ok()
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

    fn check_access(pairs: &[(&str, &str)], expected: Result<(usize, Option<&str>), &str>) {
        let mut vars = vars(pairs);
        let access = vars.access();
        match (vars.finish(()), expected) {
            (Ok(()), Ok((keys, scope))) => assert_eq!((access.api_keys.len(), access.scope.as_deref()), (keys, scope)),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{pairs:?}: {error}"),
            (got, _) => panic!("{pairs:?}: {got:?}"),
        }
    }

    #[test]
    fn what_callers_have_to_show_is_checked() {
        let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        check_access(&[], Ok((0, None)));
        check_access(&[("API_KEY_SHA256", hash)], Ok((1, None)));
        check_access(&[("API_KEY_SHA256", &format!("{hash}, {}", hash.to_uppercase()))], Ok((2, None)));
        for wrong in ["my-secret-key", &hash[1..], &format!("{hash},"), &format!("+{}", &hash[1..]), &"ä".repeat(32)] {
            check_access(&[("API_KEY_SHA256", wrong)], Err("API_KEY_SHA256 has to be SHA-256 hashes"));
        }
        check_access(&[("JWT_SCOPE", "photos/use"), ("JWT_OPERATOR_SCOPE", "photos/all")], Ok((0, Some("photos/use"))));
        check_access(&[("JWT_OPERATOR_SCOPE", "photos/all")], Err("JWT_OPERATOR_SCOPE is set, and JWT_SCOPE is not"));
        check_access(&[("JWT_SCOPE", "a"), ("JWT_OPERATOR_SCOPE", "a")], Err("everybody would be an operator"));
        check_access(&[("JWT_SCOPE", "photos/use photos/all")], Err("JWT_SCOPE is \"photos/use photos/all\""));
    }

    #[test]
    fn whom_applications_may_have_called_is_checked() {
        let read = |hosts: &str, private: &str| {
            let mut vars = vars(&[("CALLBACK_HOSTS", hosts), ("CALLBACK_PRIVATE", private)]);
            let read = vars.callback_hosts();
            vars.finish(read).map(|read| (read.hosts.len(), read.private)).map_err(|error| error.to_string())
        };
        assert_eq!(read("", ""), Ok((0, false)));
        assert_eq!(read("a.test, *.b.test:8443,", "true"), Ok((2, true)));
        assert!(read("a.test,https://b.test", "").unwrap_err().contains("CALLBACK_HOSTS is"));
        assert!(read("a.test", "yes").unwrap_err().contains("CALLBACK_PRIVATE is"));
    }

    #[test]
    fn a_key_that_stands_where_its_hash_belongs_is_not_shown() {
        let mut vars = vars(&[("API_KEY_SHA256", "my-secret-key")]);
        vars.access();
        assert!(!vars.finish(()).unwrap_err().to_string().contains("my-secret-key"));
    }
}
