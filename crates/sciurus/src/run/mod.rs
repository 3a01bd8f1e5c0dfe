//! A training run as a folder: what was asked, what happened, what came out.
//!
//! In: [`TrainSettings`]. Out: `run.json` (settings, versions, data fingerprint), `config.toml` (the settings, to be used again), `events.jsonl`, `history.csv`,
//! `predictions.json` (validation predictions with losses), `training.parquet` (how the label of each training photo was learnt) and
//! `model.sciurus`.

mod budget;
mod log;
mod report;
mod settings;
mod tensorboard;
mod upgrade;

pub use log::{EventLog, HistoryCsv};
pub use settings::{RunSettings, TrainSettings};
pub use tensorboard::TensorBoard;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sciurus_clean::find::LearntLabel;
use sciurus_data::fs::{FileError, InsidePath, Lock, Root, is_sealed, read_regular};
use sciurus_data::{Progress, Skipped, Split};
use sciurus_insight::{
    Accuracy, AccuracyMulti, AnyPredictions, Average, ByLabel, ErrorRate, MeanAveragePrecision, Measured,
    Predictions,
};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::learner::{Learner, Observer};
use crate::model::weights::{DownloadProgress, WeightsRecord};
use crate::predict::DataRecord;
use crate::storage::files;
use budget::{Budget, Timed};

/// What `run.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of Sciurus.
    pub version: String,
    /// Version of Burn, which computed it.
    pub burn: String,
    /// Everything that was asked for.
    pub settings: TrainSettings,
    /// The weights it started from.
    pub weights: WeightsRecord,
    /// The data it saw.
    pub data: DataRecord,
    /// Files that were left out before training, and why. Photos that turned out damaged later are in `events.jsonl`.
    pub skipped: Vec<Skipped>,
    /// How good the model is on the validation photos; empty until the run is done. Where photos have any number of labels,
    /// the thresholds were chosen on the same photos, which flatters it a little.
    pub metrics: Vec<Measured>,
    /// How good it is on the test photos, which nothing was chosen by; empty if there are none.
    pub test_metrics: Vec<Measured>,
}

/// What a caller wants to hear of while a run is prepared.
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

/// Bytes of `run.json` at most: it names every file that was left out.
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
    /// Nobody else trains this run meanwhile.
    lock: Lock,
}

impl Run {
    /// Reads the photos, builds the learner, makes the folder and writes `run.json`.
    ///
    /// # Errors
    /// The photos or weights cannot be read, or `folder` already holds a run.
    pub fn prepare(
        folder: impl Into<PathBuf>,
        settings: TrainSettings,
        listeners: Listeners,
    ) -> Result<PreparedRun, Error> {
        let run = Run { folder: folder.into() };
        let refuse = |reason: &str| Err(Error::Run { path: run.folder.clone(), reason: reason.to_owned() });
        if FILES.iter().any(|name| run.path(name).exists()) {
            return refuse("already holds a run; choose another folder with --run, or remove it");
        }
        if settings.data.folder.to_str().is_none() || run.folder.to_str().is_none() {
            return refuse("the folder names of photos and run must be Unicode; rename them");
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
            data: DataRecord::of(dataset),
            skipped: dataset.skipped.clone(),
            metrics: Vec::new(),
            test_metrics: Vec::new(),
        };
        files::write_sealed_json(&run.path("run.json"), &record)?;
        run.write_config(&record.settings)?;
        Ok(PreparedRun::new((run, record), (learner, clock), lock))
    }

    /// Prepares a run that was interrupted to go on where its last checkpoint is, or from its start if there is none.
    ///
    /// # Errors
    /// The run is done, another process is training it, its photos have changed, or something cannot be read.
    pub fn resume(folder: impl Into<PathBuf>, listeners: Listeners) -> Result<PreparedRun, Error> {
        let run = Self::open(folder)?;
        let lock = run.lock()?;
        let record = run.record()?;
        let refuse = |reason: &str| Err(Error::Run { path: run.folder.clone(), reason: reason.to_owned() });
        if record.settings.run.time_budget.is_some() {
            return refuse("was to take a given time, so there is nothing to go on with; train again");
        }
        if run.model_path().exists() && !record.metrics.is_empty() {
            return refuse("is done: there is nothing to resume");
        }
        let mut learner = record.settings.learner(listeners)?;
        if learner.loaders().dataset().fingerprint() != record.data.fingerprint {
            return refuse(
                "cannot go on: the photos have changed since it began; train anew with `sciurus train`",
            );
        }
        if learner.weights().sha256 != record.weights.sha256 {
            return refuse(&format!(
                "cannot go on: it began with the weights `{}`, and what is found now is another file (`{}`); give it \
                 the same SCIURUS_MODELS or weight file, or train anew",
                record.weights.name,
                learner.weights().name
            ));
        }
        let events = learner.resume_from(&run.folder)?;
        learner.observe(EventLog::resume(&run.path("events.jsonl"), events)?);
        learner.observe(HistoryCsv::resume(&run.path("history.csv"))?);
        if record.settings.run.tensorboard {
            learner.observe(TensorBoard::create(&run.path("tensorboard"))?);
        }
        Ok(PreparedRun::new((run, record), (learner, None), lock))
    }

