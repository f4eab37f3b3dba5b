//! The folder that holds the stack's state, for one process at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    #[error("cannot write to the data folder {} (choose another with --data-dir)", path.display())]
    NotWritable { path: PathBuf, source: io::Error },
    #[error("another darkroom is using the data folder {} (choose another with --data-dir)", path.display())]
    InUse { path: PathBuf },
}

/// The folder, locked for this process's life.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    ephemeral: bool,
    /// The system lets go of the lock when the process ends, even by a kill.
    _lock: File,
}

impl DataDir {
    /// Opens the folder at `path`, made where it is missing.
    pub(crate) fn open(path: PathBuf) -> Result<Self, DataDirError> {
        Self::lock(path, false)
    }

    /// A new folder among the system's temporary files, removed again in the end.
    pub(crate) fn ephemeral() -> Result<Self, DataDirError> {
        Self::ephemeral_in(&std::env::temp_dir())
    }

    /// A new folder in `parent`, removed again in the end.
    pub(crate) fn ephemeral_in(parent: &Path) -> Result<Self, DataDirError> {
        Self::lock(parent.join(format!("darkroom-{}", Uuid::new_v4())), true)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn lock(path: PathBuf, ephemeral: bool) -> Result<Self, DataDirError> {
        // Truncated by nobody: the file is empty, and only its lock matters.
        let opened = create_private(&path)
            .and_then(|()| File::options().create(true).append(true).open(path.join("darkroom.lock")));
        let lock = match opened {
            Ok(file) => file,
            Err(source) => return Err(DataDirError::NotWritable { path, source }),
        };
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, ephemeral, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse { path }),
            Err(TryLockError::Error(source)) => Err(DataDirError::NotWritable { path, source }),
        }
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if self.ephemeral
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the ephemeral data folder was left behind");
        }
    }
}

/// Makes the folder for this user alone: it holds other people's photos.
fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let first = DataDir::ephemeral().unwrap();
        let refused = DataDir::open(first.path().to_owned()).unwrap_err();
        assert!(matches!(refused, DataDirError::InUse { .. }), "{refused}");
    }

    #[test]
    fn an_ephemeral_folder_goes_with_its_owner() {
        let path = DataDir::ephemeral().unwrap().path().to_owned();
        assert!(!path.exists());
    }

    #[test]
    fn a_path_that_cannot_be_a_folder_is_refused_in_a_sentence() {
        let dir = DataDir::ephemeral().unwrap();
        let refused = DataDir::open(dir.path().join("darkroom.lock")).unwrap_err().to_string();
        assert!(refused.starts_with("cannot write to the data folder"), "{refused}");
    }
}
