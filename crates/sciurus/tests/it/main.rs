//! The library seen from outside: golden numbers, properties, files, faults.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::unwrap_used)]

mod architectures;
mod embedder;
mod fused;
mod golden_archs;
mod golden_head;
mod golden_losses;
mod golden_pretrained;
mod golden_resnet;
mod golden_squeezenet;
mod grad_cam;
mod learner;
mod multi;
mod resume;
mod support;
mod weights;
