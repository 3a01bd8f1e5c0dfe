//! `sciurus clean` from outside: what it finds, what it writes, files moved there and back, decisions that last.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sciurus::Run;
use sciurus::data::RgbImage;

use crate::support::{Ran, command, sciurus, shared, train};

/// Photos of each class.
const EACH: usize = 45;

/// Photos of red and grey squirrels with two of them in the wrong folder, an equal copy, a web page, and a name that hardly any
/// program expects; nothing where there are no real photos.
fn dirty() -> Option<tempfile::TempDir> {
    let real = shared("data/squirrels_red_grey")?;
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    for class in ["grey", "red"] {
        let mut names: Vec<PathBuf> =
            fs::read_dir(real.join(class)).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        fs::create_dir_all(photos.join(class)).unwrap();
        for (number, name) in names.iter().take(EACH).enumerate() {
            fs::write(photos.join(format!("{class}/{number:02}.jpg")), fs::read(name).unwrap()).unwrap();
        }
    }
    fs::rename(photos.join("grey/03.jpg"), photos.join("red/wrong grey.jpg")).unwrap();
    fs::rename(photos.join("red/40.jpg"), photos.join("grey/wrong red.jpg")).unwrap();
    fs::copy(photos.join("grey/07.jpg"), photos.join("grey/zz copy.jpg")).unwrap();
    fs::rename(photos.join("red/09.jpg"), photos.join("red/Hörnchen\n1.jpg")).unwrap();
    fs::write(photos.join("red/page.jpg"), b"<!DOCTYPE html><html><body>404</body></html>").unwrap();
    Some(folder)
}

/// Runs `sciurus clean` with real weights and these keys on standard input; nothing where the weights are missing.
fn clean(folder: &Path, options: &str, keys: &str) -> Option<Ran> {
    clean_with(folder, options, keys, &[])
}

fn clean_with(folder: &Path, options: &str, keys: &str, environment: &[(&str, OsString)]) -> Option<Ran> {
    let models = shared("models")?;
    let options: Vec<&str> = ["clean"].into_iter().chain(options.split_whitespace()).collect();
    let mut child = command(folder, &[&options[..], &["--arch", "resnet18"]].concat())
        .env("SCIURUS_MODELS", models)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A child that has read enough no longer listens.
    let _ = child.stdin.take().unwrap().write_all(keys.as_bytes());
    Some(child.wait_with_output().unwrap().into())
}

/// All files with their bytes, but for what Sciurus keeps.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                if path.file_name().unwrap() != ".sciurus" {
                    open.push(path);
                }
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn item<'a>(plan: &'a serde_json::Value, path: &str) -> &'a serde_json::Value {
    plan["items"].as_array().unwrap().iter().find(|item| item["path"] == path).unwrap()
}

#[test]
fn what_is_wrong_is_found_planned_moved_and_moved_back() {
    let Some(folder) = dirty() else { return };
    let photos = folder.path().join("photos");
    let before = tree(&photos);
    let Some(ran) = clean(folder.path(), "photos --plan clean.json --html page.html", "") else { return };
    let ran = ran.expect(1);
    assert!(ran.out.contains("exact duplicate") && ran.out.contains("nothing was changed"), "{}", ran.out);
    assert!(!ran.out.contains("n\n1"), "a name breaks a line");
    assert_eq!(tree(&photos), before);
    let plan: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("clean.json")).unwrap()).unwrap();
    assert_eq!(plan["items"].as_array().unwrap().len(), before.len());
    for (path, action, to) in [
        ("red/wrong grey.jpg", "relabel", "grey"),
        ("grey/wrong red.jpg", "relabel", "red"),
        ("red/page.jpg", "set_aside", ""),
    ] {
        let item = item(&plan, path);
        assert_eq!(
            (item["action"].as_str(), item["to"].as_str().unwrap_or("")),
            (Some(action), to),
            "{item}"
        );
    }
    let copies = ["grey/07.jpg", "grey/zz copy.jpg"].map(|path| item(&plan, path).clone());
    assert_eq!(copies[0]["card"], copies[1]["card"]);
    assert_eq!(copies.iter().filter(|copy| copy["action"] == "set_aside").count(), 1);
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("wrong grey.jpg"));

    let applied =
        sciurus(folder.path(), &["clean", "photos", "--apply", "clean.json", "--proposals"]).expect(0);
    assert!(applied.out.contains("red/wrong grey.jpg -> grey/wrong grey.jpg"), "{}", applied.out);
    assert!(photos.join("_set_aside/red/page.jpg").is_file());
    sciurus(folder.path(), &["clean", "photos", "--undo"]).expect(0);
    assert_eq!(tree(&photos), before);
    let again = sciurus(folder.path(), &["clean", "photos", "--undo"]).expect(0);
    assert!(again.out.contains("nothing to undo"), "{}", again.out);
}

