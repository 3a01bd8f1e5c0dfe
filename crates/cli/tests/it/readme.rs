//! The commands of README.md and of pages in docs, each as it stands there, in order, by somebody who has never used Sciurus: an
//! empty home, no settings, no network.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::shared;

/// Photos of each class: enough to train, few enough to do so several times.
const EACH: usize = 10;

/// What a reviewer types who looks at a few cards: one of two copies leaves, or the photo does.
const KEYS: &str = "x1x1x1q";

/// The commands of a page, without those that build and test the program itself, and without remarks.
fn commands(page: &str) -> Vec<String> {
    let text =
        fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(page)).unwrap();
    let typed = text.lines().filter_map(|line| line.strip_prefix("$ "));
    let ours = typed.filter_map(|line| match line.strip_prefix("cargo ") {
        Some(cargo) => cargo.split_once("&& ").map(|(_, then)| then.to_owned()),
        None => Some(line.to_owned()),
    });
    ours.collect()
}

/// The photos that a reader of README.md has.
fn photos(folder: &Path) -> Option<()> {
    let real = shared("data/squirrels_red_grey")?;
    for class in ["grey", "red"] {
        let mut names: Vec<PathBuf> =
            fs::read_dir(real.join(class)).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let into = folder.join("squirrels").join(class);
        fs::create_dir_all(&into).unwrap();
        for name in names.iter().take(EACH) {
            fs::copy(name, into.join(name.file_name().unwrap())).unwrap();
        }
        fs::create_dir_all(folder.join("holiday")).unwrap();
        fs::copy(&names[EACH], folder.join(format!("holiday/{class}.jpg"))).unwrap();
        fs::copy(&names[EACH + 1], folder.join("new-photo.jpg")).unwrap();
    }
    Some(())
}

/// Types the commands one after the other, as they stand, in `folder`.
#[cfg(unix)]
fn type_all(commands: &[String], folder: &Path, models: &Path) {
    let home = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sciurus")).parent().unwrap();
    let path = std::env::join_paths([program, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
    for typed in commands {
        let mut child = Command::new("sh")
            .args(["-c", typed])
            .current_dir(folder)
            .env_clear()
            .env("PATH", &path)
            .env("HOME", home.path())
            // The file that a download would bring; and nobody answers.
            .env("SCIURUS_MODELS", models)
            .env("https_proxy", "http://127.0.0.1:9")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that asks nothing may have ended.
        let _ = child.stdin.take().unwrap().write_all(KEYS.as_bytes());
        let ran = child.wait_with_output().unwrap();
        let [out, err] = [&ran.stdout, &ran.stderr].map(|text| String::from_utf8_lossy(text));
        let is_local = ["--list-sources", "--source mine"].iter().any(|option| typed.contains(option));
        let is_gather = typed.contains(" gather ") && !is_local;
        // 1 is for something to look at.
        let expected: &[i32] = match typed.split(' ').nth(1) {
            _ if is_gather => &[1, 2],
            Some("clean" | "inspect") => &[0, 1],
            _ => &[0],
        };
        let code = ran.status.code();
        assert!(code.is_some_and(|code| expected.contains(&code)), "{typed}: {code:?}\n{out}\n{err}");
        if is_gather {
            assert!(
                out.contains("no source could be asked") || out.contains(" missing"),
                "{typed}: {err}{out}"
            );
        }
    }
}

/// Types all commands of a page, of which there are at least as many.
#[cfg(unix)]
fn type_page(page: &str, least: usize) {
    let folder = tempfile::tempdir().unwrap();
    let Some(models) = shared("models") else { return };
    let Some(()) = photos(folder.path()) else { return };
    let commands = commands(page);
    assert!(commands.len() >= least, "{commands:?}");
    type_all(&commands, folder.path(), &models);
}

#[cfg(unix)]
#[test]
fn every_command_of_the_readme_runs_as_it_stands() {
    type_page("README.md", 8);
}

#[cfg(unix)]
#[test]
fn every_command_of_the_page_on_cleaning_runs_as_it_stands() {
    type_page("docs/cleaning.md", 6);
}

#[cfg(unix)]
#[test]
fn every_command_of_the_page_on_gathering_runs_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let Some(models) = shared("models") else { return };
    let Some(()) = photos(folder.path()) else { return };
    fs::rename(folder.path().join("squirrels"), folder.path().join("mine")).unwrap();
    // The ledger that the page's last command reads.
    let gathered = "sciurus gather grey red --source mine --min-size 50 --per-class 3 --into squirrels";
    let commands = [vec![gathered.to_owned()], commands("docs/gather.md")].concat();
    assert!(commands.len() >= 5, "{commands:?}");
    type_all(&commands, folder.path(), &models);
}
