//! Real photos with labels taken for right, embedded.

use std::ops::ControlFlow;
use std::path::Path;

use sciurus::data::{CorrectedFile, Correction, Corrections, ImageDataset, ImageDatasetBuilder, ImageItem};
use sciurus::insight::Embeddings;
use sciurus::{Arch, EmbedItem, Embedder, Split, WeightPlaces, WeightSource};

/// A set and its embeddings by each backbone.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    /// The network that is trained on it.
    pub(crate) arch: Arch,
    pub(crate) dataset: ImageDataset,
    /// The items that errors are planted into.
    pub(crate) items: Vec<ImageItem>,
    pub(crate) labels: Vec<usize>,
    pub(crate) members: Vec<Embeddings>,
    /// Embeddings of photos that belong to no class, where the set has some.
    pub(crate) junk: Vec<Embeddings>,
}

impl Set {
    pub(crate) fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |label| label + 1)
    }

    /// The set with these labels in place of its own, for the items that are wanted.
    pub(crate) fn relabelled(
        &self,
        labels: &[usize],
        wanted: impl Fn(&ImageItem) -> bool,
    ) -> ImageDatasetBuilder {
        let items = self.items.iter().zip(labels).filter(|(item, _)| wanted(item));
        let corrections = items.map(|(item, &label)| CorrectedFile {
            path: item.path.clone(),
            content: item.content,
            correction: Correction::Relabel(self.dataset.vocab.label(label).to_owned()),
            as_copy: false,
        });
        ImageDataset::from_folder(&self.dataset.root).correct(Corrections::new(corrections))
    }
}

/// ResNet-18's weights have seen imagenette160's photos with their labels. The network that is built in looks at all sets, last, as
/// it does in `sciurus clean`.
const SETS: [(&str, &[Arch]); 3] = [
    ("squirrels_red_grey", &[Arch::ResNet18, Arch::SqueezeNet1_1, Arch::Hazel]),
    ("hymenoptera", &[Arch::ResNet18, Arch::SqueezeNet1_1, Arch::Hazel]),
    ("imagenette160", &[Arch::SqueezeNet1_1, Arch::Hazel]),
];

pub(crate) fn load(shared: &Path, only: Option<&str>, arch: Option<Arch>) -> Vec<Set> {
    let wanted = SETS.iter().filter(|(name, _)| only.is_none_or(|only| only == *name));
    let looks = |archs: &[Arch]| arch.map_or_else(|| archs.to_vec(), |arch| vec![arch]);
    wanted.map(|(name, archs)| set(shared, name, &looks(archs))).collect()
}

fn set(shared: &Path, name: &'static str, archs: &[Arch]) -> Set {
    let dataset = ImageDataset::from_folder(shared.join("data").join(name)).build().unwrap();
    // Of a set with its own split the train part, as the bars say.
    let is_split = dataset.splitter.is_given();
    let items: Vec<ImageItem> =
        dataset.items.iter().filter(|item| !is_split || item.split == Split::Train).cloned().collect();
    let photos: Vec<EmbedItem> =
        items.iter().map(|item| EmbedItem { path: dataset.path(item), content: item.content }).collect();
    let junk = junk(&dataset.root);
    let embedders: Vec<Embedder> = archs.iter().map(|&arch| embedder(shared, arch)).collect();
    Set {
        name,
        arch: archs[0],
        labels: items.iter().map(|item| item.target.classes()[0]).collect(),
        members: embedders.iter().map(|embedder| embed(embedder, &photos)).collect(),
        junk: embedders.iter().map(|embedder| embed(embedder, &junk)).collect(),
        items,
        dataset,
    }
}

/// Weights of the shared folder.
pub(crate) fn places(shared: &Path) -> WeightPlaces {
    WeightPlaces { models: Some(shared.join("models")), ..WeightPlaces::from_environment() }
}

fn embedder(shared: &Path, arch: Arch) -> Embedder {
    Embedder::new(arch, &WeightSource::Pretrained, &places(shared), &mut |_| ()).unwrap()
}

fn embed(embedder: &Embedder, photos: &[EmbedItem]) -> Embeddings {
    let rows: Vec<Vec<f32>> = embedder
        .embed(photos, &mut |_| ControlFlow::Continue(()))
        .unwrap()
        .rows
        .into_iter()
        .flatten()
        .collect();
    Embeddings { width: rows.first().map_or(1, Vec::len), values: rows.concat() }
}

/// The photos in the set's `_junk` folder.
fn junk(root: &Path) -> Vec<EmbedItem> {
    let (files, _) = sciurus::find_files(&[root.join("_junk")]);
    let item = |path: std::path::PathBuf| {
        let content = sciurus::data::ContentHash::of(&std::fs::read(&path).unwrap());
        EmbedItem { path, content }
    };
    files.into_iter().map(item).collect()
}
