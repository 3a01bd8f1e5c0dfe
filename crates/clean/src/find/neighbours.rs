//! Nearest neighbours. In: embeddings. Out: the nearest neighbours of every item, exact (all pairs are compared, in bounded
//! memory) or approximate.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::small_world::small_world;
use sciurus_data::BadOption;
use sciurus_insight::{Embeddings, InsightError};
use sciurus_kernels::{Matrix, matmul};

/// Rows of a tile of similarities. With `COLUMNS`, a tile takes 4 MB per thread; packed columns then serve more rows, which is
/// 15 % faster than half as many rows.
const ROWS: usize = 1024;
/// Columns of a tile.
const COLUMNS: usize = 1024;
/// Similarities that are compared with their limits together.
const GLANCE: usize = 64;
/// Candidates kept beyond k. Products in f32 are off by about 1e-7, which may swap neighbours that are equally close.
const SPARE: usize = 6;

/// For each item, its nearest neighbours by cosine distance, nearest first.
///
/// ```
/// use sciurus_clean::find::NeighbourGraph;
/// use sciurus_insight::Embeddings;
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
    /// The exact graph: the `neighbours` nearest items of each item (all others, if there are fewer), by `1 - cosine`, 0..=2.
    ///
    /// Every pair is compared once, on all cores, in f32; the distances of the kept ones are computed again in f64. Equal
    /// distances are in the order of the items. The result does not depend on the number of cores. Needs memory for one
    /// copy of the embeddings. An embedding of zeros has the distance 1 to all others.
    ///
    /// # Errors
    /// If the values are not whole rows, a value is not finite, or there are 2³² items or more.
    pub fn new(embeddings: &Embeddings, neighbours: usize) -> Result<Self, InsightError> {
        let unit = checked(embeddings)?;
        let width = embeddings.width;
        let items = unit.len().checked_div(width).unwrap_or(0);
        let neighbours = neighbours.min(items.saturating_sub(1));
        if neighbours == 0 {
            return Ok(Self { neighbours: 0, items, ids: Vec::new(), distances: Vec::new() });
        }
        let candidates = nearest(&unit, items, width, neighbours + SPARE);
        drop(unit);
        let ids = |item: usize| candidates[item].kept.iter().map(|&(_, id)| id).collect();
        Ok(Self::among(embeddings, neighbours, ids))
    }

    /// An approximate graph, for data sets so large that not every pair can be compared: it finds most of the nearest items,
    /// by HNSW (Malkov & Yashunin 2018, arXiv:1603.09320). Distances are exact; docs/cleaning.md has the share of true
    /// neighbours that it finds. All cores build the graph together, so two calls may differ in a few neighbours. Needs
    /// memory for two copies of the embeddings.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn approximate(embeddings: &Embeddings, neighbours: usize) -> Result<Self, InsightError> {
        let unit = checked(embeddings)?;
        let width = embeddings.width;
        let items = unit.len().checked_div(width).unwrap_or(0);
        if neighbours == 0 || items <= 10 * (neighbours + SPARE) {
            return Self::new(embeddings, neighbours);
        }
        let found = small_world(&unit, width, neighbours + SPARE);
        let ids = |item: usize| match found[item].len() < neighbours {
            // The search found too few neighbours of this item, so it is compared with all others.
            true => (0..items as u32).filter(|&other| other as usize != item).collect(),
            false => found[item].clone(),
        };
        Ok(Self::among(embeddings, neighbours, ids))
    }

    /// The nearest of each item's candidates.
    fn among(
        embeddings: &Embeddings,
        neighbours: usize,
        candidates: impl Fn(usize) -> Vec<u32> + Sync,
    ) -> Self {
        let items = embeddings.values.len() / embeddings.width;
        let norms: Vec<f64> = (0..items).into_par_iter().map(|item| norm(embeddings.row(item))).collect();
        let exact = (0..items).into_par_iter().map(|item| {
            let row = |item: usize| (embeddings.row(item), norms[item]);
            let found = candidates(item).into_iter().map(|id| (distance(row(item), row(id as usize)), id));
            let mut exact: Vec<(f64, u32)> = found.collect();
            exact.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            exact.truncate(neighbours);
            exact
        });
        let exact: Vec<Vec<(f64, u32)>> = exact.collect();
        let (distances, ids) = exact.into_iter().flatten().unzip();
        Self { neighbours, items, ids, distances }
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

/// The rows scaled to length 1, if they are whole, finite and not too many.
fn checked(embeddings: &Embeddings) -> Result<Vec<f32>, InsightError> {
    let width = embeddings.width;
    let items = embeddings.values.len().checked_div(width).unwrap_or(0);
    if items * width != embeddings.values.len() {
        let found = embeddings.values.len();
        let what = "embeddings (items times width)";
        return Err(InsightError::Length { what, expected: items * width, found });
    }
    BadOption::check("items", items as f64, u32::try_from(items).is_ok(), "choose a number below 2^32")?;
    let unit = normalized(embeddings);
    match unit.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(InsightError::Row { row: at / width, why: "its embedding is not finite".into() }),
        None => Ok(unit),
    }
}

