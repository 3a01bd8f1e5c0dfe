//! Corrected labels. In: decisions about single images, made by people or programs. Out: [`Corrections`], which a data
//! set is built with; no file is moved.

use super::item::ContentHash;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What happens to an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// It stays as it is.
    Keep,
    /// It gets this label.
    Relabel(String),
    /// It is left out.
    LeaveOut,
}

/// A correction and the file it applies to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectedFile {
    /// Path relative to the data set's root.
    pub path: PathBuf,
    /// Fingerprint of its bytes.
    pub content: ContentHash,
    /// What happens to it.
    pub correction: Correction,
    /// Whether it is left out only because it is a copy of another file.
    pub as_copy: bool,
}

/// Corrections of the images of a data set, found by path and content.
///
/// A correction applies to its file. Unless it was about copies, it also applies to the same bytes under any other
/// name, so it still works after the images were moved, renamed or downloaded again. If there are several for one
/// image, the last one counts.
///
/// ```
/// use sciurus_data::{ContentHash, CorrectedFile, Correction, Corrections};
///
/// let content = ContentHash::of(b"a photo");
/// let file = |path: &str, correction, as_copy| CorrectedFile { path: path.into(), content, correction, as_copy };
/// let wrong = Corrections::new([file("red/a.jpg", Correction::Relabel("grey".into()), false)]);
/// assert!(matches!(wrong.find("elsewhere/b.jpg".as_ref(), &content), Some(Correction::Relabel(_))));
///
/// let copy = Corrections::new([file("red/copy.jpg", Correction::LeaveOut, true)]);
/// assert_eq!(copy.find("red/copy.jpg".as_ref(), &content), Some(&Correction::LeaveOut));
/// assert_eq!(copy.find("red/a.jpg".as_ref(), &content), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Corrections {
    files: HashMap<(PathBuf, ContentHash), Correction>,
    contents: HashMap<ContentHash, Correction>,
}

impl Corrections {
    /// Corrections, in the order in which they were made.
    pub fn new(files: impl IntoIterator<Item = CorrectedFile>) -> Self {
        let mut corrections = Self::default();
        for CorrectedFile { path, content, correction, as_copy } in files {
            if !as_copy {
                corrections.contents.insert(content, correction.clone());
            }
            corrections.files.insert((path, content), correction);
        }
        corrections
    }

    /// What happens to a file; `None` if there's no correction for it.
    #[must_use]
    pub fn find(&self, path: &Path, content: &ContentHash) -> Option<&Correction> {
        self.files.get(&(path.to_owned(), *content)).or_else(|| self.contents.get(content))
    }

    /// Whether there are no corrections.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}
