//! The frame of every HTML page that Sciurus writes: one self-contained file. In: a title and content. Out: the
//! document.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Nothing is loaded from anywhere, and the browser enforces that.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("report/style.css");

/// A whole HTML document with our style. `title` is escaped.
#[must_use]
pub fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

/// The head of a page: its title, and facts as names and values.
#[must_use]
pub fn header(title: &str, facts: &[(String, String)]) -> Markup {
    html! {
        header {
            h1 { (title) }
            @if !facts.is_empty() {
                dl class="facts" {
                    @for (name, value) in facts {
                        div { dt { (name) } dd { (value) } }
                    }
                }
            }
        }
    }
}
