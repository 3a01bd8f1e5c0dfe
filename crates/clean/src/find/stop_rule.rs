//! Decides when a review may stop, and estimates how many errors are left. In: which of the reviewed items were wrong. Out:
//! [`StopRule::is_done`] and [`ErrorsLeft`].

use rand::seq::index;
use sciurus_data::{BadOption, Seed};
use serde::{Deserialize, Serialize};

use sciurus_insight::{InsightError, Interval, wilson};

/// When to stop reviewing a ranked queue: at the end of a page, when few of the last items were wrong.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `page` | 50 | items between two checks of the rule | at least 1 |
/// | `window` | 150 | last items that the rule looks at | at least 1 |
/// | `share` | 0.1 | stop when a smaller share of them was wrong | above 0, at most 1 |
///
/// ```
/// use sciurus_clean::find::StopRule;
///
/// let rule = StopRule::default().build()?;
/// let found: Vec<bool> = (0..500).map(|place| place < 60).collect();
/// assert!(!rule.is_done(&found[..150]));
/// assert_eq!(rule.shown(&found), 200);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StopRule {
    page: usize,
    window: usize,
    share: f64,
}

impl Default for StopRule {
    fn default() -> Self {
        Self { page: 50, window: 150, share: 0.1 }
    }
}

impl StopRule {
    /// The rule for a data set of `items` items: pages of a thirtieth of it (5 to 50 items), and a window of three pages. A
    /// reviewer sees about one window of right items after the last error, so with a small data set at most a tenth of it.
    ///
    /// ```
    /// use sciurus_clean::find::StopRule;
    ///
    /// assert_eq!(StopRule::of_set(100_000), StopRule::default());
    /// assert_eq!(StopRule::of_set(300), StopRule::default().page(10).window(30));
    /// ```
    #[must_use]
    pub fn of_set(items: usize) -> Self {
        let page = (items / 30).clamp(5, 50);
        Self::default().page(page).window(3 * page)
    }

    /// Items between two checks of the rule, at least 1.
    #[must_use]
    pub fn page(mut self, items: usize) -> Self {
        self.page = items;
        self
    }

    /// The last items that the rule looks at, at least 1.
    #[must_use]
    pub fn window(mut self, items: usize) -> Self {
        self.window = items;
        self
    }

    /// Stop when a smaller share of the window was wrong, above 0, at most 1.
    #[must_use]
    pub fn share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// The checked rule.
    ///
    /// # Errors
    /// If an option is out of its range.
    pub fn build(self) -> Result<Self, InsightError> {
        BadOption::check("page", self.page as f64, self.page > 0, "choose 1 or more")?;
        BadOption::check("window", self.window as f64, self.window > 0, "choose 1 or more")?;
        let is_valid = self.share > 0.0 && self.share <= 1.0;
        BadOption::check("share", self.share, is_valid, "choose a number above 0, at most 1")?;
        Ok(self)
    }

    /// Whether to stop after the items reviewed so far: `wrong`, in the order they were shown, is true for each wrong one.
    ///
    /// Only full pages count, and it's never true before a whole window was shown.
    #[must_use]
    pub fn is_done(self, wrong: &[bool]) -> bool {
        let pages = wrong.len() - wrong.len() % self.page;
        let Some(start) = pages.checked_sub(self.window) else { return false };
        let last = &wrong[start..pages];
        let found = last.iter().filter(|&&wrong| wrong).count();
        (found as f64) < self.share * self.window as f64
    }

    /// How many items a reviewer who follows the rule sees, where `wrong` is the truth in the queue's order.
    #[must_use]
    pub fn shown(self, wrong: &[bool]) -> usize {
        let ends = (1..).map(|pages| pages * self.page).take_while(|&end| end <= wrong.len());
        ends.into_iter().find(|&end| self.is_done(&wrong[..end])).unwrap_or(wrong.len())
    }
}

/// A random sample of the items that were not reviewed, to audit: positions below `items`, ascending; all of them if there are
/// no more than `size`.
#[must_use]
pub fn audit_sample(items: usize, size: usize, seed: Seed) -> Vec<usize> {
    let mut chosen = index::sample(&mut seed.rng(&[]), items, size.min(items)).into_vec();
    chosen.sort_unstable();
    chosen
}

/// How many errors are left among the items that were not reviewed, estimated from an audit of a random sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ErrorsLeft {
    /// The expected number of errors left, without those that the audit found (they have been corrected).
    pub estimate: f64,
    /// Its 95 % interval: Wilson's, for the items that nobody has looked at.
    pub interval: Interval,
}

impl ErrorsLeft {
    /// Estimates from the number of items not reviewed before the audit, the number audited, and the number of those that were
    /// wrong. Without an audit nothing is known, and the interval reaches from none to all.
    ///
    /// ```
    /// use sciurus_clean::find::ErrorsLeft;
    ///
    /// let left = ErrorsLeft::from_audit(1200, 200, 4);
    /// assert_eq!(left.estimate, 20.0);
    /// assert!(left.interval.low > 7.0 && left.interval.high < 51.0);
    /// assert_eq!(ErrorsLeft::from_audit(200, 200, 4).interval.high, 0.0);
    /// ```
    #[must_use]
    pub fn from_audit(not_reviewed: usize, audited: usize, wrong: usize) -> Self {
        let unseen = not_reviewed.saturating_sub(audited) as f64;
        let share = if audited == 0 { 0.5 } else { wrong.min(audited) as f64 / audited as f64 };
        let Interval { low, high } = wilson(wrong, audited);
        Self { estimate: share * unseen, interval: Interval { low: low * unseen, high: high * unseen } }
    }
}
