//! What derivatives are called on the disk: `{stem}-{derivative}.{extension}`, none like another and none like a photo that
//! is uploaded.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The names in the folder for derivatives, each with the photo (by its place in the list) that it is kept for.
#[derive(Debug)]
pub(super) struct Names {
    folder: PathBuf,
    stems: Vec<String>,
    taken: Mutex<HashMap<String, Option<usize>>>,
}

impl Names {
    /// Names in `folder` for what is made of `photos`.
    pub(super) fn new(folder: PathBuf, photos: &[PathBuf]) -> Self {
        // A derivative must not be written over a photo, whatever the folder is.
        let inside = |photo: &&PathBuf| {
            let parent = photo.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            folder.canonicalize().is_ok_and(|folder| parent.canonicalize().is_ok_and(|parent| parent == folder))
        };
        let kept = photos.iter().filter(inside).filter_map(|photo| photo.file_name());
        let taken = kept.map(|name| (folded(&name.to_string_lossy()), None)).collect();
        Self { stems: stems(photos), taken: Mutex::new(taken), folder }
    }

    /// Where the derivative `name` of the photo at `index` goes. The same call gives the same place.
    pub(super) fn place(&self, index: usize, name: &str, extension: &str) -> PathBuf {
        let mut taken = self.taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let stem = &self.stems[index];
        let candidates = std::iter::once(format!("{stem}-{name}.{extension}"))
            .chain((2_u32..).map(|number| format!("{stem}-{name}-{number}.{extension}")));
        for candidate in candidates {
            // `cat-a` with a derivative `b` would be called as `cat` with a derivative `a-b`.
            if *taken.entry(folded(&candidate)).or_insert(Some(index)) == Some(index) {
                return self.folder.join(candidate);
            }
        }
        unreachable!("there is always another number")
    }
}

/// A stem for each photo, in their order: its own, with a number behind it where an earlier photo has the same.
fn stems(photos: &[PathBuf]) -> Vec<String> {
    let mut used = HashSet::new();
    let own =
        |photo: &PathBuf| photo.file_stem().map_or_else(|| "photo".to_owned(), |s| s.to_string_lossy().into_owned());
    let all: HashSet<String> = photos.iter().map(|photo| folded(&own(photo))).collect();
    let mut stem_of = |photo: &PathBuf| {
        let stem = own(photo);
        if used.insert(folded(&stem)) {
            return stem;
        }
        // Not one that a photo further on has by itself.
        let mut numbered = (2_u32..).map(|number| format!("{stem}-{number}"));
        let free = numbered.find(|name| !all.contains(&folded(name)) && used.insert(folded(name)));
        free.unwrap_or(stem)
    };
    photos.iter().map(&mut stem_of).collect()
}

/// Some file systems take `Cat` and `cat` for one name.
fn folded(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_stems(photos: &[&str], expected: &[&str]) {
        let photos: Vec<PathBuf> = photos.iter().map(PathBuf::from).collect();
        assert_eq!(stems(&photos), expected, "{photos:?}");
    }

    #[test]
    fn equal_stems_are_told_apart_by_numbers() {
        check_stems(&["a/cat.jpg", "b/cat.jpg", "cat.png", "dog.jpg"], &["cat", "cat-2", "cat-3", "dog"]);
        check_stems(&["cat.jpg", "CAT.jpg"], &["cat", "CAT-2"]);
        check_stems(&["cat.jpg", "cat.png", "cat-2.jpg"], &["cat", "cat-3", "cat-2"]);
        check_stems(&["a.b.jpg", ".jpg", "noext"], &["a.b", ".jpg", "noext"]);
    }

    #[test]
    fn no_two_derivatives_have_one_name() {
        let names = Names::new("out".into(), &["cat.jpg".into(), "cat-a.jpg".into()]);
        assert_eq!(names.place(0, "a-b", "jpg"), Path::new("out/cat-a-b.jpg"));
        assert_eq!(names.place(1, "b", "jpg"), Path::new("out/cat-a-b-2.jpg"));
        assert_eq!(names.place(0, "a-b", "jpg"), Path::new("out/cat-a-b.jpg"), "asked again");
        assert_eq!(names.place(1, "b", "png"), Path::new("out/cat-a-b.png"));
    }

    #[test]
    fn no_photo_is_written_over() {
        let names = Names::new(".".into(), &["cat.jpg".into(), "cat-web.jpg".into()]);
        assert_eq!(names.place(0, "web", "jpg"), Path::new("./cat-web-2.jpg"));
        assert_eq!(names.place(1, "web", "jpg"), Path::new("./cat-web-web.jpg"));
    }
}
