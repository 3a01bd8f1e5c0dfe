//! Plain Rust with arrays, which the compiler turns into SSE2, for example. Miri runs this set too.
#![allow(unsafe_op_in_unsafe_fn, reason = "the trait states what each function needs, once for all of them")]

use super::Simd;

/// Four floats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

type V = [f32; 4];

#[inline(always)]
fn map2(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

/// A fused multiply-add if the processor has it (one rounding), else a multiplication and an addition (two roundings): a call into
/// libm would be far slower.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { a.mul_add(b, c) } else { a * b + c }
}

/// Widens the bf16 in the low half of a word.
#[inline(always)]
fn low(word: f32) -> f32 {
    f32::from_bits(word.to_bits() << 16)
}

#[inline(always)]
fn high(word: f32) -> f32 {
    f32::from_bits(word.to_bits() & 0xffff_0000)
}

/// Rounds to bf16, ties to even; NaN stays NaN.
#[inline(always)]
fn narrow(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return ((bits >> 16) | 0x40) as u16;
    }
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

impl Simd for Portable {
    const LANES: usize = 4;
    const REGISTERS: usize = 16;
    type V = V;

    #[inline(always)]
    unsafe fn splat(value: f32) -> V {
        [value; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> V {
        from.cast::<V>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: V) {
        to.cast::<V>().write_unaligned(value);
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> V {
        from.cast::<[u16; 4]>().read_unaligned().map(|bits| f32::from_bits(u32::from(bits) << 16))
    }
    #[inline(always)]
    unsafe fn store_bf16(to: *mut u16, value: V) {
        to.cast::<[u16; 4]>().write_unaligned(value.map(narrow));
    }
    #[inline(always)]
    unsafe fn add(a: V, b: V) -> V {
        map2(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: V, b: V) -> V {
        map2(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: V, b: V) -> V {
        map2(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: V, b: V) -> V {
        map2(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn sqrt(a: V) -> V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    unsafe fn fma(a: V, b: V, c: V) -> V {
        [0, 1, 2, 3].map(|i| multiply_add(a[i], b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn relu(a: V) -> V {
        a.map(|a| if a < 0.0 { 0.0 } else { a })
    }
    #[inline(always)]
    unsafe fn where_positive(sign: V, value: V) -> V {
        map2(sign, value, |sign, value| if sign > 0.0 { value } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn pair_bf16(low: *const u16, high: *const u16) -> V {
        let (low, high) = (low.cast::<[u16; 4]>().read_unaligned(), high.cast::<[u16; 4]>().read_unaligned());
        [0, 1, 2, 3].map(|i| f32::from_bits(u32::from(low[i]) | u32::from(high[i]) << 16))
    }
    #[inline(always)]
    unsafe fn dot_bf16(sum: V, a: V, b: V) -> V {
        [0, 1, 2, 3].map(|i| multiply_add(high(a[i]), high(b[i]), multiply_add(low(a[i]), low(b[i]), sum[i])))
    }
    #[inline(always)]
    unsafe fn to_exponent(a: V) -> V {
        a.map(|a| f32::from_bits(a.to_bits() << 23))
    }
    #[inline(always)]
    unsafe fn where_not_greater(a: V, b: V, yes: V, no: V) -> V {
        [0, 1, 2, 3].map(|i| if a[i] <= b[i] { yes[i] } else { no[i] })
    }
    #[inline(always)]
    unsafe fn where_bytes_are(bytes: *const u8, wanted: u8, lanes: usize, value: V) -> V {
        let mut chosen = [0.0; 4];
        for (lane, chosen) in chosen.iter_mut().enumerate().take(lanes) {
            if bytes.add(lane).read() == wanted {
                *chosen = value[lane];
            }
        }
        chosen
    }
}
