//! A plan carried out: files moved, or a corrected table written where labels come from one.

use std::io::Write;
use std::path::{Path, PathBuf};

use sciurus_clean::plan::{Applied, CleanAction, CleanPlan, apply};
use sciurus_data::fs::{OutputKind, Replace, check_output, write_whole};
use sciurus_data::{DataSettings, Labeler, corrected_table};
use serde::Serialize;

use crate::Error;

/// A corrected table; an earlier one is never replaced unasked, as people go on editing it.
const TABLE: OutputKind = OutputKind { what: "a corrected table", is_ours: |_| false };

/// What became of a plan that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PlanApplied {
    /// Files were moved.
    Moved(Applied),
    /// A new table was written; the old one and all files stay as they are.
    Table {
        /// The new table.
        table: PathBuf,
        /// Lines that changed or went.
        changes: usize,
        /// Changes that the plan asks for. Those that were not made are of photos that the table does not name, or that are others
        /// by now.
        planned: usize,
    },
}

/// Carries a plan out for photos whose labels come from folders (files are moved) or from a table (a corrected one is written to
/// `table`, or to `NAME.clean.csv` beside it).
///
/// # Errors
/// Labels come from the names of files, which are not changed; `table` is there and is not to be replaced; the photos cannot be
/// read; or as [`apply`].
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
                "labels come from file names, which are not changed; train with the plan instead (`plan`)"
                    .to_owned(),
        }),
        Labeler::Csv(labels) => {
            let out = table.map_or_else(|| labels.path.with_extension("clean.csv"), Path::to_owned);
            check_output(&out, TABLE, replace)?;
            let dataset = data.dataset().build()?;
            let (corrected, changes) = corrected_table(&labels, &dataset, &plan.corrections())?;
            write_whole(&out, |file| file.write_all(&corrected))?;
            let planned = plan.items.iter().filter(|item| item.action != CleanAction::Keep).count();
            Ok(PlanApplied::Table { table: out, changes, planned })
        }
    }
}
