//! The route table of the deployed API.

use std::collections::BTreeMap;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::functions::Function;

/// Which function answers what; `{…}` stands for one segment.
const ROUTES: [(Method, &str, Function); 7] = [
    (Method::POST, "/uploads", Function::RequestUpload),
    (Method::POST, "/uploads/batch", Function::RequestUpload),
    (Method::POST, "/image", Function::RequestUpload),
    (Method::POST, "/classify", Function::Worker),
    (Method::GET, "/jobs", Function::JobStatus),
    (Method::GET, "/jobs/{jobId}", Function::JobStatus),
    (Method::GET, "/results", Function::JobStatus),
];

/// Where a request goes.
#[derive(Debug, PartialEq)]
pub(super) struct Route {
    /// `GET /jobs/{jobId}`, or `$default`.
    pub(super) key: String,
    pub(super) function: Function,
    /// What stood in the path's variable segments, decoded.
    pub(super) parameters: BTreeMap<String, String>,
}

/// The route of a request. What no route takes goes to job-status, which knows how to refuse it and how to answer a
/// preflight.
pub(super) fn find(method: &Method, path: &str) -> Route {
    for (allowed, pattern, function) in &ROUTES {
        if method == allowed
            && let Some(parameters) = parameters(pattern, path)
        {
            return Route { key: format!("{method} {pattern}"), function: *function, parameters };
        }
    }
    Route { key: "$default".to_owned(), function: Function::JobStatus, parameters: BTreeMap::new() }
}

fn parameters(pattern: &str, path: &str) -> Option<BTreeMap<String, String>> {
    if pattern.split('/').count() != path.split('/').count() {
        return None;
    }
    let mut parameters = BTreeMap::new();
    for (part, segment) in pattern.split('/').zip(path.split('/')) {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) if !segment.is_empty() => {
                let value = percent_decode_str(segment).decode_utf8_lossy();
                parameters.insert(name.to_owned(), value.into_owned());
            }
            None if part == segment => {}
            _ => return None,
        }
    }
    Some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, path: &str, key: &str, function: Function, parameters: &[(&str, &str)]) {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(find(method, path), Route { key: key.to_owned(), function, parameters }, "{method} {path}");
    }

    #[test]
    fn requests_find_their_function() {
        check(&Method::POST, "/uploads", "POST /uploads", Function::RequestUpload, &[]);
        check(&Method::POST, "/classify", "POST /classify", Function::Worker, &[]);
        check(&Method::GET, "/jobs/a%2Fb", "GET /jobs/{jobId}", Function::JobStatus, &[("jobId", "a/b")]);
        check(&Method::GET, "/jobs/%FF", "GET /jobs/{jobId}", Function::JobStatus, &[("jobId", "\u{FFFD}")]);
    }

    #[test]
    fn everything_else_is_left_to_the_default_route() {
        for (method, path) in [
            (Method::GET, "/uploads"),
            (Method::GET, "/uploads/"),
            (Method::GET, "/jobs/"),
            (Method::GET, "/jobs/a/b"),
            (Method::HEAD, "/jobs"),
            (Method::OPTIONS, "/uploads"),
            (Method::GET, "*"),
        ] {
            check(&method, path, "$default", Function::JobStatus, &[]);
        }
    }

    #[test]
    fn the_table_has_the_routes_of_the_api() {
        let mine = ROUTES.iter().map(|(method, path, _)| (method.clone(), *path));
        assert!(mine.eq(shared::http::ROUTES));
    }
}
