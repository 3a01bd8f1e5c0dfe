//! Where photos are decided: a review, and how it looks to a page. A decision is on the disk before the next card is shown.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use sciurus::clean::find::{ErrorsLeft, QueueItem, StopRule};
use sciurus::clean::plan::{CleanAction, CleanPlan, Decision, Journal, PlanItem};
use sciurus::data::{ContentHash, Progress, one_line};
use sciurus::{Card, Choice, CleanSettings, CleanStep, Cleaner, Ranked, Refit, Review};
use serde::{Deserialize, Serialize};

use crate::cards::CardView;
use crate::fault::Fault;
use crate::jobs::Job;

/// Cards that a page is given beyond the present one, so that their pictures are there in time.
const AHEAD: usize = 4;
/// Most photos of a sheet: what can be looked over at once.
const SHEET: usize = 60;
/// Decisions that the history shows.
const HISTORY: usize = 2000;
/// Photos most like one that a card shows.
const SIMILAR: usize = 8;

/// A review that pages work on.
#[derive(Debug)]
pub(crate) struct Desk {
    review: Review,
    /// Cards decided since it was opened, and how.
    decided: HashMap<ContentHash, Choice>,
    /// Whether the heads are being fitted again.
    is_fitting: bool,
}

/// Everything that the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct DeskView {
    /// The card to decide, and those after it.
    cards: Vec<CardView>,
    /// How many photos are like the one on the first card, and have the same wrong with them.
    cluster: usize,
    /// Cards that wait for a second look.
    postponed: usize,
    labels: Vec<String>,
    /// Photos decided since the studio began to look, and how many were wrong.
    decided: usize,
    wrong: usize,
    /// All photos.
    photos: usize,
    /// Decisions that stand: what an undo says it is about, so that one that arrives twice takes back one.
    standing: usize,
    /// Whether the last of them can be taken back.
    can_undo: bool,
    /// About how many more will be asked for.
    to_look_at: usize,
    /// Whether it is a good moment to stop.
    is_done: bool,
    /// Errors left among the photos that nobody looked at, after an audit.
    errors_left: Option<ErrorsLeft>,
    /// Photos that nobody has decided, and errors that are expected among them by their scores.
    left: usize,
    expected_left: f64,
    /// Files that would move if what was decided were applied.
    changes: usize,
    notes: Vec<String>,
}

/// What a page asks for: a card, and what becomes of its photos.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    card: String,
    /// The photos on the card, so that a decision that arrives twice is known by what it is about.
    photos: Vec<AskedPhoto>,
    #[serde(flatten)]
    choice: Choice,
}

#[derive(Debug, Deserialize)]
struct AskedPhoto {
    path: PathBuf,
    content: String,
}

impl Desk {
    /// Looks at every photo, and opens the journal.
    pub(crate) fn open(settings: &CleanSettings, job: &Job) -> Result<Self, Fault> {
        // Opened first: if another program holds it, nobody waits for the photos in vain.
        let journal = Journal::of_folder(&settings.data.folder).map_err(sciurus::Error::from)?;
        let cleaner = Cleaner::look(settings, &|step| {
            match step {
                CleanStep::Listing(done) => job.progress("reading the folder", done),
                CleanStep::Download(done) => job.download(done),
                CleanStep::Looking(done) => job.progress("looking at photos", done),
                CleanStep::Analysing => job.progress("comparing", Progress { done: 0, total: 0 }),
            }
            job.goes_on()
        })?;
        let rule = StopRule::of_set(cleaner.len()).build().map_err(sciurus::Error::from)?;
        Ok(Self { review: Review::new(cleaner, journal, rule)?, decided: HashMap::new(), is_fitting: false })
    }

