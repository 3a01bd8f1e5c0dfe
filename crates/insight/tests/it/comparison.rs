//! Comparing two models: what it calls noise, what it does not, and what it refuses.

use rand::RngExt;
use sciurus_data::{Rng, Seed};
use sciurus_insight::{Comparison, PairedTest, Predictions, Verdict, Vocab, compare, compare_many};

use crate::predictions_of;

const LABELS: [&str; 2] = ["grey", "red"];

/// A run that is wrong where `wrong` says so.
fn run(wrong: &[bool]) -> Predictions {
    let pairs: Vec<_> =
        wrong.iter().enumerate().map(|(i, &wrong)| (i % 2, (i + usize::from(wrong)) % 2)).collect();
    predictions_of(&LABELS, &pairs)
}

/// Chances to be wrong per item, as photos have them: most are easy.
fn difficulties(items: usize, rng: &mut Rng) -> Vec<f64> {
    (0..items).map(|_| rng.random::<f64>().powi(4)).collect()
}

/// A run that is wrong on each item with its own chance times `factor`.
fn simulated(chances: &[f64], factor: f64, rng: &mut Rng) -> Predictions {
    run(&chances.iter().map(|chance| rng.random::<f64>() < chance * factor).collect::<Vec<_>>())
}

/// How many of 400 simulated comparisons of 66 items call a difference, and how many have a p-value below 5 %; the error
/// rates of the seeds of one side differ by up to `spread`.
fn called_different([of_a, of_b]: [usize; 2], spread: f64) -> (usize, usize) {
    let mut rng = Seed(7).rng(&[of_a as u64]);
    let (mut called, mut below) = (0, 0);
    for _ in 0..400 {
        let chances = difficulties(66, &mut rng);
        let mut run = |_| {
            let factor = 1.0 + spread * (2.0 * rng.random::<f64>() - 1.0);
            simulated(&chances, factor, &mut rng)
        };
        let a: Vec<Predictions> = (0..of_a).map(&mut run).collect();
        let b: Vec<Predictions> = (0..of_b).map(&mut run).collect();
        let comparison = compare_many(&a, &b).unwrap();
        called += usize::from(comparison.verdict != Verdict::NoDifference);
        below += usize::from(comparison.p_value < 0.05);
    }
    (called, below)
}

#[test]
fn the_same_model_twice_is_called_different_in_at_most_one_of_twenty() {
    let (called, _) = called_different([1, 1], 0.0);
    assert!(called <= 20, "{called} of 400");
}

#[test]
fn the_same_recipe_with_other_seeds_is_called_different_in_at_most_one_of_twenty() {
    let same = [([3, 3], 0.0), ([3, 3], 0.5), ([5, 5], 0.5), ([2, 2], 0.0), ([2, 2], 0.5)];
    for (runs, spread) in same.into_iter().chain([([1, 5], 0.0), ([1, 5], 0.3), ([5, 1], 0.3)]) {
        let (called, _) = called_different(runs, spread);
        assert!(called <= 20, "{called} of 400 with {runs:?} runs that spread by {spread}");
    }
}

/// Why runs are drawn as well as items.
#[test]
fn a_test_over_items_alone_takes_the_noise_of_seeds_for_a_difference() {
    let (called, below) = called_different([5, 5], 0.5);
    assert!(below > 3 * called && below > 60, "{called} and {below} of 400");
}

#[test]
fn a_real_difference_is_found() {
    let mut rng = Seed(11).rng(&[]);
    let mut found = 0;
    for _ in 0..50 {
        let chances = difficulties(400, &mut rng);
        let (a, b) = (simulated(&chances, 1.0, &mut rng), simulated(&chances, 0.4, &mut rng));
        let comparison = compare(&a, &b).unwrap();
        assert_ne!(comparison.verdict, Verdict::Worse);
        found += usize::from(comparison.verdict == Verdict::Better);
        let back = compare(&b, &a).unwrap();
        assert_eq!(back.verdict == Verdict::Worse, comparison.verdict == Verdict::Better);
    }
    assert!(found >= 48, "{found} of 50");
}

#[test]
fn several_seeds_find_what_one_cannot() {
    let mut rng = Seed(12).rng(&[]);
    let (mut once, mut five_times) = (0, 0);
    for _ in 0..50 {
        let chances = difficulties(66, &mut rng);
        let mut runs = |factor| (0..5).map(|_| simulated(&chances, factor, &mut rng)).collect::<Vec<_>>();
        let (a, b) = (runs(1.0), runs(0.5));
        once += usize::from(compare(&a[0], &b[0]).unwrap().verdict == Verdict::Better);
        five_times += usize::from(compare_many(&a, &b).unwrap().verdict == Verdict::Better);
    }
    assert!(five_times >= 35 && once <= 20, "{once} and {five_times} of 50");
}

