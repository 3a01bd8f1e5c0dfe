//! Script and style, which are part of the program, sent without their comments and indentation. Each file's address holds the hash
//! of all of them, so a browser keeps them for ever and never has an old one.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The files: name, type, text.
const FILES: &[(&str, &str, &str)] = &[
    ("camera.js", SCRIPT, include_str!("../assets/camera.js")),
    ("clean.js", SCRIPT, include_str!("../assets/clean.js")),
    ("drop.js", SCRIPT, include_str!("../assets/drop.js")),
    ("gather.js", SCRIPT, include_str!("../assets/gather.js")),
    ("look.js", SCRIPT, include_str!("../assets/look.js")),
    ("map.js", SCRIPT, include_str!("../assets/map.js")),
    ("own.js", SCRIPT, include_str!("../assets/own.js")),
    ("photo.js", SCRIPT, include_str!("../assets/photo.js")),
    ("project.js", SCRIPT, include_str!("../assets/project.js")),
    ("send.js", SCRIPT, include_str!("../assets/send.js")),
    ("studio.js", SCRIPT, include_str!("../assets/studio.js")),
    ("studio.css", "text/css; charset=utf-8", include_str!("../assets/studio.css")),
    ("train.js", SCRIPT, include_str!("../assets/train.js")),
    ("try.js", SCRIPT, include_str!("../assets/try.js")),
    ("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The same as they are sent: name, type, text.
static SENT: LazyLock<Vec<(&str, &str, String)>> =
    LazyLock::new(|| FILES.iter().map(|(name, kind, text)| (*name, *kind, light(text))).collect());

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = blake3::Hasher::new();
    for (_, _, text) in SENT.iter() {
        hash.update(text.as_bytes());
    }
    hash.finalize().to_hex()[..16].to_owned()
});

/// A text without indentation, empty lines, and comments that have lines of their own. Nothing of a program is in them: a test says
/// that no text in quotes goes over several lines.
fn light(text: &str) -> String {
    let mut inside = false;
    let mut light = String::with_capacity(text.len());
    for line in text.lines().map(str::trim) {
        let begins = line.starts_with("/*");
        let is_comment = inside || begins || line.starts_with("//");
        let ends = line.ends_with("*/");
        if is_comment && !inside && begins && !ends && line.contains("*/") {
            // What follows a comment on its line is the program's.
            light.extend([line, "\n"]);
            continue;
        }
        inside = (inside || begins) && !ends;
        if !is_comment && !line.is_empty() {
            light.extend([line, "\n"]);
        }
    }
    light
}

/// The address of a file.
pub(crate) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// Answers with a file.
pub(crate) async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    match SENT.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, text)) if version == *VERSION => {
            let headers = [
                (header::CONTENT_TYPE, *kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, text.as_str()).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_comments_and_space_are_left_out() {
        let text =
            "// why\n/** @type {a}\n *  b */\nlet a = 1; // here\n\n  if (a) {\n    /** c */ (b);\n  }\n";
        assert_eq!(light(text), "let a = 1; // here\nif (a) {\n/** c */ (b);\n}\n");
    }

    #[test]
    fn no_text_in_quotes_goes_over_several_lines() {
        for (name, _, text) in FILES.iter().filter(|(name, ..)| name.ends_with(".js")) {
            // One in quotes is no quote.
            for line in text.lines().map(|line| line.replace("\"`\"", "")) {
                assert_eq!(line.matches('`').count() % 2, 0, "{name}: {line}");
            }
        }
    }

    #[test]
    fn script_and_style_are_small() {
        let bytes: usize = SENT.iter().map(|(_, _, text)| text.len()).sum();
        assert!(bytes < 100_000, "{bytes}");
    }
}