/// `1 - cosine` of two rows with their norms, in double precision, 0..=2; exactly 0 for equal embeddings.
fn distance((a, norm_a): (&[f32], f64), (b, norm_b): (&[f32], f64)) -> f64 {
    let norms = norm_a * norm_b;
    match norms > 0.0 {
        true if a == b => 0.0,
        true => (1.0 - dot(a, b) / norms).clamp(0.0, 2.0),
        false => 1.0,
    }
}

fn norm(row: &[f32]) -> f64 {
    dot(row, row).sqrt()
}

/// The dot product in double precision, with as many partial sums as fill a vector register.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let (a, b) = (a.chunks(LANES), b.chunks(LANES));
    let mut sums = [0.0_f64; LANES];
    for (a, b) in a.zip(b) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(a) * f64::from(b);
        }
    }
    sums.iter().sum()
}

/// The rows scaled to length 1; a row of zeros stays zero.
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

/// The most similar items of one item so far, by falling similarity, then by rising id.
#[derive(Clone)]
struct Candidates {
    kept: Vec<(f32, u32)>,
    room: usize,
}

impl Candidates {
    /// The similarity that a new candidate must exceed.
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
        // Each pair is computed once, in the tile where its smaller item is the row, and offered to both items.
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

/// Offers a tile to its columns, and returns the new candidates of its rows; `(first row, first column)` are item numbers.
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
        for (part, similarities) in line.chunks(GLANCE).enumerate() {
            let begin = part * GLANCE;
            // Almost no pair is near: comparing many at a time without a branch for each skips most of them quickly.
            let limits = &least[begin..begin + similarities.len()];
            let glance = |any: bool, (&similarity, &limit): (&f32, &f32)| {
                any | (similarity >= threshold) | (similarity >= limit)
            };
            if !similarities.iter().zip(limits).fold(false, glance) {
                continue;
            }
            for (column, &similarity) in (begin..).zip(similarities) {
                if similarity >= threshold {
                    found.offer(similarity, (first.1 + column) as u32);
                    threshold = already.max(found.least());
                }
                if similarity >= least[column] {
                    columns[column].offer(similarity, (first.0 + row) as u32);
                    least[column] = columns[column].least();
                }
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
    let part = |items: std::ops::Range<usize>| {
        Matrix::new(&unit[items.start * width..items.end * width], [items.len(), width])
    };
    matmul(part(rows), part(columns).transposed(), &mut similarities);
    similarities
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_world_finds_nearly_all_neighbours_and_their_exact_distances() {
        let (items, width) = (3000, 24);
        let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0 - 0.5;
        let place = |at: usize| value(at) + 2.0 * value(7 * (at / width % 40) * width + at % width);
        let embeddings = Embeddings { width, values: (0..items * width).map(place).collect() };
        let [exact, approximate] =
            [NeighbourGraph::new, NeighbourGraph::approximate].map(|graph| graph(&embeddings, 8).unwrap());
        let mut found = 0;
        for item in 0..items {
            assert_eq!(approximate.ids(item).len(), 8);
            assert!(!approximate.ids(item).contains(&(item as u32)));
            for (id, distance) in approximate.ids(item).iter().zip(approximate.distances(item)) {
                let place = exact.ids(item).iter().position(|exact| exact == id);
                found += usize::from(place.is_some());
                assert!(place.is_none_or(|place| exact.distances(item)[place] == *distance));
            }
        }
        assert!(found as f64 > 0.98 * (8 * items) as f64, "{found} of {}", 8 * items);
    }

    #[test]
    fn equal_embeddings_and_few_items_are_no_trouble_for_a_small_world() {
        for items in [1, 2, 30, 500] {
            let embeddings = Embeddings { width: 2, values: [1.0, 2.0].repeat(items) };
            let graph = NeighbourGraph::approximate(&embeddings, 4).unwrap();
            assert_eq!(graph.neighbours(), 4.min(items - 1));
            assert!((0..items).all(|item| graph.distances(item).iter().all(|&distance| distance == 0.0)));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn blocks_find_what_a_plain_search_finds(items in 1_usize..1700, seed in 0_u32..1000, neighbours in 1_usize..5) {
            let value = |i: usize| (((i as u32).wrapping_mul(2_654_435_761) ^ seed) % 1013) as f32 - 506.0;
            let embeddings = Embeddings { width: 3, values: (0..items * 3).map(value).collect() };
            let graph = NeighbourGraph::new(&embeddings, neighbours).unwrap();
            let row = |item: usize| (embeddings.row(item), norm(embeddings.row(item)));
            for item in (0..items).step_by(97) {
                let mut plain: Vec<f64> = (0..items)
                    .filter(|&other| other != item)
                    .map(|other| distance(row(item), row(other)))
                    .collect();
                plain.sort_by(f64::total_cmp);
                plain.truncate(neighbours);
                prop_assert_eq!(graph.distances(item).len(), plain.len());
                for (found, plain) in graph.distances(item).iter().zip(plain) {
                    // If more items than the spare ones are equal in f32, any of them may be kept.
                    prop_assert!((found - plain).abs() < 1e-6, "{} {}", found, plain);
                }
            }
        }
    }
}
