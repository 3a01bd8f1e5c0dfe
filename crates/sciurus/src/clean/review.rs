//! The logic of a review: which card comes next, and what a choice does. A user interface only has to show the cards.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use sciurus_clean::find::{ErrorsLeft, QueueItem, Reviewed, StopRule, audit_sample, expected_left, queue};
use sciurus_clean::plan::{CleanAction, CleanPlan, Decision, Decisions, Journal, PlanItem};
use sciurus_data::{ContentHash, Corrections, Seed};
use serde::{Deserialize, Serialize};

use super::{Cleaner, Likely};
use crate::Error;

/// The heads are fitted again after this many decisions.
const REFIT: usize = 100;

/// Images that are shown and decided together, worst first; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The images.
    pub items: Vec<PlanItem>,
    /// Why these images are shown.
    pub origin: Origin,
}

/// Why the images of a card are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// They come worst first.
    Queue,
    /// They belong to a random audit of the unreviewed rest.
    Audit,
    /// Somebody chose them, so they say nothing about the others.
    Chosen,
}

impl Card {
    /// Whether the card belongs to a random audit of the unreviewed rest.
    #[must_use]
    pub fn is_audit(&self) -> bool {
        self.origin == Origin::Audit
    }

    /// Tells it from other cards, also in another process: made from the images on it.
    #[must_use]
    pub fn id(&self) -> ContentHash {
        let parts =
            |item: &PlanItem| [item.path.as_os_str().as_encoded_bytes().to_vec(), item.content.0.to_vec()];
        let parts: Vec<Vec<u8>> = self.items.iter().flat_map(parts).collect();
        ContentHash::of_parts(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

/// What happens to the images of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "choice", content = "with", rename_all = "snake_case")]
pub enum Choice {
    /// Follow the proposal for each image.
    AsProposed,
    /// Follow the proposal for each image but these, given by their places on the card (from 0), and keep those.
    AsProposedExcept(Vec<usize>),
    /// Keep all images as they are.
    Keep,
    /// Take all images out of the data set.
    SetAside,
    /// Take these images out of the data set, given by their places on the card (from 0), and keep the others.
    SetAsideOnly(Vec<usize>),
    /// Give all images this label.
    Relabel(String),
}

/// A review of a data set.
///
/// Cards come worst first. A choice is in the journal when [`choose`](Self::choose) returns. After about a hundred decisions
/// the heads are fitted again, with the decisions as clean labels, and the remaining cards come in a new order; decided cards
/// never come back. When few of the last cards were wrong, [`is_done`](Self::is_done) is true. [`audit`](Self::audit) then
/// shows a random sample of the rest, and [`errors_left`](Self::errors_left) estimates how many errors the rest holds.
#[derive(Debug)]
pub struct Review {
    cleaner: Arc<Cleaner>,
    journal: Journal,
    rule: StopRule,
    /// Coming cards, the next one last.
    cards: Vec<Card>,
    /// Cards decided in this review, in order.
    past: Vec<Past>,
    since_refit: usize,
    /// Images that were undecided when an audit began.
    open_before_audit: Option<usize>,
    /// The most likely classes of each readable image.
    likely: Vec<Likely>,
    /// Cards that somebody wants to see again, after all others.
    postponed: HashSet<ContentHash>,
}

/// A decided card, and for each of its images whether something was wrong with it.
#[derive(Debug, Clone)]
struct Past {
    card: Card,
    wrong: Vec<bool>,
}

impl Review {
    /// A review that continues where the journal ends.
    ///
    /// # Errors
    /// An embedding is not finite.
    pub fn new(cleaner: Cleaner, journal: Journal, rule: StopRule) -> Result<Self, Error> {
        let mut review = Self {
            cleaner: Arc::new(cleaner),
            journal,
            rule,
            cards: Vec::new(),
            past: Vec::new(),
            since_refit: 0,
            open_before_audit: None,
            likely: Vec::new(),
            postponed: HashSet::new(),
        };
        review.rank()?;
        Ok(review)
    }

    /// The card to look at, if any is left.
    #[must_use]
    pub fn card(&self) -> Option<&Card> {
        self.cards.last()
    }

    /// The cards to come, the next one first.
    pub fn coming(&self) -> impl Iterator<Item = &Card> {
        self.cards.iter().rev()
    }

    /// Brings the card with this [`id`](Card::id) to the front. Whether there is one.
    pub fn bring(&mut self, id: ContentHash) -> bool {
        let Some(place) = self.cards.iter().rposition(|card| card.id() == id) else { return false };
        let card = self.cards.remove(place);
        self.cards.push(card);
        true
    }

    /// Brings these images to the front, on one card, off the cards that they are on now. Returns how many there are: images that
    /// are decided already have no card.
    pub fn gather(&mut self, is_one: impl Fn(&PlanItem) -> bool) -> usize {
        let mut gathered = Vec::new();
        for card in self.cards.iter_mut().rev() {
            gathered.extend(card.items.extract_if(.., |item| is_one(item)));
        }
        self.cards.retain(|card| !card.items.is_empty());
        let images = gathered.len();
        if images > 0 {
            self.cards.push(Card { items: gathered, origin: Origin::Chosen });
        }
        images
    }

    /// Takes the next card apart: an image a card, in their order.
    pub fn take_apart(&mut self) {
        let Some(card) = self.cards.pop() else { return };
        let single =
            card.items.into_iter().rev().map(|item| Card { items: vec![item], origin: Origin::Queue });
        self.cards.extend(single);
    }

    /// Puts the next card after all others, to be looked at again.
    pub fn postpone(&mut self) {
        let Some(card) = self.cards.pop() else { return };
        self.postponed.insert(card.id());
        self.cards.insert(0, card);
    }

    /// How many cards wait for a second look.
    #[must_use]
    pub fn postponed(&self) -> usize {
        self.cards.iter().filter(|card| self.postponed.contains(&card.id())).count()
    }

    /// Has the cards that wait for a second look come next.
    pub fn look_again(&mut self) {
        let postponed = std::mem::take(&mut self.postponed);
        let (again, mut others): (Vec<Card>, Vec<Card>) =
            self.cards.drain(..).partition(|card| postponed.contains(&card.id()));
        others.extend(again);
        self.cards = others;
    }

    /// The most likely labels of an image, each with its probability (0 to 1) from heads that were not fitted on it: likeliest first,
    /// at most nine. Empty for multi-label data.
    #[must_use]
    pub fn likely(&self, path: &Path) -> Vec<(&str, f32)> {
        let classes = self.cleaner.place(path).and_then(|place| self.likely.get(place));
        let labels = self.cleaner.dataset().vocab.labels();
        classes.into_iter().flatten().map(|&(class, p)| (labels[class].as_str(), p)).collect()
    }

    /// Images that are like the one on the next card, and about which the same is proposed for the same reason, that one included:
    /// neighbours, and neighbours of those. Empty where the card has several images, or nothing is proposed.
    #[must_use]
    pub fn cluster(&self) -> Vec<&PlanItem> {
        let Some([first]) = self.card().map(|card| &card.items[..]) else { return Vec::new() };
        if first.action == CleanAction::Keep {
            return Vec::new();
        }
        let kind =
            |item: &PlanItem| (item.action, item.to.clone(), item.issues.first().map(|one| one.name.clone()));
        let wanted = kind(first);
        let single = self.coming().filter_map(|card| match &card.items[..] {
            [item] if kind(item) == wanted => Some((&*item.path, item)),
            _ => None,
        });
        let single: HashMap<&Path, &PlanItem> = single.collect();
        let items = &self.cleaner.items[..self.cleaner.graph.len()];
        let places: Vec<usize> =
            (0..items.len()).filter(|place| single.contains_key(&*items[*place].path)).collect();
        let groups = self.cleaner.connected(&places);
        let own = groups.into_iter().find(|group| group.iter().any(|&place| items[place].path == first.path));
        own.into_iter().flatten().filter_map(|place| single.get(&*items[place].path).copied()).collect()
    }

    /// The number of undecided images.
    #[must_use]
    pub fn left(&self) -> usize {
        self.cards.iter().map(|card| card.items.len()).sum()
    }

    /// About how many more images the stop rule will ask for, if what is proposed is right and all other images are fine.
    /// During an audit, the images that are left of it.
    #[must_use]
    pub fn to_look_at(&self) -> usize {
        let coming = self.cards.iter().rev();
        let audit: usize =
            coming.clone().take_while(|card| card.is_audit()).map(|card| card.items.len()).sum();
        if audit > 0 {
            return audit;
        }
        let mut all = self.reviewed();
        let decided = all.len();
        let proposed =
            |item: &PlanItem| Reviewed { score: item.score, wrong: item.action != CleanAction::Keep };
        all.extend(coming.flat_map(|card| &card.items).map(proposed));
        self.rule.shown(&all).saturating_sub(decided)
    }

    /// What was found in the data set.
    pub fn cleaner(&self) -> &Arc<Cleaner> {
        &self.cleaner
    }

    /// All decisions that stand.
    #[must_use]
    pub fn decisions(&self) -> &Decisions {
        self.journal.decisions()
    }

    /// The data set's seed.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.cleaner.dataset().seed
    }

    /// Images decided in this review, and how many of them were wrong.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        let wrong = self.past.iter().flat_map(|past| &past.wrong);
        (wrong.clone().count(), wrong.filter(|wrong| **wrong).count())
    }

    /// Whether the stop rule says to stop, because few of the last images were wrong, or few errors are expected to be left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.rule.is_done(&self.reviewed(), &self.coming_scores())
    }

