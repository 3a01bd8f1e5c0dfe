//! An observer that ends a fit which no longer gets better.

use super::event::{Control, Event, Observer};
use crate::Error;

/// Ends a fit after `patience` epochs in which the validation loss was not below the best one by more than `min_change`;
/// fastai's `EarlyStoppingCallback` with its `monitor="valid_loss"`.
///
/// ```
/// use sciurus::EarlyStopping;
/// let stopping = EarlyStopping::new(2).min_change(0.01);
/// assert_eq!(stopping.patience, 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStopping {
    /// Epochs without a better loss that end the fit; at least 1.
    pub patience: usize,
    /// How much lower a loss must be to be better (nats, 0 or more).
    pub min_change: f64,
    best: f64,
    waited: usize,
}

impl EarlyStopping {
    /// Ends a fit after this many epochs (at least 1) without a lower validation loss.
    pub fn new(patience: usize) -> Self {
        Self { patience: patience.max(1), min_change: 0.0, best: f64::INFINITY, waited: 0 }
    }

    /// How much lower a loss must be to be better (nats).
    #[must_use]
    pub fn min_change(mut self, nats: f64) -> Self {
        self.min_change = nats;
        self
    }
}

impl Observer for EarlyStopping {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        match event {
            Event::FitStarted { .. } => (self.best, self.waited) = (f64::INFINITY, 0),
            Event::EpochEnded(epoch) if epoch.valid_loss < self.best - self.min_change => {
                (self.best, self.waited) = (epoch.valid_loss, 0);
            }
            Event::EpochEnded(_) => self.waited += 1,
            _ => {}
        }
        Ok(if self.waited >= self.patience { Control::Stop } else { Control::Continue })
    }
}
