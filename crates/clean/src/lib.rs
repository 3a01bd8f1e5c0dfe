//! Cleans a data set: finds what is wrong with its labels and photos, records what was decided, and moves files (and moves
//! them back).
//!
//! * [`find`]: takes predictions, embeddings and pixel reports; gives a queue of suspects with evidence;
//! * [`plan`]: what happens to each image, the [`Journal`](plan::Journal) of decisions, and moves that survive a kill and
//!   can be undone;
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