    /// How many errors are expected among the images that are left, by what their scores promise and what such promises were worth
    /// in this review.
    #[must_use]
    pub fn expected_left(&self) -> f64 {
        expected_left(&self.reviewed(), &self.coming_scores())
    }

    fn coming_scores(&self) -> Vec<f64> {
        self.cards.iter().flat_map(|card| &card.items).map(|item| item.score).collect()
    }

    /// What was decided in the order of the queue.
    fn reviewed(&self) -> Vec<Reviewed> {
        let queue = self.past.iter().filter(|past| past.card.origin == Origin::Queue);
        let reviewed = |(item, &wrong): (&PlanItem, &bool)| Reviewed { score: item.score, wrong };
        queue.flat_map(|past| past.card.items.iter().zip(&past.wrong).map(reviewed)).collect()
    }

    /// Decides the current card, and goes on to the next; where it is [due](Self::due), the heads are fitted again. When this
    /// returns, the decisions are on the disk. `time` is the present time, as RFC 3339.
    ///
    /// # Errors
    /// The journal cannot be written. The decisions before the failure count, and the card stays.
    pub fn choose(&mut self, choice: &Choice, time: &str) -> Result<(), Error> {
        self.decide(choice, time)?;
        if let Some(refit) = self.due() {
            self.rank_by(refit.run()?);
        }
        Ok(())
    }

