//! Loss functions, and the smoothed loss of the table.

mod binary;

use std::fmt;
use std::str::FromStr;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use sciurus_data::BadOption;
use sciurus_data::{Mixed, Targets};
use serde::{Deserialize, Serialize};

use crate::{Error, cpu};
use binary::binary;

/// fastai's default share of label smoothing.
const SMOOTHING: f64 = 0.1;
/// fastai's (and the paper's) exponent of focal loss.
const GAMMA: f64 = 2.0;

/// The loss function, in nats. The table's `valid_loss` is always the plain cross entropy, so that runs with different losses
/// can be compared.
///
/// With `n` images, `c` classes, `p` the softmax of an image's logits, `t` its class and `w` the class weights
/// ([`Objective`]):
///
/// ```text
/// CrossEntropy     sum w_t (-ln p_t) / sum w_t
/// LabelSmoothing   (1 - amount) CrossEntropy + amount / c * sum over classes (-ln p) / n
/// Focal            sum (1 - p_t^w)^gamma w_t (-ln p_t) / n
/// ```
///
/// Sources: PyTorch `cross_entropy`; fastai `LabelSmoothingCrossEntropy` (Szegedy et al. 2016), which leaves the smoothing
/// part unweighted; fastai `FocalLoss` (Lin et al. 2017), which weights inside `p_t`.
///
/// For multi-label data, `p` is the sigmoid of a logit and `y` its target (0 or 1); the loss is a mean over images and labels:
///
/// ```text
/// CrossEntropy     w y (-ln p) + (1 - y) (-ln (1 - p))
/// LabelSmoothing   the same with y (1 - amount) + amount / 2 in place of y
/// Focal            y (1 - p)^gamma (-ln p) + (1 - y) p^gamma (-ln (1 - p))
/// ```
///
/// Sources: PyTorch `binary_cross_entropy_with_logits`, with the weights as `pos_weight`; Keras `BinaryCrossentropy`;
/// torchvision `sigmoid_focal_loss` (Lin et al. 2017) without its `alpha`, which does the same as the weights. Multi-label focal
/// loss cannot be combined with weights.
///
/// ```
/// use sciurus::LossFunction;
/// assert_eq!("label_smoothing".parse::<LossFunction>()?, LossFunction::LabelSmoothing { amount: 0.1 });
/// assert_eq!("focal:1.5".parse::<LossFunction>()?.to_string(), "focal:1.5");
/// # Ok::<(), sciurus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LossFunction {
    /// Cross entropy.
    #[default]
    CrossEntropy,
    /// Cross entropy with a share of each target spread over all classes.
    LabelSmoothing {
        /// The share that is spread (0..1).
        amount: f64,
    },
    /// Cross entropy that counts an image less the surer the model is of it.
    Focal {
        /// How much less; 0 is plain cross entropy.
        gamma: f64,
    },
}

impl fmt::Display for LossFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LossFunction::CrossEntropy => f.write_str("cross_entropy"),
            LossFunction::LabelSmoothing { amount } => write!(f, "label_smoothing:{amount}"),
            LossFunction::Focal { gamma } => write!(f, "focal:{gamma}"),
        }
    }
}

impl FromStr for LossFunction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
        let number = |default: f64| number.map_or(Ok(default), str::parse);
        let loss = match name {
            "cross_entropy" if !text.contains(':') => Some(LossFunction::CrossEntropy),
            "label_smoothing" => number(SMOOTHING).ok().map(|amount| LossFunction::LabelSmoothing { amount }),
            "focal" => number(GAMMA).ok().map(|gamma| LossFunction::Focal { gamma }),
            _ => None,
        };
        loss.filter(|loss| loss.is_valid()).ok_or_else(|| bad_loss(text))
    }
}

fn bad_loss(value: impl fmt::Display) -> Error {
    Error::BadOption(BadOption {
        option: "loss",
        value: value.to_string(),
        advice: "choose cross_entropy, label_smoothing:SHARE (0 to 1, 0.1 if left out) or focal:GAMMA (0 or more, 2 if left out)",
    })
}

impl LossFunction {
    fn is_valid(self) -> bool {
        match self {
            LossFunction::CrossEntropy => true,
            LossFunction::LabelSmoothing { amount } => (0.0..1.0).contains(&amount),
            LossFunction::Focal { gamma } => gamma.is_finite() && gamma >= 0.0,
        }
    }
}

/// What training makes small. [`Objective`] is one; a loss of your own goes to
/// [`LearnerBuilder::loss`](super::LearnerBuilder::loss), and `crates/sciurus/examples/own_loss.rs` trains with one.
pub trait Loss: fmt::Debug {
    /// The loss of logits `[batch, class]`: `[batch]`, one for each image, or `[1]`, one for all.
    fn forward(&self, logits: Tensor<2>, targets: &Targets) -> Tensor<1>;

