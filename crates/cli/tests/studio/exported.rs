//! The page of `sciurus export --to web` in a real browser, with onnxruntime-web, beside `sciurus predict`.
//!
//! `SCIURUS_ORT_WEB` names the folder `dist` of the npm package onnxruntime-web; without it this is passed over. `cargo xtask
//! export-check` sets it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::browser::Browser;
use crate::server::{Reply, Server};
use crate::support::{drawn, sciurus, shared};

/// Pictures that both are asked about.
const PICTURES: usize = 50;

/// Real photos and drawn ones as PNG, which every program decodes alike.
fn pictures(folder: &Path) -> Vec<PathBuf> {
    let drawn = sciurus::new_demo_pictures(5, 7).into_iter().map(|(picture, _)| picture);
    let (files, _) = sciurus::find_files(&shared("data/hymenoptera").into_iter().collect::<Vec<_>>());
    let limits = sciurus::data::DecodeLimits::default();
    let real = files.iter().filter_map(|path| sciurus::data::decode_file(path, &limits).ok());
    let place = |(number, picture): (usize, image::RgbImage)| {
        let path = folder.join(format!("{number}.png"));
        picture.save(&path).unwrap();
        path
    };
    drawn.chain(real).take(PICTURES).enumerate().map(place).collect()
}

/// Hands out the files of a folder.
fn serve(folder: PathBuf) -> Server {
    Server::start(move |request| {
        let path = folder.join(request.path.trim_start_matches('/'));
        let Ok(bytes) = fs::read(&path) else { return Reply::status(404) };
        let kind = match path.extension().and_then(|ending| ending.to_str()) {
            Some("html") => "text/html",
            Some("js" | "mjs") => "text/javascript",
            Some("css") => "text/css",
            Some("wasm") => "application/wasm",
            _ => "application/octet-stream",
        };
        Reply::Whole(200, vec![("content-type", kind.to_owned())], bytes)
    })
}

/// What `sciurus predict` says: probabilities by label, and whether it is none of them.
fn expected(folder: &Path, pictures: &[PathBuf]) -> Vec<(BTreeMap<String, f64>, bool)> {
    let mut arguments = vec!["predict", "run", "--json", "--precision", "f32", "--top", "9"];
    arguments.extend(pictures.iter().map(|path| path.to_str().unwrap()));
    let lines = sciurus(folder, &arguments).expect(0).out;
    let answer = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let top = line["top"].as_array().unwrap().iter();
        let probability = |answer: &Value| {
            (answer["label"].as_str().unwrap().to_owned(), answer["probability"].as_f64().unwrap())
        };
        (top.map(probability).collect(), line["rejected"].as_bool().unwrap())
    };
    lines.lines().map(answer).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_page_says_what_predict_says() {
    let Some(runtime) = std::env::var_os("SCIURUS_ORT_WEB") else {
        eprintln!("passed over: SCIURUS_ORT_WEB names no onnxruntime-web");
        return;
    };
    let Some(browser) = Browser::start().await else { return };
    let folder = drawn(24);
    let path = folder.path();
    let train =
        ["train", "photos", "--instant", "--arch", "hazel", "--image-size", "96", "--run", "run", "--quiet"];
    sciurus(path, &train).expect(0);
    let runtime = runtime.to_str().unwrap().to_owned();
    sciurus(path, &["export", "run", "--to", "web", "--output", "page", "--runtime", &runtime, "--quiet"])
        .expect(0);
    let pictures = pictures(&path.join("page"));
    let expected = expected(path, &pictures);
    assert_eq!(expected.len(), PICTURES);

    let server = serve(path.join("page"));
    browser.driver.goto(format!("http://127.0.0.1:{}/index.html", server.port)).await.unwrap();
    browser.until("document.getElementById('state').textContent.startsWith('Drop')").await;
    let labels: Value = serde_json::from_slice(&fs::read(path.join("page/model.json")).unwrap()).unwrap();
    let mut farthest = 0.0_f64;
    for (number, (probabilities, is_strange)) in expected.iter().enumerate() {
        let script = "const done = arguments[arguments.length - 1]; \
             fetch(arguments[0]).then((answer) => answer.blob()).then((photo) => sciurusAsk(photo)).then(done, (error) => done(String(error)))";
        let answer =
            browser.driver.execute_async(script, vec![format!("{number}.png").into()]).await.unwrap();
        let answer = answer.json();
        for (place, label) in labels["labels"].as_array().unwrap().iter().enumerate() {
            let found =
                answer["probabilities"][place].as_f64().unwrap_or_else(|| panic!("{number}: {answer}"));
            farthest = farthest.max((found - probabilities[label.as_str().unwrap()]).abs());
        }
        assert_eq!(answer["rejected"].as_bool(), Some(*is_strange), "{number}: {answer}");
    }
    println!("{PICTURES} pictures, at most {farthest:.7} apart");
    assert!(farthest <= 1e-4, "{farthest}");

    // As a person sees it: a photo is chosen, and a card says what it shows.
    let chosen = pictures[0].to_str().unwrap();
    browser.driver.find(thirtyfour::By::Id("file")).await.unwrap().send_keys(chosen).await.unwrap();
    browser.until("document.querySelector('.answer h2')").await;
    browser.picture("exported").await;
    browser.end().await;
}
