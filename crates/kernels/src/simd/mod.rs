//! Vectors of f32 behind one trait, so that each kernel is written once.
//!
//! A [`Job`] is a kernel with its arguments. `Isa::run` calls it inside a function that has the instruction set's features turned
//! on. Everything it calls is `#[inline(always)]`, so that all of it is compiled with these features.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::{Avx512, Avx512Bf16};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::Portable;

/// A kernel with its arguments.
///
/// A job is only made in the file that defines it, by functions that have checked lengths: its slices have matching shapes, as the
/// proofs in `run` say. If it has a pointer, the pointer came from an unsafe block, which guarantees that it reaches as far as the
/// job states, and that no other thread uses that memory. So every job that exists may be run.
pub(crate) trait Job {
    type Output;

    /// Runs it. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor has the features of `S`.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// Vectors of `LANES` floats. A vector also carries `LANES` 32-bit words, each one f32 or two bf16.
///
/// # Safety of its functions
/// The processor has the instruction set, and pointers are valid for `LANES` elements. They need not be aligned.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    const LANES: usize;
    /// Number of vector registers, which determines the size of tiles.
    const REGISTERS: usize;
    type V: Copy;

    unsafe fn splat(value: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, value: Self::V);
    /// Reads bf16 and widens.
    unsafe fn load_bf16(from: *const u16) -> Self::V;
    /// Rounds to the nearest bf16, ties to even, and writes.
    unsafe fn store_bf16(to: *mut u16, value: Self::V);
    /// Reads the first `lanes <= LANES` values; the other lanes are 0.
    #[inline(always)]
    unsafe fn load_first(from: *const f32, lanes: usize) -> Self::V {
        let mut whole = [0.0_f32; 16];
        // SAFETY: the caller's promise; `whole` holds the lanes of the widest vector.
        unsafe {
            std::ptr::copy_nonoverlapping(from, whole.as_mut_ptr(), lanes);
            Self::load(whole.as_ptr())
        }
    }
    /// Writes the first `lanes <= LANES` values.
    #[inline(always)]
    unsafe fn store_first(to: *mut f32, value: Self::V, lanes: usize) {
        let mut whole = [0.0_f32; 16];
        // SAFETY: the caller's promise; `whole` holds the lanes of the widest vector.
        unsafe {
            Self::store(whole.as_mut_ptr(), value);
            std::ptr::copy_nonoverlapping(whole.as_ptr(), to, lanes);
        }
    }
    /// Reads the first `lanes <= LANES` bf16 and widens; the other lanes are 0.
    #[inline(always)]
    unsafe fn load_first_bf16(from: *const u16, lanes: usize) -> Self::V {
        let mut whole = [0_u16; 16];
        // SAFETY: the caller's promise; `whole` holds the lanes of the widest vector.
        unsafe {
            std::ptr::copy_nonoverlapping(from, whole.as_mut_ptr(), lanes);
            Self::load_bf16(whole.as_ptr())
        }
    }
    /// Rounds and writes the first `lanes <= LANES` bf16.
    #[inline(always)]
    unsafe fn store_first_bf16(to: *mut u16, value: Self::V, lanes: usize) {
        let mut whole = [0_u16; 16];
        // SAFETY: the caller's promise; `whole` holds the lanes of the widest vector.
        unsafe {
            Self::store_bf16(whole.as_mut_ptr(), value);
            std::ptr::copy_nonoverlapping(whole.as_ptr(), to, lanes);
        }
    }
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
    /// Each 32-bit word shifted left by 23 bits: whole numbers become exponents.
    unsafe fn to_exponent(a: Self::V) -> Self::V;
    /// Words with a bf16 of `low` in their lower half and one of `high` in their upper half.
    unsafe fn pair_bf16(low: *const u16, high: *const u16) -> Self::V;
    /// Like `pair_bf16`, for `2 * LANES` values of both.
    #[inline(always)]
    unsafe fn pair_bf16_twice(low: *const u16, high: *const u16) -> [Self::V; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            let second = Self::pair_bf16(low.add(Self::LANES), high.add(Self::LANES));
            [Self::pair_bf16(low, high), second]
        }
    }
    /// Per word: `sum + a.low * b.low + a.high * b.high` of bf16 pairs.
    unsafe fn dot_bf16(sum: Self::V, a: Self::V, b: Self::V) -> Self::V;
}

