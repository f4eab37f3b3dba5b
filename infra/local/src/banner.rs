//! What a person reads once everything runs: where it is, and three commands to try it with.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::stack::{ACCESS_KEY, REGION, SECRET_KEY, UPLOAD_BUCKET};

/// The text on standard output.
#[derive(Debug)]
pub(crate) struct Banner {
    pub(crate) api: SocketAddr,
    pub(crate) aws: SocketAddr,
    /// What callers have to send, if they have to.
    pub(crate) api_key: Option<String>,
    /// `None` if nothing is kept.
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) took: Duration,
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { api, aws, api_key, data_dir, took } = self;
        // As a shell takes it, whatever is in it.
        let key =
            api_key.as_ref().map(|key| format!(" -H 'x-api-key: {}'", key.replace('\'', r"'\''"))).unwrap_or_default();
        writeln!(f, "ready in {} ms\n", took.as_millis())?;
        writeln!(f, "  page and API  http://{api}")?;
        writeln!(f, "  AWS endpoint  http://{aws}  (access key {ACCESS_KEY}, secret {SECRET_KEY}, region {REGION})")?;
        match data_dir {
            Some(folder) => writeln!(f, "  data          {}\n", folder.display())?,
            None => writeln!(f, "  data          nothing is kept\n")?,
        }
        writeln!(f, "Ask for an upload URL, and put a photo there:\n")?;
        writeln!(
            f,
            "  SLOT=$(curl -s http://{api}/uploads{key} -H 'content-type: application/json' -d '{{\"filename\":\"cat.jpg\"}}'); echo \"$SLOT\""
        )?;
        writeln!(
            f,
            "  curl -T assets/samples/cat.jpg -H 'content-type: image/jpeg' \"$(echo \"$SLOT\" | sed 's/.*\"uploadUrl\":\"\\([^\"]*\\)\".*/\\1/')\"\n"
        )?;
        writeln!(f, "Or copy one straight into the bucket:\n")?;
        writeln!(
            f,
            "  AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY} AWS_REGION={REGION} \
             aws --endpoint-url http://{aws} s3 cp assets/samples/cat.jpg s3://{UPLOAD_BUCKET}/uploads/\n"
        )
    }
}
