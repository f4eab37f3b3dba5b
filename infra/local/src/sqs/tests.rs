//! The queues as the real SDK client sees them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata as _;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use axum::Router;
use tokio_util::sync::CancellationToken;

use super::{Error, Sqs, content, message, now, store};
use crate::data_dir::DataDir;
use crate::{server, stack};

impl Sqs {
    /// Sends a message without a detour over HTTP.
    pub(crate) async fn send(&self, queue: &'static str, body: &'static str) -> Result<(), Error> {
        let none = content::Attributes::new();
        self.transact(move |tx| message::send(tx, &store::queue(tx, queue)?, body, &none, None, now()).map(drop)).await
    }
}

/// A running service with an empty queue.
struct Server {
    client: Client,
    url: String,
    stop: CancellationToken,
}

impl Server {
    async fn start(dir: &Path) -> Self {
        let stop = CancellationToken::new();
        let sqs = Sqs::open(&dir.join("sqs.sqlite"), stop.clone()).unwrap();
        let (listener, address) = server::listen("127.0.0.1:0".parse().unwrap(), "").await.unwrap();
        let router = Router::new().fallback(|request| async move { Arc::clone(&sqs).handle(request).await });
        tokio::spawn(server::serve(listener, router, stop.clone()));
        let client = Client::new(&stack::sdk_config(address, &stack::public_key()));
        let url = client.create_queue().queue_name("q").send().await.unwrap().queue_url.unwrap();
        Self { client, url, stop }
    }

    /// Another queue, from which `q` gets what it was never able to process after `max` receives.
    async fn dead_letter_queue(&self, max: u32) -> String {
        let url = self.client.create_queue().queue_name("dead").send().await.unwrap().queue_url.unwrap();
        let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"{max}"}}"#, super::arn("dead"));
        self.set(QueueAttributeName::RedrivePolicy, &policy).await;
        url
    }

    async fn set(&self, name: QueueAttributeName, value: &str) {
        self.client.set_queue_attributes().queue_url(&self.url).attributes(name, value).send().await.unwrap();
    }

    async fn send(&self, body: &str) {
        self.client.send_message().queue_url(&self.url).message_body(body).send().await.unwrap();
    }

    async fn receive(&self, url: &str) -> Vec<Message> {
        let request = self.client.receive_message().queue_url(url).max_number_of_messages(10);
        let all = MessageSystemAttributeName::All;
        request.message_system_attribute_names(all).send().await.unwrap().messages.unwrap_or_default()
    }

    /// Receives from `q`, and gives back at once.
    async fn receive_and_release(&self) -> Vec<Message> {
        let request = self.client.receive_message().queue_url(&self.url).visibility_timeout(0);
        request.send().await.unwrap().messages.unwrap_or_default()
    }

    /// Messages visible, in flight, delayed.
    async fn counts(&self) -> [i32; 3] {
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let attributes = request.attribute_names(QueueAttributeName::All).send().await.unwrap().attributes.unwrap();
        [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ]
        .map(|name| attributes[&name].parse().unwrap())
    }
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

fn handle(message: &Message) -> &str {
    message.receipt_handle().unwrap()
}

fn system<'a>(message: &'a Message, name: &MessageSystemAttributeName) -> &'a str {
    &message.attributes().unwrap()[name]
}

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(dir.path()).await;
    let text = MessageAttributeValue::builder().data_type("String").string_value("é").build().unwrap();
    let binary =
        MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 255])).build().unwrap();
    let sent =
        server.client.send_message().queue_url(&server.url).message_body("hi").message_attributes("t", text.clone());
    let sent = sent.message_attributes("b", binary.clone()).send().await.unwrap();
    assert_eq!(sent.md5_of_message_body().unwrap(), "49f68a5c8493ec2c0bf489821c21fc3b");

    let received = server.client.receive_message().queue_url(&server.url).message_attribute_names("All");
    let message = received.send().await.unwrap().messages.unwrap().remove(0);
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
    assert_eq!(message.message_attributes().unwrap(), &HashMap::from([("t".into(), text), ("b".into(), binary)]));
    assert_eq!(server.counts().await, [0, 1, 0]);

    server.client.delete_message().queue_url(&server.url).receipt_handle(handle(&message)).send().await.unwrap();
    assert_eq!(server.counts().await, [0, 0, 0]);
}

