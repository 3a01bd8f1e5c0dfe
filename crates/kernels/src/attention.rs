//! Scaled dot-product attention with several heads (Vaswani et al. 2017, arXiv:1706.03762), and its gradients.
//!
//! One head of one image is a unit of work. Its queries are processed in blocks, so that a block's scores stay in the cache. The
//! backward pass does not store probabilities: it recomputes them from one number per query, as FlashAttention does (Dao et al.
//! 2022, arXiv:2205.14135).

use rayon::prelude::*;

use crate::attention_parts::{Finish, Packing, Product, Rows, paired, probabilities, row_product};
use crate::element::{Element, store};
use crate::isa::Isa;
use crate::pointer::SharedMut;
use crate::scratch;
use crate::simd::{Job, Simd};
use crate::size::{checked_len, checked_sum};

/// The sizes of an attention.
///
/// Queries, keys and values are stored together, `[batch, token, 3, head, feature]`; results are
/// `[batch, token, head, feature]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionShape {
    /// Images.
    pub batch: usize,
    /// Tokens of an image.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Features of a head; an even number for bf16.
    pub features: usize,
}

/// Queries in a block. Even, because two rows of bf16 make a row of words.
const BLOCK: usize = 48;

impl AttentionShape {
    /// Values of a result: batch × tokens × heads × features.
    ///
    /// # Panics
    /// When they are more than memory can hold.
    pub fn output_len(&self) -> usize {
        checked_len(&[self.batch, self.tokens, self.heads, self.features])
    }

    /// Distance (values) from one token's result to the next.
    fn width(&self) -> usize {
        self.heads * self.features
    }

    fn check<E: Element>(&self, qkv: usize, output: usize) {
        let sizes = [self.batch, self.tokens, self.heads, self.features];
        assert!(sizes.iter().all(|&size| size > 0), "attention has no size of 0: {self:?}");
        assert!(self.features.is_multiple_of(E::PER_WORD), "an even number of features: {self:?}");
        let len = self.output_len();
        assert_eq!([qkv, output], [checked_len(&[3, len]), len], "lengths of {self:?}");
    }

    /// The factor of scores: `1 / sqrt(features)`.
    fn scale(&self) -> f32 {
        (self.features as f32).sqrt().recip()
    }

    /// Runs `work` for each head of each image. Passes its number, and where its part of the first token begins: in queries, keys
    /// and values, and in results.
    fn each_head(&self, work: impl Fn(usize, [usize; 2]) + Sync) {
        (0..self.batch * self.heads).into_par_iter().for_each(|item| {
            let (image, head) = (item / self.heads, item % self.heads);
            let before = image * self.tokens * self.width();
            work(item, [3 * before + head * self.features, before + head * self.features]);
        });
    }
}

/// `softmax(q k' / sqrt(features)) v` for each head. Returns the log-sum-exp of each query's scores, `[batch, head, token]`, which
/// [`attention_gradient`] needs.
///
/// # Panics
/// When a size is 0, lengths do not match, or bf16 has an odd number of features.
///
/// ```
/// use sciurus_kernels::{AttentionShape, Isa, attention};
///
/// // Two tokens with equal keys: each gets the mean of the values 3 and 5.
/// let shape = AttentionShape { batch: 1, tokens: 2, heads: 1, features: 1 };
/// let mut output = [0.0; 2];
/// attention(Isa::current(), &shape, &[1.0, 1.0, 3.0, 2.0, 1.0, 5.0], &mut output);
/// assert!(output.iter().all(|value: &f32| (value - 4.0).abs() < 1e-5));
/// ```
pub fn attention<E: Element>(isa: Isa, shape: &AttentionShape, qkv: &[E], output: &mut [E]) -> Vec<f32> {
    shape.check::<E>(qkv.len(), output.len());
    let mut log_sums = vec![0.0; shape.batch * shape.heads * shape.tokens];
    let (results, sums) = (SharedMut::new(output), SharedMut::new(&mut log_sums));
    let packing = Packing::new::<E>(isa, shape.tokens, shape.features);
    let scores = checked_len(&[BLOCK, packing.columns]);
    let words = checked_sum(&[packing.keys, packing.values, scores, scores]);
    shape.each_head(|item, [from, to]| {
        scratch::with(words, |memory| {
            // SAFETY: every head has its own part of each token's result, which begins within the results, and its own sums;
            // one thread works on it.
            let (output, log_sums) =
                unsafe { (results.at(to), sums.part(item * shape.tokens, shape.tokens)) };
            let qkv = &qkv[from..];
            isa.run(Forward { shape, packing: &packing, qkv, output, log_sums, memory });
        });
    });
    log_sums
}

