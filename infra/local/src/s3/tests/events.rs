//! Events: recorded with their object, handed out until they are delivered.

use std::time::Duration;

use chrono::{TimeDelta, Utc};

use super::{BUCKET, Fixture, OTHER_BUCKET};

#[tokio::test]
async fn every_creation_under_the_prefix_is_announced_in_order() {
    let fixture = Fixture::new().await;
    fixture.with_objects(&["uploads/a b+c.jpg", "uploads/x", "uploads/x", "elsewhere/x"]).await;
    let copy = fixture.client.copy_object().copy_source(format!("{BUCKET}/elsewhere/x"));
    copy.clone().bucket(BUCKET).key("uploads/copy").send().await.unwrap();
    copy.bucket(OTHER_BUCKET).key("uploads/copy").send().await.unwrap();
    fixture.client.delete_object().bucket(BUCKET).key("uploads/x").send().await.unwrap();

    assert_eq!(
        fixture.events().await,
        ["Put uploads/a+b%2Bc.jpg", "Put uploads/x", "Put uploads/x", "Copy uploads/copy"]
    );
    let events = fixture.store.pending_events(100).await.unwrap();
    let sequencers: Vec<_> =
        events.iter().map(|event| event.body["Records"][0]["s3"]["object"]["sequencer"].as_str().unwrap()).collect();
    assert!(sequencers.is_sorted_by(|a, b| a < b && a.len() == b.len()), "{sequencers:?}");
    assert_eq!(fixture.store.pending_events(2).await.unwrap(), events[..2]);
}

#[tokio::test]
async fn the_event_carries_the_ids_of_the_request() {
    let fixture = Fixture::new().await;
    let put = fixture.client.put_object().bucket(BUCKET).key("uploads/x").send().await.unwrap();
    let event = fixture.store.pending_events(1).await.unwrap().remove(0);
    let ids = &event.body["Records"][0]["responseElements"];
    assert_eq!(ids["x-amz-request-id"].as_str(), aws_sdk_s3::operation::RequestId::request_id(&put));
    assert_eq!(ids["x-amz-id-2"].as_str(), aws_sdk_s3::operation::RequestIdExt::extended_request_id(&put));
}

#[tokio::test]
async fn an_event_waits_until_it_is_delivered() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.next_event_due().await.unwrap(), None);
    fixture.with_objects(&["uploads/1", "uploads/2"]).await;
    let store = &fixture.store;
    let first = store.pending_events(1).await.unwrap().remove(0);
    assert_eq!(first.attempts, 0);

    let later = Utc::now() + TimeDelta::seconds(50);
    store.event_failed(first.id, later).await.unwrap();
    assert_eq!(fixture.events().await, ["Put uploads/2"]);
    assert!(store.next_event_due().await.unwrap().unwrap() <= Utc::now());

    let second = store.pending_events(1).await.unwrap().remove(0);
    store.event_delivered(second.id).await.unwrap();
    assert!(fixture.events().await.is_empty());
    let due = store.next_event_due().await.unwrap().unwrap();
    assert_eq!(due.timestamp_millis(), later.timestamp_millis());

    store.event_failed(first.id, Utc::now()).await.unwrap();
    assert_eq!(store.pending_events(1).await.unwrap().remove(0).attempts, 2);

    // Put back for a moment, a day ahead of what the clock says now.
    store.event_failed(first.id, Utc::now() + TimeDelta::days(1)).await.unwrap();
    assert_eq!(store.pending_events(1).await.unwrap().remove(0).attempts, 3);
}

#[tokio::test]
async fn a_new_event_rings() {
    let fixture = Fixture::new().await;
    let signal = fixture.store.event_signal();
    let silent = tokio::time::timeout(Duration::from_millis(50), signal.notified());
    fixture.put("elsewhere/x", b"").await;
    assert!(silent.await.is_err());
    fixture.put("uploads/x", b"").await;
    tokio::time::timeout(Duration::from_secs(5), signal.notified()).await.unwrap();
}
