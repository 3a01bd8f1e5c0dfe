//! The settings of a data set as plain data: shared by `inspect`, `clean`, `lr-find` and `train`, and recorded with a
//! run. In: options by name. Out: an [`ImageDatasetBuilder`].

use super::csv_labels::{Column, CsvHeader, CsvLabels};
use super::{ImageDataset, ImageDatasetBuilder, Labeler};
use crate::option::BadOption;
use crate::split::{DEFAULT_VALID_FRACTION, Splitter};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

crate::settings! {
    /// Which photos, which labels, and which photos are the validation set.
    ///
    /// ```
    /// use sciurus_data::{DataSettings, SplitBy, Splitter};
    ///
    /// let settings = DataSettings { valid_fraction: Some(0.3), ..DataSettings::new("squirrels") };
    /// assert_eq!(settings.splitter(), Some(Splitter::Stratified { valid_fraction: 0.3 }));
    /// let builder = settings.dataset().seed(7);
    /// ```
    pub struct DataSettings {
        /// Photos, in one folder per class; with a table or a pattern, the folder that paths are relative to.
        pub folder: PathBuf = PathBuf::new(),
        /// A table of paths and labels, for labels that aren't folders.
        pub csv: Option<PathBuf> = None,
        /// Which folder on the way to a photo names its class, from 1; if not set, the first, unless that looks wrong.
        pub label_level: Option<usize> = None,
        /// The table's column of paths, by name or by number from 0; if not set, it is recognised.
        pub path_column: Option<Column> = None,
        /// The table's column of labels; if not set, it is recognised.
        pub label_column: Option<Column> = None,
        /// The table's column of splits; if not set, it is recognised, if there is one.
        pub split_column: Option<Column> = None,
        /// The table's column of groups; if not set, `group`, if there is one.
        pub group_column: Option<Column> = None,
        /// What separates two fields of the table, one ASCII character; if not set, it is recognised.
        pub delimiter: Option<char> = None,
        /// Whether the table's first line names its columns; if not set, it is recognised.
        pub header: Option<CsvHeader> = None,
        /// What separates two labels of a photo, which makes the data set multi-label: not a letter or digit.
        pub label_separator: Option<char> = None,
        /// A regular expression that finds the label in a file's name, with the label in parentheses.
        pub name_pattern: Option<String> = None,
        /// A regular expression that finds a photo's group in its path. Photos of a group stay in one split.
        pub group: Option<String> = None,
        /// How the validation set is chosen; if not set, as the data say, else the same share of every class.
        pub split: Option<SplitBy> = None,
        /// Share of the photos in the validation set (0..1); if not set, a fifth.
        pub valid_fraction: Option<f64> = None,
        /// Which of several folds is the validation set; replaces `split`.
        pub fold: Option<Fold> = None,
        /// Share of all photos (0..1) in a test set, which is evaluated once, at the very end.
        pub test_fraction: Option<f64> = None,
        /// Seed of everything random: the split, the order of photos, augmentation, new weights.
        pub seed: u64 = 42,
    }
}

