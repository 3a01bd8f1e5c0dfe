//! Which items the model is trained on, and which it's validated and tested on. In: the class of every item, perhaps
//! its group, and a seed. Out: a [`Split`] for every item.

use crate::error::DataError;
use crate::option::BadOption;
mod group;
mod iterative;
mod stratify;

use crate::dataset::Split;
use crate::dataset::Targets;
use crate::seed::Seed;
use group::Groups;
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
    /// Shuffles each class separately and takes the same share of each. Every class with two or more images is in both
    /// parts, and the total is as near to the fraction as that allows.
    ///
    /// On small data sets this beats chance. Draw a fifth of everything at random, and of 30 images of a rare class you
    /// may well get 2 or 11; the error rate then says more about the draw than about the model.
    Stratified {
        /// Share of the images in the validation set, above 0 and below 1.
        valid_fraction: f64,
    },
    /// fastai's `RandomSplitter`, exactly: the same seed gives the same images as in Python, if they are listed in the
    /// same order. The first `int(valid_fraction * n)` of `torch.randperm(n)` are valid.
    Random {
        /// Share of the images in the validation set, above 0 and below 1.
        valid_fraction: f64,
    },
    /// Cross-validation: every image is in the validation set of exactly one fold, and in train in all others. Each
    /// fold has its share of each class. The folds differ by at most one image, in total and within each class (with
    /// groups: as near as those allow).
    KFold {
        /// How many parts there are, 2 or more.
        folds: usize,
        /// Which part is the validation set this time: 0..folds.
        fold: usize,
    },
    /// By the folders `train`, `valid` (or `val` or `validation`) and `test`.
    Folder,
    /// By the split column of a CSV file.
    Column,
}

impl fmt::Display for Splitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stratified { valid_fraction } => {
                write!(f, "stratified, {valid_fraction} of each class is valid")
            }
            Self::Random { valid_fraction } => write!(f, "random, {valid_fraction} of all is valid"),
            Self::KFold { folds, fold } => {
                write!(f, "fold {fold} of 0 to {} is valid", folds.saturating_sub(1))
            }
            Self::Folder => f.write_str("as the folders say"),
            Self::Column => f.write_str("as the split column says"),
        }
    }
}

/// The default share of the photos in the validation set: fastai's.
pub(crate) const DEFAULT_VALID_FRACTION: f64 = 0.2;

impl Default for Splitter {
    fn default() -> Self {
        Self::Stratified { valid_fraction: DEFAULT_VALID_FRACTION }
    }
}

impl Splitter {
    /// Assigns a split to each item, given its class. `Folder` and `Column` have nothing to decide here: their items
    /// all stay in train. See [`Division`] for test sets and groups.
    ///
    /// # Errors
    /// `valid_fraction` is not above 0 and below 1, or there is no such fold.
    pub fn assign(&self, classes: &[usize], seed: Seed) -> Result<Vec<Split>, DataError> {
        Division::new(*self, seed).assign(classes, None)
    }

    /// Whether the data's own split is used.
    #[must_use]
    pub fn is_given(&self) -> bool {
        matches!(self, Self::Folder | Self::Column)
    }
}

/// How items are divided into train, valid and test.
///
/// The test set is drawn first, stratified, from its own stream of random numbers, so it's the same for every
/// `valid_fraction` and every fold.
///
/// ```
/// use sciurus_data::{Division, Seed, Split, Splitter};
///
/// // Ten photos of five animals, two of each: the model is never validated on an animal it was trained on.
/// let (classes, animals) = ([0, 0, 0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
/// let splits = Division::new(Splitter::default(), Seed(42)).assign(&classes, Some(&animals))?;
/// assert!(splits.chunks(2).all(|animal| animal[0] == animal[1]));
/// # Ok::<(), sciurus_data::DataError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Division {
    /// How valid is separated from train.
    pub splitter: Splitter,
    /// Share of all images held out for one final test, above 0 and below 1; `None`: no test set.
    pub test_fraction: Option<f64>,
    /// Seed of all draws.
    pub seed: Seed,
}

