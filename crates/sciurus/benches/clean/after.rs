//! What cleaning is worth: a model trained on the right labels, on labels with errors, and on those labels after as much of the queue
//! as the stop rule shows was reviewed by somebody who is always right. All three are measured with right labels on the same photos.

use std::path::Path;

use sciurus::data::Augmentation;
use sciurus::insight::{ErrorRate, Metric};
use sciurus::{ImageDataLoaders, Split, vision_learner};

use super::measures::shown;
use super::orders::{Order, Scored};
use super::planted::Case;
use super::sets::{Set, places};

/// Seconds that a person takes for a photo (the design's figure).
const SECONDS: f64 = 1.2;

/// Error rates with right, wrong and cleaned labels; the share of photos that were reviewed, and how long that takes (minutes).
#[derive(Debug, Clone, Copy)]
pub(crate) struct After {
    errors: [f64; 3],
    reviewed: f64,
    minutes: f64,
}

pub(crate) fn after(set: &Set, case: &Case, (seed, shared): (u64, &Path)) -> After {
    let scored = Scored::new(case);
    let order = scored.ranked(Order::Queue, seed);
    let shown = shown(&order, &case.wrong, scored.promised(Order::Queue).as_deref());
    let mut cleaned = case.labels.clone();
    for &item in &order[..shown] {
        cleaned[item] = set.labels[item];
    }
    let errors = [&set.labels, &case.labels, &cleaned].map(|labels| error_rate(set, labels, (seed, shared)));
    let reviewed = shown as f64 / order.len() as f64;
    After { errors, reviewed, minutes: shown as f64 * SECONDS / 60.0 }
}

/// The error rate on the validation photos of a model that was fine-tuned with these labels for the training photos.
fn error_rate(set: &Set, labels: &[usize], (seed, shared): (u64, &Path)) -> f64 {
    // Split as the set was before any label was wrong: with the default seed, whatever the seed of the training.
    let dataset = set.relabelled(labels, |item| item.split == Split::Train);
    let loaders = ImageDataLoaders::from_dataset(dataset).augment(Augmentation::None).build().unwrap();
    let learner = vision_learner(loaders, set.archs[0]).seed(seed).weight_places(places(shared));
    let mut learner = learner.build().unwrap();
    learner.fine_tune(4).unwrap();
    ErrorRate.value(&learner.predictions(Split::Valid).unwrap())
}

/// The row of a table: means, and the share of the gap between wrong and right labels that cleaning closed.
pub(crate) fn row(all: &[After]) -> String {
    let mean = |of: &dyn Fn(&After) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
    let [right, wrong, cleaned] = [0, 1, 2].map(|at| mean(&|after: &After| after.errors[at]));
    let (reviewed, minutes) = (mean(&|after| after.reviewed), mean(&|after| after.minutes));
    let closed = (wrong - cleaned) / (wrong - right);
    format!("{right:.3} | {wrong:.3} | {cleaned:.3} | {closed:.2} | {reviewed:.3} | {minutes:.1}")
}
