//! The studio from outside: who may ask, and what an answer holds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails the test, as the test itself would"
)]

mod answers;
mod asking;
mod security;
