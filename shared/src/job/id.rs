//! The job's id: a UUID, random for an upload slot, derived for an object that came without one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Names a job in the API, the table, the queue and the keys of its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

/// The text is not a hyphenated UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct InvalidJobId;

/// Under which derived ids are made. Changing it would give every direct upload a second job.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_2b54_8f0e_4b6e_9d5b_3d1f_7a90_c3e2);

impl JobId {
    /// The id of an upload slot, from a UUID like no other.
    pub fn of_slot(random: Uuid) -> Self {
        Self(random)
    }

    /// The id of the batch's file `index`, where the whole batch was given one id (UUIDv5).
    pub fn of_batch(batch: Self, index: usize) -> Self {
        Self(Uuid::new_v5(&batch.0, index.to_string().as_bytes()))
    }

    /// A random id (UUIDv4).
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id of an object that nobody asked a slot for (UUIDv5).
    ///
    /// `version` is the object's version id, else its `ETag`: the same event twice, or a listing instead of the event,
    /// gives the same job, and other bytes under the same key give another one.
    pub fn derived(bucket: &str, key: &str, version: &str) -> Self {
        // NUL cannot stand in a bucket name or a version, so no two triples share a name.
        Self(Uuid::new_v5(&NAMESPACE, format!("{bucket}\0{version}\0{key}").as_bytes()))
    }

    /// A number from 0 to `shards − 1`, spread evenly over ids: which shard of an index the job stands in.
    pub fn shard(self, shards: u8) -> u8 {
        (self.0.as_u128() % u128::from(shards)) as u8
    }
}

impl FromStr for JobId {
    type Err = InvalidJobId;

    fn from_str(text: &str) -> Result<Self, InvalidJobId> {
        // `Uuid` also reads braces, URNs and 32 bare digits; one job has one spelling here, case aside.
        if text.len() != 36 {
            return Err(InvalidJobId);
        }
        Uuid::parse_str(text).map(Self).map_err(|_| InvalidJobId)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hyphenated_uuids_parse() {
        let id = JobId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "../x", "6f1c2b548f0e4b6e9d5b3d1f7a90c3e2", "{6f1c2b54-8f0e-4b6e-9d5b-3d1f7a90c3e2}"] {
            assert_eq!(bad.parse::<JobId>(), Err(InvalidJobId), "{bad}");
        }
    }

    #[test]
    fn a_derived_id_depends_on_bucket_key_and_version() {
        let id = JobId::derived("b", "uploads/cat.jpg", "v1");
        assert_eq!(id, JobId::derived("b", "uploads/cat.jpg", "v1"));
        assert_ne!(id, JobId::derived("b", "uploads/cat.jpg", "v2"));
        assert_ne!(id, JobId::derived("b", "uploads/dog.jpg", "v1"));
        assert_ne!(id, JobId::derived("c", "uploads/cat.jpg", "v1"));
    }
}
