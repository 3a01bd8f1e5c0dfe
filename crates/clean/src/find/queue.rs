//! Everything that detectors found in, one queue of cards out, worst first.
//!
//! A [`Finding`] is one trouble of one image with its score, what to do about it, and evidence in words. Detectors turn their
//! numbers into findings; [`queue`] makes a plan of them.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use sciurus_data::{ContentHash, Skipped, Vocab};

use sciurus_photos::{DuplicateGroup, Duplicates, Photo, QualityIssue, Sameness};

use super::{LabelQuality, LearntLabel, NeighbourGraph, Outliers};
use crate::issue::Issue;
use crate::plan::{CleanAction, IssueScore, PlanItem, Suggestion};

/// An image, as a queue knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueItem {
    /// The file, relative to the data set's folder.
    pub path: PathBuf,
    /// Fingerprint of its bytes.
    pub content: ContentHash,
    /// Its label.
    pub label: String,
}

/// One trouble of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Position of the image.
    pub item: usize,
    /// What it is.
    pub issue: Issue,
    /// How surely (0..=1, 1 = surely).
    pub score: f64,
    /// What to do about it; to keep the image where the trouble is only told.
    pub action: CleanAction,
    /// What was seen, for people.
    pub evidence: String,
    /// The label it should have, where it is about the label.
    pub suggested: Option<Suggestion>,
    /// Images with the same number here are looked at together.
    pub card: Option<usize>,
}

impl Finding {
    fn new(item: usize, issue: Issue, score: f64, evidence: String) -> Self {
        Self { item, issue, score, action: CleanAction::Keep, evidence, suggested: None, card: None }
    }

    /// Its place in the queue (0..=1).
    fn rank(&self) -> f64 {
        self.score * self.issue.weight()
    }
}

/// Files that are no images, as findings; `first` is the position of the first of them.
pub fn unreadable(skipped: &[Skipped], first: usize) -> Vec<Finding> {
    let finding = |(place, file): (usize, &Skipped)| Finding {
        action: CleanAction::SetAside,
        ..Finding::new(first + place, Issue::Unreadable, 1.0, file.reason.to_string())
    };
    skipped.iter().enumerate().map(finding).collect()
}

/// Labels that may be wrong: one finding for each item. Above 0.5 another class is more probable than the given one.
pub fn label_findings(quality: &LabelQuality, vocab: &Vocab) -> Vec<Finding> {
    let finding = |item: usize| {
        let probability = quality.suggested_probability[item];
        let label = vocab.label(quality.suggested[item]).to_owned();
        let given = quality.rows.row(item)[quality.rows.labels()[item]];
        let evidence = format!("{label} {:.0} %, its own label {:.0} %", 100.0 * probability, 100.0 * given);
        let score = quality.scores[item];
        let wrong = score > 0.5;
        Finding {
            action: if wrong { CleanAction::Relabel } else { CleanAction::Keep },
            suggested: wrong.then_some(Suggestion { label, probability }),
            ..Finding::new(item, Issue::Label, score, evidence)
        }
    };
    (0..quality.scores.len()).map(finding).collect()
}

/// Labels that a model did not learn while it was trained on them: those whose area under the margin is below 0, so that
/// another class was more probable on average. The score is the logistic function of that area, turned round. One entry for each
/// item, none for those that were not trained on.
pub fn learnt_findings(learnt: &[Option<&LearntLabel>]) -> Vec<Finding> {
    let finding = |(item, learnt): (usize, &Option<&LearntLabel>)| {
        let learnt = learnt.filter(|learnt| learnt.aum < 0.0)?;
        let found = (f64::from(learnt.looks) * learnt.correctness).round();
        let evidence =
            format!("found by a model in {found} of the {} times it was trained on it", learnt.looks);
        Some(Finding::new(item, Issue::HardToLearn, 1.0 / (1.0 + learnt.aum.exp()), evidence))
    };
    learnt.iter().enumerate().filter_map(finding).collect()
}

