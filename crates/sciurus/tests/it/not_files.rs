//! What is no regular file, given as a model or as weights: an error at once, and nothing is read or waited for.
#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use sciurus::model::weights::read;
use sciurus::{ModelBundle, Predictor};

use crate::support::chain;

/// What each way to read a file says to it.
fn said(path: &Path) -> [String; 3] {
    let started = Instant::now();
    let said = [
        chain(&Predictor::load(path).map(drop).unwrap_err()),
        chain(&ModelBundle::load(path).map(drop).unwrap_err()),
        chain(&read(path).map(drop).unwrap_err()),
    ];
    assert!(started.elapsed() < Duration::from_secs(2), "{} took {:?}", path.display(), started.elapsed());
    said
}

#[test]
fn pipes_devices_and_folders_are_refused_and_links_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    for (name, target) in
        [("p", at("pipe")), ("f", at("folder")), ("z", "/dev/zero".into()), ("s", at("socket"))]
    {
        symlink(target, at(name)).unwrap();
    }
    let given = ["pipe", "folder", "socket", "p", "f", "z", "s"].map(at);
    for path in given.iter().map(AsRef::as_ref).chain(["/dev/zero", "/dev/null", "/dev/tty"].map(Path::new)) {
        if !path.exists() {
            continue;
        }
        for said in said(path) {
            assert!(said.contains("not a regular file") && said.contains(&*path.to_string_lossy()), "{said}");
        }
    }
}

/// Files of the system that say they are regular and empty, and never end or make whoever reads them wait.
#[test]
fn files_without_a_size_are_not_waited_for() {
    for path in ["/proc/kmsg", "/proc/self/mem", "/proc/self/maps", "/sys/kernel/debug/tracing/trace_pipe"]
        .map(Path::new)
    {
        if path.exists() {
            said(path).iter().for_each(|said| assert!(said.contains(&*path.to_string_lossy()), "{said}"));
        }
    }
}

#[test]
fn links_that_lead_nowhere_or_in_a_circle_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    symlink(folder.path().join("nowhere"), folder.path().join("a")).unwrap();
    symlink(folder.path().join("circle"), folder.path().join("circle")).unwrap();
    for name in ["a", "circle"] {
        said(&folder.path().join(name))
            .iter()
            .for_each(|said| assert!(said.contains("cannot read"), "{said}"));
    }
}
