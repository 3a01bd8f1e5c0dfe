//! The command seen from outside: help, the demo, the whole road, errors, exit codes.

mod demo;
mod errors;
mod help;
mod photos;
mod support;
