//! Downloads the photos of a ledger again. In: a ledger and a folder. Out: the same files with the same ledger, as far
//! as they still exist, and what changed or is gone.

use crate::error::GatherError;
use crate::run::{Part, finish, remove_parts};
use crate::web::{FetchFault, Fetcher, WebOptions};
use sciurus_data::fs::Root;
use sciurus_data::{ContentHash, DecodeLimits, SkipReason};
use sciurus_photos::PixelReport;
use sciurus_photos::write_attribution;
use sciurus_photos::{Ledger, LedgerEntry, content_hash};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What happened to one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefetchState {
    /// The same bytes are there, downloaded now or before.
    Same,
    /// Its address now returns another image; it is kept, and the new ledger has its content.
    Changed {
        /// The content now.
        now: ContentHash,
    },
    /// Its address doesn't return a photo any more.
    Gone {
        /// What is wrong with what it returns.
        skip: SkipReason,
    },
    /// It could not be downloaded.
    NotFetched {
        /// Why not.
        fault: FetchFault,
    },
    /// Its name is taken by another file, or leads out of the folder.
    NameTaken,
}

/// What happened to all entries, in the ledger's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refetched {
    /// Files as the ledger names them, and what happened to each.
    pub files: Vec<(String, RefetchState)>,
}

impl Refetched {
    /// How many are the same, changed, and missing.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let count =
            |wanted: fn(&RefetchState) -> bool| self.files.iter().filter(|(_, state)| wanted(state)).count();
        let same = count(|state| *state == RefetchState::Same);
        let changed = count(|state| matches!(state, RefetchState::Changed { .. }));
        (same, changed, self.files.len() - same - changed)
    }
}

/// Downloads the photos of a ledger into a folder. Files that are already there aren't downloaded again, and none is
/// overwritten. `progress` is called for each entry, in the ledger's order.
///
/// # Errors
/// The folder can't be written, or a run is gathering into it.
pub async fn refetch(
    ledger: &Ledger,
    into: impl AsRef<Path>,
    web: &WebOptions,
    mut progress: impl FnMut(&str, &RefetchState),
) -> Result<Refetched, GatherError> {
    let root = Arc::new(Root::create(into)?);
    let _lock = sciurus_photos::lock_gathering(&root)?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let means =
        Arc::new(Means { fetcher: Fetcher::new(Arc::new(web.clone()))?, decoders: Semaphore::new(cores) });
    let (mut new, mut files) = (Ledger::open(root.path())?, Vec::new());
    finish(&root, &new)?;
    let mut number = 0;
    let (mut left, mut coming) = (ledger.entries().iter(), VecDeque::new());
    loop {
        while coming.len() < web.at_a_time.max(1) {
            let Some(entry) = left.next() else { break };
            coming.push_back((
                entry,
                tokio::spawn(fetched(Arc::clone(&means), Arc::clone(&root), entry.clone())),
            ));
        }
        let Some((entry, fetch)) = coming.pop_front() else { break };
        let broken = |detail: String| FetchFault::Unreadable { detail };
        let fetch = fetch.await.unwrap_or_else(|error| Err(Missing::Fault(broken(error.to_string()))));
        number += 1;
        let state = arrived((&root, number), &mut new, entry, fetch)?;
        progress(&entry.file, &state);
        files.push((entry.file.clone(), state));
    }
    remove_parts(&root);
    write_attribution(&new, root.path())?;
    Ok(Refetched { files })
}

/// What all downloads share. As many photos are decoded at a time as there are cores.
struct Means {
    fetcher: Fetcher,
    decoders: Semaphore,
}

/// Why an entry has no bytes.
enum Missing {
    Fault(FetchFault),
    Skip(SkipReason),
    NameTaken,
}

/// The bytes of an entry, with a report about their pixels; `None` if the file is already there.
type Fetch = Result<Option<(Vec<u8>, Box<PixelReport>)>, Missing>;

async fn fetched(means: Arc<Means>, root: Arc<Root>, entry: LedgerEntry) -> Fetch {
    // A ledger from somebody else must not write outside the folder.
    let place = entry.place().ok_or(Missing::NameTaken)?;
    if !root.is_free(&place).map_err(|_| Missing::NameTaken)? {
        return if content_hash(&root, &place) == Some(entry.hash) {
            Ok(None)
        } else {
            Err(Missing::NameTaken)
        };
    }
    let bytes = means.fetcher.fetch(&entry.url).await.map_err(Missing::Fault)?;
    let _permit = means.decoders.acquire().await;
    let look = tokio::task::spawn_blocking(move || {
        let report = PixelReport::of(&bytes, &DecodeLimits::default()).map_err(Missing::Skip)?;
        Ok(Some((bytes, Box::new(report))))
    });
    let broken = |detail: String| Missing::Fault(FetchFault::Unreadable { detail });
    look.await.unwrap_or_else(|error| Err(broken(error.to_string())))
}

/// Puts a file in place, and adds its entry.
fn arrived(
    (root, number): (&Arc<Root>, u64),
    new: &mut Ledger,
    entry: &LedgerEntry,
    fetch: Fetch,
) -> Result<RefetchState, GatherError> {
    let known = new.entries().iter().any(|known| known.file == entry.file);
    let (bytes, report) = match fetch {
        Ok(Some(fetched)) => fetched,
        Ok(None) => {
            if !known {
                new.append(entry.clone())?;
            }
            return Ok(RefetchState::Same);
        }
        Err(Missing::Fault(fault)) => return Ok(RefetchState::NotFetched { fault }),
        Err(Missing::Skip(skip)) => return Ok(RefetchState::Gone { skip }),
        Err(Missing::NameTaken) => return Ok(RefetchState::NameTaken),
    };
    let Some(place) = entry.place() else { return Ok(RefetchState::NameTaken) };
    let now = report.content;
    let part = Part::new(root, number, now, &bytes)
        .map_err(|source| GatherError::io("write", &root.place(&place), source))?;
    if !known {
        new.append(LedgerEntry { hash: now, width: report.width, height: report.height, ..entry.clone() })?;
    }
    part.keep(&place)?;
    Ok(if now == entry.hash { RefetchState::Same } else { RefetchState::Changed { now } })
}
