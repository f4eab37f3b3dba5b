//! Objects: written, read, copied and deleted.

use std::time::Duration;

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, Delete, MetadataDirective, ObjectIdentifier};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Method;
use s3s::crypto::{Checksum as _, Md5, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{BUCKET, Fixture, OTHER_BUCKET, code, presigned};
use crate::stack;

#[tokio::test]
async fn an_object_keeps_its_bytes_headers_and_metadata() {
    let fixture = Fixture::new().await;
    let put = fixture.client.put_object().bucket(BUCKET).key("uploads/Ünï cöde+plus%20.png");
    let put = put
        .body(ByteStream::from_static(b"hello"))
        .content_type("image/png")
        .content_disposition("attachment; filename=\"x.png\"")
        .content_language("de")
        .content_encoding("identity")
        .cache_control("no-cache")
        .expires(DateTime::from_secs(1_900_000_000))
        .metadata("recipe", "thumb");
    let etag = put.send().await.unwrap().e_tag.unwrap();
    assert_eq!(etag, "\"5d41402abc4b2a76b9719d911017c592\"");

    let get = fixture.client.get_object().bucket(BUCKET).key("uploads/Ünï cöde+plus%20.png");
    let found = get.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(found.e_tag.as_deref(), Some(etag.as_str()));
    assert_eq!(found.content_type.as_deref(), Some("image/png"));
    assert_eq!(found.content_disposition.as_deref(), Some("attachment; filename=\"x.png\""));
    assert_eq!(found.content_language.as_deref(), Some("de"));
    assert_eq!(found.content_encoding.as_deref(), Some("identity"));
    assert_eq!(found.cache_control.as_deref(), Some("no-cache"));
    assert_eq!(found.expires_string.as_deref(), Some("Sun, 17 Mar 2030 17:46:40 GMT"));
    assert_eq!(found.metadata.as_ref().and_then(|metadata| metadata.get("recipe")).unwrap(), "thumb");
    assert_eq!(found.content_length, Some(5));
    // The SDK adds this checksum by itself, as a trailer or a header.
    assert_eq!(found.checksum_crc32.as_deref(), Some("NhCmhg=="));
    assert_eq!(found.body.collect().await.unwrap().into_bytes(), "hello");
}

#[tokio::test]
async fn keys_are_names_not_paths() {
    let fixture = Fixture::new().await;
    let keys =
        ["a.jpg", "a.jpg/child", "../x", "/x", "//", "uploads/", ".", "%2e%2e/x", "x\u{0}\u{1}\n<&>'\"", "\u{202e}"];
    fixture.with_objects(&keys).await;
    for key in keys {
        assert_eq!(fixture.get(key).await.unwrap(), key, "{key:?}");
    }
    assert_eq!(fixture.files(), keys.len());
    let long = "é".repeat(512);
    fixture.put(&long, b"").await;
    assert_eq!(fixture.get(&(long + "x")).await.unwrap_err(), "KeyTooLongError");
}

#[tokio::test]
async fn the_sweep_is_told_of_keys_that_xml_cannot_write() {
    let fixture = Fixture::new().await;
    let keys = ["uploads/a b+%2B", "uploads/a\u{1}\n\u{1b}", "uploads/\u{fffe}"];
    fixture.with_objects(&keys).await;
    let sdk = stack::sdk_config(fixture.address, &stack::public_key());
    let bucket = shared::aws::Bucket::new(&sdk, BUCKET);
    let mut listed: Vec<String> =
        bucket.list("uploads/", None).await.unwrap().objects.into_iter().map(|object| object.key).collect();
    listed.sort();
    let mut expected = keys;
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let rest = bucket.list("uploads/", Some(&listed[1])).await.unwrap();
    assert_eq!(rest.objects.len(), 1);
}

#[tokio::test]
async fn a_replaced_or_deleted_object_leaves_no_file() {
    let fixture = Fixture::new().await;
    fixture.with_objects(&["a", "a", "b", "c", "d"]).await;
    assert_eq!(fixture.files(), 4);
    fixture.client.delete_object().bucket(BUCKET).key("a").send().await.unwrap();
    let keys = ["b", "c", "never there"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(keys.to_vec())).build().unwrap();
    let deleted = fixture.client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!(deleted.deleted().len(), 3);
    assert_eq!(fixture.files(), 1);
    assert_eq!(fixture.get("b").await.unwrap_err(), "NoSuchKey");
}

#[tokio::test]
async fn a_delete_says_which_object_it_means() {
    let fixture = Fixture::new().await;
    fixture.with_objects(&["a", "b", "c", "d"]).await;
    let delete = |version| fixture.client.delete_object().bucket(BUCKET).key("a").version_id(version).send();
    assert_eq!(code(&delete("other").await.unwrap_err()), "InvalidArgument");
    assert_eq!(fixture.files(), 4);
    delete("null").await.unwrap();

    let b = fixture.client.head_object().bucket(BUCKET).key("b").send().await.unwrap().e_tag.unwrap();
    let named = |key: &str| ObjectIdentifier::builder().key(key);
    let objects = [
        named("b").e_tag(b),
        named("c").e_tag("\"other\""),
        named("d").version_id("other"),
        named("never there").e_tag("\"other\""),
    ];
    let objects = objects.map(|object| object.build().unwrap());
    let delete = Delete::builder().set_objects(Some(objects.to_vec())).build().unwrap();
    let answer = fixture.client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    let deleted: Vec<_> = answer.deleted().iter().filter_map(|object| object.key()).collect();
    let refused: Vec<_> = answer.errors().iter().map(|error| (error.key().unwrap(), error.code().unwrap())).collect();
    assert_eq!(deleted, ["b"]);
    assert_eq!(refused, [("c", "PreconditionFailed"), ("d", "InvalidArgument"), ("never there", "NoSuchKey")]);
    assert_eq!(fixture.files(), 2);
}

#[tokio::test]
async fn what_is_missing_has_a_name() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.get("nothing").await.unwrap_err(), "NoSuchKey");
    let client = &fixture.client;
    let refused = client.get_object().bucket("no-bucket").key("x").send().await.unwrap_err();
    assert_eq!(code(&refused), "NoSuchBucket");
    let refused = client.put_object().bucket("no-bucket").key("x").send().await.unwrap_err();
    assert_eq!(code(&refused), "NoSuchBucket");
    let refused = client.list_objects_v2().bucket("no-bucket").send().await.unwrap_err();
    assert_eq!(code(&refused), "NoSuchBucket");
    let refused = client.create_bucket().bucket("Bad_Name").send().await.unwrap_err();
    assert_eq!(code(&refused), "InvalidBucketName");
}

