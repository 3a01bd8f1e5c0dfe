//! A regular expression that extracts one part of a name. In: the user's pattern. Out: that part, or nothing.

use crate::error::DataError;
use regex::Regex;

/// A regular expression with one capture group that matters.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    regex: Regex,
    /// Which capture group: the one with the name asked for, or else the first.
    part: usize,
}

impl Pattern {
    /// Checks a pattern. Its part is the capture group called `part`, as in `(?P<label>…)`, or else the first one.
    pub(crate) fn new(pattern: &str, part: &'static str) -> Result<Self, DataError> {
        let text = || pattern.to_owned();
        // The last line of the parser's message says what is wrong, those above repeat the pattern and point into it.
        let problem = |error: regex::Error| {
            let message = error.to_string();
            let last = message.lines().last().unwrap_or_default();
            last.trim().trim_start_matches("error: ").to_owned()
        };
        let regex = Regex::new(pattern)
            .map_err(|error| DataError::BadPattern { pattern: text(), problem: problem(error) })?;
        if regex.captures_len() < 2 {
            return Err(DataError::PatternWithoutPart { pattern: text(), part });
        }
        let part = regex.capture_names().position(|name| name == Some(part)).unwrap_or(1);
        Ok(Self { regex, part })
    }

    /// The captured part of a text, if the pattern matches and the part isn't empty.
    pub(crate) fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        let part = self.regex.captures(text)?.get(self.part)?.as_str();
        (!part.is_empty()).then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_part_wins_over_the_first() {
        let find = |pattern, text| Pattern::new(pattern, "label").unwrap().find(text).map(str::to_owned);
        assert_eq!(find(r"^(.+)_\d+\.jpg$", "great_dane_12.jpg").as_deref(), Some("great_dane"));
        assert_eq!(find(r"(\d+)-(?P<label>[a-z]+)", "7-red.png").as_deref(), Some("red"));
        assert_eq!(find(r"^(.*)_\d+", "_12.jpg"), None, "an empty label is none");
        assert_eq!(find(r"^(\d+)_", "red.jpg"), None);
    }

    #[test]
    fn a_pattern_that_picks_nothing_is_explained() {
        let said = |pattern| Pattern::new(pattern, "label").unwrap_err().to_string();
        assert!(said("(").starts_with("`(` is not a regular expression"), "{}", said("("));
        assert!(said(r"\d+").contains("put the part of the name that is the label in parentheses"));
    }
}
