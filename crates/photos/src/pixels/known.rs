//! Reports of earlier calls, by content. In: a [`PixelReport`]. Out: the same in later calls, from a file that may be deleted at
//! any time.

use crate::pixels::PixelReport;
use sciurus_data::ContentHash;
use sciurus_data::fs::Records;
use std::path::Path;

/// Bytes of a report in the file, the last of them unused. With the record's own bytes, that's 8 kB.
const WIDTH: usize = 8192 - 24;
/// The name of the file. It's a new one whenever a report of the same photo would be another one; a test notices that.
const NAME: &str = "pixels.v1.reports";

/// Reports of earlier calls. By default there are none, and none are kept.
///
/// ```
/// use sciurus_data::{DecodeLimits, RgbImage};
/// use sciurus_photos::{KnownReports, PixelReport, jpeg};
///
/// let folder = tempfile::tempdir()?;
/// let photo = jpeg(&RgbImage::new(60, 40), 90).unwrap_or_default();
/// let report = PixelReport::of(&photo, &DecodeLimits::default())?;
/// KnownReports::in_folder(folder.path()).keep(&report);
/// let known = KnownReports::in_folder(folder.path());
/// assert_eq!(known.get(&report.content), Some(report));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct KnownReports(Option<Records>);

impl KnownReports {
    /// Those that were kept in a file of this folder, which is created if needed. If it can't be used, none are known;
    /// [`KnownReports::fault`] says why.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self(Some(Records::open(Some(folder.join(NAME)), WIDTH)))
    }

    /// The report of a content.
    #[must_use]
    pub fn get(&self, content: &ContentHash) -> Option<PixelReport> {
        let payload = self.0.as_ref()?.get(content)?;
        let report: PixelReport = postcard::from_bytes(&payload).ok()?;
        (report.content == *content).then_some(report)
    }

    /// Keeps a report for the next time.
    pub fn keep(&self, report: &PixelReport) {
        let Some(records) = &self.0 else { return };
        if let Some(payload) = payload(report) {
            records.keep(&[report.content], &payload);
        }
    }

    /// What was wrong with the file, if anything.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.0.as_ref()?.fault()
    }
}

/// A report as bytes of one size; `None` if it needs more, which none does.
fn payload(report: &PixelReport) -> Option<Vec<u8>> {
    let mut payload = postcard::to_stdvec(report).ok()?;
    let fits = payload.len() <= WIDTH;
    payload.resize(WIDTH, 0);
    fits.then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sciurus_data::{DecodeLimits, RgbImage};

    /// If this fails, reports have changed: choose another [`NAME`], so that nobody gets those of an earlier version.
    #[test]
    fn a_report_is_what_it_was() {
        let image =
            RgbImage::from_fn(90, 60, |x, y| [(x * 2) as u8, (y * 4) as u8, (x * y % 251) as u8].into());
        let mut file = Vec::new();
        image.write_to(&mut std::io::Cursor::new(&mut file), image::ImageFormat::Png).unwrap();
        let report = PixelReport::of(&file, &DecodeLimits::default()).unwrap();
        // How the file is packed may change with the encoder.
        let report = PixelReport { content: ContentHash::of(b""), bytes: 0, ..report };
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(ContentHash::of(text.as_bytes()).to_string(), "78bfc2e6d552309daa46e98473a586cb");
        assert!(payload(&report).is_some());
    }
}
