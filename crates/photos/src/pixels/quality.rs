//! Checks single photos by their pixels. In: [`PixelReport`]s. Out: for each check a score with its cut and a sentence of
//! evidence.

use crate::pixels::PixelReport;
use crate::pixels::inspect::InspectedFile;
use crate::pixels::measure::{Channels, PixelMeasures};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A check of a photo's pixels or file. Its score is 0..=1, 0 the worst; below [`QualityCheck::cut`] it is an issue.
///
/// The first seven are those of CleanVision 0.3.7, with its formulas and cuts. Palette images and images with alpha are
/// judged as they are displayed, over white; CleanVision looks at palette numbers and hidden colours instead.
///
/// | Check | Score | Cut |
/// |---|---|---|
/// | `Dark` | 99th percentile of brightness | 0.32 |
/// | `Light` | 1 - 5th percentile of brightness | 0.05 |
/// | `OddAspect` | shorter side / longer side | 0.35 |
/// | `LowInformation` | a tenth of the entropy in bits, at most 1 | 0.3 |
/// | `Blurry` | edges of a copy of 64 pixels, and peaks in its histogram | 0.29 |
/// | `Greyscale` | 0 for a file with one channel | 0.5 |
/// | `OddSize` | how close the size is to those of the data set | 0.5 |
/// | `Colourless` | 0.02 for each level of chroma, at most 1 | 0.25 |
/// | `Unsharp` | `s / (s + 100)`, `s` the variance of the Laplacian of a copy of 256 pixels | 0.5 |
/// | `WrongExtension`, `Turned`, `Animated`, `Transparent` | 0 if so | 0.5 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QualityCheck {
    /// Almost black.
    Dark,
    /// Almost white.
    Light,
    /// Very wide or very tall.
    OddAspect,
    /// Its pixels hardly differ.
    LowInformation,
    /// Blurry or flat, by CleanVision's formula; it cannot tell blur from flat drawings, see [`QualityCheck::Unsharp`].
    Blurry,
    /// The file has one channel.
    Greyscale,
    /// Much larger or smaller than the rest of the data set.
    OddSize,
    /// The file has colour channels, but all its colours are (nearly) grey.
    Colourless,
    /// Blurry: few fine details.
    Unsharp,
    /// The file name's extension does not match the content's format.
    WrongExtension,
    /// The EXIF data ask viewers to rotate the picture; programs that ignore them show it on its side.
    Turned,
    /// An animation; its first frame is used.
    Animated,
    /// Some pixels are not opaque; they are shown over white.
    Transparent,
}

impl QualityCheck {
    /// The score below which a photo has the issue, unless the caller decides otherwise.
    #[must_use]
    pub fn cut(self) -> f64 {
        match self {
            Self::Dark => 0.32,
            Self::Light => 0.05,
            Self::OddAspect => 0.35,
            Self::LowInformation => 0.3,
            Self::Blurry => 0.29,
            Self::Colourless => 0.25,
            Self::Greyscale
            | Self::OddSize
            | Self::Unsharp
            | Self::WrongExtension
            | Self::Turned
            | Self::Animated
            | Self::Transparent => 0.5,
        }
    }
}

impl fmt::Display for QualityCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::OddAspect => "odd aspect",
            Self::LowInformation => "low information",
            Self::Blurry => "blurry",
            Self::Greyscale => "greyscale",
            Self::OddSize => "odd size",
            Self::Colourless => "colourless",
            Self::Unsharp => "unsharp",
            Self::WrongExtension => "wrong extension",
            Self::Turned => "turned by EXIF",
            Self::Animated => "animated",
            Self::Transparent => "transparent",
        })
    }
}

/// The result of one check of one photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityIssue {
    /// The check.
    pub check: QualityCheck,
    /// 0..=1, 0 the worst.
    pub score: f64,
    /// The score below which it is an issue.
    pub cut: f64,
    /// What was seen, in words for people; worded for a photo that has the issue.
    pub evidence: String,
}

impl QualityIssue {
    fn new(check: QualityCheck, score: f64, evidence: String) -> Self {
        Self { check, score, cut: check.cut(), evidence }
    }

    /// Whether the score lies below the cut.
    #[must_use]
    pub fn is_issue(&self) -> bool {
        self.score < self.cut
    }
}

impl fmt::Display for QualityIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:.2}): {}", self.check, self.score, self.evidence)
    }
}

/// 99th percentile of brightness: 0 for a black picture.
#[must_use]
pub fn dark(measures: &PixelMeasures) -> QualityIssue {
    let score = measures.brightness_p99;
    let evidence = format!("almost entirely dark (brightest parts at {:.0} % of white)", 100.0 * score);
    QualityIssue::new(QualityCheck::Dark, score, evidence)
}

/// 1 - 5th percentile of brightness: 0 for a white picture.
#[must_use]
pub fn light(measures: &PixelMeasures) -> QualityIssue {
    let score = 1.0 - measures.brightness_p5;
    let evidence =
        format!("almost entirely white (darkest parts at {:.0} %)", 100.0 * measures.brightness_p5);
    QualityIssue::new(QualityCheck::Light, score, evidence)
}

