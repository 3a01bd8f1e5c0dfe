//! Everything that touches the network. In: addresses of services that the user chose, and addresses of photos that came
//! from anywhere. Out: JSON, or bytes of a photo within limits, or the reason why not.

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
