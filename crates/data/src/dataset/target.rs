//! What is true of an item: its one class, or all classes that it shows. In: classes of items. Out: [`Target`] for one
//! item, [`Targets`] for many of one kind.

use serde::{Deserialize, Serialize};

/// The truth about one item. In JSON: a class, or a list of classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// It has exactly one label: its class.
    One(usize),
    /// It may have any number of labels, none too: their classes, rising.
    Many(Vec<usize>),
}

impl Target {
    /// Its classes: one, or any number.
    #[must_use]
    pub fn classes(&self) -> &[usize] {
        match self {
            Self::One(class) => std::slice::from_ref(class),
            Self::Many(classes) => classes,
        }
    }
}

/// The truth about several items of one kind, `[item]`. In JSON: a list of classes, or of lists of classes.
///
/// ```
/// use sciurus_data::{Target, Targets};
///
/// let one: Targets = [Target::One(1), Target::One(0)].into_iter().collect();
/// assert_eq!(one, Targets::One(vec![1, 0]));
/// let many: Targets = [Target::Many(vec![0, 2]), Target::Many(vec![])].into_iter().collect();
/// assert_eq!((many.len(), many.classes(0), many.classes(1)), (2, &[0, 2][..], &[][..]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Targets {
    /// Each item has exactly one class.
    One(Vec<usize>),
    /// Each item has any number of classes, rising.
    Many(Vec<Vec<usize>>),
}

impl Default for Targets {
    /// Of no items.
    fn default() -> Self {
        Self::One(Vec::new())
    }
}

impl Targets {
    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::One(classes) => classes.len(),
            Self::Many(rows) => rows.len(),
        }
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The classes of item `i`; none if there is no such item.
    #[must_use]
    pub fn classes(&self, i: usize) -> &[usize] {
        match self {
            Self::One(classes) => classes.get(i).map_or(&[], std::slice::from_ref),
            Self::Many(rows) => rows.get(i).map_or(&[], Vec::as_slice),
        }
    }

    /// The classes of every item, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[usize]> {
        (0..self.len()).map(|i| self.classes(i))
    }

    /// Those of some items, by their places below [`len`](Self::len); places beyond are left out.
    #[must_use]
    pub fn at(&self, places: &[usize]) -> Self {
        match self {
            Self::One(classes) => Self::One(places.iter().filter_map(|&i| classes.get(i).copied()).collect()),
            Self::Many(rows) => Self::Many(places.iter().filter_map(|&i| rows.get(i).cloned()).collect()),
        }
    }
}

impl FromIterator<Target> for Targets {
    /// One class each if all items are so, else any number each.
    fn from_iter<I: IntoIterator<Item = Target>>(targets: I) -> Self {
        let mut all = Self::default();
        for target in targets {
            all = match (all, target) {
                (Self::One(mut classes), Target::One(class)) => {
                    classes.push(class);
                    Self::One(classes)
                }
                (all, target) => {
                    let mut rows: Vec<Vec<usize>> = match all {
                        Self::Many(rows) => rows,
                        Self::One(classes) => classes.into_iter().map(|class| vec![class]).collect(),
                    };
                    rows.push(target.classes().to_vec());
                    Self::Many(rows)
                }
            };
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_travel_through_json_as_plain_lists() {
        for (targets, text) in [
            (Targets::One(vec![1, 0]), "[1,0]"),
            (Targets::Many(vec![vec![0, 2], vec![]]), "[[0,2],[]]"),
            (Targets::default(), "[]"),
        ] {
            assert_eq!(serde_json::to_string(&targets).unwrap(), text);
            assert_eq!(serde_json::from_str::<Targets>(text).unwrap(), targets);
        }
        assert_eq!(serde_json::to_string(&Target::One(3)).unwrap(), "3");
        assert_eq!(serde_json::from_str::<Target>("[3]").unwrap(), Target::Many(vec![3]));
    }

    #[test]
    fn some_items_keep_their_kind() {
        let many = Targets::Many(vec![vec![0], vec![], vec![1, 2]]);
        assert_eq!(many.at(&[2, 1]), Targets::Many(vec![vec![1, 2], vec![]]));
        assert_eq!(many.at(&[]), Targets::Many(vec![]));
        assert_eq!(Targets::One(vec![4, 5]).at(&[1, 7]), Targets::One(vec![5]));
        let mixed: Targets = [Target::One(1), Target::Many(vec![])].into_iter().collect();
        assert_eq!(mixed, Targets::Many(vec![vec![1], vec![]]));
    }
}
