//! Gathering from a server on this machine that speaks every source's protocol, well and badly.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails the test, as the test itself would"
)]

mod costs;
mod faults;
mod hostile_archives;
mod hostile_files;
#[cfg(unix)]
mod hostile_folder;
mod hostile_services;
mod kill;
mod ledger;
mod local;
mod refetch;
mod run;
mod server;
mod sources;
mod verify;
mod world;
