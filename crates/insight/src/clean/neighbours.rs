//! Embeddings in, the nearest neighbours of every item out: exact, by comparing all pairs, in bounded memory.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Embeddings, InsightError};

/// Rows of a tile of similarities; with `COLUMNS`, 2 MB per thread: about a core's cache.
const ROWS: usize = 512;
/// Columns of a tile.
const COLUMNS: usize = 1024;
/// Candidates kept beyond k: products in f32 are off by some 1e-7, which may swap neighbours that are that close.
const SPARE: usize = 6;

/// For each item its nearest others, nearest first, by cosine distance.
///
/// ```
/// use sciurus_insight::{Embeddings, clean::NeighbourGraph};
///
/// let embeddings = Embeddings { width: 2, values: vec![1.0, 0.0, 1.0, 0.1, 0.0, 1.0] };
/// let graph = NeighbourGraph::new(&embeddings, 1)?;
/// assert_eq!(graph.ids(0), [1]);
/// assert_eq!(graph.ids(2), [1]);
/// assert!(graph.distances(0)[0] < 0.01);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeighbourGraph {
    neighbours: usize,
    items: usize,
    ids: Vec<u32>,
    distances: Vec<f64>,
}

impl NeighbourGraph {
    /// The `neighbours` nearest items of each (all others, if there are fewer), by `1 - cosine`, 0..=2.
    ///
    /// Every pair is compared once, on all cores, in f32; the distances of those that are kept are computed again in f64. Equal
    /// distances are in the order of the items. The result does not depend on the number of cores. Takes
    /// memory for one copy of the embeddings. An embedding of zeros has the distance 1 to all.
    ///
    /// # Errors
    ///
    /// If the values are not whole rows, one is not finite, or there are more than 2³² items.
    pub fn new(embeddings: &Embeddings, neighbours: usize) -> Result<Self, InsightError> {
        let width = embeddings.width;
        let items = embeddings.values.len().checked_div(width).unwrap_or(0);
        if items * width != embeddings.values.len() {
            let found = embeddings.values.len();
            return Err(InsightError::Length {
                what: "embeddings (items times width)",
                expected: items * width,
                found,
            });
        }
        InsightError::check_option("items", items as f64, u32::try_from(items).is_ok(), "below 2^32")?;
        let unit = normalized(embeddings);
        if let Some(at) = unit.iter().position(|value| !value.is_finite()) {
            return Err(InsightError::Row { row: at / width, why: "its embedding is not finite".into() });
        }
        let neighbours = neighbours.min(items.saturating_sub(1));
        if neighbours == 0 {
            return Ok(Self { neighbours: 0, items, ids: Vec::new(), distances: Vec::new() });
        }
        let candidates = nearest(&unit, items, width, neighbours + SPARE);
        drop(unit);
        let exact = candidates.par_iter().enumerate().map(|(item, candidates)| {
            let mut exact: Vec<(f64, u32)> = candidates
                .kept
                .iter()
                .map(|&(_, id)| (distance(embeddings.row(item), embeddings.row(id as usize)), id))
                .collect();
            exact.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            exact.truncate(neighbours);
            exact
        });
        let exact: Vec<Vec<(f64, u32)>> = exact.collect();
        let (distances, ids) = exact.into_iter().flatten().unzip();
        Ok(Self { neighbours, items, ids, distances })
    }

    /// The number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// The number of neighbours of each item.
    #[must_use]
    pub fn neighbours(&self) -> usize {
        self.neighbours
    }

    /// The neighbours of item `item`, nearest first.
    #[must_use]
    pub fn ids(&self, item: usize) -> &[u32] {
        &self.ids[item * self.neighbours..(item + 1) * self.neighbours]
    }

    /// The distances of the neighbours of item `item`, rising, 0..=2.
    #[must_use]
    pub fn distances(&self, item: usize) -> &[f64] {
        &self.distances[item * self.neighbours..(item + 1) * self.neighbours]
    }
}

/// `1 - cosine` in double precision, 0..=2; exactly 0 for equal embeddings.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    if a == b && a.iter().any(|&value| value != 0.0) {
        return 0.0;
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let norms = dot(a, a).sqrt() * dot(b, b).sqrt();
    if norms > 0.0 { (1.0 - dot(a, b) / norms).clamp(0.0, 2.0) } else { 1.0 }
}

/// Rows of length 1; a row of zeros stays one.
pub(super) fn normalized(embeddings: &Embeddings) -> Vec<f32> {
    let mut values = embeddings.values.clone();
    for row in values.chunks_mut(embeddings.width.max(1)) {
        let norm = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 {
            row.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
        }
    }
    values
}

/// The most similar items seen so far of one item: the best first, by falling similarity, then by rising id.
#[derive(Clone)]
struct Candidates {
    kept: Vec<(f32, u32)>,
    room: usize,
}

