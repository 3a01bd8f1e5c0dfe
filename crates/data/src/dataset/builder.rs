//! How a data set is built. In: where the labels come from, and options. Out: an [`ImageDataset`], or what is wrong
//! with the data set as a whole.

use super::ImageDataset;
use super::corrections::{Correction, Corrections};
use super::item::{ContentHash, ImageItem, ItemId, Split, Vocab, case_only};
use super::labeler::{Labeler, Listing};
use super::layout::ClassFolder;
use super::note::Note;
use super::pattern::Pattern;
use super::scan::{self, Found, Progress, Tag, portable};
use super::target::{Target, Targets};
use crate::error::DataError;
use crate::image::DecodeLimits;
use crate::option::BadOption;
use crate::seed::Seed;
use crate::skip::{SkipReason, Skipped};
use crate::split::{Division, Splitter};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Options of a data set; see [`ImageDataset::from_folder`], [`ImageDataset::from_csv`] and
/// [`ImageDataset::from_name_pattern`].
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `split_by` | the data's own split if there is one, else [`Splitter::Stratified`] 0.2 | how items are split | |
/// | `test_fraction` | no test set, unless the data have one | share of all images that is held out for one final test | above 0; with the validation images below 1 |
/// | `group_by` | the CSV file's `group` column, else none | which images stay on one side of a split | |
/// | `label_level` | 1, unless that looks wrong | which folder on the way to a photo names its class | at least 1 |
/// | `root` | the folder; for CSV: the file's folder | what paths are relative to | |
/// | `correct` | nothing | labels to change and images to leave out; the split stays as it was | |
/// | `seed` | 42 | seed of the split | any |
/// | `limits` | [`DecodeLimits::default`] | how much a single file may cost | |
/// | `on_progress` | nothing | called after each file, from many threads | |
pub struct ImageDatasetBuilder {
    root: PathBuf,
    labeler: Labeler,
    splitter: Option<Splitter>,
    test_fraction: Option<f64>,
    group: Option<String>,
    label_level: Option<usize>,
    corrections: Corrections,
    seed: Seed,
    limits: DecodeLimits,
    progress: Box<dyn Fn(Progress) + Send + Sync>,
}

impl fmt::Debug for ImageDatasetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageDatasetBuilder")
            .field("root", &self.root)
            .field("labeler", &self.labeler)
            .finish_non_exhaustive()
    }
}

impl ImageDatasetBuilder {
    pub(crate) fn new(root: PathBuf, labeler: Labeler) -> Self {
        Self {
            root,
            labeler,
            splitter: None,
            test_fraction: None,
            group: None,
            label_level: None,
            corrections: Corrections::default(),
            seed: Seed(42),
            limits: DecodeLimits::default(),
            progress: Box::new(|_| {}),
        }
    }

    /// Sets where labels come from, in place of what the data set was started with. Paths in a CSV file are then
    /// relative to the root.
    #[must_use]
    pub fn label_by(mut self, labeler: Labeler) -> Self {
        self.labeler = labeler;
        self
    }

