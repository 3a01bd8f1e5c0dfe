//! Character references in HTML, such as `&amp;`. In: a text or a value as written. Out: what it stands for.
//!
//! The HTML standard has two thousand of them, and different rules in values and in texts: `?a=1&lt=2` is an address.

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, Tag, Token, Token::CharacterTokens, Token::TagToken, TokenSink, TokenSinkResult, Tokenizer,
};
use std::cell::RefCell;

/// A text with its references resolved.
pub(super) fn in_text(text: &str) -> String {
    // Without `&` there's nothing to resolve, and a bare `<` would start a tag.
    if text.contains('&') { Resolved::of(text).text.into_inner() } else { text.to_owned() }
}

/// The value of an attribute with its references resolved; fewer count as references than in texts.
pub(super) fn in_value(value: &str) -> String {
    if !value.contains('&') {
        return value.to_owned();
    }
    let tag = format!("<a b=\"{}\">", value.replace('"', "&quot;"));
    Resolved::of(&tag).value.into_inner()
}

/// What the tokenizer finds.
#[derive(Debug, Default)]
struct Resolved {
    text: RefCell<String>,
    value: RefCell<String>,
}

impl Resolved {
    fn of(html: &str) -> Self {
        let queue = BufferQueue::default();
        queue.push_back(StrTendril::from(html));
        let tokenizer = Tokenizer::new(Self::default(), Default::default());
        // The tokenizer pauses only if its sink asks for it, which this one doesn't.
        let _ = tokenizer.feed(&queue);
        tokenizer.end();
        tokenizer.sink
    }
}

impl TokenSink for Resolved {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            CharacterTokens(text) => self.text.borrow_mut().push_str(&text),
            TagToken(Tag { attrs, .. }) => {
                attrs.iter().for_each(|attribute| self.value.borrow_mut().push_str(&attribute.value));
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_resolved_where_they_stand() {
        assert_eq!(in_value("?a=1&lt=2&amp;b=\"&#x33;&auml"), "?a=1&lt=2&b=\"3ä");
        assert_eq!(in_text("a&lt=2 &period; & b"), "a<=2 . & b");
        assert_eq!(in_text("<"), "<");
    }
}
