//! Who may call the API, and whose jobs they see.
//!
//! API keys are checked here. Tokens are API Gateway's business (signature, issuer, audience, expiry); what arrives here
//! are the claims of one that it has verified. Absent: everything about users but their subject.

use std::collections::HashMap;

use http::HeaderMap;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::error::{Code, Failure};
use crate::job::Job;

/// The header that carries an API key.
const API_KEY: &str = "x-api-key";

/// Longest subject, in bytes: `OpenID` Connect's limit. It is a part of an index's key.
const MAX_SUBJECT: usize = 255;

/// What a caller has to show. Nothing, unless it is configured.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// SHA-256 of each API key that is accepted; none: no key is asked for.
    pub api_keys: Vec<[u8; 32]>,
    /// The scope of tokens that may use the API; absent: callers need not be known.
    pub scope: Option<String>,
    /// The scope of operators, who see every job.
    pub operator_scope: Option<String>,
}

/// The claims of a token that was verified, as API Gateway hands them on: each as text.
pub type Claims = HashMap<String, String>;

/// On whose behalf a request is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Nobody in particular: callers are not told apart, and every job is everybody's.
    Anybody,
    /// The subject of a token, who sees their own jobs.
    Subject(String),
    /// The subject of an operator's token, who sees every job.
    Operator(String),
}

impl Principal {
    /// To whom a job belongs that the caller asks for.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Anybody => None,
            Self::Subject(subject) | Self::Operator(subject) => Some(subject),
        }
    }

    /// Whose jobs alone the caller may see; `None`: all of them.
    pub fn confined_to(&self) -> Option<&str> {
        match self {
            Self::Subject(subject) => Some(subject),
            Self::Anybody | Self::Operator(_) => None,
        }
    }

    /// Whether there is such a job as far as the caller is told. A direct upload belongs to nobody, so not to them.
    pub fn may_see(&self, job: &Job) -> bool {
        self.confined_to().is_none_or(|subject| job.owner.as_deref() == Some(subject))
    }
}

impl Access {
    /// Lets a request in and says on whose behalf it is made, or refuses it. `claims` are those of its token, if it went
    /// through an authorizer.
    pub fn admit(&self, headers: &HeaderMap, claims: Option<&Claims>) -> Result<Principal, Failure> {
        if !self.api_keys.is_empty() && !self.knows_key(headers) {
            return Err(Failure::client(Code::InvalidApiKey, "send a valid API key in the header x-api-key"));
        }
        let Some(claims) = claims else {
            // The authorizer is missing, or this came past it: no reason to show everything to everybody.
            return match self.scope {
                Some(_) => Err(Failure::client(Code::Unauthenticated, "send an access token as a bearer token")),
                None => Ok(Principal::Anybody),
            };
        };
        let subject = claims.get("sub").filter(|subject| (1..=MAX_SUBJECT).contains(&subject.len()));
        let Some(subject) = subject.cloned() else {
            return Err(Failure::client(Code::Unauthenticated, "the token does not say whose it is"));
        };
        let has = |scope: &Option<String>| scope.as_ref().is_some_and(|scope| scopes(claims).any(|own| own == scope));
        if has(&self.operator_scope) {
            Ok(Principal::Operator(subject))
        } else if self.scope.is_none() || has(&self.scope) {
            Ok(Principal::Subject(subject))
        } else {
            // API Gateway asks for the same. An ID token has no scopes.
            Err(Failure::client(Code::InsufficientScope, "the token lacks a scope of this API"))
        }
    }

    fn knows_key(&self, headers: &HeaderMap) -> bool {
        let Some(key) = headers.get(API_KEY) else { return false };
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        // Each is compared, and to its end, so that the time tells nothing.
        let known = self.api_keys.iter().fold(Choice::from(0), |known, accepted| known | accepted.ct_eq(&hash));
        known.into()
    }
}

