//! Finds what is wrong with a data set: looks at every photo once, then makes one queue.
//!
//! In: a folder, and the backbones to use. Out: a [`Cleaner`], which makes [`CleanPlan`]s: at the start, and again after every
//! hundred decisions. The detectors are those of [`sciurus_clean::find`]; this module runs them on real files.

mod apply;
mod look;
mod report;
mod retrain;
mod review;
mod settings;
mod summary;

pub use sciurus_clean::{CleanReport, Issue, find, plan};

pub use apply::{PlanApplied, apply_plan};
pub use retrain::{Retrain, as_it_was};
pub use review::{Card, Choice, Origin, Ranked, Refit, Review};
pub use settings::CleanSettings;
pub use summary::{CleanSummary, IssueCount};

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use look::{Looked, look};
use sciurus_clean::find::{
    DistanceScale, Finding, GivenLabels, Judge, LabelQuality, LearntLabel, NearCopyOptions, NeighbourGraph,
    OutOfSample, QualityOptions, QueueItem, best_penalties, drawing_findings, duplicate_findings,
    label_findings, label_quality, learnt_findings, near_copies, odd_kinds, off_topic, off_topic_findings,
    outliers, pixel_findings, queue, unreadable, with_junk,
};
use sciurus_clean::plan::CleanPlan;
use sciurus_data::fs::read_regular;
use sciurus_data::{
    ContentHash, Correction, Corrections, DataError, ImageDataset, ImageItem, Progress, SkipReason, Skipped,
};
use sciurus_insight::Embeddings;
use sciurus_photos::{
    DuplicateOptions, Duplicates, InspectedFile, Photo, find_duplicates, find_quality_issues,
};

use crate::model::{Arch, ArchChoice, ChosenArch};
use crate::{DownloadProgress, Error, WeightSource};

/// Neighbours of each image in the graph: Datalab's default.
const NEIGHBOURS: usize = 10;

/// Most bytes of an unreadable file that can be set aside: it is identified by its content, which must be read.
const LARGEST_BROKEN: u64 = 1 << 30;

/// Above this many photos, a copy is searched for among the photos with the nearest embeddings or hashes, not among all.
const WINDOWS: usize = 100;

/// Above this many photos, neighbours are approximate: comparing all pairs would take minutes, see docs/cleaning-benchmarks.md.
const EXACT: usize = 200_000;

/// What a [`Cleaner`] is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CleanStep {
    /// Listing files.
    Listing(Progress),
    /// Downloading a backbone's weights.
    Download(DownloadProgress),
    /// Checking the pixels of each file, and embedding it.
    Looking(Progress),
    /// Comparing everything with everything.
    Analysing,
}

/// A data set with everything the detectors found.
#[derive(Debug)]
pub struct Cleaner {
    dataset: ImageDataset,
    /// Readable images, then unreadable files.
    items: Vec<QueueItem>,
    /// Each backbone's embeddings of the readable images.
    members: Vec<Embeddings>,
    /// Which of them say what belongs to no class, that which is built in first, and how their distances are read.
    judges: Vec<(usize, DistanceScale)>,
    /// The nearest neighbours of each readable image under the first backbone.
    graph: NeighbourGraph,
    /// The distance between neighbours above which they aren't alike.
    near: f64,
    /// The class of each readable image.
    classes: Vec<usize>,
    /// The group of copies of each readable image.
    groups: Vec<usize>,
    /// Findings that do not depend on labels.
    fixed: Vec<Finding>,
    files: Vec<InspectedFile>,
    duplicates: Duplicates,
    model: String,
    notes: Vec<String>,
    penalties: OnceLock<Vec<f64>>,
}

