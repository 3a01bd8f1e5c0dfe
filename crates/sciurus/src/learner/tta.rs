//! Test-time augmentation: averages the predictions for several views of a photo.

use serde::{Deserialize, Serialize};

use sciurus_data::BadOption;

use crate::Error;

/// Options of [`Learner::tta`](crate::Learner::tta); fastai's `tta`.
///
/// The result is `(1 - beta) * mean of the augmented views + beta * plain view`, in probabilities. The plain view's
/// predictions are those of [`Learner::predictions`](crate::Learner::predictions).
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `views` | 4 | augmented views of each photo | at least 1 |
/// | `beta` | 0.25 | share of the plain view | 0..=1 |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tta {
    /// Augmented views of each photo.
    pub views: usize,
    /// Share (0..=1) of the plain view.
    pub beta: f64,
}

impl Default for Tta {
    fn default() -> Self {
        Self { views: 4, beta: 0.25 }
    }
}

impl Tta {
    /// This many augmented views, with fastai's share of the plain view.
    pub fn new(views: usize) -> Self {
        Self { views, ..Self::default() }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        BadOption::check("tta", self.views as f64, self.views > 0, "choose 1 or more views")?;
        let parts = [("beta", self.beta, (0.0..=1.0).contains(&self.beta))];
        Ok(BadOption::check_parts("tta", &parts, "choose a share from 0 to 1")?)
    }

    pub(super) fn mix(&self, augmented: f64, plain: f64) -> f32 {
        (augmented + self.beta * (plain - augmented)) as f32
    }
}