    /// The loss `[1]` of a batch whose images may be mixed from two ([`Mix`](sciurus_data::Mix)): the losses against both targets,
    /// mixed in the same shares. One loss for all images is mixed in the mean share.
    fn forward_mixed(&self, logits: Tensor<2>, targets: &Targets, mixed: Option<&Mixed>) -> Tensor<1> {
        let Some(Mixed { partner, share }) = mixed else { return self.forward(logits, targets).mean() };
        let [own, other] =
            [targets.clone(), picked(targets, partner)].map(|targets| self.forward(logits.clone(), &targets));
        let mean = share.iter().sum::<f32>() / share.len().max(1) as f32;
        let share = if own.dims() == [share.len()] { share.clone() } else { vec![mean; own.dims()[0]] };
        let count = share.len();
        let share = Tensor::from_data(TensorData::new(share, [count]), &logits.device());
        (own * share.clone() + other * (share.neg() + 1.0)).mean()
    }
}

/// The targets of these images of a batch.
fn picked(targets: &Targets, images: &[usize]) -> Targets {
    match targets {
        Targets::Single(classes) => Targets::Single(images.iter().map(|&image| classes[image]).collect()),
        Targets::Multi(rows) => Targets::Multi(images.iter().map(|&image| rows[image].clone()).collect()),
    }
}

/// A loss function, and how much each class counts in it.
///
/// ```
/// use sciurus::{LossFunction, Objective};
/// let rare_counts_more = Objective { loss: LossFunction::CrossEntropy, class_weights: vec![0.5, 1.5] };
/// assert!(rare_counts_more.check(2).is_ok());
/// assert!(rare_counts_more.check(3).is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// The loss function.
    pub loss: LossFunction,
    /// Weight of each class (above 0); if empty, all count the same. For multi-label data, how much more a photo with the
    /// label counts than one without it: PyTorch's `pos_weight`.
    pub class_weights: Vec<f64>,
}

impl Objective {
    /// Checks that it can be used for single-label data with this many classes.
    ///
    /// # Errors
    /// A number is out of range, or the weights are not one positive number for each class.
    pub fn check(&self, classes: usize) -> Result<(), Error> {
        if !self.loss.is_valid() {
            return Err(bad_loss(self.loss));
        }
        let positive = self.class_weights.iter().all(|weight| weight.is_finite() && *weight > 0.0);
        if positive && (self.class_weights.is_empty() || self.class_weights.len() == classes) {
            return Ok(());
        }
        let weights: Vec<_> = self.class_weights.iter().map(f64::to_string).collect();
        let value = format!("{} for {classes} classes", weights.join(", "));
        let expected = "give one number above 0 for each class";
        Err(Error::BadOption(BadOption { option: "class_weights", value, advice: expected }))
    }

    /// Checks that it can be used for multi-label data with this many labels.
    ///
    /// # Errors
    /// As [`check`](Self::check), or focal loss with weights, for which there is no standard formula.
    pub fn check_multi(&self, labels: usize) -> Result<(), Error> {
        self.check(labels)?;
        if matches!(self.loss, LossFunction::Focal { .. }) && !self.class_weights.is_empty() {
            let expected = "multi-label focal loss cannot be combined with class weights; set `balance` to \
                            none, or use cross_entropy";
            return Err(Error::BadOption(BadOption {
                option: "loss",
                value: self.loss.to_string(),
                advice: expected,
            }));
        }
        Ok(())
    }

    /// The loss `[1]` of logits `[batch, class]` for the classes `targets` `[batch]`.
    pub fn forward(&self, logits: Tensor<2>, targets: &[usize]) -> Tensor<1> {
        self.forward_one(logits, targets, None)
    }

    /// Like [`Loss::forward_mixed`], exactly as fastai's `MixUp.lf`.
    pub fn forward_mixed(&self, logits: Tensor<2>, targets: &Targets, mixed: Option<&Mixed>) -> Tensor<1> {
        match targets {
            Targets::Single(classes) => self.forward_one(logits, classes, mixed),
            Targets::Multi(rows) => binary(self, logits, rows, mixed),
        }
    }

    fn forward_one(&self, logits: Tensor<2>, targets: &[usize], mixed: Option<&Mixed>) -> Tensor<1> {
        let [_, classes] = logits.dims();
        let parts = Parts { targets, mixed };
        match self.loss {
            LossFunction::CrossEntropy => against(logits, self.shares(&parts, classes, 0.0)),
            LossFunction::LabelSmoothing { amount } => against(logits, self.shares(&parts, classes, amount)),
            LossFunction::Focal { gamma } => self.focal(logits, &parts, gamma),
        }
    }

    pub(super) fn weight(&self, class: usize) -> f64 {
        self.class_weights.get(class).copied().unwrap_or(1.0)
    }

