//! Splitting by whole groups. In: the target and the group of every item. Out: the items of the groups that are held
//! out, or of those in one fold, with every class as near to its share as whole groups allow.

use super::iterative::with_unlabelled;
use super::stratify::Part;
use crate::dataset::Targets;
use crate::seed::{Seed, purpose};
use rand::seq::SliceRandom;
use std::cmp::Ordering::Equal;

/// How many draws to try. Each is greedy, so its result depends on the order of the groups; the draw whose classes are
/// nearest to their shares wins.
const ATTEMPTS: u64 = 16;

/// Separates the random streams of groups from those of classes.
const GROUPS: u64 = u64::MAX;

/// The groups, and how many items of which class each has.
#[derive(Debug)]
pub(crate) struct Groups {
    /// The items of each group.
    members: Vec<Vec<usize>>,
    /// For each group, its classes with their numbers of items.
    tables: Vec<Vec<(usize, usize)>>,
    /// Items of each class.
    sizes: Vec<usize>,
    /// How many groups each class occurs in.
    spread: Vec<usize>,
}

impl Groups {
    /// Groups of items, from the target and the group of each. Multi-label items all get one extra class in common, so
    /// parts come out at the right size whatever labels their items have.
    pub(crate) fn new(targets: &Targets, groups: &[usize]) -> Self {
        let rows = match targets {
            Targets::Single(classes) => classes.iter().map(|&class| vec![class]).collect(),
            Targets::Multi(rows) => with_common(with_unlabelled(rows)),
        };
        let count = |most: Option<&usize>| most.map_or(0, |most| most + 1);
        let classes = count(rows.iter().flatten().max());
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); count(groups.iter().max())];
        groups.iter().enumerate().for_each(|(item, &group)| members[group].push(item));
        members.retain(|items| !items.is_empty());
        let (mut sizes, mut spread) = (vec![0; classes], vec![0; classes]);
        let table = |items: &Vec<usize>| {
            let mut present: Vec<usize> = items.iter().flat_map(|&item| rows[item].iter().copied()).collect();
            present.sort_unstable();
            let table: Vec<(usize, usize)> =
                present.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
            for &(class, items) in &table {
                sizes[class] += items;
                spread[class] += 1;
            }
            table
        };
        let tables = members.iter().map(table).collect();
        Self { members, tables, sizes, spread }
    }

    fn items(&self, groups: impl IntoIterator<Item = usize>) -> Vec<usize> {
        groups.into_iter().flat_map(|group| self.members[group].iter().copied()).collect()
    }

    fn shuffled(&self, stream: &[u64], seed: Seed) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        order.shuffle(&mut seed.rng(stream));
        order
    }
}

/// Gives all items one class in common.
fn with_common(mut rows: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let common = rows.iter().flatten().max().map_or(0, |most| most + 1);
    rows.iter_mut().for_each(|row| row.push(common));
    rows
}

/// Takes groups in random order, as long as they fit into `count` items.
pub(crate) fn random(groups: &Groups, count: usize, seed: Seed) -> Vec<usize> {
    let mut room = count;
    let mut order = groups.shuffled(&[purpose::SPLIT, GROUPS], seed);
    order.retain(|&group| match room.checked_sub(groups.members[group].len()) {
        Some(rest) => {
            room = rest;
            true
        }
        None => false,
    });
    groups.items(order)
}

/// Holds out a share of each class, in whole groups: the best of several draws.
pub(crate) fn hold_back(groups: &Groups, fraction: f64, part: Part, seed: Seed) -> Vec<usize> {
    let draw = |attempt| {
        let mut draw = Draw::new(groups, fraction, part.left());
        for group in groups.shuffled(&[part.purpose(), GROUPS, attempt], seed) {
            if draw.gain(group, 1.0) < 0.0 && draw.leaves_enough(group) {
                draw.turn(group);
            }
        }
        draw.repair();
        draw
    };
    let draws = (0..ATTEMPTS).map(draw);
    let best =
        draws.min_by(|a, b| (a.lacking(), a.cost()).partial_cmp(&(b.lacking(), b.cost())).unwrap_or(Equal));
    best.map(|draw| groups.items((0..groups.members.len()).filter(|&group| draw.held[group])))
        .unwrap_or_default()
}

/// One draw of groups to hold out.
#[derive(Debug)]
struct Draw<'g> {
    groups: &'g Groups,
    fraction: f64,
    /// How many groups of a class must be left, if it has that many.
    left: usize,
    held: Vec<bool>,
    /// Items of each class that are held out.
    items: Vec<f64>,
    /// Groups of each class that are held out.
    of_class: Vec<usize>,
}

impl<'g> Draw<'g> {
    fn new(groups: &'g Groups, fraction: f64, left: usize) -> Self {
        let classes = groups.sizes.len();
        let held = vec![false; groups.members.len()];
        Self { groups, fraction, left, held, items: vec![0.0; classes], of_class: vec![0; classes] }
    }