    /// The folder that paths are relative to.
    #[must_use]
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = root.into();
        self
    }

    /// Which folder on the way to a photo names its class: 1 for the first below the root, or below the split folder; 2 for
    /// the next. Without it, 1, unless the tree looks as if that were wrong, which is then an error.
    #[must_use]
    pub fn label_level(mut self, label_level: impl Into<Option<usize>>) -> Self {
        self.label_level = label_level.into();
        self
    }

    /// How items are divided into train and valid. Data with a split of their own (folders, or the split column of a
    /// CSV file) allow only [`Splitter::Folder`] or [`Splitter::Column`]; `build` refuses to ignore the data's own
    /// split.
    #[must_use]
    pub fn split_by(mut self, splitter: impl Into<Option<Splitter>>) -> Self {
        self.splitter = splitter.into();
        self
    }

    /// Share of all images, above 0, that is held out for one final test. It is drawn before train and valid are
    /// divided, class by class, so the test set is the same for any `split_by`.
    #[must_use]
    pub fn test_fraction(mut self, test_fraction: impl Into<Option<f64>>) -> Self {
        self.test_fraction = test_fraction.into();
        self
    }

    /// A regular expression that finds an image's group in its path (relative to the root, with `/`): the capture group
    /// called `group`, or else the first one. Images of one group, such as photos of one animal or of one burst, never
    /// end up in two splits: the model would be validated on what it has memorised. An image whose path doesn't match
    /// is a group of its own. Overrides a CSV file's group column.
    #[must_use]
    pub fn group_by(mut self, pattern: impl Into<String>) -> Self {
        self.group = Some(pattern.into());
        self
    }

    /// Labels to change and images to leave out. The split is drawn first, so corrections don't move a photo into
    /// another split. A label that is new becomes a class; a label that no image has any more is dropped.
    #[must_use]
    pub fn correct(mut self, corrections: Corrections) -> Self {
        self.corrections = corrections;
        self
    }

    /// Seed of the split.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Seed(seed);
        self
    }

    /// How much a single file may cost.
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
    /// The data set as a whole can't be used: the folder or table is missing, there are fewer than two classes, a line
    /// of the table is invalid, a class has too few images, a split is empty, train and valid have different classes, a
    /// group is in two splits, or `split_by` contradicts the data's own split. Also if the machine runs out of file
    /// handles or memory. Single bad files are skipped instead.
    pub fn build(self) -> Result<ImageDataset, DataError> {
        let groups = self.group.as_deref().map(|pattern| Pattern::new(pattern, "group")).transpose()?;
        BadOption::check_given("label_level", self.label_level, |level| level >= 1, "choose 1 or more")?;
        let mut listing = self.labeler.list(&self.root, self.label_level)?;
        let splitter = self.choose_splitter(&listing)?;
        let vocab = self.labeler.vocab(&listing, &self.root)?;
        if let Some(pattern) = groups {
            for file in &mut listing.files {
                file.tag.group = pattern.find(&portable(&file.path)).map(str::to_owned);
            }
        }
        let (found, mut skipped) = self.scan(&mut listing, &vocab)?;
        skipped.append(&mut listing.skipped);
        let splits = self.splits(&found, &vocab, splitter)?;
        let (found, splits) = self.corrected(found, splits, &mut skipped);
        let vocab = if self.corrections.is_empty() { vocab } else { self.corrected_vocab(&found)? };
        skipped.sort_by_cached_key(|skipped| portable(&skipped.path));
        listing.left_out.sort_by_cached_key(|left_out| portable(&left_out.path));
        let mut dataset = ImageDataset {
            items: items(found, &|tag| self.target(&vocab, tag), &splits),
            root: self.root,
            vocab,
            skipped,
            left_out: listing.left_out,
            notes: listing.notes,
            splitter,
            seed: self.seed,
            limits: self.limits,
            labeler: self.labeler,
            test_fraction: self.test_fraction,
            group: self.group,
        };
        check_splits(&dataset)?;
        check_groups(&dataset)?;
        let notes = notes(&dataset);
        dataset.notes.extend(notes);
        Ok(dataset)
    }

    /// Data with a split of their own leave no other choice.
    fn choose_splitter(&self, listing: &Listing) -> Result<Splitter, DataError> {
        let by_csv = matches!(self.labeler, Labeler::Csv(_));
        let own = if by_csv { Splitter::Column } else { Splitter::Folder };
        let path = self.labeler.source(&self.root).to_owned();
        if self.test_fraction.is_some() && Split::ALL.iter().any(|&split| listing.has(split)) {
            return Err(DataError::OwnTestSplit { path });
        }
        match (self.splitter, listing.has(Split::Valid)) {
            (None, true) => Ok(own),
            (Some(splitter), true) if splitter == own => Ok(own),
            (Some(_), true) if by_csv => Err(DataError::OwnSplitColumn { path }),
            (Some(_), true) => Err(DataError::OwnSplitFolders { path }),
            (Some(Splitter::Folder), false) => Err(DataError::NoSplitFolders { path: self.root.clone() }),
            (Some(Splitter::Column), false) => Err(DataError::NoSplitColumn { path }),
            (chosen, false) => Ok(chosen.unwrap_or_default()),
        }
    }

    fn scan(&self, listing: &mut Listing, vocab: &Vocab) -> Result<(Vec<Found>, Vec<Skipped>), DataError> {
        let files = std::mem::take(&mut listing.files);
        let (mut found, mut skipped) = (Vec::new(), Vec::new());
        for result in scan::examine(&self.root, files, &self.limits, &self.progress) {
            match result {
                Ok(image) => found.push(image),
                Err(skip) => skipped.push(skip),
            }
        }
        DataError::check_machine(skipped.iter().map(|(_, file)| file).chain(&listing.skipped))?;
        let there: HashSet<(&str, Option<Split>)> = found.iter().flat_map(|image| keys(&image.tag)).collect();
        let is_missing = |(_, file): &(Tag, Skipped)| file.reason == SkipReason::NotFound;
        if let (Labeler::Csv(labels), [], [(_, first), ..]) = (&self.labeler, &found[..], &skipped[..])
            && skipped.iter().all(is_missing)
        {
            let (table, looked_for) = (labels.path.clone(), self.root.join(&first.path));
            let near = near(&self.root, &first.path);
            return Err(DataError::NoFilesOfTable { table, files: skipped.len(), looked_for, near });
        }
        // A label without validation images is trained on; a note names it.
        let of_train = |folder: &&ClassFolder| matches!(folder.split, None | Some(Split::Train));
        for folder in listing.folders.iter().filter(of_train) {
            if !there.contains(&(folder.label.as_str(), folder.split)) {
                let of_folder = |tag: &Tag| keys(tag).any(|key| key == (folder.label.as_str(), folder.split));
                let (skipped, reason) = first_skipped(&skipped, of_folder);
                return Err(DataError::EmptyClass { path: folder.path.clone(), skipped, reason });
            }
        }
        for label in vocab.labels() {
            if !there.contains(&(label, None)) && !there.contains(&(label, Some(Split::Train))) {
                let of_label = |tag: &Tag| tag.labels.contains(label);
                let (skipped, reason) = first_skipped(&skipped, of_label);
                let (path, label) = (self.labeler.source(&self.root).to_owned(), label.clone());
                return Err(DataError::EmptyLabel { path, label, skipped, reason });
            }
        }
        Ok((found, skipped.into_iter().map(|(_, skip)| skip).collect()))
    }

    /// The split of each image. The splitter decides what the data don't: everything, or what isn't test.
    fn splits(&self, found: &[Found], vocab: &Vocab, splitter: Splitter) -> Result<Vec<Split>, DataError> {
        let fixed = |image: &Found| image.tag.split;
        let open: Vec<&Found> = found.iter().filter(|image| fixed(image) != Some(Split::Test)).collect();
        let targets: Targets = open.iter().map(|image| self.target(vocab, &image.tag)).collect();
        let groups = group_numbers(&open);
        let division = Division { test_fraction: self.test_fraction, ..Division::new(splitter, self.seed) };
        let mut drawn = division.assign_targets(&targets, groups.as_deref())?.into_iter();
        let split = |image: &Found| match fixed(image) {
            Some(Split::Test) => Split::Test,
            said => {
                let drawn = drawn.next().unwrap_or(Split::Train);
                if splitter.is_given() { said.unwrap_or(drawn) } else { drawn }
            }
        };
        Ok(found.iter().map(split).collect())
    }

    /// The images with the corrections applied.
    fn corrected(
        &self,
        found: Vec<Found>,
        splits: Vec<Split>,
        skipped: &mut Vec<Skipped>,
    ) -> (Vec<Found>, Vec<Split>) {
        let mut kept = (Vec::new(), Vec::new());
        for (mut image, split) in found.into_iter().zip(splits) {
            match self.corrections.find(&image.path, &image.content) {
                Some(Correction::LeaveOut) => {
                    skipped.push(Skipped { path: image.path, reason: SkipReason::LeftOut });
                    continue;
                }
                Some(Correction::Relabel(label)) => image.tag.labels = vec![label.clone()],
                Some(Correction::Keep) | None => {}
            }
            kept.0.push(image);
            kept.1.push(split);
        }
        kept
    }

    /// The labels that are left after corrections.
    fn corrected_vocab(&self, found: &[Found]) -> Result<Vocab, DataError> {
        let vocab = Vocab::new(found.iter().flat_map(|image| image.tag.labels.iter().cloned()));
        let path = self.labeler.source(&self.root).to_owned();
        match vocab.labels() {
            [label] => Err(DataError::OnlyOneClass { path, label: label.clone() }),
            _ => Ok(vocab),
        }
    }

    /// An image's target. The vocabulary has every label and is sorted, as an image's labels are, so classes come out
    /// ascending.
    fn target(&self, vocab: &Vocab, tag: &Tag) -> Target {
        let classes: Vec<usize> = tag.labels.iter().filter_map(|label| vocab.class(label)).collect();
        match classes[..] {
            [class] if !self.labeler.is_multi_label() => Target::Single(class),
            _ => Target::Multi(classes),
        }
    }
}

