//! Events that wake the dispatcher: S3's, EventBridge's, and others.
#![no_main]

use libfuzzer_sys::fuzz_target;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use shared::arrival::Arrival;

#[allow(dead_code, reason = "what is read is not carried out here")]
#[path = "../../../functions/dispatcher/src/event.rs"]
mod event;

use event::Event;

fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = serde_json::from_slice::<Value>(bytes) else { return };
    let Ok(Event::Arrivals(arrivals)) = Event::parse(&json) else { return };
    assert!(arrivals.len() <= json["Records"].as_array().map_or(1, Vec::len));

    // However an object is announced, S3's own record of it says the same.
    let records: Vec<Value> = arrivals.iter().map(record).collect();
    match Event::parse(&json!({ "Records": records })) {
        Ok(Event::Arrivals(again)) => assert_eq!(again, arrivals),
        other => panic!("{other:?}"),
    }
});

fn record(Arrival { bucket, key, version }: &Arrival) -> Value {
    let key = utf8_percent_encode(key, NON_ALPHANUMERIC).to_string();
    json!({
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": { "name": bucket },
            "object": {
                "key": key, "size": version.size, "eTag": version.e_tag, "versionId": version.version_id,
                "sequencer": version.sequencer
            }
        }
    })
}
