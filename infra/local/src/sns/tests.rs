//! The topics as the real SDK client sees them.

use std::sync::Arc;

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use axum::Router;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Sns;
use crate::data_dir::DataDir;
use crate::{server, stack};

async fn start(dir: &DataDir) -> (Arc<Sns>, Client) {
    let sns = Sns::open(&dir.path().join("sns.sqlite")).unwrap();
    let (listener, address) = server::listen("127.0.0.1:0".parse().unwrap(), "").await.unwrap();
    let served = Arc::clone(&sns);
    let router = Router::new().fallback(|request| async move { Arc::clone(&served).handle(request).await });
    tokio::spawn(server::serve(listener, router, CancellationToken::new()));
    (sns, Client::new(&stack::sdk_config(address, &stack::public_key())))
}

async fn read(sns: &Sns, query: &str) -> Value {
    let body = sns.notifications(query).await.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn what_is_published_can_be_read() {
    let dir = DataDir::ephemeral().unwrap();
    let (sns, client) = start(&dir).await;
    let topic = client.create_topic().name("t").send().await.unwrap().topic_arn.unwrap();
    let status = MessageAttributeValue::builder().data_type("String").string_value("COMPLETED").build().unwrap();
    let publish = client.publish().topic_arn(&topic);
    let first = publish.clone().message("é <&> +").message_attributes("status", status).send().await.unwrap();
    publish.subject("s").message("second").send().await.unwrap();

    let mut all = read(&sns, "").await;
    let time = all[0]["time"].take();
    assert_eq!(time.as_str().map(str::len), Some("2026-11-21T10:25:38.317753Z".len()));
    let expected = json!({
        "sequence": 1,
        "messageId": first.message_id(),
        "topicArn": topic,
        "message": "é <&> +",
        "attributes": { "status": { "type": "String", "value": "COMPLETED" } },
        "time": null,
    });
    assert_eq!(all[0], expected);
    assert_eq!(all[1]["subject"], "s");
    assert_eq!(read(&sns, "after=1").await.as_array().unwrap().len(), 1);
    assert_eq!(read(&sns, "limit=1").await[0]["sequence"], 1);
    assert_eq!(read(&sns, "limit=many").await["code"], "INVALID_REQUEST");

    // Everything is there after a restart.
    let (sns, client) = start(&dir).await;
    assert_eq!(read(&sns, "").await.as_array().unwrap().len(), 2);
    assert_eq!(client.list_topics().send().await.unwrap().topics()[0].topic_arn(), Some(topic.as_str()));
}

#[tokio::test]
async fn requests_that_aws_refuses_are_refused() {
    let dir = DataDir::ephemeral().unwrap();
    let (_, client) = start(&dir).await;
    let gone = client.publish().topic_arn(super::arn("gone")).message("x").send().await.unwrap_err();
    assert!(gone.as_service_error().unwrap().is_not_found_exception());
    let elsewhere = client.publish().topic_arn("arn:aws:sns:eu-west-1:1:t").message("x").send().await.unwrap_err();
    assert!(elsewhere.as_service_error().unwrap().is_not_found_exception());
    let unnamed = client.create_topic().name("a b").send().await.unwrap_err();
    assert!(unnamed.as_service_error().unwrap().is_invalid_parameter_exception());
    let topic = client.create_topic().name("t").send().await.unwrap().topic_arn.unwrap();
    for message in [String::new(), "x".repeat(256 * 1024 + 1)] {
        let refused = client.publish().topic_arn(&topic).message(message).send().await.unwrap_err();
        assert!(refused.as_service_error().unwrap().is_invalid_parameter_exception());
    }
}
