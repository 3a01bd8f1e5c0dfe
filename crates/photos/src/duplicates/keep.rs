//! Which of several copies to keep. In: the photos and the members of a group. Out: the member to keep, and why that
//! one.

use crate::duplicates::Photo;
use serde::{Deserialize, Serialize};
use std::cmp::{Ordering, Reverse};
use std::fmt;

/// Why a copy is the one to keep: the first of these in which it beats all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeepReason {
    /// It's a file, not a symbolic link: a link would break when its target is moved away as a copy.
    NoLink,
    /// It has the best known licence.
    BestLicence,
    /// It has the most pixels.
    Largest,
    /// It has the finest details, by a tenth at least.
    Sharpest,
    /// It was taken first, by its camera's clock.
    OldestTaken,
    /// Its file has been unchanged for longest.
    OldestFile,
    /// Its file has the most bytes, so it was compressed the least.
    MostBytes,
    /// Nothing tells the copies apart; it's the first of them.
    First,
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoLink => "a file, not a link",
            Self::BestLicence => "best licence",
            Self::Largest => "largest",
            Self::Sharpest => "sharpest",
            Self::OldestTaken => "oldest, by its camera's clock",
            Self::OldestFile => "oldest file",
            Self::MostBytes => "least compressed",
            Self::First => "first of equals",
        })
    }
}

/// The reasons, in the order in which they decide.
const REASONS: [KeepReason; 7] = [
    KeepReason::NoLink,
    KeepReason::BestLicence,
    KeepReason::Largest,
    KeepReason::Sharpest,
    KeepReason::OldestTaken,
    KeepReason::OldestFile,
    KeepReason::MostBytes,
];

/// The member to keep, and the reason that finally decided. `members` must not be empty.
pub(crate) fn choose(photos: &[Photo<'_>], members: &[usize]) -> (usize, KeepReason) {
    let mut left = members.to_vec();
    for reason in REASONS {
        let better = |&a: &usize, &b: &usize| rank(reason, &photos[a], &photos[b]);
        let Some(&best) = left.iter().min_by(|a, b| better(a, b)) else { break };
        left.retain(|member| better(member, &best) == Ordering::Equal);
        if left.len() == 1 {
            return (best, reason);
        }
    }
    (left.first().copied().unwrap_or_default(), KeepReason::First)
}

/// `Less` if the first is better; unknown values come last.
fn rank(reason: KeepReason, a: &Photo<'_>, b: &Photo<'_>) -> Ordering {
    let by = |key: fn(&Photo<'_>) -> Option<u64>| {
        let known_first = |photo| key(photo).map_or((true, 0), |key| (false, key));
        known_first(a).cmp(&known_first(b))
    };
    let (taken_a, taken_b) = (&a.report.taken, &b.report.taken);
    match reason {
        KeepReason::NoLink => a.is_link.cmp(&b.is_link),
        KeepReason::BestLicence => by(|photo| photo.licence.map(u64::from)),
        KeepReason::Largest => by(|photo| Some(u64::MAX - pixels(photo))),
        KeepReason::Sharpest => Reverse(tenths(a)).cmp(&Reverse(tenths(b))),
        KeepReason::OldestTaken => (taken_a.is_none(), taken_a).cmp(&(taken_b.is_none(), taken_b)),
        KeepReason::OldestFile => by(|photo| photo.modified),
        KeepReason::MostBytes => by(|photo| Some(u64::MAX - photo.report.bytes)),
        KeepReason::First => Ordering::Equal,
    }
}

fn pixels(photo: &Photo<'_>) -> u64 {
    u64::from(photo.report.width) * u64::from(photo.report.height)
}

/// Sharpness in steps of a tenth, so that noise doesn't decide.
fn tenths(photo: &Photo<'_>) -> i64 {
    (photo.report.measures.sharpness.max(1e-9).ln() / 1.1_f64.ln()).round() as i64
}
