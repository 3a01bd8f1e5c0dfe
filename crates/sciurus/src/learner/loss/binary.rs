//! Multi-label losses: each label is a yes-or-no question of its own.

use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Tensor, TensorData};
use sciurus_data::Mixed;

use super::{LossFunction, Objective};

/// The loss `[1]` of logits `[batch, class]` for images that have the classes `rows` `[batch]`; see [`LossFunction`].
///
/// It is linear in the targets, so mixing the targets of two images is the same as mixing their losses.
pub(super) fn binary(
    objective: &Objective,
    logits: Tensor<2>,
    rows: &[Vec<usize>],
    mixed: Option<&Mixed>,
) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let (smoothing, gamma) = match objective.loss {
        LossFunction::CrossEntropy => (0.0, 0.0),
        LossFunction::LabelSmoothing { amount } => (amount, 0.0),
        LossFunction::Focal { gamma } => (0.0, gamma),
    };
    let values = (batch * classes).max(1) as f64;
    let (mut positive, mut negative) = (Vec::new(), Vec::new());
    for (place, truth) in truths(rows, classes, mixed).into_iter().enumerate() {
        let truth = truth * (1.0 - smoothing) + smoothing / 2.0;
        positive.push((truth * objective.weight(place % classes) / values) as f32);
        negative.push(((1.0 - truth) / values) as f32);
    }
    let device = logits.device();
    let shares =
        |shares: Vec<f32>| Tensor::<2>::from_data(TensorData::new(shares, [batch, classes]), &device);
    let (yes, no) = (log_sigmoid(logits.clone()), log_sigmoid(logits.neg()));
    let unsure = |of: &Tensor<2>, other: &Tensor<2>| match gamma {
        0.0 => of.clone(),
        gamma => of.clone() * other.clone().mul_scalar(gamma as f32).exp(),
    };
    let sum = unsure(&yes, &no) * shares(positive) + unsure(&no, &yes) * shares(negative);
    sum.sum().neg()
}

/// The target of each label for each image, 0..=1, row-major `[batch, class]`.
fn truths(rows: &[Vec<usize>], classes: usize, mixed: Option<&Mixed>) -> Vec<f64> {
    let mut truths = vec![0.0; rows.len() * classes];
    let mut add = |image: usize, of: usize, share: f64| {
        let labels = rows[of].iter().filter(|&&class| class < classes);
        labels.for_each(|class| truths[image * classes + class] += share);
    };
    for image in 0..rows.len() {
        match mixed {
            None => add(image, image, 1.0),
            Some(Mixed { partner, share }) => {
                let share = f64::from(share[image]);
                add(image, image, share);
                add(image, partner[image], 1.0 - share);
            }
        }
    }
    truths
}
