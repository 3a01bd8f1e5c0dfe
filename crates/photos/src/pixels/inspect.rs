//! Inspects the pixels of many files, on all cores. In: paths. Out: a [`PixelReport`] for each file, or the reason to
//! skip it.

use crate::pixels::{KnownReports, PixelReport};
use image::RgbImage;
use rayon::prelude::*;
use sciurus_data::{ContentHash, DataError, DecodeLimits, Progress, Skipped, decode, read_file};
use serde::{Deserialize, Serialize};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

/// A file, and what its pixels show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InspectedFile {
    /// Path relative to the root.
    pub path: PathBuf,
    /// When the file was last changed, in seconds since 1970; `None` if the file system does not say.
    pub modified: Option<u64>,
    /// Whether its name is a symbolic link.
    pub is_link: bool,
    /// What its pixels show.
    pub report: PixelReport,
}

impl InspectedFile {
    /// The name's extension in lower case, if it doesn't belong to the content's format; empty if the name has none.
    #[must_use]
    pub fn wrong_extension(&self) -> Option<String> {
        let ending = self.path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let ending = ending.unwrap_or_default();
        (!self.report.format.extensions().contains(&ending.as_str())).then_some(ending)
    }
}

/// The results for many files, in the order of the given paths.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PixelInspection {
    /// The files that are images.
    pub files: Vec<InspectedFile>,
    /// Those that are not, and why.
    pub skipped: Vec<Skipped>,
}

/// Reads and decodes each file once, and computes all checks, hashes and thumbnails from that, in parallel on rayon's
/// threads. A file whose content is among the `known` reports is read, but not decoded; the others become known. The result does
/// not depend on the number of threads.
///
/// `paths` are relative to `root`. `progress` is called after each file, from many threads.
///
/// # Errors
/// `progress` breaks off, or the machine runs out of file handles or memory. Bad files are collected instead.
///
/// ```
/// use sciurus_data::{DecodeLimits, RgbImage};
/// use sciurus_photos::{KnownReports, inspect_pixels, jpeg};
/// use std::ops::ControlFlow;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("a.jpg"), jpeg(&RgbImage::new(60, 40), 90).unwrap_or_default())?;
/// std::fs::write(folder.path().join("b.jpg"), "<html>404</html>")?;
/// let paths = ["a.jpg".into(), "b.jpg".into()];
/// let (known, limits) = (KnownReports::default(), DecodeLimits::default());
/// let found = inspect_pixels(folder.path(), &paths, &known, &limits, |_| ControlFlow::Continue(()))?;
/// assert_eq!((found.files.len(), found.skipped.len()), (1, 1));
/// assert_eq!(found.files[0].report.measures.brightness_p99, 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn inspect_pixels(
    root: impl AsRef<Path>,
    paths: &[PathBuf],
    known: &KnownReports,
    limits: &DecodeLimits,
    progress: impl Fn(Progress) -> ControlFlow<()> + Send + Sync,
) -> Result<PixelInspection, DataError> {
    let (root, done, total) = (root.as_ref(), AtomicUsize::new(0), paths.len());
    let look = |path: &PathBuf| {
        let result = inspect_file(root, path, known, limits, |_| false).map(|(file, _)| file);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if progress(Progress { done, total }).is_break() {
            return Err(DataError::Stopped);
        }
        DataError::check_machine(result.as_ref().err()).map(|()| result)
    };
    let results: Result<Vec<Result<InspectedFile, Skipped>>, DataError> =
        paths.par_iter().map(look).collect();
    let mut inspection = PixelInspection::default();
    for result in results? {
        match result {
            Ok(file) => inspection.files.push(file),
            Err(skipped) => inspection.skipped.push(skipped),
        }
    }
    Ok(inspection)
}

/// The same for one file. Its upright pixels come with it if they are `wanted` for its content.
///
/// # Errors
/// The reason why the file is skipped.
pub fn inspect_file(
    root: &Path,
    path: &Path,
    known: &KnownReports,
    limits: &DecodeLimits,
    wanted: impl FnOnce(&ContentHash) -> bool,
) -> Result<(InspectedFile, Option<RgbImage>), Skipped> {
    let skip = |reason| Skipped { path: path.to_owned(), reason };
    let full = root.join(path);
    let bytes = read_file(&full, limits).map_err(skip)?;
    let content = ContentHash::of(&bytes);
    let wanted = wanted(&content);
    let (report, pixels) = match known.get(&content) {
        Some(report) if wanted => (report, Some(decode(&bytes, limits).map_err(skip)?)),
        Some(report) => (report, None),
        None => {
            let (report, pixels) = PixelReport::with_pixels(&bytes, limits).map_err(skip)?;
            known.keep(&report);
            (report, wanted.then_some(pixels))
        }
    };
    let modified = fs::metadata(&full).and_then(|metadata| metadata.modified()).ok();
    let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|age| age.as_secs());
    let is_link = fs::symlink_metadata(&full).is_ok_and(|metadata| metadata.is_symlink());
    Ok((InspectedFile { path: path.to_owned(), modified, is_link, report }, pixels))
}
