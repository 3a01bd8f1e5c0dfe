//! Which items the model learns from and which it is measured on. In: the class of every item and a seed. Out: a
//! [`Split`] for every item.

use crate::error::DataError;
use crate::item::Split;
use crate::seed::{Seed, purpose};
use rand::seq::SliceRandom;
use rand_mt::Mt;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How items are divided into train and valid.
///
/// ```
/// use sciurus_data::{Seed, Split, Splitter};
///
/// // Eight red squirrels and two grey ones: each class gives its share to the validation set.
/// let classes = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
/// let splits = Splitter::default().assign(&classes, Seed(42))?;
/// assert_eq!(splits.iter().filter(|split| **split == Split::Valid).count(), 2);
/// assert_ne!(splits[8], splits[9]);
/// # Ok::<(), sciurus_data::DataError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Splitter {
    /// Shuffles each class by itself and takes the same share of each. Every class with two or more images is in both
    /// parts, and the total is as near to the fraction as that allows.
    ///
    /// On small sets this is better than chance: of 30 images of a rare class, a fifth drawn at random from everything
    /// may well be 2 or 11, and then the measured error says more about the draw than about the model.
    Stratified {
        /// Share of the images that are held back, above 0 and below 1.
        valid_fraction: f64,
    },
    /// fastai's `RandomSplitter`, exactly: the same seed gives the same images as in Python, if they are listed in the
    /// same order. The first `int(valid_fraction * n)` of `torch.randperm(n)` are valid.
    Random {
        /// Share of the images that are held back, above 0 and below 1.
        valid_fraction: f64,
    },
    /// By the folders `train`, `valid` (or `val` or `validation`) and `test`.
    Folder,
}

impl fmt::Display for Splitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stratified { valid_fraction } => {
                write!(f, "stratified, {valid_fraction} of each class is valid")
            }
            Self::Random { valid_fraction } => write!(f, "random, {valid_fraction} of all is valid"),
            Self::Folder => f.write_str("as the folders say"),
        }
    }
}

impl Default for Splitter {
    fn default() -> Self {
        Self::Stratified { valid_fraction: 0.2 }
    }
}

impl Splitter {
    /// Divides items, given the class of each. `Folder` has nothing to divide: its items all stay in train.
    ///
    /// # Errors
    ///
    /// When `valid_fraction` is not above 0 and below 1.
    pub fn assign(&self, classes: &[usize], seed: Seed) -> Result<Vec<Split>, DataError> {
        let valid = match *self {
            Self::Stratified { valid_fraction } => stratified(classes, checked(valid_fraction)?, seed),
            Self::Random { valid_fraction } => random(classes.len(), checked(valid_fraction)?, seed),
            Self::Folder => Vec::new(),
        };
        let mut splits = vec![Split::Train; classes.len()];
        for item in valid {
            splits[item] = Split::Valid;
        }
        Ok(splits)
    }
}

fn checked(valid_fraction: f64) -> Result<f64, DataError> {
    let sensible = valid_fraction > 0.0 && valid_fraction < 1.0;
    if sensible { Ok(valid_fraction) } else { Err(DataError::ValidFraction { valid_fraction }) }
}

fn random(items: usize, valid_fraction: f64, seed: Seed) -> Vec<usize> {
    let mut order = torch_randperm(items, seed);
    order.truncate((valid_fraction * items as f64) as usize);
    order
}

/// `torch.randperm(n)` after `torch.manual_seed(seed)`, on the CPU: a Fisher-Yates shuffle driven by MT19937, which
/// uses the low 32 bits of the seed.
fn torch_randperm(items: usize, seed: Seed) -> Vec<usize> {
    let mut generator = Mt::new(seed.0 as u32);
    let mut order: Vec<usize> = (0..items).collect();
    for place in 0..items.saturating_sub(1) {
        let step = generator.next_u32() as usize % (items - place);
        order.swap(place, place + step);
    }
    order
}

fn stratified(classes: &[usize], valid_fraction: f64, seed: Seed) -> Vec<usize> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes.iter().max().map_or(0, |most| most + 1)];
    for (item, &class) in classes.iter().enumerate() {
        members[class].push(item);
    }
    let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
    let shares = shares(&sizes, valid_fraction);
    for (class, items) in members.iter_mut().enumerate() {
        items.shuffle(&mut seed.rng(&[purpose::SPLIT, class as u64]));
        items.truncate(shares[class]);
    }
    members.concat()
}

