//! Bytes as a ledger of gathered photos: entries, or an error that names the file; following moves touches nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sciurus_fuzz::World;
use sciurus_photos::{Ledger, attribution, follow_moves};

fuzz_target!(|bytes: &[u8]| {
    let world = World::new();
    world.write("root/ledger.jsonl", bytes);
    if let Ok(ledger) = Ledger::read(world.path("root/ledger.jsonl")) {
        let page = attribution(&ledger);
        assert!(!page.contains("](javascript:") && !page.contains("<javascript:"));
    }
    let _ = follow_moves(world.root());
    world.check();
});
