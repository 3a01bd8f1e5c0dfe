//! The number types of activations and weights: f32 and bf16.

use half::bf16;

use crate::simd::Simd;

/// A number type that kernels compute with: f32 or bf16. Sums are always f32.
///
/// Matrix products see both as 32-bit words: one f32, or two consecutive bf16.
pub trait Element: sealed::Sealed + Copy + Default + Send + Sync + 'static {
    /// Elements in a 32-bit word.
    const PER_WORD: usize;

    /// The value as f32.
    fn widen(self) -> f32;

    /// The nearest value of this type, ties to even.
    fn narrow(value: f32) -> Self;
}

mod sealed {
    use crate::simd::Simd;

    /// What kernels need from an element. Being private, it also limits the trait to the two types.
    ///
    /// # Safety of its functions
    /// As for those of [`Simd`]; functions on the first lanes only need `lanes <= LANES` valid elements.
    #[allow(private_bounds, private_interfaces, reason = "no other crate can name or call it")]
    #[doc(hidden)]
    pub trait Sealed: Sized {
        #[doc(hidden)]
        unsafe fn load<S: Simd>(from: *const Self) -> S::V;
        #[doc(hidden)]
        unsafe fn store<S: Simd>(to: *mut Self, value: S::V);
        #[doc(hidden)]
        unsafe fn load_first<S: Simd>(from: *const Self, lanes: usize) -> S::V;
        #[doc(hidden)]
        unsafe fn store_first<S: Simd>(to: *mut Self, value: S::V, lanes: usize);
        #[doc(hidden)]
        unsafe fn dot<S: Simd>(sum: S::V, a: S::V, b: S::V) -> S::V;
    }
}

impl Element for f32 {
    const PER_WORD: usize = 1;

    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
    #[inline(always)]
    fn narrow(value: f32) -> Self {
        value
    }
}

impl Element for bf16 {
    const PER_WORD: usize = 2;

    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }
    #[inline(always)]
    fn narrow(value: f32) -> Self {
        bf16::from_f32(value)
    }
}

#[allow(private_bounds, private_interfaces, reason = "no other crate can name or call it")]
impl sealed::Sealed for f32 {
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const f32) -> S::V {
        // SAFETY: as the caller promises.
        unsafe { S::load(from) }
    }
    #[inline(always)]
    unsafe fn store<S: Simd>(to: *mut f32, value: S::V) {
        // SAFETY: as the caller promises.
        unsafe { S::store(to, value) }
    }
    #[inline(always)]
    unsafe fn load_first<S: Simd>(from: *const f32, lanes: usize) -> S::V {
        // SAFETY: as the caller promises.
        unsafe { S::load_first(from, lanes) }
    }
    #[inline(always)]
    unsafe fn store_first<S: Simd>(to: *mut f32, value: S::V, lanes: usize) {
        // SAFETY: as the caller promises.
        unsafe { S::store_first(to, value, lanes) }
    }
    #[inline(always)]
    unsafe fn dot<S: Simd>(sum: S::V, a: S::V, b: S::V) -> S::V {
        // SAFETY: as the caller promises.
        unsafe { S::fma(a, b, sum) }
    }
}

#[allow(private_bounds, private_interfaces, reason = "no other crate can name or call it")]
impl sealed::Sealed for bf16 {
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const bf16) -> S::V {
        // SAFETY: as the caller promises; a bf16 is its 16 bits.
        unsafe { S::load_bf16(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store<S: Simd>(to: *mut bf16, value: S::V) {
        // SAFETY: as the caller promises; a bf16 is its 16 bits.
        unsafe { S::store_bf16(to.cast(), value) }
    }
    #[inline(always)]
    unsafe fn load_first<S: Simd>(from: *const bf16, lanes: usize) -> S::V {
        // SAFETY: as the caller promises; a bf16 is its 16 bits.
        unsafe { S::load_first_bf16(from.cast(), lanes) }
    }
    #[inline(always)]
    unsafe fn store_first<S: Simd>(to: *mut bf16, value: S::V, lanes: usize) {
        // SAFETY: as the caller promises; a bf16 is its 16 bits.
        unsafe { S::store_first_bf16(to.cast(), value, lanes) }
    }
    #[inline(always)]
    unsafe fn dot<S: Simd>(sum: S::V, a: S::V, b: S::V) -> S::V {
        // SAFETY: as the caller promises.
        unsafe { S::dot_bf16(sum, a, b) }
    }
}

/// Reads a whole vector, or the first `lanes` of one.
///
/// # Safety
/// `from` is valid for `lanes` values, `lanes <= LANES`, and the processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd, E: Element>(from: *const E, lanes: usize) -> S::V {
    // SAFETY: the caller's promise.
    unsafe { if lanes == S::LANES { E::load::<S>(from) } else { E::load_first::<S>(from, lanes) } }
}

/// Writes a whole vector, or the first `lanes` of one.
///
/// # Safety
/// `to` is valid for `lanes` values, `lanes <= LANES`, and the processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd, E: Element>(to: *mut E, value: S::V, lanes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if lanes == S::LANES { E::store::<S>(to, value) } else { E::store_first::<S>(to, value, lanes) }
    }
}

/// Writes words of `len` pairs (bf16), or of `len` values of `first` (f32).
///
/// # Safety
/// `to` is valid for `len` words, `first` and (bf16) `second` for `len` values; the processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn pair<S: Simd, E: Element>(to: *mut u32, first: *const E, second: *const E, len: usize) {
    let whole = len - len % S::LANES;
    // SAFETY: the caller's promise; an f32 is a word, a bf16 is 16 bits.
    unsafe {
        if E::PER_WORD == 1 {
            for i in (0..whole).step_by(S::LANES) {
                S::store(to.add(i).cast(), S::load(first.cast::<f32>().add(i)));
            }
            std::ptr::copy_nonoverlapping(first.cast::<u32>().add(whole), to.add(whole), len - whole);
            return;
        }
        let (first, second) = (first.cast::<u16>(), second.cast::<u16>());
        let twice = len - len % (2 * S::LANES);
        for i in (0..twice).step_by(2 * S::LANES) {
            let [low, high] = S::pair_bf16_twice(first.add(i), second.add(i));
            S::store(to.add(i).cast(), low);
            S::store(to.add(i + S::LANES).cast(), high);
        }
        if twice < whole {
            S::store(to.add(twice).cast(), S::pair_bf16(first.add(twice), second.add(twice)));
        }
        for i in whole..len {
            to.add(i).write(u32::from(first.add(i).read()) | u32::from(second.add(i).read()) << 16);
        }
    }
}
