//! The events this function is woken by, told apart by their shape.

use aws_lambda_events::event::sqs::SqsEvent;
use serde::Deserialize;
use serde_json::Value;
use shared::arrival::{Arrival, version_id};
use shared::job::ObjectVersion;
use shared::key;

/// What an event asks for.
#[derive(Debug)]
pub(crate) enum Event {
    /// Objects that came into a bucket.
    Arrivals(Vec<Arrival>),
    /// The five-minute clock: mend what got lost.
    Reconcile,
    /// The daily clock, or somebody on demand: look for objects without a job.
    Sweep,
    /// Messages of the queue of callbacks.
    Callbacks(SqsEvent),
    /// S3's own test of a new notification, and other things that ask for nothing.
    Nothing(&'static str),
}

/// The event is of no kind that this function knows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EventError {
    /// Neither S3's, nor EventBridge's, nor an action.
    #[error("an event of an unknown kind")]
    Unknown,
    /// Of a known kind, but not of its shape.
    #[error("an event that cannot be read")]
    Malformed(#[from] serde_json::Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Reconcile,
    Sweep,
}

impl Event {
    /// Reads an event.
    pub(crate) fn parse(event: &Value) -> Result<Self, EventError> {
        if let Some(records) = event.get("Records").and_then(Value::as_array) {
            // A batch is of one queue.
            if records.first().and_then(|record| record.get("eventSource")?.as_str()) == Some("aws:sqs") {
                return Ok(Self::Callbacks(SqsEvent::deserialize(event)?));
            }
            return Ok(Self::Arrivals(records.iter().filter_map(arrival_of_record).collect()));
        }
        if event.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
            return Ok(Self::Nothing("S3's test of the notification"));
        }
        if let Some(action) = event.get("action") {
            return Ok(match Action::deserialize(action)? {
                Action::Reconcile => Self::Reconcile,
                Action::Sweep => Self::Sweep,
            });
        }
        match event.get("detail-type").and_then(Value::as_str) {
            Some("Scheduled Event") => Ok(Self::Reconcile),
            Some("Object Created") => {
                Ok(Self::Arrivals(vec![Arrival::deserialize(event.get("detail").unwrap_or(&Value::Null))?]))
            }
            Some(_) => Ok(Self::Nothing("an EventBridge event about something else")),
            None => Err(EventError::Unknown),
        }
    }
}

/// What this function needs of an S3 record.
///
/// `aws_lambda_events` has the whole of it, and refuses a record that lacks any of it, where these fields suffice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_version: Option<String>,
    event_name: String,
    s3: RecordEntity,
}

#[derive(Deserialize)]
struct RecordEntity {
    bucket: RecordBucket,
    object: RecordObject,
}

#[derive(Deserialize)]
struct RecordBucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordObject {
    /// Form-encoded.
    key: String,
    size: Option<u64>,
    #[serde(default)]
    e_tag: String,
    version_id: Option<String>,
    sequencer: Option<String>,
}

/// The object of a record, if one was created. A record that cannot be read harms no other.
fn arrival_of_record(record: &Value) -> Option<Arrival> {
    let Record { event_version, event_name, s3: RecordEntity { bucket, object } } = match Record::deserialize(record) {
        Ok(record) => record,
        Err(error) => {
            tracing::error!(%error, "a record that cannot be read: ignored");
            return None;
        }
    };
    // Tools that replay events leave the version out.
    if let Some(version) = event_version.filter(|version| !is_known(version)) {
        tracing::error!(
            version,
            "a record of another version than 2: ignored, reconcile or the sweep finds its object"
        );
        return None;
    }
    // The schema says `ObjectCreated:Put`; tools that replay events write `s3:ObjectCreated:Put`.
    if !event_name.trim_start_matches("s3:").starts_with("ObjectCreated:") {
        tracing::info!(event_name, "not the creation of an object: ignored");
        return None;
    }
    let key = match key::decode_event_key(&object.key) {
        Ok(key) => key,
        Err(error) => {
            tracing::error!(%error, "a record without a usable key: ignored");
            return None;
        }
    };
    let version = ObjectVersion {
        e_tag: object.e_tag,
        version_id: version_id(object.version_id),
        size: object.size,
        sequencer: object.sequencer,
    };
    Some(Arrival { bucket: bucket.name, key, version })
}