#[test]
fn auto_moves_only_what_is_certain() {
    let Some(folder) = dirty() else { return };
    let Some(ran) = clean(folder.path(), "photos --auto --json", "") else { return };
    let applied: serde_json::Value = serde_json::from_str(&ran.expect(0).out).unwrap();
    let moved: Vec<&str> =
        applied["moved"].as_array().unwrap().iter().map(|pair| pair[0].as_str().unwrap()).collect();
    assert_eq!(moved.len(), 2, "{moved:?}");
    assert!(moved.contains(&"red/page.jpg"), "{moved:?}");
    assert!(moved.contains(&"grey/07.jpg") || moved.contains(&"grey/zz copy.jpg"), "{moved:?}");
}

#[test]
fn decisions_last_and_are_heeded_by_train() {
    let Some(folder) = dirty() else { return };
    // All that is proposed for the first three cards; the fourth is kept, taken back, and set aside.
    let Some(ran) = clean(folder.path(), "photos --review --plan clean.json", "\n\n\nkuxq") else { return };
    let ran = ran.expect(0);
    assert!(ran.out.contains("1 photo undone"), "{}", ran.out);
    let journal = folder.path().join("photos/.sciurus/decisions.jsonl");
    let lines = fs::read_to_string(&journal).unwrap();
    let decided =
        lines.matches("\"entry\":\"decided\"").count() - lines.matches("\"entry\":\"undone\"").count();
    assert!(decided >= 4, "{lines}");

    let again = clean(folder.path(), "photos --review", "").unwrap().expect(0);
    assert!(again.out.contains("0 decided, 0 wrong, about"), "{}", again.out);

    let trained = train(folder.path(), "run", "--epochs 1 --plan clean.json --json").expect(0);
    let record = fs::read_to_string(folder.path().join("run/run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let plan: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("clean.json")).unwrap()).unwrap();
    let items = plan["items"].as_array().unwrap();
    let left_out = items.iter().filter(|item| item["action"] == "set_aside");
    // A file that is no image never was in the data.
    let left_out = left_out.filter(|item| item["path"] != "red/page.jpg").count();
    let used = record["data"]["train"].as_u64().unwrap() + record["data"]["valid"].as_u64().unwrap();
    assert_eq!(used, (2 * EACH + 1 - left_out) as u64, "{}", trained.out);
}

#[test]
fn a_review_says_why_asks_which_and_stops_where_it_is_told() {
    let Some(folder) = dirty() else { return };
    let options = "photos --review --page 2 --stop-below 1";
    // Of the first card, two copies, the second leaves; after the third card it is a good place to stop.
    let Some(ran) = clean(folder.path(), options, "x?x2kkkkqk") else { return };
    let ran = ran.expect(0).out;
    assert!(ran.contains("set aside which? 1, 2, or a: both"), "{ran}");
    let cards: Vec<&str> = ran.lines().filter(|line| line.contains("  [")).collect();
    assert!(cards.iter().all(|line| line.split_once("]  ").is_some_and(|(_, why)| !why.is_empty())), "{ran}");
    let copies: Vec<&str> = cards[..2].iter().map(|line| line.trim_start()).collect();
    assert!(copies[0].starts_with("1 1.00") && copies[1].starts_with("2 1.00"), "{ran}");
    let (before, after) = ran.split_once("a good place to stop").unwrap();
    assert!(!before.contains("q: stop here") && after.contains("q: stop here"));
    assert!(!after.contains("review:"), "it goes on: {ran}");
    assert!(after.contains("by their scores, "), "what is expected of the rest: {ran}");
    let journal = fs::read_to_string(folder.path().join("photos/.sciurus/decisions.jsonl")).unwrap();
    let decided: Vec<(String, String)> = journal
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["entry"] == "decided")
        .map(|line| ["path", "action"].map(|key| line[key].as_str().unwrap().to_owned()).into())
        .collect();
    for (place, action) in [(0, "keep"), (1, "set_aside")] {
        assert!(copies[place].contains(&decided[place].0) && decided[place].1 == action, "{decided:?}");
    }
}

/// Eleven classes of drawn pictures.
fn eleven(folder: &Path) {
    for class in ["ant", "bee", "bat", "cat", "cow", "dog", "elk", "fox", "gnu", "hen", "owl"] {
        fs::create_dir_all(folder.join("photos").join(class)).unwrap();
        for number in 0..3_u32 {
            let seed = class.bytes().fold(number, |seed, byte| seed * 31 + u32::from(byte));
            // Blocks of colours that have nothing to do with each other.
            let picture = RgbImage::from_fn(64, 64, |x, y| {
                let block = (x / 8 + 8 * (y / 8) + 64 * seed).wrapping_mul(2_654_435_761);
                [(block >> 24) as u8, (block >> 16) as u8, (block >> 8) as u8].into()
            });
            picture.save(folder.join(format!("photos/{class}/{number}.png"))).unwrap();
        }
    }
}

#[cfg(unix)]
#[test]
fn more_than_nine_classes_are_typed_and_photos_are_opened() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    eleven(folder.path());
    fs::write(folder.path().join("photos/owl/-page.jpg"), "<!DOCTYPE html><html></html>").unwrap();
    let viewer = folder.path().join("programs/xdg-open");
    fs::create_dir_all(viewer.parent().unwrap()).unwrap();
    let opened = folder.path().join("opened.txt");
    fs::write(&viewer, format!("#!/bin/sh\necho \"$1\" >> {}\n", opened.display())).unwrap();
    fs::set_permissions(&viewer, fs::Permissions::from_mode(0o755)).unwrap();
    // The web page is the first card.
    let keys = "ox\nok1lb\nba\nl\n11\nlnothing\n\nq";
    let path = std::env::join_paths([viewer.parent().unwrap(), Path::new("/usr/bin"), Path::new("/bin")]);
    let Some(ran) = clean_with(folder.path(), "photos --review", keys, &[("PATH", path.unwrap())]) else {
        return;
    };
    let ran = ran.expect(0);
    let (told, notes) = (ran.out, ran.err);
    assert!(told.contains("l label") && told.contains("11 owl"), "{told}");
    assert!(notes.contains("-page.jpg") && notes.contains("can't be read as a picture"), "{notes}{told}");
    assert!(told.contains("bat, bee: which one?") && told.contains("no label begins with nothing"), "{told}");
    let opened = fs::read_to_string(opened).unwrap();
    assert!(opened.lines().all(|path| path.starts_with('/') && path.ends_with(".png")), "{opened}");
    let journal = fs::read_to_string(folder.path().join("photos/.sciurus/decisions.jsonl")).unwrap();
    assert!(journal.contains(r#""new":"bat""#) && journal.contains(r#""new":"owl""#), "{journal}");
}

#[test]
fn labels_that_a_run_did_not_learn_are_told() {
    let Some(folder) = dirty() else { return };
    train(folder.path(), "run", "--epochs 3").expect(0);
    let learnt = Run::open(folder.path().join("run")).unwrap().learnt_labels().unwrap();
    let doubtful: BTreeSet<&Path> =
        learnt.iter().filter(|label| label.aum < 0.0).map(|label| &*label.path).collect();
    assert!(!doubtful.is_empty() && doubtful.len() < learnt.len(), "{learnt:?}");
    // A photo with another label than the one it was trained with says nothing.
    let moved = folder.path().join("photos").join(doubtful.first().unwrap());
    let class = if moved.starts_with(folder.path().join("photos/red")) { "grey" } else { "red" };
    fs::rename(&moved, folder.path().join("photos").join(class).join("moved.jpg")).unwrap();

    let Some(ran) = clean(folder.path(), "run --plan clean.json", "") else { return };
    ran.expect(1);
    let plan: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("clean.json")).unwrap()).unwrap();
    let is_told = |item: &&serde_json::Value| {
        item["issues"].as_array().unwrap().iter().any(|issue| issue["name"] == "hard_to_learn")
    };
    let told: BTreeSet<&Path> = plan["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(is_told)
        .map(|item| Path::new(item["path"].as_str().unwrap()))
        .collect();
    assert_eq!(told, doubtful.into_iter().skip(1).collect());
}

#[test]
fn a_table_gets_a_corrected_copy() {
    let Some(folder) = dirty() else { return };
    let photos = folder.path().join("photos");
    let names = tree(&photos).into_keys().map(|path| path.display().to_string());
    let names: Vec<String> = names.filter(|name| name.contains('/')).collect();
    let line = |name: &String| format!("\"{name}\",{}\n", name.split('/').next().unwrap());
    let table = names.iter().map(line).collect::<String>();
    fs::write(folder.path().join("labels.csv"), format!("path,label\n{table}")).unwrap();
    let Some(ran) = clean(folder.path(), "photos --csv labels.csv --plan clean.json", "") else { return };
    ran.expect(1);
    let ran = sciurus(
        folder.path(),
        &["clean", "photos", "--csv", "labels.csv", "--apply", "clean.json", "--proposals"],
    );
    let told = ran.expect(0).out;
    let corrected = fs::read_to_string(folder.path().join("labels.clean.csv")).unwrap();
    assert!(corrected.starts_with("path,label\n") && corrected.contains("red/wrong grey.jpg,grey\n"));
    assert!(!corrected.contains("red/page.jpg"), "what is no image and is to be set aside leaves the table");
    let before: HashSet<&str> = table.lines().map(|line| line.trim_matches('"')).collect();
    let plan: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("clean.json")).unwrap()).unwrap();
    let items = plan["items"].as_array().unwrap();
    let wanted = items.iter().filter(|item| item["action"] != "keep").count();
    assert!(wanted > 0 && wanted <= before.len());
    assert!(told.contains(&format!("written with {wanted} changes\n")), "{told}");
    assert_eq!(fs::read_to_string(folder.path().join("labels.csv")).unwrap(), format!("path,label\n{table}"));
    let ran = sciurus(
        folder.path(),
        &["clean", "photos", "--csv", "labels.csv", "--apply", "clean.json", "--proposals"],
    );
    assert!(ran.expect(2).err.contains("--out"));
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_only_read_works_with_a_journal_elsewhere() {
    use std::os::unix::fs::PermissionsExt;
    let Some(folder) = dirty() else { return };
    let photos = folder.path().join("photos");
    fs::set_permissions(&photos, fs::Permissions::from_mode(0o555)).unwrap();
    let is_root = fs::write(photos.join("probe"), "").is_ok();
    let refused = clean(folder.path(), "photos --review", "q");
    let elsewhere = clean(folder.path(), "photos --review --journal decisions.jsonl", "x1q");
    fs::set_permissions(&photos, fs::Permissions::from_mode(0o755)).unwrap();
    let (Some(refused), Some(elsewhere)) = (refused, elsewhere) else { return };
    assert!(is_root || refused.expect(2).err.contains("--journal"));
    elsewhere.expect(0);
    assert!(fs::read_to_string(folder.path().join("decisions.jsonl")).unwrap().contains("set_aside"));
}

