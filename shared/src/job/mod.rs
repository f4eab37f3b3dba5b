//! A job and its life: which moves are legal, and what each one changes.
//!
//! Everything here is pure: time arrives as an argument and nothing does I/O. [`crate::aws::JobTable`] applies one
//! move to the current row and writes it only if nobody else wrote in between, so what this module allows is all that
//! can ever happen in the table.
//!
//! ```text
//! PENDING ──claim──▶ PROCESSING ──complete──▶ COMPLETED
//!    │                  │  ▲ │ the lease ran out, or was released: claim again
//!    │                  │  └─┘
//!    └───────fail───────┴──────────────▶ FAILED ──redrive──▶ PENDING
//! ```

mod id;
mod life;
mod result;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use id::{InvalidJobId, JobId};
pub use life::{Delivery, End, Lease, Transition};
pub use result::{Classification, Derivative, Prediction, Source};

use crate::error::Code;
use crate::recipe::{Color, Recipe};
use crate::time::Timestamp;

/// How long after its URL expired an upload may still arrive: a slow connection may take this long to finish.
pub const UPLOAD_GRACE: Duration = Duration::from_hours(1);

/// How long a queued job may wait for a worker before reconcile queues it once more.
pub const REQUEUE_AFTER: Duration = Duration::from_mins(15);

/// How long after it should have come again a released job's message counts as lost: somebody else may have received it
/// meanwhile, found the job taken, and deleted it.
pub const RETRY_GRACE: Duration = Duration::from_secs(30);

/// How long after its lease ended a job counts as abandoned.
pub const LEASE_GRACE: Duration = Duration::from_secs(10);

/// How long a final job may stay unannounced before reconcile announces it.
pub const ANNOUNCE_AFTER: Duration = Duration::from_mins(1);

/// How long reconcile leaves a job alone that it could not take further.
pub const LOOK_AGAIN_AFTER: Duration = Duration::from_mins(5);

/// Receives that a message gets (the queue's `maxReceiveCount`), and claims after which a job whose worker vanished is
/// given up.
pub const MAX_ATTEMPTS: u32 = 5;

/// One job: its row in the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Primary key.
    pub job_id: JobId,
    /// Where the job stands, and what is known there. Flattened into the row under `status`.
    #[serde(flatten)]
    pub state: State,
    /// When the job was created.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// Whose job it is: the subject of the token that it was asked for with. Absent where nobody said who they are, and
    /// for objects that came without an upload slot. Not to be taken for the lease's owner, which is a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The uploads bucket.
    pub bucket: String,
    /// The photo's object key.
    pub s3_key: String,
    /// The name the user knows the photo by, as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// The client's own labels, echoed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// What was asked for; absent: the configured recipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Recipe>,
    /// Where the application wants to be told that the job is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// End of the presigned URL; absent for an object that came without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_expires_at: Option<Timestamp>,
    /// The object that arrived; absent while nothing has.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectVersion>,
    /// How often the job was claimed. Each claim's number is its fencing token.
    #[serde(default)]
    pub attempts: u32,
    /// How many of these were made before the job was last redriven or begun again; they no longer count against
    /// [`MAX_ATTEMPTS`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earlier_attempts: u32,
    /// When the message that last redrove the job was put back into the queue. What was sent before then is a late copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redriven_at: Option<Timestamp>,
    /// The newest work item of the job that is known of, by the id in its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_id: Option<String>,
    /// When reconcile looks at the job; absent once nothing is left to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// When the final state was announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_at: Option<Timestamp>,
    /// When the row may be forgotten, in seconds since 1970 (the table's TTL attribute).
    pub expires_at: i64,
    /// Counts writes of the row; a write names the revision it has read.
    #[serde(default)]
    pub revision: u64,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "UPPERCASE", rename_all_fields = "camelCase")]
pub enum State {
    /// Waits for its upload, or in the queue.
    Pending,
    /// A worker is at it.
    Processing {
        /// Who holds the lease.
        lease_owner: String,
        /// Until when nobody else may claim.
        lease_until: Timestamp,
    },
    /// Done. Never changes again.
    Completed(Box<Completed>),
    /// Over without a result. Changes by an explicit redrive only.
    Failed {
        /// Stable code.
        error_code: Code,
        /// A sentence for a person.
        error_message: String,
    },
}

/// What a completed job holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Completed {
    /// The photo.
    pub source: Source,
    /// What it shows.
    pub classification: Classification,
    /// What stands for it until it is loaded; absent in rows that were written before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<Placeholder>,
    /// What was made of it, in the recipe's order.
    pub derivatives: Vec<Derivative>,
    /// `s3://bucket/key` of the first derivative.
    pub processed_url: String,
    /// End of the download URLs that are kept in [`Self::derivatives`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_url_expires_at: Option<Timestamp>,
}

/// What a page shows in a photo's place before there is anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placeholder {
    /// The photo at a glance, in some twenty bytes, as base64: <https://evanw.github.io/thumbhash/>.
    pub thumb_hash: String,
    /// The colour that most of it has.
    pub dominant_color: Color,
}

/// Which version of an object a job is about, as the S3 event names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectVersion {
    /// `ETag` without quotes.
    pub e_tag: String,
    /// Version id, in a versioned bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Orders the events of one key; absent where a listing stood in for the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<String>,
}

impl ObjectVersion {
    /// What tells this version of the object from every other: its version id, else its `ETag`.
    pub fn version(&self) -> &str {
        self.version_id.as_deref().unwrap_or(&self.e_tag)
    }

    /// Whether this is another version that came after `other`, by their sequencers: padded on the right to one length,
    /// compared as text, as S3 prescribes. Without both there is no saying, and news counts as newer.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        match (&self.sequencer, &other.sequencer) {
            (Some(mine), Some(theirs)) => {
                let width = mine.len().max(theirs.len());
                format!("{mine:0<width$}") > format!("{theirs:0<width$}")
            }
            _ => self.version() != other.version(),
        }
    }
}

/// A job's state without what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the same names as in `State`")]
pub enum Status {
    Pending,
    Processing,
    Completed,
    Failed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Processing, Self::Completed, Self::Failed];

    /// The status as it stands in rows and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Processing => "PROCESSING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Job {
    /// The job's status.
    pub fn status(&self) -> Status {
        match self.state {
            State::Pending => Status::Pending,
            State::Processing { .. } => Status::Processing,
            State::Completed(_) => Status::Completed,
            State::Failed { .. } => Status::Failed,
        }
    }

    /// Whether the job has come to its end.
    pub fn is_final(&self) -> bool {
        matches!(self.state, State::Completed(_) | State::Failed { .. })
    }

    /// Whether reconcile gave up on the job. It announces that itself, once it has laid down the evidence to redrive it by.
    pub fn is_timed_out(&self) -> bool {
        matches!(self.state, State::Failed { error_code: Code::TimedOut, .. })
    }

    /// What a completed job holds.
    pub fn completed(&self) -> Option<&Completed> {
        match &self.state {
            State::Completed(completed) => Some(completed),
            _ => None,
        }
    }

    /// Whether the row is past its time to live. `DynamoDB` deletes such rows within days, not at once.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now.epoch_seconds()
    }
}
