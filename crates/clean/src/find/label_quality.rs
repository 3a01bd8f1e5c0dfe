//! Scores every label from 0 (certainly right) to 1 (certainly wrong), and suggests the class it should have: the ranking of
//! `sciurus clean`. In: embeddings and given labels. Out: [`LabelQuality`].
//!
//! For each backbone, out-of-fold probabilities come from heads with the penalty that predicts the labels best. Then, twice,
//! every item is weighted by the probability of its own label, and heads with a third of the penalty are fitted on the
//! weighted items. Wrong labels thus count less when the others are judged, and the heads can fit the rest more closely.
//! Backbones are averaged, weighted by how well they predict the labels. docs/cleaning.md compares this with the plain head.

use serde::{Deserialize, Serialize};

use super::neighbours::normalized;
use super::out_of_fold::{FoldItems, FoldOptions, OutOfFold, out_of_fold, out_of_fold_from};
use super::out_of_sample::OutOfSample;
use super::{LogisticOptions, member_weights};
use sciurus_data::BadOption;
use sciurus_insight::{Embeddings, InsightError};

/// Penalties to choose from; scikit-learn's C is their inverse (twice that with two classes).
const PENALTIES: [f64; 5] = [6.0, 2.0, 0.6, 0.2, 0.06];
/// Share of the penalty in a refit. Its items are cleaner, so its heads may fit them more closely.
const REFIT_PENALTY: f64 = 1.0 / 3.0;
/// The lowest weight of an item in a refit.
const LEAST_WEIGHT: f64 = 0.02;
/// The penalty is chosen on at most this many items, spread over the data set.
const CHOICE_ITEMS: usize = 4000;
/// With more items than this, repeated splits differ too little to be worth their time.
const REPEAT_ITEMS: usize = 5_000;

/// Options of [`label_quality`].
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `rounds` | 2 | how often items are reweighted and judged again | 0 (the plain head) to 10 |
/// | `penalties` | those of [`best_penalties`] | weight penalty of each member in the first round | above 0 |
/// | `folds` | [`FoldOptions`] | how items are split; with more than 5,000 items there is one repeat. Its penalty is not used | |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityOptions {
    rounds: usize,
    penalties: Vec<f64>,
    folds: FoldOptions,
}

impl Default for QualityOptions {
    fn default() -> Self {
        Self { rounds: 2, penalties: Vec::new(), folds: FoldOptions::default() }
    }
}

impl QualityOptions {
    /// How often items are reweighted and judged again, 0 to 10.
    #[must_use]
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// The heads' weight penalty before items are reweighted, above 0, one for each member; with none, those of
    /// [`best_penalties`].
    #[must_use]
    pub fn penalties(mut self, penalties: impl IntoIterator<Item = f64>) -> Self {
        self.penalties = penalties.into_iter().collect();
        self
    }

    /// How items are split into folds.
    #[must_use]
    pub fn folds(mut self, folds: FoldOptions) -> Self {
        self.folds = folds;
        self
    }

    /// The checked options.
    ///
    /// # Errors
    /// If an option is out of its range.
    pub fn build(mut self) -> Result<Self, InsightError> {
        BadOption::check("rounds", self.rounds as f64, self.rounds <= 10, "choose a number from 0 to 10")?;
        for &penalty in &self.penalties {
            let is_positive = penalty > 0.0 && penalty.is_finite();
            BadOption::check("penalty", penalty, is_positive, "choose a number above 0")?;
        }
        self.folds = self.folds.build()?;
        Ok(self)
    }
}

/// The labels of a data set, and what is known about its items: one entry per item in every list.
#[derive(Debug, Clone, Copy)]
pub struct GivenLabels<'a> {
    /// The number of classes.
    pub classes: usize,
    /// The given class of each item.
    pub labels: &'a [usize],
    /// Items with the same number are near copies, and stay in one fold; `None` if there are no copies.
    pub groups: Option<&'a [usize]>,
    /// How much each label counts when the others are judged, 0 or more; `None` for 1 each.
    pub weights: Option<&'a [f64]>,
}

