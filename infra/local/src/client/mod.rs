//! `darkroom upload` and `darkroom jobs`: clients of the HTTP API, wherever that runs.
//!
//! Everything here goes through the public API, so any other client can do the same.

mod api;
mod download;
mod files;
mod jobs;
mod names;
mod outcome;
mod photo;
mod problem;
mod progress;
mod table;
mod upload;

use std::process::ExitCode;

pub(crate) use jobs::run as jobs;
pub(crate) use upload::run as upload;

/// How a command ended. The exit codes are promised in docs/command-line.md; 2 is for arguments that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything came out.
    Complete,
    /// Some photos did not come out.
    SomeFailed,
    /// Somebody stopped it.
    Stopped,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(match end {
            End::Complete => 0,
            End::SomeFailed => 3,
            // As shells have it: 128 and the number of SIGINT.
            End::Stopped => 130,
        })
    }
}
