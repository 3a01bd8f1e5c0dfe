//! Approximate nearest neighbours by HNSW (hierarchical navigable small worlds, Malkov & Yashunin 2018, arXiv:1603.09320),
//! for data sets so large that not every pair can be compared. In: unit rows. Out: most of each row's nearest others.

use hnsw_rs::prelude::{DistL2, Hnsw};
use rayon::prelude::*;

/// Links of an item on each layer, and layers.
const LINKS: usize = 16;
const LAYERS: usize = 16;
/// Candidates kept while the graph is built, and while it is searched. docs/cleaning.md has the measurements.
const BUILDING: usize = 100;
const SEARCHING: usize = 64;

/// The ids of approximately the `room` nearest others of each unit row `[item, width]`. Euclidean distances between rows of
/// length 1 rank like cosine distances.
pub(super) fn small_world(unit: &[f32], width: usize, room: usize) -> Vec<Vec<u32>> {
    let rows: Vec<(&[f32], usize)> = unit.chunks(width).enumerate().map(|(item, row)| (row, item)).collect();
    let world = Hnsw::<f32, DistL2>::new(LINKS, rows.len(), LAYERS, BUILDING, DistL2 {});
    world.parallel_insert_slice(&rows);
    let search = |(row, item): (&[f32], usize)| {
        let found = world.search(row, room + 1, SEARCHING.max(2 * room));
        found.iter().map(|other| other.d_id as u32).filter(|&other| other as usize != item).collect()
    };
    rows.into_par_iter().map(search).collect()
}
