//! Names of folders and files that every system accepts. In: a class, or a photo's source and id. Out: a name without
//! anything that Windows, macOS or a shell could misinterpret.

use crate::source::FoundImage;
use sciurus_data::ContentHash;

/// Longest name of a folder, in bytes: long enough for species, short enough for paths on Windows.
const LONGEST: usize = 80;
/// Longest id of a source that is used in a name.
const LONGEST_ID: usize = 48;

/// Names that Windows reserves for devices, with any extension.
const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
    "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// The folder of a class: its name, as far as every system accepts it; `None` if nothing is left of it.
///
/// Letters of all scripts are kept. A leading dot or underscore is removed, since folders that begin with one aren't
/// classes.
#[must_use]
pub fn folder(class: &str) -> Option<String> {
    let forbidden = |c: char| {
        let invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        c.is_control() || invisible || r#"<>:"/\|?*"#.contains(c)
    };
    let name: String = class.chars().map(|c| if forbidden(c) { '-' } else { c }).collect();
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let name = name.trim_start_matches(['.', '_', ' ']);
    let end = (0..=LONGEST.min(name.len())).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
    let name = name[..end].trim_end_matches(['.', ' ']);
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    if name.chars().all(|c| c == '-') {
        return None;
    }
    Some(if RESERVED.contains(&stem.as_str()) { format!("class {name}") } else { name.to_owned() })
}

/// A photo's file name without extension: `source-id`, or `source-hash` if the id isn't a plain word.
pub(crate) fn stem(image: &FoundImage) -> String {
    let id = &image.source_id;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(plain) {
        return format!("{}-{id}", image.source);
    }
    let hash = ContentHash::of(image.image_url.as_str().as_bytes()).to_string();
    format!("{}-{}", image.source, &hash[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sciurus_photos::SourceId;

    #[test]
    fn names_keep_what_can_be_kept() {
        let name = |class| folder(class).unwrap();
        assert_eq!(name("red squirrel"), "red squirrel");
        assert_eq!(name("Eichhörnchen  松鼠"), "Eichhörnchen 松鼠");
        assert_eq!(name("../../etc/passwd"), "-..-etc-passwd");
        assert_eq!(name("_hidden. "), "hidden");
        assert_eq!(name("Con"), "class Con");
        assert_eq!(name("nul.txt"), "class nul.txt");
        assert_eq!(folder(" .. "), None);
        assert_eq!(folder("///"), None);
    }

    proptest! {
        #[test]
        fn every_name_is_safe_and_stays_what_it_is(class in any::<String>(), id in any::<String>()) {
            if let Some(name) = folder(&class) {
                prop_assert!(!name.is_empty() && name.len() <= LONGEST + 6);
                prop_assert!(!name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|']));
                prop_assert!(!name.chars().any(char::is_control));
                prop_assert!(!name.starts_with(['.', '_', ' ']) && !name.ends_with(['.', ' ']));
                let stem = name.split('.').next().unwrap().to_lowercase();
                prop_assert!(!RESERVED.contains(&stem.as_str()));
                prop_assert_eq!(folder(&name), Some(name));
            }
            let image = FoundImage::new(SourceId::Commons, id, "https://a.example/b.jpg?c=d".parse().unwrap());
            let stem = stem(&image);
            prop_assert!(stem.starts_with("commons-") && stem.len() <= 60);
            prop_assert!(stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        }
    }
}
