//! A reviewer who has 462 photos of bears from a search engine and nothing but keys: how fast it goes, and that the journal is the
//! one that `sciurus clean --review` writes for the same decisions.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use thirtyfour::prelude::*;

use crate::browser::Browser;
use crate::program::{Program, command, run};
use crate::support::shared;

/// Decisions a minute that a reviewer must be able to make.
const SPEED: f64 = 60.0;
/// Nobody waits who is shown the next card in this time.
const WAIT: Duration = Duration::from_secs(1);

/// The heads are fitted again after this many decisions.
const REFIT: u64 = 100;

/// What was done with a card: what a terminal takes for the same, and how long the next card took.
struct Pressed {
    in_terminal: &'static str,
    waited: Duration,
}

/// Copies a folder of photos.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.path() {
            folder if folder.is_dir() => copy(&folder, &to.join(entry.file_name())),
            // Copying would take the permissions along, and these may be read-only.
            file => fs::write(to.join(entry.file_name()), fs::read(file).unwrap()).unwrap(),
        }
    }
}

/// Goes to a page with keys: Tab until its link has the focus, then Enter.
async fn by_keys_to(browser: &Browser, path: &str) {
    for _ in 0..40 {
        browser.press(Key::Tab.value().to_string()).await;
        if browser.value("document.activeElement?.getAttribute('href')").await == path {
            return browser.press(Key::Enter.value().to_string()).await;
        }
    }
    panic!("no key leads to {path}");
}

/// The keys for a card, on the page and in a terminal: mostly what is proposed; now and then, by the photo's content, something else.
/// Too much that is wrong, and there is no good moment to stop.
fn keys(content: &str, photos: usize) -> (String, &'static str) {
    let digits = u8::from_str_radix(content.get(..2).unwrap_or_default(), 16).unwrap_or(u8::MAX);
    let enter = Key::Enter.value();
    match (digits % 48, photos) {
        (0..8, _) => ("k".to_owned(), "k\n"),
        (8, 1) => ("x".to_owned(), "x\n"),
        // A terminal asks which of them.
        (8, _) => ("x".to_owned(), "xa\n"),
        (9, 1) => (format!("/black{enter}"), "lblack\n"),
        _ => (enter.to_string(), "\n"),
    }
}

/// What the page shows.
async fn card(browser: &Browser) -> Value {
    const CARD: &str = "{ const picture = document.querySelector('.desk figure img');
        return { isDone: document.querySelector('.done') !== null, head: document.querySelector('.lead')?.innerText,
            decided: Number(document.querySelector('.lead strong')?.innerText), content: picture?.src.split('/').pop(),
            photos: document.querySelectorAll('.desk figure').length,
            files: [...document.querySelectorAll('figcaption')].map((one) => one.innerText).join() } }";
    browser.value(&format!("(() => {CARD})()")).await
}

/// Waits until the heads have been fitted again, and takes the cards in their new order, as a terminal does.
async fn in_new_order(browser: &Browser) {
    browser.until("heard.includes('ranked')").await;
    browser.driver.refresh().await.unwrap();
    listen(browser).await;
}

/// Waits for a card, and hears what the studio tells its pages from then on.
async fn listen(browser: &Browser) {
    browser.until("document.querySelector('#desk[data-ready] .keys')").await;
    let hear =
        "window.heard = []; new BroadcastChannel('sciurus').onmessage = ({ data }) => heard.push(data.event)";
    browser.driver.execute(hear, Vec::new()).await.unwrap();
}

/// Decides cards until the page says that it is a good moment to stop.
async fn reviewed(browser: &Browser) -> Vec<Pressed> {
    let mut pressed = Vec::new();
    let mut fitted = 0;
    listen(browser).await;
    let mut now = card(browser).await;
    while now["isDone"] == false {
        assert!(pressed.len() < 462, "it never says to stop");
        let photos = now["photos"].as_u64().unwrap() as usize;
        let (keys, in_terminal) = keys(now["content"].as_str().unwrap_or_default(), photos);
        let before = (now["head"].clone(), now["files"].clone());
        let began = Instant::now();
        browser.press(&keys).await;
        loop {
            now = card(browser).await;
            let is_there = now["isDone"] == true || now["photos"].as_u64().unwrap() > 0;
            if is_there && (now["head"].clone(), now["files"].clone()) != before {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "no next card after {before:?}");
        }
        pressed.push(Pressed { in_terminal, waited: began.elapsed() });
        let decided = now["decided"].as_u64().unwrap_or(0);
        if now["isDone"] == false && decided - fitted >= REFIT {
            fitted = decided;
            in_new_order(browser).await;
            now = card(browser).await;
        }
    }
    pressed
}

/// The entries of a journal, without their times, and without the seals that are made from them.
fn journal(photos: &Path) -> Vec<Value> {
    let text = fs::read_to_string(photos.join(".sciurus/decisions.jsonl")).unwrap();
    let entry = |line: &str| {
        let mut entry: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        entry.retain(|name, _| !["time", "seal"].contains(&name.as_str()));
        Value::Object(entry)
    };
    // The first line says what it is.
    text.lines().skip(1).map(entry).collect()
}

/// The journal that a review in the terminal writes.
fn in_terminal(folder: &Path, cache: &Path, keys: &str) -> Vec<Value> {
    let mut review = command(folder, &["clean", "photos", "--review"]);
    review.env("XDG_CACHE_HOME", cache);
    let review = review.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut review = review.spawn().unwrap();
    review.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
    let ran = review.wait_with_output().unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{told}{}", String::from_utf8(ran.stderr).unwrap());
    assert!(told.contains("a good place to stop"), "{told}");
    journal(&folder.join("photos"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_with_a_keyboard_never_waits_and_the_terminal_agrees() {
    let Some(bears) = shared("data/bears_google_huang") else { return };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    folders.iter().for_each(|folder| copy(&bears, &folder.path().join("photos")));
    let Some(browser) = Browser::start().await else { return };
    // The network looks once, for both, and for as long as it takes.
    let looked = run(folders[0].path(), &["clean", "photos"]);
    assert_eq!(looked.status.code(), Some(1), "{}", String::from_utf8_lossy(&looked.stderr));
    let cache = folders[0].path().join("cache");
    let program = Program::start(folders[0].path());
    browser.driver.goto(&program.address).await.unwrap();
    browser.until("document.querySelector('h1')?.innerText.includes('photos of')").await;
    by_keys_to(&browser, "/clean").await;
    let pressed = reviewed(&browser).await;
    let mut waits: Vec<Duration> = pressed.iter().map(|pressed| pressed.waited).collect();
    let speed = pressed.len() as f64 / waits.iter().sum::<Duration>().as_secs_f64() * 60.0;
    waits.sort();
    eprintln!(
        "{} cards decided with keys, {speed:.0} a minute; from key to card {:?} in the middle, {:?} at most",
        pressed.len(),
        waits[waits.len() / 2],
        waits[waits.len() - 1]
    );
    browser.end().await;
    drop(program);
    let keys: String = pressed.iter().map(|pressed| pressed.in_terminal).chain(["q\n"]).collect();
    let (here, there) =
        (journal(&folders[0].path().join("photos")), in_terminal(folders[1].path(), &cache, &keys));
    let first = here.iter().zip(&there).find(|(here, there)| here != there);
    assert!(first.is_none(), "the studio and the terminal differ: {first:?}");
    assert_eq!(here.len(), there.len());
    assert!(speed >= SPEED, "{speed} decisions a minute");
    let most = waits[waits.len() * 95 / 100];
    assert!(most < WAIT, "{most:?} from a key to the next card");
}
