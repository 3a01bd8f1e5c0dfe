//! Turns what the detectors found into one queue of cards, worst first.
//!
//! A [`Finding`] is one issue of one image, with its score, a proposal, and evidence in words. Each detector's numbers become
//! findings; [`queue`] turns all findings into a plan.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use sciurus_data::{ContentHash, SkipReason, Skipped, Vocab, one_line};

use sciurus_photos::{DuplicateGroup, Duplicates, FileFormat, Photo, QualityIssue, Sameness};

use super::near_copies::{link, settle};
use super::odds::logistic;
use super::{LabelQuality, LearntLabel, NeighbourGraph, OddKind, OffTopic, sharpened};
use crate::issue::Issue;
use crate::plan::{CleanAction, IssueScore, PlanItem, Suggestion};

/// An image in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueItem {
    /// The file, relative to the data set's folder.
    pub path: PathBuf,
    /// Fingerprint of its bytes.
    pub content: ContentHash,
    /// Its label.
    pub label: String,
}

/// One issue of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Index of the image.
    pub item: usize,
    /// The issue.
    pub issue: Issue,
    /// How certain it is (0..=1, 1 = certain).
    pub score: f64,
    /// What to do about it; [`CleanAction::Keep`] for an issue that is only reported.
    pub action: CleanAction,
    /// What was seen, in words for people.
    pub evidence: String,
    /// For label issues, the label it should have.
    pub suggested: Option<Suggestion>,
    /// Images with the same number are reviewed together.
    pub card: Option<usize>,
}

impl Finding {
    fn new(item: usize, issue: Issue, score: f64, evidence: String) -> Self {
        Self { item, issue, score, action: CleanAction::Keep, evidence, suggested: None, card: None }
    }

    /// Its rank in the queue (0..=1, 1 = first).
    fn rank(&self) -> f64 {
        self.score * self.issue.weight()
    }

    /// Whether people are told of it; otherwise it only counts for the rank.
    fn is_told(&self) -> bool {
        self.score >= 0.5
    }
}

/// Findings for files that cannot be read as images; `first` is the index of the first of them. Broken pictures are to be set
/// aside; what is no picture, or is for other programs, stays.
pub fn unreadable(skipped: &[Skipped], first: usize) -> Vec<Finding> {
    let finding = |(place, file): (usize, &Skipped)| Finding {
        action: if is_broken_picture(file) { CleanAction::SetAside } else { CleanAction::Keep },
        ..Finding::new(first + place, Issue::Unreadable, 1.0, file.reason.to_string())
    };
    skipped.iter().enumerate().map(finding).collect()
}

/// Whether a file claims to be a picture and is a broken one. Notes, formats that other programs read and photos that are too
/// large are no use here, but nobody wants them moved.
fn is_broken_picture(file: &Skipped) -> bool {
    match file.reason {
        SkipReason::Truncated | SkipReason::Corrupt { .. } | SkipReason::DecoderFailed { .. } => true,
        SkipReason::Empty | SkipReason::WebPage | SkipReason::Text => FileFormat::is_in_name(&file.path),
        _ => false,
    }
}

/// Findings about labels, one per item. Above a score of 0.5, another class is more probable than the given one.
pub fn label_findings(quality: &LabelQuality, vocab: &Vocab) -> Vec<Finding> {
    let finding = |item: usize| {
        let probability = quality.suggested_probability[item];
        let label = vocab.label(quality.suggested[item]).to_owned();
        let given = one_line(vocab.label(quality.rows.labels()[item]));
        let score = quality.scores[item];
        let wrong = score > 0.5;
        let evidence = if wrong {
            let label = one_line(&label);
            format!("looks like `{label}`, labelled `{given}` ({:.0} % sure)", 100.0 * probability)
        } else if score < 0.5 {
            format!("looks like `{given}`, as it is labelled")
        } else {
            // An item that cannot be judged has a score of exactly 0.5.
            format!("too few other photos of `{given}` to judge its label")
        };
        Finding {
            action: if wrong { CleanAction::Relabel } else { CleanAction::Keep },
            suggested: wrong.then_some(Suggestion { label, probability }),
            ..Finding::new(item, Issue::Label, score, evidence)
        }
    };
    (0..quality.scores.len()).map(finding).collect()
}

