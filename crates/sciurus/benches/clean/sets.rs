//! Real photos with labels taken for right, embedded.

use std::path::Path;

use sciurus::data::ImageDataset;
use sciurus::insight::Embeddings;
use sciurus::{Arch, EmbedItem, Embedder, Split, WeightPlaces, WeightSource};

/// A set and its embeddings by each backbone.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) labels: Vec<usize>,
    pub(crate) members: Vec<Embeddings>,
    /// Embeddings of photos that belong to no class, where the set has some.
    pub(crate) junk: Vec<Embeddings>,
}

impl Set {
    pub(crate) fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |label| label + 1)
    }
}

/// SqueezeNet alone looks at imagenette160, as the other weights have seen its photos with their labels.
const SETS: [(&str, &[Arch]); 3] = [
    ("squirrels_red_grey", &[Arch::ResNet18, Arch::SqueezeNet1_1]),
    ("hymenoptera", &[Arch::ResNet18, Arch::SqueezeNet1_1]),
    ("imagenette160", &[Arch::SqueezeNet1_1]),
];

pub(crate) fn load(shared: &Path, only: Option<&str>) -> Vec<Set> {
    let wanted = SETS.iter().filter(|(name, _)| only.is_none_or(|only| only == *name));
    wanted.map(|(name, archs)| set(shared, name, archs)).collect()
}

fn set(shared: &Path, name: &'static str, archs: &[Arch]) -> Set {
    let dataset = ImageDataset::from_folder(shared.join("data").join(name)).build().unwrap();
    // Of a set with its own split the train part, as the bars say.
    let is_split = dataset.splitter.is_given();
    let items: Vec<_> =
        dataset.items.iter().filter(|item| !is_split || item.split == Split::Train).collect();
    let photos: Vec<EmbedItem> = items
        .iter()
        .map(|item| EmbedItem { path: dataset.path(item), content: item.content })
        .collect();
    let junk = junk(&dataset.root);
    let embedders: Vec<Embedder> = archs.iter().map(|&arch| embedder(shared, arch)).collect();
    Set {
        name,
        labels: items.iter().map(|item| item.target.classes()[0]).collect(),
        members: embedders.iter().map(|embedder| embed(embedder, &photos)).collect(),
        junk: embedders.iter().map(|embedder| embed(embedder, &junk)).collect(),
    }
}

fn embedder(shared: &Path, arch: Arch) -> Embedder {
    let places = WeightPlaces { models: Some(shared.join("models")), ..WeightPlaces::from_environment() };
    Embedder::new(arch, &WeightSource::Pretrained, &places, &mut |_| ()).unwrap()
}

fn embed(embedder: &Embedder, photos: &[EmbedItem]) -> Embeddings {
    let rows: Vec<Vec<f32>> =
        embedder.embed(photos, &mut |_| ()).unwrap().rows.into_iter().flatten().collect();
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
