//! `POST /predict`, in all ways that photos can be sent; and everything else that is answered.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::server::{Server, model, picture, png};

/// The probability of the first label that an answer lists.
fn probability(answer: &Value, photo: usize) -> f64 {
    answer["predictions"][photo]["probability"].as_f64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_predicted_as_by_the_library_however_it_is_sent() {
    let server = Server::usual();
    let photos = [picture(1), picture(2)];
    let wanted = photos.each_ref().map(|photo| server.predictor().predict(photo).unwrap());
    let raw = server.post("/predict?top=1", "image/png", png(&photos[0])).await.ok().json();
    assert_eq!(raw["model"], "squirrels");
    assert_eq!(raw["predictions"][0]["label"], wanted[0].label);
    assert_eq!(raw["predictions"][0]["labels"], json!(wanted[0].labels));
    assert_eq!(raw["predictions"][0]["rejected"], json!(wanted[0].rejected));
    assert_eq!(raw["predictions"][0]["top"].as_array().unwrap().len(), 1);
    assert!((probability(&raw, 0) - f64::from(wanted[0].probability)).abs() < 1e-6);

    let texts = photos.each_ref().map(|photo| STANDARD.encode(png(photo)));
    let bodies = [
        json!({ "images": texts }),
        json!({ "image": texts[0], "images": [format!("data:image/png;base64,{}", texts[1])], "top": 2 }),
    ];
    for body in bodies {
        let answer = server.post("/predict", "application/json", body.to_string()).await.ok().json();
        for (place, wanted) in wanted.iter().enumerate() {
            assert!((probability(&answer, place) - f64::from(wanted.probability)).abs() < 1e-5, "{answer}");
            assert_eq!(answer["predictions"][place]["top"].as_array().unwrap().len(), 2);
        }
    }

    let mut form = Vec::new();
    for photo in &photos {
        form.extend(b"--X\r\ncontent-disposition: form-data; name=\"photo\"; filename=\"a.png\"\r\n\r\n");
        form.extend(png(photo));
        form.extend(b"\r\n");
    }
    form.extend(b"--X\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nsquirrels\r\n--X--\r\n");
    let answer = server.post("/predict", "multipart/form-data; boundary=X", form).await.ok().json();
    for (place, wanted) in wanted.iter().enumerate() {
        assert!((probability(&answer, place) - f64::from(wanted.probability)).abs() < 1e-5, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_photo_among_others_stops_none() {
    let server = Server::usual();
    let (good, bad) = (STANDARD.encode(png(&picture(1))), STANDARD.encode("no photo"));
    let body = json!({ "images": [good, bad, good] }).to_string();
    let answer = server.post("/predict", "application/json", body).await.ok().json();
    assert!(answer["predictions"][1]["error"].as_str().unwrap().contains("not"), "{answer}");
    assert_eq!(answer["predictions"][0], answer["predictions"][2]);
    assert!(probability(&answer, 0) > 0.0);
    // Alone, it is a refusal.
    let refused = server.post("/predict", "image/jpeg", "no photo").await.refused(422);
    assert!(!refused.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_explained() {
    let server = Server::usual();
    for (kind, body, says) in [
        ("application/json", "{", "JSON"),
        ("application/json", "{}", "no photo"),
        ("application/json", r#"{"photo": "a"}"#, "unknown field"),
        ("application/json", r#"{"image": "%"}"#, "base64"),
        ("multipart/form-data", "", "form"),
        ("multipart/form-data; boundary=X", "--X\r\ncut", "form"),
        ("multipart/form-data; boundary=X", "--X--\r\n", "no photo"),
    ] {
        let refused = server.post("/predict", kind, body).await.refused(400);
        assert!(refused.contains(says), "{body}: {refused}");
    }
    let refused = server.post("/predict?model=birds", "image/png", png(&picture(1))).await.refused(404);
    assert!(refused.contains("squirrels"), "{refused}");
    server.post("/predict?top=x", "image/png", png(&picture(1))).await.refused_plainly(400);
    server.get("/predict").await.refused(405);
    assert!(server.get("/../etc/passwd").await.refused(404).contains("openapi"));
    server.get("/assets/%2e%2e%2fpage.html").await.refused(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_names_every_address_and_each_answers() {
    let server = Server::usual();
    let description = server.get("/openapi.json").await.ok().json();
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    for (path, methods) in description["paths"].as_object().unwrap() {
        if methods.get("get").is_some() {
            let address =
                path.replace("{model}", "squirrels").replace("{version}", "1").replace("{name}", "page.js");
            server.get(&address).await.ok();
        } else {
            let address = path.replace("{model}", "squirrels").replace("{version}", "1");
            assert_ne!(server.post(&address, "application/json", "").await.status, 404, "{address}");
        }
    }
    let schema = &description["components"]["schemas"]["Prediction"]["properties"];
    let answer = server.post("/predict", "image/png", png(&picture(1))).await.ok().json();
    for field in answer["predictions"][0].as_object().unwrap().keys() {
        assert!(schema.get(field).is_some(), "{field} is not described");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_counted() {
    let server = Server::usual();
    server.post("/predict", "image/png", png(&picture(1))).await.ok();
    server.post("/predict", "image/png", "no photo").await;
    server.get("/made/up").await;
    let text = String::from_utf8(server.get("/metrics").await.ok().body).unwrap();
    for line in [
        r#"sciurus_requests_total{route="/predict",status="200"} 1"#,
        r#"sciurus_requests_total{route="/predict",status="422"} 1"#,
        r#"sciurus_requests_total{route="none",status="404"} 1"#,
        r#"sciurus_photos_total{model="squirrels"} 1"#,
        r#"sciurus_waiting_photos{model="squirrels"} 0"#,
    ] {
        assert!(text.lines().any(|known| known == line), "no `{line}` in:\n{text}");
    }
    assert!(!text.contains("made"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_is_loaded_and_a_broken_one_is_not() {
    use sciurus_serve::{Reload, Reloaded};

    let server = Server::usual();
    let path = server.folder.path().join("squirrels.sciurus");
    let loaded = |which| server.models.reload(which).pop().unwrap().1;
    assert!(matches!(loaded(Reload::Changed), Reloaded::Same));
    model(server.folder.path(), "squirrels.sciurus", ["fox", "marten"]);
    assert!(matches!(loaded(Reload::Changed), Reloaded::Loaded));
    let answer = server.post("/predict", "image/png", png(&picture(1))).await.ok().json();
    assert!(["fox", "marten"].contains(&answer["predictions"][0]["label"].as_str().unwrap()));
    std::fs::write(&path, "broken").unwrap();
    assert!(matches!(loaded(Reload::Changed), Reloaded::Failed(_)));
    // It goes on with the one before, and is not tried again before it changes.
    assert!(matches!(loaded(Reload::Changed), Reloaded::Same));
    server.post("/predict", "image/png", png(&picture(1))).await.ok();
    assert!(matches!(loaded(Reload::All), Reloaded::Failed(_)));
}
