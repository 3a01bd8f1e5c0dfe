//! Nonlinearities and their gradients: ReLU, ReLU6, SiLU, GELU, or none.
//!
//! Each is written once, for vectors; a kernel is compiled for each of them.

use crate::simd::Simd;

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nonlinearity {
    /// The value as it is.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x / (1 + exp(-x))` (Elfwing et al. 2018), also called swish.
    Silu,
    /// `x Φ(x)` with the normal distribution function `Φ` (Hendrycks & Gimpel 2016), with a relative error of up to 2e-7.
    Gelu,
}

/// A [`Nonlinearity`] as the compiler sees it.
///
/// # Safety of its functions
/// The processor has the features of `S`.
pub(crate) trait Curve {
    unsafe fn value<S: Simd>(x: S::V) -> S::V;
    /// The gradient of `x` from that of the value.
    unsafe fn gradient<S: Simd>(x: S::V, gradient: S::V) -> S::V;
}

/// Runs an expression with `$curve` as the type of a nonlinearity.
macro_rules! with_curve {
    ($nonlinearity:expr, $curve:ident => $run:expr) => {
        match $nonlinearity {
            $crate::nonlinearity::Nonlinearity::None => {
                type $curve = $crate::nonlinearity::Same;
                $run
            }
            $crate::nonlinearity::Nonlinearity::Relu => {
                type $curve = $crate::nonlinearity::Relu;
                $run
            }
            $crate::nonlinearity::Nonlinearity::Relu6 => {
                type $curve = $crate::nonlinearity::Relu6;
                $run
            }
            $crate::nonlinearity::Nonlinearity::Silu => {
                type $curve = $crate::nonlinearity::Silu;
                $run
            }
            $crate::nonlinearity::Nonlinearity::Gelu => {
                type $curve = $crate::nonlinearity::Gelu;
                $run
            }
        }
    };
}
pub(crate) use with_curve;

/// [`Nonlinearity::None`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Same;
/// [`Nonlinearity::Relu`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relu;
/// [`Nonlinearity::Relu6`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relu6;
/// [`Nonlinearity::Silu`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silu;
/// [`Nonlinearity::Gelu`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gelu;

impl Curve for Same {
    #[inline(always)]
    unsafe fn value<S: Simd>(x: S::V) -> S::V {
        x
    }
    #[inline(always)]
    unsafe fn gradient<S: Simd>(_: S::V, gradient: S::V) -> S::V {
        gradient
    }
}

impl Curve for Relu {
    #[inline(always)]
    unsafe fn value<S: Simd>(x: S::V) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { S::relu(x) }
    }
    #[inline(always)]
    unsafe fn gradient<S: Simd>(x: S::V, gradient: S::V) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { S::where_positive(x, gradient) }
    }
}

impl Curve for Relu6 {
    #[inline(always)]
    unsafe fn value<S: Simd>(x: S::V) -> S::V {
        // SAFETY: the caller's promise.
        unsafe {
            let (six, positive) = (S::splat(6.0), S::relu(x));
            // If one is NaN, the last operand is taken.
            S::where_not_greater(six, positive, six, positive)
        }
    }
    #[inline(always)]
    unsafe fn gradient<S: Simd>(x: S::V, gradient: S::V) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { S::where_positive(x, S::where_positive(S::sub(S::splat(6.0), x), gradient)) }
    }
}

impl Curve for Silu {
    #[inline(always)]
    unsafe fn value<S: Simd>(x: S::V) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { S::div(x, S::add(S::splat(1.0), exp::<S>(S::sub(S::splat(0.0), x)))) }
    }
    #[inline(always)]
    unsafe fn gradient<S: Simd>(x: S::V, gradient: S::V) -> S::V {
        // SAFETY: the caller's promise.
        unsafe {
            let one = S::splat(1.0);
            let sigmoid = S::div(one, S::add(one, exp::<S>(S::sub(S::splat(0.0), x))));
            let slope = S::mul(sigmoid, S::fma(x, S::sub(one, sigmoid), one));
            S::mul(gradient, slope)
        }
    }
}

impl Curve for Gelu {
    #[inline(always)]
    unsafe fn value<S: Simd>(x: S::V) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { S::mul(x, normal::<S>(x)[0]) }
    }
    #[inline(always)]
    unsafe fn gradient<S: Simd>(x: S::V, gradient: S::V) -> S::V {
        // SAFETY: the caller's promise.
        unsafe {
            let [distribution, density] = normal::<S>(x);
            S::mul(gradient, S::fma(x, density, distribution))
        }
    }
}

/// `exp(x)` with an error of up to two units in the last place. `x` is clamped to -87.3 ..= 88; NaN stays NaN.
///
/// Computed as `2^n exp(r)` with an integer `n` and `|r| <= ln(2) / 2`, and Cephes' polynomial for `exp(r)`.
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    /// 1.5 * 2^23 + 127. Adding it rounds a number to an integer in the lowest bits. The 127 is the exponent's bias, so shifting
    /// those bits into the exponent gives a power of two.
    const ROUND: f32 = 12_582_912.0 + 127.0;
    /// ln(2) in two parts: `n` times the first is exact, so `x - n ln(2)` loses no digits.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const POLYNOMIAL: [f32; 6] =
        [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    // SAFETY: the caller's promise.
    unsafe {
        let (least, most) = (S::splat(-87.3), S::splat(88.0));
        // If one is NaN, the last operand is taken.
        let x = S::where_not_greater(x, least, least, x);
        let x = S::where_not_greater(most, x, most, x);
        let rounded = S::fma(x, S::splat(std::f32::consts::LOG2_E), S::splat(ROUND));
        let n = S::sub(rounded, S::splat(ROUND));
        let r = S::fma(n, S::splat(-LN_2[0]), x);
        let r = S::fma(n, S::splat(-LN_2[1]), r);
        let mut sum = S::splat(POLYNOMIAL[0]);
        for factor in &POLYNOMIAL[1..] {
            sum = S::fma(sum, r, S::splat(*factor));
        }
        let sum = S::add(S::fma(sum, S::mul(r, r), r), S::splat(1.0));
        S::mul(sum, S::to_exponent(rounded))
    }
}

/// Distribution function and density of the normal distribution, with an error of up to 1e-7.
///
/// Abramowitz & Stegun 1964, 7.1.26. For negative `x` there is no subtraction, which would lose digits.
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
unsafe fn normal<S: Simd>(x: S::V) -> [S::V; 2] {
    const POLYNOMIAL: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    /// 0.3275911 / sqrt(2).
    const NARROW: f32 = 0.231_641_89;
    /// 1 / sqrt(2 pi).
    const PEAK: f32 = 0.398_942_3;
    // SAFETY: the caller's promise.
    unsafe {
        let (zero, one) = (S::splat(0.0), S::splat(1.0));
        let magnitude = S::where_not_greater(x, zero, S::sub(zero, x), x);
        let t = S::div(one, S::fma(magnitude, S::splat(NARROW), one));
        let mut sum = S::splat(POLYNOMIAL[0]);
        for factor in &POLYNOMIAL[1..] {
            sum = S::fma(sum, t, S::splat(*factor));
        }
        let bell = exp::<S>(S::mul(S::mul(x, x), S::splat(-0.5)));
        let tail = S::mul(S::mul(S::mul(sum, t), bell), S::splat(0.5));
        let distribution = S::where_not_greater(x, zero, tail, S::sub(one, tail));
        [distribution, S::mul(bell, S::splat(PEAK))]
    }
}
