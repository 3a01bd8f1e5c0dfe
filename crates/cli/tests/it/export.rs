//! `sciurus export`: what is written, what is said of it, and what is refused.

use std::path::Path;

use serde_json::Value;

use crate::support::{command, drawn, sciurus};

fn trained() -> tempfile::TempDir {
    let folder = drawn(24);
    let train =
        ["train", "photos", "--instant", "--arch", "hazel", "--image-size", "64", "--run", "run", "--quiet"];
    sciurus(folder.path(), &train).expect(0);
    folder
}

/// A run of the program that finds no Python.
fn without_python(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = command(folder, arguments).env("SCIURUS_PYTHON", "/nowhere/python3").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_export_that_nobody_compared_says_so() {
    let folder = trained();
    let path = folder.path();
    let (code, out, err) =
        without_python(path, &["export", "run", "--to", "onnx", "-o", "acorns.onnx", "--quiet"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("wrote acorns.onnx ("), "{out}");
    assert!(err.contains("nobody compared it with the model: /nowhere/python3 can't be started"), "{err}");
    let file = std::fs::read(path.join("acorns.onnx")).unwrap();
    // It knows its labels and what it is like.
    let has = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has(r#"["acorn","leaf"]"#) && has("similarity") && has("rejected"));

    let (code, out, _) =
        without_python(path, &["export", "run", "--to", "onnx", "-o", "plain.onnx", "--no-reject", "--json"]);
    assert_eq!(code, 0);
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((said["proof"].is_null(), said["weights"].as_str()), (true, Some("f32")), "{said}");
    let file = std::fs::read(path.join("plain.onnx")).unwrap();
    assert!(!file.windows(10).any(|window| window == b"similarity"));
}

#[test]
fn nothing_is_replaced_unless_it_was_asked_for() {
    let folder = trained();
    let path = folder.path();
    std::fs::write(path.join("mine.onnx"), "precious").unwrap();
    let arguments = ["export", "run", "--to", "onnx", "-o", "mine.onnx", "--quiet"];
    let (code, _, err) = without_python(path, &arguments);
    assert_eq!(code, 2);
    assert!(err.contains("mine.onnx already exists") && err.contains("--force"), "{err}");
    assert_eq!(std::fs::read(path.join("mine.onnx")).unwrap(), b"precious");
    let (code, _, err) = without_python(path, &[&arguments[..], &["--force"]].concat());
    assert_eq!(code, 0, "{err}");
    assert!(std::fs::metadata(path.join("mine.onnx")).unwrap().len() > 1_000_000);
}

#[test]
fn what_can_not_be_exported_is_refused_with_a_reason() {
    let folder = trained();
    let path = folder.path();
    for (arguments, reason) in [
        (&["--to", "torchvision", "-o", "x.pth"][..], "neither torchvision nor timm has the network hazel"),
        (&["--to", "web", "-o", "x", "--weights", "int8"], "--weights is for --to onnx"),
        (&["--to", "onnx", "-o", "x.onnx", "--runtime", "y"], "--runtime is for --to web"),
        (&["--to", "web", "-o", "x", "--runtime", "nothing"], "nothing/ort.wasm.min.js"),
        (&["--to", "onnx", "-o", "missing/x.onnx"], "missing"),
    ] {
        let (code, _, err) = without_python(path, &[&["export", "run"], arguments].concat());
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(reason), "{err}");
    }
    assert!(!path.join("x.onnx").exists() && !path.join("x").exists() && !path.join("x.pth").exists());
}

#[test]
fn a_page_is_whole() {
    let folder = trained();
    let path = folder.path();
    let (code, _, err) = without_python(path, &["export", "run", "--to", "web", "-o", "page", "--quiet"]);
    assert_eq!(code, 0, "{err}");
    let page = std::fs::read_to_string(path.join("page/index.html")).unwrap();
    assert!(page.contains("integrity=\"sha384-") && !page.contains("RUNTIME"), "{page}");
    for name in ["app.js", "style.css", "model.json", "model.onnx"] {
        assert!(path.join("page").join(name).is_file(), "{name}");
    }
    let tensors = without_python(path, &["export", "run", "--to", "safetensors", "-o", "acorns.safetensors"]);
    assert_eq!(tensors.0, 0, "{}", tensors.2);
    assert!(std::fs::metadata(path.join("acorns.safetensors")).unwrap().len() > 1_000_000);
}