fn keys(tag: &Tag) -> impl Iterator<Item = (&str, Option<Split>)> {
    tag.labels.iter().map(|label| (label.as_str(), tag.split))
}

/// How many files with such a tag were skipped, and why the first one was.
fn first_skipped(skipped: &[(Tag, Skipped)], such: impl Fn(&Tag) -> bool) -> (usize, Option<String>) {
    let mut such = skipped.iter().filter(|(tag, _)| such(tag)).map(|(_, skip)| skip.to_string());
    let first = such.next();
    (such.count() + usize::from(first.is_some()), first)
}

/// The number of each image's group, or `None` if there are no groups. An image without one is alone in its group.
fn group_numbers(images: &[&Found]) -> Option<Vec<usize>> {
    images.iter().any(|image| image.tag.group.is_some()).then(|| {
        let (mut numbers, mut next) = (HashMap::new(), 0);
        let mut new = || {
            next += 1;
            next - 1
        };
        let number = |image: &&Found| match &image.tag.group {
            Some(group) => *numbers.entry(group.clone()).or_insert_with(&mut new),
            None => new(),
        };
        images.iter().map(number).collect()
    })
}

fn items(found: Vec<Found>, target: &dyn Fn(&Tag) -> Target, splits: &[Split]) -> Vec<ImageItem> {
    let item = |(i, (image, &split)): (usize, (Found, &Split))| ImageItem {
        id: ItemId(i as u32),
        target: target(&image.tag),
        split,
        group: image.tag.group,
        content: image.content,
        bytes: image.bytes,
        width: image.size.0,
        height: image.size.1,
        path: image.path,
    };
    found.into_iter().zip(splits).enumerate().map(item).collect()
}

