//! Predictions in files, and what is said about ones that do not fit together.

use std::path::Path;

use sciurus_data::fs::FileError;
use sciurus_insight::{Embeddings, InsightError, Predictions, Vocab};

use crate::{names, predictions_of};

fn two_items() -> Predictions {
    predictions_of(&["grey", "red"], &[(0, 0), (1, 0)])
}

fn text(error: &InsightError) -> String {
    std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// The error of `from_probabilities` with two items and labels.
fn refused(probabilities: &[f32], targets: &[usize]) -> String {
    let (items, paths) = names(2);
    let vocab = Vocab::new(["grey".to_string(), "red".to_string()]);
    let error =
        Predictions::from_probabilities(vocab, items, paths, probabilities.to_vec(), targets.to_vec());
    text(&error.unwrap_err())
}

#[test]
fn save_then_load_gives_the_same_and_leaves_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("predictions.json");
    let embeddings = Embeddings { width: 2, values: vec![0.1, -2.5, 3.0e-8, 1.0] };
    let predictions = two_items().with_embeddings(embeddings).unwrap();

    two_items().save(&file).unwrap();
    predictions.save(&file).unwrap();

    assert_eq!(Predictions::load(&file).unwrap(), predictions);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_truncated_file_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("predictions.json");
    two_items().save(&file).unwrap();
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();

    let error = Predictions::load(&file).unwrap_err();
    assert!(matches!(error, InsightError::Parse { .. }));
    let error = text(&error).replace(&folder.path().display().to_string(), "RUN");
    insta::assert_snapshot!(error);
}

#[test]
fn a_file_whose_lists_do_not_fit_is_refused() {
    let mut predictions = two_items();
    predictions.losses.pop();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("predictions.json");
    predictions.save(&file).unwrap();
    let error = text(&Predictions::load(&file).unwrap_err());
    assert!(error.contains("losses (one per item): expected 2 values, found 1"), "{error}");
}

#[test]
fn a_missing_file_and_a_missing_folder_are_named() {
    let missing = Path::new("no/such/folder/predictions.json");
    let read = text(&Predictions::load(missing).unwrap_err());
    insta::assert_snapshot!("missing_file", read);
    let write = text(&two_items().save(missing).unwrap_err());
    insta::assert_snapshot!("missing_folder", write);
}

#[test]
fn a_save_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    std::fs::create_dir_all(taken.join("full")).unwrap();
    assert!(matches!(two_items().save(&taken), Err(InsightError::File(FileError::NotOurs { .. }))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn lists_that_do_not_fit_together_are_refused() {
    let refusals = [
        refused(&[0.5, 0.5, 1.0], &[0, 1]),
        refused(&[0.5, 0.5, 1.0, 0.0], &[0]),
        refused(&[0.5, 0.5, 1.0, 0.0], &[0, 2]),
        refused(&[0.5, 0.5, f32::NAN, 0.0], &[0, 1]),
        refused(&[0.5, 0.5, 3.0, 1.5], &[0, 1]),
        refused(&[0.5, 0.5, -1.0, 2.0], &[0, 1]),
        text(&two_items().with_losses(vec![0.0]).unwrap_err()),
        text(&two_items().with_losses(vec![0.0, f32::INFINITY]).unwrap_err()),
        text(&two_items().with_embeddings(Embeddings { width: 3, values: vec![0.0; 5] }).unwrap_err()),
    ];
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn logits_that_are_not_finite_are_refused() {
    let (items, paths) = names(1);
    let vocab = Vocab::new(["grey".to_string(), "red".to_string()]);
    let error = Predictions::from_logits(vocab, items, paths, &[0.0, f32::INFINITY], vec![0]).unwrap_err();
    assert!(matches!(error, InsightError::NotFinite { .. }), "{error}");
}

#[test]
fn a_certain_mistake_has_a_finite_loss() {
    let (items, paths) = names(1);
    let vocab = Vocab::new(["grey".to_string(), "red".to_string()]);
    let predictions = Predictions::from_probabilities(vocab, items, paths, vec![1.0, 0.0], vec![1]).unwrap();
    assert!((predictions.losses[0] - 87.336_54).abs() < 1e-4);
}

#[test]
fn a_certain_and_right_prediction_has_loss_0_without_a_sign() {
    let (items, paths) = names(2);
    let vocab = Vocab::new(["grey".to_string(), "red".to_string()]);
    let probabilities = vec![1.0, 0.0, 1.000_001, 0.0];
    let predictions =
        Predictions::from_probabilities(vocab, items, paths, probabilities, vec![0, 0]).unwrap();
    assert_eq!(format!("{:?}", predictions.losses), "[0.0, 0.0]");
}

#[test]
fn ties_go_to_the_first_class() {
    let (items, paths) = names(1);
    let vocab = Vocab::new(["a", "b", "c"].map(String::from));
    let predictions = Predictions::from_logits(vocab, items, paths, &[0.0, 1.0, 1.0], vec![0]).unwrap();
    assert_eq!(predictions.prediction_label(0), "b");
}
