//! Whether an ONNX file says what the model says. In: the file's bytes, the model, photos. Out: how far apart they are.
//!
//! The file runs in `onnxruntime`, which is asked for as a package of Python: another program than ours, and the one that most files of
//! this kind end up in.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use sciurus_data::RgbImage;
use serde::{Deserialize, Serialize};

use super::onnx::{OnnxInput, OnnxModel, WeightType};
use crate::predict::{ModelBundle, Prediction, Predictor};
use crate::{Error, Precision};

/// The program that runs `onnxruntime`.
const ONNXRUNTIME: &str = include_str!("onnxruntime.py");
/// The program that runs PyTorch.
const PYTORCH: &str = include_str!("pytorch.py");
/// Names another Python than `python3`.
const PYTHON: &str = "SCIURUS_PYTHON";
/// Most characters of an error that are shown.
const LONGEST: u64 = 4000;

/// How an exported model compares with the one that it was made of, over some photos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// What it ran in, such as `onnxruntime 1.32.0`.
    pub runtime: String,
    /// How many photos both were asked about.
    pub photos: usize,
    /// For how many the label differs, or which labels are on.
    pub flipped: usize,
    /// The largest difference between two probabilities of a label.
    pub difference: f32,
    /// For how many only one of them says that the photo shows none of the classes.
    pub rejection_flipped: usize,
}

impl Proof {
    /// The largest difference of probabilities for weights that are kept as they are.
    pub const LARGEST_DIFFERENCE: f32 = 1e-4;
    /// The largest share of photos whose label changes, for weights in fewer bits.
    pub const MOST_FLIPS: f64 = 0.01;

    /// Whether the export may be called the same model: with weights as they are, every label is the same and probabilities differ by at most
    /// 1e-4; with others, at most one label in a hundred differs.
    #[must_use]
    pub fn holds(&self, weights: WeightType) -> bool {
        match weights.is_exact() {
            true => self.flipped == 0 && self.difference <= Self::LARGEST_DIFFERENCE,
            false => self.flipped as f64 <= Self::MOST_FLIPS * self.photos as f64,
        }
    }
}

/// What came of comparing.
#[derive(Debug, Clone, PartialEq)]
pub enum Proved {
    /// Both were asked.
    Compared(Proof),
    /// There is nothing here to run the file in, and why.
    NoRuntime(String),
}

/// Asks a model and its export about photos, in single precision.
///
/// # Errors
/// The model can't be used, or the export fails on a photo, which is a fault of Sciurus.
pub fn prove(
    model: &OnnxModel,
    bundle: &ModelBundle,
    photos: impl IntoIterator<Item = RgbImage>,
) -> Result<Proved, Error> {
    let runtime = Runtime::start("onnxruntime", ONNXRUNTIME, &[&model.to_bytes()?]);
    compare(runtime, model.input(), bundle, photos)
}

/// The same for a Python file and its weights.
///
/// # Errors
/// As for [`prove`].
pub fn prove_pytorch(
    [python, weights]: [&[u8]; 2],
    bundle: &ModelBundle,
    photos: impl IntoIterator<Item = RgbImage>,
) -> Result<Proved, Error> {
    // What PyTorch can't say.
    let bundle = ModelBundle { known: None, ..bundle.clone() };
    compare(Runtime::start("torch", PYTORCH, &[python, weights]), OnnxInput::Square, &bundle, photos)
}

fn compare(
    runtime: Result<Runtime, String>,
    input: OnnxInput,
    bundle: &ModelBundle,
    photos: impl IntoIterator<Item = RgbImage>,
) -> Result<Proved, Error> {
    let mut runtime = match runtime {
        Ok(runtime) => runtime,
        Err(why) => return Ok(Proved::NoRuntime(why)),
    };
    let predictor = Predictor::from_bundle(bundle.clone())?.with_precision(Precision::F32)?;
    let pipeline = bundle.manifest.preprocessing.pipeline();
    let mut compared = Comparison::default();
    for photo in photos {
        let ours = predictor.predict(&photo)?;
        let sent = if input == OnnxInput::Square { pipeline.square(photo) } else { photo };
        let theirs = runtime.ask(&sent).map_err(|reason| Error::Export { reason })?;
        compared.add(&ours, &theirs, bundle.manifest.vocab.labels());
    }
    let Comparison { photos, flipped, difference, rejection_flipped } = compared;
    let runtime = format!("{} {}", runtime.package, runtime.version);
    Ok(Proved::Compared(Proof { runtime, photos, flipped, difference, rejection_flipped }))
}

