//! What pages show and what decisions do, asked as a page asks.

use std::fs;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::asking::Studio;

/// Drawn pictures with a copy and a web page among them.
fn dirty() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    sciurus::draw_demo(&photos, 8, 42).unwrap();
    fs::copy(photos.join("leaf/leaf-003.png"), photos.join("leaf/zz copy.png")).unwrap();
    fs::write(photos.join("leaf/page.png"), "<!DOCTYPE html><title>404</title>").unwrap();
    folder
}

/// Looks at the photos, and returns the first card.
async fn looked(studio: &Studio) -> Value {
    studio.post("/clean/look", &json!({})).await;
    studio.settle().await;
    studio.get("/clean/state").await.json()
}

fn asked(card: &Value, choice: &Value) -> Value {
    let mut asked = json!({ "card": card["id"], "photos": card["photos"] });
    asked.as_object_mut().unwrap().extend(choice.as_object().unwrap().clone());
    asked
}

fn decisions(folder: &std::path::Path) -> usize {
    let journal = fs::read_to_string(folder.join(".sciurus/decisions.jsonl")).unwrap_or_default();
    journal.matches("\"entry\":\"decided\"").count()
}

#[tokio::test]
async fn the_number_of_photos_is_the_number_of_cells() {
    let folder = dirty();
    let studio = Studio::open(&folder.path().join("photos")).await;
    let photos = studio.get("/look/photos").await.json();
    assert_eq!(photos["photos"].as_array().unwrap().len(), 17);
    let page = studio.get("/").await.text();
    assert!(page.contains("17 photos of 2 classes") && page.contains("leaf/page.png"), "{page}");
    let page = studio.get("/look").await.text();
    assert_eq!(page.matches("class=\"cell\"").count(), 17);
}

#[tokio::test]
async fn a_decision_counts_once_and_survives() {
    let folder = dirty();
    let studio = Studio::open(&folder.path().join("photos")).await;
    let state = looked(&studio).await;
    let card = &state["cards"][0];
    let decided = studio.post("/clean/decide", &asked(card, &json!({ "choice": "keep" }))).await;
    assert_eq!(decided.status, StatusCode::OK, "{}", decided.text());
    let next = decided.json();
    assert_ne!(next["cards"][0]["id"], card["id"]);
    let count = decisions(&folder.path().join("photos"));
    assert_eq!(count, card["photos"].as_array().unwrap().len());
    // The same again, as after a lost answer, by this page or another.
    let again = studio.post("/clean/decide", &asked(card, &json!({ "choice": "keep" }))).await;
    assert_eq!((again.status, decisions(&folder.path().join("photos"))), (StatusCode::OK, count));
    assert_eq!(again.json()["cards"][0]["id"], next["cards"][0]["id"]);
    // Another page that decides it otherwise is told.
    let other = studio.post("/clean/decide", &asked(card, &json!({ "choice": "set_aside" }))).await;
    assert_eq!((other.status, decisions(&folder.path().join("photos"))), (StatusCode::CONFLICT, count));
    // A card that never was.
    let made_up =
        json!({ "card": "0".repeat(32), "photos": [{ "path": "x", "content": "0" }], "choice": "keep" });
    assert_eq!(studio.post("/clean/decide", &made_up).await.status, StatusCode::CONFLICT);
    let label = asked(&next["cards"][0], &json!({ "choice": "relabel", "with": "../outside" }));
    assert_eq!(studio.post("/clean/decide", &label).await.status, StatusCode::BAD_REQUEST);
    // Taken back, it is the next card again.
    let standing = next["standing"].as_u64().unwrap();
    for _ in 0..2 {
        // The second time it arrives, it was done before.
        let back = studio.post("/clean/undo", &json!({ "standing": standing })).await.json();
        assert_eq!(back["cards"][0]["id"], card["id"]);
        assert!(back["standing"].as_u64().unwrap() < standing);
    }
    studio.post("/clean/decide", &asked(card, &json!({ "choice": "keep" }))).await;
    // The next studio on this folder knows it.
    drop(studio);
    let studio = Studio::open(&folder.path().join("photos")).await;
    looked(&studio).await;
    let again = studio.post("/clean/decide", &asked(card, &json!({ "choice": "keep" }))).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text());
    let other = studio.post("/clean/decide", &asked(card, &json!({ "choice": "set_aside" }))).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn of_two_copies_only_the_selected_one_is_decided() {
    let folder = dirty();
    let studio = Studio::open(&folder.path().join("photos")).await;
    looked(&studio).await;
    let one =
        studio.post("/look/decide", &json!({ "paths": ["leaf/zz copy.png"], "choice": "set_aside" })).await;
    assert_eq!(one.json()["decided"], 1, "{}", one.text());
    let moves = studio.get("/clean/moves").await.json();
    assert_eq!((&moves["count"], &moves["moves"][0]["path"]), (&json!(1), &json!("leaf/zz copy.png")));
}

