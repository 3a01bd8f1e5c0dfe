//! Imbalanced classes: weights for a loss, and an order in which every class is equally likely. In: how many items each
//! class has. Out: a weight per class, or the items of an epoch.

use crate::dataset::ItemId;
use crate::seed::Rng;
use rand::RngExt;
use rand::seq::SliceRandom;

/// A weight per class, inversely proportional to its items, with a mean of 1: `[class]`. A class without items gets
/// weight 1, which is never used, and doesn't count in the mean.
///
/// Source: scikit-learn's `compute_class_weight("balanced")` (after King and Zeng 2001, "Logistic regression in rare
/// events data"), `items / (classes · items of the class)`, divided by its mean, so that the same learning rate still
/// suits.
///
/// ```
/// use sciurus_data::class_weights;
///
/// assert_eq!(class_weights(&[30, 10]), [0.5, 1.5]);
/// assert_eq!(class_weights(&[7, 0, 7]), [1.0, 1.0, 1.0]);
/// ```
#[must_use]
pub fn class_weights(counts: &[usize]) -> Vec<f32> {
    let inverse = |&count: &usize| if count == 0 { 0.0 } else { 1.0 / count as f64 };
    let present = counts.iter().filter(|&&count| count > 0).count();
    let mean = counts.iter().map(inverse).sum::<f64>() / present.max(1) as f64;
    counts.iter().map(|count| if *count == 0 { 1.0 } else { (inverse(count) / mean) as f32 }).collect()
}

/// A weight per label for the items that have it, so that items with and without it count the same:
/// `items without / items with`, PyTorch's `pos_weight`; 1 for a label that no item or every item has. In: the number
/// of items with each label, and of all items.
///
/// Source: PyTorch's documentation of `BCEWithLogitsLoss`.
///
/// ```
/// use sciurus_data::positive_weights;
///
/// assert_eq!(positive_weights(&[100, 300, 0, 400], 400), [3.0, 1.0 / 3.0, 1.0, 1.0]);
/// ```
#[must_use]
pub fn positive_weights(counts: &[usize], items: usize) -> Vec<f64> {
    let weight = |&with: &usize| match items.saturating_sub(with) {
        without if with > 0 && without > 0 => without as f64 / with as f64,
        _ => 1.0,
    };
    counts.iter().map(weight).collect()
}

/// An item in an epoch, and how often it was drawn before in that epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draw {
    pub(crate) item: ItemId,
    pub(crate) repeat: u64,
}

/// The items of a class as a deck of cards: dealt to its end, then shuffled again.
#[derive(Debug)]
struct Deck {
    items: Vec<ItemId>,
    next: usize,
    round: u64,
}

impl Deck {
    fn draw(&mut self, rng: &mut Rng) -> Option<Draw> {
        if self.next == self.items.len() {
            (self.next, self.round) = (0, self.round + 1);
        }
        if self.next == 0 {
            self.items.shuffle(rng);
        }
        let draw = Draw { item: *self.items.get(self.next)?, repeat: self.round };
        self.next += 1;
        Some(draw)
    }
}

/// As many draws as there are items. Each draws a class, all equally likely, and then the next item of that class. So
/// the items of a class are drawn equally often, give or take one.
pub(crate) fn balanced(items: &[ItemId], class: impl Fn(ItemId) -> usize, rng: &mut Rng) -> Vec<Draw> {
    let mut decks: Vec<Deck> = Vec::new();
    for &item in items {
        let class = class(item);
        while decks.len() <= class {
            decks.push(Deck { items: Vec::new(), next: 0, round: 0 });
        }
        decks[class].items.push(item);
    }
    decks.retain(|deck| !deck.items.is_empty());
    if decks.is_empty() {
        return Vec::new();
    }
    let draw = |_: &ItemId| {
        let deck = rng.random_range(0..decks.len());
        decks[deck].draw(rng)
    };
    items.iter().filter_map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn weights_make_classes_equal(counts in proptest::collection::vec(0_usize..1000, 0..9)) {
            let weights = class_weights(&counts);
            let present: Vec<usize> = (0..counts.len()).filter(|&class| counts[class] > 0).collect();
            for &class in &present {
                let share = weights[class] * counts[class] as f32;
                let first = weights[present[0]] * counts[present[0]] as f32;
                prop_assert!((share / first - 1.0).abs() < 1e-5, "{weights:?}");
            }
            prop_assert!((0..counts.len()).all(|class| counts[class] > 0 || weights[class] == 1.0));
            if !present.is_empty() {
                let mean = present.iter().map(|&class| weights[class]).sum::<f32>() / present.len() as f32;
                prop_assert!((mean - 1.0).abs() < 1e-5, "{weights:?}");
            }
        }

        #[test]
        fn classes_are_equally_likely_and_items_come_equally_often(
            sizes in proptest::collection::vec(1_usize..200, 1..5), seed: u64,
        ) {
            let classes: Vec<usize> = sizes.iter().enumerate().flat_map(|(class, &items)| vec![class; items]).collect();
            let items: Vec<ItemId> = (0..classes.len() as u32).map(ItemId).collect();
            let draw = || balanced(&items, |item| classes[item.index()], &mut Seed(seed).rng(&[]));
            let draws = draw();
            prop_assert_eq!(&draws, &draw());
            prop_assert_eq!(draws.len(), items.len());
            let mut times: HashMap<ItemId, u64> = HashMap::new();
            for draw in &draws {
                let before = times.entry(draw.item).or_default();
                prop_assert_eq!(*before, draw.repeat);
                *before += 1;
            }
            for class in 0..sizes.len() {
                let of_class: Vec<u64> = items.iter().filter(|item| classes[item.index()] == class)
                    .map(|item| times.get(item).copied().unwrap_or(0)).collect();
                prop_assert!(of_class.iter().max().unwrap() - of_class.iter().min().unwrap() <= 1, "{of_class:?}");
                // Five and a half standard deviations of a binomial distribution.
                let (all, part) = (items.len() as f64, 1.0 / sizes.len() as f64);
                let far = (of_class.iter().sum::<u64>() as f64 - all * part).abs();
                prop_assert!(far <= 5.5 * (all * part * (1.0 - part)).sqrt() + 1.0, "{far} of {all}");
            }
        }
    }
}
