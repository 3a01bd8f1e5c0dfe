//! Blocking versions, for programs without an async runtime. In: the same as for the async functions. Out: the same.

use crate::error::GatherError;
use crate::refetch::{RefetchState, Refetched, refetch};
use crate::web::WebOptions;
use sciurus_photos::Ledger;
use std::path::Path;
use tokio::runtime::Runtime;

/// [`refetch`] on a runtime of its own.
///
/// # Errors
/// As for [`refetch`], or threads can't be started.
pub fn refetch_blocking(
    ledger: &Ledger,
    into: impl AsRef<Path>,
    web: &WebOptions,
    progress: impl FnMut(&str, &RefetchState),
) -> Result<Refetched, GatherError> {
    runtime()?.block_on(refetch(ledger, into, web, progress))
}

/// A runtime with threads, time and network.
pub(crate) fn runtime() -> Result<Runtime, GatherError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| GatherError::Network { source: Box::new(error) })
}
