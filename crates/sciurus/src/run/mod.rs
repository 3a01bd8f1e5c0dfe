//! A training run as a folder: its settings, what happened, and the results.
//!
//! In: [`TrainSettings`]. Out: `run.json` (settings, versions, data fingerprint, results), `config.toml` (the settings, for
//! another run), `events.jsonl`, `history.csv`, `predictions.json` (validation predictions with losses), `training.parquet`
//! (how the label of each training photo was learnt) and `model.sciurus`.

mod budget;
mod log;
mod report;
mod settings;
mod tensorboard;
mod upgrade;

pub use log::{EventLog, HistoryCsv};
pub use settings::{RunSettings, TrainSettings};
pub use tensorboard::TensorBoard;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sciurus_clean::find::LearntLabel;
use sciurus_data::fs::{FileError, InsidePath, Lock, Root, is_sealed, read_regular};
use sciurus_data::{Progress, Skipped, Split, begins_like_picture};
use sciurus_insight::{
    Accuracy, AccuracyMulti, AnyPredictions, Average, ByLabel, ErrorRate, MeanAveragePrecision, Measured,
    Predictions,
};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::learner::{Learner, Observer, TeacherRecord};
use crate::model::weights::{DownloadProgress, WeightsRecord};
use crate::predict::{DataRecord, Rejection};
use crate::storage::files;
use budget::{Budget, Timed};

/// The content of `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of Sciurus.
    pub version: String,
    /// Version of Burn, the tensor framework.
    pub burn: String,
    /// The settings of the run.
    pub settings: TrainSettings,
    /// The weights it started from.
    pub weights: WeightsRecord,
    /// The teachers that it learnt from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teachers: Vec<TeacherRecord>,
    /// The data it was trained and measured on.
    pub data: DataRecord,
    /// Files that were left out before training, and why. Photos that proved to be damaged later are in `events.jsonl`.
    pub skipped: Vec<Skipped>,
    /// Metrics on the validation set; empty until the run is finished. For multi-label data they are slightly optimistic,
    /// because the thresholds were chosen on the same photos.
    pub metrics: Vec<Measured>,
    /// Metrics on the test set, on which nothing was chosen; empty if there is none.
    pub test_metrics: Vec<Measured>,
    /// What a picture must be like to belong to one of the classes, if the model can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
    /// The photos that the model knows, relative to their folder: [`Similarity::nearest`](crate::Similarity::nearest) is a place here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_photos: Vec<PathBuf>,
    /// Whether it was stopped before its last epoch, so that [`Run::resume`] can train the rest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut_short: bool,
}

/// Callbacks for progress while a run is prepared.
pub struct Listeners {
    /// Called as the folder is read.
    pub on_scan: Box<dyn Fn(Progress) + Send + Sync>,
    /// Called as weights are downloaded.
    pub on_download: Box<dyn FnMut(DownloadProgress)>,
}

impl Default for Listeners {
    fn default() -> Self {
        Self { on_scan: Box::new(|_| ()), on_download: Box::new(|_| ()) }
    }
}

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listeners")
    }
}

/// Most bytes of `run.json`; it can be large, because it lists every file that was left out.
const LARGEST_RECORD: u64 = 256 << 20;

/// The files of a run.
const FILES: [&str; 7] = [
    "run.json",
    "config.toml",
    "events.jsonl",
    "history.csv",
    "predictions.json",
    "training.parquet",
    "model.sciurus",
];

/// A run folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    folder: PathBuf,
}

/// A run that is ready to train.
#[derive(Debug)]
pub struct PreparedRun {
    run: Run,
    record: RunRecord,
    learner: Learner,
    clock: Option<Timed>,
    /// Keeps other processes from training the same run.
    lock: Lock,
}

