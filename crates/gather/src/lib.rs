//! From search terms to a verified, licensed folder of photos.
//!
//! In: classes with words to search for. Out: a folder of photos for each class, where each photo can be decoded, is
//! large enough, is not a copy of another, and has an allowed licence; `ledger.jsonl`, which says where each came from;
//! and `ATTRIBUTION.md`. If a source fails, the others fill in. A run that was killed can be resumed.
//!
//! ```no_run
//! use sciurus_gather::{Control, Gather, GatherEvent, Keys};
//!
//! let classes = ["eastern gray squirrel".parse()?, "red=Sciurus vulgaris".parse()?];
//! let run = Gather::new("squirrels", classes).per_class(150).keys(Keys::from_env()).build()?;
//! let gathered = run.run_blocking(|event: &GatherEvent| {
//!     if let GatherEvent::Kept { class, kept, wanted, .. } = event {
//!         // Draw a bar.
//!         let _ = (class, kept, wanted);
//!     }
//!     Control::Continue
//! })?;
//! assert_eq!(gathered.classes.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing here prints, and no service's key is ever part of an error, an event or a file.

mod allowed;
mod blocking;
mod error;
mod event;
#[doc(hidden)]
pub mod fuzzing;
mod gather;
mod journal;
mod names;
mod refetch;
mod rejection;
mod run;
mod secret;
mod source;
mod source_info;
mod sources;
mod summary;
mod web;

pub use allowed::{Licences, Telling};
pub use blocking::refetch_blocking;
pub use error::GatherError;
pub use event::{Control, GatherEvent, GatherObserver};
pub use gather::{Clock, Gather, GatherClass};
pub use journal::trust_journal;
pub use names::folder as class_folder;
pub use refetch::{RefetchState, Refetched, refetch};
pub use rejection::Rejection;
pub use run::GatherRun;
pub use sciurus_photos::{Ledger, LedgerEntry, Licence, SourceId};
pub use secret::{KEY_VARIABLES, Keys, Secret};
pub use source::{
    Cursor, FoundImage, ImageKind, ImageSource, KeyNeed, Opening, Page, Query, Searching, SourceDown,
    SourceInfo, Thanking,
};
pub use sources::{CatalogueEntry, Endpoints, SourceSpec, catalogue};
pub use summary::{Ending, Gathered, GatheredClass, SourceState};
pub use web::{FetchFault, WebOptions, is_public};