impl DataSettings {
    /// The defaults, for these photos.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), ..Self::default() }
    }

    /// Where labels come from.
    #[must_use]
    pub fn labeler(&self) -> Labeler {
        match (&self.csv, &self.name_pattern) {
            (Some(path), _) => Labeler::Csv(CsvLabels {
                path: path.clone(),
                header: self.header,
                delimiter: self.delimiter,
                path_column: self.path_column.clone(),
                label_column: self.label_column.clone(),
                label_separator: self.label_separator,
                split_column: self.split_column.clone(),
                group_column: self.group_column.clone(),
            }),
            (None, Some(pattern)) => Labeler::NamePattern { pattern: pattern.clone() },
            (None, None) => Labeler::Folder,
        }
    }

    /// Sets the options that a labeler stands for.
    pub fn set_labeler(&mut self, labeler: Labeler) {
        let kept = std::mem::take(self);
        *self = match labeler {
            Labeler::Folder => Self { csv: None, name_pattern: None, ..kept },
            Labeler::NamePattern { pattern } => Self { csv: None, name_pattern: Some(pattern), ..kept },
            Labeler::Csv(table) => Self {
                csv: Some(table.path),
                header: table.header,
                delimiter: table.delimiter,
                path_column: table.path_column,
                label_column: table.label_column,
                label_separator: table.label_separator,
                split_column: table.split_column,
                group_column: table.group_column,
                name_pattern: None,
                ..kept
            },
        };
    }

    /// How photos are split; `None` leaves it to the data. If only a share is set, the split is stratified.
    #[must_use]
    pub fn splitter(&self) -> Option<Splitter> {
        if let Some(Fold { fold, folds }) = self.fold {
            return Some(Splitter::KFold { folds, fold });
        }
        let valid_fraction = self.valid_fraction.unwrap_or(DEFAULT_VALID_FRACTION);
        match (self.split, self.valid_fraction) {
            (None, None) => None,
            (None, Some(_)) | (Some(SplitBy::Stratified), _) => Some(Splitter::Stratified { valid_fraction }),
            (Some(SplitBy::Random), _) => Some(Splitter::Random { valid_fraction }),
            (Some(SplitBy::Folder), _) => Some(Splitter::Folder),
            (Some(SplitBy::Column), _) => Some(Splitter::Column),
        }
    }

    /// Sets the options that a splitter stands for.
    pub fn set_splitter(&mut self, splitter: Splitter) {
        let (split, valid_fraction, fold) = match splitter {
            Splitter::Stratified { valid_fraction } => {
                (Some(SplitBy::Stratified), Some(valid_fraction), None)
            }
            Splitter::Random { valid_fraction } => (Some(SplitBy::Random), Some(valid_fraction), None),
            Splitter::KFold { folds, fold } => (None, None, Some(Fold { fold, folds })),
            Splitter::Folder => (Some(SplitBy::Folder), None, None),
            Splitter::Column => (Some(SplitBy::Column), None, None),
        };
        (self.split, self.valid_fraction, self.fold) = (split, valid_fraction, fold);
    }

    /// Starts the data set that these settings describe.
    pub fn dataset(&self) -> ImageDatasetBuilder {
        let dataset = ImageDataset::from_folder(&self.folder)
            .label_by(self.labeler())
            .split_by(self.splitter())
            .label_level(self.label_level)
            .test_fraction(self.test_fraction)
            .seed(self.seed);
        match &self.group {
            Some(pattern) => dataset.group_by(pattern),
            None => dataset,
        }
    }
}

/// How a validation set is chosen, by name.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::EnumString, strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SplitBy {
    /// The same share of every class.
    Stratified,
    /// Any photos, as fastai does it.
    Random,
    /// The folders `train` and `valid`.
    Folder,
    /// The split column of a table.
    Column,
}

/// One of several folds: `2/5` is the second of five.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fold {
    /// Which part is the validation set, counted from 0.
    pub fold: usize,
    /// How many parts there are, at least 2.
    pub folds: usize,
}

impl fmt::Display for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.fold + 1, self.folds)
    }
}

impl FromStr for Fold {
    type Err = BadOption;

    fn from_str(text: &str) -> Result<Self, BadOption> {
        let numbers = text.split_once('/').and_then(|(fold, folds)| {
            Some((fold.trim().parse::<usize>().ok()?, folds.trim().parse::<usize>().ok()?))
        });
        match numbers {
            Some((fold, folds)) if folds >= 2 && (1..=folds).contains(&fold) => {
                Ok(Self { fold: fold - 1, folds })
            }
            _ => Err(BadOption::new("fold", text, "choose a fold such as 1/5, the first of five")),
        }
    }
}

impl Serialize for Fold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitters_and_labelers_come_back_as_they_went_in() {
        let mut settings = DataSettings::new("photos");
        for splitter in [
            Splitter::Stratified { valid_fraction: 0.3 },
            Splitter::Random { valid_fraction: 0.1 },
            Splitter::KFold { folds: 5, fold: 1 },
            Splitter::Folder,
            Splitter::Column,
        ] {
            settings.set_splitter(splitter);
            assert_eq!(settings.splitter(), Some(splitter));
        }
        for labeler in [
            Labeler::Csv(CsvLabels::new("a.csv").label_column(3).label_separator(';').delimiter('\t')),
            Labeler::NamePattern { pattern: "(.+)_".into() },
            Labeler::Folder,
        ] {
            settings.set_labeler(labeler.clone());
            assert_eq!(settings.labeler(), labeler);
        }
    }

    #[test]
    fn folds_count_from_one() {
        assert_eq!("2/5".parse(), Ok(Fold { fold: 1, folds: 5 }));
        assert_eq!(Fold { fold: 1, folds: 5 }.to_string(), "2/5");
        for wrong in ["0/5", "6/5", "1/1", "2", "a/b", ""] {
            assert!(wrong.parse::<Fold>().is_err(), "{wrong}");
        }
    }
}
