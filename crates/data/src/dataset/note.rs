//! What a data set took for granted, and its user should know. In: what was found while it was read. Out: [`Note`]s, plain data
//! to show.

use super::csv_labels::Recognised;
use super::item::Split;
use crate::error::{Depth, listed};
use crate::skip::one_line;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// Something that was guessed, or that will make numbers mislead. `Display` is one sentence for the user, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Note {
    /// Split folders that aren't spelled `train`, `valid` and `test`.
    SplitFolders {
        /// Each split with its folder, relative to the root.
        folders: Vec<(Split, PathBuf)>,
    },
    /// Each class folder has split folders in it.
    SplitsInClasses {
        /// The splits that were found.
        splits: Vec<Split>,
    },
    /// No photo lies in a class folder itself.
    PhotosDeeper(Depth),
    /// How a table was read.
    Table(Recognised),
    /// Classes with training photos but no validation photos.
    NotValidated {
        /// Their labels.
        labels: Vec<String>,
    },
    /// Photos to measure with that the model has learnt.
    OnBothSides {
        /// The split that they measure: valid or test.
        split: Split,
        /// How many.
        photos: usize,
        /// How many photos the split has.
        of: usize,
        /// One of them, and the training photo with the same content; relative to the root.
        example: [PathBuf; 2],
    },
    /// Two labels that differ in upper and lower case only.
    CaseOnly {
        /// The labels.
        labels: [String; 2],
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SplitFolders { folders } => {
                let read = |(split, folder): &(Split, PathBuf)| format!("`{}` as {split}", path(folder));
                let read: Vec<_> = folders.iter().map(read).collect();
                write!(f, "read {}", read.join(", "))
            }
            Self::SplitsInClasses { splits } => {
                let splits: Vec<_> = splits.iter().map(Split::to_string).collect();
                write!(
                    f,
                    "each class folder has folders for {}, which were read as its splits",
                    splits.join(", ")
                )
            }
            Self::PhotosDeeper(depth) => write!(
                f,
                "the class folders hold no photos themselves, only folders ({}); if those are the classes, set `label_level` to 2",
                listed(&depth.below)
            ),
            Self::Table(recognised) => recognised.fmt(f),
            Self::NotValidated { labels } => write!(
                f,
                "no validation photo shows {}: nothing measures how well {} recognised; add some",
                listed(labels),
                if labels.len() == 1 { "it is" } else { "they are" }
            ),
            Self::OnBothSides { split, photos, of, example: [here, there] } => write!(
                f,
                "{photos} of the {of} {} photos {} too ({} is the same file as {}), so the error rate measures partly what the \
                 model has learnt by heart; `sciurus clean` finds such copies",
                if *split == Split::Valid { "validation" } else { "test" },
                if *photos == 1 { "is a training photo" } else { "are training photos" },
                path(here),
                path(there)
            ),
            Self::CaseOnly { labels: [first, second] } => write!(
                f,
                "`{}` and `{}` differ in upper and lower case only, and are two classes; if they are one, give both the same name",
                one_line(first),
                one_line(second)
            ),
        }
    }
}

fn path(path: &Path) -> String {
    one_line(&path.to_string_lossy())
}
