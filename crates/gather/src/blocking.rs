//! For programs that have no runtime: the same functions on one of their own.

use crate::error::GatherError;
use crate::refetch::{RefetchState, Refetched, refetch};
use crate::web::WebOptions;
use sciurus_photos::Ledger;
use std::path::Path;
use tokio::runtime::Runtime;

/// [`refetch`] on a runtime of its own.
///
/// # Errors
///
/// As [`refetch`], or threads cannot be started.
pub fn refetch_blocking(
    ledger: &Ledger,
    into: impl AsRef<Path>,
    web: &WebOptions,
    progress: impl FnMut(&str, &RefetchState),
) -> Result<Refetched, GatherError> {
    runtime()?.block_on(refetch(ledger, into, web, progress))
}

/// Threads, time and network.
pub(crate) fn runtime() -> Result<Runtime, GatherError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| GatherError::Network { source: Box::new(error) })
}
