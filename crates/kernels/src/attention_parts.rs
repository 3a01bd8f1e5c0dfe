//! The parts of attention: packed tokens, products of small matrices that stay in the cache, and softmax.

use crate::element::{Element, load, pair, store};
use crate::isa::Isa;
use crate::nonlinearity::exp;
use crate::simd::{Simd, lanes, total};
use crate::size::checked_len;
use crate::tile::{Sums, accumulate, with_tile, zeros};

/// Strided rows of elements or words: rows are a distance apart, and words within a row a step.
#[derive(Debug)]
pub(crate) struct Rows<E> {
    start: *const E,
    distance: usize,
    step: usize,
}

impl<E> Clone for Rows<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Rows<E> {}

impl<E: Element> Rows<E> {
    /// Rows of elements that begin `distance` elements apart.
    pub(crate) fn new(start: *const E, distance: usize) -> Self {
        Self { start, distance, step: 1 }
    }

    /// The same rows, starting `elements` later.
    ///
    /// # Safety
    /// The new start is within the same memory.
    #[inline(always)]
    pub(crate) unsafe fn shifted(self, elements: usize) -> Self {
        // SAFETY: the caller's promise.
        Self { start: unsafe { self.start.add(elements) }, ..self }
    }

    /// The rows from this one on.
    ///
    /// # Safety
    /// The row exists.
    #[inline(always)]
    pub(crate) unsafe fn beginning_at(self, row: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { self.shifted(row * self.distance) }
    }

    /// The same rows in words. A row must consist of whole words.
    #[inline(always)]
    pub(crate) fn words(self) -> Rows<u32> {
        Rows { start: self.start.cast(), distance: self.distance / E::PER_WORD, step: self.step }
    }

    fn row(self, row: usize) -> *const E {
        self.start.wrapping_add(row * self.distance)
    }
}

impl Rows<u32> {
    /// The columns of words that are stored in rows of `width`.
    pub(crate) fn columns(start: *const u32, width: usize) -> Self {
        Self { start, distance: 1, step: width }
    }
}

/// How one head's tokens are packed as right-hand sides of products.
#[derive(Debug)]
pub(crate) struct Packing {
    pub(crate) tokens: usize,
    features: usize,
    /// Tokens and features, rounded up to whole vectors.
    pub(crate) columns: usize,
    pub(crate) feature_columns: usize,
    /// Words of a token's features, and of a feature's tokens.
    pub(crate) feature_words: usize,
    pub(crate) token_words: usize,
    /// Words of all tokens, features by tokens (`keys`) and tokens by features (`values`).
    pub(crate) keys: usize,
    pub(crate) values: usize,
    /// Vectors of a full panel.
    vectors: usize,
}

impl Packing {
    pub(crate) fn new<E: Element>(isa: Isa, tokens: usize, features: usize) -> Self {
        let [columns, feature_columns] = [tokens, features].map(|n| n.next_multiple_of(isa.lanes()));
        let [feature_words, token_words] = [features, tokens].map(|n| n.div_ceil(E::PER_WORD));
        let keys = checked_len(&[feature_words, columns]);
        let values = checked_len(&[token_words, feature_columns]);
        let vectors = isa.panel_vectors::<E>();
        Self { tokens, features, columns, feature_columns, feature_words, token_words, keys, values, vectors }
    }

    /// The panels of some columns: the first column of each, and its vectors.
    #[inline(always)]
    fn panels<S: Simd>(&self, columns: usize) -> impl Iterator<Item = (usize, usize)> + use<S> {
        let (all, most) = (columns.div_ceil(S::LANES), self.vectors);
        (0..all).step_by(most).map(move |first| (first * S::LANES, most.min(all - first)))
    }

    /// Packs all tokens as columns: for each panel, for each word of features, its tokens.
    ///
    /// # Safety
    /// Each row has the packing's features, in whole words, and there are as many rows as tokens.
    #[inline(always)]
    pub(crate) unsafe fn transposed<S: Simd, E: Element>(&self, rows: Rows<E>, to: &mut [u32]) {
        for (column, vectors) in self.panels::<S>(self.tokens) {
            let width = vectors * S::LANES;
            let panel = &mut to[column * self.feature_words..][..width * self.feature_words];
            for lane in 0..width {
                let row = rows.row(column + lane).cast::<u32>();
                let exists = column + lane < self.tokens;
                for word in 0..self.feature_words {
                    panel[word * width + lane] = match exists {
                        // SAFETY: the token exists, so its words do.
                        true => unsafe { row.add(word).read_unaligned() },
                        false => 0,
                    };
                }
            }
        }
    }

