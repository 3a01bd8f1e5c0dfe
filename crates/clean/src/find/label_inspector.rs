//! Finds label issues in a data set that is too large for memory; cleanlab's `LabelInspector`. In: batches of probabilities,
//! twice. Out: item indices.

use super::confident_joint::{LOWEST_THRESHOLD, MARGIN, class_thresholds};
use super::label_filter::{lowest_of, prediction_agrees};
use super::label_scores::{LabelScore, label_scores};
use super::out_of_sample::OutOfSample;

/// Finds label issues in two passes over batches, with nine bytes of memory per item.
///
/// [`observe`](Self::observe) every batch, then [`score`](Self::score) every batch in the same order, then ask for
/// [`label_issues`](Self::label_issues). As in cleanlab, the threshold of a class without labels is 2e-6 here (but 2 in
/// [`class_thresholds`]), so that every item predicted as that class counts.
///
/// ```
/// use sciurus_clean::find::{LabelInspector, LabelScore, OutOfSample};
///
/// let batches = [
///     OutOfSample::new(2, vec![0.9, 0.1, 0.8, 0.2, 0.1, 0.9], vec![0, 0, 0])?,
///     OutOfSample::new(2, vec![0.2, 0.8, 0.05, 0.95], vec![1, 1])?,
/// ];
/// let mut inspector = LabelInspector::new(2, LabelScore::SelfConfidence);
/// batches.iter().for_each(|batch| inspector.observe(batch));
/// for batch in &batches {
///     inspector.score(batch);
/// }
/// assert_eq!(inspector.label_issues(), [2]);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LabelInspector {
    score: LabelScore,
    thresholds: Vec<f64>,
    counts: Vec<usize>,
    scores: Vec<f64>,
    agrees: Vec<bool>,
    issues: usize,
}

impl LabelInspector {
    /// An inspector for data sets with `classes` classes, which ranks by `score`.
    #[must_use]
    pub fn new(classes: usize, score: LabelScore) -> Self {
        let thresholds = vec![LOWEST_THRESHOLD; classes];
        Self { score, thresholds, counts: vec![0; classes], scores: vec![], agrees: vec![], issues: 0 }
    }

    /// First pass: adds a batch to the class thresholds. The batch must have the inspector's classes.
    pub fn observe(&mut self, batch: &OutOfSample) {
        let means = class_thresholds(batch);
        for (class, added) in batch.label_counts().into_iter().enumerate() {
            let seen = self.counts[class];
            let sum = seen as f64 * self.thresholds[class] + added as f64 * means[class];
            self.thresholds[class] = (sum / (seen + added).max(1) as f64).max(LOWEST_THRESHOLD);
            self.counts[class] += added;
        }
    }

    /// Second pass: returns the score of each label of the batch, stores the scores, and counts the issues.
    pub fn score(&mut self, batch: &OutOfSample) -> Vec<f64> {
        for (item, &label) in batch.labels().iter().enumerate() {
            let (row, prediction) = (batch.row(item), batch.prediction(item));
            let is_sure = row[prediction] >= self.thresholds[prediction] - MARGIN;
            self.issues += usize::from(prediction != label && is_sure);
            self.agrees.push(prediction_agrees(row, label));
        }
        let scores = label_scores(batch, self.score);
        self.scores.extend_from_slice(&scores);
        scores
    }

    /// The items with the lowest scores: as many as have a confident prediction that differs from their label. Those whose
    /// prediction equals their label are then dropped. Ascending by position over all batches.
    #[must_use]
    pub fn label_issues(&self) -> Vec<usize> {
        lowest_of(&self.scores, self.issues).into_iter().filter(|&item| !self.agrees[item]).collect()
    }
}
