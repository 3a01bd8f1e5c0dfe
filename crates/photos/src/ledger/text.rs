//! Cleans text that comes from somebody else: a service, a list, an archive. In: any text. Out: one that a terminal, a
//! page and a file can show, and that isn't too long.
//!
//! A response may contain escape sequences that recolour a terminal or overwrite what it shows, and marks that reverse
//! the direction of text so that it reads as something else. Both are removed before text gets into one of our types.

use sciurus_data::steers;
use url::Url;

/// Most characters of a detail in an error: enough to see what is wrong.
pub const DETAIL: usize = 200;
/// Most characters of a text about a photo, such as who made it.
pub const WORDS: usize = 4096;
/// Longest address in bytes; longer ones are ignored, as by most servers.
pub const LONGEST_ADDRESS: usize = 4096;

/// A text in which nothing is hidden: white space becomes a space, every other invisible character becomes `�`, and
/// it's cut off after `longest` characters.
pub fn plain(text: &str, longest: usize) -> String {
    text.chars().take(longest).map(shown).collect()
}

/// How a character is shown.
pub fn shown(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => ' ',
        c if steers(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// A web address. Others, such as `javascript:` and `file:`, must never be given to anyone as a link.
pub fn web_address(text: &str) -> Option<Url> {
    let text = text.trim();
    if text.len() > LONGEST_ADDRESS {
        return None;
    }
    // Some services leave out the scheme.
    let parsed = match text.strip_prefix("//") {
        Some(rest) => Url::parse(&format!("https://{rest}")),
        None => Url::parse(text),
    };
    parsed.ok().filter(is_web)
}

/// Whether an address is a web address.
pub fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_hidden_and_letters_of_all_scripts_stay() {
        assert_eq!(plain("a\u{1b}[31mb\tc\r\nd\u{9b}e", 99), "a\u{fffd}[31mb c  d\u{fffd}e");
        assert_eq!(plain("evil\u{202e}gpj.exe\u{2066}", 99), "evil\u{fffd}gpj.exe\u{fffd}");
        assert_eq!(plain("Eichhörnchen 松鼠 سنجاب", 99), "Eichhörnchen 松鼠 سنجاب");
        assert_eq!(plain("abc", 2), "ab");
    }

    #[test]
    fn only_addresses_on_the_web_are_addresses() {
        for text in [
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "VBScript:x",
            "ftp://a.example/",
            "x",
        ] {
            assert_eq!(web_address(text), None, "{text}");
        }
        assert_eq!(web_address("//a.example/b").unwrap().as_str(), "https://a.example/b");
        assert!(web_address(" HTTP://a.example/b ").is_some());
        assert_eq!(web_address(&format!("https://a.example/{}", "b".repeat(LONGEST_ADDRESS))), None);
    }

    proptest! {
        #[test]
        fn what_is_plain_stays_plain(text: String, longest in 0_usize..50) {
            let once = plain(&text, longest);
            prop_assert!(!once.chars().any(steers) && once.chars().count() <= longest);
            prop_assert_eq!(plain(&once, longest), once);
        }
    }
}
