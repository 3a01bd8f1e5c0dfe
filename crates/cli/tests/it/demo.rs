//! The demo: the whole story on drawn pictures, with no network and an empty home.

use crate::offline::bare;
use crate::support::{Ran, sciurus};

/// The number that follows a word in a line that begins with it.
fn number(out: &str, begins: &str, place: usize) -> f64 {
    let line = out.lines().find(|line| line.trim_start().starts_with(begins));
    let line = line.unwrap_or_else(|| panic!("no `{begins}` in:\n{out}"));
    let words: Vec<&str> = line[line.find(begins).unwrap() + begins.len()..].split_whitespace().collect();
    words[place].parse().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn the_demo_trains_cleans_trains_again_and_predicts() {
    let (folder, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ran = Ran::from(bare(folder.path(), home.path(), &["demo"]).output().unwrap()).expect(0);
    let parts = [
        "$ sciurus train sciurus-demo",
        "| epoch | train_loss | valid_loss | error_rate | time",
        "95 % interval",
        "$ sciurus clean sciurus-demo",
        "nothing is ever deleted",
        "$ sciurus predict runs/",
        "sciurus train YOUR_FOLDER",
    ];
    let mut from = 0;
    for part in parts {
        let at = ran.out[from..].find(part).unwrap_or_else(|| panic!("no `{part}` in:\n{}", ran.out));
        from += at;
    }
    // Most of what was planted is found, and the model is better for it.
    for kind in ["in the wrong folder", "copies", "comics"] {
        let [planted, found] = [0, 1].map(|place| number(&ran.out, kind, place));
        assert!(found >= 0.75 * planted, "{found} of {planted} {kind}:\n{}", ran.out);
    }
    let comics = number(&ran.out, "the first 20 to look at hold", 5);
    assert!(comics >= 7.0, "{comics} of 8 comics are on the first page of the queue:\n{}", ran.out);
    let seen = number(&ran.out, "somebody who looks at 100, which takes two minutes, has seen", 0);
    assert!(seen >= 22.0, "{seen} of 24 in two minutes:\n{}", ran.out);
    let [before, after] = ["before  error_rate", "after   error_rate"].map(|row| number(&ran.out, row, 0));
    assert!(after <= before && after <= 0.1, "{before} before, {after} after:\n{}", ran.out);
}

#[test]
fn the_demo_does_not_draw_into_a_folder_that_is_not_its_own() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    let ran = sciurus(folder.path(), &["demo", "--into", "mine"]).expect(2);
    assert!(ran.err.contains("was not made by the demo; choose another folder"), "{}", ran.err);
    assert_eq!(std::fs::read_dir(folder.path().join("mine")).unwrap().count(), 0);
}
