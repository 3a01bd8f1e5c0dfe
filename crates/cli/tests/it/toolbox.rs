//! What a practitioner reaches for next: tables of labels, metrics, mixing, comparing, reports, rates, completions.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::{drawn, sciurus, train};

fn header(folder: &Path, run: &str) -> String {
    let table = std::fs::read_to_string(folder.join(run).join("history.csv")).unwrap();
    table.lines().next().unwrap().to_owned()
}

#[test]
fn a_table_of_labels_with_a_test_split_and_more_metrics() {
    let folder = drawn(15);
    let path = folder.path();
    let mut table = String::from("path,label\n");
    for kind in ["acorn", "leaf"] {
        for n in 0..15 {
            // The table, not the folder, says what a picture shows.
            writeln!(table, "{kind}/{kind}-{n:03}.png,a {kind}").unwrap();
        }
    }
    std::fs::write(path.join("labels.csv"), table).unwrap();
    let more = "--epochs 2 --csv labels.csv --test-fraction 0.2 --metrics error_rate,f1,roc_auc --balance loss --mix mix-up \
                --loss label_smoothing --clip-norm 1 --accumulate 2";
    let ran = train(path, "run", more).expect(0);
    assert_eq!(
        header(path, "run").split(',').skip(3).take(3).collect::<Vec<_>>(),
        ["error_rate", "f1", "roc_auc"]
    );
    assert!(ran.out.contains("a acorn, a leaf") && ran.out.contains("test set: "), "{}", ran.out);
    // What was asked for is told of the finished model, on both kinds of photos.
    let told = sciurus(path, &["interpret", "run", "--json"]).expect(0);
    let told: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    for metrics in ["metrics", "test_metrics"] {
        let names: Vec<&str> =
            told[metrics].as_array().unwrap().iter().map(|metric| metric["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["error_rate", "accuracy", "f1", "roc_auc"], "{metrics}");
    }
    let told = sciurus(path, &["interpret", "run"]).expect(0);
    assert!(told.out.contains("test set:\nerror_rate"), "{}", told.out);
}

#[test]
fn names_hold_labels_and_folds_part_the_photos() {
    let folder = drawn(15);
    let path = folder.path();
    let ran = sciurus(
        path,
        &[
            "train",
            "photos",
            "--run",
            "named",
            "--name-pattern",
            r"^([a-z]+)-\d+\.png$",
            "--fold",
            "2/5",
            "--balance",
            "batches",
            "--mix",
            "cut-mix",
            "--no-pretrained",
            "--arch",
            "resnet10_narrow",
            "--image-size",
            "64",
            "--epochs",
            "1",
            "--batch-size",
            "8",
            "--augment",
            "trivial-augment",
        ],
    );
    let ran = ran.expect(0);
    assert!(ran.out.contains("24 for training, 6 for validation"), "{}", ran.out);
    let ran = sciurus(path, &["train", "photos", "--fold", "6/5"]).expect(2);
    assert!(ran.err.contains("1/5"), "{}", ran.err);
    let ran = sciurus(path, &["train", "photos", "--metrics", "luck", "--no-pretrained"]).expect(2);
    assert!(ran.err.contains("luck") && ran.err.contains("roc_auc"), "{}", ran.err);
}

#[test]
fn two_runs_are_compared_and_one_is_no_better_than_itself() {
    let folder = drawn(15);
    let path = folder.path();
    train(path, "a", "--epochs 2 --quiet").expect(0);
    train(path, "b", "--epochs 2 --quiet --augment flip").expect(0);
    let ran = sciurus(path, &["compare", "a", "a"]).expect(0);
    assert!(ran.out.contains("no difference"), "{}", ran.out);
    let ran = sciurus(path, &["compare", "--a", "a", "--a", "b", "--b", "b", "--b", "a", "--json"]).expect(0);
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["verdict"], "no_difference", "{told}");
    let ran = sciurus(path, &["compare", "a", "nowhere"]).expect(2);
    assert!(ran.err.contains("nowhere"), "{}", ran.err);
    sciurus(path, &["compare", "a"]).expect(2);
    let twice = sciurus(path, &["compare", "--a", "a", "--a", "./a", "--b", "b"]).expect(2);
    assert!(twice.err.contains("./a is given twice"), "{}", twice.err);
}

#[test]
fn a_run_is_looked_at_from_any_folder_and_photos_that_are_gone_are_told() {
    let folder = drawn(15);
    let path = folder.path();
    train(path, "run", "--epochs 1 --quiet").expect(0);
    let elsewhere = tempfile::tempdir().unwrap();
    let run = path.join("run").display().to_string();
    let page = |top: &[&str]| {
        let ran = sciurus(elsewhere.path(), &[&["interpret", &run, "--html", "page.html"], top].concat());
        (ran.expect(0).err, std::fs::read_to_string(elsewhere.path().join("page.html")).unwrap())
    };
    let (told, whole) = page(&[]);
    assert_eq!((told.as_str(), whole.matches("data:image/jpeg;base64,").count()), ("", 12));
    assert!(whole.contains("<dt>epochs</dt><dd>1</dd>"), "{whole}");
    let shown = |page: &str| page.matches(" data-top>").count();
    assert_eq!((shown(&whole), shown(&page(&["--top", "2"]).1)), (6, 2));

    std::fs::rename(path.join("photos"), path.join("moved")).unwrap();
    let (told, page) = page(&[]);
    assert!(told.contains("6 photos can no longer be read") && told.contains("photos"), "{told}");
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 0);
}