/// The forward pass of one head of one image. `qkv` begins at its first query, `output` at its first result; each token has
/// `features` values there, and the next token's follow one token's width later.
struct Forward<'a, E> {
    shape: &'a AttentionShape,
    packing: &'a Packing,
    qkv: &'a [E],
    output: *mut E,
    log_sums: &'a mut [f32],
    memory: &'a mut [u32],
}

impl<E: Element> Job for Forward<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let AttentionShape { tokens, features, .. } = *self.shape;
        let packing = self.packing;
        let width = self.shape.width();
        let (keys, rest) = self.memory.split_at_mut(packing.keys);
        let (values, rest) = rest.split_at_mut(packing.values);
        let (scores, narrow) = rest.split_at_mut(BLOCK * packing.columns);
        // SAFETY: `attention` checked the lengths: `output` and, from `qkv` on, queries, keys and values are those of `tokens`.
        // It gave memory for keys, values and a block's scores, as floats and, which are no larger, as elements. The packing is
        // of this shape and of the set that `S` is.
        unsafe {
            let query = Rows::new(self.qkv.as_ptr(), 3 * width);
            packing.transposed::<S, E>(query.shifted(width), keys);
            packing.stacked::<S, E>(query.shifted(2 * width), tokens, values);
            for first in (0..tokens).step_by(BLOCK) {
                let count = BLOCK.min(tokens - first);
                let by_key = Product {
                    rows: query.beginning_at(first).words(),
                    count,
                    panels: keys.as_ptr(),
                    words: packing.feature_words,
                    columns: packing.columns,
                };
                let scores = scores.as_mut_ptr().cast::<f32>();
                by_key.run::<S, E>(packing, Finish::Store(scores, packing.columns));
                let narrow = narrow.as_mut_ptr().cast::<E>();
                for row in 0..count {
                    let here = scores.add(row * packing.columns);
                    let scale = self.shape.scale();
                    self.log_sums[first + row] = probabilities::<S>(here, tokens, packing.columns, scale);
                    narrowed::<S, E>(here, packing.columns, narrow.add(row * packing.columns));
                }
                let by_value = Product {
                    rows: Rows::new(narrow.cast_const(), packing.columns).words(),
                    count,
                    panels: values.as_ptr(),
                    words: packing.token_words,
                    columns: features,
                };
                by_value.run::<S, E>(packing, Finish::Narrow(self.output.add(first * width), width));
            }
        }
    }
}

/// Writes a row of whole vectors as elements.
///
/// # Safety
/// Both are valid for `len` values, and the processor has the features of `S`.
#[inline(always)]
unsafe fn narrowed<S: Simd, E: Element>(from: *const f32, len: usize, to: *mut E) {
    for at in (0..len).step_by(S::LANES) {
        // SAFETY: the caller's promise; rows are whole vectors.
        unsafe { store::<S, E>(to.add(at), S::load(from.add(at)), S::LANES) };
    }
}

/// The gradient of queries, keys and values, in their layout, from that of the result. `output` and `log_sums` are the results of
/// [`attention`].
///
/// # Panics
/// As [`attention`].
pub fn attention_gradient<E: Element>(
    isa: Isa,
    shape: &AttentionShape,
    (qkv, output, log_sums): (&[E], &[E], &[f32]),
    output_gradient: &[E],
    qkv_gradient: &mut [E],
) {
    shape.check::<E>(qkv.len(), output.len());
    shape.check::<E>(qkv_gradient.len(), output_gradient.len());
    assert_eq!(
        log_sums.len(),
        shape.batch * shape.heads * shape.tokens,
        "one sum for each query of {shape:?}"
    );
    let results = SharedMut::new(qkv_gradient);
    let packing = Packing::new::<E>(isa, shape.tokens, shape.features);
    shape.each_head(|item, [from, to]| {
        scratch::with(Memory::words::<E>(&packing), |memory| {
            let memory = Memory::new::<E>(&packing, memory);
            let head = Backward {
                shape,
                packing: &packing,
                qkv: &qkv[from..],
                output: &output[to..],
                output_gradient: &output_gradient[to..],
                log_sums: &log_sums[item * shape.tokens..][..shape.tokens],
                // SAFETY: every head has its own part of each token's gradients, which begins within them; one thread works
                // on it.
                qkv_gradient: unsafe { results.at(from) },
                memory,
            };
            isa.run(head);
        });
    });
}

