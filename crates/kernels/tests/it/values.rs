//! What every test needs: which instruction sets to test, numbers from a seed, and how results are judged.

use half::bf16;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::{Element, Isa};

use crate::reference::Sums;

/// Cases of each property: 64, or what `PROPTEST_CASES` says.
pub(crate) fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(64), ..ProptestConfig::default() }
}

/// The instruction sets under test: those of this processor that `SCIURUS_TEST_ISA`, if it is set, names.
pub(crate) fn sets() -> Vec<Isa> {
    let named = std::env::var("SCIURUS_TEST_ISA").ok();
    let is_named =
        |isa: Isa| named.as_ref().is_none_or(|names| names.split(',').any(|name| name == isa.name()));
    let sets: Vec<Isa> = Isa::ALL.into_iter().filter(|&isa| is_named(isa) && isa.is_available()).collect();
    assert!(!sets.is_empty(), "SCIURUS_TEST_ISA names no instruction set of this processor: {named:?}");
    sets
}

/// The name of a kind of element, for messages.
pub(crate) fn kind<E: Element>() -> &'static str {
    if E::PER_WORD == 1 { "f32" } else { "bf16" }
}

/// What a failing assertion says about where it failed.
pub(crate) fn place<E: Element>(kernel: &str, isa: Isa, case: &impl std::fmt::Debug) -> String {
    format!("{kernel} on {isa} in {} of {case:?}", kind::<E>())
}

/// Numbers of -1 to 1 from a seed (SplitMix64), rounded to the kind, in memory of exactly their size: a sanitizer sees
/// what is read or written beyond it.
pub(crate) fn random<E: Element>(seed: u64, len: usize) -> Box<[E]> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) >> 40
    };
    (0..len).map(|_| E::narrow(next() as f32 / (1_u32 << 23) as f32 - 1.0)).collect()
}

/// Numbers of `low` to `high` in f32 that a kind of element can hold.
pub(crate) fn random_between<E: Element>(seed: u64, len: usize, [low, high]: [f32; 2]) -> Box<[f32]> {
    let within = |value: &f32| E::narrow(low + (high - low) * (value + 1.0) / 2.0).widen();
    random::<f32>(seed, len).iter().map(within).collect()
}

/// Weights in f32 that a kind of element can hold.
pub(crate) fn random_weights<E: Element>(seed: u64, len: usize) -> Box<[f32]> {
    random::<E>(seed, len).iter().map(|value| value.widen()).collect()
}

/// As many values that are all the same.
pub(crate) fn filled<T: Clone>(value: T, len: usize) -> Box<[T]> {
    vec![value; len].into_boxed_slice()
}

/// The values as references compute with them.
pub(crate) fn wide<E: Element>(values: &[E]) -> Vec<f64> {
    values.iter().map(|value| f64::from(value.widen())).collect()
}

/// The bits of values: equal bits are equal results, NaN included.
pub(crate) fn bits<E: Element>(values: &[E]) -> Vec<u32> {
    values.iter().map(|value| value.widen().to_bits()).collect()
}

/// Whether two values have the same bits.
pub(crate) fn same<E: Element>(a: E, b: E) -> bool {
    a.widen().to_bits() == b.widen().to_bits()
}

/// The largest error of a rounding to f32, relative to the value.
pub(crate) const F32_ROUNDING: f64 = 1.0 / (1 << 24) as f64;
/// The largest error of a rounding to bf16, relative to the value.
const BF16_ROUNDING: f64 = 1.0 / (1 << 8) as f64;
/// Below the smallest normal number, where instructions may flush to zero.
const TINY: f64 = 2e-38;

/// How far a sum in f32 may be from the true one. The worst case grows with the number of terms, a true one with its
/// root, as roundings go both ways; twice that, and some for short sums.
pub(crate) fn f32_error(terms: usize, magnitude: f64) -> f64 {
    (8.0 + 2.0 * (terms as f64).sqrt()) * F32_ROUNDING * magnitude + TINY
}

/// How far a sum may be from the true one after it was rounded to a kind of element.
pub(crate) fn error<E: Element>(value: f64, terms: usize, magnitude: f64) -> f64 {
    let error = f32_error(terms, magnitude);
    if E::PER_WORD == 1 { error } else { error + (value.abs() + error) * BF16_ROUNDING }
}

/// Asserts that results agree with the reference as well as their kind of element allows.
pub(crate) fn agree<E: Element>(place: &str, got: &[E], want: &Sums) -> TestCaseResult {
    prop_assert_eq!(got.len(), want.value.len(), "{}", place);
    for (at, (got, &value)) in got.iter().zip(&want.value).enumerate() {
        let allowed = error::<E>(value, want.terms[at], want.magnitude[at]);
        let distance = (f64::from(got.widen()) - value).abs();
        prop_assert!(distance <= allowed, "{place}: {} at {at}, not {value} ± {allowed:e}", got.widen());
    }
    Ok(())
}

/// Asserts that a number is within `allowed` of the reference.
pub(crate) fn close(place: &str, got: f64, want: f64, allowed: f64) -> TestCaseResult {
    prop_assert!((got - want).abs() <= allowed, "{place}: {got}, not {want} ± {allowed:e}");
    Ok(())
}

/// Asserts that results have exactly these bits.
pub(crate) fn equal<E: Element>(place: &str, got: &[E], want: &[E]) -> TestCaseResult {
    prop_assert_eq!(got.len(), want.len(), "{}", place);
    for (at, (&got, &want)) in got.iter().zip(want).enumerate() {
        prop_assert!(same(got, want), "{place}: {} at {at}, not {}", got.widen(), want.widen());
    }
    Ok(())
}

/// What lies between the channels of a view: it must neither be read nor written. Beyond an odd run of bf16 the kernels
/// are allowed to multiply one value by zero, which a NaN would betray.
pub(crate) fn stranger<E: Element>(channels: usize) -> E {
    let tolerated = E::PER_WORD == 2 && !channels.is_multiple_of(2);
    E::narrow(if tolerated { 1e30 } else { f32::NAN })
}

/// NaN as bf16 and f32 have it.
pub(crate) fn nan<E: Element>() -> E {
    E::narrow(f32::from(bf16::NAN))
}
