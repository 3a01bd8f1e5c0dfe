//! Decides when a review may stop, and estimates how many errors are left. In: which of the reviewed items were wrong, and the
//! scores of all. Out: [`StopRule::is_done`], [`expected_left`] and [`ErrorsLeft`].

use rand::seq::index;
use sciurus_data::{BadOption, Seed};
use serde::{Deserialize, Serialize};

use sciurus_insight::{InsightError, Interval, wilson};

use super::odds::{logistic, logit};

/// An item of a queue that was reviewed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reviewed {
    /// How probably something is wrong with it (0..=1), as the queue says.
    pub score: f64,
    /// Whether something was.
    pub wrong: bool,
}

/// When to stop reviewing a ranked queue: at the end of a page, when few of the last items were wrong, or when few errors are
/// expected to be left.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `page` | 50 | items between two checks of the rule | at least 1 |
/// | `window` | 150 | last items that the rule looks at | at least 1 |
/// | `share` | 0.1 | stop when a smaller share of them was wrong | above 0, at most 1 |
/// | `left` | 0.03 | stop when a smaller share of all errors is expected to be left, and a smaller share than `share` of the last page was wrong, from the second page on | 0..1 |
///
/// ```
/// use sciurus_clean::find::{Reviewed, StopRule};
///
/// let rule = StopRule::default().build()?;
/// // A queue that says nothing of its items: then what was found among the last three pages decides.
/// let all: Vec<Reviewed> = (0..500).map(|place| Reviewed { score: 0.5, wrong: place < 60 }).collect();
/// assert_eq!(rule.shown(&all), 200);
/// // The sure ones come first, and nothing is promised of the rest.
/// let score = |place| if place < 60 { 0.97 } else { 0.001 };
/// let all: Vec<Reviewed> = (0..500).map(|place| Reviewed { score: score(place), wrong: place < 60 }).collect();
/// assert_eq!(rule.shown(&all), 150);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StopRule {
    page: usize,
    window: usize,
    share: f64,
    left: f64,
}