/// What an export says of a photo.
#[derive(Debug, Deserialize)]
struct Answer {
    probabilities: Vec<f32>,
    #[serde(default)]
    label: Option<usize>,
    #[serde(default)]
    on: Option<Vec<bool>>,
    #[serde(default)]
    rejected: Option<bool>,
}

#[derive(Default)]
struct Comparison {
    photos: usize,
    flipped: usize,
    difference: f32,
    rejection_flipped: usize,
}

impl Comparison {
    fn add(&mut self, ours: &Prediction, theirs: &Answer, labels: &[String]) {
        self.photos += 1;
        let place = |label: &String| labels.iter().position(|known| known == label);
        for (label, probability) in &ours.ranking {
            let other = place(label).and_then(|place| theirs.probabilities.get(place));
            // What is missing differs as much as can be, and what is no number too.
            let apart = other.map_or(1.0, |other| (other - probability).abs());
            self.difference = if apart.is_nan() { 1.0 } else { self.difference.max(apart) };
        }
        let is_same = match &theirs.on {
            Some(on) => {
                let count = on.iter().filter(|on| **on).count();
                let is_on = |label: &String| place(label).is_some_and(|place| on.get(place) == Some(&true));
                count == ours.labels.len() && ours.labels.iter().all(is_on)
            }
            None => theirs.label == place(&ours.label),
        };
        self.flipped += usize::from(!is_same);
        self.rejection_flipped += usize::from(theirs.rejected != ours.rejected);
    }
}

/// A process that runs an ONNX file.
struct Runtime {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// What it runs files with, and which release of that.
    package: &'static str,
    version: String,
}

#[derive(Deserialize)]
struct Hello {
    version: String,
}

impl Runtime {
    /// Starts a script and gives it these files, or says why it can't be had.
    fn start(package: &'static str, script: &str, files: &[&[u8]]) -> Result<Self, String> {
        let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
        let command = Command::new(&python)
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut process = command.map_err(|error| format!("{python} can't be started ({error})"))?;
        let (Some(to), Some(from)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(format!("{python} can't be spoken with"));
        };
        let mut runtime = Self { process, to, from: BufReader::new(from), package, version: String::new() };
        let sent =
            files.iter().try_for_each(|file| runtime.send(&[&(file.len() as u64).to_le_bytes(), file]));
        let hello = sent.and_then(|()| runtime.line::<Hello>());
        match hello {
            Ok(Hello { version }) => {
                runtime.version = version;
                Ok(runtime)
            }
            Err(why) if why.contains("No module named") => {
                Err(format!("{python} has no {package}; `{python} -m pip install {package}` adds it"))
            }
            Err(why) => Err(why),
        }
    }

    fn ask(&mut self, photo: &RgbImage) -> Result<Answer, String> {
        let (width, height) = photo.dimensions();
        self.send(&[&height.to_le_bytes(), &width.to_le_bytes(), photo.as_raw()])?;
        self.line()
    }

    fn send(&mut self, parts: &[&[u8]]) -> Result<(), String> {
        let sent = parts.iter().try_for_each(|part| self.to.write_all(part)).and_then(|()| self.to.flush());
        sent.map_err(|_| self.complaint())
    }

    fn line<T: for<'a> Deserialize<'a>>(&mut self) -> Result<T, String> {
        let mut line = String::new();
        match self.from.read_line(&mut line) {
            Ok(count) if count > 0 => serde_json::from_str(&line)
                .map_err(|error| format!("{} answered what can't be read: {error}", self.package)),
            _ => Err(self.complaint()),
        }
    }

    /// What it said as it ended.
    fn complaint(&mut self) -> String {
        let mut said = String::new();
        if let Some(errors) = self.process.stderr.take() {
            // Half of a sentence is better than none.
            let _ = errors.take(LONGEST).read_to_string(&mut said);
        }
        match said.trim().lines().last() {
            Some(last) => format!("{} failed: {last}", self.package),
            None => format!("{} ended without a word", self.package),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