/// How many of each class are held back: at least one and not all of a class with two or more, none of a class with
/// one; the total as near as can be to the fraction of all; and each class as near as can be to its own share.
fn shares(sizes: &[usize], valid_fraction: f64) -> Vec<usize> {
    let ideal = |class: usize| sizes[class] as f64 * valid_fraction;
    let most = |class: usize| sizes[class].saturating_sub(1);
    let least = |class: usize| most(class).min(1);
    let mut shares: Vec<usize> =
        (0..sizes.len()).map(|class| (ideal(class) as usize).clamp(least(class), most(class))).collect();

    let target = (sizes.iter().sum::<usize>() as f64 * valid_fraction).round() as usize;
    let lack = |class: usize, share: usize| ideal(class) - share as f64;
    while shares.iter().sum::<usize>() < target {
        let open = (0..sizes.len()).filter(|&class| shares[class] < most(class));
        // Ties go to the first class, as `max_by` would give them to the last.
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
    use proptest::prelude::*;

    #[test]
    fn shares_are_fair() {
        assert_eq!(shares(&[172, 158], 0.2), [34, 32]);
        assert_eq!(shares(&[2, 2, 2], 0.2), [1, 1, 1]);
        assert_eq!(shares(&[10, 10, 10], 0.25), [3, 3, 2]);
        assert_eq!(shares(&[2, 100], 0.9), [1, 91]);
        assert_eq!(shares(&[1, 0, 9], 0.2), [0, 0, 2]);
    }

    #[test]
    fn fractions_outside_0_to_1_are_refused() {
        for valid_fraction in [0.0, 1.0, -0.1, 1.5, f64::NAN] {
            for splitter in [Splitter::Stratified { valid_fraction }, Splitter::Random { valid_fraction }] {
                assert!(splitter.assign(&[0, 1, 0, 1], Seed(1)).is_err(), "{splitter:?}");
            }
        }
    }

    #[test]
    fn golden_random_splitter_is_fastai_s() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../tests/golden/split.json")).unwrap();
        let cases = golden["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 15);
        for case in cases {
            let (items, seed) = (case["n"].as_u64().unwrap() as usize, Seed(case["seed"].as_u64().unwrap()));
            let order: Vec<usize> = serde_json::from_value(case["randperm"].clone()).unwrap();
            assert_eq!(torch_randperm(items, seed), order);
            assert_eq!(random(items, 0.2, seed), order[..case["n_valid"].as_u64().unwrap() as usize]);
        }
    }

    proptest! {
        #[test]
        fn stratified_splits_are_complete_repeatable_and_hold_every_class(
            classes in proptest::collection::vec(0_usize..5, 0..200),
            valid_fraction in 0.01_f64..0.99,
            seed: u64,
        ) {
            let splitter = Splitter::Stratified { valid_fraction };
            let splits = splitter.assign(&classes, Seed(seed)).unwrap();
            prop_assert_eq!(&splits, &splitter.assign(&classes, Seed(seed)).unwrap());
            prop_assert_eq!(splits.len(), classes.len());
            let count = |class, split| (0..classes.len()).filter(|&i| classes[i] == class && splits[i] == split).count();
            let (mut valid, mut bounds) = (0, (0, 0));
            for class in 0..5 {
                let (train, held) = (count(class, Split::Train), count(class, Split::Valid));
                if train + held >= 2 { prop_assert!(train >= 1 && held >= 1); }
                valid += held;
                bounds.0 += usize::from(train + held >= 2);
                bounds.1 += (train + held).saturating_sub(1);
            }
            // The total is the one nearest to the fraction that the classes allow.
            let target = (classes.len() as f64 * valid_fraction).round() as usize;
            prop_assert_eq!(valid, target.clamp(bounds.0, bounds.1));
        }

        #[test]
        fn random_splits_are_complete_and_repeatable(items in 0_usize..300, valid_fraction in 0.01_f64..0.99, seed: u64) {
            let splitter = Splitter::Random { valid_fraction };
            let splits = splitter.assign(&vec![0; items], Seed(seed)).unwrap();
            prop_assert_eq!(&splits, &splitter.assign(&vec![0; items], Seed(seed)).unwrap());
            let valid = splits.iter().filter(|split| **split == Split::Valid).count();
            prop_assert_eq!(valid, (valid_fraction * items as f64) as usize);
        }
    }
}
