//! The inner loop of every matrix product: a tile of sums that stays in registers.
//!
//! `sums[row][vector] += Σ_k a[row][k] * b[k][vector]`, where `a` is read word by word in place, and `b` from a packed panel. A
//! word is one f32 or two bf16, so the loop is the same for both.

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

/// Adds `words` steps to a tile. `rows[r]` points to the first word of row `r`; the next word is `step` words later. `b` has
/// `words * VECTORS` vectors.
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

/// Runs an expression with `$rows` and `$vectors` as the shape of a tile, for panels of this many vectors. The number of rows is
/// chosen so that all sums and one row of the panel fit into registers.
macro_rules! with_tile {
    ($simd:ident, $element:ident, $panel:expr, ($rows:ident, $vectors:ident) => $run:expr) => {
        match ($simd::REGISTERS, $simd::LANES, $panel) {
            (32, _, 4) => $crate::tile::with_tile!(@6, 4, $rows, $vectors, $run),
            (32, _, 3) => $crate::tile::with_tile!(@8, 3, $rows, $vectors, $run),
            // NEON widens bf16, so both halves of rows and columns need registers in addition to the sums.
            (32, 4, 2) if $element::PER_WORD == 2 => $crate::tile::with_tile!(@8, 2, $rows, $vectors, $run),
            (32, _, 2) => $crate::tile::with_tile!(@12, 2, $rows, $vectors, $run),
            (32, _, _) => $crate::tile::with_tile!(@14, 1, $rows, $vectors, $run),
            (_, _, 2) => $crate::tile::with_tile!(@6, 2, $rows, $vectors, $run),
            (_, 8, _) => $crate::tile::with_tile!(@10, 1, $rows, $vectors, $run),
            (_, _, _) => $crate::tile::with_tile!(@6, 1, $rows, $vectors, $run),
        }
    };
    (@$tile_rows:literal, $tile_vectors:literal, $rows:ident, $vectors:ident, $run:expr) => {{
        const $rows: usize = $tile_rows;
        const $vectors: usize = $tile_vectors;
        $run
    }};
}
pub(crate) use with_tile;