#[cfg(unix)]
#[test]
fn a_link_stays_where_it_is_and_is_named() {
    let Some(folder) = dirty() else { return };
    let photos = folder.path().join("photos");
    // The photo in the wrong folder is a link to a file elsewhere.
    let outside = folder.path().join("outside.jpg");
    fs::rename(photos.join("red/wrong grey.jpg"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, photos.join("red/wrong grey.jpg")).unwrap();
    // And one link leads to a photo of the set, of which it looks like a copy.
    let (link, target) = (photos.join("grey/00 link.jpg"), photos.join("grey/20.jpg"));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let Some(ran) = clean(folder.path(), "photos --plan clean.json", "") else { return };
    ran.expect(1);
    let applied =
        sciurus(folder.path(), &["clean", "photos", "--apply", "clean.json", "--proposals"]).expect(1);
    let told = format!("{}{}", applied.out, applied.err);
    assert!(told.contains("wrong grey.jpg") && told.contains("link"), "{told}");
    assert!(photos.join("red/wrong grey.jpg").is_symlink() && outside.is_file());
    assert!(!photos.join("grey/wrong grey.jpg").exists());
    assert!(link.is_symlink() && link.is_file() && !target.is_symlink(), "{told}");
    assert!(photos.join("red/wrong red.jpg").is_file(), "the others are moved");
}

/// No file may grow: what a full disk does, without one.
#[cfg(unix)]
#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let Some(folder) = dirty() else { return };
    let Some(ran) = clean(folder.path(), "photos --plan clean.json", "") else { return };
    ran.expect(1);
    let photos = folder.path().join("photos");
    let before = tree(&photos);
    let plan = fs::read(folder.path().join("clean.json")).unwrap();
    for options in ["--apply clean.json", "--auto", "--plan clean.json"] {
        let limited = format!("trap '' XFSZ; ulimit -f 0; exec \"$0\" clean photos {options}");
        let output = Command::new("sh")
            .args(["-c", &limited, env!("CARGO_BIN_EXE_sciurus")])
            .current_dir(folder.path())
            .env("SCIURUS_MODELS", shared("models").unwrap())
            .env("XDG_CACHE_HOME", folder.path().join("cache"))
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{options}: {error}");
        assert!(error.contains("space left") && error.contains("File too large"), "{options}: {error}");
        assert_eq!(tree(&photos), before, "{options}");
        assert_eq!(fs::read(folder.path().join("clean.json")).unwrap(), plan, "{options}");
    }
    sciurus(folder.path(), &["clean", "photos", "--apply", "clean.json", "--proposals"]).expect(0);
    sciurus(folder.path(), &["clean", "photos", "--undo"]).expect(0);
    assert_eq!(tree(&photos), before);
}

