//! Objects' bytes: one file each, under a random name in a sharded folder.
//!
//! Keys never become paths, so no key can leave the folder or clash with another. A file is written in its final
//! place: what makes it an object's is the row that names it, and a file that no row names is rubbish, swept at start.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use uuid::Uuid;

use super::checksum::{Algorithm, Checksum};

/// The folder of content files.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
}

impl Files {
    /// Opens the folder and makes its 256 shards, so that no write has to.
    pub(crate) fn open(root: PathBuf) -> io::Result<Self> {
        let files = Self { root };
        files.shards().try_for_each(fs::create_dir_all)?;
        Ok(files)
    }

    fn shards(&self) -> impl Iterator<Item = PathBuf> {
        (0..=u8::MAX).map(|shard| self.root.join(format!("{shard:02x}")))
    }

    fn path(&self, id: &str) -> PathBuf {
        self.root.join(id.get(..2).unwrap_or_default()).join(id)
    }

    pub(crate) fn read(&self, id: &str) -> io::Result<File> {
        File::open(self.path(id))
    }

    /// Starts a new content, to be digested by `checksum` too.
    pub(crate) fn draft(&self, checksum: Option<Algorithm>) -> io::Result<Draft> {
        let id = Uuid::new_v4().simple().to_string();
        let path = self.path(&id);
        let file = File::create_new(&path)?;
        Ok(Draft {
            new: NewFile { id, path, kept: false },
            file,
            size: 0,
            md5: Md5::new(),
            checksum: checksum.map(|algorithm| (algorithm, algorithm.hasher())),
        })
    }

    /// Removes the files of contents that no row names any more.
    pub(crate) fn remove_all(&self, ids: impl IntoIterator<Item = String>) {
        for id in ids {
            remove(&self.path(&id));
        }
    }

    /// Removes every file whose name is not in `named`, and says how many there were.
    pub(crate) fn sweep(&self, named: &HashSet<String>) -> io::Result<usize> {
        let mut swept = 0;
        for shard in self.shards() {
            for file in fs::read_dir(shard)? {
                let file = file?;
                let is_named = file.file_name().to_str().is_some_and(|id| named.contains(id));
                if !is_named && file.file_type()?.is_file() {
                    fs::remove_file(file.path())?;
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }
}

/// Left over files cost room, nothing else: the next start sweeps them.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(%error, "a content file could not be removed");
    }
}

/// A file that no row names yet. It goes when this is dropped, unless it was kept.
#[derive(Debug)]
pub(crate) struct NewFile {
    id: String,
    path: PathBuf,
    kept: bool,
}

impl NewFile {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Call once the row that names it is committed.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // OK on an async thread, where a cancelled upload ends: one unlink.
        if !self.kept {
            remove(&self.path);
        }
    }
}

/// A content being written, digested on the way.
pub(crate) struct Draft {
    new: NewFile,
    file: File,
    size: u64,
    md5: Md5,
    checksum: Option<(Algorithm, ChecksumHasher)>,
}

/// A whole content, safe on disk.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) new: NewFile,
    pub(crate) size: u64,
    pub(crate) checksum: Option<Checksum>,
    /// In hexadecimal: the entity tag of an object that came in one piece.
    pub(crate) md5: String,
}

impl Draft {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.md5.update(bytes);
        if let Some((_, hasher)) = &mut self.checksum {
            hasher.update(bytes);
        }
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Appends exactly `length` bytes of `source`.
    pub(crate) fn write_from(&mut self, source: &mut File, length: u64) -> io::Result<()> {
        let mut source = source.take(length);
        let mut buffer = vec![0; 256 * 1024];
        let mut copied = 0;
        loop {
            match source.read(&mut buffer)? {
                0 if copied == length => return Ok(()),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    self.write(&buffer[..read])?;
                    copied += read as u64;
                }
            }
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Puts the bytes on the disk itself, not only in its cache: a row must never outlive what it names.
    pub(crate) fn finish(self) -> io::Result<Content> {
        self.file.sync_all()?;
        Ok(Content {
            new: self.new,
            size: self.size,
            checksum: self.checksum.map(|(algorithm, hasher)| algorithm.finish(hasher)),
            md5: hex(&self.md5.finalize()),
        })
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // OK to drop: writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
