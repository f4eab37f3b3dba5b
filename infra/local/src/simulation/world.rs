//! The world around the functions: what invokes them, as AWS does, with all that AWS may do wrong.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::surroundings;
use super::surroundings::{random, with_chance};
use super::wire::{INVOCATION, Invocation, PAUSE, Wire, collected};
use crate::functions::{Function, Functions};
use crate::queue_mapping;
use crate::sqs::{Message, Receive};
use crate::stack::{ACCOUNT, QUEUE, Stack};

/// How long a process that stands still is left alive.
const LIFE: Duration = Duration::from_mins(30);

/// When AWS repeats an event that a function did not take, after which it is dropped.
const EVENT_RETRIES: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(2)];

/// While photos come in, everything is looked at often; afterwards, seldom.
const BUSY: Duration = Duration::from_mins(5);

/// How much goes wrong besides the calls' faults, each from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mishaps {
    pub(super) lost_events: f64,
    pub(super) repeated_events: f64,
    pub(super) repeated_messages: f64,
    pub(super) lost_deletes: f64,
    pub(super) reconcile_at_once: f64,
}

impl Mishaps {
    pub(super) const NONE: Self = Self {
        lost_events: 0.0,
        repeated_events: 0.0,
        repeated_messages: 0.0,
        lost_deletes: 0.0,
        reconcile_at_once: 0.0,
    };
}

/// The world of one run.
pub(super) struct World {
    pub(super) mishaps: Mishaps,
    pub(super) stack: Stack,
    pub(super) wire: Arc<Wire>,
    pub(super) functions: Arc<Functions>,
    pub(super) gateway: Router,
    pub(super) invocations: AtomicU32,
    /// Whether mishaps still happen.
    pub(super) rough: AtomicBool,
}

impl World {
    fn happens(&self, random: &mut fastrand::Rng, probability: f64) -> bool {
        random.f64() < probability && self.rough.load(Ordering::Relaxed)
    }

    /// Runs a function to its end, or to the end of its process.
    pub(super) async fn invoke(&self, function: Function, event: Value) -> Result<Value, String> {
        let running = Box::pin(async { self.functions.call(function, event).await.map_err(|error| error.to_string()) });
        self.live(function, running).await.unwrap_or_else(|| Err("the process died".to_owned()))
    }

    async fn live<T>(&self, function: Function, running: impl Future<Output = T>) -> Option<T> {
        let number = self.invocations.fetch_add(1, Ordering::Relaxed);
        let (death, pause) = (CancellationToken::new(), AtomicBool::new(false));
        let invocation = Arc::new(Invocation { number, function, death, pause });
        let running = freezable(&self.wire, &invocation, INVOCATION.scope(Arc::clone(&invocation), running));
        let running = with_chance(random("invocation", number.into()).u64(..), running);
        tokio::select! {
            biased;
            () = invocation.death.cancelled() => None,
            done = running => Some(done),
            () = tokio::time::sleep(LIFE) => None,
        }
    }