impl Cleaner {
    /// Looks at a data set without changing it. `progress` is called from many threads, and may break off.
    ///
    /// # Errors
    /// The folder is not a data set, a backbone's weights cannot be found, or `progress` broke off ([`DataError::Stopped`]).
    pub fn look(
        settings: &CleanSettings,
        progress: &(dyn Fn(CleanStep) -> ControlFlow<()> + Sync),
    ) -> Result<Self, Error> {
        let dataset = settings.dataset(progress)?;
        // A download can't be broken off: what comes next can.
        let mut chosen = settings.chosen(&mut |done| {
            let _ = progress(CleanStep::Download(done));
        })?;
        settings.add_judges(&mut chosen);
        let mut notes: Vec<String> = chosen.iter().filter_map(|chosen| chosen.instead.clone()).collect();
        let embedders = settings.embedders(&chosen, progress)?;
        let known = settings.known_reports();
        let Looked { files, members, skipped: mut broken, faults } =
            look((&dataset, &known), &embedders, &|done| progress(CleanStep::Looking(done)))?;
        notes.extend(faults);
        if progress(CleanStep::Analysing).is_break() {
            return Err(DataError::Stopped.into());
        }
        let classes = classes(&dataset, &files);
        let items = readable_items(&dataset, &files).chain(broken_items(&dataset, &mut broken)).collect();
        let photos = photos(&dataset, &files);
        let graph = match files.len() > EXACT {
            true => NeighbourGraph::approximate(&members[0], NEIGHBOURS)?,
            false => NeighbourGraph::new(&members[0], NEIGHBOURS)?,
        };
        let mut copies = near_copies(&graph, NearCopyOptions::default().build()?);
        let neighbours = |item: usize| graph.ids(item).iter().map(move |&other| (item, other as usize));
        let suggested: Vec<(usize, usize)> = (0..graph.len()).flat_map(neighbours).collect();
        let options = DuplicateOptions { window_limit: WINDOWS, ..DuplicateOptions::default() };
        let duplicates = find_duplicates(&photos, &options, &suggested);
        copies.join(duplicates.pairs.iter().map(|pair| (pair.first, pair.second)));
        let mut fixed = pixel_findings(&find_quality_issues(&files));
        fixed.extend(learnt_findings(&learnt(&settings.training, &dataset, &files)));
        fixed.extend(unreadable(&broken, files.len()));
        let names: Vec<&str> = chosen.iter().map(|chosen| chosen.arch.name()).collect();
        let model = format!("out-of-fold heads on {}", names.join(", "));
        let penalties = OnceLock::new();
        Ok(Self {
            dataset,
            items,
            members,
            judges: judges(&chosen),
            near: outliers(&graph).cut,
            graph,
            classes,
            groups: copies.groups,
            fixed,
            files,
            duplicates,
            model,
            notes,
            penalties,
        })
    }

    /// The data set, without any decisions applied.
    pub fn dataset(&self) -> &ImageDataset {
        &self.dataset
    }

    /// What people should know: which network was chosen for them, and problems that were worked around, such as a cache that is
    /// damaged.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The networks that looked, for people and for what is kept under their name.
    #[must_use]
    pub fn networks(&self) -> &str {
        &self.model
    }

    /// The number of images and unreadable files.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no images and no unreadable files.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The queue of all images, worst first.
    ///
    /// # Errors
    /// An embedding is not finite.
    pub fn plan(&self) -> Result<CleanPlan, Error> {
        self.plan_after(&Corrections::default())
    }

    /// The queue of all undecided images. The heads are fitted again with the decisions: corrected labels count as clean, and
    /// images that were set aside no longer count.
    ///
    /// # Errors
    /// An embedding is not finite.
    pub fn plan_after(&self, decided: &Corrections) -> Result<CleanPlan, Error> {
        Ok(self.judged(decided)?.0)
    }

