//! The tags and texts of a piece of HTML, one after the other. In: untrusted HTML. Out: its tags with their attributes,
//! and the text between them.
//!
//! It doesn't build a tree, which takes hours for a page with millions of open elements. Here each byte is read once,
//! and what is kept of a tag is bounded.
//!
//! Source: the tokenizer of the HTML standard, section 13.2.5, with the tree builder's rules for elements that can't
//! contain tags.

use super::references::{in_text, in_value};
use sciurus_photos::text::plain;

/// Most attributes of a tag that are kept, and most bytes of a value that are read.
const MAX_ATTRIBUTES: usize = 256;
const MAX_VALUE: usize = 64 << 10;

/// A part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'h> {
    /// A start tag.
    Tag(Tag<'h>),
    /// Text as written, with its references unresolved.
    Text(&'h str),
}

/// A start tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag<'h> {
    name: &'h str,
    attributes: Vec<(&'h str, &'h str)>,
    closes_itself: bool,
}

impl Tag<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value of an attribute with its references resolved. Of two with the same name the first counts.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let mut all = self.attributes.iter();
        let (_, value) = all.find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        (value.len() <= MAX_VALUE).then(|| in_value(value))
    }
}

/// The parts of a page, in order. Leaves out end tags, comments, and the content of scripts and the like.
#[derive(Debug)]
pub(super) struct Pieces<'h> {
    html: &'h str,
    at: usize,
    /// How many SVG and MathML elements are open; in them a title may be self-closing.
    foreign: usize,
}

impl<'h> Pieces<'h> {
    pub(super) fn of(html: &'h str) -> Self {
        Self { html, at: 0, foreign: 0 }
    }

