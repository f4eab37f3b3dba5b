//! What is to be uploaded: the photos that paths name, and what each of them is.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256, digest};
use shared::format::Format;
use shared::recipe::Recipe;

/// The body of `POST /uploads` for one photo.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wishes {
    pub(super) filename: String,
    pub(super) content_type: &'static str,
    pub(super) size: u64,
    pub(super) checksum_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) derivatives: Option<Value>,
}

impl Wishes {
    /// Reads the photo once, from the beginning to its end.
    pub(super) fn of(photo: &Path, recipe: Option<&Value>) -> io::Result<Self> {
        let (hash, size) = hash_of(photo)?;
        let filename = photo.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let format = Format::from_file_name(&filename).filter(|format| format.is_read()).unwrap_or(Format::Jpeg);
        Ok(Self {
            filename,
            content_type: format.media_type(),
            size,
            checksum_sha256: BASE64_STANDARD.encode(hash),
            derivatives: recipe.cloned(),
        })
    }

    /// The `Idempotency-Key` of the photo's `attempt`, counted from 0: the same for the same bytes, name and recipe, so that
    /// another run finds the job of this one.
    pub(super) fn key(&self, attempt: u32) -> String {
        let wishes = serde_json::to_vec(self).unwrap_or_default();
        format!("darkroom-upload-{:x}-{attempt}", Sha256::digest(wishes))
    }
}

/// SHA-256 and length of a file.
pub(super) fn hash_of(path: &Path) -> io::Result<(digest::Output<Sha256>, u64)> {
    let (mut file, mut hash, mut size) = (File::open(path)?, Sha256::new(), 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok((hash.finalize(), size));
        }
        hash.update(&buffer[..length]);
        size += length as u64;
    }
}

/// The photos that `paths` name, each once: files as they are, and of folders the files directly in them whose names are a
/// photo's. Or what is wrong with a path.
pub(super) fn photos(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for path in paths {
        let cannot = |error: io::Error| format!("{} cannot be read: {}", path.display(), why(&error));
        let metadata = fs::metadata(path).map_err(cannot)?;
        if metadata.is_dir() {
            let mut names = Vec::new();
            for entry in fs::read_dir(path).map_err(cannot)? {
                let entry = entry.map_err(cannot)?.path();
                if is_photo(&entry) {
                    names.push(entry);
                }
            }
            names.sort();
            found.append(&mut names);
        } else if metadata.is_file() {
            found.push(path.clone());
        } else {
            // A pipe is empty once it has been read, and a photo is read twice: for its checksum and to be sent.
            return Err(format!("{} cannot be read: it is neither a file nor a folder", path.display()));
        }
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    if found.is_empty() {
        return Err("there is no photo in what was named; of a folder, the files directly in it count".to_owned());
    }
    Ok(found)
}

fn is_photo(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.') && Format::from_file_name(&name).is_some_and(Format::is_read) && path.is_file()
}

/// The recipe in a file, in the one form that it always has.
pub(super) fn recipe(path: &Path) -> Result<Value, String> {
    let cannot = |why: &str| format!("the recipe {} cannot be used: {why}", path.display());
    let text = fs::read(path).map_err(|error| cannot(why(&error)))?;
    let recipe: Recipe = serde_json::from_slice(&text).map_err(|error| cannot(&error.to_string()))?;
    serde_json::to_value(recipe).map_err(|error| cannot(&error.to_string()))
}

/// An error of the file system in plain words.
pub(super) fn why(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file",
        io::ErrorKind::PermissionDenied => "it is not allowed",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => "the disk is full",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "it is no folder",
        io::ErrorKind::IsADirectory => "it is a folder",
        _ => "the system reports an error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_dir::DataDir;

    #[test]
    fn a_folder_stands_for_the_photos_directly_in_it() {
        let dir = DataDir::ephemeral().unwrap();
        let root = dir.path().join("photos");
        fs::create_dir_all(root.join("deeper.jpg")).unwrap();
        for name in ["b.JPG", "a.png", "notes.txt", ".hidden.jpg", "deeper.jpg/c.jpg", "photo.avif"] {
            fs::write(root.join(name), name).unwrap();
        }
        let listed = |paths: &[PathBuf]| {
            let name = |path: &PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
            photos(paths).map(|photos| photos.iter().map(name).collect::<Vec<_>>())
        };
        assert_eq!(listed(std::slice::from_ref(&root)).unwrap(), ["a.png", "b.JPG"]);
        // A file that is named is taken, whatever it is called; and each only once.
        assert_eq!(
            listed(&[root.join("notes.txt"), root.clone(), root.join("a.png")]).unwrap(),
            ["notes.txt", "a.png", "b.JPG"]
        );
        assert!(photos(&[root.join("x.jpg")]).unwrap_err().ends_with("x.jpg cannot be read: there is no such file"));
        #[cfg(unix)]
        assert!(photos(&["/dev/null".into()]).unwrap_err().ends_with("it is neither a file nor a folder"));
        fs::create_dir(root.join("empty")).unwrap();
        assert!(photos(&[root.join("empty")]).unwrap_err().starts_with("there is no photo"));
    }

    #[test]
    fn a_key_depends_on_bytes_name_recipe_and_attempt() {
        let dir = DataDir::ephemeral().unwrap();
        let wishes = |name: &str, bytes: &str, recipe: Option<Value>| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            Wishes::of(&path, recipe.as_ref()).unwrap()
        };
        let first = wishes("a.png", "bytes", None);
        assert_eq!((first.content_type, first.size), ("image/png", 5));
        assert_eq!(first.key(0), wishes("a.png", "bytes", None).key(0));
        let small = serde_json::json!([{ "name": "small" }]);
        let keys = [
            first.key(0),
            first.key(1),
            wishes("a.png", "bites", None).key(0),
            wishes("b.png", "bytes", None).key(0),
            wishes("a.png", "bytes", Some(small)).key(0),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key) && key.len() <= 255, "{key}");
        }
    }
}
