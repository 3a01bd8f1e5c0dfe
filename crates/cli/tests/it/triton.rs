//! The server, asked by the client that Triton's users have: PyPI's `tritonclient`. In: a Python that has it, `SCIURUS_PYTHON` or
//! `python3`; without one the test is passed over, but if it is named it must have it on CI.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::serving::{Server, trained};
use crate::support::{Ran, sciurus};

fn python() -> Option<String> {
    let named = std::env::var("SCIURUS_PYTHON").ok();
    let python = named.clone().unwrap_or_else(|| "python3".to_owned());
    let imports = Command::new(&python).args(["-c", "import tritonclient.http"]).output();
    if imports.is_ok_and(|ran| ran.status.success()) {
        return Some(python);
    }
    let must = named.is_some() && std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!must, "{python} cannot import tritonclient.http");
    eprintln!("passed over: {python} cannot import tritonclient.http; .ci/run says how to install it");
    None
}

#[test]
fn clients_of_triton_are_answered_in_every_way_they_ask() {
    let Some(python) = python() else { return };
    let folder = trained();
    let path = folder.path();
    let photo = path.join("photo.png");
    let (picture, _) = sciurus::new_demo_pictures(1, 7).into_iter().next().unwrap();
    picture.save(&photo).unwrap();
    let server = Server::start(path, &["run"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/triton_client.py");
    let asked = Command::new(python).arg(script).arg(server.port.to_string()).arg(&photo).output().unwrap();
    let said: Value = serde_json::from_str(&Ran::from(asked).expect(0).out).unwrap();
    let predicted = sciurus(path, &["predict", "run", "photo.png", "--json"]).expect(0).out;
    let predicted: Value = serde_json::from_str(&predicted).unwrap();
    assert_eq!((&said["label"], &said["rejected"]), (&predicted["label"], &predicted["rejected"]));
    for field in ["probability", "similarity"] {
        let apart = said[field].as_f64().unwrap() - predicted[field].as_f64().unwrap();
        assert!(apart.abs() < 1e-5, "{field}: {said} {predicted}");
    }
}
