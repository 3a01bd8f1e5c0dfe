//! The recipes for fitting: `fit`, `fit_one_cycle`, `fit_flat_cosine` and `fine_tune`, with fastai's defaults.

use serde::{Deserialize, Serialize};

use super::schedule::{CombinedCosine, HyperSchedule, LearningRates};
use sciurus_data::BadOption;

use crate::Error;
use crate::model::HeadStart;

/// fastai's divisor for the last learning rate.
const DIV_FINAL: f64 = 1e5;
/// The momentum of fastai's optimizer when it is not scheduled.
pub(super) const UNSCHEDULED_MOMENTUM: f64 = 0.9;

/// Options of [`Learner::fit_one_cycle`](crate::Learner::fit_one_cycle); fastai's `fit_one_cycle`.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `learning_rates` | `Same(1e-3)` | highest rate of each group | above 0 |
/// | `pct_start` | 0.25 | share of the fit that warms up | 0..1 |
/// | `div` | 25 | the first rate is the highest divided by this | at least 1 |
/// | `div_final` | 1e5 | the last rate is the highest divided by this | at least 1 |
/// | `momenta` | `[0.95, 0.85, 0.95]` | momentum at start, peak and end | 0..1 |
///
/// ```
/// use sciurus::OneCycle;
/// let options = OneCycle::new(3).learning_rates(2e-3).pct_start(0.3);
/// assert_eq!(options.epochs, 3);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OneCycle {
    /// Number of epochs.
    pub epochs: usize,
    /// Highest learning rate of each group.
    pub learning_rates: LearningRates,
    /// Share (0..1) of the fit that warms up.
    pub pct_start: f64,
    /// The first rate is the highest divided by this.
    pub div: f64,
    /// The last rate is the highest divided by this.
    pub div_final: f64,
    /// Momentum (0..1) at start, peak and end.
    pub momenta: [f64; 3],
}

impl OneCycle {
    /// fastai's defaults for this many epochs.
    pub fn new(epochs: usize) -> Self {
        Self {
            epochs,
            learning_rates: LearningRates::Same(1e-3),
            pct_start: 0.25,
            div: 25.0,
            div_final: DIV_FINAL,
            momenta: [0.95, 0.85, 0.95],
        }
    }

    /// Highest learning rate of each group.
    #[must_use]
    pub fn learning_rates(mut self, rates: impl Into<LearningRates>) -> Self {
        self.learning_rates = rates.into();
        self
    }

    /// Share (0..1) of the fit that warms up.
    #[must_use]
    pub fn pct_start(mut self, share: f64) -> Self {
        self.pct_start = share;
        self
    }

    /// The first rate is the highest divided by `first`, the last one the highest divided by `last`.
    #[must_use]
    pub fn divisors(mut self, first: f64, last: f64) -> Self {
        (self.div, self.div_final) = (first, last);
        self
    }

    /// Momentum (0..1) at start, peak and end.
    #[must_use]
    pub fn momenta(mut self, start: f64, peak: f64, end: f64) -> Self {
        self.momenta = [start, peak, end];
        self
    }

    pub(crate) fn schedule(&self, groups: usize) -> Result<HyperSchedule, Error> {
        check_epochs(self.epochs)?;
        check_rates(self.learning_rates)?;
        check_share(self.pct_start)?;
        if !(self.div >= 1.0 && self.div_final >= 1.0) {
            return Err(bad("div", self.div.min(self.div_final), "choose 1 or more"));
        }
        let rate = |highest: f64| CombinedCosine {
            pct_start: self.pct_start,
            start: highest / self.div,
            middle: highest,
            end: highest / self.div_final,
        };
        if let Some(wrong) = self.momenta.into_iter().find(|momentum| !(0.0..1.0).contains(momentum)) {
            return Err(bad("momenta", wrong, "choose 0 or more and less than 1"));
        }
        let [start, middle, end] = self.momenta;
        let momentum = CombinedCosine { pct_start: self.pct_start, start, middle, end };
        Ok(HyperSchedule::new(self.learning_rates.by_group(groups).into_iter().map(rate), momentum))
    }
}

impl From<usize> for OneCycle {
    fn from(epochs: usize) -> Self {
        Self::new(epochs)
    }
}

/// Options of [`Learner::fit_flat_cosine`](crate::Learner::fit_flat_cosine); fastai's `fit_flat_cos`.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `learning_rates` | `Same(1e-3)` | rate of each group before it decays | above 0 |
/// | `pct_start` | 0.75 | share of the fit with that rate | 0..1 |
/// | `div_final` | 1e5 | the last rate is the first divided by this | at least 1 |
///
/// ```
/// use sciurus::FlatCosine;
/// let options = FlatCosine::new(3).learning_rates(2e-3);
/// assert_eq!(options.pct_start, 0.75);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlatCosine {
    /// Number of epochs.
    pub epochs: usize,
    /// Learning rate of each group before it decays.
    pub learning_rates: LearningRates,
    /// Share (0..1) of the fit with that rate.
    pub pct_start: f64,
    /// The last rate is the first divided by this.
    pub div_final: f64,
}

impl FlatCosine {
    /// fastai's defaults for this many epochs.
    pub fn new(epochs: usize) -> Self {
        Self { epochs, learning_rates: LearningRates::Same(1e-3), pct_start: 0.75, div_final: DIV_FINAL }
    }

    /// Learning rate of each group before it decays.
    #[must_use]
    pub fn learning_rates(mut self, rates: impl Into<LearningRates>) -> Self {
        self.learning_rates = rates.into();
        self
    }

    /// Share (0..1) of the fit before the rate decays.
    #[must_use]
    pub fn pct_start(mut self, share: f64) -> Self {
        self.pct_start = share;
        self
    }

