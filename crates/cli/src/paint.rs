//! Colour for those who read a terminal. Streams that are none, and `NO_COLOR`, get plain text: `anstream` takes the escapes out.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

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

impl Paint {
    fn style(self) -> Style {
        match self {
            Paint::Strong => Style::new().bold(),
            Paint::Error => AnsiColor::Red.on_default().bold(),
            Paint::Warning => AnsiColor::Yellow.on_default(),
            Paint::Command => AnsiColor::Cyan.on_default(),
        }
    }

    /// The text in this style.
    pub(crate) fn on(self, text: impl Display) -> String {
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}
