//! The key that the functions sign with: one that nobody else knows, in a file of the data folder.
//!
//! It outlives the process, since URLs that were given out have to work after a restart.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use uuid::Uuid;

use crate::s3::Credentials;

/// What presigned URLs show of the key.
const ACCESS_KEY: &str = "darkroom-functions";

/// Name of the file.
const FILE: &str = "functions.key";

/// Length of the secret: 244 random bits in hexadecimal.
const SECRET_LENGTH: usize = 64;

/// The key of the data folder `dir`, made at its first use.
pub(crate) fn of(dir: &Path) -> io::Result<Credentials> {
    let path = dir.join(FILE);
    let secret_key = match fs::read_to_string(&path) {
        Ok(secret) if secret.len() == SECRET_LENGTH => secret,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // Nothing there, or no secret: an empty one would be anybody's.
        _ => make(dir, &path)?,
    };
    Ok(Credentials { access_key: ACCESS_KEY.to_owned(), secret_key })
}

/// Writes a new secret, for this user's eyes alone; wholly or not at all, whenever the process is killed.
fn make(dir: &Path, path: &Path) -> io::Result<String> {
    let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let draft = dir.join(format!("{FILE}.new"));
    let mut options = File::options();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_dir::DataDir;

    #[test]
    fn a_folder_keeps_its_key_and_no_two_have_the_same() {
        let (one, other) = (DataDir::ephemeral().unwrap(), DataDir::ephemeral().unwrap());
        let secret = |dir: &DataDir| of(dir.path()).unwrap().secret_key;
        assert_eq!(secret(&one), secret(&one));
        assert_ne!(secret(&one), secret(&other));
        assert_eq!(secret(&one).len(), SECRET_LENGTH);

        let path = one.path().join(FILE);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777, 0o600);
        fs::write(&path, "").unwrap();
        assert_eq!(secret(&one).len(), SECRET_LENGTH);
    }
}