/// Shorter side over longer side, in pixels.
#[must_use]
pub fn odd_aspect(width: u32, height: u32) -> QualityIssue {
    let (width_f, height_f) = (f64::from(width.max(1)), f64::from(height.max(1)));
    let score = (width_f / height_f).min(height_f / width_f);
    let shape = if width > height { "wide" } else { "tall" };
    let evidence = format!("unusually {shape} ({width} x {height} pixels)");
    QualityIssue::new(QualityCheck::OddAspect, score, evidence)
}

/// A tenth of the entropy of the histograms, at most 1.
#[must_use]
pub fn low_information(measures: &PixelMeasures) -> QualityIssue {
    let score = (0.1 * measures.entropy_bits).min(1.0);
    let evidence =
        format!("almost a single colour ({:.1} bits; photos have 7 to 9.5)", measures.entropy_bits);
    QualityIssue::new(QualityCheck::LowInformation, score, evidence)
}

/// `min(1, s + h)` with `s = 1 - exp(-0.01 edges)`, `h = 1 - exp(-0.01 histogram)`, and `h = 0` up to 0.18.
#[must_use]
pub fn blurry(measures: &PixelMeasures) -> QualityIssue {
    let share = |value: f64| 1.0 - (-0.01 * value).exp();
    let peaks = share(measures.grey_histogram_std);
    let score = (share(measures.edges) + if peaks <= 0.18 { 0.0 } else { peaks }).min(1.0);
    QualityIssue::new(QualityCheck::Blurry, score, "blurry, or a flat drawing".to_owned())
}

/// 0 for a file that stores brightness alone, else 1.
#[must_use]
pub fn greyscale(channels: Channels) -> QualityIssue {
    let (score, evidence) = match channels {
        Channels::Grey => (0.0, "black and white"),
        Channels::Colour => (1.0, "in colour"),
    };
    QualityIssue::new(QualityCheck::Greyscale, score, evidence.to_owned())
}

/// How colourful the most colourful percent of its pixels is: 0.02 for each level between the strongest and the weakest
/// channel.
#[must_use]
pub fn colourless(measures: &PixelMeasures) -> QualityIssue {
    let score = (0.02 * f64::from(measures.chroma_p99)).min(1.0);
    let evidence = format!("almost without colour ({} of 255 levels)", measures.chroma_p99);
    QualityIssue::new(QualityCheck::Colourless, score, evidence)
}

/// `s / (s + 100)` with the [`sharpness`](PixelMeasures::sharpness) `s`: fine details of a copy of fixed size. On 330 web
/// photos, 1 % of the sharp ones and 98 % of those blurred by 2 pixels lie below the cut; CleanVision's check finds 2 % of
/// the blurred ones. It ranks drawings as sharp (`cargo bench -p sciurus-data --bench duplicates`).
#[must_use]
pub fn unsharp(measures: &PixelMeasures) -> QualityIssue {
    let score = measures.sharpness / (measures.sharpness + SHARP);
    let evidence = format!("blurry (sharpness {:.0}; sharp photos have 200 to 3000)", measures.sharpness);
    QualityIssue::new(QualityCheck::Unsharp, score, evidence)
}

/// The sharpness at the cut.
const SHARP: f64 = 100.0;

/// How close each photo's size `sqrt(width height)` is to the sizes of the data set: 1 in the middle of them, 0 far outside.
///
/// With the quartiles Q1 and Q3 (NumPy's, interpolated) of sizes, `lo = Q1 - 3 (Q3 - Q1)` and `hi = Q3 + 3 (Q3 - Q1)`, the
/// score is `1 - |size - (lo + hi) / 2| / (hi - lo)`, at least 0. Where half of the data set has the same size, the distance
/// is relative to that size, and every other size is an issue (its cut is 1).
#[must_use]
pub fn odd_size(sizes: &[(u32, u32)]) -> Vec<QualityIssue> {
    let lengths: Vec<f64> =
        sizes.iter().map(|&(width, height)| f64::from(width).sqrt() * f64::from(height).sqrt()).collect();
    let mut sorted = lengths.clone();
    sorted.sort_by(f64::total_cmp);
    let (first, third) = (quantile(&sorted, 0.25), quantile(&sorted, 0.75));
    let range = third - first;
    let (low, high) = (first - 3.0 * range, third + 3.0 * range);
    let middle = (low + high) / 2.0;
    let (unit, cut) = if high > low { (high - low, 0.5) } else { (middle, 1.0) };
    let judge = |(&(width, height), length): (&(u32, u32), f64)| {
        let score = 1.0 - ((length - middle).abs() / unit).clamp(0.0, 1.0);
        let than = if length > middle { "larger" } else { "smaller" };
        let evidence = format!(
            "{than} than most photos ({width} x {height} pixels; typical: {middle:.0} x {middle:.0})"
        );
        QualityIssue { cut, ..QualityIssue::new(QualityCheck::OddSize, score, evidence) }
    };
    sizes.iter().zip(lengths).map(judge).collect()
}

