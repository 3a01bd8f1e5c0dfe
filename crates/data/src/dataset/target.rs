//! Ground truth: an item's one class, or all classes it shows. In: classes of items. Out: [`Target`] for one item,
//! [`Targets`] for several of one kind.

use serde::{Deserialize, Serialize};

/// The ground truth of one item. In JSON: a class, or a list of classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// Exactly one label: its class.
    Single(usize),
    /// Multi-label: its classes, ascending; there may be none.
    Multi(Vec<usize>),
}

impl Target {
    /// Its classes: exactly one, unless it's multi-label.
    #[must_use]
    pub fn classes(&self) -> &[usize] {
        match self {
            Self::Single(class) => std::slice::from_ref(class),
            Self::Multi(classes) => classes,
        }
    }
}

/// The ground truth of several items of one kind, `[item]`. In JSON: a list of classes, or of lists of classes.
///
/// ```
/// use sciurus_data::{Target, Targets};
///
/// let one: Targets = [Target::Single(1), Target::Single(0)].into_iter().collect();
/// assert_eq!(one, Targets::Single(vec![1, 0]));
/// let many: Targets = [Target::Multi(vec![0, 2]), Target::Multi(vec![])].into_iter().collect();
/// assert_eq!((many.len(), many.classes(0), many.classes(1)), (2, &[0, 2][..], &[][..]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Targets {
    /// One class per item.
    Single(Vec<usize>),
    /// Multi-label: the classes of each item, ascending.
    Multi(Vec<Vec<usize>>),
}

impl Default for Targets {
    /// No items.
    fn default() -> Self {
        Self::Single(Vec::new())
    }
}

impl Targets {
    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Single(classes) => classes.len(),
            Self::Multi(rows) => rows.len(),
        }
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The classes of item `i`; empty if there's no such item.
    #[must_use]
    pub fn classes(&self, i: usize) -> &[usize] {
        match self {
            Self::Single(classes) => classes.get(i).map_or(&[], std::slice::from_ref),
            Self::Multi(rows) => rows.get(i).map_or(&[], Vec::as_slice),
        }
    }

    /// The classes of every item, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[usize]> {
        (0..self.len()).map(|i| self.classes(i))
    }

    /// Those of some items, by index; indices from [`len`](Self::len) on are left out.
    #[must_use]
    pub fn at(&self, places: &[usize]) -> Self {
        match self {
            Self::Single(classes) => {
                Self::Single(places.iter().filter_map(|&i| classes.get(i).copied()).collect())
            }
            Self::Multi(rows) => Self::Multi(places.iter().filter_map(|&i| rows.get(i).cloned()).collect()),
        }
    }
}

impl FromIterator<Target> for Targets {
    /// Single-label if all items are, else multi-label.
    fn from_iter<I: IntoIterator<Item = Target>>(targets: I) -> Self {
        let mut all = Self::default();
        for target in targets {
            all = match (all, target) {
                (Self::Single(mut classes), Target::Single(class)) => {
                    classes.push(class);
                    Self::Single(classes)
                }
                (all, target) => {
                    let mut rows: Vec<Vec<usize>> = match all {
                        Self::Multi(rows) => rows,
                        Self::Single(classes) => classes.into_iter().map(|class| vec![class]).collect(),
                    };
                    rows.push(target.classes().to_vec());
                    Self::Multi(rows)
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
            (Targets::Single(vec![1, 0]), "[1,0]"),
            (Targets::Multi(vec![vec![0, 2], vec![]]), "[[0,2],[]]"),
            (Targets::default(), "[]"),
        ] {
            assert_eq!(serde_json::to_string(&targets).unwrap(), text);
            assert_eq!(serde_json::from_str::<Targets>(text).unwrap(), targets);
        }
        assert_eq!(serde_json::to_string(&Target::Single(3)).unwrap(), "3");
        assert_eq!(serde_json::from_str::<Target>("[3]").unwrap(), Target::Multi(vec![3]));
    }

    #[test]
    fn some_items_keep_their_kind() {
        let many = Targets::Multi(vec![vec![0], vec![], vec![1, 2]]);
        assert_eq!(many.at(&[2, 1]), Targets::Multi(vec![vec![1, 2], vec![]]));
        assert_eq!(many.at(&[]), Targets::Multi(vec![]));
        assert_eq!(Targets::Single(vec![4, 5]).at(&[1, 7]), Targets::Single(vec![5]));
        let mixed: Targets = [Target::Single(1), Target::Multi(vec![])].into_iter().collect();
        assert_eq!(mixed, Targets::Multi(vec![vec![1], vec![]]));
    }
}
