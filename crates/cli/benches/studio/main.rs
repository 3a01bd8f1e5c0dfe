//! How fast the studio is on 10,000 photos, in a browser, beside its bars. `cargo xtask studio-bench` runs it and docs/performance.md
//! has its table.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a program to look at, not a library"
)]

mod bars;
#[allow(dead_code, reason = "it can also do what this does not need")]
#[path = "../../tests/studio/browser.rs"]
mod browser;
mod clean;
#[path = "../../tests/studio/dice.rs"]
mod dice;
mod look;
mod map;
mod photos;
#[allow(dead_code, reason = "it can also do what this does not need")]
#[path = "../../tests/studio/program.rs"]
mod program;
mod server;
#[allow(dead_code, reason = "it can also do what this does not need")]
#[path = "../../tests/it/support.rs"]
mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;

use bars::Table;
use browser::Browser;
use program::Program;

#[derive(Debug, Parser)]
struct Args {
    /// Number of photos
    #[arg(long, default_value_t = 10_000)]
    photos: usize,
    /// Photos that they are made from, a folder for each class [default: hymenoptera of SCIURUS_SHARED]
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// Make them here, or take those that were made here before; without it, they are made anew and removed
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Dots of a map of its own, of small photos; 100,000 take the better part of an hour
    #[arg(long, default_value_t = 0)]
    dots: usize,
    /// Go on with what an earlier call with the same --keep saw of the photos of that map, instead of looking at them anew
    #[arg(long, requires = "keep")]
    looked: bool,
    /// Cards to decide
    #[arg(long, default_value_t = 250)]
    cards: usize,
    /// Print lines of JSON
    #[arg(long)]
    json: bool,
    /// Set by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// What measurements work with.
struct Bench {
    browser: Browser,
    program: Program,
    table: Table,
    cards: usize,
}

impl Bench {
    /// Waits until the studio does nothing more, and returns how long that took.
    async fn idle(&self) -> Duration {
        let began = Instant::now();
        let busy = "return fetch('/now').then((answer) => answer.json()).then(({ jobs }) => jobs.some(({ status }) => status === 'running'))";
        // Looking at 10,000 photos takes minutes.
        while self.browser.driver.execute(busy, Vec::new()).await.unwrap().json() == true {
            assert!(began.elapsed() < Duration::from_secs(3600), "the studio never comes to rest");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        began.elapsed()
    }

    /// Opens a page and waits until it has been painted; when that was, in milliseconds.
    async fn painted(&self, path: &str) -> f64 {
        self.browser.driver.goto(self.program.page(path)).await.unwrap();
        let paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
        self.browser.until(paint).await;
        self.browser.value(paint).await.as_f64().unwrap()
    }
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let temporary = tempfile::tempdir().unwrap();
    let folder = args.keep.as_deref().unwrap_or(temporary.path());
    let from = args.from.clone().or_else(|| support::shared("data/hymenoptera"));
    let from = from.expect("--from names a folder of photos");
    photos::make(&from, &folder.join("photos"), args.photos, photos::USUAL);
    // Nothing is left of an earlier one but the photos.
    server::forget(folder);
    let browser = Browser::start().await.expect("a browser");
    // On a machine that does much else, frames take their time.
    browser.driver.set_script_timeout(Duration::from_secs(300)).await.unwrap();
    let began = Instant::now();
    let program = Program::start(folder);
    let mut bench = Bench { browser, program, table: Table::default(), cards: args.cards };
    bench.table.add("ready to be opened", "s", began.elapsed().as_secs_f64(), None);
    look::measure(&mut bench).await;
    clean::measure(&mut bench).await;
    map::measure(&mut bench).await;
    server::measure(&mut bench).await;
    if args.dots > 0 {
        let many = folder.join("many");
        photos::make(&from, &many.join("photos"), args.dots, photos::SMALL);
        if !args.looked {
            server::forget(&many);
        }
        bench.program = Program::start(&many);
        map::measure_many(&mut bench, args.dots).await;
    }
    bench.browser.end().await;
    match args.json {
        true => println!("{}", bench.table.json()),
        false => println!("{}", bench.table),
    }
}
