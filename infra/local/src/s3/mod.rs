//! S3 on this machine: the protocol by the crate `s3s`, the store by us.
//!
//! A [`Store`] keeps metadata in SQLite and bytes in files, and writes the event of an object in the very transaction
//! that makes it visible; [`outbox`] hands events out for delivery. [`service`] puts S3's wire protocol, with its
//! signatures, in front of a store.
//!
//! Deliberately absent: versions, ACLs, policies, tags, encryption, lifecycle rules, and everything that configures a
//! bucket. CORS and the check of the `Host` belong to the endpoint that serves this.
//!
//! | file | what stands there |
//! |---|---|
//! | `operations` | which function answers which operation |
//! | `read` `write` `copy` `list` `multipart` `complete` `uploads` `bucket` | the operations |
//! | `object` `content` `attributes` `checksum` | what an object is: row, bytes, headers, checksum |
//! | `body` `condition` `access` | what is demanded of a request |
//! | `drain` | what is done with a body that nobody wants |
//! | `event` `outbox` | the notification, and its wait for delivery |
//! | `store` `walk` `error` | database and folder, the walk over keys, refusals |

mod access;
mod attributes;
mod body;
mod bucket;
mod checksum;
mod complete;
mod condition;
mod content;
mod copy;
mod drain;
mod error;
mod event;
mod list;
mod multipart;
mod object;
mod operations;
mod outbox;
mod read;
mod store;
#[cfg(test)]
mod tests;
mod uploads;
mod walk;
mod write;

use std::sync::Arc;

use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};

pub(crate) use self::access::{Credentials, Keys, has_impossible_signature};
pub(crate) use self::drain::drained;
pub(crate) use self::error::Error;
pub(crate) use self::event::EventRule;
pub(crate) use self::outbox::OutboxEvent;
pub(crate) use self::store::{OpenError, Store};

/// The region that signatures have to name, and events say.
pub(crate) const REGION: &str = "us-east-1";

/// Most bytes of an upload by HTML form, which s3s holds in memory until it knows the whole.
const MAX_FORM_BYTES: u64 = 64 << 20;

/// S3 over `store`, for whoever signs with one of `keys`. Path-style addresses only.
///
/// The service is cheap to clone. Hand it requests through [`drained`], or clients may miss the refusal of an upload.
pub(crate) fn service(store: Arc<Store>, keys: Keys) -> S3Service {
    let mut config = S3Config::default();
    config.post_object_max_file_size = MAX_FORM_BYTES;
    let mut builder = S3ServiceBuilder::new(operations::Operations(store));
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.set_access(access::Access { public_key: keys.public.access_key.clone() });
    builder.set_auth(keys);
    builder.build()
}
