//! Whole runs in a world where all is well: what is kept, what is written beside it, and that a second run changes nothing.

use crate::world::{Photos, World, run};
use sciurus_data::ContentHash;
use sciurus_gather::{
    Control, Ending, Gather, GatherError, GatherEvent, Ledger, Licence, Licences, SourceSpec,
};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Every file below a folder with its content, but for the journal.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    entries
        .filter(|entry| entry.file_type().is_file() && entry.file_name() != ".gather.jsonl")
        .map(|entry| {
            let name = entry.path().strip_prefix(root).unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// Each kept file has an entry with address, licence and the hash of its bytes, and the other way round.
pub(crate) fn check_ledger(root: &Path) {
    let ledger = Ledger::read(root.join("ledger.jsonl")).unwrap();
    let files = tree(root);
    let listed: HashSet<&str> = ledger.entries().iter().map(|entry| entry.file.as_str()).collect();
    let photos: HashSet<&str> = files.keys().map(String::as_str).filter(|name| name.contains('/')).collect();
    assert_eq!(listed, photos);
    for entry in ledger.entries() {
        assert_eq!(ContentHash::of(&files[&entry.file]), entry.hash, "{}", entry.file);
        assert!(entry.url.has_host() && entry.licence != Licence::Unknown && entry.licence_url.is_some());
    }
}

#[test]
fn a_run_keeps_what_it_was_asked_for_and_a_second_one_changes_nothing() {
    let Some(photos) = Photos::small() else { return };
    let world = World::new(photos, None);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let (gathered, events) = run(world.gather(root, 30));
    assert_eq!(gathered.ending, Ending::Complete, "{gathered}");
    check_ledger(root);
    let before = tree(root);
    assert_eq!(before.keys().filter(|name| name.starts_with("tench/")).count(), 30);
    // All four sources take part, in turn.
    for class in &gathered.classes {
        assert!(class.sources.iter().all(|source| source.kept >= 4 && source.down.is_none()), "{class:?}");
    }
    assert_eq!(gathered.licences.len(), 4);
    let kept = events.iter().filter_map(|event| match event {
        GatherEvent::Kept { entry, .. } => Some((**entry).clone()),
        _ => None,
    });
    assert_eq!(kept.collect::<Vec<_>>(), Ledger::read(root.join("ledger.jsonl")).unwrap().entries());
    let json = serde_json::to_string(&events).unwrap();
    assert_eq!(serde_json::from_str::<Vec<GatherEvent>>(&json).unwrap(), events);
    let page = String::from_utf8(before["ATTRIBUTION.md"].clone()).unwrap();
    assert!(
        page.contains("## church")
            && page.contains(": Bob, [by](<https://creativecommons.org/licenses/by/4.0/>)"),
        "{page}"
    );
    assert_eq!(page.lines().filter(|line| line.starts_with("- `")).count(), 60);
    // Query strings of photos arrive as they were, and everybody is told who asks.
    let asked = world.server.log();
    let photo = asked.iter().find(|request| request.path.starts_with("/photo/")).unwrap();
    assert!(photo.target.contains("?a=1&b="), "{}", photo.target);
    assert!(asked.iter().all(|request| request.headers["user-agent"].contains("tests@sciurus.example")));
    assert_eq!(asked.iter().filter(|request| request.path == "/robots.txt").count(), 4);

    let (again, _) = run(world.gather(root, 30));
    assert_eq!((again.ending, again.classes[0].kept), (Ending::Complete, 30));
    assert_eq!(tree(root), before);
    assert_eq!(world.server.log().len(), asked.len(), "nothing is asked again");
    // More of the same is added to what is there.
    let (more, _) = run(world.gather(root, 40));
    assert_eq!((more.ending, more.classes[1].kept), (Ending::Complete, 40));
    check_ledger(root);
    let after = tree(root);
    assert!(
        before
            .iter()
            .filter(|(name, _)| name.contains('/'))
            .all(|(name, bytes)| after.get(name) == Some(bytes))
    );
}

#[test]
fn licences_that_are_not_allowed_are_not_kept() {
    let Some(photos) = Photos::small() else { return };
    let world = World::new(photos, None);
    let folder = tempfile::tempdir().unwrap();
    let gather = world.gather(folder.path(), 10).licences(Licences::Only([Licence::By].into()));
    let (gathered, _) = run(gather);
    assert_eq!(gathered.licences.keys().copied().collect::<Vec<_>>(), [Licence::By]);
    assert_eq!(gathered.classes[0].kept, 10);
    assert!(gathered.classes[0].rejected["licence not allowed"] > 0);
    // Sources are asked for no others.
    let asked = world.server.log();
    let licences: HashSet<&str> =
        asked.iter().filter_map(|request| Some(request.query.get("license")?.as_str())).collect();
    assert_eq!(licences, ["by"].into());
}

#[test]
fn who_falls_short_says_so_and_stopping_keeps_what_is_there() {
    let Some(photos) = Photos::small() else { return };
    let world = World::new(photos, None);
    let folder = tempfile::tempdir().unwrap();
    let one = || vec!["commons".parse::<SourceSpec>().unwrap()];
    let build = |per_class| world.gather(folder.path(), per_class).sources(one()).build().unwrap();
    let mut kept = 0;
    let stopped = build(1000).run_blocking(move |event: &GatherEvent| {
        kept += usize::from(matches!(event, GatherEvent::Kept { .. }));
        if kept >= 5 { Control::Stop } else { Control::Continue }
    });
    assert_eq!(stopped.unwrap().ending, Ending::Stopped);
    assert_eq!(Ledger::read(folder.path().join("ledger.jsonl")).unwrap().entries().len(), 5);
    check_ledger(folder.path());
    assert!(!folder.path().join(".gather-parts").exists());
    let (short, _) = run(world.gather(folder.path(), 1000).sources(one()));
    assert_eq!(short.ending, Ending::Short);
    assert!(short.classes[0].kept > 40 && short.classes[0].kept < 70, "{short}");
    check_ledger(folder.path());
}

#[test]
fn options_that_make_no_sense_are_refused_with_advice() {
    let said = |gather: Gather| gather.build().unwrap_err().to_string();
    let classes = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
    let gather = |names: &[&str]| Gather::new("unused", classes(names));
    assert!(said(gather(&[])).contains("name at least one"));
    assert!(said(gather(&["a"]).per_class(0)).contains("per_class is 0"));
    assert!(said(gather(&["a/b=x", "A-B=y"])).contains("same folder"));
    assert!(said(gather(&["..=x"])).contains("name with letters"));
    assert!(said(gather(&["a="])).contains("what to search for"));
    let keyed = gather(&["a"]).sources(vec!["flickr".parse().unwrap()]);
    assert_eq!(said(keyed), "flickr needs a key; set FLICKR_API_KEY, or choose another source");
    let error = "google".parse::<SourceSpec>().unwrap_err();
    assert!(matches!(error, GatherError::Source(_)) && error.to_string().contains("choose openverse"));
}
