//! What S3 tells the world when an object has been created: which objects, and in which words.
//!
//! Removals are not announced: nobody here listens to them. Delivery is not here either, see [`super::outbox`].

use chrono::{DateTime, SecondsFormat, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::REGION;

/// Who hears of which objects: one entry of a bucket's notification configuration.
#[derive(Debug, Clone)]
pub(crate) struct EventRule {
    /// The `configurationId` in the event.
    pub(crate) id: String,
    pub(crate) bucket: String,
    pub(crate) prefix: String,
}

impl EventRule {
    pub(crate) fn covers(&self, bucket: &str, key: &str) -> bool {
        self.bucket == bucket && key.starts_with(&self.prefix)
    }
}

/// How an object came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Put,
    Post,
    Copy,
    CompleteMultipartUpload,
}

impl Cause {
    fn event_name(self) -> &'static str {
        match self {
            Self::Put => "ObjectCreated:Put",
            Self::Post => "ObjectCreated:Post",
            Self::Copy => "ObjectCreated:Copy",
            Self::CompleteMultipartUpload => "ObjectCreated:CompleteMultipartUpload",
        }
    }
}

/// The pair of ids by which AWS support finds a request: in its answer and in its event.
#[derive(Debug, Clone)]
pub(crate) struct RequestId {
    pub(crate) id: String,
    pub(crate) extended: String,
}

impl RequestId {
    pub(crate) fn new() -> Self {
        let random = || Uuid::new_v4().simple().to_string();
        let mut id = random().to_ascii_uppercase();
        id.truncate(16);
        Self { id, extended: random() + &random() }
    }
}

/// An object that has just become visible.
#[derive(Debug)]
pub(crate) struct Created<'a> {
    pub(crate) cause: Cause,
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) size: u64,
    pub(crate) etag: &'a str,
    pub(crate) at: DateTime<Utc>,
    pub(crate) request: &'a RequestId,
}

impl Created<'_> {
    /// The notification, as S3 writes it. `sequencer` grows from one event of the store to the next.
    pub(crate) fn notification(&self, rule: &EventRule, sequencer: u64) -> Value {
        json!({"Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": REGION,
            "eventTime": self.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "eventName": self.cause.event_name(),
            "userIdentity": {"principalId": "darkroom"},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {"x-amz-request-id": self.request.id, "x-amz-id-2": self.request.extended},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": rule.id,
                "bucket": {
                    "name": self.bucket,
                    "ownerIdentity": {"principalId": "darkroom"},
                    "arn": format!("arn:aws:s3:::{}", self.bucket),
                },
                "object": {
                    "key": form_encoded(self.key),
                    "size": self.size,
                    "eTag": self.etag,
                    // Readers compare sequencers of one key as text, so all have the same length.
                    "sequencer": format!("{sequencer:018X}"),
                },
            },
        }]})
    }
}

/// A key as S3 writes it in events and, when asked to, in listings: form encoding that leaves `/` alone.
pub(crate) fn form_encoded(key: &str) -> String {
    const KEPT_OR_SPACE: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b' ');
    utf8_percent_encode(key, KEPT_OR_SPACE).to_string().replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_encoding(key: &str, encoded: &str) {
        assert_eq!(form_encoded(key), encoded);
        let decoded = encoded.replace('+', " ");
        let decoded = percent_encoding::percent_decode_str(&decoded).decode_utf8().unwrap();
        assert_eq!(decoded, key, "decoding once gives the key back");
    }

    #[test]
    fn keys_are_form_encoded_in_events() {
        check_encoding("uploads/cat.jpg", "uploads/cat.jpg");
        check_encoding("uploads/my cat.jpg", "uploads/my+cat.jpg");
        check_encoding("uploads/a+b.jpg", "uploads/a%2Bb.jpg");
        check_encoding("100%25.jpg", "100%2525.jpg");
        check_encoding("Ünï cöde.png", "%C3%9Cn%C3%AF+c%C3%B6de.png");
        check_encoding("a-b_c.d~e/f", "a-b_c.d~e/f");
        check_encoding("quote\"&<>\u{0}\r\n", "quote%22%26%3C%3E%00%0D%0A");
    }

    #[test]
    fn the_notification_has_the_shape_that_s3_sends() {
        let rule = EventRule { id: "uploads".into(), bucket: "b".into(), prefix: "uploads/".into() };
        let request = RequestId { id: "5E2C1A".into(), extended: "abc=".into() };
        let created = Created {
            cause: Cause::CompleteMultipartUpload,
            bucket: "b",
            key: "uploads/a b.jpg",
            size: 1024,
            etag: "d41d8cd98f00b204e9800998ecf8427e",
            at: DateTime::from_timestamp_millis(1_700_000_000_123).unwrap(),
            request: &request,
        };
        assert_eq!(
            created.notification(&rule, 10),
            json!({"Records": [{
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "us-east-1",
                "eventTime": "2023-11-14T22:13:20.123Z",
                "eventName": "ObjectCreated:CompleteMultipartUpload",
                "userIdentity": {"principalId": "darkroom"},
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {"x-amz-request-id": "5E2C1A", "x-amz-id-2": "abc="},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "uploads",
                    "bucket": {
                        "name": "b",
                        "ownerIdentity": {"principalId": "darkroom"},
                        "arn": "arn:aws:s3:::b",
                    },
                    "object": {
                        "key": "uploads/a+b.jpg",
                        "size": 1024,
                        "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                        "sequencer": "00000000000000000A",
                    },
                },
            }]})
        );
    }

    #[test]
    fn a_rule_covers_its_bucket_and_prefix_only() {
        let rule = EventRule { id: String::new(), bucket: "b".into(), prefix: "uploads/".into() };
        assert!(rule.covers("b", "uploads/x"));
        assert!(!rule.covers("b", "processed/x"));
        assert!(!rule.covers("other", "uploads/x"));
    }
}
