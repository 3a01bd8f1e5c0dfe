//! The demo: the whole road on drawn pictures.

use crate::support::sciurus;

#[test]
fn the_demo_shows_table_confusion_and_predictions_and_learns() {
    let folder = tempfile::tempdir().unwrap();
    let ran = sciurus(folder.path(), &["demo"]).expect(0);
    for part in [
        "| epoch | train_loss | valid_loss | error_rate | time",
        "error_rate",
        "95 % interval",
        "three predictions",
        "sciurus train YOUR_FOLDER",
    ] {
        assert!(ran.out.contains(part), "no `{part}` in:\n{}", ran.out);
    }
    let line = ran.out.lines().find(|line| line.starts_with("error_rate ")).unwrap();
    let error: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(error <= 0.1, "{line}");

    // The same folder again: the same pictures, a new run.
    sciurus(folder.path(), &["demo", "--quiet"]).expect(0);
}

#[test]
fn the_demo_does_not_draw_into_a_folder_that_is_not_its_own() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    let ran = sciurus(folder.path(), &["demo", "--into", "mine"]).expect(2);
    assert!(ran.err.contains("was not made by the demo; choose another folder"), "{}", ran.err);
    assert_eq!(std::fs::read_dir(folder.path().join("mine")).unwrap().count(), 0);
}
