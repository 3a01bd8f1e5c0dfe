//! The HTML page: that it holds what it should, asks for nothing, and lets no label or path out of its place.

use sciurus_insight::{EpochRow, ErrorRate, Measured, Predictions, Report, Thumbnail, Vocab};

use crate::{names, predictions_of};

const EVIL: &str = "<script>alert('label')</script>";
const EVIL_ATTRIBUTE: &str = "\" onmouseover=\"alert(1)\" x=\"";

/// Four epochs in two phases.
fn epochs(predictions: &Predictions) -> Vec<EpochRow> {
    let row = |i: usize| EpochRow {
        epoch: i.saturating_sub(1),
        phase: if i == 0 { "frozen" } else { "unfrozen" }.to_string(),
        train_loss: 1.0 / (i + 1) as f64,
        valid_loss: 0.8 / (i + 1) as f64,
        metrics: vec![Measured::new(&ErrorRate, predictions)],
    };
    (0..4).map(row).collect()
}

fn full() -> Report {
    let predictions = predictions_of(&["grey", "red"], &[(0, 0), (0, 1), (1, 1), (1, 1), (0, 0)]);
    let thumbnails = |byte: u8| -> Vec<Thumbnail> {
        predictions.items.iter().map(|&item| Thumbnail { item, jpeg: vec![0xff, 0xd8, byte] }).collect()
    };
    let (first, second) = (thumbnails(1), thumbnails(2));
    Report::new("squirrels", predictions.clone())
        .fact("architecture", "resnet18")
        .fact("seed", "42")
        .epochs(epochs(&predictions))
        .learning_rates((0..8).map(|i| vec![f64::from(i) * 1e-5, f64::from(i) * 1e-3]).collect())
        .thumbnails(first)
        .overlays(second)
        .top(2)
}

/// How often `part` is in `page`.
fn count(page: &str, part: &str) -> usize {
    page.matches(part).count()
}

#[test]
fn a_page_has_every_section_and_every_picture_once() {
    let page = full().render();
    for section in ["metrics", "training", "confusion", "photos", "classes", "reliability"] {
        assert_eq!(count(&page, &format!("<h2 id=\"{section}\">")), 1, "{section}");
    }
    assert!(page.contains("<dt>architecture</dt><dd>resnet18</dd>"));
    assert_eq!(count(&page, "<figure class=\"card\""), 5);
    assert_eq!(count(&page, "data:image/jpeg;base64,/9gB"), 5);
    assert_eq!(count(&page, "class=\"overlay\" src=\"data:image/jpeg;base64,/9gC\""), 5);
    assert_eq!(count(&page, "<figure class=\"chart\">"), 3);
    assert!(page.contains("Loss (nats) by epoch: train from 1 to 0.25; valid from 0.8 to 0.2"));
}

#[test]
fn it_opens_with_the_largest_losses_and_cells_choose_their_photos() {
    let page = full().render();
    let cards: Vec<&str> = page.split("<figure class=\"card\"").skip(1).collect();
    assert!(cards[0].starts_with(" data-target=\"0\" data-prediction=\"1\" data-top>"), "{}", cards[0]);
    let hidden = cards.iter().filter(|card| card.split('>').next().unwrap().ends_with(" hidden")).count();
    assert_eq!(hidden, 3);
    assert!(page.contains(
        "data-show=\"pair\" data-name=\"grey taken for red\" data-count=\"1\" data-target=\"0\" \
         data-prediction=\"1\" aria-pressed=\"false\" aria-label=\"grey taken for red: 1, show photos\">1</button>"
    ));
    assert_eq!(count(&page, "data-show=\"pair\""), 3, "one button per cell that is not empty");
    assert_eq!(count(&page, " aria-pressed=\"true\" aria-label=\"The 2 largest losses: 2, show photos\""), 1);
}

#[test]
fn nothing_is_asked_from_anywhere() {
    let page = full().render();
    for part in ["http://", "https://", "//cdn", "@import", "<link", "url(", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.contains("Content-Security-Policy\" content=\"default-src 'none'; img-src data:;"));
    let sources = page.split(" src=\"").skip(1);
    assert!(sources.into_iter().all(|source| source.starts_with("data:image/jpeg;base64,")));
}

#[test]
fn labels_paths_and_facts_cannot_leave_their_place() {
    let (items, mut paths) = names(3);
    paths[0] = format!("{EVIL}.jpg").into();
    paths[1] = format!("{EVIL_ATTRIBUTE}.jpg").into();
    let vocab = Vocab::new([EVIL, EVIL_ATTRIBUTE].map(String::from));
    let probabilities = vec![0.9, 0.1, 0.2, 0.8, 0.6, 0.4];
    let predictions =
        Predictions::from_probabilities(vocab, items.clone(), paths, probabilities, vec![1, 0, 0]).unwrap();
    let rows = epochs(&predictions).into_iter().map(|mut row| {
        row.metrics[0].name = EVIL.to_string();
        row.phase = format!("{EVIL}{}", row.phase);
        row
    });
    let page = Report::new(EVIL, predictions.clone())
        .fact(EVIL, EVIL_ATTRIBUTE)
        .metrics(vec![Measured { name: EVIL.into(), value: 0.5, interval: None, items: 3 }])
        .epochs(rows.collect())
        .thumbnails(items.into_iter().map(|item| Thumbnail { item, jpeg: vec![1] }).collect())
        .render();
    assert!(count(&page, "&lt;script&gt;alert('label')&lt;/script&gt;") > 10);
    assert_eq!(count(&page, "<script"), 1, "only the page's own script");
    assert_eq!(count(&page, "</script"), 1);
    assert_eq!(count(&page, "\" onmouseover=\""), 0);
}

#[test]
fn what_is_missing_has_no_section_and_no_pictures_are_needed() {
    let mut pairs = vec![(0, 0); 30];
    pairs[4] = (0, 1);
    let page = Report::new("x", predictions_of(&["grey", "red"], &pairs)).top(3).render();
    assert!(!page.contains("id=\"training\"") && !page.contains("id=\"overlays\"") && !page.contains("<img"));
    assert_eq!(count(&page, "no picture"), 3, "the three largest losses, the mistake among them");
    assert!(!page.contains("NaN"));

    let nothing = Predictions::from_probabilities(Vocab::new([]), vec![], vec![], vec![], vec![]).unwrap();
    let page = Report::new("nothing", nothing).render();
    assert!(!page.contains("NaN") && !page.contains("id=\"reliability\""), "{page}");
}

#[test]
fn numbers_that_are_not_finite_do_not_break_a_curve() {
    let predictions = predictions_of(&["grey", "red"], &[(0, 0), (1, 1)]);
    let mut rows = epochs(&predictions);
    rows[1].valid_loss = f64::NAN;
    rows[2].train_loss = f64::INFINITY;
    rows[3].metrics.clear();
    let page = Report::new("x", predictions).epochs(rows).render();
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    assert!(page.contains("train from 1 to 0.25; valid from 0.8 to 0.2"));
}

#[test]
fn many_classes_are_listed_as_pairs() {
    let labels: Vec<String> = (0..60).map(|i| format!("label {i:02}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let pairs: Vec<_> = (0..60).flat_map(|i| [(i, i), (i, (i + i % 2) % 60)]).collect();
    let page = Report::new("many", predictions_of(&labels, &pairs)).render();
    assert!(!page.contains("<table class=\"matrix\">"));
    assert_eq!(count(&page, "data-show=\"pair\""), 30);
}
