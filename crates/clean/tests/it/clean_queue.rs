//! Scores that lead a reviewer: planted errors come first, ranks are combined, and the review ends in time.

use proptest::prelude::*;
use rand::RngExt;
use sciurus_clean::Issue;
use sciurus_clean::find::{
    DistanceScale, ErrorsLeft, Finding, GivenLabels, Judge, LabelQuality, LearntLabel, OffTopic,
    OnlineDynamics, QualityOptions, QueueItem, Reviewed, StopRule, TrainingDynamics, audit_sample,
    expected_left, label_quality, learnt_findings, off_topic, queue, rank_average, sharpened, with_junk,
};
use sciurus_clean::plan::{CleanAction, CleanPlan};
use sciurus_data::{ContentHash, Seed};
use sciurus_insight::Embeddings;

/// Three classes that overlap, every fifth label wrong: embeddings, given labels, true labels.
fn planted(seed: u64) -> (Embeddings, Vec<usize>, Vec<usize>) {
    let mut rng = Seed(seed).rng(&[]);
    let mut noise = || (0..4).map(|_| rng.random::<f32>() - 0.5).sum::<f32>();
    let right: Vec<usize> = (0..180).map(|item| item % 3).collect();
    let values =
        (0..180 * 24).map(|at| noise() + if at % 24 % 3 == at / 24 % 3 { 0.6 } else { 0.0 }).collect();
    let given = (0..180).map(|item| if item % 5 == 0 { (item + 1) % 3 } else { item % 3 }).collect();
    (Embeddings { width: 24, values }, given, right)
}

fn judge(members: &[&Embeddings], labels: &[usize], rounds: usize) -> LabelQuality {
    let given = GivenLabels { classes: 3, labels, groups: None, weights: None };
    let options = QualityOptions::default().rounds(rounds).build().unwrap();
    label_quality(members, given, &options).unwrap()
}

/// The chance that a wrong label gets a higher score than a right one.
fn roc_auc(scores: &[f64], given: &[usize], right: &[usize]) -> f64 {
    let part = |wrong: bool| {
        let items = (0..given.len()).filter(move |&item| (given[item] != right[item]) == wrong);
        items.map(|item| scores[item]).collect::<Vec<f64>>()
    };
    let (wrong, fine) = (part(true), part(false));
    let above = wrong.iter().flat_map(|w| fine.iter().map(move |f| f64::from(u8::from(w > f)))).sum::<f64>();
    above / (wrong.len() * fine.len()) as f64
}

#[test]
fn planted_errors_come_first_and_weighting_helps() {
    let (mut plain, mut weighted) = (0.0, 0.0);
    for seed in 0..5 {
        let (embeddings, given, right) = planted(seed);
        let found = judge(&[&embeddings], &given, 2);
        weighted += roc_auc(&found.scores, &given, &right) / 5.0;
        plain += roc_auc(&judge(&[&embeddings], &given, 0).scores, &given, &right) / 5.0;
        let wrong: Vec<usize> = (0..180).filter(|&item| given[item] != right[item]).collect();
        let named = wrong.iter().filter(|&&item| found.suggested[item] == right[item]).count();
        assert!(named * 10 > wrong.len() * 9, "{named} of {}", wrong.len());
    }
    assert!(weighted > 0.95 && weighted > plain, "{weighted} {plain}");
}

#[test]
fn a_member_of_noise_does_little_harm() {
    let (embeddings, given, right) = planted(1);
    let values = (0..180 * 8).map(|at| ((at * 7919) as f32).sin()).collect();
    let noise = Embeddings { width: 8, values };
    let alone = roc_auc(&judge(&[&embeddings], &given, 2).scores, &given, &right);
    let both = judge(&[&embeddings, &noise], &given, 2);
    assert!(both.accuracy[1] < 0.5 && both.accuracy[0] > 0.7, "{:?}", both.accuracy);
    assert!((roc_auc(&both.scores, &given, &right) - alone).abs() < 0.01);
}

