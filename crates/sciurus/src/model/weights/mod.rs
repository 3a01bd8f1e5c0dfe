//! Pretrained weights: finds them, downloads them if necessary, checks them, and loads them into a model.
//!
//! In: an architecture and a [`WeightSource`]. Out: the model with those weights, and a [`WeightsRecord`]. Reading a weight file
//! never runs anything in it. This is the only module of the crate that uses the network.

#[cfg(feature = "train")]
mod archive;
#[cfg(feature = "train")]
mod checkpoint;
#[cfg(feature = "train")]
mod download;
#[cfg(feature = "train")]
mod entry;
#[cfg(feature = "train")]
mod file;
#[cfg(feature = "train")]
mod pickle;
mod record;
#[cfg(feature = "train")]
mod source;

#[cfg(feature = "train")]
pub use download::{Download, DownloadProgress};
#[cfg(feature = "train")]
pub use file::read;
pub use record::WeightsRecord;
#[cfg(feature = "train")]
pub use source::{WeightPlaces, WeightSource, load_body};
#[cfg(feature = "train")]
pub(crate) use source::{arrive, is_at_hand, sha256_of, write_body};