#[test]
fn settings_that_cannot_be_trained_leave_no_run_behind() {
    let folder = drawn(12);
    let path = folder.path();
    for (options, told) in [
        ("--epochs 0", "--epochs is 0; choose 1 or more"),
        ("--epochs 1 --lr 0", "choose a number above 0"),
        ("--epochs 1 --patience 0", "--patience is 0; choose 1 or more"),
    ] {
        let ran = train(path, "run", options).expect(2);
        assert!(ran.err.contains(told), "{options}: {}", ran.err);
        assert!(!path.join("run").exists(), "{options}");
    }
    assert!(train(path, "run", "--epochs 1 --tta 0").expect(2).err.contains("--tta"));
    for (line, told) in [
        ("random_resized_crop = { min_scale = 35.0 }", "min_scale above 0 and at most 1"),
        ("random_erasing = { min_scale = 0.35, probability = 1.0 }", "unknown field `probability`"),
        ("trivial_augment = { erase = 2.0 }", "how often to erase"),
        ("standard = { max_rotate = 200.0 }", "max_rotate up to 180 degrees"),
        ("rand_augment = { policy = { magnitude = 31 } }", "a magnitude of up to 30"),
    ] {
        std::fs::write(path.join("c.toml"), format!("folder = \"photos\"\naugmentation = {{ {line} }}\n"))
            .unwrap();
        let ran = sciurus(path, &["train", "--config", "c.toml", "--run", "run"]).expect(2);
        assert!(ran.err.contains(told), "{line}: {}", ran.err);
    }
    assert!(!path.join("run").exists());
    train(path, "run", "--epochs 1 --quiet").expect(0);
}

#[cfg(unix)]
#[test]
fn names_that_hold_terminal_commands_are_shown_as_text() {
    let folder = drawn(12);
    let path = folder.path();
    let evil = path.join("photos/acorn/a\n\u{1b}[2Jb.png");
    std::fs::write(&evil, b"no picture").unwrap();
    train(path, "run", "--epochs 1").expect(0);
    let inspected = sciurus(path, &["inspect", "photos"]).expect(1);
    let predicted = sciurus(path, &["predict", "run/model.sciurus", "photos"]).expect(1);
    for told in [inspected.out, predicted.err] {
        assert!(told.contains("a\\n\\u{1b}[2Jb.png") && !told.contains('\u{1b}'), "{told}");
    }
}

