//! How each label was learnt during training. In: a model's logits for each item whenever it was trained on it. Out: margins,
//! confidence and variability per item.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::out_of_sample::{check_labels, largest};
use sciurus_data::BadOption;
use sciurus_insight::table_file::{self, Column, Columns};
use sciurus_insight::{InsightError, softmax};

/// How an item's label was learnt, one entry per item in every list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingDynamics {
    /// Area under the margin: the mean over epochs of `logit(given) - largest other logit`. Low values, above all below 0, are
    /// suspicious: the model learnt another class in spite of the label. Source: Pleiss et al. 2020. 0 with one class.
    pub aum: Vec<f64>,
    /// The mean over epochs of the given class's probability, 0..1. With the next two, a data map: Swayamdipta et al. 2020.
    pub confidence: Vec<f64>,
    /// The standard deviation of that probability over epochs, 0..=0.5; high values mean an ambiguous item.
    pub variability: Vec<f64>,
    /// The share of epochs that predicted the given class, 0..=1.
    pub correctness: Vec<f64>,
}

impl TrainingDynamics {
    /// Computes the dynamics from the logits of each epoch, row-major `[item, class]`, with the items in the same order every
    /// time.
    ///
    /// # Errors
    /// If there is no epoch, an epoch does not have one row per label, a label is not a class, or a logit is not finite.
    ///
    /// ```
    /// use sciurus_clean::find::TrainingDynamics;
    ///
    /// let epochs = [vec![1.0, 0.0, 0.5, 0.0], vec![3.0, 0.0, -0.5, 1.0]];
    /// let dynamics = TrainingDynamics::new(&epochs, &[0, 0], 2)?;
    /// assert_eq!(dynamics.aum, [2.0, -0.5]);
    /// assert_eq!(dynamics.correctness, [1.0, 0.5]);
    /// # Ok::<(), sciurus_insight::InsightError>(())
    /// ```
    pub fn new(epochs: &[Vec<f32>], labels: &[usize], classes: usize) -> Result<Self, InsightError> {
        let count = epochs.len();
        BadOption::check("epochs", count as f64, count > 0, "choose 1 or more")?;
        check_labels(classes, labels)?;
        for epoch in epochs {
            let (expected, found) = (labels.len() * classes, epoch.len());
            if expected != found {
                return Err(InsightError::Length { what: "logits (items times classes)", expected, found });
            }
            if let Some(at) = epoch.iter().position(|logit| !logit.is_finite()) {
                return Err(InsightError::Row { row: at / classes, why: "a logit is not finite".into() });
            }
        }
        let mut dynamics = Self { aum: vec![], confidence: vec![], variability: vec![], correctness: vec![] };
        for (item, &label) in labels.iter().enumerate() {
            let rows = epochs.iter().map(|epoch| &epoch[item * classes..(item + 1) * classes]);
            dynamics.push(&rows.map(|row| Look::new(row, label)).collect::<Vec<Look>>());
        }
        Ok(dynamics)
    }

    fn push(&mut self, looks: &[Look]) {
        let mean = |of: &dyn Fn(&Look) -> f64| looks.iter().map(of).sum::<f64>() / looks.len() as f64;
        let confidence = mean(&|look| look.probability);
        self.aum.push(mean(&|look| look.margin));
        self.confidence.push(confidence);
        self.variability.push(mean(&|look| (look.probability - confidence).powi(2)).sqrt());
        self.correctness.push(mean(&|look| f64::from(u8::from(look.is_right))));
    }
}

/// One item in one epoch.
struct Look {
    margin: f64,
    probability: f64,
    is_right: bool,
}

impl Look {
    fn new(row: &[f32], label: usize) -> Self {
        let others = row.iter().enumerate().filter(|&(class, _)| class != label);
        let other = others.map(|(_, &logit)| f64::from(logit)).reduce(f64::max);
        let given = f64::from(row[label]);
        let probabilities: Vec<f64> = softmax(row).collect();
        let logits: Vec<f64> = row.iter().copied().map(f64::from).collect();
        Self {
            margin: given - other.unwrap_or(given),
            probability: probabilities[label],
            is_right: largest(&logits) == label,
        }
    }
}

/// Numbers stored for each item.
const KEPT: usize = 5;

/// [`TrainingDynamics`] computed during training, in single precision. The memory does not grow with the number of epochs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OnlineDynamics {
    /// For each item: looks, mean margin, mean probability of its class, sum of squared differences from that mean (Welford
    /// 1962), and looks that predicted its class.
    rows: Vec<[f32; KEPT]>,
}