    /// How much farther the classes get from their shares when a group is added (`sign` 1) or removed (-1): the change
    /// of the squared distances, each divided by the class's size.
    fn gain(&self, group: usize, sign: f64) -> f64 {
        let gain = |&(class, items): &(usize, usize)| {
            let (size, items) = (self.groups.sizes[class] as f64, sign * items as f64);
            items * (2.0 * (self.items[class] - self.fraction * size) + items) / size
        };
        self.groups.tables[group].iter().map(gain).sum()
    }

    /// Whether each class would still have enough other groups if this one were held out.
    fn leaves_enough(&self, group: usize) -> bool {
        let enough = |&(class, _): &(usize, usize)| {
            self.groups.spread[class] - self.of_class[class] > self.left.min(self.groups.spread[class])
        };
        self.groups.tables[group].iter().all(enough)
    }

    /// Holds a group out, or puts it back.
    fn turn(&mut self, group: usize) {
        let held = !self.held[group];
        self.held[group] = held;
        for &(class, items) in &self.groups.tables[group] {
            if held {
                self.items[class] += items as f64;
                self.of_class[class] += 1;
            } else {
                self.items[class] -= items as f64;
                self.of_class[class] -= 1;
            }
        }
    }

    /// If a class could be in both parts but has no group held out, holds out its most fitting group.
    fn repair(&mut self) {
        for class in 0..self.of_class.len() {
            if self.lacks(class) {
                let has = |group: &usize| self.groups.tables[*group].iter().any(|&(of, _)| of == class);
                let fitting = (0..self.held.len()).filter(|group| has(group) && self.leaves_enough(*group));
                let best = fitting.min_by(|&a, &b| self.gain(a, 1.0).total_cmp(&self.gain(b, 1.0)));
                best.into_iter().for_each(|group| self.turn(group));
            }
        }
    }

    fn lacks(&self, class: usize) -> bool {
        self.of_class[class] == 0 && self.groups.spread[class] > self.left
    }

    fn lacking(&self) -> usize {
        (0..self.of_class.len()).filter(|&class| self.lacks(class)).count()
    }

    fn cost(&self) -> f64 {
        let far = |(&held, &size): (&f64, &usize)| {
            (held - self.fraction * size as f64).powi(2) / size.max(1) as f64
        };
        self.items.iter().zip(&self.groups.sizes).map(far).sum()
    }
}

/// The items of one fold. Groups are placed from the largest to the smallest: each goes where its classes are rarest so
/// far, and among equals to the smallest fold. Groups of equal size come in random order.
///
/// Source: scikit-learn's `StratifiedGroupKFold`, with the sum of squares of class shares, which is smallest when they
/// are even, instead of their standard deviation.
pub(crate) fn fold(groups: &Groups, folds: usize, fold: usize, seed: Seed) -> Vec<usize> {
    let mut order = groups.shuffled(&[purpose::FOLD, GROUPS], seed);
    order.sort_by_key(|&group| std::cmp::Reverse(groups.members[group].len()));
    let mut filled = vec![vec![0.0; groups.sizes.len()]; folds];
    let (mut sizes, mut chosen) = (vec![0; folds], Vec::new());
    for group in order {
        let cost = |fold: usize| -> f64 {
            // The growth of the sum of squares of class shares, up to a factor and a term that are the same for all
            // folds.
            let of_class = |&(class, items): &(usize, usize)| {
                let size = groups.sizes[class] as f64;
                filled[fold][class] * items as f64 / (size * size)
            };
            groups.tables[group].iter().map(of_class).sum()
        };
        let better = |&a: &usize, &b: &usize| cost(a).total_cmp(&cost(b)).then(sizes[a].cmp(&sizes[b]));
        let Some(place) = (0..folds).min_by(better) else { break };
        groups.tables[group].iter().for_each(|&(class, items)| filled[place][class] += items as f64);
        sizes[place] += groups.members[group].len();
        if place == fold {
            chosen.push(group);
        }
    }
    groups.items(chosen)
}

