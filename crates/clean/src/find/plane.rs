//! A map of items: like lies beside like. In: embeddings. Out: a place on a plane for each item.

use bhtsne::{Neighbor, tSNE};
use sciurus_insight::{Embeddings, InsightError};

use super::{NeighbourGraph, PrincipalComponents};

/// Principal components in which neighbours are searched: as usual before t-SNE, noise is left out.
const COMPONENTS: usize = 50;
/// Neighbours of each item, three times the perplexity.
const NEIGHBOURS: usize = 30;
/// Rounds of gradient descent.
const ROUNDS: usize = 600;
/// How coarse far items are taken together (Barnes and Hut's theta); the usual value.
const ANGLE: f32 = 0.5;
/// Above this many items, neighbours are approximate.
const EXACT: usize = 50_000;
/// By how much copies are moved apart at first.
const APART: f32 = 1e-5;
/// Deviation of the places that t-SNE begins with, as openTSNE and scikit-learn have it.
const START: f32 = 1e-4;

/// Places along the two directions in which the items vary most. Computed at once, also for very many items.
#[must_use]
pub fn principal_plane(embeddings: &Embeddings) -> Vec<[f32; 2]> {
    let rows = rows(embeddings);
    let components = PrincipalComponents::fit(&rows, 2);
    let place = |row: &&[f32]| {
        let along = components.project(row);
        [along.first().copied().unwrap_or(0.0), along.get(1).copied().unwrap_or(0.0)]
    };
    rows.iter().map(place).collect()
}

/// Places by t-SNE (Barnes-Hut; van der Maaten 2014), which keeps neighbours together: it begins with `start` and tells
/// `on_round` (round from 0, places) how far it is. The same items in the same order have the same places each time. It runs on one
/// thread, because sums in another order would lead elsewhere.
///
/// # Errors
/// The values are not whole rows, or one is not finite.
pub fn similarity_plane(
    embeddings: &Embeddings,
    start: &[[f32; 2]],
    on_round: impl FnMut(usize, &[[f32; 2]]) + Send,
) -> Result<Vec<[f32; 2]>, InsightError> {
    let items = start.len();
    // With two or three neighbours there is nothing that t-SNE could show.
    if items <= NEIGHBOURS / 3 {
        return Ok(start.to_vec());
    }
    let graph = graph(embeddings)?;
    let single = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let descend = || descend(&graph, start, on_round);
    Ok(match single {
        Ok(single) => single.install(descend),
        // A machine that has no thread to spare keeps the places that it has.
        Err(_) => start.to_vec(),
    })
}

fn rows(embeddings: &Embeddings) -> Vec<&[f32]> {
    embeddings.values.chunks_exact(embeddings.width.max(1)).collect()
}

fn graph(embeddings: &Embeddings) -> Result<NeighbourGraph, InsightError> {
    let rows = rows(embeddings);
    let components = PrincipalComponents::fit(&rows, COMPONENTS);
    let values: Vec<f32> = rows.iter().flat_map(|row| components.project(row)).collect();
    let width = values.len() / rows.len().max(1);
    let few = Embeddings { width: width.max(1), values };
    match rows.len() > EXACT {
        true => NeighbourGraph::approximate(&few, NEIGHBOURS),
        false => NeighbourGraph::new(&few, NEIGHBOURS),
    }
}

fn descend(
    graph: &NeighbourGraph,
    start: &[[f32; 2]],
    mut on_round: impl FnMut(usize, &[[f32; 2]]),
) -> Vec<[f32; 2]> {
    let neighbour =
        |(&id, &distance): (&u32, &f64)| Neighbor { index: id as usize, distance: distance as f32 };
    let near: Vec<Vec<Neighbor<f32>>> = (0..graph.len())
        .map(|item| graph.ids(item).iter().zip(graph.distances(item)).map(neighbour).collect())
        .collect();
    let data = vec![(); graph.len()];
    let mut map: tSNE<'_, f32, (), 2> = tSNE::new(&data);
    map.perplexity(graph.neighbours() as f32 / 3.0)
        .epochs(ROUNDS)
        .initial_embedding(small(start))
        .epoch_callback(move |round, places| on_round(round, &pairs(places)))
        .barnes_hut_with_neighbors(ANGLE, &near);
    pairs(&map.embedding())
}

/// The same places around the middle, so close together that their forces are small. Copies, which have one place, are moved apart by
/// a little, always by the same: between two items at one place there is no direction.
fn small(start: &[[f32; 2]]) -> Vec<f32> {
    let count = start.len() as f32;
    let mean = [0, 1].map(|axis| start.iter().map(|place| place[axis]).sum::<f32>() / count);
    let square = start.iter().map(|place| (place[0] - mean[0]).powi(2)).sum::<f32>() / count;
    let scale = START / square.sqrt().max(1e-12);
    let apart = |item: usize, axis: usize| {
        let mixed = (2 * item + axis) as u64 + 1;
        let mixed = (mixed ^ (mixed >> 7)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed >> 40) as f32 / (1_u32 << 24) as f32 - 0.5) * APART
    };
    let moved = |(item, place): (usize, &[f32; 2])| {
        [0, 1].map(|axis| (place[axis] - mean[axis]) * scale + apart(item, axis))
    };
    start.iter().enumerate().flat_map(moved).collect()
}

fn pairs(values: &[f32]) -> Vec<[f32; 2]> {
    values.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three clouds in twenty dimensions, thirty items each.
    fn clouds() -> Embeddings {
        let value = |item: usize, feature: usize| {
            let noise = ((item * 7919 + feature * 104_729) % 1000) as f32 / 1000.0 - 0.5;
            noise + if feature % 3 == item % 3 { 3.0 } else { 0.0 }
        };
        let values = (0..90).flat_map(|item| (0..20).map(move |feature| value(item, feature))).collect();
        Embeddings { width: 20, values }
    }

    fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
        ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt()
    }

    #[test]
    fn clouds_stay_apart_and_two_maps_are_the_same() {
        let embeddings = clouds();
        let start = principal_plane(&embeddings);
        let mut rounds = 0;
        let map = similarity_plane(&embeddings, &start, |round, places| {
            assert_eq!((round, places.len()), (rounds, 90));
            rounds += 1;
        })
        .unwrap();
        assert_eq!(rounds, ROUNDS);
        let own = |item: usize| {
            let near = (0..90).filter(|other| *other != item);
            near.min_by(|a, b| distance(map[item], map[*a]).total_cmp(&distance(map[item], map[*b]))).unwrap()
                % 3
        };
        assert!((0..90).all(|item| own(item) == item % 3));
        assert_eq!(map, similarity_plane(&embeddings, &start, |_, _| ()).unwrap());
    }

    #[test]
    fn few_or_equal_items_have_places_too() {
        for items in [0, 1, 2, 5, 11, 40] {
            let embeddings = Embeddings { width: 3, values: vec![0.5; 3 * items] };
            let start = principal_plane(&embeddings);
            let map = similarity_plane(&embeddings, &start, |_, _| ()).unwrap();
            assert_eq!(map.len(), items);
            assert!(map.iter().flatten().all(|value| value.is_finite()), "{items}: {map:?}");
        }
    }
}
