//! NEON, which every 64-bit ARM processor has: four floats.
//!
//! bf16 is widened before it is multiplied: the intrinsics of `FEAT_BF16` are not stable in Rust yet.
#![allow(unsafe_op_in_unsafe_fn, reason = "the trait states what each function needs, once for all of them")]

use std::arch::aarch64::*;

use super::{Job, Simd};

/// Four floats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon;

impl Neon {
    /// Runs a job compiled with NEON.
    ///
    /// # Safety
    /// The processor has it.
    #[target_feature(enable = "neon")]
    pub(crate) unsafe fn call<J: Job>(job: J) -> J::Output {
        job.run::<Self>()
    }
}

impl Simd for Neon {
    const LANES: usize = 4;
    const REGISTERS: usize = 32;
    type V = float32x4_t;

    #[inline(always)]
    unsafe fn splat(value: f32) -> float32x4_t {
        vdupq_n_f32(value)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        vld1q_f32(from)
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: float32x4_t) {
        vst1q_f32(to, value);
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> float32x4_t {
        vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(from)))
    }
    #[inline(always)]
    unsafe fn store_bf16(to: *mut u16, value: float32x4_t) {
        let bits = vreinterpretq_u32_f32(value);
        let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
        let rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
        let quiet = vorrq_u32(bits, vdupq_n_u32(0x0040_0000));
        let is_number = vceqq_f32(value, value);
        vst1_u16(to, vshrn_n_u32::<16>(vbslq_u32(is_number, rounded, quiet)));
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vaddq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vsubq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vmulq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vdivq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn sqrt(a: float32x4_t) -> float32x4_t {
        vsqrtq_f32(a)
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vfmaq_f32(c, a, b)
    }
    #[inline(always)]
    unsafe fn relu(a: float32x4_t) -> float32x4_t {
        // Clears values below 0 and keeps all others bit for bit, including NaN and -0, as the other sets do.
        vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a), vcltzq_f32(a)))
    }
    #[inline(always)]
    unsafe fn where_positive(sign: float32x4_t, value: float32x4_t) -> float32x4_t {
        vreinterpretq_f32_u32(vandq_u32(vcgtzq_f32(sign), vreinterpretq_u32_f32(value)))
    }
    #[inline(always)]
    unsafe fn to_exponent(a: float32x4_t) -> float32x4_t {
        vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(a)))
    }
    #[inline(always)]
    unsafe fn where_not_greater(
        a: float32x4_t,
        b: float32x4_t,
        yes: float32x4_t,
        no: float32x4_t,
    ) -> float32x4_t {
        vbslq_f32(vcleq_f32(a, b), yes, no)
    }
    #[inline(always)]
    unsafe fn where_bytes_are(bytes: *const u8, wanted: u8, lanes: usize, value: float32x4_t) -> float32x4_t {
        let mut whole = [!wanted; 4];
        if lanes == 4 {
            whole = bytes.cast::<[u8; 4]>().read();
        } else {
            std::ptr::copy_nonoverlapping(bytes, whole.as_mut_ptr(), lanes);
        }
        let bytes = vreinterpret_u8_u32(vdup_n_u32(u32::from_ne_bytes(whole)));
        let wide = vmovl_u16(vget_low_u16(vmovl_u8(bytes)));
        let same = vceqq_u32(wide, vdupq_n_u32(u32::from(wanted)));
        vreinterpretq_f32_u32(vandq_u32(same, vreinterpretq_u32_f32(value)))
    }
    #[inline(always)]
    unsafe fn pair_bf16(low: *const u16, high: *const u16) -> float32x4_t {
        vreinterpretq_f32_u32(vorrq_u32(vmovl_u16(vld1_u16(low)), vshll_n_u16::<16>(vld1_u16(high))))
    }
    #[inline(always)]
    unsafe fn dot_bf16(sum: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        let low = |word| vreinterpretq_f32_u32(vshlq_n_u32::<16>(vreinterpretq_u32_f32(word)));
        let high =
            |word| vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(word), vdupq_n_u32(0xffff_0000)));
        vfmaq_f32(vfmaq_f32(sum, low(a), low(b)), high(a), high(b))
    }
}
