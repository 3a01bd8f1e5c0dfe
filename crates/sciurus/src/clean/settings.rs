//! What a [`Cleaner`](super::Cleaner) is asked for.

use std::path::PathBuf;

use sciurus_clean::find::LearntLabel;
use sciurus_data::BadOption;
use sciurus_data::{ImageDataset, Labeler, Splitter};

use super::CleanStep;
use crate::model::Arch;
use crate::model::weights::{Network, WeightPlaces};
use crate::{Error, Run, WeightSource};

/// What is looked at, and with what.
///
/// | Name | Default | Meaning |
/// |---|---|---|
/// | `folder` | required | photos, in a folder per class |
/// | `labels` | a folder per class | where labels come from |
/// | `test_fraction` | none, unless the data have test photos | share of the photos in a test split that is drawn (0 to 1) |
/// | `group_pattern` | none | regular expression for the group of a photo, which stays on one side of a split that is drawn |
/// | `splitter` | as the data say | which photos measure: leaks are looked for only across a split that the data give |
/// | `seed` | 42 | seed of a split that is drawn |
/// | `archs` | `resnet18` | the pretrained backbones that look at the photos; their answers are averaged |
/// | `weights` | pretrained | where the backbone's weights come from; a file only where there is one backbone |
/// | `network` | allowed | whether weights may be downloaded |
/// | `training` | nothing | how a run learnt the labels, where it is a run that is cleaned |
/// | `cache_folder` | the user's cache folder | where embeddings are kept by content; may be deleted at any time |
#[derive(Debug, Clone, PartialEq)]
pub struct CleanSettings {
    /// Photos, in a folder per class.
    pub folder: PathBuf,
    /// Where labels come from.
    pub labels: Labeler,
    /// Share of all photos that is kept for a measurement at the very end, where a split is drawn.
    pub test_fraction: Option<f64>,
    /// A regular expression that finds the group of a photo in its path.
    pub group_pattern: Option<String>,
    /// Which photos measure.
    pub splitter: Option<Splitter>,
    /// Seed of a split that is drawn.
    pub seed: u64,
    /// The backbones, at least one.
    pub archs: Vec<Arch>,
    /// Where the backbone's weights come from.
    pub weights: WeightSource,
    /// Whether weights may be downloaded.
    pub network: Network,
    /// How a run learnt the labels of its photos.
    pub training: Vec<LearntLabel>,
    /// Where embeddings are kept.
    pub cache_folder: Option<PathBuf>,
}

impl CleanSettings {
    /// Settings for a folder of photos.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            labels: Labeler::Folder,
            test_fraction: None,
            group_pattern: None,
            splitter: None,
            seed: 42,
            archs: vec![Arch::ResNet18],
            weights: WeightSource::Pretrained,
            network: Network::Allowed,
            training: Vec::new(),
            cache_folder: None,
        }
    }

    /// Settings for the photos of a run, split as they were there.
    ///
    /// # Errors
    /// A file of the run cannot be read.
    pub fn of_run(run: &Run) -> Result<Self, Error> {
        let settings = run.record()?.settings;
        Ok(Self {
            training: run.learnt_labels()?,
            labels: settings.labels,
            test_fraction: settings.test_fraction,
            group_pattern: settings.group_pattern,
            splitter: settings.splitter,
            seed: settings.seed,
            network: settings.network,
            ..Self::new(&settings.folder)
        })
    }

    pub(super) fn dataset(&self, progress: &(dyn Fn(CleanStep) + Sync)) -> Result<ImageDataset, Error> {
        if self.archs.is_empty() {
            let expected = "name at least one network; `sciurus archs` lists them";
            return Err(Error::BadOption(BadOption {
                option: "arch",
                value: "none".to_owned(),
                advice: expected,
            }));
        }
        if self.archs.len() > 1 && self.weights != WeightSource::Pretrained {
            let names: Vec<&str> = self.archs.iter().map(|arch| arch.name()).collect();
            let expected =
                "a weight file is for one network; name one, or put files for all into SCIURUS_MODELS";
            return Err(Error::BadOption(BadOption {
                option: "arch",
                value: names.join(","),
                advice: expected,
            }));
        }
        progress(CleanStep::Listing(sciurus_data::Progress { done: 0, total: 0 }));
        let mut dataset =
            ImageDataset::from_folder(&self.folder).label_by(self.labels.clone()).seed(self.seed);
        if let Some(share) = self.test_fraction {
            dataset = dataset.test_fraction(share);
        }
        if let Some(pattern) = &self.group_pattern {
            dataset = dataset.group_by(pattern);
        }
        if let Some(splitter) = self.splitter {
            dataset = dataset.split_by(splitter);
        }
        Ok(dataset.build()?)
    }

    pub(super) fn places(&self) -> WeightPlaces {
        WeightPlaces::from_environment().network(self.network)
    }
}

#[cfg(test)]
mod tests {
    use sciurus_data::Split;

    use super::*;
    use crate::{Listeners, TrainSettings, draw_demo};

    #[test]
    fn the_photos_of_a_run_are_split_as_they_were_there() {
        let folder = tempfile::tempdir().unwrap();
        let photos = folder.path().join("photos");
        draw_demo(&photos, 20, 42).unwrap();
        let settings = TrainSettings {
            seed: 7,
            test_fraction: Some(0.25),
            // Pictures whose numbers have the same last digit are a group.
            group_pattern: Some(r"-\d\d(\d)\.".to_owned()),
            ..TrainSettings::small(&photos)
        };
        let run = Run::prepare(folder.path().join("run"), settings, Listeners::default()).unwrap();
        let there = run.learner().loaders().dataset();
        let here = CleanSettings::of_run(run.run()).unwrap().dataset(&|_| ()).unwrap();
        assert!(there.split(Split::Test).count() > 0);
        assert_eq!(there.items, here.items);
    }
}
