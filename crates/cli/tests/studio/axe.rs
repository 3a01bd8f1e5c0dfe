//! No page of the studio keeps anybody out: axe-core finds nothing serious or critical on any of them, light and dark, on a wide
//! window and on a phone. It comes in by the developer tools; the pages' own rules let no foreign script in.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use thirtyfour::prelude::*;

use crate::browser::Browser;
use crate::program::Program;
use crate::scene::{dirty, trained};

/// Widths and heights, in pixels, and whether it is a phone.
const WINDOWS: [(u32, u32, bool); 2] = [(1280, 900, false), (390, 844, true)];
const SCHEMES: [&str; 2] = ["light", "dark"];
/// What is wrong, a line for each element.
const RUN: &str = "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${node.target.join(' ')}: ${help}. ${node.failureSummary}`)))";

/// Looks at pages, and keeps what it finds.
struct Inspector {
    browser: Browser,
    /// The script of axe-core.
    script: String,
    found: Vec<String>,
    pages: usize,
}

/// The script that `SCIURUS_AXE` names.
fn script() -> Option<String> {
    let Some(path) = std::env::var_os("SCIURUS_AXE") else {
        let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!is_ci, "CI has no axe-core: SCIURUS_AXE does not name its axe.min.js");
        eprintln!("passed over: SCIURUS_AXE does not name axe-core's axe.min.js");
        return None;
    };
    Some(std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

impl Inspector {
    /// Looks at the page as it is now, in every window and scheme.
    async fn look(&mut self, name: &str) {
        self.pages += 1;
        if self.browser.value("typeof axe").await == "undefined" {
            // Its own value is of no use here, and a large one.
            let evaluate = json!({ "expression": format!("{};0", self.script) });
            self.browser.tools("Runtime.evaluate", evaluate).await;
        }
        for (width, height, mobile) in WINDOWS {
            let window =
                json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
            self.browser.tools("Emulation.setDeviceMetricsOverride", window).await;
            for scheme in SCHEMES {
                self.wear(scheme).await;
                let picture = format!("{name} {width} {scheme}").replace('/', "");
                self.browser.picture(&picture).await;
                let evaluate = json!({ "expression": RUN, "awaitPromise": true, "returnByValue": true });
                let answer = self.browser.tools("Runtime.evaluate", evaluate).await;
                let found = answer["result"]["value"].as_array();
                let found = found.unwrap_or_else(|| panic!("axe-core did not run on {name}: {answer}"));
                let place = format!("{name}, {width} pixels, {scheme}");
                self.found.extend(found.iter().map(|line| format!("{place}: {}", line.as_str().unwrap())));
            }
        }
        self.browser.tools("Emulation.clearDeviceMetricsOverride", json!({})).await;
    }

    /// Has pages light or dark, and without movement: a colour on its way to another one has no contrast of its own.
    async fn wear(&self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.browser.tools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
        let drawn = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))";
        self.browser.driver.execute_async(drawn, Vec::new()).await.unwrap();
    }

    /// Looks at what a key shows, until the same key takes it away again.
    async fn between(&mut self, key: &str, shown: &str, name: &str) {
        self.browser.press(key).await;
        self.browser.until(&format!("document.querySelector('{shown}')")).await;
        self.look(name).await;
        self.browser.press(key).await;
        self.browser.until(&format!("!document.querySelector('{shown}')")).await;
    }

    /// Goes to a page and waits until there is something on it.
    async fn open(&self, program: &Program, path: &str) {
        self.browser.driver.goto(program.page(path)).await.unwrap();
        let there = match path {
            "/look" => "document.querySelectorAll('.grid.live .cell').length > 12",
            "/clean" => "document.querySelector('#desk[data-ready] .keys')",
            _ => "document.readyState === 'complete' && document.querySelector('main h1')",
        };
        self.browser.until(there).await;
    }
}

/// Every page that the steps lead to.
async fn every_page(inspector: &mut Inspector, program: &Program) {
    let links = "[...document.querySelectorAll('nav a')].map((link) => link.getAttribute('href'))";
    let links = inspector.browser.value(links).await;
    let links: Vec<&str> = links.as_array().unwrap().iter().map(|link| link.as_str().unwrap()).collect();
    assert!(links.len() >= 7, "{links:?}");
    for link in links {
        inspector.open(program, link).await;
        inspector.look(link).await;
    }
}

