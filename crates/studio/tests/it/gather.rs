//! Photos that arrive and photos that somebody brings: what lands in the folder, what does not, and what pages are told.

use std::fs;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{StatusCode, header};
use image::ImageFormat;
use sciurus_studio::{JobStatus, Services};
use serde_json::{Value, json};

use crate::asking::{Answer, Studio, request};
use crate::image_service::{Offer, serve};

/// A picture of grey squares, another one for each seed.
pub(crate) fn picture(seed: u64, format: ImageFormat) -> Vec<u8> {
    let grey = |x: u32, y: u32| {
        // The mix of SplitMix64.
        let square = (seed << 32) + u64::from(x / 30) * 31 + u64::from(y / 30);
        let mixed = square.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40) as u8
    };
    let picture = image::RgbImage::from_fn(240, 240, |x, y| [grey(x, y), grey(y, x), seed as u8].into());
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Two classes of four photos each, in folders below this one.
fn classes(folder: &Path, first: u64) {
    for (number, class) in ["grey", "red"].into_iter().enumerate() {
        fs::create_dir_all(folder.join(class)).unwrap();
        for photo in 0..4 {
            let seed = first + 10 * number as u64 + photo;
            fs::write(folder.join(class).join(format!("{photo}.jpg")), picture(seed, ImageFormat::Jpeg))
                .unwrap();
        }
    }
}

