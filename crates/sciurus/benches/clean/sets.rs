//! Real photos with labels taken for right, embedded.

use std::ops::ControlFlow;
use std::path::Path;

use rayon::prelude::*;
use sciurus::data::{
    CorrectedFile, Correction, Corrections, DecodeLimits, ImageDataset, ImageDatasetBuilder, ImageItem,
};
use sciurus::insight::Embeddings;
use sciurus::photos::PixelReport;
use sciurus::{Arch, EmbedItem, Embedder, Split, WeightPlaces, WeightSource};

/// A set and its embeddings by each backbone.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    /// The networks that look at it; the first is trained on it.
    pub(crate) archs: Vec<Arch>,
    pub(crate) dataset: ImageDataset,
    /// The items that errors are planted into.
    pub(crate) items: Vec<ImageItem>,
    pub(crate) labels: Vec<usize>,
    pub(crate) members: Vec<Embeddings>,
    /// How probably each item is a drawing.
    pub(crate) drawing: Vec<f64>,
    /// Embeddings of photos that belong to no class, where the set has some.
    pub(crate) junk: Vec<Embeddings>,
    pub(crate) junk_drawing: Vec<f64>,
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

/// Those that look at squirrels and insects: the network that is built in last, as in `sciurus clean`.
const ALL: &[Arch] =
    &[Arch::ResNet18, Arch::SqueezeNet1_1, Arch::EfficientNetLite0, Arch::EfficientNetLite2, Arch::Hazel];
/// Weights of the others have seen imagenette160's photos with their labels.
const SETS: [(&str, &[Arch]); 3] = [
    ("squirrels_red_grey", ALL),
    ("hymenoptera", ALL),
    ("imagenette160", &[Arch::SqueezeNet1_1, Arch::Hazel]),
];
/// Pictures that are wrong before anything is planted: a placeholder and a drawn ant.
const WRONG: [&str; 2] = ["imageNotFound.gif", "175998972.jpg"];

pub(crate) fn load(shared: &Path, only: Option<&str>, named: &[Arch]) -> Vec<Set> {
    let wanted = SETS.iter().filter(|(name, _)| only.is_none_or(|only| only == *name));
    let looks = |archs: &[Arch]| if named.is_empty() { archs.to_vec() } else { named.to_vec() };
    wanted.map(|(name, archs)| set(shared, name, &looks(archs))).collect()
}

fn set(shared: &Path, name: &'static str, archs: &[Arch]) -> Set {
    let dataset = ImageDataset::from_folder(shared.join("data").join(name)).build().unwrap();
    // Of a set with its own split the train part, as the bars say.
    let is_split = dataset.splitter.is_given();
    let is_wrong = |item: &ImageItem| WRONG.iter().any(|name| item.path.ends_with(name));
    let items = dataset.items.iter().filter(|item| !is_split || item.split == Split::Train);
    let items: Vec<ImageItem> = items.filter(|item| !is_wrong(item)).cloned().collect();
    let photos: Vec<EmbedItem> =
        items.iter().map(|item| EmbedItem { path: dataset.path(item), content: item.content }).collect();
    let junk = junk(&dataset.root);
    let embedders: Vec<Embedder> = archs.iter().map(|&arch| embedder(shared, arch)).collect();
    Set {
        name,
        archs: archs.to_vec(),
        labels: items.iter().map(|item| item.target.classes()[0]).collect(),
        members: embedders.iter().map(|embedder| embed(embedder, &photos)).collect(),
        drawing: drawing(&photos),
        junk: embedders.iter().map(|embedder| embed(embedder, &junk)).collect(),
        junk_drawing: drawing(&junk),
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

/// How probably photos are drawings, by their pixels.
fn drawing(photos: &[EmbedItem]) -> Vec<f64> {
    let of_photo = |photo: &EmbedItem| {
        let bytes = std::fs::read(&photo.path).unwrap();
        PixelReport::of(&bytes, &DecodeLimits::default()).unwrap().style.drawing()
    };
    photos.par_iter().map(of_photo).collect()
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