#[test]
fn items_that_cannot_be_judged_are_in_the_middle() {
    let (embeddings, mut given, _) = planted(2);
    given.iter_mut().for_each(|label| *label %= 2);
    given[17] = 2;
    let found = judge(&[&embeddings], &given, 2);
    assert_eq!((found.unjudged.as_slice(), found.scores[17]), (&[17][..], 0.5));
    let given = GivenLabels { classes: 3, labels: &given, groups: None, weights: None };
    assert!(label_quality(&[], given, &QualityOptions::default()).is_err());
    assert!(QualityOptions::default().rounds(11).build().is_err());
    assert!(QualityOptions::default().penalties([0.0]).build().is_err());
}

#[test]
fn the_rule_stops_at_the_end_of_a_page() {
    let rule = StopRule::default().left(0.0).build().unwrap();
    let all = |items: usize, wrong: fn(usize) -> bool| -> Vec<Reviewed> {
        (0..items).map(|place| Reviewed { score: 0.5, wrong: wrong(place) }).collect()
    };
    // Nothing wrong: one window. All wrong: everything. The 10 % are not yet few.
    assert_eq!(rule.shown(&all(1000, |_| false)), 150);
    assert_eq!(rule.shown(&all(1000, |_| true)), 1000);
    let tenth = all(1000, |place| place % 10 == 0);
    assert_eq!(rule.shown(&tenth), 1000);
    assert_eq!(rule.share(0.11).shown(&tenth), 150);
    assert_eq!(rule.page(20).window(30).shown(&all(100, |_| false)), 40);
    assert_eq!(rule.shown(&all(20, |_| false)), 20);
    for bad in
        [rule.page(0), rule.window(0), rule.share(0.0), rule.share(1.1), rule.left(1.0), rule.left(-0.1)]
    {
        assert!(bad.build().is_err());
    }
}

#[test]
fn scores_that_keep_their_promise_end_a_review_sooner() {
    let rule = StopRule::of_set(600).build().unwrap();
    // Every score is right on average: of ten items with 0.9, nine are wrong.
    let mut rng = Seed(5).rng(&[]);
    let mut scores: Vec<f64> = (0..600).map(|_| rng.random::<f64>().powi(8)).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    let honest: Vec<Reviewed> =
        scores.iter().map(|&score| Reviewed { score, wrong: rng.random::<f64>() < score }).collect();
    let (by_scores, by_window) = (rule.shown(&honest), rule.left(0.0).shown(&honest));
    assert!(by_scores < by_window, "{by_scores}, {by_window}");
    let errors = |items: &[Reviewed]| items.iter().filter(|item| item.wrong).count();
    let missed = errors(&honest[by_scores..]) as f64 / errors(&honest) as f64;
    assert!(missed < 0.1, "{missed}");

    // Scores that promise too little are found out: errors go on where none were promised.
    let modest: Vec<Reviewed> = (0..600)
        .map(|place| Reviewed {
            score: if place < 40 { 0.9 } else { 0.02 },
            wrong: place < 40 || place % 4 == 0,
        })
        .collect();
    assert_eq!(rule.shown(&modest), rule.left(0.0).shown(&modest));
    let promised: f64 = modest[200..].iter().map(|item| item.score).sum();
    let scores: Vec<f64> = modest[200..].iter().map(|item| item.score).collect();
    let expected = expected_left(&modest[..200], &scores);
    assert!(expected > 60.0 && promised < 10.0, "{expected}, {promised}");
}

#[test]
fn an_audit_counts_what_nobody_saw() {
    let sample = audit_sample(1000, 200, Seed(1));
    assert_eq!(sample.len(), 200);
    assert!(sample.windows(2).all(|pair| pair[0] < pair[1]) && sample[199] < 1000);
    assert_eq!(audit_sample(3, 200, Seed(1)), [0, 1, 2]);
    assert_ne!(sample, audit_sample(1000, 200, Seed(2)));
    let nothing = ErrorsLeft::from_audit(100, 0, 0);
    assert_eq!((nothing.interval.low, nothing.interval.high), (0.0, 100.0));
}