    /// The weight of each log-probability `[batch, class]`, such that the cross entropy is their weighted sum.
    fn shares(&self, parts: &Parts<'_>, classes: usize, smoothing: f64) -> Vec<f32> {
        let batch = parts.targets.len();
        let weighted = |(class, share): (usize, f64)| share * self.weight(class);
        let total: f64 = (0..batch).flat_map(|image| parts.of(image).map(weighted)).sum();
        let spread = smoothing / (classes * batch) as f64;
        let mut shares = vec![0.0; batch * classes];
        for (image, row) in shares.chunks_exact_mut(classes).enumerate() {
            let mut wide = vec![spread; classes];
            for (class, share) in parts.of(image) {
                wide[class] += (1.0 - smoothing) * share * self.weight(class) / total;
            }
            row.iter_mut().zip(wide).for_each(|(narrow, wide)| *narrow = wide as f32);
        }
        shares
    }

    fn focal(&self, logits: Tensor<2>, parts: &Parts<'_>, gamma: f64) -> Tensor<1> {
        let batch = parts.targets.len();
        let logarithms = log_softmax(logits, 1);
        let against_part = |part: usize| {
            let device = logarithms.device();
            let column = |value: &dyn Fn((usize, f64)) -> f32| {
                let values: Vec<f32> = (0..batch).map(|image| value(parts.of(image)[part])).collect();
                Tensor::<2>::from_data(TensorData::new(values, [batch, 1]), &device)
            };
            let classes: Vec<i32> = (0..batch).map(|image| parts.of(image)[part].0 as i32).collect();
            let classes = Tensor::<2, Int>::from_data(TensorData::new(classes, [batch, 1]), &device);
            let weights = column(&|(class, _)| self.weight(class) as f32);
            let entropy = logarithms.clone().gather(1, classes).neg() * weights;
            // At exactly zero, the gradient of a power with an exponent below 1 is infinite.
            let unsure = entropy.clone().neg().exp().neg().add_scalar(1.0).clamp_min(1e-12);
            unsure.powf_scalar(gamma as f32) * entropy * column(&|(_, share)| share as f32)
        };
        match parts.mixed {
            None => against_part(0).mean(),
            Some(_) => (against_part(0) + against_part(1)).mean(),
        }
    }
}

impl Loss for Objective {
    fn forward(&self, logits: Tensor<2>, targets: &Targets) -> Tensor<1> {
        Objective::forward_mixed(self, logits, targets, None)
    }

    fn forward_mixed(&self, logits: Tensor<2>, targets: &Targets, mixed: Option<&Mixed>) -> Tensor<1> {
        Objective::forward_mixed(self, logits, targets, mixed)
    }
}

/// The classes that a batch's images consist of, with their shares.
struct Parts<'a> {
    targets: &'a [usize],
    mixed: Option<&'a Mixed>,
}

impl Parts<'_> {
    /// The image's own class and its partner's, with shares that add up to 1.
    fn of(&self, image: usize) -> [(usize, f64); 2] {
        match self.mixed {
            None => [(self.targets[image], 1.0), (self.targets[image], 0.0)],
            Some(Mixed { partner, share }) => {
                let share = f64::from(share[image]);
                [(self.targets[image], share), (self.targets[partner[image]], 1.0 - share)]
            }
        }
    }
}

/// Mean cross entropy (nats) `[1]` of logits `[batch, class]` against classes `[batch]`: PyTorch's `cross_entropy`.
pub fn cross_entropy(logits: Tensor<2>, targets: &[usize]) -> Tensor<1> {
    Objective::default().forward(logits, targets)
}

/// Summed cross entropy `[1]` of logits `[batch, class]` against shares `[batch, class]`.
fn against(logits: Tensor<2>, shares: Vec<f32>) -> Tensor<1> {
    cpu::cross_entropy(&logits, &shares).unwrap_or_else(|| {
        let shares = Tensor::from_data(TensorData::new(shares, logits.dims()), &logits.device());
        (log_softmax(logits, 1) * shares).sum().neg()
    })
}

/// fastai's `train_loss` column: a debiased moving average of batch losses with decay 0.98, restarted at each fit.
///
/// ```
/// let mut smooth = sciurus::SmoothLoss::default();
/// assert!((smooth.add(0.7) - 0.7).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SmoothLoss {
    average: f64,
    count: i32,
}

const DECAY: f64 = 0.98;

impl SmoothLoss {
    /// Adds a batch's loss (nats) and returns the average so far.
    pub fn add(&mut self, loss: f64) -> f64 {
        self.average = loss + (self.average - loss) * DECAY;
        self.count += 1;
        self.value()
    }

    /// The average so far (nats); NaN before the first loss.
    pub fn value(&self) -> f64 {
        self.average / (1.0 - DECAY.powi(self.count))
    }
}
