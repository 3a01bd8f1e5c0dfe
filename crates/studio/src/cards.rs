//! How a card looks to a page: plain data, with the question that it asks and the words of its buttons.

use sciurus::clean::plan::{CleanAction, PlanItem, question};
use sciurus::data::one_line;
use sciurus::{Card, Origin, Review};
use serde::Serialize;

/// One card.
#[derive(Debug, Serialize)]
pub(crate) struct CardView {
    id: String,
    /// What it asks, in one sentence.
    question: String,
    /// What happens if the proposal is accepted.
    proposal: String,
    is_audit: bool,
    /// Whether its photos were put together because they are alike, and each is decided by itself.
    is_sheet: bool,
    photos: Vec<PhotoView>,
}

/// A photo of a card.
#[derive(Debug, Serialize)]
pub(crate) struct PhotoView {
    content: String,
    path: String,
    label: String,
    action: CleanAction,
    to: Option<String>,
    reason: String,
    /// Labels with their probability (0 to 1), the likeliest first.
    likely: Vec<(String, f32)>,
}

impl CardView {
    pub(crate) fn of(review: &Review, card: &Card) -> Self {
        Self {
            id: card.id().to_string(),
            question: question(&card.items),
            proposal: proposal(&card.items),
            is_audit: card.is_audit(),
            is_sheet: card.origin == Origin::Chosen && card.items.len() > 1,
            photos: card.items.iter().map(|item| PhotoView::of(review, item)).collect(),
        }
    }
}

impl PhotoView {
    fn of(review: &Review, item: &PlanItem) -> Self {
        Self {
            content: item.content.to_string(),
            path: item.path.to_string_lossy().into_owned(),
            label: item.label.clone(),
            action: item.action,
            to: item.to.clone(),
            reason: item.reason.clone(),
            likely: review.likely(&item.path).into_iter().map(|(label, p)| (label.to_owned(), p)).collect(),
        }
    }
}

/// What a button says that accepts what is proposed.
fn proposal(items: &[PlanItem]) -> String {
    let away = items.iter().filter(|item| item.action == CleanAction::SetAside).count();
    match items {
        [one] => match (one.action, &one.to) {
            (CleanAction::Relabel, Some(label)) => format!("Make it {}", one_line(label)),
            (CleanAction::SetAside, _) => "Set it aside".to_owned(),
            _ => format!("Keep it {}", one_line(&one.label)),
        },
        [first, ..] if items.iter().all(|item| item.to.is_some() && item.to == first.to) => {
            format!("Make them {}", one_line(first.to.as_deref().unwrap_or_default()))
        }
        _ if away == 0 => "Keep them all".to_owned(),
        all if away == all.len() => "Set them all aside".to_owned(),
        _ => format!("Set {away} aside, keep the others"),
    }
}
