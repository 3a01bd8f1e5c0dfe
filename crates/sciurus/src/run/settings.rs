//! The settings of a training run, and the learner that is built from them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sciurus_clean::plan::CleanPlan;
use sciurus_data::fs::read_regular;
use sciurus_data::{BadOption, DataSettings, Order, Split, class_weights, positive_weights, settings};
use sciurus_insight::{metric_named, multi_metric_named};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Listeners;
use super::budget::{Budget, Timed};
use super::upgrade::upgrade;
use crate::Error;
use crate::learner::{
    Balance, BatchTimes, Control, DistillSettings, FitSettings, Learner, Objective, arch_named,
    vision_learner,
};
use crate::loaders::{DataLoaders, ImageDataLoaders, LoaderSettings};
use crate::model::VisionModel;
use crate::model::weights::WeightSource;
use crate::predict::ModelBundle;

/// Most bytes of a settings file.
const LARGEST: u64 = 1 << 20;

/// With one checkpoint per minute, a kill loses at most a minute of work, and checkpoints cost a few thousandths of the time.
const CHECKPOINT_SECONDS: f64 = 60.0;

/// Options that exclude others: where the first is given, the second of a file does not count.
const RIVALS: [(&str, &str); 9] = [
    ("split", "fold"),
    ("valid_fraction", "fold"),
    ("fold", "split"),
    ("fold", "valid_fraction"),
    ("csv", "name_pattern"),
    ("name_pattern", "csv"),
    ("epochs", "time_budget"),
    ("image_size", "time_budget"),
    ("first_image_size", "time_budget"),
];

settings! {
    /// What a run does besides fitting: what it measures and writes, and which plan it follows.
    pub struct RunSettings {
        /// A plan of `sciurus clean` to follow: labels are changed and photos left out, but no file is touched.
        pub plan: Option<PathBuf> = None,
        /// Metrics in the table, by name. Without any: the error rate, or `accuracy_multi` and `f1` for multi-label data.
        pub metrics: Vec<String> = Vec::new(),
        /// Seconds that the run may take, at least 10. They decide the number of epochs, and also the image size, if the given
        /// one would allow too few epochs or needlessly many.
        pub time_budget: Option<f64> = None,
        /// Whether only a linear head is fitted, on features of the frozen body, in seconds, and measured by cross-validation: see
        /// [`Learner::fit_instantly`].
        pub instant: bool = false,
        /// Whether weights are rounded to half precision (fp16) before they are measured and saved.
        pub half: bool = false,
        /// Whether the run writes event files for TensorBoard.
        pub tensorboard: bool = false,
        /// Shortest time between checkpoints, in seconds, 0 or more.
        pub checkpoint_seconds: f64 = CHECKPOINT_SECONDS,
    }
}

/// The settings of a training run. `run.json` and `config.toml` store them; the command line lays the typed options over them.
/// In files all options are on one level, under the names of their fields here.
///
/// ```
/// use sciurus::TrainSettings;
///
/// let mut settings = TrainSettings::new("squirrels");
/// settings.fit.epochs = 8;
/// settings.data.seed = 7;
/// assert_eq!(settings.loader.batch_size, 64);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct TrainSettings {
    /// The photos, their labels, and the split.
    #[serde(flatten)]
    pub data: DataSettings,
    /// How batches are made from photos.
    #[serde(flatten)]
    pub loader: LoaderSettings,
    /// The network, its weights, and how they are trained.
    #[serde(flatten)]
    pub fit: FitSettings,
    /// Teachers, and what is learnt from them.
    #[serde(flatten)]
    pub distill: DistillSettings,
    /// What the run does besides fitting.
    #[serde(flatten)]
    pub run: RunSettings,
}

impl TryFrom<Map<String, Value>> for TrainSettings {
    type Error = String;

    /// Reads options by name. An unknown name is an error; names that earlier versions used are accepted.
    fn try_from(mut options: Map<String, Value>) -> Result<Self, String> {
        upgrade(&mut options);
        let known = Self::default().options().map_err(|error| error.to_string())?;
        if let Some(name) = options.keys().find(|name| !known.contains_key(*name)) {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            return Err(format!("there is no option `{name}`; choose from {}", names.join(", ")));
        }
        Self::of(&options).map_err(|error| {
            // serde doesn't name the option that it failed at, so each is tried by itself.
            let alone = |(name, value): (&String, &Value)| Map::from_iter([(name.clone(), value.clone())]);
            let culprit = options.iter().find(|&option| Self::of(&alone(option)).is_err());
            culprit.map_or_else(|| error.to_string(), |(name, _)| format!("`{name}`: {error}"))
        })
    }
}