    /// Packs `count` tokens as rows: for each panel, for each word of tokens, its features.
    ///
    /// # Safety
    /// Each row has the packing's features, there are `count`, and the processor has the instructions of `S`.
    #[inline(always)]
    pub(crate) unsafe fn stacked<S: Simd, E: Element>(&self, rows: Rows<E>, count: usize, to: &mut [u32]) {
        let words = count.div_ceil(E::PER_WORD);
        let zeros = [E::default(); 64];
        for (column, vectors) in self.panels::<S>(self.features) {
            let width = vectors * S::LANES;
            let present = width.min(self.features - column);
            let panel = &mut to[column * words..][..width * words];
            for (word, to) in panel.chunks_exact_mut(width).enumerate() {
                let token = word * E::PER_WORD;
                let first = rows.row(token).wrapping_add(column);
                let second = match token + 1 < count {
                    true => rows.row(token + 1).wrapping_add(column),
                    false => zeros.as_ptr(),
                };
                // SAFETY: the tokens exist and have `present` features from this column on; a panel, which is no wider than
                // `zeros`, has as many words.
                unsafe { pair::<S, E>(to.as_mut_ptr(), first, second, present) };
                to[present..].fill(0);
            }
        }
    }
}

/// A product of `count` rows of words with packed panels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product {
    pub(crate) rows: Rows<u32>,
    pub(crate) count: usize,
    pub(crate) panels: *const u32,
    /// Words that are summed over.
    pub(crate) words: usize,
    /// Columns that are computed, rounded up to whole vectors.
    pub(crate) columns: usize,
}

/// Where a product's sums go, and the distance between rows there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Finish<E> {
    /// Written, in whole vectors.
    Store(*mut f32, usize),
    /// Added to what is there, in whole vectors.
    Add(*mut f32, usize),
    /// Written as elements.
    Narrow(*mut E, usize),
}

impl Product {
    /// Computes the product.
    ///
    /// # Safety
    /// Rows, panels and the target have the sizes of this product, the target's floats in whole vectors. The packing is for the
    /// instruction set of `S`, whose features the processor has.
    #[inline(always)]
    pub(crate) unsafe fn run<S: Simd, E: Element>(&self, packing: &Packing, finish: Finish<E>) {
        for (column, vectors) in packing.panels::<S>(self.columns) {
            // SAFETY: the caller's promise.
            unsafe {
                with_tile!(S, E, vectors, (ROWS, VECTORS) => self.panel::<S, E, ROWS, VECTORS>(column, finish));
            }
        }
    }

    /// # Safety
    /// As for `run`; a panel of `VECTORS` begins at this column.
    #[inline(always)]
    unsafe fn panel<S: Simd, E: Element, const ROWS: usize, const VECTORS: usize>(
        &self,
        column: usize,
        finish: Finish<E>,
    ) {
        for first in (0..self.count).step_by(ROWS) {
            let present = ROWS.min(self.count - first);
            // SAFETY: the caller's promise: each row has `words`, and before a panel lie as many words for each column. A short
            // tile repeats its last row and writes only those that are there.
            unsafe {
                let mut rows = [self.rows.start; ROWS];
                for (index, row) in rows.iter_mut().enumerate() {
                    *row = row.add((first + index.min(present - 1)) * self.rows.distance);
                }
                let mut sums = zeros::<S, ROWS, VECTORS>();
                let panel = self.panels.add(column * self.words);
                accumulate::<S, E, ROWS, VECTORS>(&mut sums, &rows, self.rows.step, self.words, panel);
                self.finish::<S, E, ROWS, VECTORS>(&sums, [first, present, column], finish);
            }
        }
    }