#[test]
fn data_maps() {
    let epochs = [vec![2.0, 0.0, 1.0, 0.0], vec![-2.0, 0.0, 1.0, 0.0]];
    let found = TrainingDynamics::new(&epochs, &[0, 1], 2).unwrap();
    assert_eq!(found.aum, [0.0, -1.0]);
    assert_eq!(found.correctness, [0.5, 0.0]);
    assert!((found.confidence[0] - 0.5).abs() < 1e-12 && found.variability[1] < 1e-12);
    let sigmoid = 1.0 / (1.0 + (-2.0_f64).exp());
    assert!((found.variability[0] - (sigmoid - 0.5)).abs() < 1e-12);
    assert_eq!(TrainingDynamics::new(&[vec![1.0]], &[0], 1).unwrap().aum, [0.0]);
    assert!(TrainingDynamics::new(&[], &[0], 1).is_err());
    assert!(TrainingDynamics::new(&[vec![1.0]], &[0], 2).is_err());
    assert!(TrainingDynamics::new(&[vec![f32::NAN]], &[0], 1).is_err());
}

#[test]
fn looks_add_up_to_the_dynamics_of_all_epochs() {
    let epochs: Vec<Vec<f32>> = (0..7)
        .map(|epoch| (0..30).map(|at| (f64::from(epoch * 31 + at) * 1.7).sin() as f32 * 3.0).collect())
        .collect();
    let labels: Vec<usize> = (0..10).map(|item| item % 3).collect();
    let want = TrainingDynamics::new(&epochs, &labels, 3).unwrap();
    let mut looks = OnlineDynamics::new(10);
    for (epoch, rows) in epochs.iter().enumerate() {
        // As after a kill: what was kept goes on exactly where it was.
        looks = OnlineDynamics::from_values(10, &looks.values()).unwrap();
        for item in 0..10 {
            looks.see(item, &rows[3 * item..3 * item + 3], labels[item]);
            assert_eq!(looks.count(item), epoch + 1);
        }
    }
    let got = looks.dynamics();
    let pairs = [
        (&got.aum, &want.aum),
        (&got.confidence, &want.confidence),
        (&got.variability, &want.variability),
        (&got.correctness, &want.correctness),
    ];
    for (got, want) in pairs {
        assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 2e-6), "{got:?} for {want:?}");
    }
    assert_eq!(OnlineDynamics::new(1).dynamics().aum, [0.0]);
    assert!(OnlineDynamics::from_values(2, &[0.0; 5]).is_none());
    assert!(OnlineDynamics::from_values(1, &[0.0; 6]).is_none());
}

#[test]
fn learnt_labels_are_kept_in_a_table_and_told_where_they_were_not_learnt() {
    let row = |path: &str, aum, correctness| LearntLabel {
        path: path.into(),
        label: "ant".to_owned(),
        looks: 5,
        aum,
        confidence: 0.25,
        variability: 0.125,
        correctness,
    };
    let rows = [row("ants/new\nline.jpg", -2.0, 0.2), row("ants/蟻.jpg", 3.5, 1.0)];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.parquet");
    LearntLabel::save(&rows, &path).unwrap();
    assert_eq!(LearntLabel::load(&path).unwrap(), rows);
    let told = CleanPlan::load(&path).unwrap_err().to_string();
    assert!(told.contains("training.parquet"), "{told}");
    let plan = folder.path().join("plan.parquet");
    CleanPlan::new("ants", "none", vec![]).save(&plan).unwrap();
    let told = LearntLabel::load(&plan).unwrap_err().to_string();
    assert!(told.contains("plan.parquet"), "{told}");

    let found = learnt_findings(&[Some(&rows[0]), Some(&rows[1]), None]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].item, found[0].issue, found[0].action), (0, Issue::HardToLearn, CleanAction::Keep));
    assert!((found[0].score - 1.0 / (1.0 + (-2.0_f64).exp())).abs() < 1e-12);
    assert_eq!(found[0].evidence, "a model predicted this label in only 1 of the 5 times it saw the photo");
}

proptest! {
    #[test]
    fn ranks_ignore_how_scores_are_scaled(scores in proptest::collection::vec(-5.0_f64..5.0, 0..40)) {
        let scaled: Vec<f64> = scores.iter().map(|score| score.exp()).collect();
        let ranks = rank_average(&[(&scores, 1.0), (&scaled, 3.0)]).unwrap();
        prop_assert_eq!(&ranks, &rank_average(&[(&scores, 1.0), (&scores, 3.0)]).unwrap());
        for (a, b) in (0..scores.len()).flat_map(|a| (0..scores.len()).map(move |b| (a, b))) {
            prop_assert!(scores[a] >= scores[b] || ranks[a] < ranks[b] + 1e-12);
        }
        prop_assert!(ranks.iter().all(|rank| (-1e-12..=1.0 + 1e-12).contains(rank)));
    }
}

