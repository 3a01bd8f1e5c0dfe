//! AVX-512: sixteen floats; with and without the bf16 dot product.
#![allow(unsafe_op_in_unsafe_fn, reason = "the trait states what each function needs, once for all of them")]

use std::arch::x86_64::*;
use std::mem::transmute;

use super::{Job, Simd};

/// Sixteen floats; bf16 is widened by shifts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512;

/// Sixteen floats with `vdpbf16ps`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512Bf16;

impl Avx512 {
    /// Runs a job compiled with AVX-512.
    ///
    /// # Safety
    /// The processor has the features named here.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(crate) unsafe fn call<J: Job>(job: J) -> J::Output {
        job.run::<Self>()
    }
}

impl Avx512Bf16 {
    /// Runs a job compiled with AVX-512 and its bf16 instructions.
    ///
    /// # Safety
    /// The processor has the features named here.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    pub(crate) unsafe fn call<J: Job>(job: J) -> J::Output {
        job.run::<Self>()
    }
}

/// The mask of the first `lanes <= 16` lanes.
#[inline(always)]
fn first(lanes: usize) -> __mmask16 {
    ((1_u32 << lanes) - 1) as __mmask16
}

/// Indices into the 64 half-words of two vectors: those of the first 16 pairs, and those of the second 16.
const PAIRS: [[u16; 32]; 2] = {
    let mut pairs = [[0; 32]; 2];
    let mut at = 0;
    while at < 32 {
        pairs[0][at] = (at / 2 + 32 * (at % 2)) as u16;
        pairs[1][at] = pairs[0][at] + 16;
        at += 1;
    }
    pairs
};

/// The functions that both sets share.
macro_rules! shared {
    () => {
        const LANES: usize = 16;
        const REGISTERS: usize = 32;
        type V = __m512;

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            _mm512_set1_ps(value)
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            _mm512_loadu_ps(from)
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m512) {
            _mm512_storeu_ps(to, value);
        }
        #[inline(always)]
        unsafe fn load_bf16(from: *const u16) -> __m512 {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, lanes: usize) -> __m512 {
            _mm512_maskz_loadu_ps(first(lanes), from)
        }
        #[inline(always)]
        unsafe fn store_first(to: *mut f32, value: __m512, lanes: usize) {
            _mm512_mask_storeu_ps(to, first(lanes), value);
        }
        #[inline(always)]
        unsafe fn load_first_bf16(from: *const u16, lanes: usize) -> __m512 {
            let wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first(lanes), from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
        #[inline(always)]
        unsafe fn store_bf16(to: *mut u16, value: __m512) {
            _mm256_storeu_si256(to.cast(), Self::narrow(value));
        }
        #[inline(always)]
        unsafe fn store_first_bf16(to: *mut u16, value: __m512, lanes: usize) {
            _mm256_mask_storeu_epi16(to.cast(), first(lanes), Self::narrow(value));
        }
        #[inline(always)]
        unsafe fn pair_bf16(low: *const u16, high: *const u16) -> __m512 {
            let wide = |from: *const u16| _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_or_si512(wide(low), _mm512_slli_epi32::<16>(wide(high))))
        }
        #[inline(always)]
        unsafe fn pair_bf16_twice(low: *const u16, high: *const u16) -> [__m512; 2] {
            let (low, high) = (_mm512_loadu_si512(low.cast()), _mm512_loadu_si512(high.cast()));
            // Not `map`: in some builds it stays a call for each element, which makes weight gradients a fifth slower.
            let [first, second] = &PAIRS;
            let first = _mm512_loadu_si512(first.as_ptr().cast());
            let second = _mm512_loadu_si512(second.as_ptr().cast());
            [
                _mm512_castsi512_ps(_mm512_permutex2var_epi16(low, first, high)),
                _mm512_castsi512_ps(_mm512_permutex2var_epi16(low, second, high)),
            ]
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            _mm512_add_ps(a, b)
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            _mm512_sub_ps(a, b)
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            _mm512_mul_ps(a, b)
        }
        #[inline(always)]
        unsafe fn div(a: __m512, b: __m512) -> __m512 {
            _mm512_div_ps(a, b)
        }
        #[inline(always)]
        unsafe fn sqrt(a: __m512) -> __m512 {
            _mm512_sqrt_ps(a)
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            _mm512_fmadd_ps(a, b, c)
        }
        #[inline(always)]
        unsafe fn relu(a: __m512) -> __m512 {
            // The instruction returns its second operand if either is NaN, so this order keeps NaN.
            _mm512_max_ps(_mm512_setzero_ps(), a)
        }
        #[inline(always)]
        unsafe fn where_positive(sign: __m512, value: __m512) -> __m512 {
            let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(sign, _mm512_setzero_ps());
            _mm512_maskz_mov_ps(positive, value)
        }
        #[inline(always)]
        unsafe fn to_exponent(a: __m512) -> __m512 {
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(a)))
        }
        #[inline(always)]
        unsafe fn where_not_greater(a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 {
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b), no, yes)
        }
        #[inline(always)]
        unsafe fn where_bytes_are(bytes: *const u8, wanted: u8, lanes: usize, value: __m512) -> __m512 {
            let present = first(lanes);
            let read = _mm_maskz_loadu_epi8(present, bytes.cast());
            let same = _mm_mask_cmpeq_epi8_mask(present, read, _mm_set1_epi8(wanted as i8));
            _mm512_maskz_mov_ps(same, value)
        }
    };
}

impl Avx512 {
    /// Rounds to bf16, ties to even; NaN stays NaN.
    #[inline(always)]
    unsafe fn narrow(value: __m512) -> __m256i {
        let bits = _mm512_castps_si512(value);
        let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
        let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value);
        let rounded = _mm512_mask_or_epi32(rounded, is_nan, bits, _mm512_set1_epi32(0x0040_0000));
        _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded))
    }
}

impl Avx512Bf16 {
    /// Rounds to bf16, ties to even; NaN stays NaN.
    #[inline(always)]
    unsafe fn narrow(value: __m512) -> __m256i {
        transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(value))
    }
}

impl Simd for Avx512 {
    shared!();

    #[inline(always)]
    unsafe fn dot_bf16(sum: __m512, a: __m512, b: __m512) -> __m512 {
        let high_half = _mm512_set1_epi32(0xffff_0000_u32 as i32);
        let low = |word: __m512| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(word)));
        let high = |word: __m512| _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(word), high_half));
        _mm512_fmadd_ps(high(a), high(b), _mm512_fmadd_ps(low(a), low(b), sum))
    }
}

impl Simd for Avx512Bf16 {
    shared!();

    #[inline(always)]
    unsafe fn dot_bf16(sum: __m512, a: __m512, b: __m512) -> __m512 {
        _mm512_dpbf16_ps(sum, transmute::<__m512, __m512bh>(a), transmute::<__m512, __m512bh>(b))
    }
}