/// How good the labels are, one entry per item.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelQuality {
    /// 0 (certainly right) to 1 (certainly wrong): `p(other) / (p(other) + p(given))` with the most probable other class; 0.5
    /// for an item that cannot be judged.
    pub scores: Vec<f64>,
    /// The most probable class other than the given one; the given one if there is only one.
    pub suggested: Vec<usize>,
    /// The probability of the suggested class, 0..1.
    pub suggested_probability: Vec<f64>,
    /// The probabilities that the scores come from.
    pub rows: OutOfSample,
    /// The out-of-fold accuracy of each member on the given labels, 0..1, before items were reweighted.
    pub accuracy: Vec<f64>,
    /// Items that cannot be judged, ascending: each is the only item of its class, or all of its class are copies of each other.
    pub unjudged: Vec<usize>,
}

/// Judges every label by the embeddings of one or more backbones.
///
/// # Errors
/// If there are no members, lists differ in length, a label is not a class, a feature is not finite, or there are penalties but
/// not one for each member.
///
/// ```
/// use sciurus_insight::Embeddings;
/// use sciurus_clean::find::{GivenLabels, QualityOptions, label_quality};
///
/// let values = (0..40).flat_map(|i| if i % 2 == 0 { [1.0, 0.01 * i as f32] } else { [0.0, 1.0] }).collect();
/// let embeddings = Embeddings { width: 2, values };
/// let mut labels: Vec<usize> = (0..40).map(|i| i % 2).collect();
/// labels[7] = 0;
/// let given = GivenLabels { classes: 2, labels: &labels, groups: None, weights: None };
/// let quality = label_quality(&[&embeddings], given, &QualityOptions::default().build()?)?;
/// assert!((0..40).all(|item| quality.scores[item] <= quality.scores[7]));
/// assert_eq!(quality.suggested[7], 1);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
pub fn label_quality(
    members: &[&Embeddings],
    given: GivenLabels,
    options: &QualityOptions,
) -> Result<LabelQuality, InsightError> {
    BadOption::check("members", members.len() as f64, !members.is_empty(), "choose 1 or more")?;
    let penalties = match &*options.penalties {
        [] => best_penalties(members, given, options)?,
        penalties if penalties.len() == members.len() => penalties.to_vec(),
        penalties => {
            let (expected, found) = (members.len(), penalties.len());
            return Err(InsightError::Length { what: "penalties (one per member)", expected, found });
        }
    };
    let judge = |(member, penalty): (&&Embeddings, f64)| Judged::new(member, given, (options, penalty));
    let judged = members.iter().zip(penalties).map(judge).collect::<Result<Vec<Judged>, InsightError>>()?;
    let accuracy: Vec<f64> = judged.iter().map(|member| member.accuracy).collect();
    let weights = member_weights(&accuracy);
    let mut mean = vec![0.0; given.labels.len() * given.classes];
    for (member, weight) in judged.iter().zip(&weights) {
        let values = (0..member.found.rows.len()).flat_map(|item| member.found.rows.row(item));
        mean.iter_mut().zip(values).for_each(|(mean, p)| *mean += weight * p);
    }
    mean.iter_mut().for_each(|p| *p = p.min(1.0));
    let rows = OutOfSample::new(given.classes, mean, given.labels.to_vec())?;
    // All members use the same splits, so the first one's unjudged items are everybody's.
    let unjudged = judged.into_iter().next().map(|member| member.found.unjudged).unwrap_or_default();
    Ok(scored(rows, accuracy, unjudged))
}

fn scored(rows: OutOfSample, accuracy: Vec<f64>, unjudged: Vec<usize>) -> LabelQuality {
    let other = |item: usize| {
        let label = rows.labels()[item];
        let others = (0..rows.classes()).filter(|&class| class != label);
        others.reduce(|a, b| if rows.row(item)[b] > rows.row(item)[a] { b } else { a }).unwrap_or(label)
    };
    let suggested: Vec<usize> = (0..rows.len()).map(other).collect();
    let suggested_probability: Vec<f64> =
        suggested.iter().enumerate().map(|(item, &class)| rows.row(item)[class]).collect();
    let score = |item: usize| {
        let (given, other) = (rows.row(item)[rows.labels()[item]], suggested_probability[item]);
        if given + other > 0.0 && suggested[item] != rows.labels()[item] {
            other / (given + other)
        } else {
            0.0
        }
    };
    let mut scores: Vec<f64> = (0..rows.len()).map(score).collect();
    unjudged.iter().for_each(|&item| scores[item] = 0.5);
    LabelQuality { scores, suggested, suggested_probability, rows, accuracy, unjudged }
}

