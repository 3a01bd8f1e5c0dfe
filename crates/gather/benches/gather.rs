//! Two classes of 150 real photos from a server on this machine, everything included: search, fetch, decode, verify, write.
//! `SCIURUS_SHARED=../shared cargo bench -p sciurus-gather`

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a part of the tests' world is used here"
)]

#[path = "../tests/it/server.rs"]
mod server;
#[path = "../tests/it/world.rs"]
mod world;

use sciurus_gather::{Gather, WebOptions};
use std::time::Instant;
use world::{Photos, World, run};

fn main() {
    let hymenoptera = ["hymenoptera/train/ants", "hymenoptera/val/ants"];
    let more = ["hymenoptera/train/bees", "hymenoptera/val/bees"];
    let Some(photos) = Photos::of(&hymenoptera, &more) else { return };
    let world = World::new(photos, None);
    for round in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        // The limits of every day, but for the hosts, which are all this machine.
        let polite =
            WebOptions { allow_private_hosts: world::web().allow_private_hosts, ..WebOptions::default() };
        let gather: Gather = world.gather(folder.path(), 150).web(polite).min_size(200);
        let begin = Instant::now();
        let (gathered, _) = run(gather);
        println!("round {round}: {:.1} s\n{gathered}", begin.elapsed().as_secs_f64());
    }
}