/// Findings about labels that a model did not learn although it was trained on them: their area under the margin is below 0,
/// so another class was more probable on average. The score is the logistic function of minus that area. `learnt` has one
/// entry per item, `None` for items that were not trained on.
pub fn learnt_findings(learnt: &[Option<&LearntLabel>]) -> Vec<Finding> {
    let finding = |(item, learnt): (usize, &Option<&LearntLabel>)| {
        let learnt = learnt.filter(|learnt| learnt.aum < 0.0)?;
        let found = (f64::from(learnt.looks) * learnt.correctness).round();
        let evidence = format!(
            "a model predicted this label in only {found} of the {} times it saw the photo",
            learnt.looks
        );
        Some(Finding::new(item, Issue::HardToLearn, logistic(-learnt.aum), evidence))
    };
    learnt.iter().enumerate().filter_map(finding).collect()
}

/// From this probability on a photo that seems to belong to no class is to be set aside; below, somebody should have a look.
const STRANGE: f64 = 0.75;

/// Findings about photos that belong to no class, one per item; above a score of 0.5, it more probably shows something else, and
/// from 0.75 on it is to be set aside. Those that are neighbours of each other, no farther than `near`, share a card, numbered from
/// `first_card` on.
pub fn off_topic_findings(
    found: &OffTopic,
    (graph, near): (&NeighbourGraph, f64),
    first_card: usize,
) -> Vec<Finding> {
    let scores: Vec<f64> = (0..found.distances.len()).map(|item| found.probability(item)).collect();
    let is_out = |item: usize| scores[item] >= STRANGE;
    let out: Vec<usize> = (0..scores.len()).filter(|&item| is_out(item)).collect();
    let mut card: Vec<usize> = (0..scores.len()).collect();
    for &item in &out {
        let pairs = graph.ids(item).iter().zip(graph.distances(item));
        let near = pairs.filter(|(_, distance)| **distance < near).map(|(&other, _)| other as usize);
        near.filter(|&other| is_out(other)).for_each(|other| link(&mut card, item, other));
    }
    settle(&mut card);
    let mut members: BTreeMap<usize, usize> = BTreeMap::new();
    out.iter().for_each(|&item| *members.entry(card[item]).or_default() += 1);
    let evidence = |item: usize| match is_out(item) {
        true => "unlike the photos of any class",
        false => "not much like the photos of any class",
    };
    let finding = |item: usize| {
        let shared = is_out(item) && members[&card[item]] > 1;
        Finding {
            action: if is_out(item) { CleanAction::SetAside } else { CleanAction::Keep },
            card: shared.then_some(first_card + card[item]),
            ..Finding::new(item, Issue::Outlier, scores[item], evidence(item).to_owned())
        }
    };
    (0..scores.len()).map(finding).collect()
}

/// Findings about pictures of another kind than their class. Those of a class share a card, numbered by the class (`labels`) from
/// `first_card` on.
pub fn drawing_findings(odd: &[OddKind], labels: &[usize], first_card: usize) -> Vec<Finding> {
    let finding = |odd: &OddKind| {
        let (issue, evidence) = match odd.is_drawing {
            true => (Issue::Drawing, "looks like a drawing or a page, not like a photo"),
            false => (Issue::PhotoAmongDrawings, "looks like a photo among drawings"),
        };
        Finding {
            action: CleanAction::SetAside,
            card: Some(first_card + labels[odd.item]),
            ..Finding::new(odd.item, issue, odd.score, evidence.to_owned())
        }
    };
    odd.iter().map(finding).collect()
}

