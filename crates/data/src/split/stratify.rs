//! Stratified splits: the same share of each class. In: the class of every item. Out: the items that are held out, or
//! those of one fold.

use crate::seed::{Seed, purpose};
use rand::seq::SliceRandom;

/// What items are held out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Valid,
    Test,
}

impl Part {
    /// How many items of each class must be left: one to train on, and after drawing the test set also one to validate
    /// on.
    pub(crate) fn left(self) -> usize {
        match self {
            Self::Valid => 1,
            Self::Test => 2,
        }
    }

    /// The purpose of its random stream.
    pub(crate) fn purpose(self) -> u64 {
        match self {
            Self::Valid => purpose::SPLIT,
            Self::Test => purpose::TEST,
        }
    }
}

/// Shuffles each class separately and takes the same share of each.
pub(crate) fn hold_back(classes: &[usize], fraction: f64, part: Part, seed: Seed) -> Vec<usize> {
    let mut members = shuffled(classes, part.purpose(), seed);
    let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
    for (items, share) in members.iter_mut().zip(shares(&sizes, fraction, part.left())) {
        items.truncate(share);
    }
    members.concat()
}

/// The items of one fold: each class is dealt out like cards, starting where the class before it ended.
pub(crate) fn fold(classes: &[usize], folds: usize, fold: usize, seed: Seed) -> Vec<usize> {
    let dealt = shuffled(classes, purpose::FOLD, seed).concat();
    dealt.into_iter().skip(fold).step_by(folds.max(1)).collect()
}

/// The items of each class, shuffled.
fn shuffled(classes: &[usize], purpose: u64, seed: Seed) -> Vec<Vec<usize>> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes.iter().max().map_or(0, |most| most + 1)];
    for (item, &class) in classes.iter().enumerate() {
        members[class].push(item);
    }
    for (class, items) in members.iter_mut().enumerate() {
        items.shuffle(&mut seed.rng(&[purpose, class as u64]));
    }
    members
}

/// How many items of each class are held out. At least one if the class has more than `left`, and never so many that
/// fewer than `left` remain; within that, the total is as near to the fraction of all as possible, and each class as
/// near to its own share as possible.
fn shares(sizes: &[usize], fraction: f64, left: usize) -> Vec<usize> {
    let ideal = |class: usize| sizes[class] as f64 * fraction;
    let most = |class: usize| sizes[class].saturating_sub(left);
    let least = |class: usize| most(class).min(1);
    let mut shares: Vec<usize> =
        (0..sizes.len()).map(|class| (ideal(class) as usize).clamp(least(class), most(class))).collect();

    let target = (sizes.iter().sum::<usize>() as f64 * fraction).round() as usize;
    let lack = |class: usize, share: usize| ideal(class) - share as f64;
    while shares.iter().sum::<usize>() < target {
        let open = (0..sizes.len()).filter(|&class| shares[class] < most(class));
        // Reversed, because `max_by` returns the last of equals and ties go to the first class.
        let Some(class) = open.rev().max_by(|&a, &b| lack(a, shares[a]).total_cmp(&lack(b, shares[b])))
        else {
            break;
        };
        shares[class] += 1;
    }
    while shares.iter().sum::<usize>() > target {
        let open = (0..sizes.len()).filter(|&class| shares[class] > least(class));
        let Some(class) = open.min_by(|&a, &b| lack(a, shares[a]).total_cmp(&lack(b, shares[b]))) else {
            break;
        };
        shares[class] -= 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_fair() {
        assert_eq!(shares(&[172, 158], 0.2, 1), [34, 32]);
        assert_eq!(shares(&[2, 2, 2], 0.2, 1), [1, 1, 1]);
        assert_eq!(shares(&[10, 10, 10], 0.25, 1), [3, 3, 2]);
        assert_eq!(shares(&[2, 100], 0.9, 1), [1, 91]);
        assert_eq!(shares(&[1, 0, 9], 0.2, 1), [0, 0, 2]);
        assert_eq!(shares(&[1, 2, 3, 30], 0.2, 2), [0, 0, 1, 6]);
    }
}
