//! What a model said of each item after every epoch in, how it came to its opinion out.

use serde::{Deserialize, Serialize};

use super::out_of_sample::{check_labels, largest};
use crate::{InsightError, softmax};

/// How an item's label was learnt, one entry per item in every list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingDynamics {
    /// Area under the margin: the mean over epochs of `logit(given) - largest other logit`. Low, above all below 0, is
    /// suspicious: the other items of its class pull against it. Source: Pleiss et al. 2020. 0 with one class.
    pub aum: Vec<f64>,
    /// The mean over epochs of the given class's probability, 0..1. With the next two, a data map: Swayamdipta et al. 2020.
    pub confidence: Vec<f64>,
    /// The standard deviation of it over epochs, 0..=0.5; high is ambiguous.
    pub variability: Vec<f64>,
    /// The share of epochs that predicted the given class, 0..=1.
    pub correctness: Vec<f64>,
}

impl TrainingDynamics {
    /// From the logits of each epoch, row-major `[item, class]`, in the same order of items every time.
    ///
    /// # Errors
    ///
    /// If there is no epoch, an epoch has not one row per label, a label is no class, or a logit is not finite.
    ///
    /// ```
    /// use sciurus_insight::clean::TrainingDynamics;
    ///
    /// let epochs = [vec![1.0, 0.0, 0.5, 0.0], vec![3.0, 0.0, -0.5, 1.0]];
    /// let dynamics = TrainingDynamics::new(&epochs, &[0, 0], 2)?;
    /// assert_eq!(dynamics.aum, [2.0, -0.5]);
    /// assert_eq!(dynamics.correctness, [1.0, 0.5]);
    /// # Ok::<(), sciurus_insight::InsightError>(())
    /// ```
    pub fn new(epochs: &[Vec<f32>], labels: &[usize], classes: usize) -> Result<Self, InsightError> {
        let count = epochs.len();
        InsightError::check_option("epochs", count as f64, count > 0, "from 1 up")?;
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
