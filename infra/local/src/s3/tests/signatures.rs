//! Signatures: who may do what, and only that.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::PresigningConfig;
use bytes::Bytes;
use http::Method;

use super::{ACCESS_KEY, BUCKET, Fixture, OWN_ACCESS_KEY, OWN_SECRET_KEY, SECRET_KEY, client, code, presigned};

fn for_a_minute() -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_mins(1)).unwrap()
}

/// PUTs with the headers that were signed and these besides; a header that is there already is replaced.
async fn put(
    fixture: &Fixture,
    path: Option<(&str, &str)>,
    headers: &[(&'static str, &str)],
    body: &[u8],
) -> (u16, String) {
    let put = fixture.client.put_object().bucket(BUCKET).key("uploads/x").content_type("image/jpeg");
    let signed = put.content_length(5).presigned(for_a_minute()).await.unwrap();
    let mut request = presigned(&signed).body(Bytes::copy_from_slice(body)).unwrap();
    // The client sets it from the body.
    request.headers_mut().remove("content-length");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    if let Some((from, to)) = path {
        assert!(signed.uri().contains(from));
        *request.uri_mut() = signed.uri().replacen(from, to, 1).parse().unwrap();
    }
    let (status, body) = fixture.send(request).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn a_presigned_put_is_good_for_what_was_signed() {
    let fixture = Fixture::new().await;
    assert_eq!(put(&fixture, None, &[], b"hello").await.0, 200);
    assert_eq!(fixture.get("uploads/x").await.unwrap(), "hello");
    // Neither is an instruction to S3 that the signer would have to know of.
    let harmless = [("user-agent", "test"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")];
    assert_eq!(put(&fixture, None, &harmless, b"hello").await.0, 200);
}

#[tokio::test]
async fn a_presigned_put_is_good_for_nothing_else() {
    let fixture = Fixture::new().await;
    for (path, headers, body, refusal) in [
        (None, &[("x-amz-meta-recipe", "x")][..], "hello", "AccessDenied"),
        (None, &[("x-amz-acl", "public-read")], "hello", "AccessDenied"),
        (None, &[("content-type", "text/html")], "hello", "SignatureDoesNotMatch"),
        (None, &[], "hello, world", "SignatureDoesNotMatch"),
        (Some(("uploads/x", "uploads/y")), &[], "hello", "SignatureDoesNotMatch"),
        (Some(("X-Amz-Expires=60", "X-Amz-Expires=600")), &[], "hello", "SignatureDoesNotMatch"),
        (Some(("X-Amz-SignedHeaders=", "X-Amz-SignedHeaders=x-amz-acl%3B")), &[], "hello", "SignatureDoesNotMatch"),
        (
            Some(("X-Amz-SignedHeaders=", "X-Amz-Signed%48eaders=")),
            &[("x-amz-acl", "private")],
            "hello",
            "AccessDenied",
        ),
        (Some(("Credential=darkroom", "Credential=nobody")), &[], "hello", "InvalidAccessKeyId"),
    ] {
        let (status, answer) = put(&fixture, path, headers, body.as_bytes()).await;
        assert_eq!(status, 403, "{path:?} {headers:?}: {answer}");
        assert!(answer.contains(refusal), "{path:?} {headers:?}: {answer}");
    }
    fixture.check_empty();
}

#[tokio::test]
async fn a_presigned_url_expires() {
    let fixture = Fixture::new().await;
    fixture.put("x", b"hello").await;
    let signed = |age| {
        let config = PresigningConfig::builder()
            .start_time(SystemTime::now() - Duration::from_secs(age))
            .expires_in(Duration::from_mins(1));
        fixture.client.get_object().bucket(BUCKET).key("x").presigned(config.build().unwrap())
    };
    let request = presigned(&signed(50).await.unwrap()).body(Bytes::new()).unwrap();
    assert_eq!(fixture.send(request).await, (http::StatusCode::OK, "hello".to_owned()));
    let request = presigned(&signed(70).await.unwrap()).body(Bytes::new()).unwrap();
    let (status, body) = fixture.send(request).await;
    assert_eq!(status, 403);
    assert!(body.contains("Request has expired"), "{body}");
}

#[tokio::test]
async fn a_signed_checksum_binds_the_bytes() {
    let fixture = Fixture::new().await;
    // SHA-256 of "hello".
    let put = fixture.client.put_object().bucket(BUCKET).key("uploads/x");
    let put = put.checksum_sha256("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    let signed = put.presigned(for_a_minute()).await.unwrap();
    let (status, body) = fixture.send(presigned(&signed).body(Bytes::from_static(b"hellO")).unwrap()).await;
    assert_eq!(status, 400);
    assert!(body.contains("BadDigest"), "{body}");
    fixture.check_empty();
    let (status, _) = fixture.send(presigned(&signed).body(Bytes::from_static(b"hello")).unwrap()).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn without_the_key_nothing_is_allowed() {
    let fixture = Fixture::new().await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
        let request = fixture.request(method, "/darkroom-uploads/x").body(Bytes::new()).unwrap();
        assert_eq!(fixture.send(request).await.0, 403);
    }
    let list = |access_key, secret_key| client(fixture.address, access_key, secret_key).list_buckets().send();
    assert_eq!(code(&list(ACCESS_KEY, "wrong").await.unwrap_err()), "SignatureDoesNotMatch");
    assert_eq!(code(&list("nobody", SECRET_KEY).await.unwrap_err()), "InvalidAccessKeyId");
    assert_eq!(list(ACCESS_KEY, SECRET_KEY).await.unwrap().buckets().len(), 2);
}

#[tokio::test]
async fn a_page_from_elsewhere_needs_a_url_of_the_functions() {
    let fixture = Fixture::new().await;
    fixture.put("x", b"hello").await;
    let (public, own) = ((ACCESS_KEY, SECRET_KEY), (OWN_ACCESS_KEY, OWN_SECRET_KEY));
    for (key, origin, status) in [
        (public, None, 200),
        (public, Some("http://localhost:3000"), 200),
        (public, Some("https://evil.example"), 403),
        (public, Some("null"), 403),
        (own, None, 200),
        (own, Some("https://evil.example"), 200),
    ] {
        let client = client(fixture.address, key.0, key.1);
        let signed = client.get_object().bucket(BUCKET).key("x").presigned(for_a_minute()).await.unwrap();
        let mut request = presigned(&signed);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let (got, body) = fixture.send(request.body(Bytes::new()).unwrap()).await;
        assert_eq!(got, status, "{key:?} {origin:?}: {body}");
    }
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let fixture = Fixture::new().await;
    let body = Bytes::from(vec![0; 30_000_000]);
    let request = fixture.request(Method::PUT, "/darkroom-uploads/uploads/x").body(body).unwrap();
    let (status, body) = fixture.send(request).await;
    assert_eq!(status, 403);
    assert!(body.contains("AccessDenied"), "{body}");
}
