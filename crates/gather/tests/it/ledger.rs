//! The ledger: a torn line, files that moved, licences by content, the page of credit.

use sciurus_data::ContentHash;

use sciurus_gather::{Ledger, LedgerEntry, Licence, SourceId};
use sciurus_photos::licences;
use sciurus_photos::{attribution, write_attribution};
use std::collections::BTreeMap;
use std::path::Path;

fn entry(file: &str, content: &[u8], licence: Licence) -> LedgerEntry {
    LedgerEntry {
        file: file.into(),
        class: file.split('/').next().unwrap().into(),
        url: format!("https://a.example/{file}?x=1").parse().unwrap(),
        landing_url: None,
        licence,
        licence_url: licence.url().map(str::to_owned),
        creator: Some("Ann *<script>*\n[x](y)".into()),
        attribution: None,
        hash: ContentHash::of(content),
        width: 20,
        height: 10,
        time: "2026-11-24T12:00:00Z".into(),
        source: SourceId::Commons,
        source_id: "1".into(),
    }
}

fn put(root: &Path, file: &str, content: &[u8]) {
    std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
    std::fs::write(root.join(file), content).unwrap();
}

#[test]
fn it_stays_true_when_files_are_moved() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut ledger = Ledger::open(root).unwrap();
    for (file, content, licence) in [
        ("red/a.jpg", b"a", Licence::By),
        ("red/b.jpg", b"b", Licence::Cc0),
        ("red/b2.jpg", b"b", Licence::Cc0),
        ("red/c.jpg", b"c", Licence::By),
    ] {
        put(root, file, content);
        ledger.append(entry(file, content, licence)).unwrap();
    }
    assert_eq!(ledger.refreshed(root).unwrap(), ledger);
    // One is relabelled, one of two equal ones is set aside, one is gone, one took another's name.
    std::fs::create_dir_all(root.join("grey")).unwrap();
    std::fs::rename(root.join("red/a.jpg"), root.join("grey/a.jpg")).unwrap();
    put(root, "_set_aside/b.jpg", b"b");
    put(root, "red/b.jpg", b"other");
    std::fs::remove_file(root.join("red/c.jpg")).unwrap();
    let refreshed = ledger.refreshed(root).unwrap();
    let files: Vec<&str> = refreshed.entries().iter().map(|entry| entry.file.as_str()).collect();
    assert_eq!(files, ["grey/a.jpg", "_set_aside/b.jpg", "red/b2.jpg", "red/c.jpg"]);
    refreshed.save().unwrap();
    assert_eq!(Ledger::read(root.join("ledger.jsonl")).unwrap(), refreshed);
    let contents = [b"a", b"b", b"c", b"x"].map(|content| ContentHash::of(content));
    let counts = licences(root, &contents).into_iter().map(|(name, photos)| (name.parse().unwrap(), photos));
    let counts: Vec<(Licence, usize)> = counts.collect::<BTreeMap<_, _>>().into_iter().collect();
    assert_eq!(counts, [(Licence::Cc0, 1), (Licence::By, 2), (Licence::Unknown, 1)]);
}

#[test]
fn a_line_that_was_cut_short_is_passed_over_and_another_bad_one_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(folder.path()).unwrap();
    ledger.append(entry("red/a.jpg", b"a", Licence::By)).unwrap();
    ledger.append(entry("red/b.jpg", b"b", Licence::By)).unwrap();
    let path = folder.path().join("ledger.jsonl");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    assert_eq!(Ledger::read(&path).unwrap().entries().len(), 1);
    let mut ledger = Ledger::open(folder.path()).unwrap();
    ledger.append(entry("red/b.jpg", b"b", Licence::By)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    std::fs::write(&path, b"{}\n").unwrap();
    let error = Ledger::read(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("ledger.jsonl, line 1: not a ledger entry; correct or remove the line"),
        "{error}"
    );
}

#[test]
fn credit_is_sorted_and_nobody_writes_html_into_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(folder.path()).unwrap();
    for file in ["red/b.jpg", "grey/z.jpg", "red/a.jpg"] {
        ledger.append(entry(file, file.as_bytes(), Licence::By)).unwrap();
    }
    let page = attribution(&ledger);
    let order: Vec<usize> = ["## grey", "`grey/z.jpg`", "## red", "`red/a.jpg`", "`red/b.jpg`"]
        .map(|part| page.find(part).unwrap())
        .into();
    assert!(order.is_sorted(), "{page}");
    assert!(!page.contains("<script>") && page.contains(r"Ann \*\<script\>\* \[x\]\(y\)"), "{page}");
    assert!(write_attribution(&ledger, folder.path()).unwrap().is_some());
    assert!(write_attribution(&ledger, folder.path()).unwrap().is_some());
    // A page that somebody wrote stays.
    std::fs::write(folder.path().join("ATTRIBUTION.md"), "mine").unwrap();
    assert_eq!(write_attribution(&ledger, folder.path()).unwrap(), None);
    assert_eq!(std::fs::read(folder.path().join("ATTRIBUTION.md")).unwrap(), b"mine");
}