    fn bytes(&self) -> &'h [u8] {
        self.html.as_bytes()
    }

    /// Moves on past the next occurrence of a text, or to the end.
    fn skip_behind(&mut self, text: &str) {
        self.at =
            self.html[self.at..].find(text).map_or(self.html.len(), |place| self.at + place + text.len());
    }

    /// The part that begins with `<`; `None` if it's one that is left out.
    fn markup(&mut self) -> Option<Piece<'h>> {
        match &self.bytes()[self.at + 1..] {
            [first, ..] if first.is_ascii_alphabetic() => return self.start_tag().map(Piece::Tag),
            [b'/', first, ..] if first.is_ascii_alphabetic() => self.end_tag(),
            [b'!', b'-', b'-', b'>', ..] => self.at += 5,
            [b'!', b'-', b'-', b'-', b'>', ..] => self.at += 6,
            [b'!', b'-', b'-', ..] => self.comment(),
            [b'!' | b'?' | b'/', ..] => self.skip_behind(">"),
            _ => {
                self.at += 1;
                return Some(Piece::Text("<"));
            }
        }
        None
    }

    fn comment(&mut self) {
        self.at += 4;
        while self.at < self.html.len() {
            self.skip_behind("--");
            // However many hyphens there are, the last two end the comment.
            self.at += self.bytes()[self.at..].iter().take_while(|&&byte| byte == b'-').count();
            match &self.bytes()[self.at..] {
                [b'>', ..] => return self.at += 1,
                [b'!', b'>', ..] => return self.at += 2,
                _ => {}
            }
        }
    }

    fn end_tag(&mut self) {
        self.at += 2;
        let name = self.name();
        if is_one_of(name, &FOREIGN) {
            self.foreign = self.foreign.saturating_sub(1);
        }
        self.attributes();
    }

    fn start_tag(&mut self) -> Option<Tag<'h>> {
        self.at += 1;
        let name = self.name();
        let (attributes, closes_itself) = self.attributes()?;
        let tag = Tag { name, attributes, closes_itself };
        if is_one_of(name, &FOREIGN) && !tag.closes_itself {
            self.foreign += 1;
        } else if tag.is("plaintext") {
            self.at = self.html.len();
        } else if is_one_of(name, &WITHOUT_TAGS) && !(tag.closes_itself && self.foreign > 0) {
            self.skip_element(name);
        }
        Some(tag)
    }

    /// Moves on to the end tag of an element that can't contain tags.
    fn skip_element(&mut self, name: &str) {
        while self.at < self.html.len() {
            self.skip_behind("</");
            let rest = &self.bytes()[self.at..];
            let is_end =
                rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()));
            if is_end
                && rest.get(name.len()).is_none_or(|&byte| is_space(byte) || matches!(byte, b'/' | b'>'))
            {
                return self.at -= 2;
            }
        }
    }

    fn name(&mut self) -> &'h str {
        self.until(|byte| is_space(byte) || matches!(byte, b'/' | b'>'))
    }

    /// Everything before a byte for which `ends` is true; such bytes must be ASCII.
    fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'h str {
        let rest = &self.html[self.at..];
        let end = rest.bytes().position(ends).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// The attributes of a tag, and whether it's self-closing; `None` if the page ends before the tag does.
    fn attributes(&mut self) -> Option<(Vec<(&'h str, &'h str)>, bool)> {
        let mut attributes = Vec::new();
        loop {
            let blank = self.until(|byte| !is_space(byte) && byte != b'/');
            if *self.bytes().get(self.at)? == b'>' {
                self.at += 1;
                return Some((attributes, blank.ends_with('/')));
            }
            // A leading equals sign is part of the name.
            let begin = self.at;
            self.at += 1;
            while !self.html.is_char_boundary(self.at) {
                self.at += 1;
            }
            self.until(|byte| is_space(byte) || matches!(byte, b'/' | b'>' | b'='));
            let name = &self.html[begin..self.at];
            let value = self.value()?;
            if attributes.len() < MAX_ATTRIBUTES {
                attributes.push((name, value));
            }
        }
    }

    /// The value after a name; empty if there is none.
    fn value(&mut self) -> Option<&'h str> {
        let behind_name = self.at;
        self.until(|byte| !is_space(byte));
        if *self.bytes().get(self.at)? != b'=' {
            self.at = behind_name;
            return Some("");
        }
        self.at += 1;
        self.until(|byte| !is_space(byte));
        match *self.bytes().get(self.at)? {
            quote @ (b'"' | b'\'') => {
                self.at += 1;
                let value = self.until(|byte| byte == quote);
                self.at += 1;
                (self.at <= self.html.len()).then_some(value)
            }
            b'>' => Some(""),
            _ => Some(self.until(|byte| is_space(byte) || byte == b'>')),
        }
    }
}

impl<'h> Iterator for Pieces<'h> {
    type Item = Piece<'h>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.html.len() {
            if self.bytes()[self.at] != b'<' {
                return Some(Piece::Text(self.until(|byte| byte == b'<')));
            }
            if let Some(piece) = self.markup() {
                return Some(piece);
            }
        }
        None
    }
}

const FOREIGN: [&str; 2] = ["svg", "math"];

/// Elements whose content isn't HTML, or isn't shown where scripts run.
const WITHOUT_TAGS: [&str; 9] =
    ["script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript"];

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

