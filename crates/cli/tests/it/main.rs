//! The command seen from outside: help, the demo, the whole road, errors, exit codes.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::unwrap_used)]

mod archs;
mod clean;
mod demo;
mod errors;
mod export;
mod first_contact;
mod help;
#[cfg(unix)]
mod hostile;
mod hostile_models;
mod image_service;
mod messages;
mod multi;
mod none_of_these;
mod offline;
mod photos;
mod readme;
mod resume;
#[cfg(unix)]
mod serve_soak;
#[allow(dead_code, reason = "it can also do what these tests do not need")]
#[path = "../../../gather/tests/it/server.rs"]
mod server;
mod serving;
mod story;
mod support;
mod toolbox;
mod triton;
