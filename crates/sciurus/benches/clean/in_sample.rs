//! What a model says of its own training photos: it is fine-tuned on the labels as they are, as in `sciurus train`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sciurus::clean::find::rank_average;
use sciurus::data::Augmentation;
use sciurus::{ImageDataLoaders, Split, vision_learner};

use super::orders::{Order, Scored};
use super::planted::Case;
use super::sets::{Set, places};

/// Thumbnails of each class and split.
const SHOWN: usize = 30;

/// Orders of a case that a model's own opinion of its training photos gives, by name.
///
/// * fastai's: its training and validation photos by their loss, thirty of each class and split first, as
///   `ImageClassifierCleaner` does;
/// * of the photos that it was trained on: the whole queue, the area under the margin, and rank averages of both.
pub(crate) fn orders(set: &Set, case: &Case, (seed, shared): (u64, &Path)) -> Vec<(String, Vec<usize>)> {
    let dataset = set.relabelled(&case.labels, |_| true);
    let loaders =
        ImageDataLoaders::from_dataset(dataset).augment(Augmentation::None).seed(seed).build().unwrap();
    let mut learner = vision_learner(loaders, set.archs[0]).weight_places(places(shared)).build().unwrap();
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
    let fastai = first.into_iter().chain(rest).map(|(_, item)| item).collect();

    let learnt: HashMap<usize, f64> = learner
        .learnt_labels()
        .iter()
        .filter_map(|learnt| Some((*place.get(&learnt.path)?, -learnt.aum)))
        .collect();
    let scored = Scored::new(case);
    let trained = || scored.ranked(Order::Queue, seed).into_iter().filter(|item| learnt.contains_key(item));
    let mut orders = vec![("fastai's: in-sample loss".to_owned(), fastai)];
    for share in [0.0, 0.1, 0.2, 0.4, 1.0] {
        // From the most suspicious on: ranks fall.
        let mut items: Vec<usize> = trained().collect();
        let place: Vec<f64> = (0..items.len()).map(|rank| -(rank as f64)).collect();
        let margins: Vec<f64> = items.iter().map(|item| learnt[item]).collect();
        let members = [(&*place, 1.0 - share), (&*margins, share)];
        let members: Vec<(&[f64], f64)> = members.into_iter().filter(|(_, share)| *share > 0.0).collect();
        let ranks = rank_average(&members).unwrap();
        let rank: HashMap<usize, f64> = items.iter().copied().zip(ranks).collect();
        items.sort_by(|a, b| rank[b].total_cmp(&rank[a]));
        orders.push((format!("of the training photos: margins count {share}"), items));
    }
    orders
}
