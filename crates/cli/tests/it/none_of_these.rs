//! A picture of none of the classes is told, in every way that predictions are shown; and a server says the same.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::serving::{Server, trained};
use crate::support::{drawn, sciurus};

/// A folder with a model of drawn acorns and leaves, and pictures that are new to it: two of its classes, and noise.
fn with_new_pictures() -> tempfile::TempDir {
    let folder = trained();
    let path = folder.path();
    let new = path.join("new");
    std::fs::create_dir(&new).unwrap();
    for (number, (picture, label)) in sciurus::new_demo_pictures(2, 7).into_iter().enumerate() {
        picture.save(new.join(format!("{label}-{number}.png"))).unwrap();
    }
    // Stripes, as no acorn has them.
    let stripes = image::RgbImage::from_fn(200, 150, |x, y| {
        if (x / 5 + y / 40) % 2 == 0 { [250, 40, 200] } else { [10, 20, 30] }.into()
    });
    stripes.save(new.join("stripes.png")).unwrap();
    folder
}

#[test]
fn a_picture_of_no_class_is_told_by_all_who_predict() {
    let folder = with_new_pictures();
    let path = folder.path();
    let table = sciurus(path, &["predict", "run", "new"]).expect(0).out;
    let line = |name: &str| table.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("stripes").contains("none of these") && line("stripes").contains("nearest"), "{table}");
    assert!(!line("acorn-0").contains("none of these"), "{table}");
    let json = sciurus(path, &["predict", "run", "new", "--json"]).expect(0).out;
    let answers: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for answer in &answers {
        let is_strange = answer["path"].as_str().unwrap().contains("stripes");
        assert_eq!(answer["rejected"], is_strange, "{answer}");
        assert!(Path::new(answer["nearest"].as_str().unwrap()).is_file(), "{answer}");
        assert!(answer["similarity"].as_f64().unwrap() <= 1.0);
    }
    let csv = sciurus(path, &["predict", "run", "new", "--format", "csv"]).expect(0).out;
    assert!(csv.starts_with("path,label,probability,rejected,similarity\n"), "{csv}");
    let plain = sciurus(path, &["predict", "run", "new", "--no-reject"]).expect(0).out;
    assert!(!plain.contains("none of these"), "{plain}");
    let csv = sciurus(path, &["predict", "run", "new", "--no-reject", "--format", "csv"]).expect(0).out;
    assert!(csv.starts_with("path,label,probability\n"), "{csv}");
    // A model that was taken home knows no folder, and still what it knows.
    std::fs::copy(path.join("run/model.sciurus"), path.join("home.sciurus")).unwrap();
    let home = sciurus(path, &["predict", "home.sciurus", "new/stripes.png"]).expect(0).out;
    assert!(home.contains("none of these") && !home.contains("nearest"), "{home}");
    let told = sciurus(path, &["interpret", "run"]).expect(0).out;
    assert!(told.contains("none of these: below a similarity of"), "{told}");
    let page = path.join("report.html");
    sciurus(path, &["interpret", "run", "--html", "report.html"]).expect(0);
    assert!(std::fs::read_to_string(page).unwrap().contains("below a similarity of"));
}

#[test]
fn a_server_says_what_predict_says_and_ends_politely() {
    let folder = with_new_pictures();
    let path = folder.path();
    let server = Server::start(path, &["run"]);
    for file in ["acorn-0.png", "stripes.png"] {
        let photo = path.join("new").join(file);
        let (status, body) = server.ask("POST /predict", &std::fs::read(&photo).unwrap());
        assert_eq!(status, 200, "{body}");
        let served: Value = serde_json::from_str(&body).unwrap();
        let predicted =
            sciurus(path, &["predict", "run", &photo.display().to_string(), "--json"]).expect(0).out;
        let predicted: Value = serde_json::from_str(&predicted).unwrap();
        let served = &served["predictions"][0];
        for field in ["label", "rejected"] {
            assert_eq!(served[field], predicted[field], "{file} {field}");
        }
        for field in ["probability", "similarity"] {
            let apart = served[field].as_f64().unwrap() - predicted[field].as_f64().unwrap();
            assert!(apart.abs() < 1e-5, "{file} {field}: {served} {predicted}");
        }
    }
    assert_eq!(server.ask("GET /healthz", b"").0, 200);
    assert_eq!(server.ask("GET /nothing", b"").0, 404);
    #[cfg(unix)]
    ends(server);
}

/// Asked to end, a server answers what was asked before, says so in its log, and ends with 0.
#[cfg(unix)]
fn ends(mut server: Server) {
    server.signal("-HUP");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(server.ask("GET /readyz", b"").0, 200);
    assert_eq!(server.end(), Some(0));
    let log = server.log();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["timestamp"].is_string() && line["message"].is_string(), "{line}");
    }
    let answered: Value = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|line| line["message"] == "answered")
        .unwrap();
    assert_eq!((&answered["route"], &answered["status"]), (&Value::from("/predict"), &Value::from(200)));
    assert!(log.contains("loaded again") && log.contains("ending"), "{log}");
}

#[test]
fn what_cannot_be_served_is_refused() {
    let folder = drawn(2);
    let path = folder.path();
    let refused = |arguments: &[&str]| sciurus(path, &[&["serve"], arguments].concat()).expect(2).err;
    assert!(refused(&["nothing.sciurus"]).contains("nothing.sciurus"));
    std::fs::write(path.join("broken.sciurus"), "broken").unwrap();
    assert!(refused(&["broken.sciurus"]).contains("broken.sciurus"));
    assert!(refused(&["a b=broken.sciurus"]).contains("no name for a model"));
    std::fs::write(path.join("key"), "\n").unwrap();
    assert!(refused(&["broken.sciurus", "--key-file", "key"]).contains("empty"));
    assert!(refused(&["broken.sciurus", "--key-file", "none"]).contains("none cannot be read"));
}
