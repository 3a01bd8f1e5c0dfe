//! The command seen from outside: help, the demo, the whole road, errors, exit codes.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::unwrap_used)]

mod archs;
mod clean;
mod demo;
mod errors;
mod help;
mod image_service;
mod multi;
mod photos;
mod resume;
mod story;
mod support;
mod toolbox;
