//! Which of several copies to keep. In: the photos and the members of a group. Out: the member, and why that one.

use crate::duplicates::Photo;
use serde::{Deserialize, Serialize};
use std::cmp::{Ordering, Reverse};
use std::fmt;

/// Why a copy is the one to keep: the first of these in which it is ahead of all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeepReason {
    /// It is a file and no symbolic link: a link to a copy that is moved would lead nowhere.
    NoLink,
    /// Its licence is the best one that is known.
    BestLicence,
    /// It has the most pixels.
    Largest,
    /// It has the finest details, by a tenth at least.
    Sharpest,
    /// Its camera wrote the earliest time, and it has one.
    OldestTaken,
    /// Its file has not been changed for the longest time.
    OldestFile,
    /// Its file has the most bytes: it was squeezed the least.
    MostBytes,
    /// Nothing tells them apart; it stands first.
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

/// In the order in which they decide.
const REASONS: [KeepReason; 7] = [
    KeepReason::NoLink,
    KeepReason::BestLicence,
    KeepReason::Largest,
    KeepReason::Sharpest,
    KeepReason::OldestTaken,
    KeepReason::OldestFile,
    KeepReason::MostBytes,
];

/// The member to keep, and the reason that decided last: those before it left several. `members` is not empty.
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

/// `Less` if the first is better; what is not known comes last.
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

/// Sharpness in steps of a tenth, so that noise decides nothing.
fn tenths(photo: &Photo<'_>) -> i64 {
    (photo.report.measures.sharpness.max(1e-9).ln() / 1.1_f64.ln()).round() as i64
}