    /// The work of fitting the heads again, if about a hundred images were decided since the last time. It borrows nothing, so it can
    /// be done elsewhere while the review goes on; give what comes of it to [`rank_by`](Self::rank_by).
    pub fn due(&self) -> Option<Refit> {
        // An audit goes on in the order in which it was drawn.
        let is_due = self.since_refit >= REFIT && !self.cards.iter().any(Card::is_audit);
        is_due.then(|| self.refit())
    }

    /// Has the coming cards come in another order. What was decided since it was computed does not come again.
    pub fn rank_by(&mut self, Ranked { mut items, likely, decided }: Ranked) {
        self.likely = likely;
        let corrections = self.journal.corrections();
        items.retain(|item| corrections.find(&item.path, &item.content).is_none());
        // What was taken back since has no place in the new order, and stays at the front.
        let ranked: HashSet<&Path> = items.iter().map(|item| &*item.path).collect();
        self.cards.iter_mut().for_each(|card| card.items.retain(|item| !ranked.contains(&*item.path)));
        self.cards.retain(|card| !card.items.is_empty());
        let back = std::mem::replace(&mut self.cards, cards(items));
        self.cards.reverse();
        self.cards.extend(back);
        // The last ones in the list come first, and a stable order keeps the rest.
        self.cards.sort_by_key(|card| !self.postponed.contains(&card.id()));
        self.since_refit = self.journal.decisions().len().saturating_sub(decided);
    }