/// A vector's lanes, followed by zeros.
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn lanes<S: Simd>(vector: S::V) -> [f32; 16] {
    let mut lanes = [0.0_f32; 16];
    // SAFETY: the caller's promise; `lanes` holds those of the widest vector.
    unsafe { S::store(lanes.as_mut_ptr(), vector) };
    lanes
}

/// The sum of a vector's lanes.
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn total<S: Simd>(vector: S::V) -> f32 {
    // SAFETY: the caller's promise.
    unsafe { lanes::<S>(vector) }.iter().sum()
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;
    use crate::isa::Isa;

    /// Special cases of rounding and comparing, as bits: both zeros, ties to even, values next to a tie, overflow to infinity, the
    /// smallest normal number, quiet and signalling NaN.
    const BITS: [u32; 16] = [
        0,
        0x8000_0000,
        0x3f80_8000,
        0x3f81_8000,
        0x3f80_8001,
        0xbf80_7fff,
        0x7f7f_ffff,
        0xff7f_ffff,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0000,
        0x7f80_0001,
        0xffc1_2345,
        0x7fff_ffff,
        0x0080_0000,
        0xbfc0_0000,
    ];

    /// Does something with each vector of 16 lanes.
    struct EachVector<F>(F);

    /// What to do with the vector that begins at a lane.
    trait At {
        unsafe fn at<S: Simd>(&mut self, lane: usize);
    }

    impl<F: At> Job for EachVector<F> {
        type Output = F;

        #[inline(always)]
        unsafe fn run<S: Simd>(mut self) -> F {
            for lane in (0..16).step_by(S::LANES) {
                // SAFETY: the processor has the features of `S`, and arrays hold 16 lanes.
                unsafe { self.0.at::<S>(lane) };
            }
            self.0
        }
    }

    fn sets() -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available())
    }

    struct Rounded {
        from: [f32; 16],
        narrow: [u16; 16],
        wide: [f32; 16],
    }

    impl At for Rounded {
        #[inline(always)]
        unsafe fn at<S: Simd>(&mut self, lane: usize) {
            // SAFETY: the caller's promise.
            unsafe {
                S::store_bf16(self.narrow[lane..].as_mut_ptr(), S::load(self.from[lane..].as_ptr()));
                S::store(self.wide[lane..].as_mut_ptr(), S::load_bf16(self.narrow[lane..].as_ptr()));
            }
        }
    }

    #[test]
    fn bf16_is_rounded_to_even_and_nan_stays_nan() {
        let from = BITS.map(f32::from_bits);
        let want = from.map(|value| bf16::from_f32(value).to_bits());
        for isa in sets() {
            let rounded = isa.run(EachVector(Rounded { from, narrow: [0; 16], wide: [0.0; 16] }));
            assert_eq!(rounded.narrow, want, "{isa}");
            assert_eq!(rounded.wide.map(f32::to_bits), want.map(|bits| u32::from(bits) << 16), "{isa}");
        }
    }

    struct Compared {
        from: [f32; 16],
        relu: [f32; 16],
        positive: [f32; 16],
        not_greater: [f32; 16],
    }

    impl At for Compared {
        #[inline(always)]
        unsafe fn at<S: Simd>(&mut self, lane: usize) {
            // SAFETY: the caller's promise.
            unsafe {
                let value = S::load(self.from[lane..].as_ptr());
                let (one, two) = (S::splat(1.0), S::splat(2.0));
                S::store(self.relu[lane..].as_mut_ptr(), S::relu(value));
                S::store(self.positive[lane..].as_mut_ptr(), S::where_positive(value, two));
                let chosen = S::where_not_greater(value, one, one, two);
                S::store(self.not_greater[lane..].as_mut_ptr(), chosen);
            }
        }
    }

    #[test]
    fn comparisons_treat_nan_and_zero_alike_on_every_set() {
        let from = BITS.map(f32::from_bits);
        let none = [f32::NAN; 16];
        for isa in sets() {
            let got = isa.run(EachVector(Compared { from, relu: none, positive: none, not_greater: none }));
            let relu = from.map(|value| if value < 0.0 { 0.0 } else { value });
            assert_eq!(got.relu.map(f32::to_bits), relu.map(f32::to_bits), "{isa}");
            assert_eq!(got.positive, from.map(|value| if value > 0.0 { 2.0 } else { 0.0 }), "{isa}");
            assert_eq!(got.not_greater, from.map(|value| if value <= 1.0 { 1.0 } else { 2.0 }), "{isa}");
        }
    }

    struct Paired {
        low: [u16; 16],
        high: [u16; 16],
        words: [f32; 16],
        dot: [f32; 16],
    }

    impl At for Paired {
        #[inline(always)]
        unsafe fn at<S: Simd>(&mut self, lane: usize) {
            // SAFETY: the caller's promise.
            unsafe {
                let words = S::pair_bf16(self.low[lane..].as_ptr(), self.high[lane..].as_ptr());
                let turned = S::pair_bf16(self.high[lane..].as_ptr(), self.low[lane..].as_ptr());
                S::store(self.words[lane..].as_mut_ptr(), words);
                let dot = S::dot_bf16(S::dot_bf16(S::splat(0.5), words, turned), words, words);
                S::store(self.dot[lane..].as_mut_ptr(), dot);
            }
        }
    }

    #[test]
    fn pairs_are_multiplied_half_by_half() {
        let lanes: [f32; 16] = std::array::from_fn(|lane| lane as f32);
        let (low, high) = (lanes.map(|lane| lane - 5.0), lanes.map(|lane| 3.0 - 2.0 * lane));
        let narrow = |values: [f32; 16]| values.map(|value| bf16::from_f32(value).to_bits());
        for isa in sets() {
            let paired = Paired { low: narrow(low), high: narrow(high), words: [0.0; 16], dot: [0.0; 16] };
            let got = isa.run(EachVector(paired));
            for lane in 0..16 {
                let (a, b) = (low[lane], high[lane]);
                let word = u32::from(got.low[lane]) | u32::from(got.high[lane]) << 16;
                assert_eq!(got.words[lane].to_bits(), word, "{isa}, lane {lane}");
                assert_eq!(got.dot[lane], 0.5 + 2.0 * a * b + a * a + b * b, "{isa}, lane {lane}");
            }
        }
    }

    struct Chosen<'a> {
        bytes: &'a [u8],
        wanted: u8,
    }

    impl Job for Chosen<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> Vec<f32> {
            let mut chosen = vec![f32::NAN; S::LANES];
            // SAFETY: the processor has the features of `S`, and as many bytes are read as there are.
            unsafe {
                let value =
                    S::where_bytes_are(self.bytes.as_ptr(), self.wanted, self.bytes.len(), S::splat(7.0));
                S::store(chosen.as_mut_ptr(), value);
            }
            chosen
        }
    }

    #[test]
    fn lanes_without_a_byte_are_zero_whatever_byte_is_wanted() {
        for isa in sets() {
            for wanted in [0, 3, 255] {
                for lanes in 1..=isa.lanes() {
                    let bytes: Box<[u8]> = [wanted, !wanted, 3].into_iter().cycle().take(lanes).collect();
                    let mut want: Vec<f32> =
                        bytes.iter().map(|&byte| if byte == wanted { 7.0 } else { 0.0 }).collect();
                    want.resize(isa.lanes(), 0.0);
                    assert_eq!(
                        isa.run(Chosen { bytes: &bytes, wanted }),
                        want,
                        "{isa}, {lanes} lanes of {wanted}"
                    );
                }
            }
        }
    }
}
