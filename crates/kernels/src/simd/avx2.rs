//! AVX2 and FMA: eight floats.
#![allow(unsafe_op_in_unsafe_fn, reason = "the trait states what each function needs, once for all of them")]

use std::arch::x86_64::*;

use super::{Job, Simd};

/// Eight floats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2;

impl Avx2 {
    /// Runs a job compiled with AVX2 and FMA.
    ///
    /// # Safety
    /// The processor has both.
    #[target_feature(enable = "avx2,fma")]
    pub(crate) unsafe fn call<J: Job>(job: J) -> J::Output {
        job.run::<Self>()
    }
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    type V = __m256;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        _mm256_set1_ps(value)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        _mm256_loadu_ps(from)
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: __m256) {
        _mm256_storeu_ps(to, value);
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> __m256 {
        let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
    }
    #[inline(always)]
    unsafe fn store_bf16(to: *mut u16, value: __m256) {
        let bits = _mm256_castps_si256(value);
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        let rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
        let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
        let is_nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(value, value));
        let high = _mm256_srli_epi32::<16>(_mm256_blendv_epi8(rounded, quiet, is_nan));
        let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(high, high));
        _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(packed));
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        _mm256_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        _mm256_sub_ps(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        _mm256_mul_ps(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        _mm256_div_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sqrt(a: __m256) -> __m256 {
        _mm256_sqrt_ps(a)
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        _mm256_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn relu(a: __m256) -> __m256 {
        // The instruction returns its second operand if either is NaN, so this order keeps NaN.
        _mm256_max_ps(_mm256_setzero_ps(), a)
    }
    #[inline(always)]
    unsafe fn where_positive(sign: __m256, value: __m256) -> __m256 {
        _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(sign, _mm256_setzero_ps()), value)
    }
    #[inline(always)]
    unsafe fn pair_bf16(low: *const u16, high: *const u16) -> __m256 {
        let wide = |from: *const u16| _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
        _mm256_castsi256_ps(_mm256_or_si256(wide(low), _mm256_slli_epi32::<16>(wide(high))))
    }
    #[inline(always)]
    unsafe fn dot_bf16(sum: __m256, a: __m256, b: __m256) -> __m256 {
        let high_half = _mm256_castsi256_ps(_mm256_set1_epi32(0xffff_0000_u32 as i32));
        let low = |word: __m256| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(word)));
        let sum = _mm256_fmadd_ps(low(a), low(b), sum);
        _mm256_fmadd_ps(_mm256_and_ps(a, high_half), _mm256_and_ps(b, high_half), sum)
    }
    #[inline(always)]
    unsafe fn to_exponent(a: __m256) -> __m256 {
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(a)))
    }
    #[inline(always)]
    unsafe fn where_not_greater(a: __m256, b: __m256, yes: __m256, no: __m256) -> __m256 {
        _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LE_OQ>(a, b))
    }
    #[inline(always)]
    unsafe fn where_bytes_are(bytes: *const u8, wanted: u8, lanes: usize, value: __m256) -> __m256 {
        let mut whole = [!wanted; 8];
        std::ptr::copy_nonoverlapping(bytes, whole.as_mut_ptr(), lanes);
        let wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(whole.as_ptr().cast()));
        let same = _mm256_cmpeq_epi32(wide, _mm256_set1_epi32(i32::from(wanted)));
        _mm256_and_ps(_mm256_castsi256_ps(same), value)
    }
}
