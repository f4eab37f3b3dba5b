//! Conditional requests: `If-Match` and its kin, for reading, writing and copying.

use http::HeaderMap;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use s3s::dto::{ETagCondition, Timestamp};

use super::error::Error;
use super::object::Object;

/// The conditions of one request; one that is absent holds.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_field_names, reason = "they are the names of the headers")]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// Those of a copy that are about its target. s3s knows only those about its source.
    pub(crate) fn of_target(headers: &HeaderMap) -> Result<Self, Error> {
        let condition = |name| {
            let text = headers.get(name).map(|value| value.to_str().unwrap_or_default());
            let parsed = text.map(str::parse).transpose();
            parsed.map_err(|_| Error::InvalidArgument("A condition has to be an entity tag or an asterisk."))
        };
        Ok(Self { if_match: condition(IF_MATCH)?, if_none_match: condition(IF_NONE_MATCH)?, ..Self::default() })
    }

    /// For GET and HEAD. An entity tag outranks the date it stands beside (RFC 9110, section 13.2.2).
    pub(crate) fn allow_read(&self, object: &Object) -> Result<(), Error> {
        let modified = object.modified_to_the_second();
        let still = match (&self.if_match, &self.if_unmodified_since) {
            (Some(wanted), _) => names(wanted, &object.etag),
            (None, Some(since)) => modified <= *since,
            (None, None) => true,
        };
        if !still {
            return Err(Error::PreconditionFailed);
        }
        let known = match (&self.if_none_match, &self.if_modified_since) {
            (Some(held), _) => names(held, &object.etag),
            (None, Some(since)) => modified <= *since,
            (None, None) => false,
        };
        if known {
            return Err(Error::NotModified { etag: object.etag.clone(), modified });
        }
        Ok(())
    }

    /// For the source of a copy, where "not modified" is a failed condition like any other.
    pub(crate) fn allow_copy(&self, source: &Object) -> Result<(), Error> {
        match self.allow_read(source) {
            Err(Error::NotModified { .. }) => Err(Error::PreconditionFailed),
            other => other,
        }
    }

    /// For replacing or removing `current`, in the transaction that does it.
    pub(crate) fn allow_write(&self, current: Option<&Object>) -> Result<(), Error> {
        match (&self.if_match, current) {
            (Some(_), None) => return Err(Error::NoSuchKey),
            (Some(wanted), Some(object)) if !names(wanted, &object.etag) => return Err(Error::PreconditionFailed),
            _ => {}
        }
        match (&self.if_none_match, current) {
            (Some(unwanted), Some(object)) if names(unwanted, &object.etag) => Err(Error::PreconditionFailed),
            _ => Ok(()),
        }
    }
}

fn names(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn object() -> Object {
        Object { etag: "abc".to_owned(), modified_at: 1_000_500, ..Object::default() }
    }

    fn tag(text: &str) -> ETagCondition {
        text.parse().unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[track_caller]
    fn check_read(conditions: &Conditions, outcome: &str) {
        let found = match conditions.allow_read(&object()) {
            Ok(()) => "200",
            Err(Error::NotModified { .. }) => "304",
            Err(Error::PreconditionFailed) => "412",
            Err(other) => panic!("{other}"),
        };
        assert_eq!(found, outcome, "{conditions:?}");
    }

    #[test]
    fn reads_follow_the_order_of_rfc_9110() {
        let none = Conditions::default();
        check_read(&none, "200");
        check_read(&Conditions { if_match: Some(tag("\"abc\"")), ..none.clone() }, "200");
        check_read(&Conditions { if_match: Some(tag("*")), ..none.clone() }, "200");
        check_read(&Conditions { if_match: Some(tag("\"x\"")), ..none.clone() }, "412");
        check_read(&Conditions { if_none_match: Some(tag("\"abc\"")), ..none.clone() }, "304");
        check_read(&Conditions { if_none_match: Some(tag("W/\"abc\"")), ..none.clone() }, "304");
        check_read(&Conditions { if_none_match: Some(tag("\"x\"")), ..none.clone() }, "200");
        // The object is half a second older than its header can say.
        check_read(&Conditions { if_modified_since: Some(at(1000)), ..none.clone() }, "304");
        check_read(&Conditions { if_modified_since: Some(at(999)), ..none.clone() }, "200");
        check_read(&Conditions { if_unmodified_since: Some(at(1000)), ..none.clone() }, "200");
        check_read(&Conditions { if_unmodified_since: Some(at(999)), ..none.clone() }, "412");
        check_read(&Conditions { if_match: Some(tag("abc")), if_unmodified_since: Some(at(1)), ..none.clone() }, "200");
        check_read(&Conditions { if_none_match: Some(tag("x")), if_modified_since: Some(at(2000)), ..none }, "200");
    }

    #[test]
    fn writes_can_demand_absence_or_a_version() {
        let absent = Conditions { if_none_match: Some(tag("*")), ..Conditions::default() };
        assert!(absent.allow_write(None).is_ok());
        assert!(matches!(absent.allow_write(Some(&object())), Err(Error::PreconditionFailed)));

        let version = Conditions { if_match: Some(tag("abc")), ..Conditions::default() };
        assert!(version.allow_write(Some(&object())).is_ok());
        assert!(matches!(version.allow_write(None), Err(Error::NoSuchKey)));
        let other = Conditions { if_match: Some(tag("x")), ..Conditions::default() };
        assert!(matches!(other.allow_write(Some(&object())), Err(Error::PreconditionFailed)));
    }
}