#[tokio::test]
async fn a_body_that_is_not_what_the_client_said_leaves_nothing() {
    let fixture = Fixture::new().await;
    let put = || fixture.client.put_object().bucket(BUCKET).key("uploads/x").body(ByteStream::from_static(b"hello"));
    let md5 = BASE64_STANDARD.encode(Md5::checksum(b"other"));
    let sha256 = BASE64_STANDARD.encode(Sha256::checksum(b"other"));
    for (put, refusal) in [
        (put().content_md5(md5), "BadDigest"),
        (put().content_md5("bm90IGFuIG1kNQ=="), "InvalidDigest"),
        (put().checksum_sha256(sha256), "BadDigest"),
        (put().checksum_crc32("AAAAAA=="), "BadDigest"),
        (put().checksum_crc64_nvme("AAAAAAAAAAA="), "BadDigest"),
    ] {
        assert_eq!(code(&put.send().await.unwrap_err()), refusal);
        fixture.check_empty();
    }
}

#[tokio::test]
async fn every_checksum_is_verified_kept_and_given_back() {
    let fixture = Fixture::new().await;
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        let put = fixture.client.put_object().bucket(BUCKET).key("x").checksum_algorithm(algorithm.clone());
        let put = put.body(ByteStream::from_static(b"hello")).send().await.unwrap();
        let get = fixture.client.get_object().bucket(BUCKET).key("x").checksum_mode(ChecksumMode::Enabled);
        let found = get.send().await.unwrap();
        let sent =
            [put.checksum_crc32, put.checksum_crc32_c, put.checksum_crc64_nvme, put.checksum_sha1, put.checksum_sha256];
        assert_eq!(sent.iter().flatten().count(), 1, "{algorithm}");
        let kept = [
            found.checksum_crc32,
            found.checksum_crc32_c,
            found.checksum_crc64_nvme,
            found.checksum_sha1,
            found.checksum_sha256,
        ];
        assert_eq!(sent, kept, "{algorithm}");
        // The SDK checks the body against it while reading.
        assert_eq!(found.body.collect().await.unwrap().into_bytes(), "hello");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let fixture = Fixture::new().await;
    let config = aws_sdk_s3::presigning::PresigningConfig::expires_in(Duration::from_mins(1)).unwrap();
    let signed = fixture.client.put_object().bucket(BUCKET).key("uploads/x").presigned(config).await.unwrap();
    let path = signed.uri().split_once(&fixture.address.to_string()).unwrap().1.to_owned();

    let mut socket = TcpStream::connect(fixture.address).await.unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 3000000\r\n\r\n", fixture.address);
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&vec![0; 2_000_000]).await.unwrap();
    while fixture.files() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(socket);
    while fixture.files() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fixture.check_empty();

    let request = presigned(&signed).header("x-amz-content-sha256", "0".repeat(64));
    let (status, body) = fixture.send(request.body(Bytes::from_static(b"hello")).unwrap()).await;
    assert_eq!(status, 400);
    assert!(body.contains("XAmzContentSHA256Mismatch"), "{body}");
    fixture.check_empty();
}