/// Images unlike all others: one finding for each item; above 0.5 it lies beyond the detector's cut. Those beyond it that are
/// neighbours of each other share a card, numbered from `first_card` on.
pub fn outlier_findings(outliers: &Outliers, graph: &NeighbourGraph, first_card: usize) -> Vec<Finding> {
    let mut is_out = vec![false; outliers.scores.len()];
    outliers.items.iter().for_each(|&item| is_out[item] = true);
    let mut card: Vec<usize> = (0..is_out.len()).collect();
    for &item in &outliers.items {
        // Only those that are as near to each other as other images are.
        let near = graph
            .ids(item)
            .iter()
            .zip(graph.distances(item))
            .filter(|(_, distance)| **distance < outliers.cut);
        for other in near.map(|(&other, _)| other as usize).filter(|&other| is_out[other]) {
            let (a, b) = (card[item].min(card[other]), card[item].max(card[other]));
            outliers.items.iter().for_each(|&any| card[any] = if card[any] == b { a } else { card[any] });
        }
    }
    let mut members: BTreeMap<usize, usize> = BTreeMap::new();
    outliers.items.iter().for_each(|&item| *members.entry(card[item]).or_default() += 1);
    let finding = |item: usize| {
        let shared = is_out[item] && members[&card[item]] > 1;
        Finding {
            action: if is_out[item] { CleanAction::SetAside } else { CleanAction::Keep },
            card: shared.then_some(first_card + card[item]),
            ..Finding::new(item, Issue::Outlier, outliers.badness(item), "unlike all others".to_owned())
        }
    };
    (0..is_out.len()).map(finding).collect()
}

/// What is wrong with the pixels of single images, `[item][issue]`.
pub fn pixel_findings(issues: &[Vec<QualityIssue>]) -> Vec<Finding> {
    let finding = |item: usize, issue: &QualityIssue| {
        let score = 1.0 - 0.5 * issue.score / issue.cut.max(f64::MIN_POSITIVE);
        Finding::new(item, Issue::Pixels(issue.check), score.clamp(0.5, 1.0), issue.evidence.clone())
    };
    issues
        .iter()
        .enumerate()
        .flat_map(|(item, all)| all.iter().map(move |issue| finding(item, issue)))
        .collect()
}

/// The least number of equal files in several classes that make a placeholder.
const PLACEHOLDERS: usize = 3;

/// Copies of each other: a card for each group, numbered by the group. Of copies with one label all that were seen to be copies of
/// the best one leave the data set; those that are only linked to it by others are told, and stay. Where labels differ, `belief` (row-major
/// `[item, class]`, probabilities of models that have not seen any member) says which one is right, and copies with another
/// label leave.
pub fn duplicate_findings(
    duplicates: &Duplicates,
    photos: &[Photo<'_>],
    belief: Option<&[f64]>,
) -> Vec<Finding> {
    let mut alike: HashMap<(usize, usize), f64> = HashMap::new();
    for pair in &duplicates.pairs {
        let correlation = match pair.sameness {
            Sameness::Near(alignment) => f64::from(alignment.correlation).clamp(0.0, 1.0),
            Sameness::Bytes | Sameness::Pixels => 1.0,
        };
        alike.insert((pair.first, pair.second), correlation);
    }
    let of_group = |(card, group): (usize, &DuplicateGroup)| {
        let right = belief.and_then(|belief| right_class(group, photos, belief));
        let is_right = |member: usize| right.is_none_or(|class| photos[member].class == Some(class));
        let kept =
            std::iter::once(group.keep).chain(group.members.iter().copied()).find(|&one| is_right(one));
        let copies = Copies { group, photos, alike: &alike, kept: kept.unwrap_or(group.keep), card };
        group.members.iter().flat_map(|&member| copies.findings(member)).collect::<Vec<Finding>>()
    };
    duplicates.groups.iter().enumerate().flat_map(of_group).collect()
}

/// A group of copies, and which one of them is kept.
struct Copies<'a> {
    group: &'a DuplicateGroup,
    photos: &'a [Photo<'a>],
    /// How alike pairs are (0..=1).
    alike: &'a HashMap<(usize, usize), f64>,
    kept: usize,
    card: usize,
}

