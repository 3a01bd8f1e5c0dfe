//! Photos with any number of labels each: what a model said about them in, thresholds, a table of labels and the items
//! with the largest losses out. Their metrics are beside the others.

mod any;
mod interpretation;
mod predictions;
mod thresholds;

pub use any::AnyPredictions;
pub use interpretation::{LabelScores, LabelTable, MultiInterpretation, MultiTopLoss, MultiTopLossTable};
pub use predictions::{MultiPredictions, sigmoid};
