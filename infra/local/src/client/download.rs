//! Fetches a derivative, and keeps it under its name only once it is whole and what the job says it is.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::api::{Api, Derivative, STALLED_AFTER};
use super::files;
use super::problem::{Problem, persistently};

/// The name and extension of a derivative; `None` if they are not fit to stand in a file's name.
pub(super) fn name_of(derivative: &Derivative) -> Option<(&str, &str)> {
    let (_, extension) = derivative.key.rsplit_once('.')?;
    let is_plain = |text: &str| {
        (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    (is_plain(&derivative.name) && is_plain(extension)).then_some((&derivative.name, extension))
}

/// Fetches a derivative to `place`, unless it is there.
pub(super) async fn keep(api: &Api, derivative: &Derivative, place: &Path) -> Result<(), Problem> {
    let there = place.to_owned();
    let there = tokio::task::spawn_blocking(move || files::hash_of(&there)).await;
    if there.is_ok_and(|read| read.is_ok_and(|(hash, _)| format!("{hash:x}") == derivative.sha256)) {
        return Ok(());
    }
    let partial = Partial::beside(place);
    persistently(|| fetch(api, derivative, &partial.0)).await?;
    std::fs::rename(&partial.0, place).map_err(|error| unwritable(place, &error))
}

async fn fetch(api: &Api, derivative: &Derivative, place: &Path) -> Result<(), Problem> {
    let mut answer = api.fetch(&derivative.url).await?;
    let cannot = |error: std::io::Error| unwritable(place, &error);
    let mut file = tokio::fs::File::create(place).await.map_err(cannot)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    loop {
        let piece = tokio::time::timeout(STALLED_AFTER, answer.chunk()).await;
        let piece = piece.map_err(|_| Problem::NoAnswer("the transfer stood still"))?;
        let Some(piece) = piece.map_err(|error| Problem::of(&error))? else { break };
        size += piece.len() as u64;
        if size > derivative.bytes {
            break;
        }
        hash.update(&piece);
        file.write_all(&piece).await.map_err(cannot)?;
    }
    file.flush().await.map_err(cannot)?;
    if size != derivative.bytes || format!("{:x}", hash.finalize()) != derivative.sha256 {
        // What is stored never changes, so this one was harmed on its way.
        return Err(Problem::NoAnswer("what came is not what the job says was made"));
    }
    Ok(())
}

fn unwritable(place: &Path, error: &std::io::Error) -> Problem {
    Problem::Other(format!("{} cannot be written: {}", place.display(), files::why(error)))
}

/// A file that is not whole yet; it goes when nobody needs it any more.
struct Partial(PathBuf);

impl Partial {
    fn beside(place: &Path) -> Self {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        // Of this process alone: two runs may fetch to the same folder.
        Self(place.with_file_name(format!(".{name}.{}.part", std::process::id())))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // OK to ignore: renamed, it is not there any more.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, key: &str, expected: Option<(&str, &str)>) {
        let (name, key) = (name.to_owned(), key.to_owned());
        let derivative = Derivative { name, key, url: String::new(), bytes: 0, sha256: String::new() };
        assert_eq!(name_of(&derivative), expected, "{derivative:?}");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_not_used() {
        check("web", "processed/uploads/x/web.jpg", Some(("web", "jpg")));
        check("../../web", "web.jpg", None);
        check("", "web.jpg", None);
        check("web", "web.jpg/x", None);
        check("web", "web", None);
    }
}