    /// How it looks now.
    pub(crate) fn view(&self) -> DeskView {
        let review = &self.review;
        let (decided, wrong) = review.progress();
        DeskView {
            cards: review.coming().take(1 + AHEAD).map(|card| CardView::of(review, card)).collect(),
            cluster: review.cluster().len(),
            postponed: review.postponed(),
            labels: self.labels().to_vec(),
            decided,
            wrong,
            photos: review.cleaner().len(),
            standing: review.decisions().len(),
            can_undo: review.can_undo(),
            to_look_at: review.to_look_at(),
            is_done: review.is_done(),
            errors_left: review.errors_left(),
            left: review.left(),
            expected_left: review.expected_left(),
            changes: self.moves().changes().count(),
            notes: review.cleaner().notes().to_vec(),
        }
    }

    /// Decides a card. The same decision once more changes nothing, and another one is refused.
    pub(crate) fn decide(&mut self, asked: &Asked, time: &str) -> Result<(), Fault> {
        let id = ContentHash::from_str(&asked.card).map_err(|error| Fault::Bad(error.to_string()))?;
        self.check(&asked.choice)?;
        if self.review.bring(id) {
            self.review.decide(&asked.choice, time)?;
            self.decided.insert(id, asked.choice.clone());
            return Ok(());
        }
        match self.decided.get(&id) {
            Some(choice) if *choice == asked.choice => Ok(()),
            Some(_) => Err(Fault::Changed("another page decided this card otherwise, and that stands")),
            None if self.is_decided(asked) => Ok(()),
            None => Err(Fault::Changed("this card has changed; look at it again")),
        }
    }

    /// Decides photos that somebody selected, together, by their paths: of copies only those that were selected.
    pub(crate) fn decide_photos(
        &mut self,
        paths: &HashSet<PathBuf>,
        choice: &Choice,
        time: &str,
    ) -> Result<usize, Fault> {
        self.check(choice)?;
        let photos = self.review.gather(|item| paths.contains(&item.path));
        if photos > 0 {
            self.review.decide(choice, time)?;
        }
        Ok(photos)
    }

    /// The work of putting the coming cards into another order, if enough was decided since the last time and nobody is at it.
    pub(crate) fn due(&mut self) -> Option<Refit> {
        if self.is_fitting {
            return None;
        }
        let due = self.review.due();
        self.is_fitting = due.is_some();
        due
    }

    /// Has the coming cards come in another order; `None` leaves them as they are.
    pub(crate) fn rank_by(&mut self, ranked: Option<Ranked>) {
        self.is_fitting = false;
        if let Some(ranked) = ranked {
            self.review.rank_by(ranked);
        }
    }

    /// What was found in the folder.
    pub(crate) fn cleaner(&self) -> &Arc<Cleaner> {
        self.review.cleaner()
    }

    /// Puts the photos that are like the one on a card on one sheet with it.
    pub(crate) fn sheet(&mut self, card: &str) -> Result<(), Fault> {
        self.bring(card)?;
        let alike: Vec<PathBuf> =
            self.review.cluster().into_iter().take(SHEET).map(|item| item.path.clone()).collect();
        if alike.len() > 1 {
            self.review.gather(|item| alike.contains(&item.path));
        }
        Ok(())
    }

    /// Takes a sheet apart again.
    pub(crate) fn apart(&mut self, card: &str) -> Result<(), Fault> {
        self.bring(card)?;
        self.review.take_apart();
        Ok(())
    }

    /// Puts a card after all others, to be looked at again.
    pub(crate) fn postpone(&mut self, card: &str) -> Result<(), Fault> {
        self.bring(card)?;
        self.review.postpone();
        Ok(())
    }

    /// Has the cards that wait for a second look come next.
    pub(crate) fn look_again(&mut self) {
        self.review.look_again();
    }

    /// Brings a card to the front.
    fn bring(&mut self, card: &str) -> Result<(), Fault> {
        let id = ContentHash::from_str(card).map_err(|error| Fault::Bad(error.to_string()))?;
        let gone = Fault::Changed("this card was decided, or has changed; look at it again");
        if self.review.bring(id) { Ok(()) } else { Err(gone) }
    }

    /// The decisions that stand, the first one first; of very many the last.
    pub(crate) fn history(&self) -> Vec<Decision> {
        let decisions = self.review.decisions();
        decisions[decisions.len().saturating_sub(HISTORY)..].to_vec()
    }

