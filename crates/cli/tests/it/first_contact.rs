//! Folders and tables as newcomers bring them, through the command line: what is said, and that it can be acted on.

use std::path::Path;
use std::process::Command;

use crate::support::{Ran, command, drawn, sciurus, train};

const QUICK: &str = "--no-pretrained --arch resnet10_narrow --image-size 64 --batch-size 8 --epochs 1";

fn quick(folder: &Path, arguments: &[&str]) -> Ran {
    let options: Vec<&str> = QUICK.split(' ').collect();
    sciurus(folder, &[arguments, &options[..]].concat())
}

/// Runs a line of our output in a shell, as somebody who pastes it would.
#[cfg(unix)]
fn pasted(folder: &Path, line: &str) -> Ran {
    let bin = Path::new(env!("CARGO_BIN_EXE_sciurus")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(folder).env("PATH", path).env("NO_COLOR", "1");
    shell.env("XDG_CACHE_HOME", folder.join("cache")).env("XDG_DATA_HOME", folder.join("data"));
    shell.output().unwrap().into()
}

#[cfg(unix)]
#[test]
fn suggested_commands_can_be_pasted() {
    let folder = drawn(6);
    let path = folder.path();
    let name = "my photos (2), Tom's; rm x";
    std::fs::rename(path.join("photos"), path.join(name)).unwrap();
    let trained = quick(path, &["train", name]).expect(0);
    let suggested = |verb: &str| -> String {
        let line = trained.out.lines().find(|line| line.contains(&format!("sciurus {verb} "))).unwrap();
        line[line.find("sciurus ").unwrap()..].to_owned()
    };
    assert!(pasted(path, &suggested("interpret")).expect(0).out.contains("error_rate"));
    let photo = format!("{}/acorn/acorn-000.png", path.join(name).display()).replace('\'', "'\\''");
    let predict = suggested("predict").replace("PHOTO...", &format!("'{photo}'"));
    assert!(pasted(path, &predict).expect(0).out.contains('%'));
}

#[test]
fn runs_that_begin_at_the_same_moment_have_folders_of_their_own() {
    let folder = drawn(4);
    let arguments: Vec<&str> = ["train", "photos"].into_iter().chain(QUICK.split(' ')).collect();
    let runs: Vec<_> = (0..3).map(|_| command(folder.path(), &arguments).spawn().unwrap()).collect();
    assert!(runs.into_iter().all(|mut run| run.wait().unwrap().success()));
    let made = std::fs::read_dir(folder.path().join("runs")).unwrap();
    assert!(
        made.map(|run| run.unwrap().path().join("model.sciurus")).filter(|model| model.is_file()).count()
            == 3
    );
    // A run that could not begin leaves no folder behind.
    quick(folder.path(), &["train", "nowhere"]).expect(2);
    assert_eq!(std::fs::read_dir(folder.path().join("runs")).unwrap().count(), 3);
}

#[test]
fn runs_in_the_folder_of_photos_are_not_classes() {
    let folder = drawn(4);
    let photos = folder.path().join("photos");
    let here = |arguments: &[&str]| -> Ran {
        command(folder.path(), arguments).current_dir(&photos).output().unwrap().into()
    };
    for _ in 0..2 {
        here(&["train", "."].into_iter().chain(QUICK.split(' ')).collect::<Vec<_>>()).expect(0);
        std::fs::copy(photos.join("leaf/leaf-000.png"), photos.join("runs/plot.png")).unwrap();
    }
    let seen = here(&["inspect", "."]).expect(0).out;
    assert!(
        seen.contains("2 classes") && seen.contains("(folders that `sciurus train` made): runs"),
        "{seen}"
    );
}

#[test]
fn predict_takes_a_run_and_explains_what_is_no_model() {
    let folder = drawn(4);
    train(folder.path(), "run", "--epochs 1 --quiet").expect(0);
    let photo = "photos/leaf/leaf-001.png";
    let by_run = sciurus(folder.path(), &["predict", "run", photo]).expect(0).out;
    assert_eq!(by_run, sciurus(folder.path(), &["predict", "run/model.sciurus", photo]).expect(0).out);
    let swapped = sciurus(folder.path(), &["predict", photo, "run"]).expect(2).err;
    assert!(swapped.contains("is a photo, not a model; name the model first"), "{swapped}");
    let no_run = sciurus(folder.path(), &["predict", "photos", photo]).expect(2).err;
    assert!(no_run.contains("is a folder, but not of a run"), "{no_run}");
    std::fs::remove_file(folder.path().join("run/model.sciurus")).unwrap();
    let unfinished = sciurus(folder.path(), &["predict", "run", photo]).expect(2).err;
    assert!(unfinished.contains("did not finish"), "{unfinished}");
}

#[test]
fn training_goes_on_from_a_model() {
    let folder = drawn(12);
    let path = folder.path();
    train(path, "first", "--epochs 4 --quiet").expect(0);
    let state = |run: &str| sciurus::ModelBundle::load(&path.join(run).join("model.sciurus")).unwrap().state;
    // Next to nothing is learnt, so the model has the weights that it goes on from, those of the head among them.
    let more = ["--learning-rate", "1e-12", "--epochs", "1", "--freeze-epochs", "0", "--batch-size", "8"];
    let apart = |one: &str, other: &str| -> Vec<String> {
        let other = state(other);
        let is_apart = |name: &String, values: &[f32]| {
            let pairs = values.iter().zip(&other[name].values);
            values.len() != other[name].values.len() || pairs.into_iter().any(|(a, b)| (a - b).abs() > 1e-6)
        };
        let state = state(one).into_iter().filter(|(name, _)| !name.contains("running_"));
        state.filter(|(name, tensor)| is_apart(name, &tensor.values)).map(|(name, _)| name).collect()
    };
    for (run, from) in [("second", "first"), ("third", "first/model.sciurus")] {
        sciurus(path, &[&["train", "photos", "--run", run, "--from", from][..], &more].concat()).expect(0);
        assert_eq!(apart(run, "first"), Vec::<String>::new());
    }
    // Other labels need a new head.
    std::fs::rename(path.join("photos/leaf"), path.join("photos/oak leaf")).unwrap();
    sciurus(path, &[&["train", "photos", "--run", "other", "--from", "first"][..], &more].concat()).expect(0);
    let new = apart("other", "first");
    assert!(!new.is_empty() && new.iter().all(|name| !name.starts_with("body.")), "{new:?}");
    let wrong = sciurus(path, &["train", "photos", "--from", "first", "--arch", "resnet18"]).expect(2).err;
    assert!(wrong.contains("--arch is resnet18; choose the network of the model"), "{wrong}");
}

/// What `inspect` says of layouts that people have.
#[test]
fn inspect_says_what_it_understood() {
    let folder = drawn(4);
    let path = folder.path();
    let photos = path.join("photos");
    let copy = |from: &str, to: &str| {
        let to = path.join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(photos.join(from), to).unwrap();
    };
    let classes = |root: &str| {
        for class in ["acorn", "leaf"] {
            for i in 0..4 {
                copy(&format!("{class}/{class}-00{i}.png"), &format!("{root}/{class}/{class}-00{i}.png"));
            }
        }
    };
    for [train, valid] in [["capitals/Train", "capitals/Test"], ["words/training_set", "words/validation"]] {
        classes(train);
        copy("leaf/leaf-000.png", &format!("{valid}/leaf/a.png"));
        copy("acorn/acorn-000.png", &format!("{valid}/acorn/a.png"));
    }
    classes("nested/dataset");
    classes("deeper/day");
    classes("deeper/night");
    classes("camera");
    copy("leaf/leaf-000.png", "camera/leaf/_MG_0001.JPG");
    copy("leaf/leaf-000.png", "camera/leaf/.hidden.png");
    copy("leaf/leaf-000.png", "camera/_aside/one.png");
    std::fs::write(path.join("camera/notes.txt"), "seen in May").unwrap();
    std::fs::write(path.join("camera/leaf/photo.heic"), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").unwrap();
    classes("split/train");
    std::fs::create_dir_all(path.join("split/valid")).unwrap();
    copy("leaf/leaf-000.png", "split/valid/leaf/a.png");
    let mut said = String::new();
    for name in ["capitals", "words", "nested", "deeper", "camera", "split"] {
        let ran = sciurus(path, &["inspect", name, "--image-size", "64"]);
        let shown = ran.out.split("\nhow does a photo reach").next().unwrap();
        said += &format!("== {name}, exit code {}\n{shown}{}\n", ran.code, ran.err);
    }
    insta::assert_snapshot!("inspect_layouts", said.replace(&path.display().to_string(), "FOLDER"));

    let table = |name: &str, text: &str| std::fs::write(path.join("photos").join(name), text).unwrap();
    let rows = |separator: &str, prefix: &str| -> String {
        let row = |class: &str, i: usize| format!("{prefix}{class}/{class}-00{i}.png{separator}{class}\n");
        ["acorn", "leaf"].iter().flat_map(|class| (0..4).map(move |i| row(class, i))).collect()
    };
    table("semicolon.csv", &format!("fname;labels\n{}", rows(";", "")));
    table("elsewhere.csv", &format!("path,label\n{}", rows(",", "images/")));
    table("columns.csv", &format!("what,where,when\n{}", rows(",", "").replace('\n', ",2026\n")));
    let mut said = String::new();
    for name in ["semicolon.csv", "elsewhere.csv", "columns.csv"] {
        let csv = format!("photos/{name}");
        let ran = sciurus(path, &["inspect", "photos", "--csv", &csv, "--image-size", "64"]);
        let shown = ran.out.split("\nhow does a photo reach").next().unwrap();
        said += &format!("== {name}, exit code {}\n{shown}{}\n", ran.code, ran.err);
    }
    insta::assert_snapshot!("inspect_tables", said.replace(&path.display().to_string(), "FOLDER"));
}

/// Layouts by the paths of their photos (with `*` for four photos of a class) and of other files.
const LAYOUTS: [(&str, &[&str]); 14] = [
    ("deep", &["acorn/2026/May/*", "leaf/wood/oak/*"]),
    ("sessions", &["acorn/2025/*", "acorn/2026/*", "leaf/2025/*", "leaf/2026/*"]),
    ("mixed", &["acorn/*", "acorn/more/*", "leaf/*", "loose.png"]),
    ("flat", &["*"]),
    ("one", &["acorn/*"]),
    ("empty", &[]),
    ("archive", &["set/acorn/*", "set/leaf/*", "__MACOSX/set/acorn/._a.txt"]),
    ("competition", &["train/*", "test/*", "train.csv"]),
    (
        "intel",
        &[
            "seg_train/seg_train/acorn/*",
            "seg_train/seg_train/leaf/*",
            "seg_test/seg_test/acorn/*",
            "seg_test/seg_test/leaf/*",
            "seg_pred/*",
        ],
    ),
    ("by_class", &["acorn/train/*", "acorn/val/*", "leaf/train/*", "leaf/val/*"]),
    ("drive", &["acorn/*", "acorn/Thumbs.db", "leaf/*", "leaf/@eaDir/leaf-000.png/thumb.png", "desktop.ini"]),
    ("parts", &["images/*", "annotations/list.txt", "annotations/trimaps/*"]),
    ("phone", &["DCIM/100APPLE/*", "DCIM/101APPLE/*", "DCIM/100APPLE/IMG_0001.AAE"]),
    (
        "exported",
        &[
            "train/acorn/*",
            "train/leaf/*",
            "valid/acorn/*",
            "valid/leaf/*",
            "README.dataset.txt",
            "data.yaml",
        ],
    ),
];

#[test]
fn inspect_says_what_a_careful_person_would() {
    let drawn = drawn(100);
    let folder = tempfile::tempdir().unwrap();
    let mut next = (0..100).cycle();
    let mut place = |path: std::path::PathBuf| {
        let class = if path.to_string_lossy().contains("leaf") { "leaf" } else { "acorn" };
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match path.extension().is_some_and(|ending| ending == "png") {
            true => {
                let number = next.next().unwrap();
                std::fs::copy(drawn.path().join(format!("photos/{class}/{class}-{number:03}.png")), path)
                    .unwrap();
            }
            false => std::fs::write(path, "words").unwrap(),
        }
    };
    let mut said = String::new();
    for (name, files) in LAYOUTS {
        let root = folder.path().join(name);
        std::fs::create_dir(&root).unwrap();
        for file in files {
            match file.strip_suffix('*') {
                Some(class) => (0..4).for_each(|i| place(root.join(class).join(format!("{i}.png")))),
                None => place(root.join(file)),
            }
        }
        let ran = sciurus(folder.path(), &["inspect", name, "--image-size", "64"]);
        let shown = ran.out.split("\nhow does a photo reach").next().unwrap();
        let of_sizes = |line: &&str| !line.starts_with("how big") && !line.starts_with("what are the items");
        let shown: String = shown.lines().filter(of_sizes).map(|line| format!("{line}\n")).collect();
        said += &format!("== {name}, exit code {}\n{shown}{}\n", ran.code, ran.err);
    }
    insta::assert_snapshot!("inspect_more_layouts", said);
}
