//! The studio is killed twenty times, in the middle of cleaning, of moving files and of training. Nothing that it acknowledged is
//! lost, its page goes on by itself when it is started again, and so does a training.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sciurus::data::ContentHash;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::dice::Dice;
use crate::program::Program;
use crate::scene::dirty;

/// Files that move, and leaves that become acorns: enough for a kill to come in the middle.
const PAGES: u64 = 1500;
const LEAVES: usize = 12;
/// Epochs that last longer than five kills, on any machine.
const EPOCHS: usize = 100;

/// The number of decisions in the journal. A line that is no line of it fails.
fn decided(folder: &Path) -> usize {
    let journal = fs::read_to_string(folder.join("photos/.sciurus/decisions.jsonl")).unwrap_or_default();
    let entry = |line: &str| serde_json::from_str::<Value>(line).unwrap()["entry"].clone();
    journal.lines().filter(|line| entry(line) == "decided").count()
}

/// Waits for a card, past the page that says to stop.
async fn card(browser: &Browser) -> usize {
    browser.until("document.querySelector('.desk figure, .done')").await;
    if browser.value("document.querySelector('.done') !== null").await == true {
        browser.press("g").await;
        browser.until("document.querySelector('.desk figure')").await;
    }
    browser.value("document.querySelectorAll('.desk figure').length").await.as_u64().unwrap() as usize
}

/// Opens the page Clean, and listens to what it hears of the studio.
async fn opened(browser: &Browser, program: &Program) {
    browser.driver.goto(program.page("/clean")).await.unwrap();
    browser.until("document.querySelector('#desk[data-ready] .keys')").await;
    let hear =
        "window.heard = []; new BroadcastChannel('sciurus').onmessage = ({ data }) => heard.push(data.event)";
    browser.driver.execute(hear, Vec::new()).await.unwrap();
}

/// Starts the studio again, and waits until its page, which nobody touches, is as it was: it has cards, the same as the studio, and
/// says that all is saved.
async fn again(browser: &Browser, folder: &Path) -> Program {
    // A studio that is there again before its page has noticed is no test.
    browser.until("heard.lastIndexOf('lost') > heard.lastIndexOf('jobs')").await;
    let program = Program::start(folder);
    browser.until("heard.lastIndexOf('jobs') > heard.lastIndexOf('lost')").await;
    let same = "return fetch('/clean/state').then((answer) => answer.ok ? answer.json() : null).catch(() => null).then((state) =>
        document.querySelector('#saved').innerText.includes('is on the disk') && document.querySelector('#desk .keys') !== null
        && document.querySelector('.lead').innerText.includes(`${state?.decided} decided`))";
    let began = Instant::now();
    while browser.driver.execute(same, Vec::new()).await.unwrap().json() != true {
        let page = browser.value("document.querySelector('main').innerText").await;
        assert!(began.elapsed() < Duration::from_secs(120), "the page does not go on:\n{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_while_cleaning_lose_no_decision() {
    let folder = tempfile::tempdir().unwrap();
    dirty(folder.path(), 24);
    let Some(browser) = Browser::start().await else { return };
    let mut dice = Dice(1);
    let mut program = Program::start(folder.path());
    browser.driver.goto(&program.address).await.unwrap();
    opened(&browser, &program).await;
    let mut saved = 0;
    for kill in 0..10 {
        saved += card(&browser).await;
        let question = "JSON.stringify([document.querySelector('.lead').innerText, document.querySelector('figcaption')?.innerText])";
        let before = browser.value(question).await;
        browser.press("k").await;
        browser.until(&format!("document.querySelector('.keys') && {question} !== {before}")).await;
        assert_eq!(decided(folder.path()), saved, "kill {kill}: the next card came before it was saved");
        let photos = card(&browser).await;
        if kill % 2 == 0 {
            program.kill();
            // What is decided meanwhile waits, and can be seen.
            browser.press("k").await;
            browser.until("document.querySelector('#saved').innerText.includes('not saved yet: the studio does not answer')").await;
            assert_eq!(decided(folder.path()), saved);
        } else {
            // It may be on its way, on the disk, or answered.
            browser.press("k").await;
            tokio::time::sleep(Duration::from_millis(dice.below(25))).await;
            program.kill();
        }
        program = again(&browser, folder.path()).await;
        saved += photos;
        assert_eq!(decided(folder.path()), saved, "kill {kill}: what waited was sent once");
    }
    browser.end().await;
}

/// Every file in a folder but the studio's own: where each content lies.
fn files(folder: &Path) -> BTreeMap<PathBuf, ContentHash> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.extend((!path.ends_with(".sciurus")).then_some(path));
            } else {
                let content = ContentHash::of(&fs::read(&path).unwrap());
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), content);
            }
        }
    }
    found
}

/// The contents of files, as often as each is there.
fn contents(files: &BTreeMap<PathBuf, ContentHash>) -> Vec<String> {
    let mut contents: Vec<String> = files.values().map(ToString::to_string).collect();
    contents.sort();
    contents
}

/// Web pages that pretend to be photos: nothing has to look at them, and they move as photos do.
fn many_pages(photos: &Path) {
    for page in 0..PAGES {
        fs::write(photos.join(format!("acorn/page {page}.png")), format!("<!DOCTYPE html><p>{page}"))
            .unwrap();
    }
}

