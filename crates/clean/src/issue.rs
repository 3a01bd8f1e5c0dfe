//! The names of everything that can be wrong with an image of a data set.

use sciurus_photos::QualityCheck;

/// One kind of issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Issue {
    /// The file cannot be read as an image.
    Unreadable,
    /// The same picture occurs many times in several classes, like a web site's "not available" image.
    Placeholder,
    /// Another file has the same pixels.
    ExactDuplicate,
    /// Another file shows the same picture.
    NearDuplicate,
    /// A copy of it has another label.
    AcrossClasses,
    /// A copy of it is on the other side of the split, so the model is measured on a photo it was trained on.
    AcrossSplits,
    /// Its label is probably wrong.
    Label,
    /// A model that was trained on it kept finding another class more probable than its label.
    HardToLearn,
    /// It looks like none of the classes, and may belong to none.
    Outlier,
    /// It is a drawing, a logo or a page among photos.
    Drawing,
    /// It is a photo among drawings.
    PhotoAmongDrawings,
    /// It is of another kind than its class, and looks like none of the classes.
    Junk,
    /// A problem with its pixels or its file.
    Pixels(QualityCheck),
}

impl Issue {
    /// Its name in plans, tables and reports, such as `near_duplicate`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Unreadable => "unreadable".to_owned(),
            Self::Placeholder => "placeholder".to_owned(),
            Self::ExactDuplicate => "exact_duplicate".to_owned(),
            Self::NearDuplicate => "near_duplicate".to_owned(),
            Self::AcrossClasses => "duplicate_across_classes".to_owned(),
            Self::AcrossSplits => "duplicate_across_splits".to_owned(),
            Self::Label => "label".to_owned(),
            Self::HardToLearn => "hard_to_learn".to_owned(),
            Self::Outlier => "outlier".to_owned(),
            Self::Drawing => "drawing".to_owned(),
            Self::PhotoAmongDrawings => "photo_among_drawings".to_owned(),
            Self::Junk => "junk".to_owned(),
            Self::Pixels(check) => check.to_string().replace(' ', "_"),
        }
    }

    /// Whether its score is the probability that an image is wrong where it lies. Such scores are combined: see
    /// [`queue`](crate::find::queue).
    #[must_use]
    pub fn is_probability(self) -> bool {
        matches!(self, Self::Label | Self::Outlier | Self::Drawing | Self::PhotoAmongDrawings | Self::Junk)
    }

    /// How much it matters for training (0..=1), which decides the order of the queue: a photo that is certainly dark does
    /// less harm than a label that is probably wrong.
    #[must_use]
    pub fn weight(self) -> f64 {
        match self {
            Self::Pixels(QualityCheck::LowInformation | QualityCheck::Dark | QualityCheck::Light) => 0.8,
            Self::HardToLearn | Self::Pixels(QualityCheck::Blurry | QualityCheck::Unsharp) => 0.5,
            Self::Pixels(_) => 0.3,
            _ => 1.0,
        }
    }
}
