//! The result of a gather run. In: what each class counted. Out: [`Gathered`], plain data, with a table for people.

use crate::source::SourceDown;
use sciurus_photos::Licence;
use sciurus_photos::SourceId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The result of a gather run. Falling short is not an error: what was kept is there, and this says what is missing and
/// why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gathered {
    /// The folder.
    pub folder: PathBuf,
    /// Its classes, in the order they were asked for.
    pub classes: Vec<GatheredClass>,
    /// How the run ended.
    pub ending: Ending,
    /// Entries of the folder's ledger by licence.
    pub licences: BTreeMap<Licence, usize>,
    /// The attribution page; `None` if there was a page of that name that somebody else wrote.
    pub attribution: Option<PathBuf>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ending {
    /// Every class has what was asked for.
    Complete,
    /// The sources have nothing more.
    Short,
    /// The observer asked to stop; the same run can be resumed later.
    Stopped,
    /// The time was up; the same run can be resumed later.
    TimeUp,
}

/// The result for one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatheredClass {
    /// Its name.
    pub class: String,
    /// Its folder, relative to the run's.
    pub folder: String,
    /// Photos that are kept, including earlier ones.
    pub kept: usize,
    /// Photos wanted.
    pub wanted: usize,
    /// How many photos were rejected, by reason.
    pub rejected: BTreeMap<String, usize>,
    /// What each source did.
    pub sources: Vec<SourceState>,
}

/// What one source did for one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceState {
    /// The source.
    pub source: SourceId,
    /// Photos on its pages.
    pub found: usize,
    /// Those that were kept.
    pub kept: usize,
    /// Why it was given up, if it was.
    pub down: Option<SourceDown>,
}

impl fmt::Display for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for class in &self.classes {
            write!(f, "{}: {} of {} photos", class.class, class.kept, class.wanted)?;
            let reasons = class.rejected.iter().map(|(reason, count)| format!("{count} {reason}"));
            let reasons: Vec<String> = reasons.collect();
            if !reasons.is_empty() {
                write!(f, "; rejected: {}", reasons.join(", "))?;
            }
            writeln!(f)?;
            for source in &class.sources {
                write!(f, "  {}: {} found, {} kept", source.source, source.found, source.kept)?;
                match &source.down {
                    Some(down) => writeln!(f, "; given up: {down}")?,
                    None => writeln!(f)?,
                }
            }
        }
        Ok(())
    }
}