/// The findings about images of another kind than their class (`odd`) and about those that belong to no class (`strange`). Where
/// both are reported of an image, they become one: it is junk.
pub fn with_junk(mut odd: Vec<Finding>, mut strange: Vec<Finding>) -> Vec<Finding> {
    let mut of_item: HashMap<usize, &mut Finding> =
        odd.iter_mut().filter(|odd| odd.is_told()).map(|odd| (odd.item, odd)).collect();
    strange.retain(|stranger| {
        let Some(odd) = of_item.get_mut(&stranger.item).filter(|_| stranger.is_told()) else { return true };
        odd.issue = Issue::Junk;
        odd.score = 1.0 - (1.0 - odd.score) * (1.0 - stranger.score);
        odd.evidence = format!("{}, and {}", odd.evidence, stranger.evidence);
        false
    });
    odd.extend(strange);
    odd
}

/// Findings about the pixels of single images, from their `[item][issue]`.
pub fn pixel_findings(issues: &[Vec<QualityIssue>]) -> Vec<Finding> {
    let finding = |item: usize, issue: &QualityIssue| {
        // 1 for the worst pixels, 0.5 at the cut: the same scale as the other detectors.
        let score = 1.0 - 0.5 * issue.score / issue.cut.max(f64::MIN_POSITIVE);
        Finding::new(item, Issue::Pixels(issue.check), score.clamp(0.5, 1.0), issue.evidence.clone())
    };
    issues
        .iter()
        .enumerate()
        .flat_map(|(item, all)| all.iter().map(move |issue| finding(item, issue)))
        .collect()
}

/// This many identical files in several classes, or more, are a placeholder.
const PLACEHOLDERS: usize = 3;

/// Findings about copies. Each group is a card, numbered by the group.
///
/// Copies of the best member leave the data set. A member that is linked to the best one only through other copies is
/// reported, and stays. Where labels differ, `belief` (row-major `[item, class]`, probabilities of models that have not seen
/// any member) says which label is right, and copies with another label leave. `items` are those of the photos, in the same
/// order; there may be more.
pub fn duplicate_findings(
    duplicates: &Duplicates,
    photos: &[Photo<'_>],
    items: &[QueueItem],
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
        let copies = Copies { group, photos, items, alike: &alike, kept: kept.unwrap_or(group.keep), card };
        group.members.iter().flat_map(|&member| copies.findings(member)).collect::<Vec<Finding>>()
    };
    duplicates.groups.iter().enumerate().flat_map(of_group).collect()
}

/// A group of copies, and which one of them is kept.
struct Copies<'a> {
    group: &'a DuplicateGroup,
    photos: &'a [Photo<'a>],
    items: &'a [QueueItem],
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
        let kept = one_line(&self.items[self.kept].path.to_string_lossy());
        let (issue, evidence, leaves) = match likeness {
            _ if is_placeholder => {
                (Issue::Placeholder, format!("the same picture {count} times, in several classes"), true)
            }
            _ if member == self.kept => {
                (self.kind(), format!("the best of {count} copies ({})", group.reason), false)
            }
            Some(1.0) => (Issue::ExactDuplicate, format!("the same picture as {kept}"), true),
            Some(alike) => {
                let evidence = format!("almost the same picture as {kept} ({:.0} % alike)", 100.0 * alike);
                (Issue::NearDuplicate, evidence, true)
            }
            None => {
                let evidence = format!("may be the same picture as {kept}: similar to its copies");
                (Issue::NearDuplicate, evidence, false)
            }
        };
        let finding = |issue, score, evidence| Finding {
            action: if leaves { CleanAction::SetAside } else { CleanAction::Keep },
            card: Some(self.card),
            ..Finding::new(member, issue, score, evidence)
        };
        let score = if issue == Issue::NearDuplicate { likeness.unwrap_or(0.5) } else { 1.0 };
        let mut findings = vec![finding(issue, score, evidence)];
        if group.across_classes && !is_placeholder {
            findings.push(finding(Issue::AcrossClasses, score, "a copy has a different label".to_owned()));
        }
        if group.across_splits {
            let evidence = "a copy is on the other side of the train/validation split".to_owned();
            findings.push(finding(Issue::AcrossSplits, score, evidence));
        }
        findings
    }

    /// How alike a member and the kept one are (0..=1), if they were compared; for the kept one, how alike its nearest copy is.
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