/// Every file and folder of a folder.
pub(crate) fn tree(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

async fn bring(studio: &Studio, class: &str, name: &str, bytes: impl Into<Body>) -> Answer {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let path = format!("/gather/add?class={}&name={}", encoded(class), encoded(name));
    let request =
        request("POST", &path).header(header::COOKIE, &studio.cookie).header("sec-fetch-site", "same-origin");
    studio.ask(request.body(bytes.into()).unwrap()).await
}

/// What a page shows that knows nothing yet.
async fn view(studio: &Studio) -> Value {
    studio.get("/gather/state?run=0&after=0").await.json()["view"].clone()
}

#[tokio::test]
async fn a_photo_lands_once_in_the_folder_of_its_class() {
    let folder = tempfile::tempdir().unwrap();
    classes(folder.path(), 0);
    let studio = Studio::open(folder.path()).await;
    let (one, other) = (picture(100, ImageFormat::Png), picture(101, ImageFormat::Jpeg));
    let added = bring(&studio, "red", "../../oak tree.JPEG", one.clone()).await;
    assert_eq!(added.json()["file"]["file"], "red/oak tree.png", "{}", added.text());
    assert_eq!(fs::read(folder.path().join("red/oak tree.png")).unwrap(), one);
    // The same bytes again, under another name or in another class, are the same photo.
    for (class, name) in [("red", "oak tree.png"), ("grey", "another.png"), ("maple", "x.png")] {
        let again = bring(&studio, class, name, one.clone()).await;
        assert_eq!(again.json()["copy"]["of"], "red/oak tree.png", "{}", again.text());
    }
    let known = fs::read(folder.path().join("grey/2.jpg")).unwrap();
    assert_eq!(bring(&studio, "red", "x.jpg", known).await.json()["copy"]["of"], "grey/2.jpg");
    // What has that name already stays as it is.
    let before = fs::read(folder.path().join("red/1.jpg")).unwrap();
    let added = bring(&studio, "red", "1.jpg", other.clone()).await.json();
    assert_eq!(added["file"]["file"], "red/1-2.jpg");
    assert_eq!(fs::read(folder.path().join("red/1.jpg")).unwrap(), before);
    assert_eq!(fs::read(folder.path().join("red/1-2.jpg")).unwrap(), other);
    // It can be seen before the folder is read again, made anew by us.
    let thumb = studio.get(&format!("/gather/thumb/{}", added["file"]["content"].as_str().unwrap())).await;
    assert_eq!(
        (thumb.status, image::guess_format(&thumb.body).unwrap()),
        (StatusCode::OK, ImageFormat::Jpeg)
    );
    assert_ne!(thumb.body, other);
    let shown = view(&studio).await;
    assert_eq!(shown["arrived"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&shown["arrived"][1]["file"], &shown["arrived"][1]["licence"]),
        (&json!("red/1-2.jpg"), &Value::Null)
    );
    // A new class is there by its name, once it has enough photos.
    for seed in 102..105 {
        let added = bring(&studio, "Eichhörnchen 松鼠", "x.webp", picture(seed, ImageFormat::Jpeg)).await;
        assert_eq!(added.status, StatusCode::OK, "{}", added.text());
    }
    studio.post("/gather/added", &json!({})).await;
    assert_eq!(studio.settle().await, "13 photos read");
    assert!(folder.path().join("Eichhörnchen 松鼠/x-3.jpg").is_file());
    assert!(!tree(folder.path()).iter().any(|path| path.to_string_lossy().contains("studio-parts")));
}

#[tokio::test]
async fn a_class_is_a_name_and_nothing_leaves_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    classes(&photos, 0);
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let studio = Studio::open(&photos).await;
    #[cfg(unix)]
    std::os::unix::fs::symlink(&outside, photos.join("linked")).unwrap();
    let before = tree(folder.path());
    let photo = picture(100, ImageFormat::Png);
    for class in [
        "",
        "  ",
        ".",
        "..",
        "../outside",
        "../../outside",
        "/tmp/outside",
        "red/../../outside",
        "a/b",
        "a\\b",
        "C:\\outside",
        ".hidden",
        "_set_aside",
        "<script>alert(1)</script>",
        "nul",
        "a\nb",
        "a\0b",
        "a\u{202e}b",
        "Red",
        "GREY",
        #[cfg(unix)]
        "linked",
    ] {
        let refused = bring(&studio, class, "x.png", photo.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{class:?}: {}", refused.text());
        assert!(!refused.json()["error"].as_str().unwrap().is_empty());
    }
    assert_eq!(tree(folder.path()), before);
    for name in
        ["..", "../../../x.png", "/etc/passwd", "C:\\x.png", "\0", ".png", "<img onerror=x>.png", "con.png"]
    {
        let added = bring(&studio, "red", name, picture(name.len() as u64 + 200, ImageFormat::Png)).await;
        assert_eq!(added.status, StatusCode::OK, "{name:?}: {}", added.text());
        let file = added.json()["file"]["file"].as_str().unwrap().to_owned();
        assert!(file.starts_with("red/") && !file.contains("..") && !file.contains('<'), "{file}");
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn what_is_no_photo_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    classes(folder.path(), 0);
    let studio = Studio::open(folder.path()).await;
    let before = tree(folder.path());
    let whole = picture(100, ImageFormat::Jpeg);
    let svg = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
    for (name, bytes, reason) in [
        ("x.svg", svg.as_bytes(), ""),
        ("x.png", b"<!DOCTYPE html><script>alert(1)</script>".as_slice(), "web page"),
        ("x.jpg", b"only some words", "text"),
        ("x.jpg", b"", "empty"),
        ("x.jpg", &whole[..whole.len() / 2], "cut short"),
        ("x.gif", b"GIF89a\x01\x00\x01\x00", ""),
    ] {
        let refused = bring(&studio, "red", name, bytes.to_vec()).await;
        let why = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(refused.status == StatusCode::BAD_REQUEST && why.contains(reason), "{name}: {why}");
    }
    assert_eq!(
        bring(&studio, "red", "x.jpg", vec![0_u8; (64 << 20) + 1]).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(tree(folder.path()), before);
    for path in ["/gather/add?class=red&name=x.png", "/gather/begin", "/gather/command", "/gather/added"] {
        let foreign = request("POST", path)
            .header(header::COOKIE, &studio.cookie)
            .header("sec-fetch-site", "cross-site")
            .header(header::CONTENT_TYPE, "application/json");
        let answer = studio.ask(foreign.body(Body::from("{}")).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn photos_go_where_the_others_of_their_class_are() {
    let folder = tempfile::tempdir().unwrap();
    classes(&folder.path().join("Training"), 0);
    classes(&folder.path().join("valid"), 50);
    let studio = Studio::open(folder.path()).await;
    for (class, seed) in [("red", 100), ("maple", 101)] {
        let added = bring(&studio, class, "x.jpg", picture(seed, ImageFormat::Jpeg)).await.json();
        assert_eq!(added["file"]["file"], format!("Training/{class}/x.jpg"), "{added}");
    }
    // What is gathered goes into folders on the top, which are no classes here.
    let refused = studio.post("/gather/begin", &asked(&["oak"])).await;
    assert!(refused.json()["error"].as_str().unwrap().contains("train and valid"), "{}", refused.text());
    assert!(studio.get("/gather").await.text().contains("train and valid"));

    let folder = tempfile::tempdir().unwrap();
    for class in ["grey", "red"] {
        for split in ["train", "valid"] {
            fs::create_dir_all(folder.path().join(class).join(split)).unwrap();
        }
    }
    let mut seed = 0;
    for path in
        tree(folder.path()).into_iter().filter(|path| path.ends_with("train") || path.ends_with("valid"))
    {
        for _ in 0..2 {
            seed += 1;
            fs::write(path.join(format!("{seed}.jpg")), picture(seed, ImageFormat::Jpeg)).unwrap();
        }
    }
    let studio = Studio::open(folder.path()).await;
    let added = bring(&studio, "maple", "x.jpg", picture(100, ImageFormat::Jpeg)).await.json();
    assert_eq!(added["file"]["file"], "maple/train/x.jpg", "{added}");

    // A folder that is no data set yet, and one that is none for another reason.
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    assert!(studio.get("/").await.text().contains("href=\"/gather\""));
    for _ in 0..2 {
        let added = bring(&studio, "oak", "x.jpg", picture(100, ImageFormat::Jpeg)).await;
        assert_eq!(added.status, StatusCode::OK, "{}", added.text());
    }
    assert_eq!(tree(folder.path()), [folder.path().join("oak"), folder.path().join("oak/x.jpg")]);
    fs::create_dir_all(folder.path().join("deep/er")).unwrap();
    let refused = bring(&studio, "oak", "x.jpg", picture(101, ImageFormat::Jpeg)).await;
    assert!(
        refused.json()["error"].as_str().unwrap().contains("deep has folders in it"),
        "{}",
        refused.text()
    );
}

fn asked(classes: &[&str]) -> Value {
    let classes: Vec<Value> = classes.iter().map(|name| json!({ "name": name, "terms": "" })).collect();
    json!({ "classes": classes, "per_class": 4, "sources": ["openverse"], "licences": "any", "min_size": 200 })
}

/// A studio that asks a service on this machine. Of each class there are six photos, of which one is there twice, one is gone, and
/// one is a page.
async fn gathering(folder: &Path) -> (Studio, tempfile::TempDir) {
    let files = tempfile::tempdir().unwrap();
    let offer = |class: &str, number: usize, seed: u64| {
        let file = files.path().join(format!("{class}-{number}"));
        match number {
            2 => fs::write(&file, "<!DOCTYPE html><title>sold</title>").unwrap(),
            _ => fs::write(&file, picture(seed, ImageFormat::Jpeg)).unwrap(),
        }
        Offer { path: format!("{class}/{number}.jpg"), file: (number != 4).then_some(file) }
    };
    let offers = |class: &str, first: u64| {
        // The fourth is the first again.
        (0..7)
            .map(|number| offer(class, number, first + if number == 3 { 0 } else { number as u64 }))
            .collect()
    };
    let address = serve(vec![("grey", offers("grey", 300)), ("red", offers("red", 400))]);
    let studio = Studio::open(folder).await;
    studio.workspace.ask(Services {
        endpoints: vec![(sciurus::gather::SourceId::Openverse, format!("{address}/").parse().unwrap())],
        private_hosts: vec!["127.0.0.1".to_owned()],
        ..Services::default()
    });
    (studio, files)
}

#[tokio::test]
async fn photos_arrive_with_their_licence_and_numbers_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let (studio, _files) = gathering(folder.path()).await;
    let begun = studio.post("/gather/begin", &asked(&["grey", "red"])).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.text());
    assert_eq!(studio.settle().await, "8 photos are there; credits are in ATTRIBUTION.md");
    let shown = view(&studio).await;
    for class in shown["classes"].as_array().unwrap() {
        let rejected = class["rejected"].as_object().unwrap();
        assert_eq!((&class["kept"], &class["wanted"], &class["before"]), (&json!(4), &json!(4), &json!(0)));
        assert_eq!(
            rejected.keys().collect::<Vec<_>>(),
            ["exact duplicate", "gone", "web page, not an image"]
        );
        let not: u64 = rejected.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(class["found"].as_u64().unwrap(), 4 + not);
    }
    let arrived = shown["arrived"].as_array().unwrap();
    assert_eq!((arrived.len(), shown["rejected"].as_array().unwrap().len()), (8, 6));
    for photo in arrived {
        assert_eq!(photo["licence"], "CC BY");
        assert!(
            photo["link"].as_str().unwrap().contains("/about/") && photo["credit"] == "by A. Photographer"
        );
        let content = photo["content"].as_str().unwrap();
        let thumb = studio.get(&format!("/gather/thumb/{content}")).await;
        assert_eq!(image::guess_format(&thumb.body).unwrap(), ImageFormat::Jpeg);
        assert!(thumb.header(header::CONTENT_SECURITY_POLICY).contains("sandbox"));
    }
    // A page asks for what it does not know yet.
    let (run, number) = (&shown["run"], shown["number"].as_u64().unwrap());
    let later = studio.get(&format!("/gather/state?run={run}&after={}", number - 1)).await.json();
    let (kept, not) = (&later["view"]["arrived"], &later["view"]["rejected"]);
    assert_eq!(kept.as_array().unwrap().len() + not.as_array().unwrap().len(), 1);
    assert_eq!((&later["labels"], &later["why"]), (&json!(["grey", "red"]), &Value::Null));
    // The folder is a data set now, and the next studio shows what is in its ledger.
    assert!(studio.get("/").await.text().contains("8 photos of 2 classes"));
    drop(studio);
    let (studio, _files) = gathering(folder.path()).await;
    assert_eq!(view(&studio).await["arrived"].as_array().unwrap().len(), 8);
    // More is added to what is there.
    let mut more = asked(&["grey"]);
    more["per_class"] = json!(5);
    studio.post("/gather/begin", &more).await;
    let told = studio.settle().await;
    assert!(told.starts_with("4 of 5 photos are there: the sources have no more photos"), "{told}");
}

#[tokio::test]
async fn without_a_network_it_says_so_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    studio.workspace.ask(Services {
        endpoints: vec![(sciurus::gather::SourceId::Openverse, "http://127.0.0.1:9/".parse().unwrap())],
        ..Services::default()
    });
    studio.post("/gather/begin", &asked(&["oak"])).await;
    let told = studio.settle().await;
    assert!(told.contains("no source could be asked (openverse: no connection"), "{told}");
    assert!(told.contains("check the network, then begin again"), "{told}");
    let jobs = studio.workspace.job_states();
    assert_eq!(jobs.last().unwrap().status, JobStatus::Failed);
}

#[tokio::test]
async fn what_is_asked_for_is_checked_and_is_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    let with = |name: &str, value: Value| {
        let mut asked = asked(&["oak"]);
        asked[name] = value;
        asked
    };
    let class = |name: &str, terms: &str| json!([{ "name": name, "terms": terms }]);
    for wrong in [
        with("classes", json!([])),
        with("classes", class(" ", "")),
        with("classes", class("../oak", "oak")),
        with("classes", class("-rf", "oak")),
        with("classes", class("a=b", "oak")),
        with("classes", class("<script>", "oak")),
        with("classes", json!([{ "name": "oak", "terms": "" }, { "name": "Oak", "terms": "" }])),
        with("per_class", json!(0)),
        with("per_class", json!(1_000_000)),
        with("per_class", json!(-1)),
        with("sources", json!([])),
        with("sources", json!(["folder"])),
        with("sources", json!(["/etc"])),
        with("sources", json!(["pexels"])),
        with("licences", json!("none")),
        json!({}),
    ] {
        for path in ["/gather/begin", "/gather/command"] {
            let status = studio.post(path, &wrong).await.status;
            assert!(status.is_client_error(), "{path} {wrong}: {status}");
        }
    }
    assert!(studio.workspace.job_states().iter().all(|job| job.id == 1), "nothing was begun");
    let mut right = with(
        "classes",
        json!([{ "name": "it's oak", "terms": "Quercus robur" }, { "name": "", "terms": "ash" }]),
    );
    right["licences"] = json!("public_domain");
    right["min_size"] = json!(60);
    studio.workspace.ask(Services { contact: Some("a b".to_owned()), ..Services::default() });
    let said = studio.post("/gather/command", &right).await.json();
    let folder = folder.path().canonicalize().unwrap();
    let expected = format!(
        "sciurus gather \"it's oak=Quercus robur\" ash --per-class 4 --into {} --source openverse --license cc0,pdm --min-size 60 \
         --contact 'a b'",
        folder.display()
    );
    assert_eq!(said["command"], expected);
}

#[tokio::test]
async fn a_ledger_from_a_stranger_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    classes(&photos, 0);
    let secret = picture(900, ImageFormat::Jpeg);
    fs::write(folder.path().join("secret.jpg"), &secret).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path(), photos.join("up")).unwrap();
    let content = sciurus::data::ContentHash::of(&secret).to_string();
    let mut lines = String::new();
    for file in ["../secret.jpg", "up/secret.jpg", "red/../../secret.jpg"] {
        let entry = json!({
            "file": file, "class": "<img src=x onerror=alert(1)>\u{202e}", "url": "file:///etc/passwd",
            "landing_url": "javascript:alert(1)", "licence": "by", "licence_url": null, "creator": "</script><script>alert(1)",
            "attribution": null, "hash": content, "width": 9, "height": 9, "time": "2026-01-01T00:00:00Z", "source": "commons",
            "source_id": "1",
        });
        lines.push_str(&format!("{entry}\n"));
    }
    fs::write(photos.join("ledger.jsonl"), lines).unwrap();
    let studio = Studio::open(&photos).await;
    let page = studio.get("/gather").await.text();
    assert!(!page.contains("<img src=x") && !page.contains("<script>alert"), "{page}");
    let shown = view(&studio).await;
    assert_eq!(shown["arrived"].as_array().unwrap().len(), 3);
    assert!(shown["arrived"].as_array().unwrap().iter().all(|photo| photo["link"].is_null()), "{shown}");
    let thumb = studio.get(&format!("/gather/thumb/{content}")).await;
    assert_eq!(thumb.status, StatusCode::NOT_FOUND);
}
