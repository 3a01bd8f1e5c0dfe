//! The options of a [`Cleaner`](super::Cleaner).

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sciurus_clean::find::LearntLabel;
use sciurus_data::BadOption;
use sciurus_data::{DataSettings, ImageDataset, settings};
use sciurus_photos::KnownReports;

use super::CleanStep;
use crate::embed::{Embedder, usual_cache};
use crate::model::weights::{self, DownloadProgress, WeightPlaces};
use crate::model::{Arch, ArchChoice, ChosenArch};
use crate::{Error, ModelBundle, Run, TrainSettings, WeightSource};

/// Networks that see far more than their size lets expect, and cost no more than the one that is built in: they look too where their
/// weights are at hand (docs/cleaning-benchmarks.md has what that brings).
const JUDGES: [Arch; 2] = [Arch::EfficientNetLite0, Arch::EfficientNetLite2];

settings! {
    /// The options of a cleaning: which data, and which networks look at it.
    pub struct CleanSettings {
        /// Photos, labels and split. Copies are searched across the split only if the data define it.
        pub data: DataSettings = DataSettings::default(),
        /// The pretrained networks that look at the photos, at least one; their predictions are averaged.
        pub archs: Vec<ArchChoice> = vec![ArchChoice::Auto],
        /// Where the network's weights come from; a file is possible only with a single network.
        pub weights: WeightSource = WeightSource::Pretrained,
        /// Whether weights must be on this machine already; nothing is downloaded then.
        pub offline: bool = false,
        /// How a run learnt the labels, if the photos of a run are cleaned; else empty.
        pub training: Vec<LearntLabel> = Vec::new(),
        /// Where it is cached what was seen in each photo, in place of the user's cache folder; may be deleted at any time.
        pub cache_folder: Option<PathBuf> = None,
    }
}