#[tokio::test]
async fn a_message_comes_back_after_its_visibility_timeout_and_its_old_handle_is_stale() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(dir.path()).await;
    server.send("x").await;
    let first = server.receive(&server.url).await.remove(0);
    assert!(server.receive(&server.url).await.is_empty());

    let change = server.client.change_message_visibility().queue_url(&server.url).receipt_handle(handle(&first));
    change.clone().visibility_timeout(1).send().await.unwrap();
    let waiting = server.client.receive_message().queue_url(&server.url).wait_time_seconds(5);
    let started = Instant::now();
    let second = waiting.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    let second = second.messages.unwrap().remove(0);
    assert!((800..2500).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    assert_eq!(system(&second, &MessageSystemAttributeName::ApproximateReceiveCount), "2");

    assert_eq!(change.visibility_timeout(0).send().await.unwrap_err().code(), Some("InvalidParameterValue"));
    let delete = server.client.delete_message().queue_url(&server.url);
    delete.clone().receipt_handle(handle(&first)).send().await.unwrap();
    assert_eq!(server.counts().await, [0, 1, 0]);
    delete.receipt_handle(handle(&second)).send().await.unwrap();
    assert_eq!(server.counts().await, [0, 0, 0]);
}

#[tokio::test]
async fn a_long_poll_ends_with_a_message_with_its_time_or_with_the_server() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(dir.path()).await;
    let poll = |seconds| server.client.receive_message().queue_url(&server.url).wait_time_seconds(seconds).send();
    let started = Instant::now();
    assert!(poll(1).await.unwrap().messages.is_none());
    assert!((900..2000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());

    let started = Instant::now();
    let send = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.send("x").await;
    };
    let (received, ()) = tokio::join!(poll(20), send);
    assert_eq!(received.unwrap().messages.unwrap().len(), 1);
    assert!((200..1000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());

    let stop = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.stop.cancel();
    };
    let (received, ()) = tokio::join!(poll(20), stop);
    assert!(received.unwrap().messages.is_none());
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_delayed_message_waits() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(dir.path()).await;
    let send = server.client.send_message().queue_url(&server.url).message_body("x");
    send.clone().delay_seconds(1).send().await.unwrap();
    assert_eq!(server.counts().await, [0, 0, 1]);
    assert!(server.receive(&server.url).await.is_empty());
    let waiting = server.client.receive_message().queue_url(&server.url).wait_time_seconds(5);
    assert_eq!(waiting.send().await.unwrap().messages.unwrap().len(), 1);
    assert_eq!(send.delay_seconds(901).send().await.unwrap_err().code(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn what_is_received_too_often_goes_to_the_dead_letter_queue_and_a_move_task_brings_it_back() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(dir.path()).await;
    let dead = server.dead_letter_queue(2).await;
    server.send("x").await;
    let id = server.receive_and_release().await.remove(0).message_id;
    assert_eq!(server.receive_and_release().await.len(), 1);
    assert!(server.receive_and_release().await.is_empty());
    assert_eq!(server.counts().await, [0, 0, 0]);

    let buried = server.receive(&dead).await.remove(0);
    assert_eq!(buried.message_id, id);
    assert_eq!(system(&buried, &MessageSystemAttributeName::ApproximateReceiveCount), "3");
    assert_eq!(system(&buried, &MessageSystemAttributeName::DeadLetterQueueSourceArn), super::arn("q"));
    let release = server.client.change_message_visibility().queue_url(&dead).receipt_handle(handle(&buried));
    release.visibility_timeout(0).send().await.unwrap();

    let task = || server.client.start_message_move_task();
    assert_eq!(task().source_arn(super::arn("q")).send().await.unwrap_err().code(), Some("InvalidParameterValue"));
    assert_eq!(
        task().source_arn(super::arn("gone")).send().await.unwrap_err().code(),
        Some("ResourceNotFoundException")
    );
    task().source_arn(super::arn("dead")).send().await.unwrap();
    let again = server.receive(&server.url).await.remove(0);
    assert_ne!(again.message_id, id);
    assert_eq!(system(&again, &MessageSystemAttributeName::ApproximateReceiveCount), "1");
    let tasks = server.client.list_message_move_tasks().source_arn(super::arn("dead")).send().await.unwrap();
    assert_eq!(tasks.results()[0].status(), Some("COMPLETED"));
    assert_eq!(tasks.results()[0].approximate_number_of_messages_moved(), 1);
}

#[tokio::test]
async fn batches_tell_what_failed_and_do_the_rest() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(dir.path()).await;
    let entry =
        |id: &str, body: &str| SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap();
    let send = || server.client.send_message_batch().queue_url(&server.url);
    let answer =
        send().entries(entry("a", "1")).entries(entry("b", "\u{1}")).entries(entry("c", "3")).send().await.unwrap();
    assert_eq!(answer.successful().len(), 2);
    assert_eq!((answer.failed()[0].id(), answer.failed()[0].code()), ("b", "InvalidMessageContents"));

    let refused = async |entries: Vec<SendMessageBatchRequestEntry>, code| {
        let error = send().set_entries(Some(entries)).send().await.unwrap_err();
        assert_eq!(error.code(), Some(format!("AWS.SimpleQueueService.{code}").as_str()));
    };
    refused(vec![], "EmptyBatchRequest").await;
    refused((0..11).map(|n| entry(&n.to_string(), "x")).collect(), "TooManyEntriesInBatchRequest").await;
    refused(vec![entry("a", "x"), entry("a", "x")], "BatchEntryIdsNotDistinct").await;
    refused(vec![entry("a b", "x")], "InvalidBatchEntryId").await;
    let large = "x".repeat(600 * 1024);
    refused(vec![entry("a", &large), entry("b", &large)], "BatchRequestTooLong").await;

    let messages = server.receive(&server.url).await;
    assert_eq!(bodies(&messages), ["1", "3"]);
    let entry = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let delete = server.client.delete_message_batch().queue_url(&server.url);
    let delete = delete.entries(entry("a", handle(&messages[0]))).entries(entry("b", "nonsense"));
    let deleted = delete.send().await.unwrap();
    assert_eq!(deleted.successful()[0].id(), "a");
    assert_eq!(deleted.failed()[0].code(), "ReceiptHandleIsInvalid");
    assert_eq!(server.counts().await, [0, 1, 0]);
}