    /// # Safety
    /// As for `panel`; the target has rows up to `first + present`.
    #[inline(always)]
    unsafe fn finish<S: Simd, E: Element, const ROWS: usize, const VECTORS: usize>(
        &self,
        sums: &Sums<S, ROWS, VECTORS>,
        [first, present, column]: [usize; 3],
        finish: Finish<E>,
    ) {
        for (row, sums) in sums.iter().enumerate().take(present) {
            for (vector, &sum) in sums.iter().enumerate() {
                let at = column + vector * S::LANES;
                // SAFETY: the caller's promise; a vector that begins before `columns` is whole in floats, and cut in elements.
                unsafe {
                    match finish {
                        Finish::Store(to, distance) => S::store(to.add((first + row) * distance + at), sum),
                        Finish::Add(to, distance) => {
                            let to = to.add((first + row) * distance + at);
                            S::store(to, S::add(S::load(to), sum));
                        }
                        Finish::Narrow(to, distance) => {
                            let lanes = S::LANES.min(self.columns - at);
                            store::<S, E>(to.add((first + row) * distance + at), sum, lanes);
                        }
                    }
                }
            }
        }
    }
}

/// Replaces the `scores` of a row by the softmax of scores times `scale`, followed by zeros up to `columns`. Returns the
/// log-sum-exp.
///
/// # Safety
/// `row` is valid for `columns` floats, whole vectors, and the processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn probabilities<S: Simd>(row: *mut f32, scores: usize, columns: usize, scale: f32) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        for rest in scores..columns {
            row.add(rest).write(f32::NEG_INFINITY);
        }
        // If every score is minus infinity, the softmax is NaN, as its formula says.
        let mut most = S::splat(f32::NEG_INFINITY);
        for at in (0..columns).step_by(S::LANES) {
            let here = S::load(row.add(at));
            most = S::where_not_greater(most, here, here, most);
        }
        let lanes = lanes::<S>(most);
        let most = scale * lanes[..S::LANES].iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for at in (0..columns).step_by(S::LANES) {
            let exponent = S::fma(S::load(row.add(at)), S::splat(scale), S::splat(-most));
            S::store(row.add(at), exp::<S>(exponent));
        }
        for rest in scores..columns {
            row.add(rest).write(0.0);
        }
        let mut sum = S::splat(0.0);
        for at in (0..columns).step_by(S::LANES) {
            sum = S::add(sum, S::load(row.add(at)));
        }
        let sum: f32 = total::<S>(sum);
        for at in (0..columns).step_by(S::LANES) {
            S::store(row.add(at), S::mul(S::load(row.add(at)), S::splat(sum.recip())));
        }
        most + sum.ln()
    }
}

/// The dot product of two rows.
///
/// # Safety
/// Both are valid for `len` elements, and the processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn row_product<S: Simd, E: Element>(a: *const E, b: *const E, len: usize) -> f32 {
    // SAFETY: the caller's promise.
    let mut sum = unsafe { S::splat(0.0) };
    for at in (0..len).step_by(S::LANES) {
        let lanes = S::LANES.min(len - at);
        // SAFETY: the caller's promise.
        unsafe { sum = S::fma(load::<S, E>(a.add(at), lanes), load::<S, E>(b.add(at), lanes), sum) };
    }
    // SAFETY: the caller's promise.
    unsafe { total::<S>(sum) }
}

/// Packs rows of elements as words: pairs of rows interleaved (bf16), or unchanged (f32). An odd number of rows is completed with
/// a row of zeros.
///
/// # Safety
/// `rows` has room for `count` rows of `width`, and for one more where `count` is odd; `to` has `width` words for each row
/// that is laid out, and the processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn paired<S: Simd, E: Element>(rows: *mut E, width: usize, count: usize, to: *mut u32) {
    // SAFETY: the caller's promise. Of an odd number of rows, zeros make the last one's pair.
    unsafe {
        if !count.is_multiple_of(E::PER_WORD) {
            rows.add(count * width).write_bytes(0, width);
        }
        for word in 0..count.div_ceil(E::PER_WORD) {
            let first = rows.add(word * E::PER_WORD * width);
            pair::<S, E>(to.add(word * width), first, first.wrapping_add(width), width);
        }
    }
}
