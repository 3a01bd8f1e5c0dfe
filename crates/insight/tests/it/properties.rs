//! What holds for all predictions, not only for the golden ones.

use std::collections::HashSet;

use proptest::prelude::*;
use sciurus_insight::{
    Accuracy, ClassificationInterpretation, ConfusionMatrix, ErrorRate, Measured, Metric, Predictions, Vocab,
    wilson,
};

/// Up to 40 items of up to 6 classes, with logits that sometimes tie.
fn any_predictions() -> impl Strategy<Value = Predictions> {
    (1_usize..7, 1_usize..41).prop_flat_map(|(classes, len)| {
        let logits = prop::collection::vec((-20_i8..20).prop_map(f32::from), classes * len);
        let targets = prop::collection::vec(0..classes, len);
        (logits, targets).prop_map(move |(logits, targets)| {
            let vocab = Vocab::new((0..classes).map(|class| format!("label {class}")));
            let (items, paths) = crate::names(len);
            Predictions::from_logits(vocab, items, paths, &logits, targets).unwrap()
        })
    })
}

/// Counts of up to 40 classes with labels of up to 40 letters, as a file would hold them.
fn any_confusion() -> impl Strategy<Value = ConfusionMatrix> {
    prop::collection::btree_set("[A-Z]{1,40}", 1..41).prop_flat_map(|labels| {
        let counts = prop::collection::vec(0_usize..3000, labels.len() * labels.len());
        counts.prop_map(move |counts| {
            let json = serde_json::json!({"vocab": &labels, "counts": counts});
            serde_json::from_value(json).unwrap()
        })
    })
}

/// Predictions, and the same items in another order.
fn predictions_and_shuffled() -> impl Strategy<Value = (Predictions, Predictions)> {
    any_predictions().prop_flat_map(|predictions| {
        let order = Just((0..predictions.len()).collect::<Vec<_>>()).prop_shuffle();
        order.prop_map(move |order| (predictions.clone(), reordered(&predictions, &order)))
    })
}

fn reordered(predictions: &Predictions, order: &[usize]) -> Predictions {
    let losses = order.iter().map(|&i| predictions.losses[i]).collect();
    Predictions::from_probabilities(
        predictions.vocab.clone(),
        order.iter().map(|&i| predictions.items[i]).collect(),
        order.iter().map(|&i| predictions.paths[i].clone()).collect(),
        order.iter().flat_map(|&i| predictions.row(i)).copied().collect(),
        order.iter().map(|&i| predictions.targets[i]).collect(),
    )
    .and_then(|predictions| predictions.with_losses(losses))
    .unwrap()
}

proptest! {
    #[test]
    fn wilson_contains_the_estimate_within_0_to_1((k, n) in (1_usize..5000).prop_flat_map(|n| (0..=n, Just(n)))) {
        let interval = wilson(k, n);
        let estimate = k as f64 / n as f64;
        prop_assert!(0.0 <= interval.low && interval.high <= 1.0);
        prop_assert!(interval.low <= estimate && estimate <= interval.high);
        prop_assert!(interval.low < interval.high);
    }

    #[test]
    fn wilson_of_none_and_of_all_ends_exactly_at_0_and_1(n in 1_usize..5000) {
        prop_assert_eq!(wilson(0, n).low, 0.0);
        prop_assert_eq!(wilson(n, n).high, 1.0);
        prop_assert_eq!(wilson(n + 1, n), wilson(n, n));
    }

    #[test]
    fn wilson_of_failures_mirrors_that_of_successes((k, n) in (1_usize..5000).prop_flat_map(|n| (0..=n, Just(n)))) {
        let (right, wrong) = (wilson(k, n), wilson(n - k, n));
        prop_assert!((right.low - (1.0 - wrong.high)).abs() < 1e-12);
    }

    #[test]
    fn accuracy_and_error_rate_sum_to_1(predictions in any_predictions()) {
        let sum = Accuracy.value(&predictions) + ErrorRate.value(&predictions);
        prop_assert!((sum - 1.0).abs() < 1e-12);
    }

    #[test]
    fn confusion_sums_to_the_items_and_its_diagonal_to_the_right_ones(predictions in any_predictions()) {
        let confusion = ClassificationInterpretation::new(predictions.clone()).confusion_matrix();
        let confused: usize = confusion.most_confused(1).iter().map(|pair| pair.count).sum();
        prop_assert_eq!(confusion.counts.iter().sum::<usize>(), predictions.len());
        prop_assert_eq!(confused, predictions.mistakes());
    }

    #[test]
    fn the_order_of_the_items_changes_no_metric((predictions, shuffled) in predictions_and_shuffled()) {
        for metric in [&ErrorRate as &dyn Metric, &Accuracy] {
            prop_assert_eq!(Measured::new(metric, &predictions), Measured::new(metric, &shuffled));
        }
        prop_assert!((predictions.valid_loss() - shuffled.valid_loss()).abs() < 1e-9);
        let confusion = |predictions| ClassificationInterpretation::new(predictions).confusion_matrix();
        prop_assert_eq!(confusion(predictions), confusion(shuffled));
    }

    #[test]
    fn json_gives_back_the_same_predictions(predictions in any_predictions()) {
        let json = serde_json::to_string(&predictions).unwrap();
        prop_assert_eq!(serde_json::from_str::<Predictions>(&json).unwrap(), predictions);
    }

    #[test]
    fn top_losses_descend_and_hold_every_item_once(predictions in any_predictions()) {
        let top = ClassificationInterpretation::new(predictions.clone()).top_losses(usize::MAX);
        prop_assert!(top.is_sorted_by(|a, b| (b.loss, a.item) <= (a.loss, b.item)));
        let mut items: Vec<_> = top.iter().map(|top| top.item).collect();
        items.sort();
        prop_assert_eq!(items, predictions.items);
    }

    #[test]
    fn a_grid_fits_the_terminal_and_its_headings_differ(confusion in any_confusion()) {
        let text = confusion.to_string();
        let Some((_, grid)) = text.split_once("predicted\n") else {
            prop_assert!(text.starts_with("actual") && text.contains("taken for"), "{}", text);
            return Ok(());
        };
        prop_assert!(text.lines().all(|line| line.chars().count() <= 100), "{}", text);
        let headings: Vec<&str> = grid.lines().next().unwrap().split_whitespace().collect();
        let distinct: HashSet<_> = headings.iter().collect();
        prop_assert_eq!(distinct.len(), confusion.vocab.len() + 3, "{}", text);
    }
}
