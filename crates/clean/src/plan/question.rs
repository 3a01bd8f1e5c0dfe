//! What a card asks of a person. In: the images that are decided together. Out: one sentence or two.

use std::borrow::Borrow;

use sciurus_data::one_line;

use super::PlanItem;

/// What somebody has to decide about the images of one card, worst first, in words, such as "These 23 look like drawings or pages.
/// Do they belong to grizzly?" Empty if there are none.
#[must_use]
pub fn question<I: Borrow<PlanItem>>(items: &[I]) -> String {
    let mut all = items.iter().map(Borrow::borrow);
    let Some(first) = all.next() else { return String::new() };
    let issue = first.issues.first().map_or("", |issue| &*issue.name);
    let is_alone = items.len() == 1;
    let label = one_line(&first.label);
    let belong = match (is_alone, all.all(|item| item.label == first.label)) {
        (true, _) => format!("Does it belong to {label}?"),
        (false, true) => format!("Do they belong to {label}?"),
        (false, false) => "Do they belong where they are?".to_owned(),
    };
    let look = match is_alone {
        true => "This looks".to_owned(),
        false => format!("These {} look", items.len()),
    };
    let kind = |one: &str, several: &str| format!("{look} like {} ", if is_alone { one } else { several });
    let seen = match issue {
        "exact_duplicate"
        | "near_duplicate"
        | "placeholder"
        | "duplicate_across_classes"
        | "duplicate_across_splits"
            if !is_alone =>
        {
            return "Which of these should stay?".to_owned();
        }
        "unreadable" => return "Can this file go?".to_owned(),
        "label" | "hard_to_learn" | "" if is_alone => return format!("Is this {label}?"),
        "drawing" => kind("a drawing or a page.", "drawings or pages."),
        "photo_among_drawings" => kind("a photo among drawings.", "photos among drawings."),
        "junk" => kind(
            "a drawing or a page of something else.",
            "drawings or pages, some of them of something else.",
        ),
        "outlier" => kind("none of the classes.", "none of the classes."),
        _ => String::new(),
    };
    seen + &belong
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sciurus_data::ContentHash;

    use super::*;
    use crate::plan::{CleanAction, IssueScore};

    fn item(label: &str, issue: &str) -> PlanItem {
        PlanItem {
            path: PathBuf::from("a.jpg"),
            content: ContentHash::of(b"a"),
            label: label.to_owned(),
            action: CleanAction::SetAside,
            to: None,
            score: 0.9,
            issues: vec![IssueScore { name: issue.to_owned(), score: 0.9 }],
            reason: String::new(),
            card: Some(0),
            suggested: None,
            decided: false,
        }
    }

    #[test]
    fn cards_ask_as_a_person_would() {
        let asked = |cards: &[(&str, &str)]| {
            question(&cards.iter().map(|(label, issue)| item(label, issue)).collect::<Vec<PlanItem>>())
        };
        let cases: [(&[(&str, &str)], &str); 10] = [
            (&[("ant", "drawing")], "This looks like a drawing or a page. Does it belong to ant?"),
            (&[("ant", "drawing"); 23], "These 23 look like drawings or pages. Do they belong to ant?"),
            (
                &[("ant", "photo_among_drawings"); 2],
                "These 2 look like photos among drawings. Do they belong to ant?",
            ),
            (
                &[("ant", "junk")],
                "This looks like a drawing or a page of something else. Does it belong to ant?",
            ),
            (
                &[("ant", "outlier"), ("bee", "outlier")],
                "These 2 look like none of the classes. Do they belong where they are?",
            ),
            (&[("ant", "near_duplicate"); 2], "Which of these should stay?"),
            (&[("ant", "unreadable")], "Can this file go?"),
            (&[("ant", "label")], "Is this ant?"),
            (&[("ant", "dark")], "Does it belong to ant?"),
            (&[("an\nt", "label")], "Is this an\\nt?"),
        ];
        for (cards, words) in cases {
            assert_eq!(asked(cards), words);
        }
    }
}
