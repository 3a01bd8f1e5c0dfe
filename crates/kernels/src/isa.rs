//! The instruction sets of the kernels: chosen at run time, or forced for tests.
//!
//! In: the processor, and `SCIURUS_CPU`. Out: an [`Isa`], which every kernel takes.

use std::fmt;
use std::sync::OnceLock;

use crate::element::Element;
#[cfg(target_arch = "aarch64")]
use crate::simd::Neon;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512, Avx512Bf16};
use crate::simd::{Job, Portable};

/// An instruction set that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// AVX-512 with the bf16 dot product (Zen 4, Sapphire Rapids and later).
    Avx512Bf16,
    /// AVX-512; bf16 is widened to f32 before it is multiplied.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// NEON (every 64-bit ARM processor); bf16 is widened to f32 before it is multiplied.
    Neon,
    /// Whatever the compiler makes of plain Rust: SSE2 on x86-64, for example.
    Portable,
}

impl Isa {
    /// Every set, the most capable first.
    pub const ALL: [Isa; 5] = [Isa::Avx512Bf16, Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Portable];

    /// The set in use: the one that `SCIURUS_CPU` names if the processor has it, else the most capable one.
    ///
    /// The choice is made once in a process.
    pub fn current() -> Self {
        static CURRENT: OnceLock<Isa> = OnceLock::new();
        *CURRENT.get_or_init(|| Self::chosen(std::env::var("SCIURUS_CPU").ok().as_deref()))
    }

    /// The value of `SCIURUS_CPU`, if this processor does not support it; [`current`](Self::current) then takes the most capable
    /// set instead.
    pub fn refused() -> Option<String> {
        let name = std::env::var("SCIURUS_CPU").ok()?;
        (Self::chosen(Some(&name)).name() != name).then_some(name)
    }

    /// The set called `name` if this processor has it, else the most capable one.
    fn chosen(name: Option<&str>) -> Self {
        let forced = Self::ALL.into_iter().find(|isa| Some(isa.name()) == name && isa.is_available());
        forced.unwrap_or_else(Self::best)
    }

    /// The most capable set that this processor has.
    pub fn best() -> Self {
        Self::ALL.into_iter().find(|isa| isa.is_available()).unwrap_or(Isa::Portable)
    }

    /// The name to use in `SCIURUS_CPU`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512Bf16 => "avx512bf16",
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
            Isa::Neon => "neon",
            Isa::Portable => "portable",
        }
    }

    /// Whether this processor can run it.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 => Isa::Avx512.is_available() && is_x86_feature_detected!("avx512bf16"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx512Bf16 | Isa::Avx512 | Isa::Avx2 => false,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(not(target_arch = "aarch64"))]
            Isa::Neon => false,
            Isa::Portable => true,
        }
    }

    /// Whether it multiplies bf16 faster than f32.
    pub fn has_fast_bf16(self) -> bool {
        self == Isa::Avx512Bf16
    }

    /// Floats per vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Isa::Avx512Bf16 | Isa::Avx512 => 16,
            Isa::Avx2 => 8,
            Isa::Neon | Isa::Portable => 4,
        }
    }

    /// Vectors in a full panel of weights. If bf16 is widened, both halves of each vector need a register, so there are fewer.
    pub(crate) fn panel_vectors<E: Element>(self) -> usize {
        match self {
            Isa::Avx512Bf16 | Isa::Avx512 => 4,
            Isa::Neon if E::PER_WORD == 1 => 4,
            Isa::Neon | Isa::Avx2 | Isa::Portable => 2,
        }
    }

    /// Runs a kernel compiled for this set.
    ///
    /// # Panics
    /// When the processor does not have the set.
    #[inline]
    pub(crate) fn run<J: Job>(self, job: J) -> J::Output {
        assert!(self.is_available(), "this processor has no {self}");
        match self {
            // SAFETY: the processor has the features, as was asserted; what a job points at is valid since it was made.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 => unsafe { Avx512Bf16::call(job) },
            // SAFETY: the processor has the features, as was asserted; what a job points at is valid since it was made.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { Avx512::call(job) },
            // SAFETY: the processor has the features, as was asserted; what a job points at is valid since it was made.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { Avx2::call(job) },
            // SAFETY: the processor has the features, as was asserted; what a job points at is valid since it was made.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { Neon::call(job) },
            // SAFETY: plain Rust runs on every processor; what a job points at is valid since it was made.
            _ => unsafe { job.run::<Portable>() },
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_forced_by_name_and_only_where_the_processor_has_it() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            assert_eq!(Isa::chosen(Some(isa.name())), isa);
        }
        assert_eq!(Isa::chosen(None), Isa::best());
        assert_eq!(Isa::chosen(Some("abacus")), Isa::best());
    }
}