    /// Where a run on these photos goes if nobody says: `runs/NAME-TIME`. `time` is a stamp such as `20261129-031500`.
    #[must_use]
    pub fn usual_folder(photos: &Path, time: &str) -> PathBuf {
        let name = std::path::absolute(photos).ok();
        let name = name.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        Path::new("runs").join(format!("{}-{time}", name.unwrap_or_else(|| "photos".to_owned())))
    }

    /// Whether a folder is one of a run.
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
                reason: "is no run folder (it has no run.json); give one that `sciurus train` made, such as runs/NAME-TIME"
                    .to_owned(),
            }),
        }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was asked for and what came of it.
    ///
    /// # Errors
    /// `run.json` cannot be read.
    pub fn record(&self) -> Result<RunRecord, Error> {
        let (path, text) = self.record_text()?;
        serde_json::from_str(&text).map_err(|error| Error::Run { path, reason: error.to_string() })
    }

    /// An error unless this user's Sciurus made the run on this machine. Its record names the folder of photos, and whoever acts
    /// on files there must know that nobody else wrote that.
    ///
    /// # Errors
    /// It came from elsewhere, or `run.json` cannot be read.
    pub fn check_ours(&self) -> Result<(), Error> {
        let (path, text) = self.record_text()?;
        if is_sealed(&text) {
            return Ok(());
        }
        let reason = "it was not written by your Sciurus on this machine".to_owned();
        Err(FileError::Foreign { path, reason }.into())
    }

    /// Makes the run this user's, because somebody said that they trust whoever made it. Says whether it was not before.
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

    /// The right to write the run's files, as long as it is held. The folder is made if need be.
    fn lock(&self) -> Result<Lock, Error> {
        let root = Root::create(&self.folder)?;
        let lock = Lock::take(&root, &InsidePath::ours(".lock"), "training this run")?;
        root.sweep();
        Ok(lock)
    }

    /// The validation predictions of photos with one label each.
    ///
    /// # Errors
    /// The run did not finish, the file cannot be read, or its photos have any number of labels.
    pub fn predictions(&self) -> Result<Predictions, Error> {
        match self.any_predictions()? {
            AnyPredictions::Single(predictions) => Ok(predictions),
            AnyPredictions::Multi(_) => Err(Error::Run {
                path: self.folder.clone(),
                reason: "its photos have any number of labels each, and this needs exactly one; look at the run with \
                         `sciurus interpret`"
                    .to_owned(),
            }),
        }
    }

    /// The validation predictions, whether photos have one label each or any number.
    ///
    /// # Errors
    /// The run did not finish, or the file cannot be read.
    pub fn any_predictions(&self) -> Result<AnyPredictions, Error> {
        let path = self.path("predictions.json");
        if !path.is_file() {
            let reason = "is missing: the run did not finish; train again".to_owned();
            return Err(Error::Run { path, reason });
        }
        Ok(AnyPredictions::load(&path)?)
    }

    /// How the labels of the training photos were learnt; none if the run did not finish or photos have any number of labels.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn learnt_labels(&self) -> Result<Vec<LearntLabel>, Error> {
        let path = self.path("training.parquet");
        if path.is_file() { Ok(LearntLabel::load(&path)?) } else { Ok(Vec::new()) }
    }

    /// The file of the trained model.
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

/// The pin in Cargo.toml; a test holds them together.
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

    /// What was asked for.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// The learner, to look at before it trains.
    pub fn learner(&self) -> &Learner {
        &self.learner
    }

    /// When the training is over, if the run has a given time.
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
        let predictions = self.learner.last_predictions()?.at_best_thresholds();
        predictions.save(self.run.path("predictions.json"))?;
        let learnt = self.learner.learnt_labels();
        if !learnt.is_empty() {
            LearntLabel::save(&learnt, &self.run.path("training.parquet"))?;
        }
        self.record.metrics = self.measured(&predictions);
        let bundle = self.learner.bundle(self.record.metrics.clone(), &predictions);
        bundle.save(&self.run.model_path())?;
        if self.learner.loaders().dataset().split(Split::Test).next().is_some() {
            self.record.test_metrics = match self.learner.any_predictions(Split::Test) {
                Ok(test) => self.measured(&test.at_thresholds_of(&predictions)),
                // The photos were named as they were passed over; the model is measured and saved without them.
                Err(Error::NothingReadable { .. }) => Vec::new(),
                Err(error) => return Err(error),
            };
        }
        files::write_sealed_json(&self.run.path("run.json"), &self.record)?;
        self.learner.remove_checkpoints()?;
        drop(self.lock);
        Ok(FinishedRun { run: self.run, record: self.record, predictions, learner: self.learner })
    }

    /// What every run is measured by, and what this one was asked for besides.
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

/// What every run is measured by.
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

/// A run that is done.
#[derive(Debug)]
pub struct FinishedRun {
    /// Its folder.
    pub run: Run,
    /// What was asked for and what came of it.
    pub record: RunRecord,
    /// The validation predictions; of any number of labels at the thresholds that were chosen on them.
    pub predictions: AnyPredictions,
    /// The learner, trained.
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
