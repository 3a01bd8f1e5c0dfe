//! Stratified folds. In: labels and groups. Out: the fold of each item, with every class spread over all folds and every group
//! in a single one.

use rand::seq::SliceRandom;
use sciurus_data::Seed;

/// The fold of each item, below `folds`.
///
/// Each class is spread as evenly as its groups allow. Items with the same entry in `groups` (near duplicates) go into the
/// same fold, so that no model is tested on a copy of a photo it was trained on; `None` means that every item is its own
/// group. Groups are placed largest first, in random order among equals: each goes to the fold that has the fewest items of
/// its classes so far, then to the one with the fewest items.
pub(super) fn stratified_folds(
    labels: &[usize],
    groups: Option<&[usize]>,
    folds: usize,
    seed: Seed,
) -> Vec<usize> {
    let mut units = units(labels.len(), groups);
    units.shuffle(&mut seed.rng(&[]));
    units.sort_by_key(|unit| std::cmp::Reverse(unit.len()));
    let classes = labels.iter().max().map_or(0, |&label| label + 1);
    let mut counts = vec![vec![0_usize; classes]; folds];
    let mut sizes = vec![0_usize; folds];
    let mut fold_of = vec![0; labels.len()];
    for unit in units {
        let crowd = |fold: usize| unit.iter().map(|&item| counts[fold][labels[item]]).sum::<usize>();
        let best = (0..folds).min_by_key(|&fold| (crowd(fold), sizes[fold])).unwrap_or(0);
        for item in unit {
            counts[best][labels[item]] += 1;
            sizes[best] += 1;
            fold_of[item] = best;
        }
    }
    fold_of
}

/// Items by group, in the order of their first item.
fn units(items: usize, groups: Option<&[usize]>) -> Vec<Vec<usize>> {
    let Some(groups) = groups else {
        return (0..items).map(|item| vec![item]).collect();
    };
    let mut order: Vec<usize> = (0..items).collect();
    order.sort_by_key(|&item| groups[item]);
    order.chunk_by(|&a, &b| groups[a] == groups[b]).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn groups_stay_together_and_classes_are_spread(
            labels in proptest::collection::vec(0_usize..4, 1..80), width in 1_usize..4, seed: u64,
        ) {
            let groups: Vec<usize> = (0..labels.len()).map(|item| item / width).collect();
            let folds = stratified_folds(&labels, Some(&groups), 5, Seed(seed));
            for (a, b) in (0..labels.len()).zip(1..labels.len()) {
                prop_assert!(groups[a] != groups[b] || folds[a] == folds[b]);
            }
            let single = stratified_folds(&labels, None, 5, Seed(seed));
            for class in 0..4 {
                let count = |fold: usize| {
                    (0..labels.len()).filter(|&item| labels[item] == class && single[item] == fold).count()
                };
                let counts: Vec<usize> = (0..5).map(count).collect();
                prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
            }
            prop_assert_eq!(stratified_folds(&labels, None, 5, Seed(seed)), single);
        }
    }
}
