//! The query strings of job-status, checked.

use std::time::Duration;

use lambda_http::aws_lambda_events::query_map::QueryMap;
use shared::aws::Cursor;
use shared::error::{Code, Failure};
use shared::job::Status;

/// Longest `wait`, in seconds: an HTTP API gives an answer 30 seconds.
const MAX_WAIT_SECONDS: u64 = 20;

/// Longest page of a listing.
const MAX_LIMIT: usize = 100;

/// A page's length where none is asked for.
const DEFAULT_LIMIT: usize = 20;

/// What a listing may be asked for.
const LIST_PARAMETERS: [&str; 4] = ["key", "status", "limit", "cursor"];

/// What `GET /jobs` lists.
#[derive(Debug)]
pub(crate) struct ListQuery {
    pub(crate) key: Option<String>,
    pub(crate) status: Option<Status>,
    pub(crate) limit: usize,
    pub(crate) cursor: Option<Cursor>,
}

impl ListQuery {
    pub(crate) fn parse(parameters: &QueryMap) -> Result<Self, Failure> {
        let names = parameters.iter().map(|(name, _)| name);
        if let Some(unknown) = names.into_iter().find(|name| !LIST_PARAMETERS.contains(name)) {
            return Err(refuse(format!("unknown parameter `{}`", unknown.escape_default())));
        }
        let limit = match parameters.first("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| refuse(format!("limit is a number from 1 to {MAX_LIMIT}")))?,
        };
        let status = parameters.first("status").map(|text| {
            let known = Status::ALL.map(Status::as_str).join(", ");
            text.parse().map_err(|()| refuse(format!("status is one of {known}")))
        });
        let cursor = parameters
            .first("cursor")
            .map(|text| text.parse().map_err(|_| refuse("cursor is not one that a listing has given out".to_owned())));
        Ok(Self {
            key: parameters.first("key").map(str::to_owned),
            status: status.transpose()?,
            limit,
            cursor: cursor.transpose()?,
        })
    }
}

/// How long the client wants its answer held.
pub(crate) fn wait(parameters: &QueryMap) -> Result<Duration, Failure> {
    match parameters.first("wait") {
        None => Ok(Duration::ZERO),
        Some(text) => text
            .parse()
            .ok()
            .filter(|seconds| *seconds <= MAX_WAIT_SECONDS)
            .map(Duration::from_secs)
            .ok_or_else(|| refuse(format!("wait is a number of seconds from 0 to {MAX_WAIT_SECONDS}"))),
    }
}

fn refuse(message: String) -> Failure {
    Failure::client(Code::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(query: &str, expected: Result<usize, &str>) {
        let parameters: QueryMap = query.parse().unwrap();
        match (ListQuery::parse(&parameters), expected) {
            (Ok(parsed), Ok(limit)) => assert_eq!(parsed.limit, limit, "{query}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{query}: {error}"),
            (got, _) => panic!("{query}: {got:?}"),
        }
    }

    #[test]
    fn listings_are_checked() {
        check("", Ok(DEFAULT_LIMIT));
        check("limit=100&status=FAILED&key=uploads%2Fa.jpg", Ok(100));
        check("limit=0", Err("1 to 100"));
        check("limit=101", Err("1 to 100"));
        check("status=failed", Err("PENDING"));
        check("cursor=x", Err("cursor"));
        check("stauts=FAILED", Err("stauts"));
    }

    #[test]
    fn waits_are_capped() {
        for (query, expected) in [("", Some(0)), ("wait=20", Some(20)), ("wait=21", None), ("wait=-1", None)] {
            let parameters: QueryMap = query.parse().unwrap();
            assert_eq!(wait(&parameters).ok().map(|wait| wait.as_secs()), expected, "{query}");
        }
    }

    #[test]
    fn the_description_of_the_api_has_these_parameters_and_limits() {
        let all: Value = serde_json::from_str(include_str!("../../../assets/web/openapi.json")).unwrap();
        let parameters = |path: &str| all["paths"][path]["get"]["parameters"].as_array().unwrap();
        let names: Vec<&Value> = parameters("/jobs").iter().map(|parameter| &parameter["name"]).collect();
        assert_eq!(names, LIST_PARAMETERS);
        let of =
            |path: &str, name| &parameters(path).iter().find(|parameter| parameter["name"] == name).unwrap()["schema"];
        let limit = of("/jobs", "limit");
        assert_eq!((&limit["maximum"], &limit["default"]), (&json!(MAX_LIMIT), &json!(DEFAULT_LIMIT)));
        assert_eq!(of("/jobs/{jobId}", "wait")["maximum"], MAX_WAIT_SECONDS);
    }
}