impl Division {
    /// A division into train and valid.
    #[must_use]
    pub fn new(splitter: Splitter, seed: Seed) -> Self {
        Self { splitter, test_fraction: None, seed }
    }

    /// Share of all images held out for one final test, above 0 and below 1.
    #[must_use]
    pub fn test_fraction(mut self, test_fraction: f64) -> Self {
        self.test_fraction = Some(test_fraction);
        self
    }

    /// Assigns a split to each item, given its class, and its group if groups must stay together. Both are `[item]`,
    /// numbers from 0.
    ///
    /// # Errors
    /// A fraction is not above 0 and below 1, the two leave nothing to train on, there is no such fold, or `groups` and
    /// `classes` differ in length.
    pub fn assign(&self, classes: &[usize], groups: Option<&[usize]>) -> Result<Vec<Split>, DataError> {
        self.assign_targets(&Targets::Single(classes.to_vec()), groups)
    }

    /// The same for multi-label items: each part gets its share of each label, and of the items without one, as near as
    /// items with several labels allow.
    ///
    /// Source: Sechidis et al. 2011, "On the Stratification of Multi-label Data" (iterative stratification).
    ///
    /// ```
    /// use sciurus_data::{Division, Seed, Split, Splitter, Targets};
    ///
    /// // Ten photos: all with a tree, four with a bird, two of those with a nest too.
    /// let mut photos = vec![vec![2]; 10];
    /// photos[..4].fill(vec![0, 2]);
    /// photos[..2].fill(vec![0, 1, 2]);
    /// let splits = Division::new(Splitter::default(), Seed(42)).assign_targets(&Targets::Multi(photos), None)?;
    /// assert_ne!(splits[0], splits[1]);
    /// assert_eq!(splits.iter().filter(|split| **split == Split::Valid).count(), 2);
    /// # Ok::<(), sciurus_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`assign`](Self::assign).
    pub fn assign_targets(
        &self,
        targets: &Targets,
        groups: Option<&[usize]>,
    ) -> Result<Vec<Split>, DataError> {
        self.check(targets.len(), groups)?;
        let mut splits = vec![Split::Train; targets.len()];
        if self.splitter.is_given() {
            return Ok(splits);
        }
        let mut open: Vec<usize> = (0..targets.len()).collect();
        if let Some(fraction) = self.test_fraction {
            let groups = groups.map(|groups| Groups::new(targets, groups));
            let test = hold_back((targets, groups.as_ref()), fraction, stratify::Part::Test, self.seed);
            test.into_iter().for_each(|item| splits[item] = Split::Test);
            open.retain(|&item| splits[item] != Split::Test);
        }
        let of_open = |all: &[usize]| -> Vec<usize> { open.iter().map(|&item| all[item]).collect() };
        let valid = self.valid(&targets.at(&open), groups.map(of_open).as_deref(), targets.len());
        valid.into_iter().for_each(|place| splits[open[place]] = Split::Valid);
        Ok(splits)
    }

    /// Which of the items outside the test set are valid. `all` counts the test set too.
    fn valid(&self, targets: &Targets, groups: Option<&[usize]>, all: usize) -> Vec<usize> {
        let (seed, part) = (self.seed, stratify::Part::Valid);
        let groups = groups.map(|groups| Groups::new(targets, groups));
        match (self.splitter, groups) {
            (Splitter::Stratified { valid_fraction }, groups) => {
                // Without a test set the fraction is used as it is, to the last bit, so that old runs can be repeated.
                let rest = targets.len();
                let share =
                    if rest == all { valid_fraction } else { valid_fraction * all as f64 / rest as f64 };
                hold_back((targets, groups.as_ref()), share, part, seed)
            }
            (Splitter::Random { valid_fraction }, groups) => {
                let count = (valid_fraction * all as f64) as usize;
                match groups {
                    None => random(targets.len(), count, seed),
                    Some(groups) => group::random(&groups, count, seed),
                }
            }
            (Splitter::KFold { folds, fold }, None) => match targets {
                Targets::Single(classes) => stratify::fold(classes, folds, fold, seed),
                Targets::Multi(rows) => iterative::fold(rows, folds, fold, seed),
            },
            (Splitter::KFold { folds, fold }, Some(groups)) => group::fold(&groups, folds, fold, seed),
            (Splitter::Folder | Splitter::Column, _) => Vec::new(),
        }
    }

