//! A page that runs a model in the browser. In: a bundle. Out: the files of a folder that any web server can hand out.
//!
//! The model is the exact ONNX graph, and `onnxruntime-web` runs it: from a folder beside the page, or from a pinned address.

use std::path::{Path, PathBuf};

use sciurus_data::fs::read_regular;

use super::onnx::{OnnxInput, OnnxModel};
use crate::Error;
use crate::predict::{ModelBundle, Output};

/// The release of onnxruntime-web that pages ask for.
const VERSION: &str = "1.30.0";
/// Where it is published.
const ORIGIN: &str = "https://cdn.jsdelivr.net";
/// Its script, and the hash that the browser checks.
const SCRIPT: &str = "ort.wasm.min.js";
const INTEGRITY: &str = "sha384-Bw6URI+Gvoadw0do7/QrSHUC9D1vCYYK5OSqChFyhyV5mzPL4oe2rOAFljAnS8Sq";
/// What else it needs.
const PARTS: [&str; 2] = ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];
/// Most bytes of one of its files.
const LARGEST: u64 = 64 << 20;

const PAGE: &str = include_str!("../../assets/web/index.html");
const APP: &str = include_str!("../../assets/web/app.js");
const STYLE: &str = include_str!("../../assets/web/style.css");

/// A file of the folder: its name in it, and its bytes.
pub type WebFile = (String, Vec<u8>);

/// Where a page gets `onnxruntime-web` from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WebRuntime {
    /// A pinned version at its publisher's address, whose script the browser checks by its hash. Opening the page needs a network.
    #[default]
    Published,
    /// The files of this folder, such as `node_modules/onnxruntime-web/dist`, which are copied beside the page.
    Copied(PathBuf),
}

/// The files of a page for this model, and the graph in it.
///
/// # Errors
/// The model can't be exported, or the runtime's files can't be read.
pub fn web(bundle: &ModelBundle, runtime: &WebRuntime) -> Result<(OnnxModel, Vec<WebFile>), Error> {
    let model = OnnxModel::new(bundle, OnnxInput::Photo)?;
    let (base, copied) = match runtime {
        WebRuntime::Published => (format!("{ORIGIN}/npm/onnxruntime-web@{VERSION}/dist/"), Vec::new()),
        WebRuntime::Copied(folder) => ("runtime/".to_owned(), runtime_files(folder)?),
    };
    let (origin, integrity) = match runtime {
        WebRuntime::Published => {
            (format!(" {ORIGIN}"), format!(" integrity=\"{INTEGRITY}\" crossorigin=\"anonymous\""))
        }
        WebRuntime::Copied(_) => Default::default(),
    };
    let page = PAGE
        .replace("RUNTIME_ORIGIN", &origin)
        .replace("RUNTIME_SCRIPT", &format!("{base}{SCRIPT}"))
        .replace("RUNTIME_INTEGRITY", &integrity);
    let thresholds = match &bundle.manifest.output {
        Output::SingleLabel => None,
        Output::MultiLabel { thresholds } => Some(thresholds),
    };
    let description = serde_json::json!({
        "labels": bundle.manifest.vocab.labels(),
        "thresholds": thresholds,
        "runtime": base,
        "about": format!("{}, {} classes, trained with Sciurus {}", bundle.manifest.arch, bundle.manifest.vocab.len(), bundle.manifest.version),
    });
    let mut files = vec![
        ("index.html".to_owned(), page.into_bytes()),
        ("app.js".to_owned(), APP.as_bytes().to_vec()),
        ("style.css".to_owned(), STYLE.as_bytes().to_vec()),
        ("model.json".to_owned(), description.to_string().into_bytes()),
        ("model.onnx".to_owned(), model.to_bytes()?),
    ];
    files.extend(copied);
    Ok((model, files))
}

fn runtime_files(folder: &Path) -> Result<Vec<WebFile>, Error> {
    let read = |name: &&str| {
        let path = folder.join(name);
        let bytes = read_regular(&path, LARGEST).map_err(|source| Error::Io { path, source })?;
        Ok((format!("runtime/{name}"), bytes))
    };
    std::iter::once(&SCRIPT).chain(&PARTS).map(read).collect()
}
