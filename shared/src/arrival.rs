//! An object that came into the uploads bucket, and the job that it gets if it came without one.

use std::time::Duration;

use serde::Deserialize;

use crate::job::{Job, JobId, ObjectVersion};
use crate::key;
use crate::time::Timestamp;

/// An object that came. Deserialises from `detail` of EventBridge's event "Object Created", whose key, unlike that of S3's own
/// event, is not encoded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "ObjectCreated")]
pub struct Arrival {
    /// The bucket it came into.
    pub bucket: String,
    /// Its key, decoded.
    pub key: String,
    /// Which version of the object it is.
    pub version: ObjectVersion,
}

impl Arrival {
    /// Id of the job of an object that came without an upload slot. The same version of the object has the same, however often
    /// it is heard of.
    pub fn job_id(&self) -> JobId {
        JobId::derived(&self.bucket, &self.key, self.version.version())
    }

    /// The job of an object that came without an upload slot.
    pub fn job(self, job_ttl: Duration, now: Timestamp) -> Job {
        let id = self.job_id();
        let Self { bucket, key, version } = self;
        let mut job = Job::of_object(id, &bucket, &key, version, now);
        job.filename = Some(key::file_name(&key).to_owned());
        job.expires_at = (now + job_ttl).epoch_seconds();
        job
    }
}

/// The version id as it is kept: buckets that were never versioned have none, and some tools say so by a word.
pub fn version_id(id: Option<String>) -> Option<String> {
    id.filter(|id| !matches!(id.as_str(), "" | "null"))
}

#[derive(Deserialize)]
struct ObjectCreated {
    bucket: BucketDetail,
    object: ObjectDetail,
}

#[derive(Deserialize)]
struct BucketDetail {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ObjectDetail {
    key: String,
    size: Option<u64>,
    etag: String,
    version_id: Option<String>,
    sequencer: Option<String>,
}

impl From<ObjectCreated> for Arrival {
    fn from(ObjectCreated { bucket, object }: ObjectCreated) -> Self {
        let version = ObjectVersion {
            e_tag: object.etag,
            version_id: version_id(object.version_id),
            size: object.size,
            sequencer: object.sequencer,
        };
        Self { bucket: bucket.name, key: object.key, version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_job_whoever_tells_of_it() {
        let detail = r#"{"version":"0","bucket":{"name":"b"},"object":{"key":"raw/a+b.jpg","size":1,"etag":"e",
            "version-id":"v","sequencer":"1"},"reason":"PutObject"}"#;
        let arrival: Arrival = serde_json::from_str(detail).unwrap();
        assert_eq!((arrival.key.as_str(), arrival.version.version()), ("raw/a+b.jpg", "v"));
        let (now, day) = (Timestamp::from_micros(0), Duration::from_hours(24));
        let job = arrival.clone().job(day, now);
        assert_eq!((job.filename.as_deref(), job.expires_at), (Some("a+b.jpg"), 86_400));
        let again =
            Arrival { version: ObjectVersion { sequencer: None, ..arrival.version.clone() }, ..arrival.clone() };
        assert_eq!(again.job(day, now).job_id, job.job_id);
        let newer = Arrival { version: ObjectVersion { version_id: None, ..arrival.version.clone() }, ..arrival };
        assert_ne!(newer.job(day, now).job_id, job.job_id);
    }
}
