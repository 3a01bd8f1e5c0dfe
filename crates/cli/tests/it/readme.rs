//! The commands of README.md, each as it stands there, in order, by somebody who has never used Sciurus: an empty home, no
//! settings, no network.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::shared;

/// Photos of each class: enough to train, few enough to do so several times.
const EACH: usize = 10;

/// What a reviewer types who looks at a few cards: one of two copies leaves, or the photo does.
const KEYS: &str = "x1x1x1q";

/// The commands, without those that build and test the program itself.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let typed = readme.lines().filter_map(|line| line.strip_prefix("$ "));
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

#[cfg(unix)]
#[test]
fn every_command_of_the_readme_runs_as_it_stands() {
    let (folder, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(models) = shared("models") else { return };
    let Some(()) = photos(folder.path()) else { return };
    let program = Path::new(env!("CARGO_BIN_EXE_sciurus")).parent().unwrap();
    let path = std::env::join_paths([program, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
    let commands = commands();
    assert!(commands.len() >= 8, "{commands:?}");
    for typed in commands {
        let started = std::time::Instant::now();
        let mut child = Command::new("sh")
            .args(["-c", &typed])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", &path)
            .env("HOME", home.path())
            // The file that a download would bring; and nobody answers.
            .env("SCIURUS_MODELS", &models)
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
        println!("{:6.1} s  {typed}", started.elapsed().as_secs_f64());
        // 1 is for something to look at.
        let expected: &[i32] = match typed.split(' ').nth(1) {
            Some("gather") => &[1, 2],
            Some("clean" | "inspect") => &[0, 1],
            _ => &[0],
        };
        let code = ran.status.code();
        assert!(code.is_some_and(|code| expected.contains(&code)), "{typed}: {code:?}\n{out}\n{err}");
        if typed.contains(" gather ") {
            assert!(out.contains("no source could be asked"), "{typed}: {err}{out}");
        }
    }
}