/// Entries that [`near`] looks at.
const MOST_NEAR: usize = 20_000;

/// A file below the root that has the name of one that isn't where it should be.
fn near(root: &Path, missing: &Path) -> Option<PathBuf> {
    let files = WalkDir::new(root).into_iter().flatten().take(MOST_NEAR);
    let is_same = |path: &Path| {
        path.file_name() == missing.file_name()
            || path.file_stem().is_some_and(|stem| Some(stem) == missing.file_name())
    };
    let mut files = files.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.find(|path| is_same(path))
}

/// What will make the numbers of this data set mislead.
fn notes(dataset: &ImageDataset) -> Vec<Note> {
    let mut notes = Vec::new();
    let valid = dataset.class_counts(Split::Valid);
    let labels = dataset.vocab.labels().iter().zip(valid).filter(|(_, valid)| *valid == 0);
    let labels: Vec<String> = labels.map(|(label, _)| label.clone()).collect();
    if !labels.is_empty() {
        notes.push(Note::NotValidated { labels });
    }
    let learnt: HashMap<ContentHash, &ImageItem> =
        dataset.split(Split::Train).map(|item| (item.content, item)).collect();
    for split in [Split::Valid, Split::Test] {
        let of = dataset.split(split).count();
        let mut both = dataset.split(split).filter_map(|item| Some((item, *learnt.get(&item.content)?)));
        if let Some((here, there)) = both.next() {
            let example = [here.path.clone(), there.path.clone()];
            notes.push(Note::OnBothSides { split, photos: 1 + both.count(), of, example });
        }
    }
    notes.extend(case_only(dataset.vocab.labels()).map(|labels| Note::CaseOnly { labels }));
    notes
}

fn check_splits(dataset: &ImageDataset) -> Result<(), DataError> {
    let path = || dataset.labeler.source(&dataset.root).to_owned();
    let (train, valid) = (dataset.class_counts(Split::Train), dataset.class_counts(Split::Valid));
    // A multi-label data set may have rare labels: they are trained on, but not validated.
    let drawn = !dataset.splitter.is_given() && !dataset.labeler.is_multi_label();
    let needs_two = |class: &usize| drawn && train[*class] + valid[*class] < 2;
    if let Some(class) = (0..dataset.vocab.len()).find(needs_two) {
        return Err(DataError::TooFewImages { path: path(), label: dataset.vocab.label(class).to_owned() });
    }
    for split in [Split::Train, Split::Valid] {
        if dataset.split(split).next().is_none() {
            return Err(DataError::EmptySplit { path: path(), split });
        }
    }
    Ok(())
}

/// The data's own split may tear a group apart.
fn check_groups(dataset: &ImageDataset) -> Result<(), DataError> {
    let mut sides = BTreeMap::new();
    for item in &dataset.items {
        let Some(group) = &item.group else { continue };
        let first = *sides.entry(group).or_insert(item.split);
        if first != item.split {
            let path = dataset.labeler.source(&dataset.root).to_owned();
            return Err(DataError::GroupOnTwoSides {
                path,
                group: group.clone(),
                splits: [first, item.split],
            });
        }
    }
    Ok(())
}
