//! Stratified splits of multi-label data: the same share of each label. In: the labels of every item. Out: the items
//! that are held out, or those of one fold.
//!
//! Source: Sechidis, Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-label Data". The label with the
//! fewest items left is dealt out first, and each of its items goes to the part that lacks most of that label. Items
//! without a label count as having a label of their own, so each part gets its share of them too.

use super::stratify::Part;
use crate::seed::{Seed, purpose};
use rand::seq::SliceRandom;

/// Separates the random streams of multi-label data from those of single-label data.
const LABELS: u64 = u64::MAX - 1;

/// Holds out a share of each label. A label with more than `part.left()` items has at least one of them held out if the
/// other labels allow it, and every label keeps `part.left()` items, or all it has.
pub(crate) fn hold_back(rows: &[Vec<usize>], fraction: f64, part: Part, seed: Seed) -> Vec<usize> {
    let strata = Strata::new(rows);
    let wanted = |&size: &usize| {
        let most = size.saturating_sub(part.left());
        let held = (size as f64 * fraction).clamp(most.min(1) as f64, most as f64);
        vec![size as f64 - held, held]
    };
    let wanted = strata.sizes.iter().map(wanted).collect();
    let mut parts = strata.deal(wanted, &[1.0 - fraction, fraction], (part.purpose(), seed));
    strata.keep(&mut parts, part.left());
    (0..rows.len()).filter(|&item| parts[item] == 1).collect()
}

/// The items of one fold.
pub(crate) fn fold(rows: &[Vec<usize>], folds: usize, fold: usize, seed: Seed) -> Vec<usize> {
    let strata = Strata::new(rows);
    let share = 1.0 / folds.max(1) as f64;
    let wanted = strata.sizes.iter().map(|&size| vec![size as f64 * share; folds]).collect();
    let parts = strata.deal(wanted, &vec![share; folds], (purpose::FOLD, seed));
    (0..rows.len()).filter(|&item| parts[item] == fold).collect()
}

/// The labels of every item, where items without any have an extra label.
struct Strata {
    /// The labels of each item.
    rows: Vec<Vec<usize>>,
    /// Items of each label.
    sizes: Vec<usize>,
}

impl Strata {
    fn new(rows: &[Vec<usize>]) -> Self {
        let rows = with_unlabelled(rows);
        let mut sizes = vec![0; rows.iter().flatten().max().map_or(0, |most| most + 1)];
        rows.iter().flatten().for_each(|&label| sizes[label] += 1);
        Self { rows, sizes }
    }

    /// Assigns each item to a part, given how many items of each label each part wants, and each part's share of all
    /// items.
    fn deal(&self, mut wanted: Vec<Vec<f64>>, shares: &[f64], (purpose, seed): (u64, Seed)) -> Vec<usize> {
        let items = self.rows.len();
        let mut room: Vec<f64> = shares.iter().map(|share| share * items as f64).collect();
        let mut order: Vec<usize> = (0..items).collect();
        order.shuffle(&mut seed.rng(&[purpose, LABELS]));
        let mut left = self.sizes.clone();
        let mut parts: Vec<Option<usize>> = vec![None; items];
        while let Some(label) =
            (0..left.len()).filter(|&label| left[label] > 0).min_by_key(|&label| left[label])
        {
            for &item in order.iter().filter(|&&item| self.rows[item].contains(&label)) {
                if parts[item].is_some() {
                    continue;
                }
                let more = |&a: &usize, &b: &usize| {
                    wanted[label][a].total_cmp(&wanted[label][b]).then(room[a].total_cmp(&room[b]))
                };
                // Reversed, because `max_by` returns the last of equals and the first is wanted.
                let part = (0..room.len()).rev().max_by(more).unwrap_or_default();
                parts[item] = Some(part);
                room[part] -= 1.0;
                for &label in &self.rows[item] {
                    wanted[label][part] -= 1.0;
                    left[label] -= 1;
                }
            }
        }
        parts.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// Moves items back from part 1 to part 0 until each label has `least` there, or all it has.
    fn keep(&self, parts: &mut [usize], least: usize) {
        for (label, &size) in self.sizes.iter().enumerate() {
            let of_label = |item: &usize| self.rows[*item].contains(&label);
            let kept = (0..parts.len()).filter(|item| parts[*item] == 0 && of_label(item)).count();
            let held: Vec<usize> =
                (0..parts.len()).filter(|item| parts[*item] == 1 && of_label(item)).collect();
            held.into_iter().take(least.min(size).saturating_sub(kept)).for_each(|item| parts[item] = 0);
        }
    }
}

/// The labels of every item, where an item without any gets one extra label.
pub(crate) fn with_unlabelled(rows: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let unlabelled = rows.iter().flatten().max().map_or(0, |most| most + 1);
    let labels = |row: &Vec<usize>| if row.is_empty() { vec![unlabelled] } else { row.clone() };
    rows.iter().map(labels).collect()
}

#[cfg(test)]
mod tests {
    use crate::dataset::Split;
    use crate::dataset::Targets;
    use crate::seed::Seed;
    use crate::split::{Division, Splitter};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Up to 120 items with any of five labels; later labels are rarer.
    fn rows() -> impl Strategy<Value = Vec<Vec<usize>>> {
        let row = (0.0_f64..1.0, 0.0_f64..1.0, 0.0_f64..1.0, 0.0_f64..1.0, 0.0_f64..1.0).prop_map(|draws| {
            let draws = [draws.0, draws.1, draws.2, draws.3, draws.4];
            (0..5).filter(|&label| draws[label] < 0.6 / (label + 1) as f64).collect::<Vec<usize>>()
        });
        proptest::collection::vec(row, 0..120)
    }

