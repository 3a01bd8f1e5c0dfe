//! A review as a conversation: the next card, a choice, the next card. The terminal and the browser show it, this decides what
//! comes.

use sciurus_clean::find::{ErrorsLeft, StopRule, audit_sample};
use sciurus_clean::plan::{CleanAction, CleanPlan, Decision, Journal, PlanItem};
use sciurus_data::Seed;

use super::Cleaner;
use crate::Error;

/// Decisions after which the heads are fitted again.
const REFIT: usize = 100;

/// Images that are looked at and decided together, worst first; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The images.
    pub items: Vec<PlanItem>,
    /// Whether the card is one of a random audit of what was not reviewed.
    pub is_audit: bool,
}

/// What becomes of the images of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// What is proposed for each.
    AsProposed,
    /// All stay as they are.
    Keep,
    /// All leave the data set.
    SetAside,
    /// All get this label.
    Relabel(String),
}

/// A review of a data set.
///
/// Cards come worst first; a choice is in the journal when [`choose`](Self::choose) returns. After about a hundred decisions
/// the heads are fitted again, with the decisions as clean labels, and the rest comes in a new order; what is decided never
/// comes back. When few of the last cards were wrong, [`is_done`](Self::is_done) says so; [`audit`](Self::audit) then shows a
/// random part of the rest, and [`errors_left`](Self::errors_left) tells how many errors it probably holds.
#[derive(Debug)]
pub struct Review {
    cleaner: Cleaner,
    journal: Journal,
    rule: StopRule,
    /// Coming cards, the next one last.
    cards: Vec<Card>,
    /// Cards decided in this review, in order.
    past: Vec<Past>,
    since_refit: usize,
    /// Images that were not reviewed when an audit began.
    open_before_audit: Option<usize>,
}

/// A card that was decided, and for each of its images whether it was wrong.
#[derive(Debug, Clone)]
struct Past {
    card: Card,
    wrong: Vec<bool>,
}

impl Review {
    /// A review that goes on where the journal ends.
    ///
    /// # Errors
    /// An embedding is not finite.
    pub fn new(cleaner: Cleaner, journal: Journal, rule: StopRule) -> Result<Self, Error> {
        let mut review = Self {
            cleaner,
            journal,
            rule,
            cards: Vec::new(),
            past: Vec::new(),
            since_refit: 0,
            open_before_audit: None,
        };
        review.rank()?;
        Ok(review)
    }

    /// The card to look at, if any is left.
    #[must_use]
    pub fn card(&self) -> Option<&Card> {
        self.cards.last()
    }

    /// Images that were not decided.
    #[must_use]
    pub fn left(&self) -> usize {
        self.cards.iter().map(|card| card.items.len()).sum()
    }

    /// The seed that the data set was made with.
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

    /// Whether few of the last images were wrong: the rule says to stop.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.rule.is_done(&self.wrong(|card| !card.is_audit))
    }

    /// Decides the card, and goes on to the next. When this returns, the decisions are on the disk. `time` is now, as RFC 3339.
    ///
    /// # Errors
    /// The journal cannot be written: the decisions before the failure count, the card stays.
    pub fn choose(&mut self, choice: &Choice, time: &str) -> Result<(), Error> {
        let Some(card) = self.cards.last().cloned() else { return Ok(()) };
        let mut wrong = Vec::new();
        for item in &card.items {
            let (action, new) = chosen(choice, item);
            wrong.push(action != CleanAction::Keep);
            self.journal.decide(Decision {
                path: item.path.clone(),
                content: item.content,
                action,
                old: item.label.clone(),
                new,
                issue: item.issues.first().map(|issue| issue.name.clone()),
                score: item.score,
                model: self.cleaner.model.clone(),
                time: time.to_owned(),
            })?;
        }
        self.since_refit += wrong.len();
        let is_audit = card.is_audit;
        self.cards.pop();
        self.past.push(Past { card, wrong });
        if self.since_refit >= REFIT && !is_audit {
            self.rank()?;
        }
        Ok(())
    }

    /// Takes the last card's decisions back, which then comes next; before any, the last decision of the journal. Returns how many
    /// images are undecided again.
    ///
    /// # Errors
    /// The journal cannot be written; the decisions that it could not take back stand.
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

    /// Brings a random part of what was not reviewed to the front, `images` of it, to learn how many errors are left.
    pub fn audit(&mut self, images: usize, seed: Seed) {
        let chosen = audit_sample(self.cards.len(), images, seed);
        self.open_before_audit = Some(self.left());
        let mut front = Vec::new();
        for place in chosen.into_iter().rev() {
            let card = self.cards.remove(place);
            front.push(Card { is_audit: true, ..card });
        }
        self.cards.extend(front);
    }

    /// How many errors are probably left in what nobody looked at, after an audit.
    #[must_use]
    pub fn errors_left(&self) -> Option<ErrorsLeft> {
        let audited = self.wrong(|card| card.is_audit);
        let wrong = audited.iter().filter(|wrong| **wrong).count();
        Some(ErrorsLeft::from_audit(self.open_before_audit?, audited.len(), wrong))
    }

    /// The plan with everything that was decided.
    ///
    /// # Errors
    /// An embedding is not finite.
    pub fn plan(&self) -> Result<CleanPlan, Error> {
        let mut plan = self.cleaner.plan()?;
        plan.decide(self.journal.decisions());
        Ok(plan)
    }

    /// Whether each image that was decided on such cards of this review was wrong.
    fn wrong(&self, counts: impl Fn(&Card) -> bool) -> Vec<bool> {
        let past = self.past.iter().filter(|past| counts(&past.card));
        past.flat_map(|past| past.wrong.iter().copied()).collect()
    }

    fn rank(&mut self) -> Result<(), Error> {
        let plan = self.cleaner.plan_after(&self.journal.corrections())?;
        self.cards = cards(plan.items);
        self.cards.reverse();
        self.since_refit = 0;
        Ok(())
    }
}

/// The items of a plan as cards, in order.
fn cards(items: Vec<PlanItem>) -> Vec<Card> {
    let mut cards: Vec<Card> = Vec::new();
    for item in items {
        match cards.last_mut() {
            Some(card) if item.card.is_some() && card.items[0].card == item.card => card.items.push(item),
            _ => cards.push(Card { items: vec![item], is_audit: false }),
        }
    }
    cards
}

fn chosen(choice: &Choice, item: &PlanItem) -> (CleanAction, Option<String>) {
    match choice {
        Choice::AsProposed => (item.action, item.to.clone()),
        Choice::Keep => (CleanAction::Keep, None),
        Choice::SetAside => (CleanAction::SetAside, None),
        Choice::Relabel(label) if *label == item.label => (CleanAction::Keep, None),
        Choice::Relabel(label) => (CleanAction::Relabel, Some(label.clone())),
    }
}
