//! A data set: which images there are, what they show, and which of them the model learns from. In: a folder. Out:
//! [`ImageDataset`], plain data in an order that depends on nothing but the paths.

use crate::decode::DecodeLimits;
use crate::error::DataError;
use crate::item::{ContentHash, ImageItem, ItemId, Split, Vocab};
use crate::layout::{self, Layout};
use crate::scan::{self, Found, Progress, portable};
use crate::seed::Seed;
use crate::skip::Skipped;
use crate::splitter::Splitter;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// Images on disk, labelled and split.
///
/// ```no_run
/// use sciurus_data::{ImageDataset, Split};
///
/// let dataset = ImageDataset::from_folder("squirrels").seed(42).build()?;
/// let (train, valid) = (dataset.split(Split::Train).count(), dataset.split(Split::Valid).count());
/// println!("{train} to learn from, {valid} to measure with, {} skipped", dataset.skipped.len());
/// # Ok::<(), sciurus_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageDataset {
    /// The folder that all paths are relative to.
    pub root: PathBuf,
    /// The labels.
    pub vocab: Vocab,
    /// The images, sorted by path; `items[i].id` is `ItemId(i)`.
    pub items: Vec<ImageItem>,
    /// Files that were not used, and why; sorted by path.
    pub skipped: Vec<Skipped>,
    /// Files and folders beside the class folders that were left out on purpose: their names begin with `_` or `.`, or
    /// they lie beside `train` and `valid`. Relative to the root.
    pub left_out_folders: Vec<PathBuf>,
    /// How the items were split.
    pub splitter: Splitter,
    /// The seed they were split with.
    pub seed: Seed,
    /// What a single file may cost; decoding uses the same limits as the scan did.
    #[serde(default)]
    pub limits: DecodeLimits,
}

impl ImageDataset {
    /// Starts a data set from a folder with one folder per class, or with `train` and `valid` (or `val` or
    /// `validation`), and perhaps `test`, folders that each hold one folder per class. Nested folders belong to the class above them. Names that
    /// begin with `_` or `.` are left out.
    pub fn from_folder(root: impl Into<PathBuf>) -> ImageDatasetBuilder {
        ImageDatasetBuilder {
            root: root.into(),
            splitter: None,
            seed: Seed(42),
            limits: DecodeLimits::default(),
            progress: Box::new(|_| {}),
        }
    }

    /// The items of a split, in order.
    pub fn split(&self, split: Split) -> impl Iterator<Item = &ImageItem> {
        self.items.iter().filter(move |item| item.split == split)
    }

    /// The item with this id, or `None` if the id is of another data set.
    #[must_use]
    pub fn item(&self, id: ItemId) -> Option<&ImageItem> {
        self.items.get(id.index())
    }

    /// How many items of each class a split has: `[class]`.
    #[must_use]
    pub fn class_counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.vocab.len()];
        self.split(split).for_each(|item| counts[item.class] += 1);
        counts
    }

    /// The label of an item.
    #[must_use]
    pub fn label(&self, item: &ImageItem) -> &str {
        self.vocab.label(item.class)
    }

    /// Where an item's file is: the root and the item's path.
    #[must_use]
    pub fn path(&self, item: &ImageItem) -> PathBuf {
        self.root.join(&item.path)
    }

    /// Identifies the data: the same images with the same labels and splits have the same fingerprint, wherever the
    /// folder lies. 32 hexadecimal digits of BLAKE3 over every path, label, split and content hash.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for item in &self.items {
            let path = portable(&item.path);
            for part in [path.as_str(), self.label(item), &item.split.to_string(), &item.content.to_string()]
            {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        ContentHash::from_blake3(&hasher.finalize()).to_string()
    }
}