impl Candidates {
    /// Below this similarity nothing is kept any more.
    fn least(&self) -> f32 {
        if self.kept.len() < self.room { f32::NEG_INFINITY } else { self.kept[self.room - 1].0 }
    }

    fn offer(&mut self, similarity: f32, id: u32) {
        let at = self.kept.partition_point(|&(kept, other)| (kept, id) > (similarity, other));
        if at < self.room {
            self.kept.truncate(self.room - 1);
            self.kept.insert(at, (similarity, id));
        }
    }
}

/// The `room` most similar items of each, of unit rows `[item, width]`.
fn nearest(unit: &[f32], items: usize, width: usize, room: usize) -> Vec<Candidates> {
    let mut all = vec![Candidates { kept: Vec::with_capacity(room), room }; items];
    for start in (0..items).step_by(ROWS) {
        let end = (start + ROWS).min(items);
        // Of every pair the tile with the smaller row is computed, and offered to both sides.
        let (before, behind) = all.split_at_mut(end);
        let rows = &mut before[start..];
        let own = tile(unit, width, start..end, start..end);
        for (row, candidates) in rows.iter_mut().enumerate() {
            for (column, &similarity) in own[row * (end - start)..][..end - start].iter().enumerate() {
                if column != row && similarity >= candidates.least() {
                    candidates.offer(similarity, (start + column) as u32);
                }
            }
        }
        let rows_so_far: &[Candidates] = rows;
        let found: Vec<Vec<Candidates>> = behind
            .par_chunks_mut(COLUMNS)
            .enumerate()
            .map(|(chunk, columns)| {
                let first = end + chunk * COLUMNS;
                let similarities = tile(unit, width, start..end, first..first + columns.len());
                offer_tile(&similarities, rows_so_far, columns, (start, first))
            })
            .collect();
        for (row, candidates) in rows.iter_mut().enumerate() {
            for (similarity, id) in found.iter().flat_map(|chunk| chunk[row].kept.iter().copied()) {
                candidates.offer(similarity, id);
            }
        }
    }
    all
}

/// Offers a tile to its columns, and returns what is new for its rows; `(first row, first column)` are item numbers.
fn offer_tile(
    similarities: &[f32],
    rows: &[Candidates],
    columns: &mut [Candidates],
    first: (usize, usize),
) -> Vec<Candidates> {
    let mut least: Vec<f32> = columns.iter().map(Candidates::least).collect();
    let of_row = |(row, line): (usize, &[f32])| {
        let mut found = Candidates { kept: Vec::new(), room: rows[row].room };
        let already = rows[row].least();
        let mut threshold = already;
        for (column, &similarity) in line.iter().enumerate() {
            if similarity >= threshold {
                found.offer(similarity, (first.1 + column) as u32);
                threshold = already.max(found.least());
            }
            if similarity >= least[column] {
                columns[column].offer(similarity, (first.0 + row) as u32);
                least[column] = columns[column].least();
            }
        }
        found
    };
    similarities.chunks(columns_of(similarities, rows)).enumerate().map(of_row).collect()
}

/// The columns of a tile with these rows.
fn columns_of(similarities: &[f32], rows: &[Candidates]) -> usize {
    (similarities.len() / rows.len().max(1)).max(1)
}

/// Similarities `[row, column]` of two ranges of items.
fn tile(
    unit: &[f32],
    width: usize,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
) -> Vec<f32> {
    let mut similarities = vec![0.0; rows.len() * columns.len()];
    let part = |items: &std::ops::Range<usize>| &unit[items.start * width..items.end * width];
    matmul(
        MatMut::from_row_major_slice_mut(&mut similarities, rows.len(), columns.len()),
        Accum::Replace,
        MatRef::from_row_major_slice(part(&rows), rows.len(), width),
        MatRef::from_row_major_slice(part(&columns), columns.len(), width).transpose(),
        1.0,
        Par::Seq,
    );
    similarities
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn blocks_find_what_a_plain_search_finds(items in 1_usize..1700, seed in 0_u32..1000, neighbours in 1_usize..5) {
            let value = |i: usize| (((i as u32).wrapping_mul(2_654_435_761) ^ seed) % 1013) as f32 - 506.0;
            let embeddings = Embeddings { width: 3, values: (0..items * 3).map(value).collect() };
            let graph = NeighbourGraph::new(&embeddings, neighbours).unwrap();
            for item in (0..items).step_by(97) {
                let mut plain: Vec<f64> = (0..items)
                    .filter(|&other| other != item)
                    .map(|other| distance(embeddings.row(item), embeddings.row(other)))
                    .collect();
                plain.sort_by(f64::total_cmp);
                plain.truncate(neighbours);
                prop_assert_eq!(graph.distances(item).len(), plain.len());
                for (found, plain) in graph.distances(item).iter().zip(plain) {
                    // Where more items than the spare ones are equal in f32, any of them may be taken.
                    prop_assert!((found - plain).abs() < 1e-6, "{} {}", found, plain);
                }
            }
        }
    }
}
