//! `sciurus studio` in a real browser: Debian's chromium, driven by chromedriver. A machine without them passes these tests over and
//! says so, but where `CI=true` they fail.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::unwrap_used)]

mod axe;
mod browser;
mod dice;
mod exported;
mod gather;
#[path = "../it/image_service.rs"]
mod image_service;
mod kills;
mod program;
mod reviewer;
mod scene;
#[allow(dead_code, reason = "it can also do what these tests do not need")]
#[path = "../../../gather/tests/it/server.rs"]
mod server;
mod story;
#[allow(dead_code, reason = "it can also do what these tests do not need")]
#[path = "../it/support.rs"]
mod support;
