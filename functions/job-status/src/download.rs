//! Download URLs: kept in the job's row, renewed before they expire, named as the user named the photo.

use std::time::Duration;

use futures::future::try_join_all;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use shared::aws::{Bucket, JobTable};
use shared::error::Failure;
use shared::format::Format;
use shared::job::{Completed, Derivative, Job, Transition};
use shared::key;
use shared::time::Timestamp;

/// How much of its life a stored URL must have left to be given out.
const MIN_REMAINING: Duration = Duration::from_mins(5);

/// What RFC 8187 leaves bare in an extended parameter's value.
const ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The job with download URLs that hold a while, if it is completed. Renewed ones are stored, so that every reader gets
/// the same.
pub(crate) async fn with_urls(
    job: Job,
    jobs: &JobTable,
    processed: &Bucket,
    ttl: Duration,
    now: Timestamp,
) -> Result<Job, Failure> {
    let Some(completed) = job.completed().filter(|completed| !is_fresh(completed, now)) else { return Ok(job) };
    let urls = try_join_all(completed.derivatives.iter().map(|derivative| {
        let disposition = disposition(&job, derivative);
        async move { processed.presign_get(&derivative.key, &disposition, &derivative.content_type, ttl).await }
    }))
    .await?;
    let renew = |job: &mut Job| match job.completed() {
        // Another reader was faster; theirs are as good.
        Some(completed) if is_fresh(completed, now) => Transition::Unchanged,
        _ => job.keep_urls(&urls, now + ttl),
    };
    jobs.update_from(job, now, renew).await
}

/// Never true where URLs live shorter than [`MIN_REMAINING`]: then every reader gets a new one.
fn is_fresh(completed: &Completed, now: Timestamp) -> bool {
    completed.download_url_expires_at.is_some_and(|expires_at| now + MIN_REMAINING <= expires_at)
}

/// `Content-Disposition` of a derivative: the user's file name with the derivative's extension (RFC 6266).
fn disposition(job: &Job, derivative: &Derivative) -> String {
    let original = job.filename.as_deref().unwrap_or_else(|| key::file_name(&job.s3_key));
    let name = key::safe_file_name(original).unwrap_or_else(|| derivative.name.clone());
    let format = Format::from_media_type(&derivative.content_type);
    let name = match format {
        Some(format) if Format::from_file_name(&name) != Some(format) => {
            let stem = match name.rsplit_once('.') {
                Some((stem, _)) if !stem.is_empty() && Format::from_file_name(&name).is_some() => stem,
                _ => &name,
            };
            format!("{stem}.{}", format.extension())
        }
        _ => name,
    };
    // For clients that read only the plain form; quotes and backslashes would end or bend it.
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(&name, ATTR_CHAR))
}

#[cfg(test)]
mod tests {
    use shared::job::JobId;

    use super::*;

    fn check(filename: Option<&str>, content_type: &str, expected: &str) {
        let now = Timestamp::from_micros(0);
        let mut job = Job::awaiting_upload(JobId::random(), "b", "uploads/x/key.jpg", now, now);
        job.filename = filename.map(str::to_owned);
        let derivative = Derivative {
            name: "full".into(),
            key: String::new(),
            width: 1,
            height: 1,
            bytes: 1,
            content_type: content_type.into(),
            sha256: String::new(),
            url: None,
        };
        assert_eq!(disposition(&job, &derivative), format!("attachment; {expected}"));
    }

    #[test]
    fn the_users_name_is_encoded_both_ways() {
        check(Some("beach.jpg"), "image/jpeg", r#"filename="beach.jpg"; filename*=UTF-8''beach.jpg"#);
        check(
            Some("Ünï \"x\".jpg"),
            "image/jpeg",
            r#"filename="_n_ _x_.jpg"; filename*=UTF-8''%C3%9Cn%C3%AF%20%22x%22.jpg"#,
        );
        check(None, "image/jpeg", r#"filename="key.jpg"; filename*=UTF-8''key.jpg"#);
    }

    #[test]
    fn the_extension_is_the_derivatives() {
        check(Some("beach.jpeg"), "image/webp", r#"filename="beach.webp"; filename*=UTF-8''beach.webp"#);
        check(Some("v1.2"), "image/png", r#"filename="v1.2.png"; filename*=UTF-8''v1.2.png"#);
        check(Some("a.jpg.php"), "image/jpeg", r#"filename="a.jpg.php.jpg"; filename*=UTF-8''a.jpg.php.jpg"#);
    }

    #[test]
    fn nothing_leaves_the_header() {
        check(
            Some("a\r\nSet-Cookie: x"),
            "image/png",
            r#"filename="aSet-Cookie: x.png"; filename*=UTF-8''aSet-Cookie%3A%20x.png"#,
        );
        check(Some("../../etc/passwd"), "image/gif", r#"filename="passwd.gif"; filename*=UTF-8''passwd.gif"#);
    }
}