    /// The same, and for each readable image its most likely classes.
    fn judged(&self, decided: &Corrections) -> Result<(CleanPlan, Vec<Likely>), Error> {
        let decision = |item: usize| decided.find(&self.items[item].path, &self.items[item].content);
        let mut findings = self.fixed.clone();
        let labels = self.labels(&decision);
        let quality = self.quality(&labels)?;
        findings.extend(self.strangers(&labels)?);
        if let Some(quality) = &quality {
            findings.extend(label_findings(quality, &self.dataset.vocab));
        }
        let belief: Option<Vec<f64>> = quality.as_ref().map(|quality| {
            (0..quality.rows.len()).flat_map(|item| quality.rows.row(item).iter().copied()).collect()
        });
        let photos = photos(&self.dataset, &self.files);
        findings.extend(duplicate_findings(&self.duplicates, &photos, &self.items, belief.as_deref()));
        let open: Vec<bool> = (0..self.items.len()).map(|item| decision(item).is_none()).collect();
        findings.retain(|finding| open[finding.item]);
        let mut planned = queue(&self.items, &findings);
        let undecided = |path: &Path, content: &ContentHash| decided.find(path, content).is_none();
        planned.retain(|item| undecided(&item.path, &item.content));
        let classes = quality.map_or_else(Vec::new, |quality| most_likely(&quality.rows));
        Ok((CleanPlan::new(self.root(), &self.model, planned), classes))
    }

    /// These readable images in groups: neighbours, and neighbours of those.
    fn connected(&self, places: &[usize]) -> Vec<Vec<usize>> {
        let mut group: HashMap<usize, usize> = places.iter().map(|&place| (place, place)).collect();
        let root = |group: &HashMap<usize, usize>, mut place: usize| {
            while group[&place] != place {
                place = group[&place];
            }
            place
        };
        for &place in places {
            for other in self.graph.ids(place).iter().map(|&other| other as usize) {
                if group.contains_key(&other) {
                    let (a, b) = (root(&group, place), root(&group, other));
                    group.insert(a.max(b), a.min(b));
                }
            }
        }
        let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
        places.iter().for_each(|&place| groups.entry(root(&group, place)).or_default().push(place));
        groups.into_values().collect()
    }

    /// The place of a readable image.
    fn place(&self, path: &Path) -> Option<usize> {
        self.items[..self.graph.len()].iter().position(|item| item.path == path)
    }

    /// The readable images most like one of them, by the cosine of their features under the first network: nearest first, at most ten,
    /// each with its cosine (-1 to 1). Empty if there is no such image.
    pub fn similar(&self, path: &Path) -> Vec<(&QueueItem, f32)> {
        let readable = &self.items[..self.graph.len()];
        let Some(place) = self.place(path) else { return Vec::new() };
        let nearest = self.graph.ids(place).iter().zip(self.graph.distances(place));
        nearest.map(|(&other, distance)| (&readable[other as usize], (1.0 - distance) as f32)).collect()
    }

    /// The readable images, and their features under the first network, a row each.
    #[must_use]
    pub fn features(&self) -> (&[QueueItem], &Embeddings) {
        (&self.items[..self.graph.len()], &self.members[0])
    }

    /// Absolute, because a plan may be carried out from another folder, and on no other data set.
    fn root(&self) -> PathBuf {
        std::path::absolute(&self.dataset.root).unwrap_or_else(|_| self.dataset.root.clone())
    }

