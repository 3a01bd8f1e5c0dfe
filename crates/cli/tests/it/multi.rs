//! Photos with any number of labels on the command line: inspect, train, interpret, predict, and what is refused.

use std::fmt::Write as _;

use crate::support::{drawn, sciurus, train};

/// Drawn acorns and leaves with a table that gives acorns two labels and every third leaf none.
fn labelled() -> tempfile::TempDir {
    let folder = drawn(15);
    let mut table = String::from("path,labels\n");
    for n in 0..15 {
        writeln!(table, "acorn/acorn-{n:03}.png,acorn;brown").unwrap();
        writeln!(table, "leaf/leaf-{n:03}.png,{}", if n % 3 == 0 { "" } else { "leaf" }).unwrap();
    }
    std::fs::write(folder.path().join("labels.csv"), table).unwrap();
    folder
}

#[test]
fn the_whole_road_with_any_number_of_labels() {
    let folder = labelled();
    let path = folder.path();
    let table = ["--csv", "labels.csv", "--label-separator", ";"];
    let inspected = sciurus(path, &[&["inspect", "photos"], &table[..]].concat()).expect(0);
    assert!(inspected.out.contains("3 labels (multi-label)"), "{}", inspected.out);
    assert!(inspected.out.contains("5 photos have no label"), "{}", inspected.out);

    let more = "--epochs 2 --csv labels.csv --label-separator ; --test-fraction 0.2";
    let trained = train(path, "run", more).expect(0);
    assert!(trained.out.contains("3 labels (multi-label) (acorn, brown, leaf)"), "{}", trained.out);
    for part in ["accuracy_multi", "average_precision", "test set: accuracy_multi", "threshold", "flatters"] {
        assert!(trained.out.contains(part), "{part}:\n{}", trained.out);
    }
    let header = std::fs::read_to_string(path.join("run/history.csv")).unwrap();
    assert!(header.starts_with("epoch,train_loss,valid_loss,accuracy_multi,f1,time"), "{header}");
    let config = std::fs::read_to_string(path.join("run/config.toml")).unwrap();
    assert!(config.contains("label_separator = \";\""), "{config}");

    let interpreted = sciurus(path, &["interpret", "run", "--top", "3", "--html", "report.html"]).expect(0);
    assert!(
        interpreted.out.contains("precision") && interpreted.out.contains("most wrong"),
        "{}",
        interpreted.out
    );
    let json = sciurus(path, &["interpret", "run", "--json"]).expect(0).out;
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["labels"].as_array().unwrap().len(), 3);
    let page = std::fs::read_to_string(path.join("report.html")).unwrap();
    assert!(page.contains("Labels") && page.contains("data:image/jpeg") && !page.contains("Confusion"));

    let ran = sciurus(path, &["compare", "run", "run"]).expect(2);
    assert!(ran.err.contains("are multi-label") && ran.err.contains("interpret"), "{}", ran.err);

    let predict = |more: &[&str]| {
        sciurus(path, &[&["predict", "run/model.sciurus", "photos/acorn"], more].concat()).expect(0).out
    };
    let shown = predict(&[]);
    assert!(shown.lines().count() == 15 && shown.lines().all(|line| line.contains(" %")), "{shown}");
    let csv = predict(&["--format", "csv"]);
    assert_eq!((csv.lines().next(), csv.lines().count()), (Some("path,label,probability,on"), 1 + 15 * 3));
    let on = csv.lines().filter(|line| line.ends_with(",1")).count();
    let json = predict(&["--json"]);
    let answers: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(answers.iter().all(|answer| answer["probabilities"].as_array().unwrap().len() == 3));
    let labels: usize = answers.iter().map(|answer| answer["labels"].as_array().unwrap().len()).sum();
    assert_eq!(labels, on, "CSV and JSON agree about which labels are on");

    let again =
        sciurus(path, &["train", "--config", "run/config.toml", "--run", "again", "--quiet"]).expect(0);
    assert!(again.out.contains("average_precision"), "{}", again.out);
}

#[test]
fn what_cannot_go_with_any_number_of_labels_is_told() {
    let folder = labelled();
    let table = "--epochs 1 --csv labels.csv --label-separator ;";
    for (more, said) in [
        ("--metrics cohen_kappa", "exactly one label per photo"),
        ("--balance batches", "set --balance to loss"),
        ("--balance loss --loss focal", "set --balance to none"),
    ] {
        let ran = train(folder.path(), "run", &format!("{table} {more}")).expect(2);
        assert!(ran.err.contains(said), "{more}: {}", ran.err);
    }
    let ran = train(folder.path(), "run", "--epochs 1 --label-separator ;").expect(2);
    assert!(ran.err.contains("--csv"), "{}", ran.err);
    let ran = train(folder.path(), "run", "--epochs 1 --metrics f1_samples").expect(2);
    assert!(ran.err.contains("--label-separator"), "{}", ran.err);
}
