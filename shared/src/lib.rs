//! What two or more of Darkroom's functions need: the job and its life, objects that came, object keys, recipes, messages, errors,
//! configuration, HTTP answers, logging, and the AWS services.
//!
//! Nothing here names Lambda, and only [`aws`] names an AWS SDK.

pub mod access;
pub mod ambient;
pub mod arrival;
#[cfg(feature = "aws")]
pub mod aws;
pub mod callback;
pub mod config;
pub mod error;
pub mod format;
pub mod http;
pub mod inline_image;
pub mod job;
pub mod key;
pub mod message;
pub mod object;
pub mod recipe;
pub mod results;
pub mod telemetry;
pub mod time;
