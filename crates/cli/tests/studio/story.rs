//! The story in a browser: a dirty folder is opened, a head trained in seconds, the photos cleaned with keys alone, what was decided
//! applied, a head trained again, a photo tried, the model taken home; and the program in the terminal agrees with it.

use std::fs;
use std::path::Path;

use thirtyfour::prelude::*;

use crate::browser::Browser;
use crate::program::{Program, run};
use crate::scene::{WRONG, dirty, number, trained};

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
            Some(place) if class != ["acorn", "leaf"][place] => {
                format!("/{}\u{e007}", ["acorn", "leaf"][place])
            }
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

/// Opens the map and draws around all of it: every photo is selected, and Esc lets go of them.
async fn mapped(browser: &Browser) {
    browser.press("m").await;
    browser.until("document.querySelector('#refining').innerText.startsWith('Draw around')").await;
    browser.picture("look").await;
    let shown = browser.value("document.querySelector('#count').innerText").await;
    let canvas = browser.driver.find(By::Id("dots")).await.unwrap();
    let (width, height) = canvas.rect().await.map(|rect| (rect.width as i64, rect.height as i64)).unwrap();
    let corners = [(4, 4), (width - 4, 4), (width - 4, height - 4), (4, height - 4)];
    let from_middle = |(x, y): (i64, i64)| (x - width / 2, y - height / 2);
    let mut drawing = browser.driver.action_chain();
    for (place, corner) in corners.into_iter().enumerate() {
        let (x, y) = from_middle(corner);
        drawing = drawing.move_to_element_with_offset(&canvas, x, y);
        drawing = if place == 0 { drawing.click_and_hold() } else { drawing };
    }
    drawing.release().perform().await.unwrap();
    browser.until("document.querySelector('#selected strong')?.innerText.endsWith('selected')").await;
    let selected = browser.value("document.querySelector('#selected strong').innerText").await;
    assert!(
        (number(selected.as_str().unwrap()) - number(shown.as_str().unwrap())).abs() < 1.5,
        "{selected} of {shown}"
    );
    browser.press("\u{e00c}").await;
    browser.until("document.querySelector('#selected').hidden").await;
}

/// Tries a photo; what the page says of it.
async fn tried(browser: &Browser, program: &Program, photo: &Path) -> [String; 2] {
    browser.driver.goto(program.page("/try")).await.unwrap();
    browser.driver.find(By::Id("file")).await.unwrap().send_keys(photo.display().to_string()).await.unwrap();
    browser.until("document.querySelector('.answer .near img')").await;
    browser.picture("try").await;
    let answer = "[...document.querySelectorAll('.answer')].map((answer) => \
                  [answer.querySelector('h2').innerText, answer.querySelector('.n').innerText])";
    let said = browser.value(answer).await;
    // The same photo, pasted, has the same answer.
    let paste = "const [bytes, done] = arguments; const data = new DataTransfer(); \
                 data.items.add(new File([Uint8Array.from(bytes)], 'pasted.png', { type: 'image/png' })); \
                 document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true })); done()";
    browser.driver.execute_async(paste, vec![fs::read(photo).unwrap().into()]).await.unwrap();
    browser.until("document.querySelectorAll('.answer:has(.n):has(.near img)').length === 2").await;
    let pasted = browser.value(answer).await;
    assert!(pasted.as_array().unwrap().iter().all(|answer| *answer == said[0]), "{said} {pasted}");
    [&said[0][0], &said[0][1]].map(|said| said.as_str().unwrap().to_owned())
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
    dirty(folder.path(), 24);
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
    mapped(&browser).await;
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
