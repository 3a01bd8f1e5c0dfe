//! The library seen from outside: golden numbers, properties, files, faults.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::unwrap_used)]

mod architectures;
mod as_it_was;
mod checksum;
mod earlier;
mod embedder;
mod examples;
mod export;
mod fused;
mod golden_archs;
mod golden_head;
mod golden_losses;
mod golden_pretrained;
mod golden_resnet;
mod golden_squeezenet;
mod grad_cam;
mod hostile_checkpoints;
mod hostile_models;
mod learner;
mod limited;
mod models;
mod multi;
mod not_files;
mod not_finite;
mod pickles;
mod resume;
mod support;
mod weights;