impl CleanSettings {
    /// Settings for a folder of photos.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { data: DataSettings::new(folder), ..Self::default() }
    }

    /// Settings for the photos of a run, split as they were there.
    ///
    /// # Errors
    /// A file of the run cannot be read.
    pub fn of_run(run: &Run) -> Result<Self, Error> {
        let settings = run.record()?.settings;
        let training = run.learnt_labels()?;
        Ok(Self { data: settings.data, offline: settings.fit.offline, training, ..Self::default() })
    }

    /// Settings to look at the photos with the weights in a file: a weight file, or a run or model that Sciurus saved, whose
    /// network then looks at them. A model that was trained on these very photos has seen their labels, and finds fewer of the
    /// wrong ones.
    ///
    /// # Errors
    /// It is a run without a model, or the model cannot be read.
    pub fn with_weights(mut self, file: &Path) -> Result<Self, Error> {
        let file = Run::model_at(file)?;
        if ModelBundle::is_named(&file) {
            self.archs = vec![ModelBundle::load(&file)?.manifest.arch.into()];
        }
        self.weights = WeightSource::File(file);
        Ok(self)
    }

    /// Settings to train on these photos if there is no run: with the first network, and defaults otherwise.
    #[must_use]
    pub fn training_settings(&self) -> TrainSettings {
        let mut settings = TrainSettings { data: self.data.clone(), ..TrainSettings::default() };
        (settings.fit.weights, settings.fit.offline) = (self.weights.clone(), self.offline);
        settings.fit.arch = self.archs.first().copied().unwrap_or_default();
        settings
    }

    pub(super) fn dataset(
        &self,
        progress: &(dyn Fn(CleanStep) -> ControlFlow<()> + Sync),
    ) -> Result<ImageDataset, Error> {
        if self.archs.is_empty() {
            let expected = "choose at least one network; `sciurus archs` lists them";
            return Err(Error::BadOption(BadOption {
                option: "arch",
                value: "none".to_owned(),
                advice: expected,
            }));
        }
        if self.archs.len() > 1 && self.weights != WeightSource::Pretrained {
            let names: Vec<String> = self.archs.iter().map(ToString::to_string).collect();
            let expected =
                "a weight file is for one network; choose one, or put a file for each into SCIURUS_MODELS";
            return Err(Error::BadOption(BadOption {
                option: "arch",
                value: names.join(","),
                advice: expected,
            }));
        }
        // Whoever wants to break off can do so a moment later.
        let _ = progress(CleanStep::Listing(sciurus_data::Progress { done: 0, total: 0 }));
        Ok(self.data.dataset().build()?)
    }

    /// The networks that look at the photos.
    pub(super) fn chosen(
        &self,
        on_download: &mut dyn FnMut(DownloadProgress),
    ) -> Result<Vec<ChosenArch>, Error> {
        let places = self.places();
        self.archs.iter().map(|choice| choice.choose(&self.weights, &places, on_download)).collect()
    }

    /// Adds the networks that say what belongs to no class: that which is built in, and where people left the choice to us those
    /// of [`JUDGES`] whose weights are on this machine.
    pub(super) fn add_judges(&self, chosen: &mut Vec<ChosenArch>) {
        let is_there = |chosen: &[ChosenArch], arch| {
            chosen.iter().any(|one| one.arch == arch && one.weights == WeightSource::Pretrained)
        };
        let is_ours = self.archs == [ArchChoice::Auto] && self.weights == WeightSource::Pretrained;
        for arch in JUDGES.into_iter().filter(|&arch| is_ours && weights::is_at_hand(arch, &self.places())) {
            chosen.push(ChosenArch { arch, weights: WeightSource::Pretrained, instead: None });
        }
        if !is_there(chosen, ArchChoice::BUILT_IN) {
            let (arch, weights) = (ArchChoice::BUILT_IN, WeightSource::Pretrained);
            chosen.push(ChosenArch { arch, weights, instead: None });
        }
    }

    /// The bodies of these networks.
    pub(super) fn embedders(
        &self,
        chosen: &[ChosenArch],
        progress: &(dyn Fn(CleanStep) -> ControlFlow<()> + Sync),
    ) -> Result<Vec<Embedder>, Error> {
        let mut on_download = |done| {
            let _ = progress(CleanStep::Download(done));
        };
        let embedder = |ChosenArch { arch, weights, .. }: &ChosenArch| {
            let embedder = Embedder::new(*arch, weights, &self.places(), &mut on_download)?;
            Ok(embedder.cache_folder(self.cache()))
        };
        chosen.iter().map(embedder).collect()
    }

    /// What earlier calls saw in photos' pixels.
    pub(super) fn known_reports(&self) -> KnownReports {
        self.cache().map(|folder| KnownReports::in_folder(&folder)).unwrap_or_default()
    }

    fn cache(&self) -> Option<PathBuf> {
        self.cache_folder.clone().or_else(usual_cache)
    }

    pub(super) fn places(&self) -> WeightPlaces {
        let places = WeightPlaces::from_environment();
        WeightPlaces { offline: places.offline || self.offline, ..places }
    }
}

#[cfg(test)]
mod tests {
    use sciurus_data::Split;

    use super::*;
    use crate::{Listeners, draw_demo};

    #[test]
    fn the_photos_of_a_run_are_split_as_they_were_there() {
        let folder = tempfile::tempdir().unwrap();
        let photos = folder.path().join("photos");
        draw_demo(&photos, 20, 42).unwrap();
        let mut settings = TrainSettings::small(&photos);
        settings.data.seed = 7;
        settings.data.test_fraction = Some(0.25);
        // Pictures whose numbers end in the same digit form a group.
        settings.data.group = Some(r"-\d\d(\d)\.".to_owned());
        let run = Run::prepare(folder.path().join("run"), settings, Listeners::default()).unwrap();
        let there = run.learner().loaders().dataset();
        let here = CleanSettings::of_run(run.run()).unwrap().dataset(&|_| ControlFlow::Continue(())).unwrap();
        assert!(there.split(Split::Test).count() > 0);
        assert_eq!(there.items, here.items);
    }
}