/// One member's probabilities and accuracy.
struct Judged {
    found: OutOfFold,
    accuracy: f64,
}

impl Judged {
    fn new(
        embeddings: &Embeddings,
        given: GivenLabels,
        (options, penalty): (&QualityOptions, f64),
    ) -> Result<Self, InsightError> {
        let unit = checked(embeddings, given)?;
        let GivenLabels { labels, groups, weights, .. } = given;
        let items = FoldItems { embeddings: &unit, labels, groups, weights };
        let folds = if given.labels.len() > REPEAT_ITEMS { options.folds.repeats(1) } else { options.folds };
        let with = |penalty| folds.head(LogisticOptions::default().penalty(penalty));
        let (mut found, mut heads) = out_of_fold_from(&[], items, given.classes, with(penalty))?;
        let accuracy = found.accuracy;
        for _ in 0..options.rounds {
            let weights = self_confidence_weights(&found, given.weights);
            let weighted = FoldItems { weights: Some(&weights), ..items };
            let options = with(penalty * REFIT_PENALTY);
            // The splits are the same, so each head is near the one before.
            (found, heads) = out_of_fold_from(&heads, weighted, given.classes, options)?;
        }
        Ok(Self { found, accuracy })
    }
}

/// The weight of each item in a refit: the probability of its own label (at least the floor) times its given weight, scaled
/// to mean 1.
fn self_confidence_weights(found: &OutOfFold, given: Option<&[f64]>) -> Vec<f64> {
    let rows = &found.rows;
    let own = |item: usize| {
        let given = given.map_or(1.0, |weights| weights[item]);
        given * rows.row(item)[rows.labels()[item]].clamp(LEAST_WEIGHT, 1.0)
    };
    let own: Vec<f64> = (0..rows.len()).map(own).collect();
    let mean = (own.iter().sum::<f64>() / own.len().max(1) as f64).max(f64::MIN_POSITIVE);
    own.iter().map(|weight| weight / mean).collect()
}

/// The embeddings at length 1, if the lists fit together.
fn checked(embeddings: &Embeddings, given: GivenLabels) -> Result<Embeddings, InsightError> {
    let GivenLabels { labels, groups, weights, .. } = given;
    FoldItems { embeddings, labels, groups, weights }.check(given.classes)?;
    Ok(Embeddings { width: embeddings.width, values: normalized(embeddings) })
}

/// The penalty that suits each member: that with the lowest out-of-fold cross entropy before calibration, from one split of at
/// most 4,000 items. A few labels more or less don't change it, so that it need not be chosen again for every decision.
///
/// # Errors
/// If lists differ in length, a label is not a class, or a feature is not finite.
pub fn best_penalties(
    members: &[&Embeddings],
    given: GivenLabels,
    options: &QualityOptions,
) -> Result<Vec<f64>, InsightError> {
    let best = |member: &&Embeddings| {
        let unit = checked(member, given)?;
        let GivenLabels { classes, labels, groups, .. } = given;
        best_penalty(FoldItems { embeddings: &unit, labels, groups, weights: None }, classes, options.folds)
    };
    members.iter().map(best).collect()
}

fn best_penalty(items: FoldItems, classes: usize, folds: FoldOptions) -> Result<f64, InsightError> {
    let step = items.labels.len().div_ceil(CHOICE_ITEMS).max(1);
    let chosen: Vec<usize> = (0..items.labels.len()).step_by(step).collect();
    let pick = |all: &[usize]| chosen.iter().map(|&item| all[item]).collect::<Vec<usize>>();
    let (labels, groups) = (pick(items.labels), items.groups.map(pick));
    let values = chosen.iter().flat_map(|&item| items.embeddings.row(item)).copied().collect();
    let embeddings = Embeddings { width: items.embeddings.width, values };
    let part =
        FoldItems { embeddings: &embeddings, labels: &labels, groups: groups.as_deref(), weights: None };
    let mut best = (f64::INFINITY, PENALTIES[1]);
    for penalty in PENALTIES {
        let head = LogisticOptions::default()
            .penalty(penalty * chosen.len() as f64 / items.labels.len().max(1) as f64);
        let loss = out_of_fold(part, classes, folds.repeats(1).head(head))?.loss;
        if loss < best.0 {
            best = (loss, penalty);
        }
    }
    Ok(best.1)
}
