//! Gathering from a server on this machine that speaks every source's protocol, well and badly.

mod faults;
mod kill;
mod ledger;
mod local;
mod refetch;
mod run;
mod server;
mod sources;
mod world;
