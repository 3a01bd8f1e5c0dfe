//! Carries a plan out: moves files, or writes a corrected table if the labels come from a table.

use std::io::Write;
use std::path::{Path, PathBuf};

use sciurus_clean::plan::{Applied, CleanPlan, apply};
use sciurus_data::fs::{OutputKind, Replace, check_output, write_whole};
use sciurus_data::{DataSettings, Labeler, corrected_table};
use serde::Serialize;

use crate::Error;

/// A corrected table. It is never overwritten unless the user asks for it, because people keep editing it.
const TABLE: OutputKind = OutputKind { what: "a corrected table", is_ours: |_| false };

/// The result of carrying a plan out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PlanApplied {
    /// Files were moved.
    Moved(Applied),
    /// A corrected table was written; the old one and all files stay as they are.
    Table {
        /// The new table.
        table: PathBuf,
        /// Lines that were changed or removed.
        changes: usize,
        /// Changes that somebody decided. The rest were not made because the table does not name the photo, or the photo has
        /// changed.
        planned: usize,
        /// Changes that were left because nobody decided them.
        proposals: usize,
    },
}

/// Carries out what somebody decided in a plan. If labels come from folders, files are moved; if they come from a table, a
/// corrected table is written to `table`, or to `NAME.clean.csv` beside the old one. Proposals are counted and left.
///
/// # Errors
/// Labels come from file names, which are not changed; `table` exists and `replace` does not allow to overwrite it; the photos
/// cannot be read; or as [`apply`].
pub fn apply_plan(
    plan: &CleanPlan,
    data: &DataSettings,
    table: Option<&Path>,
    replace: Replace,
) -> Result<PlanApplied, Error> {
    match data.labeler() {
        Labeler::Folder => Ok(PlanApplied::Moved(apply(plan, &data.folder)?)),
        Labeler::NamePattern { .. } => Err(Error::Run {
            path: data.folder.clone(),
            reason:
                "labels come from file names, and files are not renamed; train with the plan instead (`plan`)"
                    .to_owned(),
        }),
        Labeler::Csv(labels) => {
            let out = table.map_or_else(|| labels.path.with_extension("clean.csv"), Path::to_owned);
            check_output(&out, TABLE, replace)?;
            let dataset = data.dataset().build()?;
            let decided = CleanPlan::new(&plan.folder, &plan.model, plan.decided().cloned().collect());
            let (corrected, changes) = corrected_table(&labels, &dataset, &decided.corrections())?;
            write_whole(&out, |file| file.write_all(&corrected))?;
            let (planned, proposals) = (decided.items.len(), plan.proposals());
            Ok(PlanApplied::Table { table: out, changes, planned, proposals })
        }
    }
}
