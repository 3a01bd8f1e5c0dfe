//! Help reads like a guide: every verb's, word for word.

use crate::support::sciurus;

#[test]
fn help_of_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("help", sciurus(folder.path(), &["--help"]).expect(0).out);
    for verb in [
        "gather",
        "train",
        "lr-find",
        "inspect",
        "clean",
        "interpret",
        "compare",
        "predict",
        "archs",
        "demo",
        "completions",
    ] {
        let ran = sciurus(folder.path(), &[verb, "--help"]).expect(0);
        insta::assert_snapshot!(format!("help_{verb}"), ran.out);
    }
}