#[tokio::test]
async fn writes_can_be_conditional() {
    let fixture = Fixture::new().await;
    let put = || fixture.client.put_object().bucket(BUCKET).key("x").body(ByteStream::from_static(b"1"));
    put().if_none_match("*").send().await.unwrap();
    assert_eq!(code(&put().if_none_match("*").send().await.unwrap_err()), "PreconditionFailed");
    assert_eq!(code(&put().if_match("\"other\"").send().await.unwrap_err()), "PreconditionFailed");
    put().if_match("\"c4ca4238a0b923820dcc509a6f75849b\"").send().await.unwrap();
    assert_eq!(fixture.files(), 1);
}

#[tokio::test]
async fn reads_can_be_partial_conditional_and_renamed() {
    let fixture = Fixture::new().await;
    fixture.put("x", b"0123456789").await;
    let get = || fixture.client.get_object().bucket(BUCKET).key("x");

    let part = get().range("bytes=2-4").send().await.unwrap();
    assert_eq!(part.content_range.as_deref(), Some("bytes 2-4/10"));
    assert_eq!(part.body.collect().await.unwrap().into_bytes(), "234");
    let part = get().range("bytes=-3").send().await.unwrap();
    assert_eq!(part.body.collect().await.unwrap().into_bytes(), "789");
    assert_eq!(code(&get().range("bytes=10-").send().await.unwrap_err()), "InvalidRange");
    assert_eq!(code(&get().version_id("other").send().await.unwrap_err()), "InvalidArgument");

    let head = || fixture.client.head_object().bucket(BUCKET).key("x");
    let part = head().range("bytes=2-4").send().await.unwrap();
    assert_eq!((part.content_range.as_deref(), part.content_length), (Some("bytes 2-4/10"), Some(3)));
    assert_eq!(code(&head().range("bytes=10-").send().await.unwrap_err()), "416");
    assert_eq!(code(&head().version_id("other").send().await.unwrap_err()), "400");

    let etag = get().send().await.unwrap().e_tag.unwrap();
    let fresh = get().if_none_match(&etag).send().await.unwrap_err();
    assert_eq!(fresh.raw_response().unwrap().status().as_u16(), 304);
    assert_eq!(fresh.raw_response().unwrap().headers().get("etag"), Some(etag.as_str()));
    assert_eq!(code(&get().if_match("\"other\"").send().await.unwrap_err()), "PreconditionFailed");

    let renamed = get().response_content_disposition("attachment; filename=\"y\"").response_content_type("text/x");
    let renamed = renamed.response_cache_control("no-store").send().await.unwrap();
    assert_eq!(renamed.content_disposition.as_deref(), Some("attachment; filename=\"y\""));
    assert_eq!(renamed.content_type.as_deref(), Some("text/x"));
    assert_eq!(renamed.cache_control.as_deref(), Some("no-store"));
}

