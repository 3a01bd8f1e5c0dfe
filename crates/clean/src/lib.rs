//! A data set cleaned: what is wrong with its labels and photos, what was decided about each, and files moved there and back.
//!
//! * [`find`]: predictions, embeddings and pixel reports in, a queue of suspicions with their evidence out;
//! * [`plan`]: what is to become of each image, the [`Journal`](plan::Journal) of what was decided, and moves that survive
//!   a kill and can be taken back;
//! * [`CleanReport`]: a plan as one HTML page.
//!
//! No tensors, no printing. The model that looks at the photos comes from `sciurus`, which drives all of this.

mod error;
pub mod find;
mod issue;
mod page;
pub mod plan;

pub use error::CleanError;
pub use issue::Issue;
pub use page::CleanReport;
