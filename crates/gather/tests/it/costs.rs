//! What a source on this machine costs: it is asked by a process of its own, whose time and memory are its alone. In: a
//! path. Out: what the source said, and what it took.

use sciurus_gather::{Endpoints, Keys, Licences, Query, SourceSpec};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What became of a source that was asked for two classes and then for each photo, the last one first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Why it gives nothing.
    pub(crate) down: Option<String>,
    /// Names of what it found for the class `a`.
    pub(crate) names: Vec<String>,
    /// Addresses of it.
    pub(crate) urls: Vec<String>,
    /// Photos that it has the bytes of.
    pub(crate) read: usize,
    /// Why it does not have the others, each once.
    pub(crate) faults: Vec<String>,
    /// Seconds of one core.
    seconds: f64,
    /// Bytes of memory at most.
    peak: u64,
}

impl Cost {
    /// Asserts what is promised of every hostile file: less than 2 s of a core, and less than 1 GB.
    pub(crate) fn cheap(self) -> Self {
        assert!(self.seconds < 2.0, "{:.2} s of a core: {self:?}", self.seconds);
        assert!(self.peak < 1_000_000_000, "{} MB of memory: {self:?}", self.peak / 1_000_000);
        self
    }

    /// Asserts that the source is refused for a reason with these words.
    pub(crate) fn is_refused(&self, words: &str) {
        assert!(self.down.as_ref().is_some_and(|down| down.contains(words)), "{words}: {self:?}");
    }
}

/// Tell the child, which is this same program, what to ask and where to write what came of it.
const SOURCE: &str = "SCIURUS_TEST_SOURCE";
const REPORT: &str = "SCIURUS_TEST_REPORT";

/// Asks a source in a process of its own.
pub(crate) fn of(source: &Path) -> Cost {
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "costs::asks", "--ignored"])
        .env(SOURCE, source)
        .env(REPORT, report.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{} keeps its reader waiting", source.display());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{}: {status}", source.display());
    serde_json::from_slice(&std::fs::read(report.path()).unwrap()).unwrap()
}

#[test]
#[ignore = "the child of other tests"]
fn asks() {
    let Some(path) = std::env::var_os(SOURCE).map(PathBuf::from) else { return };
    let begin = Instant::now();
    let source = SourceSpec::at(&path).unwrap();
    let source = source.open(&Keys::default(), &Endpoints::default(), &crate::world::web()).unwrap();
    let query =
        |class: &str| Query { class: class.into(), terms: class.into(), licences: Licences::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut cost = Cost::default();
    let answers = ["b", "a"].map(|class| runtime.block_on(source.search(&query(class), None)));
    match answers.into_iter().next_back().unwrap() {
        Ok(page) => {
            for image in page.items.iter().rev() {
                match source.open(image).map(|opening| runtime.block_on(opening)) {
                    Some(Ok(_)) => cost.read += 1,
                    Some(Err(fault)) if !cost.faults.contains(&fault.to_string()) => {
                        cost.faults.push(fault.to_string());
                    }
                    _ => {}
                }
            }
            cost.names = page.items.iter().map(|image| image.source_id.clone()).collect();
            cost.urls = page.items.iter().map(|image| image.image_url.to_string()).collect();
        }
        Err(down) => cost.down = Some(down.to_string()),
    }
    (cost.seconds, cost.peak) = used().unwrap_or((begin.elapsed().as_secs_f64(), 0));
    std::fs::write(std::env::var_os(REPORT).unwrap(), serde_json::to_vec(&cost).unwrap()).unwrap();
}

/// Seconds of processor time and bytes of memory that this process has used, where the system tells.
fn used() -> Option<(f64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    let times = std::fs::read_to_string("/proc/self/stat").ok()?;
    // User and system time, in hundredths of a second, behind the name in brackets.
    let (_, fields) = times.rsplit_once(')')?;
    let ticks: u32 = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse().unwrap_or(0)).sum();
    Some((f64::from(ticks) / 100.0, peak * 1024))
}
