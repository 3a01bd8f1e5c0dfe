//! Bytes as a journal of decisions: entries, or an error that names the file; the file is never cut unless it is a journal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sciurus_fuzz::World;
use sciurus_clean::plan::{Decisions, Journal, trust_state};

fuzz_target!(|bytes: &[u8]| {
    let world = World::new();
    world.write("root/.sciurus/decisions.jsonl", bytes);
    // No key of ours has sealed these bytes.
    assert!(Decisions::of_folder(&world.root()).is_err());
    assert!(Journal::of_folder(&world.root()).is_err());
    assert_eq!(world.read("root/.sciurus/decisions.jsonl"), bytes);
    if trust_state(&world.root(), None).is_ok() {
        let journal = Journal::of_folder(&world.root()).unwrap();
        let _ = journal.corrections();
    }
    world.check();
});
