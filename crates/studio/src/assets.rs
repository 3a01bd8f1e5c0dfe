//! Script and style, which are part of the program. Each file's address holds the hash of all of them, so a browser keeps them
//! for ever and never has an old one.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The files: name, type, bytes.
const FILES: [(&str, &str, &[u8]); 8] = [
    ("clean.js", SCRIPT, include_bytes!("../assets/clean.js")),
    ("look.js", SCRIPT, include_bytes!("../assets/look.js")),
    ("project.js", SCRIPT, include_bytes!("../assets/project.js")),
    ("studio.js", SCRIPT, include_bytes!("../assets/studio.js")),
    ("studio.css", "text/css; charset=utf-8", include_bytes!("../assets/studio.css")),
    ("train.js", SCRIPT, include_bytes!("../assets/train.js")),
    ("try.js", SCRIPT, include_bytes!("../assets/try.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("../assets/icon.svg")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = blake3::Hasher::new();
    FILES.iter().for_each(|(_, _, bytes)| {
        hash.update(bytes);
    });
    hash.finalize().to_hex()[..16].to_owned()
});

/// The address of a file.
pub(crate) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// Answers with a file.
pub(crate) async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, bytes)) if version == *VERSION => {
            let headers = [
                (header::CONTENT_TYPE, *kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, *bytes).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