#[tokio::test]
async fn requests_that_aws_refuses_are_refused() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(dir.path()).await;
    let (client, url) = (&server.client, &server.url);
    let gone = client.get_queue_url().queue_name("gone").send().await.unwrap_err();
    assert!(gone.as_service_error().unwrap().is_queue_does_not_exist());
    let header = gone.raw_response().unwrap().headers().get("x-amzn-query-error").unwrap();
    assert_eq!(header, "AWS.SimpleQueueService.NonExistentQueue;Sender");
    assert!(client.create_queue().queue_name("a b").send().await.is_err());
    let other = client.create_queue().queue_name("q").attributes(QueueAttributeName::DelaySeconds, "1");
    assert!(other.send().await.unwrap_err().as_service_error().unwrap().is_queue_name_exists());
    for (max, wait, visibility) in [(11, 0, 0), (0, 0, 0), (1, 21, 0), (1, 0, 43_201)] {
        let receive = client.receive_message().queue_url(url).max_number_of_messages(max).wait_time_seconds(wait);
        assert!(receive.visibility_timeout(visibility).send().await.is_err(), "{max} {wait} {visibility}");
    }
    let limit = "x".repeat(1024 * 1024);
    client.send_message().queue_url(url).message_body(&limit).send().await.unwrap();
    assert!(client.send_message().queue_url(url).message_body(limit + "x").send().await.is_err());
    assert!(client.send_message().queue_url(url).message_body("").send().await.is_err());
    let unknown = client.get_queue_attributes().queue_url(url).attribute_names("Colour".into());
    assert!(unknown.send().await.unwrap_err().as_service_error().unwrap().is_invalid_attribute_name());
}

#[tokio::test]
async fn queues_are_listed_purged_and_deleted() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(dir.path()).await;
    for name in ["qa", "qb", "r"] {
        server.client.create_queue().queue_name(name).send().await.unwrap();
    }
    let list = server.client.list_queues().queue_name_prefix("q").max_results(2);
    let page = list.clone().send().await.unwrap();
    assert_eq!(page.queue_urls(), [server.url.clone(), format!("{}a", server.url)]);
    let page = list.set_next_token(page.next_token).send().await.unwrap();
    assert_eq!((page.queue_urls().len(), page.next_token()), (1, None));

    server.send("x").await;
    server.client.purge_queue().queue_url(&server.url).send().await.unwrap();
    assert_eq!(server.counts().await, [0, 0, 0]);
    server.client.delete_queue().queue_url(&server.url).send().await.unwrap();
    assert!(server.client.purge_queue().queue_url(&server.url).send().await.is_err());
}

#[tokio::test]
async fn a_restart_keeps_messages_and_gives_back_those_in_flight() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(dir.path()).await;
    server.send("in flight").await;
    assert_eq!(server.receive(&server.url).await.len(), 1);
    server.send("waiting").await;
    let delayed = server.client.send_message().queue_url(&server.url).message_body("delayed").delay_seconds(900);
    delayed.send().await.unwrap();
    assert_eq!(server.counts().await, [1, 1, 1]);

    let server = Server::start(dir.path()).await;
    assert_eq!(server.counts().await, [2, 0, 1]);
    let messages = server.receive(&server.url).await;
    let counts = messages.iter().map(|message| system(message, &MessageSystemAttributeName::ApproximateReceiveCount));
    let mut counted: Vec<_> = bodies(&messages).into_iter().zip(counts).collect();
    counted.sort_unstable();
    assert_eq!(counted, [("in flight", "2"), ("waiting", "1")]);
}