    /// What the readable images are labelled as, with the decisions.
    fn labels<'a>(&self, decision: &impl Fn(usize) -> Option<&'a Correction>) -> Labels {
        let vocab = &self.dataset.vocab;
        let class = |item: usize| match decision(item) {
            Some(Correction::Relabel(label)) => vocab.class(label).unwrap_or(self.classes[item]),
            _ => self.classes[item],
        };
        let counts = |item: usize| f64::from(u8::from(decision(item) != Some(&Correction::LeaveOut)));
        let items = 0..self.classes.len();
        Labels { classes: items.clone().map(class).collect(), weights: items.map(counts).collect() }
    }

    /// The label quality of the readable images; `None` for multi-label data.
    fn quality(&self, labels: &Labels) -> Result<Option<LabelQuality>, Error> {
        if self.dataset.is_multi_label() {
            return Ok(None);
        }
        let members: Vec<&Embeddings> = self.members.iter().collect();
        let given = GivenLabels {
            classes: self.dataset.vocab.len(),
            labels: &labels.classes,
            groups: Some(&self.groups),
            weights: Some(&labels.weights),
        };
        let options = QualityOptions::default().penalties(self.penalties()?.iter().copied()).build()?;
        Ok(Some(label_quality(&members, given, &options)?))
    }

    /// Findings about images that show something else than any class, or are of another kind than theirs.
    fn strangers(&self, labels: &Labels) -> Result<Vec<Finding>, Error> {
        let (classes, weights) = (self.dataset.vocab.len(), Some(&*labels.weights));
        let judge =
            |&(member, scale): &(usize, DistanceScale)| Judge { embeddings: &self.members[member], scale };
        let judges: Vec<Judge<'_>> = self.judges.iter().map(judge).collect();
        let off_topic = off_topic(&judges, &labels.classes, classes, weights)?;
        let drawing: Vec<f64> = self.files.iter().map(|file| file.report.style.drawing()).collect();
        let odd = odd_kinds((&drawing, &off_topic.distances), &labels.classes, classes, weights)?;
        let first_card = self.duplicates.groups.len();
        Ok(with_junk(
            drawing_findings(&odd, &labels.classes, first_card),
            off_topic_findings(&off_topic, (&self.graph, self.near), first_card + classes),
        ))
    }

    /// How closely heads follow the labels, for each network: chosen once, by the labels as they were given, so that the order of
    /// decisions has no say in it.
    fn penalties(&self) -> Result<&[f64], Error> {
        if let Some(penalties) = self.penalties.get() {
            return Ok(penalties);
        }
        let members: Vec<&Embeddings> = self.members.iter().collect();
        let given = GivenLabels {
            classes: self.dataset.vocab.len(),
            labels: &self.classes,
            groups: Some(&self.groups),
            weights: None,
        };
        let chosen = best_penalties(&members, given, &QualityOptions::default())?;
        Ok(self.penalties.get_or_init(|| chosen))
    }
}

/// The class of each readable image, and how much each counts.
struct Labels {
    classes: Vec<usize>,
    weights: Vec<f64>,
}

/// Which networks say what belongs to no class: those whose distances mean the same in all sets. That which is built in is always
/// among them, and comes first.
fn judges(chosen: &[ChosenArch]) -> Vec<(usize, DistanceScale)> {
    let pretrained = chosen.iter().enumerate().filter(|(_, one)| one.weights == WeightSource::Pretrained);
    let scale = |(place, one): (usize, &ChosenArch)| Some((place, distance_scale(one.arch)?));
    let mut judges: Vec<(usize, DistanceScale)> = pretrained.filter_map(scale).collect();
    judges.sort_by_key(|&(place, _)| chosen[place].arch != ArchChoice::BUILT_IN);
    judges
}

/// How a network's distances to class means are read, with its pretrained weights; `None` for networks that do not judge.
/// docs/cleaning-benchmarks.md says on which photos this was fitted.
#[must_use]
pub fn distance_scale(arch: Arch) -> Option<DistanceScale> {
    match arch {
        Arch::Hazel => Some(DistanceScale { middle: 0.52, slope: 10.0 }),
        Arch::EfficientNetLite0 => Some(DistanceScale { middle: 0.49, slope: 18.5 }),
        Arch::EfficientNetLite2 => Some(DistanceScale { middle: 0.47, slope: 18.5 }),
        _ => None,
    }
}

/// The most likely classes of an image, each with its probability (0 to 1), the likeliest first.
type Likely = Vec<(usize, f32)>;

/// Classes that are kept for each image: as many as there are digits to press.
const MOST_LIKELY: usize = 9;

fn most_likely(rows: &OutOfSample) -> Vec<Likely> {
    let likely = |item: usize| {
        let mut classes: Likely =
            rows.row(item).iter().enumerate().map(|(class, p)| (class, *p as f32)).collect();
        classes.sort_by(|a, b| b.1.total_cmp(&a.1));
        classes.truncate(MOST_LIKELY);
        classes.shrink_to_fit();
        classes
    };
    (0..rows.len()).map(likely).collect()
}

