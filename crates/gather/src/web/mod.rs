//! Everything that uses the network. In: addresses of services that the user chose, and addresses of photos from
//! anywhere. Out: JSON, or a photo's bytes within limits, or the reason why not.

mod address;
mod api;
mod client;
mod fault;
mod fetch;
mod fields;
mod host;
mod options;
mod retry;
mod robots;

pub use address::is_public;
pub(crate) use api::{Api, ApiContext, Ask};
pub use fault::FetchFault;
pub(crate) use fetch::Fetcher;
pub(crate) use fields::Fields;
pub use options::WebOptions;
pub(crate) use robots::Robots;
