//! Tests of `sciurus-kernels` from outside: every kernel, on every instruction set of this processor, in f32 and in bf16,
//! against slow and obvious references in f64.
//!
//! `SCIURUS_TEST_ISA` (names with commas between) restricts the instruction sets, and `PROPTEST_CASES` the cases of each
//! property: what valgrind, which knows no AVX-512 and is slow, needs.
#![allow(clippy::fn_params_excessive_bools, reason = "properties are run with each option on and off")]
#![allow(clippy::expect_used, reason = "a helper of a test fails the test, as the test itself would")]

mod absurd;
mod activation;
mod adam;
mod attention;
mod buffer;
mod cases;
mod conv;
mod depthwise;
mod determinism;
mod images;
mod layer_norm;
mod matmul;
mod non_finite;
mod norm;
mod pool;
mod reference;
mod softmax;
mod values;
