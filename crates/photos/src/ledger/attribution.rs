//! Credit for every photo, for people to read. In: a [`Ledger`]. Out: `ATTRIBUTION.md`, sorted by class.

use super::text::{WORDS, is_web, plain, shown, web_address};
use super::{LEDGER_FILE, Ledger, LedgerEntry, LedgerError, lock_gathering};
use sciurus_data::fs::{InsidePath, Kind, Root};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use url::Position;

/// The name of the page in its folder.
pub const ATTRIBUTION_FILE: &str = "ATTRIBUTION.md";

/// Largest page in bytes.
const LARGEST: u64 = 1 << 30;

/// The mark that tells our page from one that somebody else wrote.
const MARK: &str = "<!-- written from ledger.jsonl; changes are lost -->";

/// The page that gives credit: the photos of each class by file, with creator, licence and page.
#[must_use]
pub fn attribution(ledger: &Ledger) -> String {
    let mut classes: BTreeMap<&str, Vec<&LedgerEntry>> = BTreeMap::new();
    for entry in ledger.entries() {
        classes.entry(&entry.class).or_default().push(entry);
    }
    let mut page = format!("{MARK}\n# Where these photos come from\n");
    for (class, mut entries) in classes {
        entries.sort_by(|a, b| a.file.cmp(&b.file));
        let _ = write!(page, "\n## {}\n\n", escaped(class));
        for entry in entries {
            let _ = writeln!(page, "- {}", credit(entry));
        }
    }
    page
}

fn credit(entry: &LedgerEntry) -> String {
    let creator = escaped(entry.creator.as_deref().unwrap_or("unknown"));
    let page = entry.landing_url.as_ref().filter(|page| is_web(page)).unwrap_or(&entry.url);
    let page = link(page.as_str()).map_or_else(|| escaped(page.as_str()), |page| format!("<{page}>"));
    let licence = match entry.licence_url.as_deref().map(|url| (link(url), url)) {
        Some((Some(url), _)) => format!("[{}](<{url}>)", entry.licence),
        Some((None, url)) => format!("{} {}", entry.licence, escaped(url)),
        None => entry.licence.to_string(),
    };
    let own = entry.attribution.as_deref().map(|own| format!(". {}", escaped(own))).unwrap_or_default();
    format!("{}: {creator}, {licence}, {page}{own}", file(&entry.file))
}

/// A file's name as code, unless something in it would end the code or can't be shown there.
fn file(name: &str) -> String {
    let is_code = |c: char| !"`<>[]\\".contains(c) && shown(c) == c;
    if !name.is_empty() && name.chars().all(is_code) {
        format!("`{name}`")
    } else {
        format!("\"{}\"", escaped(name))
    }
}

/// A web address as it may stand between `<` and `>`. Characters that could end it are percent-encoded, which leads to
/// the same page.
fn link(address: &str) -> Option<String> {
    let url = web_address(address)?;
    let mut link = url[..Position::BeforePath].to_owned();
    for byte in url[Position::BeforePath..].bytes() {
        if byte.is_ascii_graphic() && !b"<>()[]{}`\"\\^|".contains(&byte) {
            link.push(char::from(byte));
        } else {
            let _ = write!(link, "%{byte:02X}");
        }
    }
    Some(link)
}

/// Somebody else's text, escaped so that nothing in it counts as Markdown or HTML and nothing is hidden.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in plain(text, WORDS).split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        if r"\`*_{}[]<>()#|&~!@".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Updates a folder's ledger and its attribution page after files were moved in it. Does nothing if there is no ledger.
///
/// # Errors
/// The ledger can't be understood, or one of the two files can't be written.
pub fn follow_moves(folder: impl AsRef<Path>) -> Result<(), LedgerError> {
    let root = Root::open(folder.as_ref())?;
    if root.is_free(&InsidePath::ours(LEDGER_FILE)).unwrap_or(true) {
        return Ok(());
    }
    // A gather run in this folder writes the ledger too.
    let _lock = lock_gathering(&root)?;
    let ledger = Ledger::open(root.path())?.refreshed(root.path())?;
    ledger.save()?;
    write_attribution(&ledger, root.path()).map(drop)
}

/// Writes the attribution page next to the ledger. A page of this name that somebody else wrote stays as it is.
///
/// Returns the page's path if it was written.
///
/// # Errors
/// The page can't be written.
pub fn write_attribution(ledger: &Ledger, folder: impl AsRef<Path>) -> Result<Option<PathBuf>, LedgerError> {
    let (root, name) = Root::of_file(&folder.as_ref().join(ATTRIBUTION_FILE))?;
    let failed = |source| LedgerError::io("read", &root.place(&name), source);
    let ours = match root.kind(&name).map_err(failed)? {
        None => true,
        Some(Kind::File) => root.read(&name, LARGEST).is_ok_and(|page| page.starts_with(MARK.as_bytes())),
        Some(_) => false,
    };
    if !ours {
        return Ok(None);
    }
    let page = attribution(ledger);
    root.write(&name, |file| file.write_all(page.as_bytes()))?;
    Ok(Some(root.place(&name)))
}
