//! What somebody is told who tries the program for the first time, whole: what was passed over, what was left, what to do.

use std::fs;
use std::path::Path;

use crate::support::{Ran, drawn, sciurus, train};

/// What each command line answers. In it, words stand apart by spaces.
fn transcript(folder: &Path, lines: &[&str]) -> String {
    lines.iter().map(|line| said(folder, line)).collect()
}

fn said(folder: &Path, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let Ran { code, out, err } = sciurus(folder, &words);
    assert!(
        !["Some(", "Err(", "Os {", "PathBuf", "panicked"].iter().any(|debug| err.contains(debug)),
        "{err}"
    );
    let text = format!("$ sciurus {line}\n{out}{err}exit code {code}\n\n");
    text.replace(&folder.canonicalize().unwrap().display().to_string(), "FOLDER")
}

#[test]
fn what_a_plan_does_and_does_not_do() {
    let folder = drawn(8);
    let path = folder.path();
    fs::copy(path.join("photos/leaf/leaf-003.png"), path.join("photos/leaf/zz copy.png")).unwrap();
    fs::write(path.join("photos/leaf/page.png"), "<!DOCTYPE html><title>404</title>").unwrap();
    let mut said = transcript(
        path,
        &[
            "clean photos --retrain",
            "clean photos --undo",
            "clean photos --arch hazel --auto --plan clean.json",
            "clean photos --undo",
            "clean photos --arch hazel --worst 0 --plan clean.json --json",
        ],
    );
    // What is proposed depends on features; a plan of these two does not.
    said.truncate(said.find("$ sciurus clean photos --arch hazel --worst 0").unwrap());
    let plan = path.join("clean.json");
    let mut kept: serde_json::Value = serde_json::from_slice(&fs::read(&plan).unwrap()).unwrap();
    kept["items"].as_array_mut().unwrap().retain(|item| {
        ["leaf/zz copy.png", "leaf/page.png", "leaf/leaf-003.png"].contains(&item["path"].as_str().unwrap())
    });
    fs::write(&plan, kept.to_string()).unwrap();
    fs::create_dir_all(path.join("others/leaf")).unwrap();
    said += &transcript(
        path,
        &[
            "clean photos --apply clean.json",
            "clean others --apply clean.json",
            "clean photos --arch hazel --plan clean.json",
            "clean photos --apply nowhere.json",
            "clean photos --apply clean.json --proposals",
            "clean photos --apply clean.json --proposals",
            "clean photos --undo",
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn which_model_and_which_photos() {
    let folder = drawn(4);
    let path = folder.path();
    train(path, "run", "--epochs 1 --quiet").expect(0);
    let mut said = transcript(
        path,
        &[
            "predict photos/leaf/leaf-001.png run",
            "predict photos photos/leaf/leaf-001.png",
            "predict run nowhere.png",
            "predict run",
            "interpret photos",
            "train photos --from run --arch resnet18",
            "train photos --from photos",
            "train --resume run",
            "train --resume run --epochs 9",
            "train photos --run run",
        ],
    );
    fs::remove_file(path.join("run/model.sciurus")).unwrap();
    said += &transcript(path, &["predict run photos/leaf/leaf-001.png"]);
    insta::assert_snapshot!(said);
}

#[test]
fn why_no_photos_were_gathered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir_all(path.join("mine/birch")).unwrap();
    image::RgbImage::from_pixel(300, 300, [9, 90, 30].into()).save(path.join("mine/birch/1.png")).unwrap();
    fs::write(path.join("list.txt"), "https://example.org/1.jpg\n").unwrap();
    // Nothing listens at port 1.
    let said = transcript(
        path,
        &[
            "gather oak --into squirrels --source openverse --endpoint openverse=http://127.0.0.1:1/ --allow-private-hosts 127.0.0.1",
            "gather oak --into leaves --source mine",
            "gather birch --into leaves --source mine",
            "gather oak --into leaves --source nowhere",
            "gather oak --into list.txt --source mine",
            "gather oak --into leaves --source pexels",
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn tables_and_options_that_do_not_fit() {
    let folder = drawn(4);
    let path = folder.path();
    fs::write(path.join("labels.csv"), "file;kind\nleaf/leaf-000.png;leaf\nacorn/acorn-000.png;acorn\n")
        .unwrap();
    fs::write(path.join("latin.csv"), b"file,label\nleaf/leaf-000.png,h\xe9risson\n").unwrap();
    fs::write(path.join("gone.csv"), "file,label\na/1.png,a\na/2.png,b\n").unwrap();
    let said = transcript(
        path,
        &[
            "inspect photos --csv labels.csv --label-column species",
            "inspect photos --csv labels.csv --path-column 7",
            "inspect photos --csv labels.csv --delimiter ,",
            "inspect photos --csv latin.csv",
            "inspect photos --csv gone.csv",
            "inspect photos --path-column file",
            "inspect photos --fold 6/5",
            "inspect photos --valid-fraction 2",
            "inspect photos --sheet sheet.pdf",
            "lr-find photos --arch resnet18 --offline",
        ],
    );
    insta::assert_snapshot!(said);
}
