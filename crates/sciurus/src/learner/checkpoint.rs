//! Checkpoints: everything a fit needs to continue after its process was killed, as if nothing had happened.
//!
//! In: the trainer's state and the [`Position`] in the fits. Out: a safetensors file of f32 tensors, with JSON in its metadata.
//! The newest file and the one before it are kept; each appears under its name only when complete.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::event::EpochRecord;
use super::loss::SmoothLoss;
use crate::Error;
use crate::nn::StateDict;
use crate::storage::tensor_file;
use crate::storage::tensor_file::{Checksum, TensorFile};

/// Version of the file format that this build writes and reads.
const FORMAT: u32 = 1;
/// Key of the JSON in the file's metadata.
const KEY: &str = "sciurus_checkpoint";
/// The newest checkpoint of a folder, and the one before it.
const NAMES: [&str; 2] = ["checkpoint.safetensors", "checkpoint-previous.safetensors"];
/// A checkpoint that is completely written, but not yet the newest.
const NEXT: &str = "checkpoint-next.safetensors";

/// A position in training: `step` of `epoch` of `fit` comes next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Fit, counted from 0 over the learner's life.
    pub(super) fit: u64,
    /// Epoch, counted from 0 in each fit.
    pub(super) epoch: usize,
    /// Step, counted from 0 in each epoch.
    pub(super) step: usize,
    /// Images trained on in this epoch.
    pub(super) images: usize,
    /// The fit's smoothed loss.
    pub(super) smooth: SmoothLoss,
    /// The loader's epoch, counted from 0 over the learner's life.
    pub(super) loader_epoch: u64,
}

/// Everything in a learner that training changes, as plain data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checkpoint {
    pub(super) facts: Facts,
    /// Tensors by `PART/NAME`; see [`Parts`].
    pub(super) tensors: StateDict,
}

/// What a checkpoint holds besides tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Facts {
    format: u32,
    pub(super) place: Position,
    /// Events that observers had seen.
    pub(super) events: u64,
    /// Training steps, which select dropout's random streams.
    pub(super) steps: u64,
    /// Steps in the moving average of the weights.
    pub(super) average_steps: u64,
    /// Optimizer steps of each parameter.
    pub(super) optimizer_steps: BTreeMap<String, i32>,
    /// Rows of the table.
    pub(super) history: Vec<EpochRecord>,
    /// The row of the best epoch, if the best model is kept.
    pub(super) best: Option<EpochRecord>,
}

impl Facts {
    pub(super) fn new(place: Position, events: u64, history: Vec<EpochRecord>) -> Self {
        Self {
            format: FORMAT,
            place,
            events,
            steps: 0,
            average_steps: 0,
            optimizer_steps: BTreeMap::new(),
            history,
            best: None,
        }
    }
}

/// Groups of tensors in a checkpoint.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// The model.
    Model,
    /// The moving average of its weights.
    Average,
    /// The optimizer's averages of gradients.
    Gradient,
    /// The optimizer's averages of squared gradients.
    Square,
    /// The best model so far.
    Best,
    /// The training dynamics of the photos so far.
    Looks,
}

impl Part {
    fn prefix(self) -> &'static str {
        match self {
            Part::Model => "model/",
            Part::Average => "average/",
            Part::Gradient => "gradient/",
            Part::Square => "square/",
            Part::Best => "best/",
            Part::Looks => "looks/",
        }
    }
}

impl Checkpoint {
    pub(super) fn new(facts: Facts) -> Self {
        Self { facts, tensors: StateDict::new() }
    }

    /// Adds the tensors of a part.
    pub(super) fn put(&mut self, part: Part, tensors: StateDict) {
        let named = tensors.into_iter().map(|(name, tensor)| (format!("{}{name}", part.prefix()), tensor));
        self.tensors.extend(named);
    }

    /// Takes the tensors of a part out.
    pub(super) fn take(&mut self, part: Part) -> StateDict {
        let prefix = part.prefix();
        let names: Vec<String> =
            self.tensors.range(prefix.to_owned()..).map(|(name, _)| name.clone()).collect();
        names
            .into_iter()
            .take_while(|name| name.starts_with(prefix))
            .filter_map(|name| Some((name[prefix.len()..].to_owned(), self.tensors.remove(&name)?)))
            .collect()
    }

    /// The newest intact checkpoint of a folder (`None` if there are no checkpoints), and what is wrong with a newer, damaged
    /// one.
    ///
    /// # Errors
    /// There are checkpoints, but none of them is intact.
    pub(super) fn load(folder: &Path) -> Result<(Option<Self>, Vec<Error>), Error> {
        let mut damaged = Vec::new();
        for path in NAMES.map(|name| folder.join(name)).iter().filter(|path| path.exists()) {
            match Self::read(path) {
                Ok(checkpoint) => return Ok((Some(checkpoint), damaged)),
                Err(error) => damaged.push(error),
            }
        }
        if damaged.is_empty() { Ok((None, damaged)) } else { Err(damaged.swap_remove(0)) }
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Bundle { path: path.to_owned(), reason };
        let mut file = TensorFile::open(path)?;
        let facts = file.record(KEY).ok_or_else(|| wrong("it is not a Sciurus checkpoint".to_owned()))?;
        let facts: Facts = serde_json::from_str(facts).map_err(|error| wrong(error.to_string()))?;
        if facts.format != FORMAT {
            return Err(wrong(format!("it has format {}, and this version reads {FORMAT}", facts.format)));
        }
        // A flipped bit would affect every later step, so the checksum is required.
        Ok(Self { facts, tensors: file.tensors(Checksum::Required)? })
    }
}

/// Where checkpoints go, and how often.
#[derive(Debug)]
pub(super) struct Checkpoints {
    folder: PathBuf,
    every: Duration,
    written: Instant,
}

impl Checkpoints {
    pub(super) fn new(folder: PathBuf, every: Duration) -> Self {
        Self { folder, every, written: Instant::now() }
    }

    /// Whether enough time has passed since the last checkpoint.
    pub(super) fn are_due(&self) -> bool {
        self.written.elapsed() >= self.every
    }

    /// Writes a checkpoint and keeps the one before it. If that fails, existing checkpoints stay as they are.
    pub(super) fn write(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let [newest, previous] = NAMES.map(|name| self.folder.join(name));
        let next = self.folder.join(NEXT);
        tensor_file::write(&next, (KEY, &checkpoint.facts), &checkpoint.tensors)?;
        let moved =
            |from: &Path, to: &Path| std::fs::rename(from, to).map_err(|source| Error::io(to, source));
        if newest.exists() {
            moved(&newest, &previous)?;
        }
        moved(&next, &newest)?;
        self.written = Instant::now();
        Ok(())
    }

    /// Removes the checkpoints, because training is finished.
    pub(super) fn remove(&self) -> Result<(), Error> {
        for path in NAMES.iter().chain([&NEXT]).map(|name| self.folder.join(name)) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
