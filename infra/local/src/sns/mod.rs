//! Embedded SNS: topics that remember what was published to them, in the Query protocol (forms in, XML out).
//!
//! Nobody can subscribe. What was published is read back over HTTP instead:
//! `GET /_darkroom/notifications?limit=100&after=0` answers a JSON list, oldest first, of
//! `{"sequence","messageId","topicArn","subject"?,"message","attributes":{name:{"type","value"}},"time"}`. `after` is
//! the `sequence` of the last entry seen; the newest 10,000 are kept.
//!
//! Absent: subscriptions and filters, FIFO topics, `PublishBatch`, tags, message structures. Signatures are not
//! checked: who reaches this loopback address may publish, with any credentials.

mod error;
mod form;
mod store;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use rusqlite::Connection;
use serde_json::json;
use uuid::Uuid;

pub(crate) use error::Error;
use form::Form;

use crate::sqlite::OpenError;
use crate::stack::{ACCOUNT, REGION};

/// Path under which published messages are read.
pub(crate) const NOTIFICATIONS_PATH: &str = "/_darkroom/notifications";

/// Largest message, in bytes.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// Largest request: a message whose every byte is escaped in the form, and some room.
const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// The notification service.
#[derive(Debug)]
pub(crate) struct Sns {
    database: Arc<Mutex<Connection>>,
}

impl Sns {
    /// Opens the topics in `path`.
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, OpenError> {
        Ok(Arc::new(Self { database: Arc::new(Mutex::new(store::open(path)?)) }))
    }

    /// Creates a topic, if it is not there.
    pub(crate) async fn ensure_topic(&self, name: &'static str) -> Result<(), Error> {
        self.run(move |database| store::create_topic(database, name)).await
    }

    /// Answers one request of the protocol.
    pub(crate) async fn handle(&self, request: Request) -> Response {
        let answer = match Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect().await {
            Ok(body) => self.action(Form::parse(&body.to_bytes())).await,
            Err(error) => Err(Error::InvalidParameter(error.to_string())),
        };
        answer.unwrap_or_else(|error| {
            if let Some(cause) = std::error::Error::source(&error) {
                tracing::error!(error = cause, "a topic operation failed");
            }
            error.into_response()
        })
    }

    /// The messages published so far, as the module's documentation has it.
    pub(crate) async fn notifications(&self, query: &str) -> Response {
        let query = Form::parse(query.as_bytes());
        let number = |name: &str, default: u32| match query.get(name) {
            Some(text) => text.parse().map_err(|_| format!("{name} is not a number")),
            None => Ok(default),
        };
        let (limit, after) = match (number("limit", 100), number("after", 0)) {
            (Ok(limit), Ok(after)) => (limit, after),
            (Err(error), _) | (_, Err(error)) => {
                let body = json!({ "error": error, "code": "INVALID_REQUEST", "requestId": Uuid::new_v4() });
                return json_response(StatusCode::BAD_REQUEST, body.to_string());
            }
        };
        match self.run(move |database| store::published(database, after, limit.clamp(1, 1000))).await {
            Ok(notifications) => json_response(StatusCode::OK, json!(notifications).to_string()),
            Err(error) => error.into_response(),
        }
    }

    async fn action(&self, form: Form) -> Result<Response, Error> {
        match form.get("Action").unwrap_or_default() {
            "CreateTopic" => {
                let name = form.required("Name")?.to_owned();
                let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
                if !(1..=256).contains(&name.len()) || !name.bytes().all(allowed) {
                    return Err(Error::InvalidParameter("Invalid parameter: Topic Name".to_owned()));
                }
                let result = format!("<TopicArn>{}</TopicArn>", arn(&name));
                self.run(move |database| store::create_topic(database, &name)).await?;
                Ok(xml("CreateTopic", &result))
            }
            "ListTopics" => {
                let names = self.run(store::topics).await?;
                let members = names.iter().map(|name| format!("<member><TopicArn>{}</TopicArn></member>", arn(name)));
                Ok(xml("ListTopics", &format!("<Topics>{}</Topics>", members.collect::<String>())))
            }
            "GetTopicAttributes" => {
                let topic = topic_name(form.required("TopicArn")?)?;
                let topic_arn = arn(&topic);
                self.run(move |database| store::check_topic(database, &topic)).await?;
                let attributes =
                    [("TopicArn", topic_arn.as_str()), ("Owner", ACCOUNT), ("SubscriptionsConfirmed", "0")];
                let entries = attributes
                    .map(|(name, value)| format!("<entry><key>{name}</key><value>{value}</value></entry>"))
                    .concat();
                Ok(xml("GetTopicAttributes", &format!("<Attributes>{entries}</Attributes>")))
            }
            "Publish" => {
                let topic = topic_name(form.get("TopicArn").map_or_else(|| form.required("TargetArn"), Ok)?)?;
                let message = form.required("Message")?.to_owned();
                if message.is_empty() || message.len() > MAX_MESSAGE_BYTES {
                    return Err(Error::InvalidParameter("Invalid parameter: Message too long or empty".to_owned()));
                }
                let subject = form.get("Subject").map(str::to_owned);
                let attributes = form.attributes()?;
                let message_id = Uuid::new_v4().to_string();
                let result = format!("<MessageId>{message_id}</MessageId>");
                self.run(move |database| {
                    store::check_topic(database, &topic)?;
                    store::publish(database, &topic, &message_id, subject.as_deref(), &message, &attributes)
                })
                .await?;
                Ok(xml("Publish", &result))
            }
            other => Err(Error::InvalidAction(other.to_owned())),
        }
    }

    /// Runs `work` off the async threads, for it may wait for the disk.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let database = Arc::clone(&self.database);
        // OK after a panic: each statement stands for itself.
        tokio::task::spawn_blocking(move || work(&database.lock().unwrap_or_else(PoisonError::into_inner))).await?
    }
}

/// The ARN of a topic.
pub(crate) fn arn(topic: &str) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:{topic}")
}

fn topic_name(topic_arn: &str) -> Result<String, Error> {
    let name = topic_arn.strip_prefix(&arn("")).ok_or(Error::NotFound)?;
    Ok(name.to_owned())
}

/// An answer in the Query protocol. `result` holds ids, ARNs and numbers only, so nothing in it needs escaping.
fn xml(action: &str, result: &str) -> Response {
    let request_id = Uuid::new_v4();
    let body = format!(
        "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    );
    ([(header::CONTENT_TYPE, "text/xml")], body).into_response()
}

const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

fn json_response(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