impl Run {
    /// Reads the photos, builds the learner, makes the folder and writes `run.json`.
    ///
    /// # Errors
    /// The photos or weights cannot be read, or `folder` already contains a run.
    pub fn prepare(
        folder: impl Into<PathBuf>,
        settings: TrainSettings,
        listeners: Listeners,
    ) -> Result<PreparedRun, Error> {
        let run = Run { folder: folder.into() };
        let refuse = |reason: &str| Err(Error::Run { path: run.folder.clone(), reason: reason.to_owned() });
        if FILES.iter().any(|name| run.path(name).exists()) {
            return refuse("already contains a run; choose another folder, or remove this one");
        }
        if settings.data.folder.to_str().is_none() || run.folder.to_str().is_none() {
            return refuse("the names of the photo folder and the run folder must be Unicode; rename them");
        }
        let began = Instant::now();
        let (settings, mut learner, clock) = match settings.run.time_budget {
            None => {
                let learner = settings.learner(listeners)?;
                (settings, learner, None)
            }
            Some(seconds) => {
                let (settings, learner, timed) = settings.in_time(Budget::new(began, seconds)?, listeners)?;
                (settings, learner, Some(timed))
            }
        };
        let settings = settings.resolved(&learner).with_absolute_paths()?;
        let lock = run.lock()?;
        learner.observe(EventLog::create(&run.path("events.jsonl"))?);
        learner.observe(HistoryCsv::create(&run.path("history.csv"))?);
        if settings.run.tensorboard {
            learner.observe(TensorBoard::create(&run.path("tensorboard"))?);
        }
        let dataset = learner.loaders().dataset();
        let record = RunRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            burn: BURN_VERSION.to_owned(),
            settings,
            weights: learner.weights().clone(),
            teachers: learner.teachers(),
            data: DataRecord::of(dataset),
            skipped: dataset.skipped.clone(),
            metrics: Vec::new(),
            test_metrics: Vec::new(),
            rejection: None,
            known_photos: Vec::new(),
            cut_short: false,
        };
        files::write_sealed_json(&run.path("run.json"), &record)?;
        run.write_config(&record.settings)?;
        Ok(PreparedRun::new((run, record), (learner, clock), lock))
    }

    /// Prepares a run that was killed or stopped to continue from its last checkpoint, or from the start if there is none.
    ///
    /// # Errors
    /// The run is already finished, another process is training it, its photos have changed, or a file cannot be read.
    pub fn resume(folder: impl Into<PathBuf>, listeners: Listeners) -> Result<PreparedRun, Error> {
        let run = Self::open(folder)?;
        let lock = run.lock()?;
        let record = run.record()?;
        let refuse = |reason: &str| Err(Error::Run { path: run.folder.clone(), reason: reason.to_owned() });
        if record.settings.run.time_budget.is_some() {
            return refuse("had a time budget, and such runs cannot be resumed; train again");
        }
        if run.model_path().exists() && !record.metrics.is_empty() && !record.cut_short {
            return refuse(
                "is already finished, so there is nothing to resume; to train its model further, begin a run from it",
            );
        }
        let mut learner = record.settings.learner(listeners)?;
        if learner.loaders().dataset().fingerprint() != record.data.fingerprint {
            return refuse("cannot be resumed, because the photos have changed since it began; train again");
        }
        if learner.weights().sha256 != record.weights.sha256 {
            return refuse(&format!(
                "cannot be resumed: it began with the weights `{}`, but now a different file was found (`{}`); use the \
                 same SCIURUS_MODELS or weight file, or train again",
                record.weights.name,
                learner.weights().name
            ));
        }
        let hashes = |teachers: &[TeacherRecord]| -> Vec<Option<String>> {
            teachers.iter().map(|teacher| teacher.sha256.clone()).collect()
        };
        if hashes(&learner.teachers()) != hashes(&record.teachers) {
            return refuse("cannot be resumed, because a teacher has changed since it began; train again");
        }
        let events = learner.resume_from(&run.folder)?;
        learner.observe(EventLog::resume(&run.path("events.jsonl"), events)?);
        learner.observe(HistoryCsv::resume(&run.path("history.csv"))?);
        if record.settings.run.tensorboard {
            learner.observe(TensorBoard::create(&run.path("tensorboard"))?);
        }
        Ok(PreparedRun::new((run, record), (learner, None), lock))
    }

    /// Makes a new folder for a run on these photos: `runs/NAME-TIME`, or `runs/NAME-TIME-2` and so on if that one is taken,
    /// also by a run that begins at the same moment. `time` is a timestamp such as `20261129-031500`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new_folder(photos: &Path, time: &str) -> Result<PathBuf, Error> {
        let name = std::path::absolute(photos).ok();
        let name = name.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let name = format!("{}-{time}", name.unwrap_or_else(|| "photos".to_owned()));
        let runs = Path::new("runs");
        std::fs::create_dir_all(runs).map_err(|source| Error::io(runs, source))?;
        let mut folder = runs.join(&name);
        for number in 2.. {
            match std::fs::create_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    folder = runs.join(format!("{name}-{number}"));
                }
                made => return made.map(|()| folder.clone()).map_err(|source| Error::io(&folder, source)),
            }
        }
        Ok(folder)
    }

    /// The model of a run, or the file itself, for those who name either.
    ///
    /// # Errors
    /// It is a run that has no model yet, another folder, or a photo.
    pub fn model_at(path: &Path) -> Result<PathBuf, Error> {
        let refuse = |reason: &str| Err(Error::Run { path: path.to_owned(), reason: reason.to_owned() });
        if Self::is_at(path) {
            let model = Self::open(path)?.model_path();
            return match model.is_file() {
                true => Ok(model),
                false => refuse(
                    "is a run that did not finish, so it has no model; finish it with `sciurus train --resume`",
                ),
            };
        }
        if path.is_dir() {
            return refuse("is a folder, but not of a run; name a run, or a model.sciurus file");
        }
        if begins_like_picture(path) {
            return refuse("is a photo, not a model; name the model first, then the photos");
        }
        Ok(path.to_owned())
    }

    /// Whether a folder contains a run.
    #[must_use]
    pub fn is_at(folder: &Path) -> bool {
        folder.join("run.json").is_file()
    }

    /// Opens the folder of a run.
    ///
    /// # Errors
    /// It holds no `run.json`.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, Error> {
        let run = Run { folder: folder.into() };
        match run.path("run.json").is_file() {
            true => Ok(run),
            false => Err(Error::Run {
                path: run.folder,
                reason: "is not a run folder (it has no run.json); give one that `sciurus train` made, such as runs/NAME-TIME"
                    .to_owned(),
            }),
        }
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The run's settings and results.
    ///
    /// # Errors
    /// `run.json` cannot be read.
    pub fn record(&self) -> Result<RunRecord, Error> {
        let (path, text) = self.record_text()?;
        serde_json::from_str(&text).map_err(|error| Error::Run { path, reason: error.to_string() })
    }

    /// Checks that this user's Sciurus made the run on this machine. The run's record names the folder of photos, so check
    /// before acting on files there.
    ///
    /// # Errors
    /// The run came from elsewhere, or `run.json` cannot be read.
    pub fn check_ours(&self) -> Result<(), Error> {
        let (path, text) = self.record_text()?;
        if is_sealed(&text) {
            return Ok(());
        }
        let reason = "it was not written by your Sciurus on this machine".to_owned();
        Err(FileError::Foreign { path, reason }.into())
    }

    /// Marks the run as trusted by this user, whoever made it. Returns whether it was not trusted before.
    ///
    /// # Errors
    /// `run.json` cannot be read or written.
    pub fn trust(&self) -> Result<bool, Error> {
        if self.check_ours().is_ok() {
            return Ok(false);
        }
        files::write_sealed_json(&self.path("run.json"), &self.record()?)?;
        Ok(true)
    }

    fn record_text(&self) -> Result<(PathBuf, String), Error> {
        let path = self.path("run.json");
        let bytes = read_regular(&path, LARGEST_RECORD).map_err(|source| Error::io(&path, source))?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok((path, text)),
            Err(error) => Err(Error::Run { path, reason: error.to_string() }),
        }
    }

    /// Takes the right to write the run's files, for as long as the lock is held. Creates the folder if necessary.
    fn lock(&self) -> Result<Lock, Error> {
        let root = Root::create(&self.folder)?;
        let lock = Lock::take(&root, &InsidePath::ours(".lock"), "training this run")?;
        root.sweep();
        Ok(lock)
    }

    /// The validation predictions of a single-label run.
    ///
    /// # Errors
    /// The run did not finish, the file cannot be read, or its data are multi-label.
    pub fn predictions(&self) -> Result<Predictions, Error> {
        match self.any_predictions()? {
            AnyPredictions::Single(predictions) => Ok(predictions),
            AnyPredictions::Multi(_) => Err(Error::Run {
                path: self.folder.clone(),
                reason:
                    "its photos are multi-label, and this needs exactly one label each; look at the run with \
                         `sciurus interpret`"
                        .to_owned(),
            }),
        }
    }

    /// The validation predictions, single-label or multi-label.
    ///
    /// # Errors
    /// The run did not finish, or the file cannot be read.
    pub fn any_predictions(&self) -> Result<AnyPredictions, Error> {
        let path = self.path("predictions.json");
        if !path.is_file() {
            let reason = "is missing, because the run did not finish; train again".to_owned();
            return Err(Error::Run { path, reason });
        }
        Ok(AnyPredictions::load(&path)?)
    }

    /// How the labels of the training photos were learnt; empty if the run did not finish or its data are multi-label.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn learnt_labels(&self) -> Result<Vec<LearntLabel>, Error> {
        let path = self.path("training.parquet");
        if path.is_file() { Ok(LearntLabel::load(&path)?) } else { Ok(Vec::new()) }
    }

    /// Images per second in the run's last epoch; `None` if it has no epoch yet.
    #[must_use]
    pub fn images_per_second(&self) -> Option<f64> {
        let bytes = read_regular(&self.path("history.csv"), LARGEST_RECORD).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let column = text.lines().next()?.split(',').position(|name| name == "images_per_second")?;
        let value = text.lines().skip(1).last()?.split(',').nth(column)?;
        value.parse().ok().filter(|speed: &f64| speed.is_finite() && *speed > 0.0)
    }

    /// The trained model's file.
    pub fn model_path(&self) -> PathBuf {
        self.path("model.sciurus")
    }

    fn write_config(&self, settings: &TrainSettings) -> Result<(), Error> {
        let path = self.path("config.toml");
        let text = settings
            .to_toml()
            .map_err(|error| Error::Run { path: path.clone(), reason: error.to_string() })?;
        files::write(&path, text.as_bytes())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Burn's version in Cargo.toml; a test keeps the two in step.
const BURN_VERSION: &str = "0.22.1";

impl PreparedRun {
    fn new(
        (run, record): (Run, RunRecord),
        (mut learner, clock): (Learner, Option<Timed>),
        lock: Lock,
    ) -> Self {
        if clock.is_none() {
            let every = Duration::from_secs_f64(record.settings.run.checkpoint_seconds);
            learner.write_checkpoints(&run.folder, every);
        }
        Self { run, record, learner, clock, lock }
    }

    /// The run's folder.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The run's settings.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// The learner, to look at before it trains.
    pub fn learner(&self) -> &Learner {
        &self.learner
    }

    /// When training must end, if the run has a time budget.
    pub fn end(&self) -> Option<Instant> {
        self.clock.map(|(budget, _)| budget.end())
    }

    /// Adds an observer.
    pub fn observe(&mut self, observer: impl Observer + 'static) {
        self.learner.observe(observer);
    }

    /// Trains, measures and exports.
    ///
    /// # Errors
    /// Training fails, or a file cannot be written.
    pub fn train(mut self) -> Result<FinishedRun, Error> {
        match self.clock {
            None => self.record.settings.fit(&mut self.learner)?,
            Some(clock) => self.record.settings.fit_in_time(&mut self.learner, clock)?,
        };
        self.learner.restore_best();
        if self.record.settings.run.half {
            self.learner.round_to_half()?;
        }
        let (predictions, temperature) = self.learner.calibrated()?;
        predictions.save(self.run.path("predictions.json"))?;
        let learnt = self.learner.learnt_labels();
        if !learnt.is_empty() {
            LearntLabel::save(&learnt, &self.run.path("training.parquet"))?;
        }
        self.record.metrics = self.measured(&predictions);
        let (known, photos) = self.learner.known_photos()?.unzip();
        self.record.rejection = known.as_ref().map(|known| known.rejection.clone());
        self.record.known_photos = photos.unwrap_or_default();
        let metrics = self.record.metrics.clone();
        let bundle = self.learner.bundle(metrics, (&predictions, temperature), known);
        bundle.save(&self.run.model_path())?;
        if self.learner.loaders().dataset().split(Split::Test).next().is_some() {
            self.record.test_metrics = match self.learner.any_predictions(Split::Test) {
                Ok(test) => self.measured(&test.at_thresholds_of(&predictions).at_temperature(temperature)),
                // Each unreadable photo has been reported; the model is saved without test metrics.
                Err(Error::NothingReadable { .. }) => Vec::new(),
                Err(error) => return Err(error),
            };
        }
        // A run with a time budget can't be resumed.
        self.record.cut_short = self.clock.is_none() && self.learner.was_cut_short();
        files::write_sealed_json(&self.run.path("run.json"), &self.record)?;
        if !self.record.cut_short {
            self.learner.remove_checkpoints()?;
        }
        drop(self.lock);
        Ok(FinishedRun { run: self.run, record: self.record, predictions, learner: self.learner })
    }

    /// The metrics that every run reports, and those that were asked for besides.
    fn measured(&self, predictions: &AnyPredictions) -> Vec<Measured> {
        let mut metrics = usual(predictions);
        for asked in self.learner.measure(predictions) {
            if metrics.iter().all(|metric| metric.name != asked.name) {
                metrics.push(asked);
            }
        }
        metrics
    }
}

/// The metrics that every run reports.
fn usual(predictions: &AnyPredictions) -> Vec<Measured> {
    match predictions {
        AnyPredictions::Single(predictions) => {
            vec![Measured::new(&ErrorRate, predictions), Measured::new(&Accuracy, predictions)]
        }
        AnyPredictions::Multi(predictions) => vec![
            Measured::of_multi(&AccuracyMulti, predictions),
            Measured::of_multi(&ByLabel::f_beta(1.0, Average::Macro), predictions),
            Measured::of_multi(&MeanAveragePrecision, predictions),
        ],
    }
}

/// A finished run.
#[derive(Debug)]
pub struct FinishedRun {
    /// The run's folder.
    pub run: Run,
    /// The run's settings and results.
    pub record: RunRecord,
    /// The validation predictions; multi-label ones use the thresholds that were chosen on them.
    pub predictions: AnyPredictions,
    /// The trained learner.
    pub learner: Learner,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_recorded_burn_version_is_the_pinned_one() {
        let manifest =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("burn = {{ version = \"={}\"", super::BURN_VERSION)));
    }
}
