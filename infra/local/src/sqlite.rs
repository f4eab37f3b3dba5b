//! Opening a SQLite file: its pragmas, its layout's version, and what may go wrong.
//!
//! No migrations: there is one layout so far, and a file from a newer program is refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{} was written by a newer version (layout {found}, this one knows {known})", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("cannot open {}", path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
}

/// Opens the database at `path`, and creates `schema`, layout number `version`, in a new one.
pub(crate) fn open(path: &Path, version: i64, schema: &str) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let database = Connection::open(path).map_err(failed)?;
    let found = prepare(&database, version, schema).map_err(failed)?;
    if found > version {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: version });
    }
    Ok(database)
}

fn prepare(database: &Connection, version: i64, schema: &str) -> rusqlite::Result<i64> {
    let found = database.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > version {
        return Ok(found);
    }
    // Somebody may look into the file with the sqlite3 shell meanwhile.
    database.busy_timeout(Duration::from_secs(5))?;
    database.set_prepared_statement_cache_capacity(64);
    // A killed process loses nothing that was acknowledged: a commit is with the operating system. A power failure
    // may take the newest commits, which is enough for a laptop and saves a sync per message.
    database.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;")?;
    if found < version {
        database.execute_batch(&format!("BEGIN; {schema} PRAGMA user_version = {version}; COMMIT;"))?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_newer_version_is_refused_and_left_alone() {
        let dir = crate::data_dir::DataDir::ephemeral().unwrap();
        let path = dir.path().join("x.sqlite");
        open(&path, 2, "CREATE TABLE t (x);").unwrap();
        assert!(open(&path, 2, "CREATE TABLE t (x);").is_ok());
        let refused = open(&path, 1, "CREATE TABLE t (x);").unwrap_err();
        assert!(refused.to_string().contains("newer version (layout 2, this one knows 1)"), "{refused}");
    }
}
