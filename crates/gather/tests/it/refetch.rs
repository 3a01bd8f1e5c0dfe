//! A ledger's photos fetched again: the same, changed, gone; and a ledger that would write elsewhere.

use crate::run::{check_ledger, tree};
use crate::server::{Reply, Request, Server};
use crate::world::{Photos, World, run, web};
use sciurus_gather::{Ledger, RefetchState, Refetched, refetch};
use std::path::Path;

fn again(ledger: &Ledger, into: &Path) -> Refetched {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut told = 0;
    let refetched = runtime.block_on(refetch(ledger, into, &web(), |_, _| told += 1)).unwrap();
    assert_eq!(told, ledger.entries().len());
    refetched
}

#[test]
fn the_same_set_arrives_elsewhere_and_what_changed_is_told() {
    let Some(photos) = Photos::small() else { return };
    let other = std::fs::read(&photos.0[1].1[199]).unwrap();
    let world = World::new(photos, None);
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(world.gather(first.path(), 6));
    let ledger = Ledger::read(first.path().join("ledger.jsonl")).unwrap();
    let refetched = again(&ledger, second.path());
    assert_eq!(refetched.counts(), (12, 0, 0));
    assert_eq!(tree(second.path()), tree(first.path()));
    // A second time nothing is fetched.
    let asked = world.server.log().len();
    assert_eq!(again(&ledger, second.path()).counts(), (12, 0, 0));
    assert_eq!(world.server.log().len(), asked);

    let server = Server::start(move |request: &Request| match request.path.as_str() {
        "/changed" => Reply::ok(other.clone()),
        "/page" => Reply::ok("<html>moved</html>"),
        _ => Reply::status(404),
    });
    let third = tempfile::tempdir().unwrap();
    let lines = ledger.entries().iter().zip(["/changed", "/page", "/gone", "/changed", "/changed"]).map(
        |(entry, path)| {
            let mut entry = entry.clone();
            entry.url = server.url(2, path).parse().unwrap();
            entry
        },
    );
    let mut entries: Vec<_> = lines.collect();
    entries[3].file = "../evil.jpg".into();
    entries[4].file = "tench/mine.jpg".into();
    std::fs::create_dir_all(third.path().join("into/tench")).unwrap();
    std::fs::write(third.path().join("into/tench/mine.jpg"), "mine").unwrap();
    let text: String = entries.iter().map(|entry| serde_json::to_string(entry).unwrap() + "\n").collect();
    std::fs::write(third.path().join("list.jsonl"), text).unwrap();
    let list = Ledger::read(third.path().join("list.jsonl")).unwrap();
    let refetched = again(&list, &third.path().join("into"));
    let states: Vec<&RefetchState> = refetched.files.iter().map(|(_, state)| state).collect();
    assert!(matches!(states[0], RefetchState::Changed { .. }), "{states:?}");
    assert!(
        matches!(states[1], RefetchState::Gone { .. })
            && matches!(states[2], RefetchState::NotFetched { .. })
    );
    assert_eq!((states[3], states[4]), (&RefetchState::NameTaken, &RefetchState::NameTaken));
    assert!(!third.path().join("evil.jpg").exists());
    assert_eq!(std::fs::read(third.path().join("into/tench/mine.jpg")).unwrap(), b"mine");
    std::fs::remove_file(third.path().join("into/tench/mine.jpg")).unwrap();
    check_ledger(&third.path().join("into"));
}