/// The item of each file. The files are some of the data set's items, in the same order.
fn of_files<'a>(
    dataset: &'a ImageDataset,
    files: &'a [InspectedFile],
) -> impl Iterator<Item = (&'a ImageItem, &'a InspectedFile)> {
    let mut items = dataset.items.iter();
    files.iter().filter_map(move |file| Some((items.find(|item| item.path == file.path)?, file)))
}

/// The class of each file; for multi-label data the first one.
fn classes(dataset: &ImageDataset, files: &[InspectedFile]) -> Vec<usize> {
    of_files(dataset, files).map(|(item, _)| item.target.classes().first().copied().unwrap_or(0)).collect()
}

/// How the label of each file was learnt; `None` if the file was not trained on, or its label has changed.
fn learnt<'a>(
    training: &'a [LearntLabel],
    dataset: &ImageDataset,
    files: &[InspectedFile],
) -> Vec<Option<&'a LearntLabel>> {
    let rows: HashMap<&Path, &LearntLabel> = training.iter().map(|row| (&*row.path, row)).collect();
    let of_item = |item: &ImageItem| {
        rows.get(&*item.path).copied().filter(|learnt| learnt.label == dataset.label(item))
    };
    of_files(dataset, files).map(|(item, _)| of_item(item)).collect()
}

fn readable_items<'a>(
    dataset: &'a ImageDataset,
    files: &'a [InspectedFile],
) -> impl Iterator<Item = QueueItem> + 'a {
    of_files(dataset, files).map(|(item, file)| QueueItem {
        path: item.path.clone(),
        content: file.report.content,
        label: dataset.label(item),
    })
}

/// Unreadable files that could be moved away, those of the scan included; `broken` is reduced to them. Files that cannot be
/// opened are left out, because they cannot be identified by their content.
fn broken_items(dataset: &ImageDataset, broken: &mut Vec<Skipped>) -> Vec<QueueItem> {
    let about_content = |file: &&Skipped| {
        !matches!(
            file.reason,
            SkipReason::OutsideClassFolder
                | SkipReason::NameWithoutLabel
                | SkipReason::NameNotText
                | SkipReason::NotAFile
                | SkipReason::OutsideFolder
                | SkipReason::OutOfResources { .. }
                | SkipReason::SameFile { .. }
                | SkipReason::NotFound
                | SkipReason::PermissionDenied
                | SkipReason::LeftOut
                | SkipReason::TooManyBytes { .. }
        )
    };
    broken.extend(dataset.skipped.iter().filter(about_content).cloned());
    let label = |path: &Path| {
        let parts = path.iter().filter_map(|part| part.to_str());
        parts.into_iter().find(|part| dataset.vocab.class(part).is_some()).unwrap_or_default().to_owned()
    };
    let mut items = Vec::new();
    broken.retain(|file| match read_regular(&dataset.root.join(&file.path), LARGEST_BROKEN) {
        Ok(bytes) => {
            let (path, content) = (file.path.clone(), ContentHash::of(&bytes));
            items.push(QueueItem { label: label(&path), path, content });
            true
        }
        Err(_) => false,
    });
    items
}

/// The files with what the data set knows about them. Splits count only if the data define them: a random split is not a
/// property of a photo, so copies across it are not a leak in the data.
fn photos<'a>(dataset: &'a ImageDataset, files: &'a [InspectedFile]) -> Vec<Photo<'a>> {
    let is_given = dataset.splitter.is_given();
    of_files(dataset, files)
        .map(|(item, file)| Photo {
            modified: file.modified,
            is_link: file.is_link,
            class: item.target.classes().first().copied(),
            split: is_given.then_some(item.split),
            ..Photo::new(&file.report)
        })
        .collect()
}