/// Working memory of a head's backward pass.
struct Memory<'a> {
    /// Keys and values, features by tokens.
    keys: &'a mut [u32],
    values: &'a mut [u32],
    /// Keys, tokens by features.
    stacked_keys: &'a mut [u32],
    /// A block's probabilities, and the gradients of its scores: first as floats, then as elements in pairs of rows.
    probabilities: &'a mut [u32],
    gradients: &'a mut [u32],
    narrow: &'a mut [u32],
    pairs: &'a mut [u32],
    /// A block's queries or gradients of its results, tokens by features.
    block: &'a mut [u32],
    /// Gradients of keys and values, as floats.
    sums: [&'a mut [u32]; 2],
}

impl<'a> Memory<'a> {
    fn sizes<E: Element>(packing: &Packing) -> [usize; 10] {
        let scores = checked_len(&[BLOCK, packing.columns]);
        let sums = checked_len(&[packing.tokens, packing.feature_columns]);
        let block = checked_len(&[BLOCK / E::PER_WORD, packing.feature_columns]);
        let Packing { keys, values, .. } = *packing;
        [keys, keys, values, scores, scores, scores, scores, block, sums, sums]
    }

    fn words<E: Element>(packing: &Packing) -> usize {
        checked_sum(&Self::sizes::<E>(packing))
    }

    fn new<E: Element>(packing: &Packing, mut memory: &'a mut [u32]) -> Self {
        let parts = Self::sizes::<E>(packing).map(|size| {
            let (part, rest) = std::mem::take(&mut memory).split_at_mut(size);
            memory = rest;
            part
        });
        let [keys, values, stacked_keys, probabilities, gradients, narrow, pairs, block, a, b] = parts;
        Self { keys, values, stacked_keys, probabilities, gradients, narrow, pairs, block, sums: [a, b] }
    }
}

/// One head of one image: slices and pointer begin at its part of the first token.
struct Backward<'a, E> {
    shape: &'a AttentionShape,
    packing: &'a Packing,
    qkv: &'a [E],
    output: &'a [E],
    output_gradient: &'a [E],
    log_sums: &'a [f32],
    qkv_gradient: *mut E,
    memory: Memory<'a>,
}

impl<E: Element> Job for Backward<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let AttentionShape { tokens, features, .. } = *self.shape;
        let width = self.shape.width();
        // SAFETY: `attention_gradient` checked the lengths, so that from the beginning of each slice and of the gradients on
        // there are the parts of all tokens. The memory has the sizes of the packing, which is of this shape and of the set
        // that `S` is; sums are whole vectors.
        unsafe {
            let query = Rows::new(self.qkv.as_ptr(), 3 * width);
            self.packing.transposed::<S, E>(query.shifted(width), self.memory.keys);
            self.packing.transposed::<S, E>(query.shifted(2 * width), self.memory.values);
            self.packing.stacked::<S, E>(query.shifted(width), tokens, self.memory.stacked_keys);
            self.memory.sums.iter_mut().for_each(|sums| sums.fill(0));
            for first in (0..tokens).step_by(BLOCK) {
                self.block::<S>(first, BLOCK.min(tokens - first));
            }
            for (part, sums) in self.memory.sums.iter().enumerate() {
                let stride = self.packing.feature_columns;
                for token in 0..tokens {
                    let from = sums.as_ptr().cast::<f32>().add(token * stride);
                    let to = self.qkv_gradient.add((3 * token + 1 + part) * width);
                    for at in (0..features).step_by(S::LANES) {
                        let lanes = S::LANES.min(features - at);
                        store::<S, E>(to.add(at), S::load(from.add(at)), lanes);
                    }
                }
            }
        }
    }
}