#[test]
fn a_report_is_one_page_with_photos_and_heat_maps() {
    let folder = drawn(15);
    let path = folder.path();
    train(path, "run", "--epochs 2 --quiet").expect(0);
    sciurus(path, &["interpret", "run", "--html", "report.html"]).expect(0);
    let page = std::fs::read_to_string(path.join("report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("resnet10_narrow on photos"));
    // Six photos measure the model; each has its picture and its heat map.
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 12);
    for outside in ["http://", "https://", "src=\"/"] {
        let links = page.matches(outside).count()
            - page.matches("http://www.w3.org").count() * usize::from(outside == "http://");
        assert_eq!(links, 0, "the page asks for something from {outside}");
    }
}

#[test]
fn rates_are_found_and_nothing_is_left_behind() {
    let folder = drawn(15);
    let path = folder.path();
    let arguments =
        "lr-find photos --no-pretrained --arch resnet10_narrow --image-size 64 --batch-size 8 --steps 30";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let ran = sciurus(path, &[&arguments[..], &["--json"]].concat()).expect(0);
    let curve: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let rates = curve["learning_rates"].as_array().unwrap();
    assert!((15..=30).contains(&rates.len()), "{} rates", rates.len());
    let valley = curve["suggestions"]["valley"].as_f64().unwrap();
    assert!((1e-7..10.0).contains(&valley), "{valley}");
    let ran = sciurus(path, &arguments).expect(0);
    assert!(ran.out.contains("smoothed loss by learning rate") && ran.out.contains("valley"), "{}", ran.out);
    assert!(!path.join("runs").exists());
    let by_name =
        sciurus(path, &[&arguments[..], &["--name-pattern", "^([a-z]+)-", "--json"]].concat()).expect(0);
    let by_name: serde_json::Value = serde_json::from_str(&by_name.out).unwrap();
    assert_eq!(by_name["losses"], curve["losses"], "the same photos by another way");
    assert!(
        sciurus(path, &[&arguments[..], &["--csv", "gone.csv"]].concat()).expect(2).err.contains("gone.csv")
    );
}

#[test]
fn inspect_shows_the_split_that_train_would_make() {
    let folder = drawn(15);
    let inspected = |options: &str| {
        let options =
            [&["inspect", "photos", "--json"][..], &options.split(' ').collect::<Vec<_>>()].concat();
        let ran = sciurus(folder.path(), &options).expect(0);
        let all = serde_json::from_str::<serde_json::Value>(&ran.out).unwrap();
        all["summary"]["splits"].clone()
    };
    assert_eq!(inspected("--fold 2/5"), serde_json::json!([["train", 24], ["valid", 6], ["test", 0]]));
    assert_eq!(
        inspected("--test-fraction 0.2"),
        serde_json::json!([["train", 18], ["valid", 6], ["test", 6]])
    );
}

#[test]
fn several_views_are_measured_besides() {
    let folder = drawn(15);
    let ran =
        train(folder.path(), "run", "--epochs 2 --augment flip --tta 2 --keep best --patience 1").expect(0);
    assert!(ran.out.contains("averaged over 2 augmented views: error_rate"), "{}", ran.out);
    assert!(ran.out.contains("saved: the model of epoch"), "{}", ran.out);
}

#[test]
fn a_budget_of_time_is_kept() {
    let folder = drawn(15);
    let path = folder.path();
    let ran = sciurus(path, &["train", "photos", "--in", "5s"]).expect(2);
    assert!(ran.err.contains("at least 10 seconds"), "{}", ran.err);
    let ran = sciurus(path, &["train", "photos", "--in", "soon"]).expect(2);
    assert!(ran.err.contains("60s, 2m or 1h"), "{}", ran.err);
}

#[test]
fn sheets_completions_and_manual_pages_are_written() {
    let folder = drawn(15);
    let path = folder.path();
    let arguments = "inspect photos --image-size 64 --augment rand_augment --sheet sheet.png --quiet";
    sciurus(path, &arguments.split_whitespace().collect::<Vec<_>>()).expect(0);
    let size = image_size(&path.join("sheet.png"));
    assert_eq!(size, [6 * 68 + 4, 6 * 68 + 4]);

    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = sciurus(path, &["completions", shell]).expect(0).out;
        assert!(script.contains("lr-find") && script.contains("precision"), "{shell}");
    }
    sciurus(path, &["completions", "man", "--into", "man"]).expect(0);
    let page = std::fs::read_to_string(path.join("man/sciurus-train.1")).unwrap();
    assert!(page.contains("Photos, in a folder per class"), "{page}");
}

/// Width and height of a PNG file, from its header.
fn image_size(path: &Path) -> [u32; 2] {
    let bytes = std::fs::read(path).unwrap();
    [16, 20].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()))
}

#[test]
fn a_run_writes_for_tensorboard_and_in_half_precision_if_asked_to() {
    let folder = drawn(12);
    let path = folder.path();
    train(path, "run", "--epochs 1 --quiet --tensorboard --half").expect(0);
    let mut files = std::fs::read_dir(path.join("run/tensorboard")).unwrap();
    assert!(files.next().unwrap().unwrap().metadata().unwrap().len() > 200);
    let config = std::fs::read_to_string(path.join("run/config.toml")).unwrap();
    assert!(config.contains("half = true") && config.contains("tensorboard = true"), "{config}");
}

#[test]
fn nothing_is_downloaded_offline() {
    let folder = drawn(12);
    let ran = sciurus(folder.path(), &["train", "photos", "--offline", "--arch", "resnet18"]).expect(2);
    assert!(ran.err.contains("resnet18-f37072fd.pth") && ran.err.contains("--offline"), "{}", ran.err);
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let failing = |variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sciurus"));
        command.args(["inspect", "nowhere"]).current_dir(folder.path()).env_remove("NO_COLOR");
        let output = command.envs(variables.iter().copied()).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(failing(&[("CLICOLOR_FORCE", "1")]).contains("\u{1b}[1m"));
    for plain in [&[][..], &[("NO_COLOR", "1")]] {
        assert!(failing(plain).starts_with("error: "), "{plain:?}");
    }
}