    fn check(&self, items: usize, groups: Option<&[usize]>) -> Result<(), DataError> {
        let wrong =
            |option, value: String, advice| Err(DataError::Option(BadOption { option, value, advice }));
        let test = self.test_fraction.unwrap_or(0.0);
        if self.test_fraction.is_some() && !(test > 0.0 && test < 1.0) {
            return wrong(
                "test_fraction",
                test.to_string(),
                "choose a number above 0 and below 1, such as 0.2",
            );
        }
        match self.splitter {
            Splitter::Stratified { valid_fraction } | Splitter::Random { valid_fraction } => {
                if !(valid_fraction > 0.0 && valid_fraction < 1.0) {
                    return Err(DataError::ValidFraction { valid_fraction });
                }
                if valid_fraction + test >= 1.0 {
                    let advice =
                        "valid and test together leave nothing to train on; choose smaller fractions";
                    return wrong(
                        "valid_fraction + test_fraction",
                        (valid_fraction + test).to_string(),
                        advice,
                    );
                }
            }
            Splitter::KFold { folds, fold } if folds < 2 || fold >= folds => {
                let advice = "choose 2 or more folds, and a fold from 0 to one less than folds";
                return wrong("fold", format!("{fold} of {folds}"), advice);
            }
            Splitter::KFold { .. } | Splitter::Folder | Splitter::Column => {}
        }
        match groups {
            Some(groups) if groups.len() != items => {
                wrong("groups", groups.len().to_string(), "pass one for each item")
            }
            _ => Ok(()),
        }
    }
}

/// Holds out a share of each class or label, in whole groups if there are any.
fn hold_back(
    (targets, groups): (&Targets, Option<&Groups>),
    fraction: f64,
    part: stratify::Part,
    seed: Seed,
) -> Vec<usize> {
    match (groups, targets) {
        (Some(groups), _) => group::hold_back(groups, fraction, part, seed),
        (None, Targets::Single(classes)) => stratify::hold_back(classes, fraction, part, seed),
        (None, Targets::Multi(rows)) => iterative::hold_back(rows, fraction, part, seed),
    }
}