    /// Sends a request to the HTTP API; its function may die over it.
    pub(super) async fn api(&self, method: Method, path: &str, body: Value) -> Option<(StatusCode, Value)> {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .header("host", "127.0.0.1:8080")
            .header("content-type", "application/json")
            .extension(ConnectInfo(std::net::SocketAddr::from(([127, 0, 0, 1], 4))))
            .body(body)
            .ok()?;
        let function = if method == Method::POST { Function::RequestUpload } else { Function::JobStatus };
        let answering = async { collected(self.gateway.clone().oneshot(request).await.unwrap_or_default()).await };
        let (parts, body) = self.live(function, answering).await?.into_parts();
        Some((parts.status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// Sends a request to SQS, as a person with a command line does.
    pub(super) async fn sqs(&self, action: &str, body: Value) -> Value {
        let request = Request::builder()
            .method(Method::POST)
            .uri("http://127.0.0.1:4566/")
            .header("host", "127.0.0.1:4566")
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .header("content-type", "application/x-amz-json-1.0")
            .body(Bytes::from(body.to_string()));
        let response = self.wire.serve(request.unwrap_or_default()).await;
        serde_json::from_slice(response.body()).unwrap_or_default()
    }

    /// Messages in a queue: visible, and in flight.
    pub(super) async fn queue_depth(&self, queue: &str) -> (u64, u64) {
        let answer = self.sqs("GetQueueAttributes", json!({ "QueueUrl": url(queue), "AttributeNames": ["All"] })).await;
        let count = |name: &str| answer["Attributes"][name].as_str().and_then(|n| n.parse().ok()).unwrap_or(0);
        (count("ApproximateNumberOfMessages"), count("ApproximateNumberOfMessagesNotVisible"))
    }

    /// Delivers the events of S3: some never, some twice, in any order.
    pub(super) async fn deliver_events(self: Arc<Self>) {
        let mut taken = HashSet::new();
        loop {
            self.pause(700, "events").await;
            let events = self.stack.s3.pending_events(64).await.unwrap_or_default();
            for event in events {
                if !taken.insert(event.id) {
                    continue;
                }
                let mut random = random("event", event.id as u64);
                let lost = self.happens(&mut random, self.mishaps.lost_events);
                let copies =
                    if lost { 0 } else { 1 + u32::from(self.happens(&mut random, self.mishaps.repeated_events)) };
                self.wire.state().observer.remark(&format!("event {}: {copies} deliveries", event.id));
                for copy in 0..copies {
                    let late = Duration::from_millis(if self.mishaps.repeated_events > 0.0 {
                        random.u64(..40_000)
                    } else {
                        0
                    });
                    let who = format!("event {} {copy}", event.id);
                    tokio::spawn(Arc::clone(&self).deliver(who, event.body.clone(), late));
                }
                let _ = self.stack.s3.event_delivered(event.id).await;
            }
        }
    }

    async fn deliver(self: Arc<Self>, who: String, body: Value, late: Duration) {
        tokio::time::sleep(late).await;
        for wait in EVENT_RETRIES {
            self.wire.turns.take(&who).await;
            if self.invoke(Function::Dispatcher, body.clone()).await.is_ok() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
        self.wire.turns.take(&who).await;
        if self.invoke(Function::Dispatcher, body).await.is_err() {
            self.wire.state().observer.remark("an event was dropped after its last try");
        }
    }

    /// Feeds the worker from the queue.
    pub(super) async fn poll(self: Arc<Self>, poller: u64) {
        let who = format!("poller {poller}");
        for round in 0.. {
            self.pause(1000, &who).await;
            let mut random = random("poll", round * 2 + poller);
            let receive = Receive { max: random.u32(1..=4), wait: Some(Duration::ZERO), visibility: None };
            let Ok(messages) = self.stack.sqs.receive(QUEUE, receive).await else { continue };
            if messages.is_empty() {
                continue;
            }
            if self.happens(&mut random, self.mishaps.repeated_messages) {
                self.show_again(&messages[0]).await;
            }
            let answer = self.invoke(Function::Worker, queue_mapping::event(QUEUE, &messages)).await;
            let Ok(answer) = answer else { continue };
            if !self.happens(&mut random, self.mishaps.lost_deletes) {
                self.wire.turns.take(&who).await;
                let _ = self.stack.sqs.delete(QUEUE, queue_mapping::succeeded(messages, &answer)).await;
            }
        }
    }

    /// Makes a message visible while it is worked on, as a standard queue may.
    async fn show_again(&self, message: &Message) {
        let handle = &message.receipt_handle;
        let request = json!({ "QueueUrl": url(QUEUE), "ReceiptHandle": handle, "VisibilityTimeout": 0 });
        self.sqs("ChangeMessageVisibility", request).await;
    }

    /// Wakes the dispatcher every five minutes, at times twice at once, and has the bucket swept every half an hour.
    pub(super) async fn tick(self: Arc<Self>) {
        for round in 1.. {
            tokio::time::sleep(Duration::from_mins(5)).await;
            self.wire.turns.take("clock").await;
            let mut random = random("clock", round);
            let action = if round % 6 == 0 { "sweep" } else { "reconcile" };
            if self.happens(&mut random, self.mishaps.reconcile_at_once) {
                let again = Arc::clone(&self);
                tokio::spawn(async move { again.invoke(Function::Dispatcher, json!({ "action": "reconcile" })).await });
            }
            let world = Arc::clone(&self);
            tokio::spawn(async move { world.invoke(Function::Dispatcher, json!({ "action": action })).await });
        }
    }

    /// Waits about so many milliseconds, and then for a turn of `who`.
    async fn pause(&self, millis: u64, who: &str) {
        let now = surroundings::elapsed();
        let millis = if now < BUSY { millis } else { millis * 12 };
        let next = (now.as_millis() as u64 / millis + 1) * millis;
        tokio::time::sleep(Duration::from_millis(next).saturating_sub(now)).await;
        self.wire.turns.take(who).await;
    }
}

/// A future that stands still for a while when its invocation is told to.
async fn freezable<F: Future>(wire: &Wire, invocation: &Invocation, running: F) -> F::Output {
    let mut running = pin!(running);
    loop {
        let step = poll_fn(|context| match running.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if invocation.pause.swap(false, Ordering::Relaxed) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match step.await {
            Some(done) => return done,
            // OK either way: what matters is that it goes on, and when.
            None => {
                drop(tokio::time::timeout(PAUSE, wire.claimed.notified()).await);
                wire.turns.take(&invocation.name()).await;
            }
        }
    }
}

pub(super) fn url(queue: &str) -> String {
    format!("http://127.0.0.1:4566/{ACCOUNT}/{queue}")
}