    fn count(rows: &[Vec<usize>], splits: &[Split], label: usize, split: Split) -> usize {
        (0..rows.len()).filter(|&item| rows[item].contains(&label) && splits[item] == split).count()
    }

    fn divided(rows: &[Vec<usize>], division: Division) -> Vec<Split> {
        division.assign_targets(&Targets::Multi(rows.to_vec()), None).unwrap()
    }

    proptest! {
        #[test]
        fn every_label_is_learned_and_gives_its_share(rows in rows(), valid_fraction in 0.1_f64..0.5, seed: u64) {
            let division = Division::new(Splitter::Stratified { valid_fraction }, Seed(seed));
            let splits = divided(&rows, division);
            prop_assert_eq!(&splits, &divided(&rows, division));
            for label in 0..5 {
                let (train, valid) = (count(&rows, &splits, label, Split::Train), count(&rows, &splits, label, Split::Valid));
                prop_assert!(train >= 1 || valid == 0, "label {label}: {train} train, {valid} valid");
                // An item that is dealt out for a rarer label brings its other labels along, so no share is exact.
                let far = (valid as f64 - (train + valid) as f64 * valid_fraction).abs();
                prop_assert!(far <= 3.0 + 0.1 * (train + valid) as f64, "label {label}: {train} train, {valid} valid");
            }
            let held = splits.iter().filter(|split| **split == Split::Valid).count() as f64;
            // A part's size only decides between parts that lack equally much of a label, so it may be off by an item
            // per label.
            let far = (held - rows.len() as f64 * valid_fraction).abs();
            prop_assert!(far <= 6.0 + 0.05 * rows.len() as f64, "{held} of {}", rows.len());
        }

        #[test]
        fn single_labels_are_as_even_as_classes(
            classes in proptest::collection::vec(0_usize..4, 0..120), valid_fraction in 0.05_f64..0.5, seed: u64,
        ) {
            let rows: Vec<Vec<usize>> = classes.iter().map(|&class| vec![class]).collect();
            let splits = divided(&rows, Division::new(Splitter::Stratified { valid_fraction }, Seed(seed)));
            for label in 0..4 {
                let (train, valid) = (count(&rows, &splits, label, Split::Train), count(&rows, &splits, label, Split::Valid));
                prop_assert!((valid as f64 - (train + valid) as f64 * valid_fraction).abs() <= 1.0);
                prop_assert!(train + valid < 2 || (train >= 1 && valid >= 1));
            }
        }

        #[test]
        fn every_item_is_valid_in_exactly_one_fold(rows in rows(), folds in 2_usize..6, grouped: bool, seed: u64) {
            let groups: Vec<usize> = (0..rows.len()).map(|item| item / 3).collect();
            let mut times = vec![0; rows.len()];
            for fold in 0..folds {
                let division = Division::new(Splitter::KFold { folds, fold }, Seed(seed));
                let splits = division.assign_targets(&Targets::Multi(rows.clone()), grouped.then_some(&groups[..])).unwrap();
                (0..rows.len()).filter(|&item| splits[item] == Split::Valid).for_each(|item| times[item] += 1);
            }
            prop_assert!(times.iter().all(|&times| times == 1), "{times:?}");
        }

        #[test]
        fn no_group_is_on_two_sides(rows in rows(), valid_fraction in 0.1_f64..0.5, test in proptest::option::of(0.1_f64..0.4), seed: u64) {
            let groups: Vec<usize> = (0..rows.len()).map(|item| item * 7 % 11).collect();
            for splitter in [Splitter::Stratified { valid_fraction }, Splitter::Random { valid_fraction }] {
                let division = Division { test_fraction: test, ..Division::new(splitter, Seed(seed)) };
                let splits = division.assign_targets(&Targets::Multi(rows.clone()), Some(&groups)).unwrap();
                let mut sides = BTreeMap::new();
                for (group, split) in groups.iter().zip(&splits) {
                    prop_assert_eq!(sides.entry(group).or_insert(split), &split);
                }
            }
        }
    }

