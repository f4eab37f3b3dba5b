//! Uploads in parts, from the first to the object.

use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};

use super::{BUCKET, Fixture, code};

const KEY: &str = "uploads/big";
const FIVE_MIB: usize = 5 << 20;

impl Fixture {
    async fn begin(&self) -> String {
        let create = self.client.create_multipart_upload().bucket(BUCKET).key(KEY).metadata("a", "1");
        create.checksum_algorithm(ChecksumAlgorithm::Crc32).send().await.unwrap().upload_id.unwrap()
    }

    async fn part(&self, upload: &str, number: i32, body: &[u8]) -> CompletedPart {
        let part = self.client.upload_part().bucket(BUCKET).key(KEY).upload_id(upload).part_number(number);
        let part = part.checksum_algorithm(ChecksumAlgorithm::Crc32).body(ByteStream::from(body.to_vec()));
        let done = part.send().await.unwrap();
        CompletedPart::builder()
            .part_number(number)
            .set_e_tag(done.e_tag)
            .set_checksum_crc32(done.checksum_crc32)
            .build()
    }

    fn complete(&self, upload: &str, parts: &[&CompletedPart]) -> CompleteMultipartUploadFluentBuilder {
        let parts = parts.iter().map(|part| (*part).clone()).collect();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        self.client.complete_multipart_upload().bucket(BUCKET).key(KEY).upload_id(upload).multipart_upload(parts)
    }
}

#[tokio::test]
async fn parts_become_one_object_and_one_event() {
    let fixture = Fixture::new().await;
    let upload = fixture.begin().await;
    let first = fixture.part(&upload, 1, &vec![b'a'; FIVE_MIB]).await;
    let second = fixture.part(&upload, 5, b"end").await;
    assert!(fixture.events().await.is_empty(), "nothing is visible before the end");
    assert_eq!(fixture.get(KEY).await.unwrap_err(), "NoSuchKey");

    let done = fixture.complete(&upload, &[&first, &second]).send().await.unwrap();
    // From `{ md5 of part 1; md5 of part 2 } | md5sum`, and the same by CRC-32.
    assert_eq!(done.e_tag.as_deref(), Some("\"cc8f6f16b44b75adde6349ab98aee432-2\""));
    assert!(done.checksum_crc32.as_deref().is_some_and(|sum| sum.ends_with("-2")), "{:?}", done.checksum_crc32);
    let found = fixture.client.get_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert_eq!(found.metadata.as_ref().and_then(|metadata| metadata.get("a")).unwrap(), "1");
    let body = found.body.collect().await.unwrap().into_bytes();
    assert_eq!((body.len(), &body[FIVE_MIB..]), (FIVE_MIB + 3, &b"end"[..]));
    assert_eq!(fixture.events().await, ["CompleteMultipartUpload uploads/big"]);
    assert_eq!(fixture.files(), 1);

    // The first answer may have been lost.
    let again = fixture.complete(&upload, &[&first, &second]).send().await.unwrap();
    assert_eq!(again.e_tag, done.e_tag);
    assert_eq!(fixture.events().await.len(), 1);
}

#[tokio::test]
async fn an_upload_that_does_not_add_up_stays_open() {
    let fixture = Fixture::new().await;
    let upload = fixture.begin().await;
    let small = fixture.part(&upload, 1, b"too small").await;
    let last = fixture.part(&upload, 2, b"end").await;
    let other = CompletedPart::builder().part_number(2).e_tag("\"00\"").build();
    for (parts, refusal) in [
        (&[&last, &small][..], "InvalidPartOrder"),
        (&[&small, &last], "EntityTooSmall"),
        (&[&other], "InvalidPart"),
        (&[], "MalformedXML"),
    ] {
        assert_eq!(code(&fixture.complete(&upload, parts).send().await.unwrap_err()), refusal);
    }
    let wrong = fixture.complete(&upload, &[&last]).checksum_crc32("AAAAAA==");
    assert_eq!(code(&wrong.send().await.unwrap_err()), "BadDigest");
    let wrong = fixture.complete(&upload, &[&last]).mpu_object_size(4);
    assert_eq!(code(&wrong.send().await.unwrap_err()), "InvalidRequest");
    assert_eq!(fixture.files(), 2);
    fixture.complete(&upload, &[&last]).mpu_object_size(3).send().await.unwrap();
    assert_eq!(fixture.get(KEY).await.unwrap(), "end");
    assert_eq!(fixture.files(), 1);
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let fixture = Fixture::new().await;
    let upload = fixture.begin().await;
    fixture.part(&upload, 1, b"once").await;
    fixture.part(&upload, 1, b"twice").await;
    assert_eq!(fixture.files(), 1, "a part that is sent again is replaced");
    let abort = || fixture.client.abort_multipart_upload().bucket(BUCKET).key(KEY).upload_id(&upload);
    abort().send().await.unwrap();
    assert_eq!(code(&abort().send().await.unwrap_err()), "NoSuchUpload");
    fixture.check_empty();
}

#[tokio::test]
async fn parts_and_uploads_are_listed() {
    let fixture = Fixture::new().await;
    let upload = fixture.begin().await;
    fixture.part(&upload, 2, b"two").await;
    fixture.part(&upload, 1, b"one").await;
    let list = || fixture.client.list_parts().bucket(BUCKET).key(KEY).upload_id(&upload);
    let numbers =
        |parts: &[aws_sdk_s3::types::Part]| parts.iter().filter_map(|part| part.part_number).collect::<Vec<_>>();
    assert_eq!(numbers(list().send().await.unwrap().parts()), [1, 2]);
    let page = list().max_parts(1).send().await.unwrap();
    assert_eq!((page.is_truncated, page.next_part_number_marker.as_deref()), (Some(true), Some("1")));
    assert_eq!(numbers(list().part_number_marker("1").send().await.unwrap().parts()), [2]);

    let another = fixture.begin().await;
    let mut begun = [upload, another];
    begun.sort();
    let list = || fixture.client.list_multipart_uploads().bucket(BUCKET);
    let page = list().max_uploads(1).send().await.unwrap();
    assert_eq!(page.uploads()[0].upload_id(), Some(begun[0].as_str()));
    let next = list().set_key_marker(page.next_key_marker).set_upload_id_marker(page.next_upload_id_marker);
    assert_eq!(next.send().await.unwrap().uploads()[0].upload_id(), Some(begun[1].as_str()));
    let rolled_up = list().delimiter("/").send().await.unwrap();
    assert_eq!((rolled_up.uploads().len(), rolled_up.common_prefixes().len()), (0, 1));
}

#[tokio::test]
async fn a_part_can_be_copied_from_an_object() {
    let fixture = Fixture::new().await;
    fixture.put("source", b"0123456789").await;
    let upload = fixture.begin().await;
    let copy = || {
        let copy = fixture.client.upload_part_copy().bucket(BUCKET).key(KEY).upload_id(&upload).part_number(1);
        copy.copy_source(format!("{BUCKET}/source"))
    };
    assert_eq!(code(&copy().copy_source_range("bytes=5-10").send().await.unwrap_err()), "InvalidRange");
    let copied = copy().copy_source_range("bytes=2-4").send().await.unwrap().copy_part_result.unwrap();
    let part = CompletedPart::builder().part_number(1).set_e_tag(copied.e_tag).build();
    fixture.complete(&upload, &[&part]).send().await.unwrap();
    assert_eq!(fixture.get(KEY).await.unwrap(), "234");
}