fn random(items: usize, count: usize, seed: Seed) -> Vec<usize> {
    let mut order = torch_randperm(items, seed);
    order.truncate(count);
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn fractions_outside_0_to_1_are_refused() {
        for valid_fraction in [0.0, 1.0, -0.1, 1.5, f64::NAN] {
            for splitter in [Splitter::Stratified { valid_fraction }, Splitter::Random { valid_fraction }] {
                assert!(splitter.assign(&[0, 1, 0, 1], Seed(1)).is_err(), "{splitter:?}");
            }
        }
    }

    #[test]
    fn divisions_that_make_no_sense_are_refused() {
        let said = |splitter, test: f64, groups: Option<&[usize]>| {
            let division = Division::new(splitter, Seed(1)).test_fraction(test);
            division.assign(&[0, 1, 0, 1], groups).unwrap_err().to_string()
        };
        let fifth = Splitter::default();
        assert!(said(fifth, 1.0, None).starts_with("test_fraction is 1; choose"));
        assert!(said(fifth, f64::NAN, None).starts_with("test_fraction is NaN; choose"));
        assert!(said(fifth, 0.8, None).starts_with("valid_fraction + test_fraction is 1; valid and test"));
        for (folds, fold) in [(1, 0), (0, 0), (5, 5)] {
            let said = said(Splitter::KFold { folds, fold }, 0.2, None);
            assert!(said.starts_with(&format!("fold is {fold} of {folds}; choose 2 or more")), "{said}");
        }
        assert_eq!(said(fifth, 0.2, Some(&[0])), "groups is 1; pass one for each item");
    }

    #[test]
    fn golden_random_splitter_is_fastai_s() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/split.json")).unwrap();
        let cases = golden["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 15);
        for case in cases {
            let (items, seed) = (case["n"].as_u64().unwrap() as usize, Seed(case["seed"].as_u64().unwrap()));
            let order: Vec<usize> = serde_json::from_value(case["randperm"].clone()).unwrap();
            assert_eq!(torch_randperm(items, seed), order);
            let valid = case["n_valid"].as_u64().unwrap() as usize;
            let splits = Splitter::Random { valid_fraction: 0.2 }.assign(&vec![0; items], seed).unwrap();
            let held: BTreeSet<usize> = (0..items).filter(|&item| splits[item] == Split::Valid).collect();
            assert_eq!(held, order[..valid].iter().copied().collect());
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
            // The total is the nearest to the fraction that the classes allow.
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

        #[test]
        fn a_test_split_is_the_same_whatever_is_valid(
            classes in proptest::collection::vec(0_usize..4, 0..150),
            (valid, test) in (0.05_f64..0.45, 0.05_f64..0.45),
            seed: u64,
        ) {
            let tested = |splitter| {
                let splits = Division::new(splitter, Seed(seed)).test_fraction(test).assign(&classes, None).unwrap();
                splits.into_iter().map(|split| split == Split::Test).collect::<Vec<_>>()
            };
            let first = tested(Splitter::Stratified { valid_fraction: valid });
            prop_assert_eq!(&first, &tested(Splitter::Random { valid_fraction: valid }));
            prop_assert_eq!(&first, &tested(Splitter::KFold { folds: 3, fold: 1 }));
            let splits = Division::new(Splitter::Stratified { valid_fraction: valid }, Seed(seed))
                .test_fraction(test).assign(&classes, None).unwrap();
            for class in 0..4 {
                let count = |wanted| (0..classes.len()).filter(|&i| classes[i] == class && splits[i] == wanted).count();
                let counts = Split::ALL.map(count);
                // Three images of a class are enough for all three splits: two go to train and valid.
                match counts.iter().sum() {
                    0 => {}
                    1 => prop_assert_eq!(counts, [1, 0, 0]),
                    2 => prop_assert_eq!(counts, [1, 1, 0]),
                    _ => prop_assert!(counts.iter().all(|&count| count > 0), "{counts:?}"),
                }
            }
        }

        #[test]
        fn every_item_is_valid_in_exactly_one_fold_and_folds_are_even(
            classes in proptest::collection::vec(0_usize..4, 0..150),
            folds in 2_usize..7,
            test in proptest::option::of(0.05_f64..0.5),
            seed: u64,
        ) {
            let mut times = vec![0; classes.len()];
            let (mut sizes, mut tested) = (BTreeSet::new(), None);
            let mut of_class = vec![BTreeSet::new(); 4];
            for fold in 0..folds {
                let division = Division { test_fraction: test, ..Division::new(Splitter::KFold { folds, fold }, Seed(seed)) };
                let splits = division.assign(&classes, None).unwrap();
                let valid: Vec<usize> = (0..classes.len()).filter(|&i| splits[i] == Split::Valid).collect();
                valid.iter().for_each(|&i| times[i] += 1);
                sizes.insert(valid.len());
                for (class, counts) in of_class.iter_mut().enumerate() {
                    counts.insert(valid.iter().filter(|&&i| classes[i] == class).count());
                }
                let held: Vec<bool> = splits.iter().map(|split| *split == Split::Test).collect();
                prop_assert_eq!(tested.get_or_insert(held.clone()), &held);
            }
            let tested = tested.unwrap();
            prop_assert!((0..classes.len()).all(|i| times[i] == usize::from(!tested[i])));
            for counts in of_class.iter().chain([&sizes]) {
                prop_assert!(counts.last().unwrap() - counts.first().unwrap() <= 1, "{counts:?}");
            }
        }
    }
}
