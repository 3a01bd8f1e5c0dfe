//! Colour for those who read a terminal, and nothing for those who would steer it.
//!
//! What is painted carries marks that only this process knows. On its way out a mark becomes a colour, and every other character
//! that a terminal would obey (escapes, carriage returns, changes of the writing's direction), which comes from a name, a label, a
//! table or a service, becomes text that shows it. Streams that are no terminal, and `NO_COLOR`, get no colour: `anstream` takes
//! it out.

use std::collections::hash_map::RandomState;
use std::fmt::{Display, Write};
use std::hash::BuildHasher;
use std::sync::LazyLock;

use anstyle::{AnsiColor, Style};
use sciurus::data::steers;

/// What a text is to its reader.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Paint {
    /// The result, or a heading.
    Strong,
    /// A failure.
    Error,
    /// Something to look at.
    Warning,
    /// What to type next.
    Command,
}

/// What every mark begins with: a character for private use, and a number that no file can know.
static MARK: LazyLock<String> =
    LazyLock::new(|| format!("\u{f0000}{:016x}", RandomState::new().hash_one("a mark of paint")));

impl Paint {
    const ALL: [Paint; 4] = [Paint::Strong, Paint::Error, Paint::Warning, Paint::Command];

    fn style(self) -> Style {
        match self {
            Paint::Strong => Style::new().bold(),
            Paint::Error => AnsiColor::Red.on_default().bold(),
            Paint::Warning => AnsiColor::Yellow.on_default(),
            Paint::Command => AnsiColor::Cyan.on_default(),
        }
    }

    /// The text in this style, for [`rendered`].
    pub(crate) fn on(self, text: impl Display) -> String {
        format!("{mark}{}{text}{mark}.", self as usize, mark = *MARK)
    }
}

/// A text as a terminal may get it: marks become colours, and what would steer a terminal becomes visible. Line ends and tabs
/// stay.
pub(crate) fn rendered(text: &str) -> String {
    let mut rendered = String::with_capacity(text.len());
    let mut painted = Style::new();
    let mut parts = text.split(MARK.as_str());
    plain(parts.next().unwrap_or_default(), &mut rendered);
    for part in parts {
        let style = part.chars().next();
        let rest = style.map_or("", |style| &part[style.len_utf8()..]);
        let paint = style.and_then(|style| Paint::ALL.get(style.to_digit(10)? as usize));
        // Writing to a String cannot fail.
        let _ = match paint {
            Some(paint) => {
                painted = paint.style();
                write!(rendered, "{painted}")
            }
            None => write!(rendered, "{painted:#}"),
        };
        plain(rest, &mut rendered);
    }
    rendered
}

fn plain(text: &str, rendered: &mut String) {
    for c in text.chars() {
        match c {
            '\n' | '\t' => rendered.push(c),
            c if steers(c) => rendered.extend(c.escape_default()),
            c => rendered.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_marks_become_colours() {
        let name = "a\x1b]0;title\x07\x1b[31mred\r\u{9b}2J\u{202e}gpj.exe\u{f0000}0000000000000000";
        let line = format!("{} of {name}\n\tend", Paint::Strong.on(format_args!("1 {name}")));
        let shown = rendered(&line);
        assert_eq!(shown.matches('\x1b').count(), 2, "{shown:?}");
        assert!(
            shown.starts_with("\x1b[1m1 a\\u{1b}]0;title\\u{7}\\u{1b}[31mred\\r\\u{9b}2J\\u{202e}gpj.exe"),
            "{shown:?}"
        );
        assert!(shown.contains("\x1b[0m of a\\u{1b}]0;title") && shown.ends_with("\n\tend"), "{shown:?}");
        assert_eq!(
            rendered("caf\u{e9} \u{2713} \u{1f43f} \u{6771}"),
            "caf\u{e9} \u{2713} \u{1f43f} \u{6771}"
        );
    }
}
