//! From a data set to batches: decoded once, transformed in each epoch, and mixed or balanced on request.

mod balance;
mod batch;
mod loader;
mod memory;
mod mix;
mod sheet;
mod store;

pub use balance::{class_weights, positive_weights};
pub use batch::{Batch, Mixed};
pub use loader::{Batches, LastBatch, Loader, LoaderOptions, MOST_THREADS, Order};
pub use mix::Mix;
pub use sheet::sheet;
pub use store::{PhotoStore, PhotoStoreOptions};