#[cfg(test)]
mod tests {
    use crate::dataset::Split;
    use crate::seed::Seed;
    use crate::split::{Division, Splitter};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Up to 40 groups, each of several items of classes 0..4, mixed or all of one class.
    fn data() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
        let mixed = proptest::collection::vec(0_usize..4, 1..8);
        let pure = (0_usize..4, 1_usize..8).prop_map(|(class, items)| vec![class; items]);
        let all = |group| proptest::collection::vec(group, 0..40);
        prop_oneof![all(mixed.boxed()), all(pure.boxed())].prop_map(|groups| {
            let number = |(group, classes): (usize, &Vec<usize>)| vec![group; classes.len()];
            (groups.concat(), groups.iter().enumerate().flat_map(number).collect())
        })
    }

    fn splitters() -> impl Strategy<Value = Splitter> {
        prop_oneof![
            (0.05_f64..0.5).prop_map(|valid_fraction| Splitter::Stratified { valid_fraction }),
            (0.05_f64..0.5).prop_map(|valid_fraction| Splitter::Random { valid_fraction }),
            (2_usize..6)
                .prop_flat_map(|folds| (0..folds).prop_map(move |fold| Splitter::KFold { folds, fold })),
        ]
    }

    fn division(splitter: Splitter, test_fraction: Option<f64>, seed: u64) -> Division {
        Division { test_fraction, ..Division::new(splitter, Seed(seed)) }
    }

    /// How many groups each class is in: all, and those of a split.
    fn groups_of(classes: &[usize], groups: &[usize], keep: impl Fn(usize) -> bool) -> [usize; 4] {
        let in_class = |class| {
            let items = (0..classes.len()).filter(|&item| classes[item] == class && keep(item));
            items.map(|item| groups[item]).collect::<std::collections::BTreeSet<_>>().len()
        };
        std::array::from_fn(in_class)
    }

    proptest! {
        #[test]
        fn no_group_is_on_two_sides(
            (classes, groups) in data(), splitter in splitters(), test in proptest::option::of(0.05_f64..0.45), seed: u64,
        ) {
            let division = division(splitter, test, seed);
            let splits = division.assign(&classes, Some(&groups)).unwrap();
            prop_assert_eq!(&splits, &division.assign(&classes, Some(&groups)).unwrap());
            let mut sides = BTreeMap::new();
            for (group, split) in groups.iter().zip(&splits) {
                prop_assert_eq!(sides.entry(group).or_insert(split), &split);
            }
        }

        #[test]
        fn every_item_is_valid_in_exactly_one_fold((classes, groups) in data(), folds in 2_usize..6, seed: u64) {
            let mut times = vec![0; classes.len()];
            for fold in 0..folds {
                let splits = division(Splitter::KFold { folds, fold }, None, seed).assign(&classes, Some(&groups)).unwrap();
                (0..classes.len()).filter(|&item| splits[item] == Split::Valid).for_each(|item| times[item] += 1);
            }
            prop_assert!(times.iter().all(|&times| times == 1), "{times:?}");
        }

        #[test]
        fn a_class_of_several_groups_is_on_both_sides(
            pure in proptest::collection::vec((0_usize..4, 1_usize..8), 0..40), valid_fraction in 0.05_f64..0.5, seed: u64,
        ) {
            let classes: Vec<usize> = pure.iter().flat_map(|&(class, items)| vec![class; items]).collect();
            let groups: Vec<usize> = pure.iter().enumerate().flat_map(|(group, &(_, items))| vec![group; items]).collect();
            let splits = division(Splitter::Stratified { valid_fraction }, None, seed).assign(&classes, Some(&groups)).unwrap();
            let all = groups_of(&classes, &groups, |_| true);
            let held = groups_of(&classes, &groups, |item| splits[item] == Split::Valid);
            for class in 0..4 {
                if all[class] >= 2 { prop_assert!((1..all[class]).contains(&held[class]), "{held:?} of {all:?}"); }
            }
            // With a test set, three groups are enough for all three splits.
            let splits = division(Splitter::Stratified { valid_fraction }, Some(0.3), seed).assign(&classes, Some(&groups)).unwrap();
            let counts = Split::ALL.map(|split| groups_of(&classes, &groups, |item| splits[item] == split));
            for class in 0..4 {
                if all[class] >= 3 { prop_assert!(counts.iter().all(|count| count[class] >= 1), "{counts:?}"); }
            }
        }

        #[test]
        fn groups_of_one_are_as_even_as_no_groups(
            classes in proptest::collection::vec(0_usize..4, 0..120), valid_fraction in 0.05_f64..0.5, seed: u64,
        ) {
            let groups: Vec<usize> = (0..classes.len()).collect();
            let splits = division(Splitter::Stratified { valid_fraction }, None, seed).assign(&classes, Some(&groups)).unwrap();
            let all = groups_of(&classes, &groups, |_| true);
            let held = groups_of(&classes, &groups, |item| splits[item] == Split::Valid);
            for class in 0..4 {
                let ideal = all[class] as f64 * valid_fraction;
                prop_assert!((held[class] as f64 - ideal).abs() <= 1.0, "{held:?} of {all:?}");
            }
        }
    }

    #[test]
    fn shares_are_near_with_groups_of_many_sizes() {
        // 60 groups of 1 to 9 items, three classes.
        let sizes: Vec<usize> = (0..60).map(|group| 1 + group * 7 % 9).collect();
        let classes: Vec<usize> =
            sizes.iter().enumerate().flat_map(|(group, &items)| vec![group % 3; items]).collect();
        let groups: Vec<usize> =
            sizes.iter().enumerate().flat_map(|(group, &items)| vec![group; items]).collect();
        for seed in 0..20 {
            let splits = division(Splitter::default(), None, seed).assign(&classes, Some(&groups)).unwrap();
            for class in 0..3 {
                let count = |valid: bool| {
                    let of_class = (0..classes.len()).filter(|&item| classes[item] == class);
                    of_class.filter(|&item| !valid || splits[item] == Split::Valid).count() as f64
                };
                assert!((count(true) / count(false) - 0.2).abs() < 0.02, "seed {seed}, class {class}");
            }
        }
    }
}
