//! Help reads like a guide: every verb's, word for word.

use crate::support::{command, sciurus};

const VERBS: [&str; 14] = [
    "studio",
    "gather",
    "train",
    "lr-find",
    "inspect",
    "clean",
    "interpret",
    "compare",
    "predict",
    "serve",
    "export",
    "archs",
    "demo",
    "completions",
];

#[test]
fn help_of_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("help", sciurus(folder.path(), &["--help"]).expect(0).out);
    for verb in VERBS {
        let ran = sciurus(folder.path(), &[verb, "--help"]).expect(0);
        insta::assert_snapshot!(format!("help_{verb}"), ran.out);
    }
}

#[test]
fn help_fits_a_narrow_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let all = [vec!["--help"], vec!["-h"]].into_iter();
    let all = all.chain(VERBS.into_iter().flat_map(|verb| [vec![verb, "--help"], vec![verb, "-h"]]));
    for arguments in all {
        let ran = command(folder.path(), &arguments).env("COLUMNS", "80").output().unwrap();
        let help = String::from_utf8(ran.stdout).unwrap();
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{arguments:?}: {line}");
        }
        // Wrapped text, not text that was broken for a wider terminal and then broken again.
        let broken = help.lines().zip(help.lines().skip(1)).filter(|(one, next)| {
            let word = next.split(' ').next().unwrap_or_default();
            !one.is_empty()
                && !one.starts_with(' ')
                && !word.is_empty()
                && !one.ends_with(':')
                && one.chars().count() + 1 + word.chars().count() <= 80
        });
        assert_eq!(broken.collect::<Vec<_>>(), [], "{arguments:?}");
    }
}
