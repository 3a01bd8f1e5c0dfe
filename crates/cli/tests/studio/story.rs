//! The story in a browser: a dirty folder is opened, a head trained in seconds, the photos cleaned with keys alone, what was decided
//! applied, a head trained again, a photo tried, the model taken home; and the program in the terminal agrees with it.

use std::fs;
use std::path::Path;

use thirtyfour::prelude::*;

use crate::browser::Browser;
use crate::program::{Program, run};

/// Photos that lie in the wrong folder.
const WRONG: [(&str, &str); 3] = [("leaf", "acorn"), ("acorn", "leaf"), ("acorn", "leaf")];

/// Drawn pictures, some of them in the wrong folder, with a copy and a web page among them.
fn dirty(folder: &Path) {
    let photos = folder.join("photos");
    sciurus::draw_demo(&photos, 24, 42).unwrap();
    for (number, (from, to)) in WRONG.iter().enumerate() {
        let name = format!("{from}-{number:03}.png");
        fs::rename(photos.join(from).join(&name), photos.join(to).join(&name)).unwrap();
    }
    fs::copy(photos.join("leaf/leaf-007.png"), photos.join("leaf/zz copy.png")).unwrap();
    fs::write(photos.join("leaf/page.png"), "<!DOCTYPE html><title>404</title>").unwrap();
    fs::rename(photos.join("leaf/leaf-009.png"), folder.join("new.png")).unwrap();
}

/// The first number in a text.
fn number(text: &str) -> f64 {
    let digits =
        text.split(|c: char| !c.is_ascii_digit() && c != '.').find(|part| part.parse::<f64>().is_ok());
    digits.unwrap_or_else(|| panic!("no number in {text}")).parse().unwrap()
}

/// Trains a head on the page and returns the error rate.
async fn trained(browser: &Browser, program: &Program) -> f64 {
    browser.driver.goto(program.page("/train")).await.unwrap();
    // The stream tells of an earlier training first.
    browser
        .until("document.querySelector('#training').dataset.job || document.querySelector('#saved')")
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let before = browser.value("document.querySelector('#training').dataset.job ?? null").await;
    browser.click("form[data-train=instant] button").await;
    browser.until(&format!("document.querySelector('#training').dataset.job?.endsWith('done') && document.querySelector('#training').dataset.job !== {before}")).await;
    let told = browser.value("document.querySelector('#training .lead').innerText").await;
    number(told.as_str().unwrap())
}

/// Decides every card with keys, as somebody would who looks: the name says what each picture shows.
async fn cleaned(browser: &Browser) {
    browser.click("nav a[href='/clean']").await;
    browser.until("document.querySelector('#desk[data-ready] .keys')").await;
    browser.picture("clean").await;
    for cards in 0.. {
        assert!(cards < 60, "it never says to stop");
        if browser.value("document.querySelector('.done') !== null").await == true {
            break;
        }
        let name = browser.value("document.querySelector('figcaption').innerText").await;
        let many = browser.value("document.querySelectorAll('figure').length > 1").await == true;
        let (class, file) = name.as_str().unwrap().split_once('/').unwrap();
        let key = match ["acorn", "leaf"].iter().position(|label| file.starts_with(label)) {
            _ if many => "\u{e007}".to_owned(),
            None => "x".to_owned(),
            Some(place) if class != ["acorn", "leaf"][place] => (place + 1).to_string(),
            Some(_) => "k".to_owned(),
        };
        let decided = browser.value("document.querySelector('.lead strong').innerText").await;
        browser.press(key).await;
        let is_next = format!("document.querySelector('.lead strong')?.innerText !== {decided}");
        browser.until(&format!("{is_next} || document.querySelector('.done')")).await;
    }
    browser.picture("stop").await;
}

/// Carries out what was decided.
async fn applied(browser: &Browser, folder: &Path) {
    browser.press("a").await;
    browser.until("document.querySelector('.moves')").await;
    browser.picture("apply").await;
    browser.click(".done .keys button.do").await;
    browser.until("document.querySelector('#job')?.innerText.includes('moved')").await;
    for (number, (from, to)) in WRONG.iter().enumerate() {
        let name = format!("{from}-{number:03}.png");
        assert!(folder.join("photos").join(from).join(&name).is_file(), "{name} is still with {to}");
    }
    assert!(folder.join("photos/_set_aside/leaf/page.png").is_file());
}

/// The page of results tells the same error rate, and a cell opens as many photos as it says.
async fn results(browser: &Browser, program: &Program, error: f64) {
    browser.driver.goto(program.page("/results")).await.unwrap();
    browser.picture("results").await;
    let said = browser.value("document.querySelector('h1').innerText").await;
    assert!((number(said.as_str().unwrap()) - error).abs() < 1e-9, "{said}");
    let cell = browser.value("Number(document.querySelector('.matrix .right a').innerText)").await;
    browser.click(".matrix .right a").await;
    browser.until("document.querySelector('#photos figure')").await;
    assert_eq!(browser.value("document.querySelectorAll('#photos figure').length").await, cell);
}

/// Tries a photo; what the page says of it.
async fn tried(browser: &Browser, program: &Program, photo: &Path) -> [String; 2] {
    browser.driver.goto(program.page("/try")).await.unwrap();
    browser.driver.find(By::Id("file")).await.unwrap().send_keys(photo.display().to_string()).await.unwrap();
    browser.until("document.querySelector('.answer h2')").await;
    browser.picture("try").await;
    let label = browser.value("document.querySelector('.answer h2').innerText").await;
    let probability = browser.value("document.querySelector('.answer .n').innerText").await;
    [label, probability].map(|said| said.as_str().unwrap().to_owned())
}