#[tokio::test]
async fn a_reader_keeps_the_content_it_began_to_read() {
    let fixture = Fixture::new().await;
    let old = vec![1; 4_000_000];
    fixture.put("x", &old).await;
    let reading = fixture.client.get_object().bucket(BUCKET).key("x").send().await.unwrap();
    fixture.put("x", b"new").await;
    assert_eq!(reading.body.collect().await.unwrap().into_bytes(), old);
    assert_eq!(fixture.get("x").await.unwrap(), "new");
}

#[tokio::test]
async fn a_copy_takes_the_metadata_or_gets_its_own() {
    let fixture = Fixture::new().await;
    let put = fixture.client.put_object().bucket(BUCKET).key("a b+").body(ByteStream::from_static(b"1"));
    put.content_type("image/png").metadata("a", "1").send().await.unwrap();
    let copy = || fixture.client.copy_object().copy_source(format!("{BUCKET}/a%20b%2B"));
    let head = |bucket, key| fixture.client.head_object().bucket(bucket).key(key).send();

    copy().bucket(OTHER_BUCKET).key("x").send().await.unwrap();
    let found = head(OTHER_BUCKET, "x").await.unwrap();
    assert_eq!((found.content_type.as_deref(), found.metadata.unwrap().len()), (Some("image/png"), 1));

    let replace = copy().bucket(OTHER_BUCKET).key("x").metadata_directive(MetadataDirective::Replace);
    replace.content_type("text/plain").send().await.unwrap();
    let found = head(OTHER_BUCKET, "x").await.unwrap();
    assert_eq!((found.content_type.as_deref(), found.metadata.unwrap_or_default().len()), (Some("text/plain"), 0));

    let onto_x = || copy().bucket(OTHER_BUCKET).key("x");
    let headers = [("if-none-match", "*"), ("if-match", "\"other\"")];
    for (name, value) in headers {
        let conditional = onto_x().customize().mutate_request(move |request| {
            request.headers_mut().insert(name, value);
        });
        assert_eq!(code(&conditional.send().await.unwrap_err()), "PreconditionFailed", "{name}");
    }
    assert_eq!(head(OTHER_BUCKET, "x").await.unwrap().content_type.as_deref(), Some("text/plain"));

    assert_eq!(code(&copy().bucket(BUCKET).key("a b+").send().await.unwrap_err()), "InvalidRequest");
    let version = fixture.client.copy_object().copy_source(format!("{BUCKET}/a%20b%2B?versionId=other"));
    assert_eq!(code(&version.bucket(BUCKET).key("x").send().await.unwrap_err()), "InvalidArgument");
    let missing = fixture.client.copy_object().copy_source(format!("{BUCKET}/none")).bucket(BUCKET).key("x");
    assert_eq!(code(&missing.send().await.unwrap_err()), "NoSuchKey");
}

#[tokio::test]
async fn malformed_requests_are_refused_and_the_server_lives() {
    let fixture = Fixture::new().await;
    for (method, path) in [
        (Method::GET, "/%ff"),
        (Method::GET, "/Bad_Bucket/x"),
        (Method::PUT, "/"),
        (Method::POST, "/darkroom-uploads?delete"),
        (Method::GET, "/darkroom-uploads?X-Amz-Signature=1"),
        (Method::GET, "/?X-Amz-Signature=1&X-Amz-Expires=-1"),
        (Method::PATCH, "/darkroom-uploads/x"),
    ] {
        let request = fixture.request(method, path).body(Bytes::new()).unwrap();
        let (status, body) = fixture.send(request).await;
        assert!(status.is_client_error() || status == 501, "{path}: {status} {body}");
    }
    fixture.put("x", b"still here").await;
}