/// The page Clean: a card of one photo, of several, and of many that are alike; what was decided, what would move, and the end.
async fn every_card(inspector: &mut Inspector, program: &Program) {
    inspector.open(program, "/clean").await;
    let mut seen = BTreeSet::new();
    for cards in 0.. {
        assert!(cards < 60, "it never says to stop");
        inspector.browser.until("document.querySelector('#desk figure, .done')").await;
        if inspector.browser.value("document.querySelector('.done') !== null").await == true {
            break;
        }
        let many = "document.querySelectorAll('#desk figure').length > 1 ? 'a card of several photos' : 'a card of one photo'";
        let kind = inspector.browser.value(many).await.as_str().unwrap().to_owned();
        if seen.insert(kind.clone()) {
            // Photos that are like it may come, or there may be none.
            tokio::time::sleep(Duration::from_millis(500)).await;
            inspector.look(&kind).await;
        }
        let has_sheet = "[...document.querySelectorAll('.keys kbd')].some((key) => key.innerText === 'S')";
        if inspector.browser.value(has_sheet).await == true && seen.insert("a sheet".to_owned()) {
            inspector.between("s", ".photos.sheet", "a sheet of photos that are alike").await;
        }
        let decided = "document.querySelector('.lead strong')?.innerText";
        let before = inspector.browser.value(decided).await;
        inspector.browser.press(Key::Enter.value().to_string()).await;
        inspector.browser.until(&format!("{decided} !== {before} || document.querySelector('.done')")).await;
    }
    assert!(seen.len() >= 2, "of cards there were only {seen:?}");
    inspector.look("you can stop now").await;
    inspector.browser.press("h").await;
    inspector.browser.until("document.querySelector('#moment')").await;
    inspector.look("what was decided").await;
    inspector.browser.press(Key::Escape.value().to_string()).await;
    inspector.browser.until("!document.querySelector('#moment')").await;
    inspector.browser.press("a").await;
    inspector.browser.until("document.querySelector('.moves li')").await;
    inspector.look("what would move").await;
}

/// What only comes when something is done on a page.
async fn every_answer(inspector: &mut Inspector, program: &Program, photo: &Path) {
    inspector.open(program, "/look").await;
    inspector.browser.press("x").await;
    inspector.browser.until("document.querySelector('#selected:not([hidden]) button')").await;
    inspector.look("photos selected").await;
    inspector.between("m", "#map:not([hidden])", "the map").await;
    inspector.browser.press("o").await;
    inspector.browser.until("document.querySelector('dialog[open] img')").await;
    inspector.look("a photo").await;
    inspector.open(program, "/results").await;
    inspector.browser.click(".matrix .right a").await;
    inspector.browser.until("document.querySelector('#photos figure')").await;
    inspector.look("the photos behind a number").await;
    inspector.open(program, "/try").await;
    let file = inspector.browser.driver.find(By::Id("file")).await.unwrap();
    file.send_keys(photo.display().to_string()).await.unwrap();
    inspector.browser.until("document.querySelector('.answer h2')").await;
    inspector.look("an answer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_kept_out() {
    let Some(script) = script() else { return };
    let folder = tempfile::tempdir().unwrap();
    dirty(folder.path(), 24);
    let Some(browser) = Browser::start().await else { return };
    let program = Program::start(folder.path());
    browser.driver.goto(&program.address).await.unwrap();
    browser.until("document.querySelector('h1')?.innerText.includes('48 photos of 2 classes')").await;
    let mut inspector = Inspector { browser, script, found: Vec::new(), pages: 0 };
    inspector.open(&program, "/results").await;
    inspector.look("nothing trained yet").await;
    trained(&inspector.browser, &program).await;
    inspector.look("a head trained").await;
    every_page(&mut inspector, &program).await;
    every_card(&mut inspector, &program).await;
    every_answer(&mut inspector, &program, &folder.path().join("new.png")).await;
    let Inspector { browser, found, pages, .. } = inspector;
    browser.end().await;
    assert!(found.is_empty(), "axe-core, on {pages} pages:\n{}", found.join("\n"));
}