#[test]
fn scores_that_cannot_be_ranked_are_refused() {
    assert!(rank_average(&[(&[1.0], 1.0), (&[1.0, 2.0], 1.0)]).is_err());
    assert!(rank_average(&[(&[f64::NAN], 1.0)]).is_err());
    assert!(rank_average(&[(&[1.0], 0.0)]).is_err());
    assert!(rank_average(&[]).unwrap().is_empty());
}

/// Three classes of forty, each in a direction of its own with some noise, and `strangers` in another direction, all alike.
fn with_strangers(strangers: usize) -> (Embeddings, Vec<usize>) {
    let mut rng = Seed(3).rng(&[]);
    let labels: Vec<usize> = (0..120 + strangers).map(|item| item % 3).collect();
    let direction = |item: usize| if item < 120 { item % 3 } else { 7 };
    let values = (0..labels.len() * 24)
        .map(|at| (rng.random::<f32>() - 0.5) * 0.4 + if at % 24 == direction(at / 24) { 1.0 } else { 0.0 })
        .collect();
    (Embeddings { width: 24, values }, labels)
}

const SCALE: DistanceScale = DistanceScale { middle: 0.64, slope: 17.0 };

fn stranger(embeddings: &Embeddings, labels: &[usize], weights: Option<&[f64]>) -> OffTopic {
    off_topic(&[Judge { embeddings, scale: SCALE }], labels, 3, weights).unwrap()
}

#[test]
fn strangers_of_one_kind_do_not_vouch_for_each_other() {
    let (embeddings, labels) = with_strangers(12);
    let found = stranger(&embeddings, &labels, None);
    assert!((120..132).all(|item| found.probability(item) > 0.5), "{:?}", &found.distances[120..]);
    assert!((0..120).all(|item| found.probability(item) < 0.1));

    // A wrong label makes no stranger, and what was set aside counts for no class.
    let mut wrong = labels.clone();
    (0..30).for_each(|item| wrong[item] = (item + 1) % 3);
    let mislabelled = stranger(&embeddings, &wrong, None);
    assert!((0..120).all(|item| mislabelled.probability(item) < 0.5));
    let weights: Vec<f64> = (0..132).map(|item| f64::from(u8::from(item < 120))).collect();
    let cleaned = stranger(&embeddings, &labels, Some(&weights));
    assert!(cleaned.distances[5] < found.distances[5]);

    // Too few photos of any class to say.
    let few = Embeddings { width: 24, values: embeddings.values[..24 * 6].to_vec() };
    assert_eq!(stranger(&few, &labels[..6], None).distances, [0.0; 6]);
    let judge = [Judge { embeddings: &embeddings, scale: SCALE }];
    assert!(off_topic(&judge, &labels[..5], 3, None).is_err());
    assert!(off_topic(&judge, &labels, 2, None).is_err());
    assert!(off_topic(&judge, &labels, 3, Some(&[1.0])).is_err());
    assert!(off_topic(&[], &labels, 3, None).is_err());
}

#[test]
fn several_networks_say_together_what_is_off_topic() {
    let (embeddings, labels) = with_strangers(12);
    // To another network nothing is near, which its scale knows.
    let other = DistanceScale { middle: 1.3, slope: 9.0 };
    let judge = |scale| Judge { embeddings: &embeddings, scale };
    let [one, two, both] = [&[judge(SCALE)][..], &[judge(other)], &[judge(SCALE), judge(other)]]
        .map(|judges| off_topic(judges, &labels, 3, None).unwrap());
    for item in 0..132 {
        let mean = (one.log_odds[item] + two.log_odds[item]) / 2.0;
        assert!((both.log_odds[item] - mean).abs() < 1e-12);
    }
    assert_eq!(both.distances, one.distances);
}

fn finding(item: usize, issue: Issue, score: f64) -> Finding {
    let evidence = issue.name();
    Finding { item, issue, score, action: CleanAction::Keep, evidence, suggested: None, card: None }
}

