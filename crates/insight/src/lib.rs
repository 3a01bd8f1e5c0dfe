//! Metrics and interpretation of predictions.

mod data_stand_in;
use data_stand_in as sciurus_data;

mod error;
mod interval;
mod json_file;
mod measured;
mod metric;
mod predictions;
mod softmax;

pub use data_stand_in::{ItemId, Vocab};
pub use error::InsightError;
pub use interval::{Interval, MistakeWeight, mistake_weight, wilson};
pub use measured::Measured;
pub use metric::{Accuracy, ErrorRate, Metric};
pub use predictions::{Embeddings, Predictions};