/// The right class of a group whose labels differ: the most probable one among those of its members.
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

/// The images as plan items, worst first, those of one card together. The proposal comes from the most certain finding that
/// asks for a change; an image without one is kept. Findings below 0.5 affect an image's rank, but are not reported.
///
/// Scores that are probabilities of being wrong ([`Issue::is_probability`], labels' [`sharpened`]) are combined as if they were
/// independent (noisy-or: `1 - (1 - p) (1 - q) …`), so that no detector takes away what another one knows. An image is ranked by
/// that, or by its worst other issue.
#[must_use]
pub fn queue(items: &[QueueItem], findings: &[Finding]) -> Vec<PlanItem> {
    let mut of_item: Vec<Vec<&Finding>> = vec![Vec::new(); items.len()];
    findings.iter().for_each(|finding| of_item[finding.item].push(finding));
    let labels = || findings.iter().filter(|finding| finding.issue == Issue::Label);
    let wrong = sharpened(&labels().map(|finding| finding.score).collect::<Vec<f64>>());
    let mut wrong_label = vec![0.0; items.len()];
    labels().zip(wrong).for_each(|(finding, wrong)| wrong_label[finding.item] = wrong);
    for found in &mut of_item {
        found.sort_by(|a, b| b.rank().total_cmp(&a.rank()).then(a.issue.cmp(&b.issue)));
    }
    let planned: Vec<PlanItem> = items
        .iter()
        .zip(of_item.iter().zip(wrong_label))
        .map(|(item, (found, wrong))| planned(item, found, wrong))
        .collect();
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

/// The rank of an image in the queue (0..=1, 1 = first), if its label is wrong with this probability.
fn rank(found: &[&Finding], wrong_label: f64) -> f64 {
    let by_itself = |finding: &&&Finding| finding.issue != Issue::Label;
    let probable = found.iter().filter(by_itself).filter(|finding| finding.issue.is_probability());
    let wrong = 1.0 - probable.map(|finding| 1.0 - finding.score).product::<f64>() * (1.0 - wrong_label);
    found.iter().filter(by_itself).map(|finding| finding.rank()).fold(wrong, f64::max)
}

fn planned(item: &QueueItem, found: &[&Finding], wrong_label: f64) -> PlanItem {
    let rank = rank(found, wrong_label);
    let told: Vec<&&Finding> = found.iter().filter(|finding| finding.is_told()).collect();
    // Setting aside comes first: an image that seems to belong to no class should not be relabelled.
    let asks = |action| told.iter().find(move |finding| finding.action == action);
    let change = asks(CleanAction::SetAside).or_else(|| asks(CleanAction::Relabel));
    let card = told.iter().find_map(|finding| finding.card);
    let action = change.map_or(CleanAction::Keep, |finding| finding.action);
    let suggested = found.iter().find_map(|finding| finding.suggested.clone());
    let to = (action == CleanAction::Relabel)
        .then(|| suggested.as_ref().map(|other| other.label.clone()))
        .flatten();
    let mut words: Vec<&str> = told.iter().map(|finding| &*finding.evidence).collect();
    if words.is_empty() && rank > 0.5 {
        words.push("both its label and what it shows are a little doubtful");
    }
    if words.is_empty() {
        // Nothing is wrong with it: then what was seen of its label says so.
        let label = found.iter().find(|finding| finding.issue == Issue::Label);
        words.push(label.map_or("nothing wrong was found", |finding| &finding.evidence));
    }
    PlanItem {
        path: item.path.clone(),
        content: item.content,
        label: item.label.clone(),
        action,
        to,
        score: rank,
        issues: told
            .iter()
            .map(|finding| IssueScore { name: finding.issue.name(), score: finding.score })
            .collect(),
        reason: words.join("; "),
        card,
        suggested,
        decided: false,
    }
}