    /// Like [`choose`](Self::choose), without fitting anything.
    ///
    /// # Errors
    /// As [`choose`](Self::choose).
    pub fn decide(&mut self, choice: &Choice, time: &str) -> Result<(), Error> {
        let Some(card) = self.cards.last().cloned() else { return Ok(()) };
        let decision = |(place, item): (usize, &PlanItem)| {
            let (action, new) = chosen(choice, place, item);
            Decision {
                path: item.path.clone(),
                content: item.content,
                action,
                old: item.label.clone(),
                new,
                issue: item.issues.first().map(|issue| issue.name.clone()),
                score: item.score,
                model: self.cleaner.model.clone(),
                time: time.to_owned(),
            }
        };
        let decisions: Vec<Decision> = card.items.iter().enumerate().map(decision).collect();
        let wrong: Vec<bool> = decisions.iter().map(|one| one.action != CleanAction::Keep).collect();
        self.journal.decide_all(decisions)?;
        self.since_refit += wrong.len();
        self.cards.pop();
        self.past.push(Past { card, wrong });
        Ok(())
    }

    /// Whether the last decision of the journal can be taken back here: its image is still where it was. One that was carried out
    /// is taken back by moving the file back.
    #[must_use]
    pub fn can_undo(&self) -> bool {
        let is_it =
            |last: &Decision, item: &QueueItem| (&item.path, item.content) == (&last.path, last.content);
        let last = self.journal.decisions().last();
        last.is_some_and(|last| self.cleaner.items.iter().any(|item| is_it(last, item)))
    }

    /// Undoes the decisions about the last card, which then comes next. If no card was decided in this review, undoes the last
    /// decision of the journal. Returns how many images are undecided again.
    ///
    /// # Errors
    /// The journal cannot be written. The decisions that could not be undone stand.
    pub fn undo(&mut self, time: &str) -> Result<usize, Error> {
        if let Some(Past { card, .. }) = self.past.last().cloned() {
            for _ in &card.items {
                self.journal.undo(time)?;
            }
            self.past.pop();
            let images = card.items.len();
            self.cards.push(card);
            return Ok(images);
        }
        let Some(undone) = self.journal.undo(time)? else { return Ok(0) };
        self.rank()?;
        let is_undone = |card: &Card| card.items.iter().any(|item| item.path == undone.path);
        if let Some(place) = self.cards.iter().rposition(is_undone) {
            let card = self.cards.remove(place);
            self.cards.push(card);
        }
        Ok(1)
    }

    /// Brings a random sample of `images` undecided cards to the front, to estimate how many errors are left.
    pub fn audit(&mut self, images: usize, seed: Seed) {
        let left = self.left();
        let chosen = audit_sample(self.cards.len(), images, seed);
        // A second audit adds to the first.
        self.open_before_audit.get_or_insert(left);
        let mut front = Vec::new();
        for place in chosen.into_iter().rev() {
            let card = self.cards.remove(place);
            front.push(Card { origin: Origin::Audit, ..card });
        }
        self.cards.extend(front);
    }