impl<E: Element> Backward<'_, E> {
    /// Adds a block's contribution to the gradients of keys and values, and writes the gradients of its queries.
    ///
    /// # Safety
    /// As for `run`, where keys and values have been packed; the block's tokens exist, no more than [`BLOCK`].
    #[inline(always)]
    unsafe fn block<S: Simd>(&mut self, first: usize, count: usize) {
        let width = self.shape.width();
        // SAFETY: the caller's promise; `narrow` has `BLOCK` rows, and the words of a row, over which the last product sums, are
        // no more than its columns.
        unsafe {
            let query = Rows::new(self.qkv.as_ptr(), 3 * width).beginning_at(first);
            let upstream = Rows::new(self.output_gradient.as_ptr(), width).beginning_at(first);
            self.scores::<S>(query, upstream, count);
            for row in 0..count {
                self.score_gradients::<S>(first, row);
            }
            // Gradients of values: transposed probabilities times the gradients of results. Gradients of keys: transposed
            // gradients of scores times queries. The order matters: afterwards `narrow` has the scores' gradients row by row,
            // which the queries' gradients need.
            self.sum_up::<S>(1, upstream, count);
            self.sum_up::<S>(0, query, count);
            let by_key = Product {
                rows: Rows::new(self.memory.narrow.as_ptr().cast::<E>(), self.packing.columns).words(),
                count,
                panels: self.memory.stacked_keys.as_ptr(),
                words: self.packing.token_words,
                columns: self.shape.features,
            };
            let to = self.qkv_gradient.add(3 * first * width);
            by_key.run::<S, E>(self.packing, Finish::Narrow(to, 3 * width));
        }
    }

    /// Computes scores, and the gradients of probabilities.
    ///
    /// # Safety
    /// As for `block`; `query` and `upstream` are `count` rows of features.
    #[inline(always)]
    unsafe fn scores<S: Simd>(&mut self, query: Rows<E>, upstream: Rows<E>, count: usize) {
        let Packing { columns, feature_words: words, .. } = *self.packing;
        let memory = &mut self.memory;
        let products = [
            (query, &*memory.keys, &mut *memory.probabilities),
            (upstream, &*memory.values, &mut *memory.gradients),
        ];
        for (rows, panels, to) in products {
            let product = Product { rows: rows.words(), count, panels: panels.as_ptr(), words, columns };
            // SAFETY: the caller's promise; keys and values are panels of so many columns and words, and there is room for
            // `BLOCK` rows of columns.
            unsafe { product.run::<S, E>(self.packing, Finish::Store(to.as_mut_ptr().cast(), columns)) };
        }
    }

    /// Turns a row's scores into probabilities `p`, and the gradients `g` of those into the gradients of the scores:
    /// `p (g - Σ p g) / sqrt(features)`. `Σ p g` is the dot product of the result and its gradient.
    ///
    /// # Safety
    /// As for `block`; the block has this row.
    #[inline(always)]
    unsafe fn score_gradients<S: Simd>(&mut self, first: usize, row: usize) {
        let AttentionShape { tokens, features, .. } = *self.shape;
        let (columns, width, scale) = (self.packing.columns, self.shape.width(), self.shape.scale());
        // SAFETY: the caller's promise; rows of probabilities and gradients are `columns` floats, whole vectors.
        unsafe {
            let at = (first + row) * width;
            let (output, upstream) = (self.output.as_ptr().add(at), self.output_gradient.as_ptr().add(at));
            let mean = row_product::<S, E>(output, upstream, features);
            let p = self.memory.probabilities.as_mut_ptr().cast::<f32>().add(row * columns);
            let g = self.memory.gradients.as_mut_ptr().cast::<f32>().add(row * columns);
            for at in (0..columns).step_by(S::LANES) {
                let exponent =
                    S::fma(S::load(p.add(at)), S::splat(scale), S::splat(-self.log_sums[first + row]));
                let probability = crate::nonlinearity::exp::<S>(exponent);
                let gradient = S::mul(probability, S::sub(S::load(g.add(at)), S::splat(mean)));
                S::store(p.add(at), probability);
                S::store(g.add(at), S::mul(gradient, S::splat(scale)));
            }
            for rest in tokens..columns {
                p.add(rest).write(0.0);
                g.add(rest).write(0.0);
            }
        }
    }

    /// Adds `weights' rows` of the block to sum `part`. The weights are the gradients of scores (part 0) or the probabilities
    /// (part 1).
    ///
    /// # Safety
    /// As for `block`; `rows` are `count` rows of features.
    #[inline(always)]
    unsafe fn sum_up<S: Simd>(&mut self, part: usize, rows: Rows<E>, count: usize) {
        let Packing { columns, feature_columns, tokens, .. } = *self.packing;
        let memory = &mut self.memory;
        let weights = if part == 0 { memory.gradients.as_ptr() } else { memory.probabilities.as_ptr() };
        // SAFETY: the caller's promise. `BLOCK` is even, so that `narrow` has room for a row after an odd `count`, `pairs` for
        // its words and `block` for as many packed rows. A sum has a row of `feature_columns`, whole vectors, for each token.
        unsafe {
            let narrow = memory.narrow.as_mut_ptr().cast::<E>();
            narrowed::<S, E>(weights.cast(), count * columns, narrow);
            paired::<S, E>(narrow, columns, count, memory.pairs.as_mut_ptr());
            self.packing.stacked::<S, E>(rows, count, memory.block);
            let product = Product {
                rows: Rows::columns(memory.pairs.as_ptr(), columns),
                count: tokens,
                panels: memory.block.as_ptr(),
                words: count.div_ceil(E::PER_WORD),
                columns: feature_columns,
            };
            let to = memory.sums[part].as_mut_ptr().cast::<f32>();
            product.run::<S, E>(self.packing, Finish::Add(to, feature_columns));
        }
    }
}
