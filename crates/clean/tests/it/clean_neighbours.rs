//! Against cleanlab's Datalab: neighbours, outliers and near duplicates of 300 x 64 features.

use std::collections::BTreeMap;

use sciurus_clean::find::{
    NearCopyOptions, NeighbourGraph, near_copies, neighbour_vote, outliers, same_label_nearness,
};
use sciurus_insight::Embeddings;

use crate::clean_labels::{assert_near, json, tensor};

fn golden_embeddings() -> Embeddings {
    let values = tensor("features/z").into_iter().map(|value| value as f32).collect();
    Embeddings { width: 64, values }
}

fn golden_labels() -> Vec<usize> {
    tensor("features/labels").into_iter().map(|label| label as usize).collect()
}

#[test]
fn golden_neighbours() {
    let graph = NeighbourGraph::new(&golden_embeddings(), 10).unwrap();
    let (ids, distances) = (tensor("features/knn_indices"), tensor("features/knn_distances"));
    for item in 0..300 {
        let theirs = &distances[item * 10..(item + 1) * 10];
        assert_near(graph.distances(item), theirs, &format!("distances of {item}"));
        for (place, (&ours, &id)) in graph.ids(item).iter().zip(&ids[item * 10..]).enumerate() {
            // Rows 100 and 279 are equal, so their order among others' neighbours is not defined.
            let is_tie = [100.0, 279.0].contains(&f64::from(ours)) && [100.0, 279.0].contains(&id);
            assert!(is_tie || f64::from(ours) == id, "{item} {place}: {ours} {id}");
        }
    }
}

#[test]
fn golden_outliers() {
    let found = outliers(&NeighbourGraph::new(&golden_embeddings(), 10).unwrap());
    let golden = &json()["features"]["outlier"];
    assert_near(&found.scores, &tensor("features/outlier_score"), "outlier score");
    assert_near(&[found.cut], &[golden["issue_threshold"].as_f64().unwrap()], "cut");
    assert_eq!(serde_json::json!(found.items), golden["indices"]);
}

#[test]
fn golden_near_duplicates() {
    let options = NearCopyOptions::default().absolute(2.0).build().unwrap();
    let found = near_copies(&NeighbourGraph::new(&golden_embeddings(), 10).unwrap(), options);
    let golden = &json()["features"]["near_duplicate"];
    assert_near(&found.scores, &tensor("features/near_duplicate_score"), "near duplicate score");
    let median = golden["median_nearest_distance"].as_f64().unwrap();
    assert_near(&[found.limit], &[0.13 * median], "limit");
    let mut sets: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for &(a, b, _) in &found.pairs {
        sets.entry(a.to_string()).or_default().push(b);
        sets.entry(b.to_string()).or_default().push(a);
    }
    sets.values_mut().for_each(|set| set.sort_unstable());
    assert_eq!(serde_json::json!(sets), golden["sets"]);
    assert_eq!((found.groups[279], found.groups[285], found.groups[50]), (100, 5, 50));
}

#[test]
fn neighbours_vote_against_a_wrong_label() {
    let graph = NeighbourGraph::new(&golden_embeddings(), 10).unwrap();
    let (mut labels, right) = (golden_labels(), golden_labels());
    for item in [20, 33, 47] {
        labels[item] = (labels[item] + 1) % 6;
    }
    let vote = neighbour_vote(&graph, &labels, 6).unwrap();
    let nearness = same_label_nearness(&graph, &labels).unwrap();
    for item in [20, 33, 47] {
        assert_eq!(vote.majority[item], right[item]);
        assert!(vote.share[item] < 0.2 && nearness[item] < 0.5, "{} {}", vote.share[item], nearness[item]);
    }
    let sure = (0..290).filter(|&item| vote.majority[item] == labels[item] && vote.share[item] > 0.5).count();
    assert!(sure > 270, "{sure}");
    assert!(neighbour_vote(&graph, &labels[1..], 6).is_err());
    assert!(same_label_nearness(&graph, &labels[1..]).is_err());
}

#[test]
fn a_limit_in_cosine_keeps_strangers_apart() {
    // Directions far from each other: a third of the median distance is no copy, however small the share looks.
    let values = vec![1.0, 0.0, 0.8, 0.6, 0.0, 1.0, -1.0, 0.1, 0.2, -1.0];
    let graph = NeighbourGraph::new(&Embeddings { width: 2, values }, 3).unwrap();
    let pairs = |absolute: f64| {
        let options = NearCopyOptions::default().relative(1.0).absolute(absolute).build().unwrap();
        near_copies(&graph, options).pairs.len()
    };
    assert!(pairs(2.0) > 0);
    assert_eq!(pairs(0.05), 0);
    assert!(NearCopyOptions::default().absolute(0.0).build().is_err());
}

#[test]
fn degenerate_graphs() {
    for (width, values) in [(3, vec![]), (0, vec![]), (2, vec![1.0, 0.0]), (2, vec![0.0; 6])] {
        let graph = NeighbourGraph::new(&Embeddings { width, values }, 10).unwrap();
        let labels = vec![0; graph.len()];
        assert_eq!(neighbour_vote(&graph, &labels, 1).unwrap().majority, labels);
        assert!(outliers(&graph).items.is_empty());
        assert!(near_copies(&graph, NearCopyOptions::default()).pairs.is_empty());
    }
    let error = |values| NeighbourGraph::new(&Embeddings { width: 2, values }, 1).unwrap_err().to_string();
    assert!(error(vec![1.0, 0.0, f32::NAN, 1.0]).starts_with("item 1 "));
    assert!(error(vec![1.0, 0.0, 1.0]).contains("expected 2 values, found 3"));
}

#[test]
fn the_graph_does_not_depend_on_threads() {
    let embeddings = golden_embeddings();
    let graph = NeighbourGraph::new(&embeddings, 10).unwrap();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(alone.install(|| NeighbourGraph::new(&embeddings, 10)).unwrap(), graph);
}