#[test]
fn before_and_after_are_measured_on_the_same_photos() {
    let Some(folder) = dirty() else { return };
    let Some(refused) = clean(folder.path(), "photos --retrain", "") else { return };
    assert!(refused.expect(2).err.contains("--review"));
    clean(folder.path(), "photos --review", "\n\n\n\nq").unwrap().expect(0);
    // As the run was trained: small pictures, few epochs.
    train(folder.path(), "run", "--epochs 1 --json").expect(0);
    let ran = clean(folder.path(), "run --retrain --json", "").unwrap().expect(0);
    let last: serde_json::Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "retrained", "{}", ran.out);
    assert!(last["changes"].as_u64().unwrap() >= 3 && last["comparison"].is_object(), "{last}");
    let settings = |run: &str| {
        let record = folder.path().join(last[run].as_str().unwrap()).join("run.json");
        let record: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
        record["settings"].clone()
    };
    let [before, after] = ["before", "after"].map(settings);
    assert!(before["plan"].is_null() && after["plan"].is_string());
    assert_eq!([&before["image_size"], &after["image_size"]], [64, 64]);
}

#[test]
fn a_weight_file_is_for_one_network() {
    let Some(folder) = dirty() else { return };
    let Some(models) = shared("models") else { return };
    let file = models.join("resnet18-surrogate.safetensors").display().to_string();
    let asked = |archs: &str| {
        sciurus(
            folder.path(),
            &["clean", "photos", "--json", "--arch", archs, "--weights", &file, "--offline"],
        )
    };
    asked("resnet18").expect(1);
    assert!(asked("resnet18,squeezenet1_1").expect(2).err.contains("one network"));
    assert!(asked("resnet34").expect(2).err.contains("resnet18-surrogate.safetensors"));
}
