//! Why a request came to nothing, in words for a person; and whether, and when, it is worth another try.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// How often a request is made, the first time included.
const MAX_TRIES: u32 = 7;

/// The pause after the first try; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause of our own choosing.
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// Longest pause that a server may ask for; whoever wants us to wait longer is not waited for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(2);

/// Why a request came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Problem {
    /// No answer came.
    #[error("{0}")]
    NoAnswer(&'static str),
    /// The answer was a refusal, ours to mend or not.
    #[error("{message}")]
    Refused { status: u16, code: Option<String>, message: String, retry_after: Option<Duration> },
    /// Something else is wrong, and no further try helps.
    #[error("{0}")]
    Other(String),
}

impl Problem {
    /// What came of a request that has no answer, or of an answer that broke off.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        let mut source = error.source();
        let mut words = String::new();
        while let Some(cause) = source {
            if cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
                return Self::NoAnswer("nothing listens there");
            }
            words += &cause.to_string();
            source = cause.source();
        }
        Self::NoAnswer(if error.is_timeout() {
            "it did not answer in time"
        } else if words.contains("certificate") {
            "its certificate is not trusted here"
        } else if words.contains("dns") {
            "its name is not known here"
        } else if error.is_connect() {
            "no connection could be made"
        } else {
            "the connection broke"
        })
    }

    /// Whether the same request may well succeed later.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Refused { status, code, .. } => {
                // S3 says 400 to a PUT that stood still for too long.
                matches!(status, 408 | 429 | 500..=599) || code.as_deref() == Some("RequestTimeout")
            }
            Self::Other(_) => false,
        }
    }

    /// How long to wait before the next try, after `tries` of them; `None`: there is none. `random` is from 0 to 1: clients
    /// that failed together should not come back together.
    pub(super) fn pause(&self, tries: u32, random: f64) -> Option<Duration> {
        if tries >= MAX_TRIES || !self.passes() {
            return None;
        }
        let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(tries - 1)).min(MAX_PAUSE);
        let own = longest.mul_f64(0.5 + random / 2.0);
        match self {
            Self::Refused { retry_after: Some(asked), .. } => (*asked <= MAX_RETRY_AFTER).then(|| own.max(*asked)),
            _ => Some(own),
        }
    }
}

/// Makes a request until it succeeds, or is not worth another try.
pub(super) async fn persistently<T, F>(mut request: impl FnMut() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let mut tries = 1;
    loop {
        let problem = match request().await {
            Ok(answer) => return Ok(answer),
            Err(problem) => problem,
        };
        let Some(pause) = problem.pause(tries, fastrand::f64()) else { return Err(problem) };
        tokio::time::sleep(pause).await;
        tries += 1;
    }
}

/// What `Retry-After` says: seconds, or a date.
pub(super) fn retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    match text.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => DateTime::parse_from_rfc2822(text).ok().map(|at| (at.to_utc() - now).to_std().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: Option<&str>, retry_after: Option<u64>) -> Problem {
        let (code, retry_after) = (code.map(str::to_owned), retry_after.map(Duration::from_secs));
        Problem::Refused { status, code, message: String::new(), retry_after }
    }

    #[test]
    fn what_passes_is_tried_again_and_nothing_else() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(refused(status, None, None).pause(1, 0.0).is_some(), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 409, 413, 422] {
            assert_eq!(refused(status, None, None).pause(1, 0.0), None, "{status}");
        }
        assert!(refused(400, Some("RequestTimeout"), None).pause(1, 0.0).is_some());
        assert!(Problem::NoAnswer("").pause(1, 0.0).is_some());
        assert_eq!(Problem::Other(String::new()).pause(1, 0.0), None);
    }

    #[test]
    fn pauses_grow_up_to_a_limit_and_differ() {
        let pause = |tries, random| Problem::NoAnswer("").pause(tries, random);
        let millis = |number| Some(Duration::from_millis(number));
        assert_eq!([pause(1, 0.0), pause(1, 1.0)], [millis(250), millis(500)]);
        assert_eq!([pause(3, 0.0), pause(3, 1.0)], [millis(1000), millis(2000)]);
        assert_eq!([pause(6, 1.0), pause(7, 1.0)], [millis(16_000), None]);
    }

    #[test]
    fn a_server_is_waited_for_as_long_as_it_asks_within_reason() {
        assert_eq!(refused(503, None, Some(7)).pause(1, 0.0), Some(Duration::from_secs(7)));
        assert_eq!(refused(503, None, Some(0)).pause(1, 1.0), Some(FIRST_PAUSE));
        assert_eq!(refused(429, None, Some(3600)).pause(1, 0.0), None);
        assert_eq!(refused(403, None, Some(1)).pause(1, 0.0), None);
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let now = DateTime::from_timestamp(1_795_251_600, 0).unwrap();
        let check = |text: &str, seconds: Option<u64>| {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        };
        check("3", Some(3));
        let later = (now + Duration::from_secs(9)).to_rfc2822().replace("+0000", "GMT");
        check(&later, Some(9));
        check("Thu, 01 Jan 2026 00:00:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
    }
}