/// Whether a record of this version means what it meant when this was written: S3 counts the part before the point up
/// when it no longer does, and the part behind it when there is merely more in a record.
fn is_known(version: &str) -> bool {
    version.split_once('.').is_some_and(|(major, _)| major == "2")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(name: &str, key: &str) -> Value {
        json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-01-01T00:00:00.000Z", "eventName": name,
            "s3": {
                "s3SchemaVersion": "1.0",
                "bucket": { "name": "b", "arn": "arn:aws:s3:::b" },
                "object": { "key": key, "size": 7, "eTag": "e", "sequencer": "0A" }
            }
        })
    }

    fn keys(event: &Value) -> Vec<String> {
        match Event::parse(event) {
            Ok(Event::Arrivals(arrivals)) => arrivals.into_iter().map(|arrival| arrival.key).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn creations_count_and_nothing_else_does() {
        let names = ["ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload", "ObjectRemoved:Delete"];
        let records: Vec<Value> = names.map(|name| record(name, name)).to_vec();
        assert_eq!(keys(&json!({ "Records": records })), names[..2]);
        assert!(keys(&json!({ "Records": [] })).is_empty());
    }

    #[test]
    fn a_record_of_another_major_version_is_not_read() {
        for (version, read) in [
            ("2.0", true),
            ("2.1", true),
            ("2.99", true),
            ("3.0", false),
            ("1.0", false),
            ("20.1", false),
            ("2", false),
        ] {
            let mut newer = record("ObjectCreated:Put", "a");
            newer["eventVersion"] = version.into();
            let records = json!({ "Records": [newer, record("ObjectCreated:Put", "b")] });
            assert_eq!(keys(&records), if read { &["a", "b"][..] } else { &["b"] }, "{version}");
        }
        let mut replayed = record("s3:ObjectCreated:Put", "a");
        replayed.as_object_mut().unwrap().remove("eventVersion");
        assert_eq!(keys(&json!({ "Records": [replayed] })), ["a"]);
    }

    #[test]
    fn what_is_absent_from_a_record_is_unknown_and_what_is_unknown_is_passed_over() {
        let mut sparse = record("ObjectCreated:Put", "a");
        sparse["s3"]["object"] = json!({ "key": "a", "eTag": "e", "versionId": "null", "more": { "x": 1 } });
        sparse["glacierEventData"] = json!({});
        let Ok(Event::Arrivals(arrivals)) = Event::parse(&json!({ "Records": [sparse] })) else { panic!() };
        let version = ObjectVersion { e_tag: "e".into(), version_id: None, size: None, sequencer: None };
        assert_eq!(arrivals, [Arrival { bucket: "b".into(), key: "a".into(), version }]);
    }

    #[test]
    fn a_thousand_records_are_a_thousand_arrivals_and_one_bad_one_harms_none() {
        let mut records: Vec<Value> = (0..1000).map(|n| record("ObjectCreated:Put", &format!("uploads/{n}"))).collect();
        records[500] = json!([7]);
        assert_eq!(keys(&json!({ "Records": records })).len(), 999);
    }

    #[test]
    fn keys_are_decoded_once() {
        assert_eq!(keys(&json!({ "Records": [record("ObjectCreated:Put", "a+b%2Bc")] })), ["a b+c"]);
        assert!(keys(&json!({ "Records": [record("ObjectCreated:Put", "%FF")] })).is_empty());
        assert_eq!(keys(&json!({ "Records": [record("ObjectCreated:Put", "100%25%zz%")] })), ["100%%zz%"]);
        let event = json!({
            "version": "0", "id": "1", "detail-type": "Object Created", "source": "aws.s3", "account": "1",
            "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": [],
            "detail": { "version": "0", "bucket": { "name": "b" },
                        "object": { "key": "a+b", "size": 1, "etag": "e", "sequencer": "1" }, "reason": "PutObject" }
        });
        assert_eq!(keys(&event), ["a+b"]);
    }

    #[test]
    fn other_events_are_told_apart() {
        let test = json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b" });
        assert!(matches!(Event::parse(&test), Ok(Event::Nothing(_))));
        assert!(matches!(Event::parse(&json!({ "action": "sweep" })), Ok(Event::Sweep)));
        let clock = json!({ "detail-type": "Scheduled Event", "source": "aws.events" });
        assert!(matches!(Event::parse(&clock), Ok(Event::Reconcile)));
        let batch = json!({ "Records": [{ "messageId": "1", "body": "{}", "eventSource": "aws:sqs" }] });
        assert!(matches!(Event::parse(&batch), Ok(Event::Callbacks(batch)) if batch.records.len() == 1));
        assert!(matches!(Event::parse(&json!({})), Err(EventError::Unknown)));
        assert!(matches!(Event::parse(&json!({ "action": "explode" })), Err(EventError::Malformed(_))));
        assert!(keys(&json!({ "Records": [{ "s3": 7 }] })).is_empty());
    }
}