#[tokio::test]
async fn what_was_decided_moves_when_it_is_asked_for_and_moves_back() {
    let folder = dirty();
    let studio = Studio::open(&folder.path().join("photos")).await;
    let state = looked(&studio).await;
    let files = || walk(&folder.path().join("photos"));
    let before = files();
    let broken =
        state["cards"].as_array().unwrap().iter().find(|card| card["photos"][0]["path"] == "leaf/page.png");
    studio.post("/clean/decide", &asked(broken.unwrap(), &json!({ "choice": "as_proposed" }))).await;
    let photos = studio.get("/look/photos").await.json();
    let leaf: Vec<&Value> = photos["photos"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|photo| photo[3].as_str().unwrap().starts_with("leaf/leaf-00"))
        .collect();
    let paths: Vec<&Value> = leaf.iter().take(2).map(|photo| &photo[3]).collect();
    let many =
        studio.post("/look/decide", &json!({ "paths": paths, "choice": "relabel", "with": "acorn" })).await;
    assert_eq!(many.json()["decided"], 2, "{}", many.text());
    assert_eq!(files(), before, "nothing moves before it is asked for");
    let moves = studio.get("/clean/moves").await.json();
    assert_eq!(moves["count"], 3, "{moves}");
    studio.post("/clean/apply", &json!({})).await;
    assert_eq!(studio.settle().await, "3 files moved; nothing was deleted");
    assert!(folder.path().join("photos/_set_aside/leaf/page.png").is_file());
    assert!(folder.path().join("photos/acorn/leaf-000.png").is_file());
    assert_eq!(studio.get("/clean/state").await.json()["changes"], 0);
    studio.post("/clean/back", &json!({})).await;
    assert_eq!(studio.settle().await, "3 files moved back");
    assert_eq!(files(), before);
}

#[tokio::test]
async fn one_thing_at_a_time() {
    let folder = dirty();
    let studio = Studio::open(&folder.path().join("photos")).await;
    assert_eq!(studio.get("/clean/state").await.status, StatusCode::SERVICE_UNAVAILABLE);
    studio.post("/clean/look", &json!({})).await;
    let second = studio.post("/train/begin", &json!({ "instant": true })).await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert!(second.json()["error"].as_str().unwrap().contains("is not finished"), "{}", second.text());
    studio.settle().await;
    let nothing = studio.post("/jobs/1/stop", &json!({})).await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_look_can_be_stopped_and_begun_again() {
    let folder = dirty();
    let studio = Studio::open(&folder.path().join("photos")).await;
    studio.post("/clean/look", &json!({})).await;
    let job = studio.workspace.job_states().last().unwrap().id;
    assert_eq!(studio.post(&format!("/jobs/{job}/stop"), &json!({})).await.status, StatusCode::OK);
    assert!(studio.settle().await.starts_with("stopped before every photo was looked at"));
    let ended = studio.workspace.job_states().last().unwrap().status;
    assert_eq!(serde_json::to_value(ended).unwrap(), "stopped");
    assert_eq!(studio.get("/clean/state").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(looked(&studio).await["cards"][0]["id"].is_string());
}

#[tokio::test]
async fn a_folder_that_is_no_data_set_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    let studio = Studio::open(&photos).await;
    for path in ["/", "/look", "/train"] {
        let page = studio.get(path).await.text();
        assert!(page.contains("put the images of each class into a folder"), "{path}: {page}");
    }
    fs::remove_dir(&photos).unwrap();
    sciurus::draw_demo(&photos, 3, 1).unwrap();
    studio.post("/folder/read", &json!({})).await;
    studio.settle().await;
    assert!(studio.get("/").await.text().contains("6 photos of 2 classes"));
}

/// Every file outside our own folder.
fn walk(root: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with(".sciurus") => {}
                true => open.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}
