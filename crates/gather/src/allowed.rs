//! Which licences a photo may have. In: what was asked for, and whether a source states licences. Out: yes or no.

use sciurus_photos::Licence;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The licences that are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Licences {
    /// All but [`Licence::AllRightsReserved`] and [`Licence::Other`]; [`Licence::Unknown`] only from sources that never
    /// state licences, which are used only if the user names them.
    #[default]
    AnyKnown,
    /// Only these.
    Only(BTreeSet<Licence>),
}

impl Licences {
    /// Whether a photo with this licence may be kept, depending on whether its source states licences.
    pub(crate) fn allow(&self, licence: Licence, source: Telling) -> bool {
        match self {
            Self::Only(allowed) => allowed.contains(&licence),
            Self::AnyKnown => match licence {
                Licence::AllRightsReserved | Licence::Other => false,
                Licence::Unknown => source == Telling::Never,
                _ => true,
            },
        }
    }

    /// The Creative Commons licences among those allowed.
    pub(crate) fn creative_commons(&self) -> Vec<Licence> {
        let allowed = |licence: &Licence| self.allow(*licence, Telling::Always);
        Licence::CREATIVE_COMMONS.into_iter().filter(allowed).collect()
    }
}

/// Whether a source states the licence of its photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Telling {
    /// For every photo.
    Always,
    /// For none.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_or_unknown_needs_to_be_asked_for() {
        let any = Licences::default();
        assert!(any.allow(Licence::ByNcNd, Telling::Always) && any.allow(Licence::Unknown, Telling::Never));
        assert!(!any.allow(Licence::Unknown, Telling::Always));
        assert!(!any.allow(Licence::AllRightsReserved, Telling::Never));
        assert!(!any.allow(Licence::Other, Telling::Always));
        let only = Licences::Only([Licence::By].into());
        assert!(only.allow(Licence::By, Telling::Always) && !only.allow(Licence::Unknown, Telling::Never));
        assert_eq!(only.creative_commons(), [Licence::By]);
    }
}