impl Default for StopRule {
    fn default() -> Self {
        Self { page: 50, window: 150, share: 0.1, left: 0.03 }
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

    /// Stop when a smaller share of all errors is expected to be left, 0..1; 0 for never.
    #[must_use]
    pub fn left(mut self, share: f64) -> Self {
        self.left = share;
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
        let is_valid = (0.0..1.0).contains(&self.left);
        BadOption::check("left", self.left, is_valid, "choose a number from 0 to below 1")?;
        Ok(self)
    }

    /// Whether to stop after the items reviewed so far, in the order they were shown; `coming` are the scores of all others.
    ///
    /// Only full pages count, and it's never true before the second page.
    #[must_use]
    pub fn is_done(self, reviewed: &[Reviewed], coming: &[f64]) -> bool {
        let pages = reviewed.len() / self.page;
        let shown = &reviewed[..pages * self.page];
        self.finds_little(shown)
            || (pages >= 2 && self.expects_little(shown, &reviewed[shown.len()..], coming))
    }

    /// Whether few of the last window were wrong.
    fn finds_little(self, shown: &[Reviewed]) -> bool {
        let last = shown.len().checked_sub(self.window).map(|start| wrong(&shown[start..]));
        last.is_some_and(|found| (found as f64) < self.share * self.window as f64)
    }

    /// Whether few of the last page were wrong, and few errors are expected to be left.
    fn expects_little(self, shown: &[Reviewed], begun: &[Reviewed], coming: &[f64]) -> bool {
        let last = wrong(&shown[shown.len() - self.page..]) as f64;
        if last >= self.share * self.page as f64 {
            return false;
        }
        let rest: Vec<f64> = begun.iter().map(|item| item.score).chain(coming.iter().copied()).collect();
        let left = expected_left(shown, &rest);
        left < self.left * (wrong(shown) as f64 + left)
    }

    /// How many items a reviewer who follows the rule sees, where `all` is the whole queue with the truth about each item.
    #[must_use]
    pub fn shown(self, all: &[Reviewed]) -> usize {
        let scores: Vec<f64> = all.iter().map(|item| item.score).collect();
        let ends = (1..).map(|pages| pages * self.page).take_while(|&end| end <= all.len());
        ends.into_iter().find(|&end| self.is_done(&all[..end], &scores[end..])).unwrap_or(all.len())
    }
}

fn wrong(items: &[Reviewed]) -> usize {
    items.iter().filter(|item| item.wrong).count()
}

/// How far the log-odds of scores may be shifted, and how far their slope may be from 1, a priori: standard deviations.
const SHIFT: f64 = 1.5;
const TILT: f64 = 0.5;
/// Scores don't get flatter than this, however little they were worth so far.
const FLATTEST: f64 = 0.2;
/// Steps of Newton's method; it takes about six.
const STEPS: usize = 30;

/// The expected number of errors among items with these scores (each 0..=1), given what was found among others.
///
/// Scores promise something, and a review shows how much that's worth: the probability of an error is
/// `logistic(a + b logit(score))` with `a ~ N(0, 1.5²)` and `b ~ N(1, 0.5²)`, at the most probable `a` and `b`. Without a review
/// that's the sum of the scores. (Platt scaling, 1999, with a prior in place of its counts.)
///
/// ```
/// use sciurus_clean::find::{Reviewed, expected_left};
///
/// assert!((expected_left(&[], &[0.1; 50]) - 5.0).abs() < 1e-9);
/// // Whoever finds every second where one in ten was promised, expects more of the rest.
/// let found: Vec<Reviewed> = (0..40).map(|n| Reviewed { score: 0.1, wrong: n % 2 == 0 }).collect();
/// assert!(expected_left(&found, &[0.1; 50]) > 15.0);
/// ```
#[must_use]
pub fn expected_left(reviewed: &[Reviewed], scores: &[f64]) -> f64 {
    let (shift, slope) = worth(reviewed);
    scores.iter().map(|score| logistic(shift + slope * promised(*score))).sum()
}

/// The most probable shift and slope of the scores' log-odds: Newton's method, with steps halved until they help.
fn worth(reviewed: &[Reviewed]) -> (f64, f64) {
    let seen: Vec<(f64, bool)> = reviewed.iter().map(|item| (promised(item.score), item.wrong)).collect();
    // The negative logarithm of the posterior, but for a constant.
    let loss = |[shift, slope]: [f64; 2]| {
        let prior = (shift / SHIFT).powi(2) + ((slope - 1.0) / TILT).powi(2);
        let surprise = |&(odds, wrong): &(f64, bool)| {
            let odds = shift + slope * odds;
            // ln(1 + exp(x)) without an overflow.
            let odds = if wrong { -odds } else { odds };
            odds.max(0.0) + (-odds.abs()).exp().ln_1p()
        };
        prior / 2.0 + seen.iter().map(surprise).sum::<f64>()
    };
    let mut at = [0.0, 1.0];
    let mut least = loss(at);
    for _ in 0..STEPS {
        let mut step = newton(&seen, at);
        let next = |step: [f64; 2]| [at[0] + step[0], at[1] + step[1]];
        while loss(next(step)) > least && step.iter().any(|step| step.abs() > 1e-9) {
            step = step.map(|step| step / 2.0);
        }
        at = next(step);
        least = loss(at);
        if step.iter().all(|step| step.abs() < 1e-6) {
            break;
        }
    }
    (at[0], at[1].max(FLATTEST))
}

/// A step of Newton's method from a shift and a slope.
fn newton(seen: &[(f64, bool)], [shift, slope]: [f64; 2]) -> [f64; 2] {
    let mut gradient = [-shift / SHIFT.powi(2), (1.0 - slope) / TILT.powi(2)];
    let mut curvature = [SHIFT.powi(-2), 0.0, TILT.powi(-2)];
    for &(odds, wrong) in seen {
        let probability = logistic(shift + slope * odds);
        let (miss, weight) = (f64::from(u8::from(wrong)) - probability, probability * (1.0 - probability));
        gradient[0] += miss;
        gradient[1] += miss * odds;
        curvature[0] += weight;
        curvature[1] += weight * odds;
        curvature[2] += weight * odds * odds;
    }
    // The prior keeps the determinant above 0.
    let determinant = curvature[0] * curvature[2] - curvature[1] * curvature[1];
    [
        (curvature[2] * gradient[0] - curvature[1] * gradient[1]) / determinant,
        (curvature[0] * gradient[1] - curvature[1] * gradient[0]) / determinant,
    ]
}

/// The log-odds that a score promises. A review can't correct one that is surer than these bounds.
fn promised(score: f64) -> f64 {
    logit(score.clamp(1e-6, 1.0 - 1e-6))
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
