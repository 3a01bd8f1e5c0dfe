//! What can be known about photos without a model: what their pixels show, which are copies, where they came from and
//! under what licence.
//!
//! In: the files of a folder. Out: a [`PixelReport`] of each, the [`QualityIssue`]s and [`Duplicates`] among them, and
//! the [`Ledger`] that gathering keeps next to them. No tensors, no network, no printing.

mod detail;
mod duplicates;
mod encode;
mod ledger;
mod pixels;
mod thumbnail;

pub use detail::Detail;
pub use duplicates::{
    Alignment, DuplicateGroup, DuplicateOptions, DuplicatePair, Duplicates, KeepReason, NearHashes,
    NotAPerceptualHash, PerceptualHash, Photo, Sameness, SeenPhotos, Turn, Window, find_duplicates,
    near_hashes,
};
pub use encode::{jpeg, small_jpeg};
pub use ledger::text;
pub use ledger::{
    ATTRIBUTION_FILE, LEDGER_FILE, Ledger, LedgerEntry, LedgerError, Licence, NotALicence, NotASource,
    SourceId, attribution, content_hash, follow_moves, licences, lock_gathering, sync_ledger,
    write_attribution,
};
pub use pixels::{
    Channels, FileFormat, InspectedFile, KnownReports, PixelInspection, PixelMeasures, PixelReport,
    QualityCheck, QualityIssue, STYLE_WIDTH, Style, blurry, checks, colourless, dark, find_quality_issues,
    greyscale, inspect_file, inspect_pixels, light, low_information, odd_aspect, odd_size, unsharp,
};
pub use thumbnail::Thumbnail;