/// Decides that they are set aside, and that some leaves are acorns.
async fn decide(browser: &Browser) {
    let pages: Vec<String> = (0..PAGES).map(|page| format!("acorn/page {page}.png")).collect();
    let leaves: Vec<String> = (10..10 + LEAVES).map(|leaf| format!("leaf/leaf-{leaf:03}.png")).collect();
    for (asked, files) in [
        (json!({ "choice": "set_aside", "paths": pages }), pages.len()),
        (json!({ "choice": "relabel", "with": "acorn", "paths": leaves }), leaves.len()),
    ] {
        let answer = ask(browser, "/look/decide", &asked).await;
        assert_eq!(answer["decided"], files, "{answer}");
    }
}

/// Asks the studio as its pages do.
async fn ask(browser: &Browser, url: &str, body: &Value) -> Value {
    let options = json!({ "method": "POST", "body": body.to_string(), "headers": { "content-type": "application/json" } });
    let ask = format!("return fetch('{url}', {options}).then((answer) => answer.json())");
    browser.driver.execute(ask, Vec::new()).await.unwrap().json().clone()
}

/// The number of files in a folder that may not be there.
fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Kills the studio in the moment in which as many files have come into a folder or left it.
fn kill_while_moving(program: Program, folder: PathBuf, files: u64) -> JoinHandle<()> {
    let (before, began) = (count(&folder), Instant::now());
    // Some dozens of files move faster than a browser answers.
    std::thread::spawn(move || {
        while count(&folder).abs_diff(before) < files as usize {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing moves in {}", folder.display());
        }
        program.kill();
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn six_kills_while_files_move_leave_each_file_in_one_place() {
    let folder = tempfile::tempdir().unwrap();
    dirty(folder.path(), 24);
    let photos = folder.path().join("photos");
    let Some(browser) = Browser::start().await else { return };
    let mut dice = Dice(2);
    many_pages(&photos);
    let mut program = Program::start(folder.path());
    browser.driver.goto(&program.address).await.unwrap();
    opened(&browser, &program).await;
    decide(&browser).await;
    let before = files(&photos);
    let journal = fs::read(photos.join(".sciurus/decisions.jsonl")).unwrap();
    let mut after = None;
    for kill in 0..6 {
        let is_back = kill % 2 == 1;
        opened(&browser, &program).await;
        if !is_back {
            browser.press("a").await;
            browser.until("document.querySelector('.moves li')").await;
        }
        let killed = kill_while_moving(program, photos.join("_set_aside/acorn"), 1 + dice.below(PAGES / 2));
        if is_back {
            let ask = "void fetch('/clean/back', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }).catch(() => {})";
            browser.driver.execute(ask, Vec::new()).await.unwrap();
        } else {
            browser.click(".done .keys button.do").await;
        }
        killed.join().unwrap();
        let torn = files(&photos);
        assert!(torn != before && Some(&torn) != after.as_ref(), "kill {kill} came too late or too early");
        program = again(&browser, folder.path()).await;
        let now = files(&photos);
        assert_eq!(contents(&now), contents(&before), "kill {kill}");
        match is_back {
            true => assert_eq!(now, before, "kill {kill}"),
            false => assert_eq!(*after.get_or_insert(now.clone()), now, "kill {kill}"),
        }
        assert_eq!(fs::read(photos.join(".sciurus/decisions.jsonl")).unwrap(), journal, "kill {kill}");
    }
    let aside = after.unwrap().into_keys().filter(|path| path.starts_with("_set_aside")).count();
    assert_eq!(aside as u64, PAGES);
    browser.end().await;
}

/// The epochs in the page's table.
const EPOCHS_SHOWN: &str = "[...document.querySelectorAll('#training tbody tr')].map((row) => row.cells[0].innerText + ' ' + row.cells[1].innerText)";

#[tokio::test(flavor = "multi_thread")]
async fn a_training_that_is_killed_five_times_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    dirty(folder.path(), 24);
    let Some(browser) = Browser::start().await else { return };
    let mut dice = Dice(3);
    let mut program = Program::start(folder.path());
    browser.driver.goto(&program.address).await.unwrap();
    browser.driver.goto(program.page("/train")).await.unwrap();
    browser.until("document.querySelector('[name=image_size]')").await;
    browser.value("document.querySelector('[name=image_size]').value = 64").await;
    browser.value(&format!("document.querySelector('[name=epochs]').value = {EPOCHS}")).await;
    browser.click("form[data-train=whole] button").await;
    for kill in 0..5 {
        browser.until("document.querySelector('#training')?.innerText.includes('photos a second')").await;
        tokio::time::sleep(Duration::from_millis(300 + dice.below(1200))).await;
        let before = browser.value(EPOCHS_SHOWN).await;
        program.kill();
        program = Program::start(folder.path());
        // The page finds the studio again by itself, and the studio its training.
        browser.until("document.querySelector('#training').dataset.job?.endsWith('running') && !document.querySelector('#saved').innerText").await;
        let before = before.as_array().unwrap();
        browser.until(&format!("{EPOCHS_SHOWN}.length >= {}", before.len())).await;
        let now = browser.value(EPOCHS_SHOWN).await;
        assert!(now.as_array().unwrap().starts_with(before), "kill {kill}: {before:?} became {now}");
    }
    // What is left would take minutes.
    browser.click("#job button").await;
    browser.until("document.querySelector('#training').dataset.job?.endsWith('stopped')").await;
    let epochs = browser.value(EPOCHS_SHOWN).await;
    // The head alone has one epoch; it is followed by those of the whole network.
    for (place, epoch) in epochs.as_array().unwrap().iter().skip(1).enumerate() {
        assert!(
            epoch.as_str().unwrap().starts_with(&format!("{place} ")),
            "each epoch is there once: {epochs}"
        );
    }
    let runs: Vec<_> =
        fs::read_dir(folder.path().join("runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert!(runs[0].join("model.sciurus").is_file());
    browser.end().await;
}
