//! Bytes as a folder's log of moves, believed: nothing outside the folder changes, and nothing inside is lost.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sciurus_fuzz::World;
use sciurus_clean::plan::{recover, trust_state, undo};

fuzz_target!(|bytes: &[u8]| {
    let world = World::new();
    world.write("root/.sciurus/moves.jsonl", bytes);
    let _ = trust_state(&world.root(), None);
    let _ = recover(&world.root());
    let _ = undo(&world.root());
    world.check();
});
