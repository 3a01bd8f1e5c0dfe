//! The studio from outside: who may ask, and what an answer holds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails the test, as the test itself would"
)]

mod answers;
mod archives;
mod asking;
mod gather;
#[path = "../../../cli/tests/it/image_service.rs"]
mod image_service;
mod security;
#[allow(dead_code, reason = "it can also do what these tests do not need")]
#[path = "../../../gather/tests/it/server.rs"]
mod server;