    /// Takes decisions back until `to` of them stand. `standing` is how many there are as the page knows it.
    pub(crate) fn rewind(&mut self, standing: usize, to: usize, time: &str) -> Result<(), Fault> {
        while self.review.decisions().len() > to {
            let before = self.review.decisions().len();
            if before > standing {
                return Err(Fault::Changed("another page has decided more meanwhile; look again"));
            }
            self.undo(before, time)?;
        }
        Ok(())
    }

    /// Takes the last of `standing` decisions back; where there are no longer as many, that was done before.
    pub(crate) fn undo(&mut self, standing: usize, time: &str) -> Result<(), Fault> {
        if self.review.decisions().len() != standing {
            return Ok(());
        }
        if !self.review.can_undo() {
            let why = "that decision was carried out; on the page of moves, files can be moved back";
            return Err(Fault::Changed(if standing == 0 { "there is nothing to take back" } else { why }));
        }
        self.review.undo(time)?;
        if let Some(card) = self.review.card() {
            self.decided.remove(&card.id());
        }
        Ok(())
    }

    /// Puts a random sample of what nobody looked at to the front.
    pub(crate) fn audit(&mut self, photos: usize) {
        // One that arrives twice draws once.
        if self.review.card().is_some_and(Card::is_audit) {
            return;
        }
        self.review.audit(photos, self.review.seed());
    }

    /// What was decided and not carried out yet.
    pub(crate) fn moves(&self) -> CleanPlan {
        self.review.decided()
    }

    /// The photos most like one: content, label, how alike they are (cosine), path.
    pub(crate) fn similar(&self, path: &std::path::Path) -> Vec<(String, String, f32, String)> {
        let alike = self.review.cleaner().similar(path).into_iter().take(SIMILAR);
        let shown = |(item, cosine): (&QueueItem, f32)| {
            let path = item.path.to_string_lossy().into_owned();
            (item.content.to_string(), item.label.clone(), cosine, path)
        };
        alike.map(shown).collect()
    }

    /// The worst issue of each photo that nobody has decided: path, issue, score.
    pub(crate) fn issues(&self) -> Vec<(String, String, f64)> {
        let items = self.review.coming().flat_map(|card| &card.items);
        let issue = |item: &PlanItem| {
            Some((item.path.to_string_lossy().into_owned(), item.issues.first()?.name.clone(), item.score))
        };
        items.filter_map(issue).collect()
    }

    /// The folder's labels.
    fn labels(&self) -> &[String] {
        self.review.cleaner().dataset().vocab.labels()
    }

    /// A new label is one of the folder's.
    fn check(&self, choice: &Choice) -> Result<(), Fault> {
        match choice {
            Choice::Relabel(label) if !self.labels().contains(label) => {
                Err(Fault::Bad(format!("{} is no label of this folder", one_line(label))))
            }
            _ => Ok(()),
        }
    }

    /// Whether the journal has just this, from before the studio was started.
    fn is_decided(&self, asked: &Asked) -> bool {
        let decisions = self.review.decisions();
        let is_one = |(place, photo): (usize, &AskedPhoto)| {
            let about = |one: &&Decision| one.path == photo.path && one.content.to_string() == photo.content;
            decisions.iter().rev().find(about).is_some_and(|one| match &asked.choice {
                Choice::AsProposed => true,
                Choice::AsProposedExcept(places) => {
                    !places.contains(&place) || one.action == CleanAction::Keep
                }
                Choice::Keep => one.action == CleanAction::Keep,
                Choice::SetAside => one.action == CleanAction::SetAside,
                Choice::SetAsideOnly(places) => {
                    places.contains(&place) == (one.action == CleanAction::SetAside)
                }
                Choice::Relabel(label) => one.new.as_ref().unwrap_or(&one.old) == label,
            })
        };
        !asked.photos.is_empty() && asked.photos.iter().enumerate().all(is_one)
    }
}
