//! Vectors of f32 behind one trait, so that each kernel is written once.
//!
//! A [`Job`] is a kernel with its arguments. `Isa::run` calls it inside a function that has the instruction set's
//! features switched on; everything it calls is `#[inline(always)]`, so all of it is compiled with them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::{Avx512, Avx512Bf16};
pub(crate) use portable::Portable;

/// A kernel with its arguments.
pub(crate) trait Job {
    type Output;

    /// Runs it. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor has the features of `S`, and the job's pointers are valid as the job states.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// Vectors of `LANES` floats. A vector also carries `LANES` 32-bit words, each one f32 or two bf16.
///
/// # Safety of its functions
/// The processor has the instruction set, and pointers are valid for `LANES` elements, with no alignment asked.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    const LANES: usize;
    type V: Copy;

    unsafe fn splat(value: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, value: Self::V);
    /// Reads bf16 and widens.
    unsafe fn load_bf16(from: *const u16) -> Self::V;
    /// Rounds to the nearest bf16, ties to even, and writes.
    unsafe fn store_bf16(to: *mut u16, value: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// `a * b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `max(a, 0)`; NaN stays NaN.
    unsafe fn relu(a: Self::V) -> Self::V;
    /// `value` where `sign > 0`, else 0.
    unsafe fn where_positive(sign: Self::V, value: Self::V) -> Self::V;
    /// `yes` where `a <= b`, else `no`: also where one of them is NaN.
    unsafe fn where_not_greater(a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V;
    /// `value` where the byte is `wanted`, else 0. Reads the first `lanes` bytes; the other lanes are 0.
    unsafe fn where_bytes_are(bytes: *const u8, wanted: u8, lanes: usize, value: Self::V) -> Self::V;
    /// Words that hold a bf16 of `low` in their lower half and one of `high` in the upper.
    unsafe fn pair_bf16(low: *const u16, high: *const u16) -> Self::V;
    /// Per word: `sum + a.low * b.low + a.high * b.high` of bf16 pairs.
    unsafe fn dot_bf16(sum: Self::V, a: Self::V, b: Self::V) -> Self::V;
}
