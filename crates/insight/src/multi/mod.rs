//! Multi-label predictions. In: logits or probabilities. Out: thresholds, a table of labels and the items with the
//! largest losses. Their metrics are next to the others.

mod any;
mod interpretation;
mod predictions;
mod thresholds;

pub use any::AnyPredictions;
pub use interpretation::{LabelScores, LabelTable, MultiInterpretation, MultiTopLoss, MultiTopLossTable};
pub use predictions::{MultiPredictions, sigmoid};
