//! How good features are for photos that a network has never seen: a linear probe. In: weights and folders of photos. Out:
//! accuracies.
//!
//! The protocol: the square of 224 pixels from the middle of each photo, its pooled features at length 1, logistic regression
//! with scikit-learn's `C = 10`, five folds.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sciurus::data::{ImageDataset, Views};
use sciurus::insight::Embeddings;
use sciurus::{Arch, EmbedItem, Embedder, WeightPlaces, WeightSource};
use sciurus_clean::find::{FoldItems, FoldOptions, LogisticOptions, out_of_fold};

/// Side of the square that the protocol's networks see, in pixels.
pub(crate) const SIDE: usize = 224;
/// scikit-learn's `C`.
const C: f64 = 10.0;

/// The accuracy (0..=1) on each of these folders.
pub(crate) fn measure(
    arch: Arch,
    (weights, image_size): (&Path, usize),
    sets: &[PathBuf],
) -> anyhow::Result<Vec<(String, f64)>> {
    let places = WeightPlaces { offline: true, ..WeightPlaces::from_environment() };
    let source = WeightSource::File(weights.to_owned());
    let embedder = Embedder::new(arch, &source, &places, &mut |_| ())?
        .views(Views::Plain)
        .image_size(image_size)
        .cache_folder(None);
    sets.iter().map(|set| Ok((name(set), accuracy(&embedder, set)?))).collect()
}

fn name(set: &Path) -> String {
    set.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn accuracy(embedder: &Embedder, set: &Path) -> anyhow::Result<f64> {
    let dataset = ImageDataset::from_folder(set).build()?;
    let items: Vec<EmbedItem> = dataset
        .items
        .iter()
        .map(|item| EmbedItem { path: dataset.path(item), content: item.content })
        .collect();
    let embedded = embedder.embed(&items, &mut |_| ControlFlow::Continue(()))?;
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    let rows = embedded.rows.iter().zip(&dataset.items);
    for (row, item) in rows.filter_map(|(row, item)| Some((row.as_ref()?, item))) {
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
        values.extend(row.iter().map(|value| value / length));
        labels.extend(item.target.classes().first());
    }
    let classes = dataset.vocab.len();
    // See `LogisticOptions`: for two classes, scikit-learn's C counts twice.
    let penalty = if classes == 2 { 2.0 / C } else { 1.0 / C };
    let head = LogisticOptions::default().penalty(penalty).iterations(1000);
    let options = FoldOptions::default().folds(5).repeats(1).head(head).build()?;
    let embeddings = Embeddings { width: embedder.arch().channels(), values };
    let items = FoldItems { embeddings: &embeddings, labels: &labels, groups: None, weights: None };
    Ok(out_of_fold(items, classes, options)?.accuracy)
}