/// A of 66 items wrong on 12 that B has right, B on 9, both on 3.
fn nine_and_twelve() -> Comparison {
    let a: Vec<bool> = (0..66).map(|i| i < 15).collect();
    let b: Vec<bool> = (0..66).map(|i| i < 3 || (20..29).contains(&i)).collect();
    compare(&run(&a), &run(&b)).unwrap()
}

#[test]
fn a_comparison_tells_its_numbers() {
    insta::assert_snapshot!(nine_and_twelve());
    let runs = |wrong: usize| -> Vec<Predictions> {
        (0..3).map(|seed| run(&(0..66).map(|i| i >= seed && i < wrong + seed).collect::<Vec<_>>())).collect()
    };
    insta::assert_snapshot!(compare_many(&runs(14), &runs(1)).unwrap());
}

#[test]
fn a_comparison_survives_json() {
    let json = serde_json::to_string_pretty(&nine_and_twelve()).unwrap();
    insta::assert_snapshot!(json);
    assert_eq!(serde_json::from_str::<Comparison>(&json).unwrap(), nine_and_twelve());
}

#[test]
fn the_order_of_items_and_classes_does_not_matter() {
    let a = predictions_of(&LABELS, &[(0, 0), (1, 0), (1, 1)]);
    let vocab = Vocab::new(["fox", "grey", "red"].map(String::from));
    let paths = [2, 0, 1].map(|i| format!("photos/{i:03}.jpg").into()).to_vec();
    let (items, _) = crate::names(3);
    let probabilities = vec![0.0, 0.1, 0.9, 0.0, 0.9, 0.1, 0.0, 0.9, 0.1];
    let b = Predictions::from_probabilities(vocab, items, paths, probabilities, vec![2, 1, 2]).unwrap();
    let comparison = compare(&a, &b).unwrap();
    assert_eq!((comparison.a_ahead, comparison.b_ahead, comparison.error_rate.value), (0, 0, 0.0));
    assert_eq!(comparison.p_value, 1.0);
}

#[test]
fn seeds_that_also_split_are_compared_run_by_run() {
    let part = |range: std::ops::Range<usize>, wrong: usize| {
        let whole = run(&(0..40).map(|i| i < wrong).collect::<Vec<_>>());
        Predictions::from_probabilities(
            whole.vocab.clone(),
            whole.items[range.clone()].to_vec(),
            whole.paths[range.clone()].to_vec(),
            whole.probabilities[2 * range.start..2 * range.end].to_vec(),
            whole.targets[range].to_vec(),
        )
        .unwrap()
    };
    let a = [part(0..30, 20), part(10..40, 20)];
    let b = [part(0..30, 0), part(10..40, 0)];
    let comparison = compare_many(&a, &b).unwrap();
    assert_eq!((comparison.items, comparison.test), (40, PairedTest::SignFlip));
    assert_eq!((comparison.a_ahead, comparison.b_ahead), (0, 20));
    assert_eq!(comparison.a.error_rates, [20.0 / 30.0, 10.0 / 30.0]);
    assert_eq!((comparison.error_rate.value, comparison.verdict), (-0.5, Verdict::Better));

    let other = compare_many(&a, &[part(0..30, 0), part(0..30, 0)]).unwrap_err();
    assert!(
        other.to_string().starts_with("photos/000.jpg: it is in 1 of 2 runs of A and in 2 of 2 runs of B;")
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let three = predictions_of(&LABELS, &[(0, 0), (1, 1), (1, 1)]);
    let two = predictions_of(&LABELS, &[(0, 0), (1, 1)]);
    let relabelled = predictions_of(&LABELS, &[(0, 0), (0, 1), (1, 1)]);
    let mut twice = three.clone();
    twice.paths[2] = twice.paths[1].clone();
    let nothing = predictions_of(&LABELS, &[]);
    let text = |a: &Predictions, b: &Predictions| compare(a, b).unwrap_err().to_string();
    let texts = [
        text(&three, &two),
        text(&two, &three),
        text(&three, &relabelled),
        text(&three, &twice),
        text(&nothing, &nothing),
        compare_many(&[], &[two]).unwrap_err().to_string(),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}
