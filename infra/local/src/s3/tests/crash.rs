//! What a crash leaves, and that object and event come or fail together.

use std::fs;

use aws_sdk_s3::primitives::ByteStream;

use super::{BUCKET, Fixture, code, open};
use crate::data_dir::DataDir;
use crate::s3::{OpenError, Store};

#[tokio::test]
async fn an_object_whose_event_cannot_be_recorded_does_not_exist() {
    let fixture = Fixture::new().await;
    fixture.store.database().execute_batch("ALTER TABLE outbox RENAME TO broken").unwrap();
    let put = fixture.client.put_object().bucket(BUCKET).key("uploads/x").body(ByteStream::from_static(b"1"));
    assert_eq!(code(&put.send().await.unwrap_err()), "InternalError");
    fixture.store.database().execute_batch("ALTER TABLE broken RENAME TO outbox").unwrap();
    fixture.check_empty();
    fixture.put("uploads/x", b"1").await;
    assert_eq!(fixture.events().await.len(), 1);
}

#[tokio::test]
async fn a_start_sweeps_what_no_row_names() {
    let fixture = Fixture::new().await;
    fixture.put("uploads/x", b"kept").await;
    let objects = fixture.dir.path().join("objects");
    fs::write(objects.join("ab").join("ab00000000000000000000000000aaaa"), b"of an upload cut short").unwrap();
    fs::write(objects.join("00").join("stray"), b"").unwrap();
    assert_eq!(fixture.files(), 3);
    drop(open(&fixture.dir));
    assert_eq!(fixture.files(), 1);
    assert_eq!(fixture.get("uploads/x").await.unwrap(), "kept");
}

#[tokio::test]
async fn objects_uploads_and_events_outlive_the_process() {
    let fixture = Fixture::new().await;
    fixture.put("uploads/x", b"1").await;
    let upload = fixture.client.create_multipart_upload().bucket(BUCKET).key("uploads/y").send().await.unwrap();
    let part = fixture.client.upload_part().bucket(BUCKET).key("uploads/y").set_upload_id(upload.upload_id);
    part.part_number(1).body(ByteStream::from_static(b"2")).send().await.unwrap();

    let reopened = open(&fixture.dir);
    assert_eq!(reopened.pending_events(10).await.unwrap(), fixture.store.pending_events(10).await.unwrap());
    assert_eq!(fixture.files(), 2);
    // The order of events goes on where it stopped.
    let fixture = Fixture { store: reopened, ..fixture };
    fixture.put("uploads/z", b"3").await;
    assert_eq!(fixture.events().await, ["Put uploads/x", "Put uploads/z"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_by_name() {
    let dir = DataDir::ephemeral().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let refused = Store::open(&file, Vec::new()).unwrap_err();
    assert!(matches!(refused, OpenError::NotWritable { .. }), "{refused}");
    assert!(refused.to_string().contains(&file.display().to_string()), "{refused}");
}