    /// An estimate of the errors left among the images that nobody looked at; `None` before an audit.
    #[must_use]
    pub fn errors_left(&self) -> Option<ErrorsLeft> {
        let audited = self.wrong(Card::is_audit);
        let wrong = audited.iter().filter(|wrong| **wrong).count();
        Some(ErrorsLeft::from_audit(self.open_before_audit?, audited.len(), wrong))
    }

    /// What was decided about the images that are there, and nothing else: a plan that costs no computing. A decision that was
    /// carried out is not in it, because the image has another place now.
    #[must_use]
    pub fn decided(&self) -> CleanPlan {
        let corrections = self.journal.corrections();
        let is_decided = |item: &&QueueItem| corrections.find(&item.path, &item.content).is_some();
        let items: Vec<QueueItem> = self.cleaner.items.iter().filter(is_decided).cloned().collect();
        let items = queue(&items, &[]);
        let mut plan = CleanPlan::new(self.cleaner.root(), &self.cleaner.model, items);
        plan.decide(self.journal.decisions());
        plan
    }

    /// The plan with all decisions.
    ///
    /// # Errors
    /// An embedding is not finite.
    pub fn plan(&self) -> Result<CleanPlan, Error> {
        let mut plan = self.cleaner.plan()?;
        plan.decide(self.journal.decisions());
        Ok(plan)
    }

    /// For each image decided in this review, on cards that `counts` selects: whether something was wrong with it.
    fn wrong(&self, counts: impl Fn(&Card) -> bool) -> Vec<bool> {
        let past = self.past.iter().filter(|past| counts(&past.card));
        past.flat_map(|past| past.wrong.iter().copied()).collect()
    }

    fn rank(&mut self) -> Result<(), Error> {
        let ranked = self.refit().run()?;
        self.rank_by(ranked);
        Ok(())
    }

    fn refit(&self) -> Refit {
        let (cleaner, decided) = (Arc::clone(&self.cleaner), self.journal.decisions().len());
        Refit { cleaner, corrections: self.journal.corrections(), decided }
    }
}

/// Fitting the heads again with what has been decided.
#[derive(Debug)]
pub struct Refit {
    cleaner: Arc<Cleaner>,
    corrections: Corrections,
    decided: usize,
}

/// The undecided images in their new order.
#[derive(Debug)]
pub struct Ranked {
    items: Vec<PlanItem>,
    likely: Vec<Likely>,
    /// Decisions that it knows of.
    decided: usize,
}

impl Refit {
    /// Does it; for many images this takes seconds.
    ///
    /// # Errors
    /// An embedding is not finite.
    pub fn run(self) -> Result<Ranked, Error> {
        let (plan, likely) = self.cleaner.judged(&self.corrections)?;
        Ok(Ranked { items: plan.items, likely, decided: self.decided })
    }
}

/// The items of a plan as cards, in order.
fn cards(items: Vec<PlanItem>) -> Vec<Card> {
    let mut cards: Vec<Card> = Vec::new();
    for item in items {
        match cards.last_mut() {
            Some(card) if item.card.is_some() && card.items[0].card == item.card => card.items.push(item),
            _ => cards.push(Card { items: vec![item], origin: Origin::Queue }),
        }
    }
    cards
}

fn chosen(choice: &Choice, place: usize, item: &PlanItem) -> (CleanAction, Option<String>) {
    match choice {
        Choice::AsProposed => (item.action, item.to.clone()),
        Choice::AsProposedExcept(places) if places.contains(&place) => (CleanAction::Keep, None),
        Choice::AsProposedExcept(_) => (item.action, item.to.clone()),
        Choice::SetAsideOnly(places) if !places.contains(&place) => (CleanAction::Keep, None),
        Choice::Keep => (CleanAction::Keep, None),
        Choice::SetAside | Choice::SetAsideOnly(_) => (CleanAction::SetAside, None),
        Choice::Relabel(label) if *label == item.label => (CleanAction::Keep, None),
        Choice::Relabel(label) => (CleanAction::Relabel, Some(label.clone())),
    }
}