/// The bytes of the model that the page offers.
async fn taken_home(browser: &Browser, program: &Program) -> Vec<u8> {
    browser.driver.goto(program.page("/take-home")).await.unwrap();
    browser.picture("take-home").await;
    let get = "const done = arguments[0]; fetch(document.querySelector('a[download]').href)\
               .then((answer) => answer.arrayBuffer()).then((bytes) => done(Array.from(new Uint8Array(bytes))))";
    let model = browser.driver.execute_async(get, Vec::new()).await.unwrap();
    model.json().as_array().unwrap().iter().map(|byte| byte.as_u64().unwrap() as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_dirty_folder_to_a_model() {
    let folder = tempfile::tempdir().unwrap();
    dirty(folder.path());
    let Some(browser) = Browser::start().await else { return };
    let program = Program::start(folder.path());
    browser.driver.goto(&program.address).await.unwrap();
    browser.until("document.querySelector('h1')?.innerText.includes('48 photos of 2 classes')").await;
    assert_eq!(browser.value("location.search").await, "", "the secret stays in the address");
    browser.picture("project").await;
    let before = trained(&browser, &program).await;
    cleaned(&browser).await;
    applied(&browser, folder.path()).await;
    let after = trained(&browser, &program).await;
    assert!(after < before, "error {before} before cleaning, {after} after");
    browser.picture("train").await;
    results(&browser, &program, after).await;
    browser.driver.goto(program.page("/look")).await.unwrap();
    browser.until("document.querySelectorAll('.grid.live .cell').length > 12").await;
    browser.picture("look").await;
    let [label, probability] = tried(&browser, &program, &folder.path().join("new.png")).await;
    fs::write(folder.path().join("taken.sciurus"), taken_home(&browser, &program).await).unwrap();
    let predicted = run(folder.path(), &["predict", "taken.sciurus", "new.png"]);
    let predicted = String::from_utf8(predicted.stdout).unwrap();
    assert!(
        predicted.contains(&label) && predicted.contains(&probability),
        "{predicted} {label} {probability}"
    );
    browser.end().await;
}

/// The number of decisions in the journal.
fn decided(folder: &Path) -> usize {
    let journal = fs::read_to_string(folder.join("photos/.sciurus/decisions.jsonl")).unwrap_or_default();
    journal.matches("\"entry\":\"decided\"").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_studio_that_is_killed_loses_nothing_and_its_page_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    dirty(folder.path());
    let Some(browser) = Browser::start().await else { return };
    let mut program = Program::start(folder.path());
    browser.driver.goto(&program.address).await.unwrap();
    browser.driver.goto(program.page("/clean")).await.unwrap();
    browser.until("document.querySelector('#desk[data-ready] .keys')").await;
    let mut acknowledged = 0;
    for kill in 0..5 {
        for _ in 0..2 {
            let question = "JSON.stringify([document.querySelector('.lead').innerText, document.querySelector('figcaption').innerText])";
            let before = browser.value(question).await;
            browser.press("k").await;
            browser.until(&format!("document.querySelector('figcaption') && {question} !== {before}")).await;
        }
        let now = decided(folder.path());
        assert!(now > acknowledged, "kill {kill}: {now} decisions, {acknowledged} before");
        acknowledged = now;
        let photos = browser.value("document.querySelectorAll('.desk figure').length").await;
        program.kill();
        // What is decided meanwhile waits, and can be seen.
        browser.press("k").await;
        browser.until("document.querySelector('#saved').innerText.includes('not saved yet: the studio does not answer')").await;
        assert_eq!(decided(folder.path()), acknowledged);
        program = Program::start(folder.path());
        browser.until("document.querySelector('#saved').innerText.includes('is on the disk') && document.querySelector('.keys')").await;
        let sent = acknowledged + photos.as_u64().unwrap() as usize;
        assert_eq!(decided(folder.path()), sent, "kill {kill}: what waited was sent once");
        acknowledged = sent;
    }
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_that_is_killed_is_finished_by_the_next_studio() {
    let folder = tempfile::tempdir().unwrap();
    dirty(folder.path());
    let Some(browser) = Browser::start().await else { return };
    let mut program = Program::start(folder.path());
    browser.driver.goto(&program.address).await.unwrap();
    browser.driver.goto(program.page("/train")).await.unwrap();
    browser.until("document.querySelector('[name=image_size]')").await;
    browser.value("document.querySelector('[name=image_size]').value = 64").await;
    // Long enough for a page that waits some seconds before it asks again.
    browser.value("document.querySelector('[name=epochs]').value = 20").await;
    browser.click("form[data-train=whole] button").await;
    for _ in 0..2 {
        browser.until("document.querySelector('#training')?.innerText.includes('photos a second')").await;
        program.kill();
        program = Program::start(folder.path());
        // The page finds the studio again by itself, and the studio its training.
        browser.until("document.querySelector('#training').dataset.job?.endsWith('running') && !document.querySelector('#saved').innerText").await;
    }
    browser.until("document.querySelector('#training').dataset.job?.endsWith('done')").await;
    let runs: Vec<_> =
        fs::read_dir(folder.path().join("runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert!(runs[0].join("model.sciurus").is_file());
    browser.end().await;
}