    pub(crate) fn schedule(&self, groups: usize) -> Result<HyperSchedule, Error> {
        check_epochs(self.epochs)?;
        check_rates(self.learning_rates)?;
        check_share(self.pct_start)?;
        if self.div_final < 1.0 || self.div_final.is_nan() {
            return Err(bad("div_final", self.div_final, "choose 1 or more"));
        }
        let rate = |flat: f64| CombinedCosine {
            pct_start: self.pct_start,
            start: flat,
            middle: flat,
            end: flat / self.div_final,
        };
        let rates = self.learning_rates.by_group(groups).into_iter().map(rate);
        Ok(HyperSchedule::new(rates, |_: f64| UNSCHEDULED_MOMENTUM))
    }
}

impl From<usize> for FlatCosine {
    fn from(epochs: usize) -> Self {
        Self::new(epochs)
    }
}

/// Options of [`Learner::fine_tune`](crate::Learner::fine_tune); fastai's `fine_tune`.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `freeze_epochs` | 1 | epochs that train the head and the norm layers only | 0 or more |
/// | `base_learning_rate` | 2e-3 | highest rate of the head while frozen; halved afterwards | above 0 |
/// | `lr_mult` | 100 | the first group's rate is the head's divided by this | at least 1 |
/// | `pct_start` | 0.3 | share of the unfrozen fit that warms up | 0..1 |
/// | `div` | 5 | the first unfrozen rate is the highest divided by this | at least 1 |
/// | `head_start` | `Random` | what the head begins with | |
///
/// ```
/// use sciurus::FineTune;
/// let options = FineTune::new(4).base_learning_rate(1e-3);
/// assert_eq!((options.freeze_epochs, options.lr_mult), (1, 100.0));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FineTune {
    /// Epochs that train the whole model.
    pub epochs: usize,
    /// Epochs that train the head and the norm layers only.
    pub freeze_epochs: usize,
    /// Highest learning rate of the head while frozen; halved afterwards.
    pub base_learning_rate: f64,
    /// The first group's rate is the head's divided by this.
    pub lr_mult: f64,
    /// Share (0..1) of the unfrozen fit that warms up.
    pub pct_start: f64,
    /// The first unfrozen rate is the highest divided by this.
    pub div: f64,
    /// What the head begins with, if the learner has not trained yet; fastai's is random for every network.
    pub head_start: HeadStart,
}

impl FineTune {
    /// fastai's defaults for this many unfrozen epochs.
    pub fn new(epochs: usize) -> Self {
        Self {
            epochs,
            freeze_epochs: 1,
            base_learning_rate: 2e-3,
            lr_mult: 100.0,
            pct_start: 0.3,
            div: 5.0,
            head_start: HeadStart::Auto,
        }
    }

    /// Highest learning rate of the head while frozen; halved afterwards.
    #[must_use]
    pub fn base_learning_rate(mut self, rate: f64) -> Self {
        self.base_learning_rate = rate;
        self
    }

    /// Epochs that train the head and the norm layers only.
    #[must_use]
    pub fn freeze_epochs(mut self, epochs: usize) -> Self {
        self.freeze_epochs = epochs;
        self
    }

    /// The first group's rate is the head's divided by this.
    #[must_use]
    pub fn lr_mult(mut self, divisor: f64) -> Self {
        self.lr_mult = divisor;
        self
    }

    /// Share (0..1) of the unfrozen fit that warms up.
    #[must_use]
    pub fn pct_start(mut self, share: f64) -> Self {
        self.pct_start = share;
        self
    }

    /// What the head begins with.
    #[must_use]
    pub fn head_start(mut self, start: HeadStart) -> Self {
        self.head_start = start;
        self
    }

    /// The first fit, with a frozen body.
    pub fn frozen(&self) -> OneCycle {
        OneCycle::new(self.freeze_epochs)
            .learning_rates(LearningRates::Head(self.base_learning_rate))
            .pct_start(0.99)
    }

    /// The second fit, of the whole model.
    pub fn unfrozen(&self) -> OneCycle {
        let head = self.base_learning_rate / 2.0;
        OneCycle::new(self.epochs)
            .learning_rates(LearningRates::Spread { first: head / self.lr_mult, head })
            .pct_start(self.pct_start)
            .divisors(self.div, DIV_FINAL)
    }
}

impl From<usize> for FineTune {
    fn from(epochs: usize) -> Self {
        Self::new(epochs)
    }
}

/// The schedule of a plain `fit`: constant rates and momentum.
pub(crate) fn constant(epochs: usize, rates: LearningRates, groups: usize) -> Result<HyperSchedule, Error> {
    check_epochs(epochs)?;
    check_rates(rates)?;
    let rates = rates.by_group(groups).into_iter().map(|rate| move |_: f64| rate);
    Ok(HyperSchedule::new(rates, |_: f64| UNSCHEDULED_MOMENTUM))
}

pub(super) fn check_epochs(epochs: usize) -> Result<(), Error> {
    if epochs == 0 { Err(bad("epochs", 0.0, "choose 1 or more")) } else { Ok(()) }
}

fn check_share(pct_start: f64) -> Result<(), Error> {
    let sensible = pct_start > 0.0 && pct_start < 1.0;
    if sensible { Ok(()) } else { Err(bad("pct_start", pct_start, "choose a share between 0 and 1")) }
}

fn check_rates(rates: LearningRates) -> Result<(), Error> {
    match rates.is_valid() {
        true => Ok(()),
        false => Err(Error::BadOption(BadOption {
            option: "learning_rate",
            value: rates.to_string(),
            advice: "choose a number above 0, such as 0.002",
        })),
    }
}

fn bad(option: &'static str, value: f64, expected: &'static str) -> Error {
    Error::BadOption(BadOption { option, value: value.to_string(), advice: expected })
}