/// NumPy's interpolated quantile; 0 without values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let at = |place: f64| sorted.get(place as usize).copied().unwrap_or_default();
    let (low, high) = (at(place.floor()), at(place.ceil()));
    low + (high - low) * place.fract()
}

/// All checks of one photo's pixels and file, issue or not. [`odd_size`] is not among them: it needs the whole data set.
#[must_use]
pub fn checks(file: &InspectedFile) -> Vec<QualityIssue> {
    let PixelReport { measures, width, height, channels, .. } = &file.report;
    let mut all = vec![
        dark(measures),
        light(measures),
        odd_aspect(*width, *height),
        low_information(measures),
        blurry(measures),
        greyscale(*channels),
    ];
    // A file without colour channels is already reported as greyscale.
    if *channels == Channels::Colour {
        all.push(colourless(measures));
    }
    all.push(unsharp(measures));
    all.extend(file_checks(file));
    all
}

/// The checks of the file rather than of its pixels.
fn file_checks(file: &InspectedFile) -> [QualityIssue; 4] {
    let report = &file.report;
    let fact = |check, is_so: Option<String>| {
        let score = if is_so.is_some() { 0.0 } else { 1.0 };
        QualityIssue::new(check, score, is_so.unwrap_or_else(|| format!("not {check}")))
    };
    let when = |is_so: bool, evidence: &str| is_so.then(|| evidence.to_owned());
    let extension = file.wrong_extension().map(|ending| {
        let named = match ending.is_empty() {
            true => "its name has no extension".to_owned(),
            false => format!("its name ends in .{ending}"),
        };
        format!("{named}, but it is a {} file", report.format)
    });
    [
        fact(QualityCheck::WrongExtension, extension),
        fact(QualityCheck::Turned, when(report.turned, "rotated or mirrored by its EXIF data")),
        fact(QualityCheck::Animated, when(report.animated, "an animation; only its first frame is used")),
        fact(QualityCheck::Transparent, when(report.transparent, "partly transparent, shown over white")),
    ]
}

/// The issues of every file, in the order of the files; within a file in the order of [`QualityCheck`].
///
/// ```no_run
/// use sciurus_data::DecodeLimits;
/// use sciurus_photos::{find_quality_issues, inspect_pixels};
/// use std::ops::ControlFlow;
///
/// let (paths, limits) = (["a.jpg".into(), "b.png".into()], DecodeLimits::default());
/// let go_on = |_| ControlFlow::Continue(());
/// let inspection = inspect_pixels("photos", &paths, &Default::default(), &limits, go_on)?;
/// for (file, issues) in inspection.files.iter().zip(find_quality_issues(&inspection.files)) {
///     for issue in issues {
///         println!("{}: {issue}", file.path.display());
///     }
/// }
/// # Ok::<(), sciurus_data::DataError>(())
/// ```
#[must_use]
pub fn find_quality_issues(files: &[InspectedFile]) -> Vec<Vec<QualityIssue>> {
    let sizes: Vec<(u32, u32)> = files.iter().map(|file| (file.report.width, file.report.height)).collect();
    let issues = |(file, size): (&InspectedFile, QualityIssue)| {
        let mut issues = checks(file);
        issues.push(size);
        issues.retain(QualityIssue::is_issue);
        issues.sort_by_key(|issue| issue.check);
        issues
    };
    files.iter().zip(odd_size(&sizes)).map(issues).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn where_all_but_one_have_one_size_the_other_is_odd() {
        let mut sizes = vec![(100, 100); 9];
        sizes.push((100, 101));
        let odd: Vec<bool> = odd_size(&sizes).iter().map(QualityIssue::is_issue).collect();
        assert_eq!(odd.iter().filter(|&&odd| odd).count(), 1);
        assert!(odd[9]);
        assert!(odd_size(&[]).is_empty());
        assert!(!odd_size(&[(3, 4)])[0].is_issue());
    }

    proptest! {
        #[test]
        fn scores_lie_between_0_and_1(
            sizes in prop::collection::vec((1_u32..5000, 1_u32..5000), 1..20),
            edges in 0.0..255.0, peaks in 0.0..300.0, sharpness in 0.0..200_000.0
        ) {
            let measures = PixelMeasures {
                brightness_p99: 0.5, brightness_p5: 0.1, entropy_bits: 9.58, edges, grey_histogram_std: peaks,
                chroma_p99: 255, sharpness,
            };
            let one = [blurry(&measures), unsharp(&measures), low_information(&measures), colourless(&measures)];
            for issue in odd_size(&sizes).into_iter().chain(one).chain([odd_aspect(sizes[0].0, sizes[0].1)]) {
                prop_assert!((0.0..=1.0).contains(&issue.score), "{}", issue);
            }
        }
    }
}