impl TrainSettings {
    /// Settings from options that are known.
    fn of(options: &Map<String, Value>) -> Result<Self, serde_json::Error> {
        let all = Value::Object(options.clone());
        Ok(Self {
            data: DataSettings::deserialize(&all)?,
            loader: LoaderSettings::deserialize(&all)?,
            fit: FitSettings::deserialize(&all)?,
            distill: DistillSettings::deserialize(&all)?,
            run: RunSettings::deserialize(&all)?,
        })
    }

    /// Default settings for these photos.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { data: DataSettings::new(folder), ..Self::default() }
    }

    /// Settings for tests: a small network with random weights, on small pictures.
    #[cfg(test)]
    pub(crate) fn small(folder: impl Into<PathBuf>) -> Self {
        let mut settings = Self::new(folder);
        settings.fit.arch = crate::Arch::ResNet10Narrow.into();
        settings.fit.weights = WeightSource::Random;
        (settings.loader.image_size, settings.loader.batch_size) = (64, 8);
        settings
    }

    /// Reads settings from a TOML file. Options that it leaves out have their defaults. Paths are relative to the working
    /// directory.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, contains an unknown option, or does not name a folder of photos.
    pub fn from_toml(path: &Path) -> Result<Self, Error> {
        let bytes = read_regular(path, LARGEST).map_err(|source| Error::io(path, source))?;
        let text = String::from_utf8(bytes)
            .map_err(|error| Error::io(path, std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
        let broken = |reason: String| Error::Run { path: path.to_owned(), reason };
        let settings: Self = toml::from_str(&text).map_err(|error| broken(error.to_string()))?;
        if settings.data.folder.as_os_str().is_empty() {
            return Err(broken(
                "does not name a folder of photos; add a line such as: folder = \"squirrels\"".to_owned(),
            ));
        }
        Ok(settings)
    }

    /// All options by name; unset ones are null.
    ///
    /// # Errors
    /// A path is not Unicode.
    pub fn options(&self) -> Result<Map<String, Value>, Error> {
        match serde_json::to_value(self) {
            Ok(Value::Object(options)) => Ok(options),
            Ok(_) => Ok(Map::new()),
            Err(error) => Err(Error::Run {
                path: self.data.folder.clone(),
                reason: format!("{error}; rename the file or folder"),
            }),
        }
    }

    /// The same settings with these options laid over them. An option that excludes another takes its place: a fold that is
    /// typed counts more than a split in the file, and a split more than a fold.
    ///
    /// # Errors
    /// An option does not exist, or its value cannot be used.
    pub fn with_options(&self, typed: Map<String, Value>) -> Result<Self, Error> {
        let mut options = self.options()?;
        let excluded = RIVALS.into_iter().filter(|(name, _)| typed.contains_key(*name));
        excluded.for_each(|(_, rival)| drop(options.remove(rival)));
        options.extend(typed);
        options.try_into().map_err(|reason| Error::Run { path: self.data.folder.clone(), reason })
    }

    /// The same settings, to go on training a model that Sciurus saved: its network, weights and image size.
    ///
    /// # Errors
    /// The file is not a model.
    pub fn continuing(mut self, model: &Path) -> Result<Self, Error> {
        let manifest = ModelBundle::load(model)?.manifest;
        (self.fit.arch, self.fit.weights) = (manifest.arch.into(), WeightSource::File(model.to_owned()));
        self.loader.image_size = manifest.preprocessing.image_size;
        self.loader.resize = manifest.preprocessing.resize_method;
        Ok(self)
    }

    /// The same settings with absolute paths, so that they work from any working directory.
    pub(super) fn with_absolute_paths(mut self) -> Result<Self, Error> {
        let mut paths = vec![&mut self.data.folder];
        paths.extend(&mut self.data.csv);
        paths.extend(&mut self.run.plan);
        if let WeightSource::File(file) = &mut self.fit.weights {
            paths.push(file);
        }
        paths.extend(self.distill.teachers.iter_mut().filter(|teacher| arch_named(teacher).is_none()));
        for path in paths {
            *path = std::path::absolute(&*path).map_err(|source| Error::io(path, source))?;
        }
        Ok(self)
    }

    /// The settings as a TOML file for [`from_toml`](Self::from_toml).
    pub(super) fn to_toml(&self) -> Result<String, toml::ser::Error> {
        Ok(format!(
            "# Settings of a training run. To train with them again: sciurus train --config FILE\n\n{}",
            toml::to_string(self)?
        ))
    }

    /// Reads the photos and builds the learner, ready for [`fit`](Self::fit).
    ///
    /// # Errors
    /// The photos or weights cannot be read, or an option is out of range.
    pub fn learner(&self, listeners: Listeners) -> Result<Learner, Error> {
        // Checked before anything is read or written, so that a run that cannot be trained leaves no folder behind.
        self.check()?;
        let loaders = self.loaders(listeners.on_scan)?;
        let dataset = loaders.dataset();
        let is_multi = dataset.is_multi_label();
        let class_weights = match self.fit.balance {
            Balance::Loss if is_multi => {
                positive_weights(&dataset.class_counts(Split::Train), dataset.split(Split::Train).count())
            }
            Balance::Loss => {
                class_weights(&dataset.class_counts(Split::Train)).into_iter().map(f64::from).collect()
            }
            Balance::None | Balance::Batches => Vec::new(),
        };
        let mut learner = vision_learner(loaders, self.fit.arch)
            .settings(self.fit.clone())
            .distill(self.distill.clone())
            .seed(self.data.seed)
            .objective(Objective { loss: self.fit.loss, class_weights })
            .on_download(listeners.on_download);
        for name in &self.run.metrics {
            learner = match is_multi {
                false => learner.boxed_metric(metric_named(name)?),
                true => learner.boxed_multi_metric(multi_metric_named(name)?),
            };
        }
        learner.build()
    }

    fn check(&self) -> Result<(), Error> {
        self.fit.check()?;
        self.distill.check()?;
        let seconds = self.run.checkpoint_seconds;
        let is_sensible = (0.0..1e9).contains(&seconds);
        BadOption::check("checkpoint_seconds", seconds, is_sensible, "choose 0 or more seconds")?;
        if let (Some(pixels), Some(_)) = (self.loader.first_image_size, self.run.time_budget) {
            let advice = "leave it out, or leave out `time_budget`, which chooses the image size itself";
            return Err(BadOption::new("first_image_size", pixels, advice).into());
        }
        Ok(())
    }

    /// Trains a learner: fine-tuning pretrained weights, or one cycle from random ones.
    ///
    /// # Errors
    /// As [`Learner::fit`].
    pub fn fit(&self, learner: &mut Learner) -> Result<Control, Error> {
        if self.run.instant {
            return learner.fit_instantly();
        }
        if self.fit.is_from_scratch() {
            learner.unfreeze();
            return learner.fit_one_cycle(self.fit.one_cycle());
        }
        learner.fine_tune(self.fit.fine_tune())
    }

    /// Like [`fit`](Self::fit), within a time budget.
    pub(super) fn fit_in_time(
        &self,
        learner: &mut Learner,
        (budget, times): Timed,
    ) -> Result<Control, Error> {
        if self.fit.is_from_scratch() {
            learner.unfreeze();
            return budget.fit(learner, self.fit.one_cycle().schedule(VisionModel::GROUPS)?, &times);
        }
        budget.fine_tune(learner, &self.fit.fine_tune(), &times)
    }

    /// A learner whose image size suits the budget, with the time that its batches take.
    pub(super) fn in_time(
        mut self,
        budget: Budget,
        listeners: Listeners,
    ) -> Result<(Self, Learner, Timed), Error> {
        let mut learner = self.learner(listeners)?;
        self.fit.arch = learner.arch().into();
        let mut times = learner.time_batches()?;
        let frozen = if self.fit.is_from_scratch() { 0 } else { self.fit.freeze_epochs };
        let size = budget.without(self.after(&times)).image_size(&times, frozen, self.loader.image_size);
        if size != self.loader.image_size {
            self.loader.image_size = size;
            learner = self.learner(Listeners::default())?;
            times = learner.time_batches()?;
        }
        let budget = budget.without(self.after(&times));
        Ok((self, learner, (budget, times)))
    }

    /// The time needed after training: for the test set, and to measure the model again if it is rounded to half precision.
    fn after(&self, times: &BatchTimes) -> Duration {
        let anew = if self.run.half { times.valid_epoch() } else { 0.0 };
        times.test + Duration::from_secs_f64(anew)
    }

    /// The same settings, with every default that depends on the data or the machine filled in.
    pub(super) fn resolved(mut self, learner: &Learner) -> Self {
        self.fit.arch = learner.arch().into();
        self.fit.learning_rate = Some(self.fit.learning_rate());
        self.data.set_splitter(learner.loaders().dataset().splitter);
        self.loader.views = Some(learner.loaders().preprocessing().views);
        self.fit.precision = learner.precision();
        self.run.metrics = learner.metric_names();
        self
    }

    fn loaders(
        &self,
        on_scan: Box<dyn Fn(sciurus_data::Progress) + Send + Sync>,
    ) -> Result<DataLoaders, Error> {
        let mut dataset = self.data.dataset();
        if let Some(plan) = &self.run.plan {
            dataset = dataset.correct(CleanPlan::load(plan)?.corrections());
        }
        let order = if self.fit.balance == Balance::Batches { Order::Balanced } else { Order::Shuffled };
        ImageDataLoaders::from_dataset(dataset)
            .settings(self.loader.clone())
            .order(order)
            .normalize(self.fit.arch.normalize())
            .seed(self.data.seed)
            .on_progress(on_scan)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use sciurus_data::{Labeler, Splitter};

    use super::*;

    fn options(json: &str) -> Result<TrainSettings, String> {
        serde_json::from_str::<Map<String, Value>>(json).unwrap().try_into()
    }

    #[test]
    fn settings_come_back_from_toml_and_json_as_they_were() {
        let mut settings = TrainSettings::small("photos");
        settings.data.csv = Some("labels.csv".into());
        settings.data.fold = Some("2/5".parse().unwrap());
        settings.loader.mix = Some(sciurus_data::Mix::mix_up());
        settings.fit.warmup = Some(0.4);
        let toml: TrainSettings = toml::from_str(&settings.to_toml().unwrap()).unwrap();
        assert_eq!(toml, settings);
        assert_eq!(TrainSettings::try_from(settings.options().unwrap()).unwrap(), settings);
    }

    #[test]
    fn what_was_typed_counts_more_and_what_nobody_knows_is_an_error() {
        let typed = serde_json::from_str(r#"{"epochs": 9, "fold": "1/3"}"#).unwrap();
        let settings = TrainSettings::small("photos").with_options(typed).unwrap();
        assert_eq!((settings.fit.epochs, settings.loader.image_size), (9, 64));
        let error = options(r#"{"epoch": 9}"#).unwrap_err();
        assert!(error.starts_with("there is no option `epoch`; choose from"), "{error}");
        let error = options(r#"{"seed": 1, "epochs": "many"}"#).unwrap_err();
        assert!(error.starts_with("`epochs`: invalid type: string"), "{error}");
    }

    #[test]
    fn an_option_that_excludes_another_takes_its_place() {
        let over = |base: &str, typed: &str| {
            options(base).unwrap().with_options(serde_json::from_str(typed).unwrap()).unwrap()
        };
        let settings = over(r#"{"fold": "1/3"}"#, r#"{"valid_fraction": 0.3}"#);
        assert_eq!(settings.data.splitter(), Some(Splitter::Stratified { valid_fraction: 0.3 }));
        let settings = over(r#"{"split": "random", "valid_fraction": 0.3}"#, r#"{"fold": "1/3"}"#);
        assert_eq!(settings.data.splitter(), Some(Splitter::KFold { folds: 3, fold: 0 }));
        assert_eq!((settings.data.split, settings.data.valid_fraction), (None, None));
        let settings = over(r#"{"csv": "a.csv"}"#, r#"{"name_pattern": "(.)"}"#);
        assert_eq!(settings.data.labeler(), Labeler::NamePattern { pattern: "(.)".into() });
        assert_eq!(over(r#"{"time_budget": 60}"#, r#"{"epochs": 3}"#).run.time_budget, None);
    }

    #[test]
    fn no_option_stands_in_two_sections() {
        let sections = [
            serde_json::to_value(DataSettings::default()).unwrap(),
            serde_json::to_value(LoaderSettings::default()).unwrap(),
            serde_json::to_value(FitSettings::default()).unwrap(),
            serde_json::to_value(DistillSettings::default()).unwrap(),
            serde_json::to_value(RunSettings::default()).unwrap(),
        ];
        let names: usize = sections.iter().map(|section| section.as_object().unwrap().len()).sum();
        assert_eq!(TrainSettings::default().options().unwrap().len(), names);
    }
}
