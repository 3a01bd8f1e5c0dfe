//! The inner loop of every matrix product: a tile of sums that stays in registers.
//!
//! `sums[row][vector] += Σ_k a[row][k] * b[k][vector]`, where `a` is read word by word from where it lies and `b` from
//! a panel that was packed for it. A word is one f32 or two bf16, so the loop is the same for both.

use crate::element::Element;
use crate::simd::Simd;

/// Sums of a tile.
pub(crate) type Sums<S, const ROWS: usize, const VECTORS: usize> = [[<S as Simd>::V; VECTORS]; ROWS];

/// A tile of zeros.
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn zeros<S: Simd, const ROWS: usize, const VECTORS: usize>() -> Sums<S, ROWS, VECTORS> {
    // SAFETY: the caller's promise.
    [[unsafe { S::splat(0.0) }; VECTORS]; ROWS]
}

/// Adds `words` steps to a tile. `rows[r]` points at the first word of row `r`, the next one is `step` words on. `b`
/// holds `words * VECTORS` vectors.
///
/// # Safety
/// All those words can be read, and the processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn accumulate<S: Simd, E: Element, const ROWS: usize, const VECTORS: usize>(
    sums: &mut Sums<S, ROWS, VECTORS>,
    rows: &[*const u32; ROWS],
    step: usize,
    words: usize,
    b: *const u32,
) {
    let mut b = b;
    let mut offset = 0;
    for _ in 0..words {
        // SAFETY: `b` and the rows are valid for all `words` steps, by the caller's promise.
        unsafe {
            let mut columns = [S::splat(0.0); VECTORS];
            for (vector, column) in columns.iter_mut().enumerate() {
                *column = S::load(b.add(vector * S::LANES).cast());
            }
            b = b.add(VECTORS * S::LANES);
            for row in 0..ROWS {
                let a = S::splat(rows[row].add(offset).cast::<f32>().read_unaligned());
                for vector in 0..VECTORS {
                    sums[row][vector] = E::dot::<S>(sums[row][vector], a, columns[vector]);
                }
            }
        }
        offset += step;
    }
}
