//! The AWS services as Darkroom uses them: the only place that names an AWS SDK.
//!
//! Every call answers with a [`Failure`], so callers know whether a retry helps without knowing the SDK. Nothing else
//! in this crate uses this module.

mod announce;
mod bucket;
mod callback_queue;
mod caller;
mod dead_letter_queue;
mod job_table;
mod listing;
mod reservation;
mod topic;
mod work_queue;

use std::time::Duration;

use aws_config::BehaviorVersion;
pub use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls;

pub use announce::Announcer;
pub use bucket::{Bucket, Fence, FetchError, Fetched, ListedObject, ListedObjects, PresignedPut, PutTerms};
pub use callback_queue::CallbackQueue;
pub use caller::{Caller, NoAnswer};
pub use dead_letter_queue::{DeadLetter, DeadLetterQueue};
pub use job_table::JobTable;
pub use listing::{Cursor, JobPage};
pub use reservation::Reservation;
pub use topic::Topic;
pub use work_queue::WorkQueue;

use crate::error::Failure;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest single try of a call, up to the head of its answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// What a person is told of a call whose answer did not come, or not whole.
const NO_ANSWER: &str = "a service we depend on did not answer";

/// The SDK's configuration on Lambda: region, credentials and endpoints from the environment, as the SDK reads them.
pub async fn sdk_config() -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts())
        .load()
        .await
}

/// How long a call may take before it counts as failed.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build()
}

/// Sorts an SDK error by whether a retry helps.
///
/// Missing permissions and expired credentials count as passing: somebody can mend them while the message waits, and
/// until then it ends in the dead-letter queue, from where it can be redriven.
fn failure<E>(error: SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let cause = match &error {
        SdkError::ConstructionFailure(_) => None,
        SdkError::ServiceError(service) => match service.raw().status().as_u16() {
            403 => Some("a service we depend on refused us"),
            429 => Some("a service we depend on was too busy"),
            500.. => Some("a service we depend on had an error"),
            _ => is_passing_code(service.err().code().unwrap_or_default())
                .then_some("a service we depend on could not do it just then"),
        },
        // Time-outs, connections that broke, answers cut short, and whatever the SDK adds to its list.
        _ => Some(NO_ANSWER),
    };
    match cause {
        Some(cause) => Failure::transient(cause, error),
        None => Failure::permanent(error),
    }
}

/// Codes that come with status 400 (or 409) and pass all the same.
fn is_passing_code(code: &str) -> bool {
    matches!(
        code,
        "AccessDenied"
            | "AccessDeniedException"
            | "ConditionalRequestConflict"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "IncompleteBody"
            | "InternalServerError"
            | "KMS.DisabledException"
            | "KMS.ThrottlingException"
            | "KMSDisabled"
            | "KMSThrottling"
            | "KmsDisabled"
            | "KmsThrottled"
            | "LimitExceededException"
            | "OperationAborted"
            | "OverLimit"
            | "ProvisionedThroughputExceededException"
            | "RequestExpired"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestTimeout"
            | "RequestTimeTooSkewed"
            | "SlowDown"
            | "ThrottledException"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
            | "TransactionInProgressException"
            | "UnrecognizedClientException"
    )
}