/// Options of a data set; see [`ImageDataset::from_folder`].
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `split_by` | by folder if the folder has `train` and `valid`, else [`Splitter::Stratified`] 0.2 | how items are split | |
/// | `seed` | 42 | seed of the split | any |
/// | `limits` | [`DecodeLimits::default`] | what a file may cost | |
/// | `on_progress` | nothing | called after each file, from many threads | |
pub struct ImageDatasetBuilder {
    root: PathBuf,
    splitter: Option<Splitter>,
    seed: Seed,
    limits: DecodeLimits,
    progress: Box<dyn Fn(Progress) + Send + Sync>,
}

impl fmt::Debug for ImageDatasetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageDatasetBuilder").field("root", &self.root).finish_non_exhaustive()
    }
}

impl ImageDatasetBuilder {
    /// How items are divided into train and valid. A folder with its own `train` and `valid` folders allows only
    /// [`Splitter::Folder`]; `build` refuses to pass over what those folders say.
    #[must_use]
    pub fn split_by(mut self, splitter: Splitter) -> Self {
        self.splitter = Some(splitter);
        self
    }

    /// Seed of the split.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Seed(seed);
        self
    }

    /// What a single file may cost.
    #[must_use]
    pub fn limits(mut self, limits: DecodeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Called after each file, from many threads at once.
    #[must_use]
    pub fn on_progress(mut self, progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Reads every file once and builds the data set.
    ///
    /// # Errors
    ///
    /// When the folder as a whole is no data set: it is missing, has no class folders or only one, a class has too few
    /// images, a split is empty, train and valid hold different classes, or `split_by` asks for another split than the
    /// folder's own. Single bad files are skipped instead.
    pub fn build(self) -> Result<ImageDataset, DataError> {
        let path = self.root.clone();
        if !path.exists() {
            return Err(DataError::FolderMissing { path });
        }
        if !path.is_dir() {
            return Err(DataError::NotAFolder { path });
        }
        let layout = layout::find(&self.root)?;
        let splitter = self.choose_splitter(&layout)?;
        let vocab = self.vocab(&layout)?;

        let (found, mut skipped) = self.scan(&layout)?;
        skipped.extend(layout.loose.iter().cloned());
        skipped.sort_by_cached_key(|skipped| portable(&skipped.path));
        let items = self.items(found, &layout, &vocab, splitter)?;
        let dataset = ImageDataset {
            root: self.root,
            vocab,
            items,
            skipped,
            left_out_folders: layout.left_out,
            splitter,
            seed: self.seed,
            limits: self.limits,
        };
        check_splits(&dataset)?;
        Ok(dataset)
    }

    /// Folders that say which split they are leave no other choice.
    fn choose_splitter(&self, layout: &Layout) -> Result<Splitter, DataError> {
        let path = || self.root.clone();
        match (self.splitter, layout.has(Split::Valid)) {
            (None | Some(Splitter::Folder), true) => Ok(Splitter::Folder),
            (Some(_), true) => Err(DataError::OwnSplitFolders { path: path() }),
            (Some(Splitter::Folder), false) => Err(DataError::NoSplitFolders { path: path() }),
            (chosen, false) => Ok(chosen.unwrap_or_default()),
        }
    }

    fn vocab(&self, layout: &Layout) -> Result<Vocab, DataError> {
        let labels = |split: Option<Split>| -> BTreeSet<String> {
            let classes = layout.classes.iter().filter(|class| class.split == split);
            classes.map(|class| class.label.clone()).collect()
        };
        let train = labels(layout.has(Split::Train).then_some(Split::Train));
        let (valid, test) = (labels(Some(Split::Valid)), labels(Some(Split::Test)));
        if !valid.is_empty() && valid != train {
            return Err(self.differ(layout, Split::Valid, train.symmetric_difference(&valid)));
        }
        if !test.is_subset(&train) {
            return Err(self.differ(layout, Split::Test, test.difference(&train)));
        }
        let vocab = Vocab::new(train);
        match vocab.len() {
            1 => Err(DataError::OnlyOneClass { path: self.root.clone(), label: vocab.label(0).to_owned() }),
            _ => Ok(vocab),
        }
    }

    fn differ<'a>(
        &self,
        layout: &Layout,
        split: Split,
        labels: impl Iterator<Item = &'a String>,
    ) -> DataError {
        let folder = |split: Split| {
            let class = layout.classes.iter().find(|class| class.split == Some(split));
            class.and_then(|class| class.path.parent()).unwrap_or(&self.root).to_owned()
        };
        let labels = labels.map(|label| format!("`{label}`")).collect();
        DataError::ClassesDiffer { train: folder(Split::Train), other: folder(split), labels }
    }

    fn scan(&self, layout: &Layout) -> Result<(Vec<Found>, Vec<Skipped>), DataError> {
        let classes = layout.classes.iter().enumerate();
        let mut files: Vec<_> = classes.flat_map(|(i, class)| scan::list(&self.root, i, class)).collect();
        files.sort_by_cached_key(|file| portable(&file.path));
        let (mut found, mut skipped) = (Vec::new(), Vec::new());
        for result in scan::examine(&self.root, files, &self.limits, &self.progress) {
            match result {
                Ok(image) => found.push(image),
                Err(skip) => skipped.push(skip),
            }
        }
        for (folder, class) in layout.classes.iter().enumerate() {
            if !found.iter().any(|image| image.folder == folder) {
                let mut bad = skipped.iter().filter(|(place, _)| *place == folder).map(|(_, skip)| skip);
                let reason = bad.clone().next().map(|skip| skip.reason.to_string());
                let path = class.path.clone();
                return Err(DataError::EmptyClass { path, skipped: bad.by_ref().count(), reason });
            }
        }
        Ok((found, skipped.into_iter().map(|(_, skip)| skip).collect()))
    }

    fn items(
        &self,
        found: Vec<Found>,
        layout: &Layout,
        vocab: &Vocab,
        splitter: Splitter,
    ) -> Result<Vec<ImageItem>, DataError> {
        let class = |image: &Found| vocab.class(&layout.classes[image.folder].label).unwrap_or_default();
        let fixed = |image: &Found| layout.classes[image.folder].split;
        // What the folders do not decide, the splitter does: everything, or train when there is only a test folder.
        let open: Vec<usize> = (0..found.len())
            .filter(|&i| splitter != Splitter::Folder && fixed(&found[i]) != Some(Split::Test))
            .collect();
        let classes: Vec<usize> = open.iter().map(|&i| class(&found[i])).collect();
        let drawn = splitter.assign(&classes, self.seed)?;
        let mut splits: Vec<Split> = found.iter().map(|image| fixed(image).unwrap_or(Split::Train)).collect();
        open.into_iter().zip(drawn).for_each(|(i, split)| splits[i] = split);

        let item = |(i, image): (usize, Found)| ImageItem {
            id: ItemId(i as u32),
            class: class(&image),
            split: splits[i],
            content: image.content,
            bytes: image.bytes,
            width: image.size.0,
            height: image.size.1,
            path: image.path,
        };
        Ok(found.into_iter().enumerate().map(item).collect())
    }
}

fn check_splits(dataset: &ImageDataset) -> Result<(), DataError> {
    let path = || dataset.root.clone();
    let (train, valid) = (dataset.class_counts(Split::Train), dataset.class_counts(Split::Valid));
    let needs_two = |class: &usize| dataset.splitter != Splitter::Folder && train[*class] + valid[*class] < 2;
    if let Some(class) = (0..dataset.vocab.len()).find(needs_two) {
        return Err(DataError::TooFewImages { path: path(), label: dataset.vocab.label(class).to_owned() });
    }
    for (split, counts) in [(Split::Train, train), (Split::Valid, valid)] {
        if counts.iter().sum::<usize>() == 0 {
            return Err(DataError::EmptySplit { path: path(), split });
        }
    }
    Ok(())
}
