//! What the studio costs: memory, and bytes of script and style.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Bench;
use crate::bars::Bar;
use crate::look::shifts;

/// Scripts and styles of the present page: their addresses and bytes.
const FILES: &str = "performance.getEntriesByType('resource').filter(({ name }) => /\\.(js|css)$/.test(name)).map(({ name, decodedBodySize }) => [name, decodedBodySize])";

pub(crate) async fn measure(bench: &mut Bench) {
    let links = "[...document.querySelectorAll('nav a')].map((link) => link.getAttribute('href'))";
    let links = bench.browser.value(links).await;
    let mut files: BTreeMap<String, u64> = BTreeMap::new();
    for link in links.as_array().unwrap() {
        let link = link.as_str().unwrap();
        bench.painted(link).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        for file in bench.browser.value(FILES).await.as_array().unwrap() {
            files.insert(file[0].as_str().unwrap().to_owned(), file[1].as_u64().unwrap());
        }
        if !["/look", "/clean"].contains(&link) {
            shifts(bench, &format!("{link}: layout shift")).await;
        }
    }
    let bytes = files.values().sum::<u64>() as f64 / 1e3;
    bench.table.add("script and style of all pages", "kB", bytes, Bar::Below(100.0));
    bench.idle().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let memory = memory(bench.program.process());
    bench.table.add("memory of the studio, peak", "MB", memory["VmHWM"], Bar::Below(600.0));
    bench.table.add("memory of the studio at rest", "MB", memory["VmRSS"], None);
}

/// What Linux says of a process's memory, in megabytes.
fn memory(process: u32) -> BTreeMap<String, f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
    let line = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let kibibytes: f64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
        Some((name.to_owned(), kibibytes * 1024.0 / 1e6))
    };
    status.lines().filter_map(line).collect()
}

/// Removes what an earlier studio left in a folder and its homes.
pub(crate) fn forget(folder: &Path) {
    for left in ["cache", "data", "home", "runs", "photos/.sciurus"] {
        let _ = fs::remove_dir_all(folder.join(left));
    }
}
