//! Tests of `sciurus-clean` from outside: against cleanlab's and scikit-learn's numbers, by property, in hostile folders, and killed.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test, as the test itself would")]

mod clean_heads;
mod clean_labels;
mod clean_neighbours;
mod clean_queue;
#[cfg(unix)]
mod hostile_folder;
mod kill;
mod messages;
mod plan;