/// The text of a piece of HTML, on one line and with nothing hidden in it, cut off if it's too long.
pub(super) fn text(html: &str, longest: usize) -> String {
    let end = (0..=longest.min(html.len())).rev().find(|&end| html.is_char_boundary(end)).unwrap_or(0);
    let texts = Pieces::of(&html[..end]).filter_map(|piece| match piece {
        Piece::Text(text) => Some(in_text(text)),
        Piece::Tag(_) => None,
    });
    // Clean the text after resolving references, which may stand for control characters.
    plain(&texts.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" "), longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use html5ever::tendril::StrTendril;
    use html5ever::tokenizer::{BufferQueue, Token::TagToken, TokenSink, TokenSinkResult, Tokenizer};
    use proptest::prelude::*;
    use std::cell::RefCell;

    fn tags(html: &str) -> Vec<String> {
        let tags = Pieces::of(html).filter_map(|piece| match piece {
            Piece::Tag(tag) => Some(format!("{} {:?}", tag.name, tag.attributes)),
            Piece::Text(_) => None,
        });
        tags.collect()
    }

    #[test]
    fn tags_are_found_as_browsers_find_them() {
        let html = r#"<!DOCTYPE html><IMG SRC = 'a>b' alt=c/d x><!-- <img a> --><!--><img b/><!-- -- --><img c='"'d="e"><?x <img f>
            < img g></img h='<img i>'><img j=1 =k / l= m><img n"#;
        let expected = [
            r#"IMG [("SRC", "a>b"), ("alt", "c/d"), ("x", "")]"#,
            r#"img [("b", "")]"#,
            r#"img [("c", "\""), ("d", "e")]"#,
            r#"img [("j", "1"), ("=k", ""), ("l", "m")]"#,
        ];
        assert_eq!(tags(html), expected);
    }

    #[test]
    fn what_holds_no_tags_gives_none() {
        let html = "<script>'<img a>'</scripted></SCRIPT ><img b><style><img c></style><title><img d></title>\
                    <svg><title/><img e></svg><title/><img f></title><noscript><img g></noscript><img h><plaintext><img i>";
        let images: Vec<String> = tags(html).into_iter().filter(|tag| tag.starts_with("img")).collect();
        assert_eq!(images, [r#"img [("b", "")]"#, r#"img [("e", "")]"#, r#"img [("h", "")]"#]);
    }

    #[test]
    fn the_text_is_what_stands_between_tags() {
        let html = "<b title='no'>Bob</b> &amp;\n <style>a{}</style>Co&period; 1 < 2 <i>&lt;x&gt;&#27;";
        assert_eq!(text(html, 999), "Bob & Co. 1 < 2 <x>\u{fffd}");
        assert_eq!(text("ää", 3), "ä");
    }

    /// Pages of meaningful marks in any order.
    fn page() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("<img src="),
            Just("<"),
            Just(">"),
            Just("'"),
            Just("\""),
            Just("="),
            Just("/"),
            Just(" "),
            Just("a"),
            Just("ä"),
            Just("<!--"),
            Just("-->"),
            Just("--"),
            Just("<script>"),
            Just("</script>"),
            Just("<svg>"),
            Just("&amp;")
        ];
        proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn every_page_ends_and_has_the_tags_that_the_standard_finds(html in page()) {
            #[derive(Default)]
            struct Names(RefCell<Vec<String>>);
            impl TokenSink for Names {
                type Handle = ();
                fn process_token(&self, token: html5ever::tokenizer::Token, _line: u64) -> TokenSinkResult<()> {
                    if let TagToken(tag) = token
                        && tag.kind == html5ever::tokenizer::StartTag
                    {
                        let values = tag.attrs.iter().map(|attribute| format!("{}={}", attribute.name.local, attribute.value));
                        self.0.borrow_mut().push(format!("{} {}", tag.name, values.collect::<Vec<_>>().join(" ")));
                        if &*tag.name == "script" {
                            return TokenSinkResult::RawData(html5ever::tokenizer::states::RawKind::Rawtext);
                        }
                    }
                    TokenSinkResult::Continue
                }
            }
            let queue = BufferQueue::default();
            queue.push_back(StrTendril::from(html.as_str()));
            let tokenizer = Tokenizer::new(Names::default(), Default::default());
            let _ = tokenizer.feed(&queue);
            tokenizer.end();
            let ours = Pieces::of(&html).filter_map(|piece| match piece {
                Piece::Tag(tag) => {
                    let mut seen: Vec<String> = Vec::new();
                    let values = tag.attributes.iter().filter_map(|(name, value)| {
                        let name = name.to_ascii_lowercase();
                        let new = !seen.contains(&name);
                        seen.push(name.clone());
                        new.then(|| format!("{name}={}", in_value(value)))
                    });
                    let values = values.collect::<Vec<_>>().join(" ");
                    Some(format!("{} {values}", tag.name.to_ascii_lowercase()))
                }
                Piece::Text(_) => None,
            });
            prop_assert_eq!(ours.collect::<Vec<_>>(), tokenizer.sink.0.into_inner());
        }
    }
}
