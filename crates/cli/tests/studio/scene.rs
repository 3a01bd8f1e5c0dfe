//! A dirty folder to play with, and what is done in it again and again.

use std::fs;
use std::path::Path;

use crate::browser::Browser;
use crate::program::Program;

/// Photos that lie in the wrong folder.
pub(crate) const WRONG: [(&str, &str); 3] = [("leaf", "acorn"), ("acorn", "leaf"), ("acorn", "leaf")];

/// As many drawn pictures of each class, some of them in the wrong folder, with a copy and a web page among them.
pub(crate) fn dirty(folder: &Path, each: usize) {
    let photos = folder.join("photos");
    sciurus::draw_demo(&photos, each, 42).unwrap();
    for (number, (from, to)) in WRONG.iter().enumerate() {
        let name = format!("{from}-{number:03}.png");
        fs::rename(photos.join(from).join(&name), photos.join(to).join(&name)).unwrap();
    }
    fs::copy(photos.join("leaf/leaf-007.png"), photos.join("leaf/zz copy.png")).unwrap();
    fs::write(photos.join("leaf/page.png"), "<!DOCTYPE html><title>404</title>").unwrap();
    fs::rename(photos.join("leaf/leaf-009.png"), folder.join("new.png")).unwrap();
}

/// The first number in a text.
pub(crate) fn number(text: &str) -> f64 {
    let digits =
        text.split(|c: char| !c.is_ascii_digit() && c != '.').find(|part| part.parse::<f64>().is_ok());
    digits.unwrap_or_else(|| panic!("no number in {text}")).parse().unwrap()
}

/// Trains a head on the page and returns the error rate.
pub(crate) async fn trained(browser: &Browser, program: &Program) -> f64 {
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