impl Copies<'_> {
    fn findings(&self, member: usize) -> Vec<Finding> {
        let group = self.group;
        let count = group.members.len();
        let is_placeholder = group.exact && group.across_classes && count >= PLACEHOLDERS;
        let likeness = self.likeness(member);
        let (issue, evidence, leaves) = match likeness {
            _ if is_placeholder => {
                (Issue::Placeholder, format!("{count} equal pictures in several classes"), true)
            }
            _ if member == self.kept => {
                (self.kind(), format!("the one of {count} copies to keep: {}", group.reason), false)
            }
            Some(1.0) => (Issue::ExactDuplicate, format!("one of {count} copies"), true),
            Some(_) => (Issue::NearDuplicate, format!("one of {count} copies"), true),
            None => (Issue::NearDuplicate, format!("alike to some of {count} that are alike"), false),
        };
        let finding = |issue, score, evidence| Finding {
            action: if leaves { CleanAction::SetAside } else { CleanAction::Keep },
            card: Some(self.card),
            ..Finding::new(member, issue, score, evidence)
        };
        let score = if issue == Issue::NearDuplicate { likeness.unwrap_or(0.5) } else { 1.0 };
        let mut findings = vec![finding(issue, score, evidence)];
        if group.across_classes && !is_placeholder {
            findings.push(finding(Issue::AcrossClasses, score, "a copy has another label".to_owned()));
        }
        if group.across_splits {
            let evidence = "a copy is on the other side of the split".to_owned();
            findings.push(finding(Issue::AcrossSplits, score, evidence));
        }
        findings
    }

    /// How alike a member and the one that is kept are, where that was seen; of the kept one, how alike the nearest is.
    fn likeness(&self, member: usize) -> Option<f64> {
        if member == self.kept {
            let others = self.group.members.iter().filter(|&&other| other != member);
            return others.filter_map(|&other| self.likeness(other)).reduce(f64::max);
        }
        if self.photos[member].report.pixels == self.photos[self.kept].report.pixels {
            return Some(1.0);
        }
        self.alike.get(&(member.min(self.kept), member.max(self.kept))).copied()
    }

    fn kind(&self) -> Issue {
        if self.group.exact { Issue::ExactDuplicate } else { Issue::NearDuplicate }
    }
}

/// The class of a group whose labels differ: the most probable one, of those that its members have.
fn right_class(group: &DuplicateGroup, photos: &[Photo<'_>], belief: &[f64]) -> Option<usize> {
    if !group.across_classes {
        return None;
    }
    let classes = belief.len().checked_div(photos.len())?;
    let sum =
        |class: usize| -> f64 { group.members.iter().map(|&member| belief[member * classes + class]).sum() };
    let candidates = group.members.iter().filter_map(|&member| photos[member].class);
    candidates.max_by(|&a, &b| sum(a).total_cmp(&sum(b)))
}

/// The images as plan items, worst first, those of a card together. What is proposed is the most certain finding that asks for a
/// change; an image without one is kept. Findings below 0.5 place an image, but are not told.
#[must_use]
pub fn queue(items: &[QueueItem], findings: &[Finding]) -> Vec<PlanItem> {
    let mut of_item: Vec<Vec<&Finding>> = vec![Vec::new(); items.len()];
    findings.iter().for_each(|finding| of_item[finding.item].push(finding));
    for found in &mut of_item {
        found.sort_by(|a, b| b.rank().total_cmp(&a.rank()).then(a.issue.cmp(&b.issue)));
    }
    let planned: Vec<PlanItem> =
        items.iter().zip(&of_item).map(|(item, found)| planned(item, found)).collect();
    let mut worst: BTreeMap<usize, f64> = BTreeMap::new();
    for item in &planned {
        if let Some(card) = item.card {
            let most = worst.entry(card).or_insert(item.score);
            *most = most.max(item.score);
        }
    }
    let place = |item: &PlanItem| item.card.map_or(item.score, |card| worst[&card]);
    let mut order: Vec<PlanItem> = planned;
    order.sort_by(|a, b| {
        let by_card = a.card.unwrap_or(usize::MAX).cmp(&b.card.unwrap_or(usize::MAX));
        place(b)
            .total_cmp(&place(a))
            .then(by_card)
            .then(b.score.total_cmp(&a.score))
            .then(a.path.cmp(&b.path))
    });
    order
}

fn planned(item: &QueueItem, found: &[&Finding]) -> PlanItem {
    let told: Vec<&&Finding> = found.iter().filter(|finding| finding.score >= 0.5).collect();
    // What seems to belong nowhere is not given another class.
    let asks = |action| told.iter().find(move |finding| finding.action == action);
    let change = asks(CleanAction::SetAside).or_else(|| asks(CleanAction::Relabel));
    let card = told.iter().find_map(|finding| finding.card);
    let action = change.map_or(CleanAction::Keep, |finding| finding.action);
    let suggested = found.iter().find_map(|finding| finding.suggested.clone());
    let to = (action == CleanAction::Relabel)
        .then(|| suggested.as_ref().map(|other| other.label.clone()))
        .flatten();
    let words: Vec<&str> = told.iter().map(|finding| &*finding.evidence).collect();
    PlanItem {
        path: item.path.clone(),
        content: item.content,
        label: item.label.clone(),
        action,
        to,
        score: found.first().map_or(0.0, |finding| finding.rank()),
        issues: told
            .iter()
            .map(|finding| IssueScore { name: finding.issue.name(), score: finding.score })
            .collect(),
        reason: words.join("; "),
        card,
        suggested,
    }
}
