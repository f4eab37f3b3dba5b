//! The store itself: opening its folder, its tables, and the one way to a transaction.
//!
//! Metadata lives in `s3.sqlite`, bytes in `objects/` ([`super::content`]). What the operations do with them stands
//! with the operations.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::Notify;

use super::content::Files;
use super::error::Error;
use super::event::EventRule;
use crate::sqlite;

/// The layout of the tables, in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = 1;

// Keys compare as UTF-8 bytes (SQLite's BINARY collation), the order in which S3 lists them. Times are in
// milliseconds since the epoch. `attributes` and `checksum` are JSON.
const SCHEMA: &str = "
    CREATE TABLE bucket (
        name       TEXT PRIMARY KEY,
        created_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE object (
        bucket      TEXT NOT NULL REFERENCES bucket (name),
        key         TEXT NOT NULL,
        file        TEXT NOT NULL,
        size        INTEGER NOT NULL,
        etag        TEXT NOT NULL,
        modified_at INTEGER NOT NULL,
        attributes  TEXT NOT NULL,
        checksum    TEXT,
        upload      TEXT,
        PRIMARY KEY (bucket, key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE upload (
        id         TEXT PRIMARY KEY,
        bucket     TEXT NOT NULL REFERENCES bucket (name),
        key        TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        attributes TEXT NOT NULL,
        algorithm  TEXT,
        composite  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX upload_by_key ON upload (bucket, key, id);

    CREATE TABLE part (
        upload      TEXT NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
        number      INTEGER NOT NULL,
        file        TEXT NOT NULL,
        size        INTEGER NOT NULL,
        etag        TEXT NOT NULL,
        modified_at INTEGER NOT NULL,
        checksum    TEXT,
        PRIMARY KEY (upload, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE outbox (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        body     TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        due_at   INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE sequencer (last INTEGER NOT NULL) STRICT;
    INSERT INTO sequencer VALUES (0);
";

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("cannot write to {}", path.display())]
    NotWritable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Database(#[from] sqlite::OpenError),
}

/// Buckets, objects, uploads in parts, and the events that wait for delivery.
#[derive(Debug)]
pub(crate) struct Store {
    database: Mutex<Connection>,
    /// The database's write-ahead log, which holds what was committed last.
    log: File,
    pub(super) files: Files,
    pub(super) rules: Vec<EventRule>,
    pub(super) signal: Arc<Notify>,
}

impl Store {
    /// Opens the store in the folder `dir`, made where it is missing, and clears what a crash left behind.
    ///
    /// Objects that a rule covers are announced. The folder has to be this process's alone: a file that no row names
    /// yet is swept here, though it may be another process's upload.
    pub(crate) fn open(dir: &Path, rules: Vec<EventRule>) -> Result<Arc<Self>, OpenError> {
        let not_writable = |source| OpenError::NotWritable { path: dir.to_owned(), source };
        let files = Files::open(dir.join("objects")).map_err(not_writable)?;
        // A commit waits for no sync, see `sqlite`. But a content is synced before the commit that names it, and a
        // commit before the contents that it gave up are removed. So a power failure may take the newest objects, each
        // with its event, and never leaves one without its bytes.
        let path = dir.join("s3.sqlite");
        let database = sqlite::open(&path, SCHEMA_VERSION, SCHEMA)?;
        let named =
            named_files(&database).map_err(|source| sqlite::OpenError::Database { path: path.clone(), source })?;
        let log = File::open(dir.join("s3.sqlite-wal")).map_err(not_writable)?;
        // A clock set back since must not hold an event up that waits to be delivered again.
        let due = database.execute("UPDATE outbox SET due_at = 0", []);
        due.map_err(|source| sqlite::OpenError::Database { path: path.clone(), source })?;
        let swept = files.sweep(&named).map_err(not_writable)?;
        if swept > 0 {
            tracing::info!(files = swept, "removed what unfinished uploads left behind");
        }
        Ok(Arc::new(Self { database: Mutex::new(database), log, files, rules, signal: Arc::default() }))
    }

    /// Runs `work`, which may wait for the disk, off the async threads.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&store)).await?
    }

    /// The database, for reading. No row changes while this is held, so a file that a row names can be opened safely.
    pub(super) fn database(&self) -> MutexGuard<'_, Connection> {
        // OK after a panic: a transaction cut short was rolled back when it was dropped.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` wholly or, if it fails, not at all.
    pub(super) fn transaction<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let mut database = self.database();
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// Removes the contents that the last commit gave up, once that commit is sure to last.
    pub(super) fn remove(&self, files: impl IntoIterator<Item = String>) {
        let files: Vec<_> = files.into_iter().collect();
        if files.is_empty() {
            return;
        }
        match self.log.sync_data() {
            Ok(()) => self.files.remove_all(files),
            // OK to leave them: the next start sweeps what no row names.
            Err(error) => tracing::warn!(%error, "the database could not be synced"),
        }
    }
}

fn named_files(database: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut names = database.prepare("SELECT file FROM object UNION ALL SELECT file FROM part")?;
    let names = names.query_map([], |row| row.get(0))?;
    names.collect()
}