/// The scopes of a token: `scope` is words (RFC 8693), `scp` with some issuers a list, which API Gateway writes as
/// `[a b]`.
fn scopes(claims: &Claims) -> impl Iterator<Item = &str> {
    ["scope", "scp"].into_iter().filter_map(|name| claims.get(name)).flat_map(|text| {
        let list = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        list.unwrap_or(text).split(' ')
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::{JobId, ObjectVersion};
    use crate::time::Timestamp;

    fn claims(pairs: &[(&str, &str)]) -> Claims {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn with_scopes() -> Access {
        Access { scope: Some("photos/use".into()), operator_scope: Some("photos/all".into()), ..Access::default() }
    }

    fn with_keys(keys: &[&str]) -> Access {
        Access { api_keys: keys.iter().map(|key| Sha256::digest(key).into()).collect(), ..Access::default() }
    }

    fn key(key: &str) -> HeaderMap {
        HeaderMap::from_iter([(API_KEY.parse().unwrap(), key.parse().unwrap())])
    }

    fn check(access: &Access, claims: Option<&Claims>, expected: &Result<Principal, Code>) {
        let admitted = access.admit(&HeaderMap::new(), claims).map_err(|error| match error {
            Failure::Client { code, .. } => code,
            other => panic!("{claims:?}: {other}"),
        });
        assert_eq!(&admitted, expected, "{claims:?}");
    }

    fn subject() -> Principal {
        Principal::Subject("ann".into())
    }

    fn operator() -> Principal {
        Principal::Operator("ann".into())
    }

    #[test]
    fn without_an_authorizer_callers_are_not_told_apart() {
        check(&Access::default(), None, &Ok(Principal::Anybody));
        // Somebody else's authorizer in front of the API: its subjects are kept apart all the same.
        check(&Access::default(), Some(&claims(&[("sub", "ann"), ("scope", "photos/all")])), &Ok(subject()));
    }

    #[test]
    fn where_callers_have_to_be_known_nobody_else_gets_in() {
        let access = with_scopes();
        check(&access, None, &Err(Code::Unauthenticated));
        check(&access, Some(&claims(&[])), &Err(Code::Unauthenticated));
        check(&access, Some(&claims(&[("scope", "photos/use")])), &Err(Code::Unauthenticated));
        check(&access, Some(&claims(&[("sub", ""), ("scope", "photos/all")])), &Err(Code::Unauthenticated));
        let long = "x".repeat(MAX_SUBJECT + 1);
        check(&access, Some(&claims(&[("sub", &long), ("scope", "photos/use")])), &Err(Code::Unauthenticated));
    }

    #[test]
    fn an_id_token_is_no_access_token() {
        let id_token = claims(&[("sub", "ann"), ("aud", "client"), ("email", "ann@example.com"), ("token_use", "id")]);
        check(&with_scopes(), Some(&id_token), &Err(Code::InsufficientScope));
    }

    #[test]
    fn scopes_tell_operators_from_others() {
        for (name, scopes, expected) in [
            ("scope", "photos/use", Ok(subject())),
            ("scope", "openid photos/use", Ok(subject())),
            ("scope", "photos/all", Ok(operator())),
            ("scope", "photos/use photos/all", Ok(operator())),
            ("scp", "[openid photos/all]", Ok(operator())),
            ("scp", "photos/use", Ok(subject())),
            ("scope", "", Err(Code::InsufficientScope)),
            ("scope", "photos", Err(Code::InsufficientScope)),
            ("scope", "photos/use2 xphotos/use PHOTOS/USE", Err(Code::InsufficientScope)),
            ("scope", "photos/use,photos/all", Err(Code::InsufficientScope)),
            ("scopes", "photos/all", Err(Code::InsufficientScope)),
        ] {
            check(&with_scopes(), Some(&claims(&[("sub", "ann"), (name, scopes)])), &expected);
        }
        let nobodys = Access { operator_scope: None, ..with_scopes() };
        check(&nobodys, Some(&claims(&[("sub", "ann"), ("scope", "photos/use photos/all")])), &Ok(subject()));
    }

    #[test]
    fn a_key_has_to_be_one_of_those_that_are_accepted() {
        let access = with_keys(&["old", "new"]);
        for good in ["old", "new"] {
            assert_eq!(access.admit(&key(good), None).unwrap(), Principal::Anybody);
        }
        for bad in [HeaderMap::new(), key(""), key("old,new"), key("Old"), key("old "), key("another")] {
            let refused = access.admit(&bad, None).unwrap_err().to_string();
            assert!(refused.starts_with("INVALID_API_KEY"), "{bad:?}: {refused}");
        }
        assert_eq!(Access::default().admit(&key("whatever"), None).unwrap(), Principal::Anybody);
    }

    #[test]
    fn who_is_refused_is_told_this() {
        let both = Access { api_keys: with_keys(&["key"]).api_keys, ..with_scopes() };
        let told: Vec<String> = [
            (HeaderMap::new(), None),
            (key("key"), None),
            (key("key"), Some(claims(&[("scope", "photos/use")]))),
            (key("key"), Some(claims(&[("sub", "ann"), ("scope", "openid")]))),
        ]
        .into_iter()
        .map(|(headers, claims)| {
            let refused = both.admit(&headers, claims.as_ref()).unwrap_err();
            let response = crate::http::failure(&refused, "id");
            format!("{} {:?}\n{}", response.status(), response.headers(), response.body())
        })
        .collect();
        insta::assert_snapshot!(told.join("\n\n"));
    }

    #[test]
    fn a_key_stands_for_no_token_and_a_token_for_no_key() {
        let both = Access { api_keys: with_keys(&["key"]).api_keys, ..with_scopes() };
        let token = claims(&[("sub", "ann"), ("scope", "photos/use")]);
        assert!(both.admit(&key("key"), None).is_err());
        assert!(both.admit(&HeaderMap::new(), Some(&token)).is_err());
        assert_eq!(both.admit(&key("key"), Some(&token)).unwrap(), Principal::Subject("ann".into()));
    }

    fn job(owner: Option<&str>) -> Job {
        let now = Timestamp::from_micros(0);
        let mut job = Job::of_object(JobId::random(), "b", "uploads/a.jpg", ObjectVersion::default(), now);
        job.owner = owner.map(str::to_owned);
        job
    }

    #[test]
    fn a_job_is_its_owners_and_the_operators() {
        let of = |owner: &str| Principal::Subject(owner.into());
        assert!(of("ann").may_see(&job(Some("ann"))));
        for owner in [Some("bob"), Some("an"), Some("Ann"), Some(""), None] {
            assert!(!of("ann").may_see(&job(owner)), "{owner:?}");
            assert!(Principal::Operator("ann".into()).may_see(&job(owner)), "{owner:?}");
            assert!(Principal::Anybody.may_see(&job(owner)), "{owner:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_token_says_nobody_is_more_than_its_scopes_make_them(
            sub in "\\PC{0,300}",
            scopes in prop::collection::vec("[a-z/\\[\\], ]{0,12}|photos/use|photos/all", 0..5),
            name in "scope|scp|scopes|cognito:groups",
            between in "[ ,]",
        ) {
            let claims = claims(&[("sub", &sub), (&name, &scopes.join(&between))]);
            let words: Vec<String> = scopes.join(&between).split([' ', '[', ']']).map(str::to_owned).collect();
            let says = |scope: &str| name.starts_with("sc") && name != "scopes" && words.iter().any(|word| word == scope);
            match with_scopes().admit(&HeaderMap::new(), Some(&claims)) {
                Ok(Principal::Anybody) => prop_assert!(false, "nobody in particular got in"),
                Ok(Principal::Operator(subject)) => prop_assert!(says("photos/all") && subject == sub),
                Ok(Principal::Subject(subject)) => prop_assert!(says("photos/use") && subject == sub),
                Err(_) => {}
            }
        }

        #[test]
        fn no_key_but_those_accepted_gets_in(given in "\\PC{0,80}", accepted in prop::collection::vec("[a-z0-9]{1,40}", 1..4)) {
            let keys: Vec<&str> = accepted.iter().map(String::as_str).collect();
            let Ok(value) = http::HeaderValue::from_bytes(given.as_bytes()) else { return Ok(()) };
            let headers = HeaderMap::from_iter([(API_KEY.parse().unwrap(), value)]);
            prop_assert_eq!(with_keys(&keys).admit(&headers, None).is_ok(), accepted.contains(&given));
        }
    }
}
