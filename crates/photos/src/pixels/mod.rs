//! What one decode of a file shows: measures of its pixels, facts about its format, and what is odd about either.

mod animation;
mod inspect;
mod known;
pub(crate) mod measure;
pub(crate) mod pillow;
mod quality;
mod report;
mod style;

pub use inspect::{InspectedFile, PixelInspection, inspect_file, inspect_pixels};
pub use known::KnownReports;
pub use measure::{Channels, PixelMeasures};
pub use quality::{
    QualityCheck, QualityIssue, blurry, checks, colourless, dark, find_quality_issues, greyscale, light,
    low_information, odd_aspect, odd_size, unsharp,
};
pub use report::{FileFormat, PixelReport};
pub use style::{STYLE_WIDTH, Style};
