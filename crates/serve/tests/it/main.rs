//! The server from outside: requests in, answers out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at any problem")]

mod almost_right;
mod answers;
mod connections;
mod limits;
mod protocol;
mod server;
