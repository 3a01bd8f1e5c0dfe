//! Bytes as a plan of cleaning, JSON or Parquet: carried out and taken back, the folder is as before and nothing outside changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sciurus_fuzz::World;
use sciurus_clean::plan::{CleanPlan, apply, undo};

fuzz_target!(|bytes: &[u8]| {
    let world = World::new();
    let name = if bytes.starts_with(b"PAR1") { "plan.parquet" } else { "plan.json" };
    world.write(name, bytes);
    if let Ok(mut plan) = CleanPlan::load(world.path(name)) {
        // As one of this folder, of which somebody decided everything.
        plan.folder = world.root();
        plan.accept_proposals();
        let _ = apply(&plan, &world.root());
        world.check();
        let _ = undo(&world.root());
    }
    world.check();
});
