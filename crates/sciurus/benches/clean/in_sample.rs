//! fastai's order: a model is fine-tuned on the labels as they are, and its own training photos are shown by their loss, thirty of each
//! class and split first, as `ImageClassifierCleaner` does.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sciurus::data::Augmentation;
use sciurus::{ImageDataLoaders, Split, vision_learner};

use super::planted::Case;
use super::sets::{Set, places};

/// Thumbnails of each class and split.
const SHOWN: usize = 30;

pub(crate) fn ranked(set: &Set, case: &Case, (seed, shared): (u64, &Path)) -> Vec<usize> {
    let dataset = set.relabelled(&case.labels, |_| true);
    let loaders =
        ImageDataLoaders::from_dataset(dataset).augmentation(Augmentation::None).seed(seed).build().unwrap();
    let mut learner = vision_learner(loaders, set.arch).weight_places(places(shared)).build().unwrap();
    learner.fine_tune(4).unwrap();
    let place: HashMap<&PathBuf, usize> =
        set.items.iter().enumerate().map(|(place, item)| (&item.path, place)).collect();
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for split in [Split::Train, Split::Valid] {
        let predictions = learner.predictions(split).unwrap();
        for class in 0..case.classes {
            let mut of_class: Vec<(f32, usize)> = (0..predictions.len())
                .filter(|&row| predictions.targets[row] == class)
                .filter_map(|row| Some((predictions.losses[row], *place.get(&predictions.paths[row])?)))
                .collect();
            of_class.sort_by(|a, b| b.0.total_cmp(&a.0));
            rest.extend(of_class.split_off(SHOWN.min(of_class.len())));
            first.extend(of_class);
        }
    }
    for part in [&mut first, &mut rest] {
        part.sort_by(|a, b| b.0.total_cmp(&a.0));
    }
    first.into_iter().chain(rest).map(|(_, item)| item).collect()
}