    /// Twelve labels, the last with 6 of 600 items; a third of the items have none.
    fn long_tail() -> Vec<Vec<usize>> {
        let has = |item: usize, label: usize| {
            item.wrapping_mul(2_654_435_761 + 40_503 * label) % 600 < 300 >> (label / 2)
        };
        let row = |item: usize| {
            if item.is_multiple_of(3) { vec![] } else { (0..12).filter(|&label| has(item, label)).collect() }
        };
        (0..600).map(row).collect()
    }

    #[test]
    fn rare_labels_and_items_without_any_are_nearer_to_their_share_than_by_chance() {
        let rows = long_tail();
        let far = |splitter: Splitter, seed: u64| -> f64 {
            let splits = divided(&rows, Division::new(splitter, Seed(seed)));
            let of_label = |label: usize| {
                let (train, valid) =
                    (count(&rows, &splits, label, Split::Train), count(&rows, &splits, label, Split::Valid));
                (valid as f64 / (train + valid).max(1) as f64 - 0.2).abs()
            };
            let none = rows.iter().filter(|row| row.is_empty()).count() as f64;
            let held = (0..600).filter(|&item| rows[item].is_empty() && splits[item] == Split::Valid).count();
            (0..12).map(of_label).sum::<f64>() + (held as f64 / none - 0.2).abs()
        };
        let mean = |splitter: Splitter| (0..20).map(|seed| far(splitter, seed)).sum::<f64>() / 20.0;
        let (stratified, random) =
            (mean(Splitter::default()), mean(Splitter::Random { valid_fraction: 0.2 }));
        assert!(stratified < 0.4 * random, "{stratified} against {random}");
        let seeds: BTreeSet<Vec<Split>> =
            (0..5).map(|seed| divided(&rows, Division::new(Splitter::default(), Seed(seed)))).collect();
        assert_eq!(seeds.len(), 5, "another seed, another draw");
    }

    #[test]
    fn groups_of_several_labels_give_their_shares() {
        let rows = long_tail();
        let groups: Vec<usize> = (0..600).map(|item| item / 4).collect();
        let division = Division::new(Splitter::default(), Seed(7)).test_fraction(0.1);
        let splits = division.assign_targets(&Targets::Multi(rows.clone()), Some(&groups)).unwrap();
        for (split, share) in [(Split::Valid, 0.2), (Split::Test, 0.1)] {
            let held = splits.iter().filter(|held| **held == split).count() as f64 / 600.0;
            assert!((held - share).abs() < 0.03, "{split}: {held}");
            for label in 0..6 {
                let all: usize = Split::ALL.iter().map(|split| count(&rows, &splits, label, *split)).sum();
                let part = count(&rows, &splits, label, split) as f64 / all as f64;
                assert!((part - share).abs() < 0.06, "{split}, label {label}: {part}");
            }
        }
    }
}