#[test]
fn a_drawing_of_something_else_is_junk() {
    let set_aside = |finding: Finding| Finding { action: CleanAction::SetAside, ..finding };
    let odd = vec![
        Finding { card: Some(4), ..set_aside(finding(0, Issue::Drawing, 0.8)) },
        set_aside(finding(1, Issue::Drawing, 0.8)),
        finding(2, Issue::Drawing, 0.3),
    ];
    let strange = vec![
        finding(0, Issue::Outlier, 0.6),
        finding(1, Issue::Outlier, 0.2),
        set_aside(finding(2, Issue::Outlier, 0.9)),
        finding(3, Issue::Outlier, 0.1),
    ];
    let found = with_junk(odd.clone(), strange.clone());
    assert_eq!(found.len(), 6);
    let junk = &found[0];
    assert_eq!(
        (junk.item, junk.issue, junk.action, junk.card),
        (0, Issue::Junk, CleanAction::SetAside, Some(4))
    );
    assert!((junk.score - 0.92).abs() < 1e-12);
    assert_eq!(junk.evidence, "drawing, and outlier");
    assert_eq!(found[1..3], odd[1..]);
    assert_eq!(found[3..], strange[1..]);
    // The order is the same as with both apart.
    let items: Vec<QueueItem> = (0..4_u8)
        .map(|item| QueueItem {
            path: format!("{item}.jpg").into(),
            content: ContentHash::of(&[item]),
            label: "ant".to_owned(),
        })
        .collect();
    let order = |findings: &[Finding]| {
        queue(&items, findings)
            .into_iter()
            .map(|item| (item.path, (item.score * 1e9).round()))
            .collect::<Vec<_>>()
    };
    assert_eq!(order(&found), order(&[odd, strange].concat()));
    let planned = queue(&items, &found);
    let first = planned.iter().find(|item| item.path.ends_with("0.jpg")).unwrap();
    assert_eq!(first.issues.iter().map(|issue| &*issue.name).collect::<Vec<_>>(), ["junk"]);
}

proptest! {
    #[test]
    fn what_one_detector_knows_no_other_takes_away(
        label in 0.0_f64..1.0, stranger in 0.0_f64..1.0, drawing in 0.0_f64..1.0, dark in 0.0_f64..1.0
    ) {
        let dark_pixels = Issue::Pixels(sciurus_photos::QualityCheck::Dark);
        let all = [(Issue::Label, label), (Issue::Outlier, stranger), (Issue::Drawing, drawing), (dark_pixels, dark)];
        let items = [QueueItem { path: "a.jpg".into(), content: ContentHash::of(b"a"), label: "ant".to_owned() }];
        let rank = |issues: &[(Issue, f64)]| {
            let findings: Vec<Finding> = issues.iter().map(|&(issue, score)| finding(0, issue, score)).collect();
            queue(&items, &findings)[0].score
        };
        let together = rank(&all);
        let none = (1.0 - sharpened(&[label])[0]) * (1.0 - stranger) * (1.0 - drawing);
        prop_assert!((together - (1.0 - none).max(0.8 * dark)).abs() < 1e-12);
        for fewer in 0..4 {
            prop_assert!(rank(&all[..fewer]) <= together + 1e-12);
        }
    }
}

#[test]
fn where_labels_are_noisy_a_fair_score_is_as_good_as_certain() {
    // A fifth of the labels wrong: calibrated heads are 80 % sure at most.
    let scores: Vec<f64> = (0..100).map(|item| if item % 5 == 0 { 0.8 } else { 0.2 }).collect();
    let known = sharpened(&scores);
    assert!((known[0] - 0.98).abs() < 1e-9 && (known[1] - 0.02).abs() < 1e-9, "{known:?}");
    // Where heads are sure, nothing changes, nor where they know nothing at all.
    let sure = [0.99, 0.01, 0.001];
    assert!(sharpened(&sure).iter().zip(sure).all(|(got, want)| (got - want).abs() < 1e-9));
    assert_eq!(sharpened(&[0.5; 3]), [0.5; 3]);
    assert!(sharpened(&[]).is_empty());
    assert!(sharpened(&[0.0, 1.0]).iter().all(|score| (0.0..=1.0).contains(score)));
}