impl OnlineDynamics {
    /// Starts for `items` items, none of which has been seen.
    #[must_use]
    pub fn new(items: usize) -> Self {
        Self { rows: vec![[0.0; KEPT]; items] }
    }

    /// Adds one look: the logits `[class]` of an item that has the class `label`.
    ///
    /// # Panics
    /// If there is no such item or class.
    pub fn see(&mut self, item: usize, logits: &[f32], label: usize) {
        let look = Look::new(logits, label);
        let (margin, probability) = (look.margin as f32, look.probability as f32);
        let [looks, mean_margin, mean, squares, right] = &mut self.rows[item];
        *looks += 1.0;
        *mean_margin += (margin - *mean_margin) / *looks;
        let before = probability - *mean;
        *mean += before / *looks;
        *squares += before * (probability - *mean);
        *right += f32::from(u8::from(look.is_right));
    }

    /// How often an item was looked at.
    #[must_use]
    pub fn count(&self, item: usize) -> usize {
        self.rows[item][0] as usize
    }

    /// The dynamics so far; all 0 for an item that was never looked at.
    #[must_use]
    pub fn dynamics(&self) -> TrainingDynamics {
        let of = |value: &dyn Fn(&[f32; KEPT]) -> f64| self.rows.iter().map(value).collect();
        let share = |sum: f32, looks: f32| f64::from(sum) / f64::from(looks.max(1.0));
        TrainingDynamics {
            aum: of(&|row| f64::from(row[1])),
            confidence: of(&|row| f64::from(row[2])),
            variability: of(&|row| share(row[3], row[0]).max(0.0).sqrt()),
            correctness: of(&|row| share(row[4], row[0])),
        }
    }

    /// The whole state, `[item, 5]`, for a checkpoint.
    #[must_use]
    pub fn values(&self) -> Vec<f32> {
        self.rows.as_flattened().to_vec()
    }

    /// Restores the state that [`values`](Self::values) returned; `None` if it is not for this many items.
    #[must_use]
    pub fn from_values(items: usize, values: &[f32]) -> Option<Self> {
        let (rows, rest) = values.as_chunks();
        (rows.len() == items && rest.is_empty()).then(|| Self { rows: rows.to_vec() })
    }
}

/// A row for each photo.
const SCHEMA: &str = "
    message training {
        required binary path (STRING);
        required binary label (STRING);
        required int32 looks (INTEGER(32, false));
        required double aum;
        required double confidence;
        required double variability;
        required double correctness;
    }";

/// How the label of one photo was learnt: a row of a run's `training.parquet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearntLabel {
    /// The photo, relative to the data set's folder.
    pub path: PathBuf,
    /// Its label while the model trained.
    pub label: String,
    /// How often the model was trained on it, not counting batches in which it was mixed with another photo.
    pub looks: u32,
    /// Area under the margin; see [`TrainingDynamics`] for this and the next three.
    pub aum: f64,
    /// Mean probability of the label, 0..1.
    pub confidence: f64,
    /// Its standard deviation, 0..=0.5.
    pub variability: f64,
    /// The share of looks that predicted the label, 0..=1.
    pub correctness: f64,
}

impl LearntLabel {
    /// Writes rows as a Parquet file, which DuckDB, pandas and polars can read.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(rows: &[Self], path: &Path) -> Result<(), InsightError> {
        table_file::save(path, &String::new(), rows, &Self::columns())
    }

    /// Reads rows that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// If the file cannot be read or does not contain such rows.
    pub fn load(path: &Path) -> Result<Vec<Self>, InsightError> {
        let (_, rows): (String, Vec<Self>) = table_file::load(path, &Self::columns())?;
        Ok(rows)
    }

    fn columns() -> Columns<Self> {
        let columns = vec![
            Column::Text(|row: &Self| vec![row.path.to_string_lossy()]),
            Column::Text(|row| vec![row.label.as_str().into()]),
            Column::Count(|row| vec![row.looks.into()]),
            Column::Number(|row| vec![row.aum]),
            Column::Number(|row| vec![row.confidence]),
            Column::Number(|row| vec![row.variability]),
            Column::Number(|row| vec![row.correctness]),
        ];
        Columns { schema: SCHEMA, columns, newer: 0 }
    }
}
