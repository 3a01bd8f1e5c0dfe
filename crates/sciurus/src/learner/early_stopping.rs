//! An observer that ends a fit when the validation loss stops improving.

use super::event::{Control, Event, Observer};
use crate::Error;

/// Ends a fit after `patience` epochs in a row whose validation loss was not below the best one by more than `min_change`;
/// fastai's `EarlyStoppingCallback` with `monitor="valid_loss"`. Each fit counts anew: when the head alone stops improving,
/// the whole network is trained next.
///
/// ```
/// use sciurus::EarlyStopping;
/// let stopping = EarlyStopping::new(2).min_change(0.01);
/// assert_eq!(stopping.patience, 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStopping {
    /// Epochs without improvement after which the fit ends; at least 1.
    pub patience: usize,
    /// How much lower a loss must be to count as an improvement (nats, 0 or more).
    pub min_change: f64,
    best: f64,
    waited: usize,
}

impl EarlyStopping {
    /// Ends a fit after this many epochs (at least 1) without a lower validation loss.
    pub fn new(patience: usize) -> Self {
        Self { patience: patience.max(1), min_change: 0.0, best: f64::INFINITY, waited: 0 }
    }

    /// How much lower a loss must be to count as an improvement (nats).
    #[must_use]
    pub fn min_change(mut self, nats: f64) -> Self {
        self.min_change = nats;
        self
    }

    fn see(&mut self, valid_loss: f64) {
        if valid_loss < self.best - self.min_change {
            (self.best, self.waited) = (valid_loss, 0);
        } else {
            self.waited += 1;
        }
    }
}

impl Observer for EarlyStopping {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        match event {
            Event::FitStarted { .. } => (self.best, self.waited) = (f64::INFINITY, 0),
            Event::Resumed { rows, epoch, .. } => {
                rows[rows.len().saturating_sub(*epoch)..].iter().for_each(|row| self.see(row.valid_loss));
            }
            Event::EpochEnded(epoch) => self.see(epoch.valid_loss),
            _ => {}
        }
        Ok(if self.waited >= self.patience { Control::EndFit } else { Control::Continue })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learner::{EpochRecord, Phase};

    fn row(epoch: usize, valid_loss: f64) -> EpochRecord {
        EpochRecord {
            phase: Phase::Unfrozen,
            epoch,
            train_loss: 0.5,
            valid_loss,
            metrics: vec![],
            elapsed: std::time::Duration::ZERO,
            waited: std::time::Duration::ZERO,
            images_per_second: 1.0,
        }
    }

    fn started() -> Event {
        Event::FitStarted { phase: Phase::Unfrozen, epochs: 9, steps: 1, valid_steps: 1, metrics: vec![] }
    }

    /// The epoch after which a fit with these losses ends.
    fn ends_after(stopping: &mut EarlyStopping, losses: &[f64]) -> Option<usize> {
        stopping.observe(&started()).unwrap();
        (0..losses.len())
            .find(|&i| stopping.observe(&Event::EpochEnded(row(i, losses[i]))).unwrap() == Control::EndFit)
    }

    #[test]
    fn a_fit_ends_when_patience_does_and_each_fit_begins_anew() {
        let losses = [0.9, 0.8, 0.85, 0.81, 0.7, 0.71];
        assert_eq!(ends_after(&mut EarlyStopping::new(1), &losses), Some(2));
        let mut two = EarlyStopping::new(2);
        assert_eq!(ends_after(&mut two, &losses), Some(3));
        assert_eq!(ends_after(&mut two, &losses), Some(3));
        assert_eq!(ends_after(&mut EarlyStopping::new(3), &losses), None);
        assert_eq!(ends_after(&mut EarlyStopping::new(1).min_change(0.15), &losses), Some(1));
    }

    #[test]
    fn a_resumed_fit_remembers_its_own_epochs_only() {
        let mut stopping = EarlyStopping::new(2);
        stopping.observe(&started()).unwrap();
        let rows = vec![row(0, 0.1), row(0, 0.5), row(1, 0.6)];
        assert_eq!(stopping.observe(&Event::Resumed { rows, epoch: 2, step: 0 }).unwrap(), Control::Continue);
        assert_eq!(stopping.observe(&Event::EpochEnded(row(2, 0.55))).unwrap(), Control::EndFit);
    }
}
