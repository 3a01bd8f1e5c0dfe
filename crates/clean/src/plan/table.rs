//! A plan as a Parquet file: one row per image, in the order of the queue, so that DuckDB, pandas and polars can read plans
//! for millions of images.

use std::path::Path;

use super::{CleanPlan, PlanItem};
use crate::error::CleanError;
use sciurus_insight::InsightError;
use sciurus_insight::table_file::{self, Column, Columns};

/// A row for each image.
const SCHEMA: &str = "
    message plan {
        required binary path (STRING);
        required binary content (STRING);
        required binary label (STRING);
        required binary action (STRING);
        optional binary to (STRING);
        required double score;
        required group issues (LIST) {
            repeated group list {
                required group element {
                    required binary name (STRING);
                    required double score;
                }
            }
        }
        required binary reason (STRING);
        optional int64 card (INTEGER(64, false));
        optional group suggested {
            required binary label (STRING);
            required double probability;
        }
        required boolean decided;
    }";

/// Whether a path has the extension of such a file.
pub(super) fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
}

/// Writes a plan; the file appears under its name only when complete.
pub(super) fn save(plan: &CleanPlan, path: &Path) -> Result<(), CleanError> {
    if let Some(item) = plan.items.iter().find(|item| item.path.to_str().is_none()) {
        let reason = format!("{}: the path is not Unicode; rename the file", item.path.display());
        return Err(CleanError::Plan { path: path.to_owned(), reason });
    }
    let head = CleanPlan { items: Vec::new(), ..plan.clone() };
    Ok(table_file::save(path, &head, &plan.items, &columns())?)
}

/// Reads a plan. The caller checks its items.
pub(super) fn load(path: &Path) -> Result<CleanPlan, CleanError> {
    let (mut plan, items): (CleanPlan, _) =
        table_file::load(path, &columns()).map_err(|error| match error {
            InsightError::Table { path, reason } => CleanError::Plan { path, reason },
            other => other.into(),
        })?;
    plan.items = items;
    Ok(plan)
}

/// Whether these bytes are a table that we wrote.
pub(super) fn is_ours(bytes: &[u8]) -> bool {
    table_file::is_ours(bytes)
}

fn columns() -> Columns<PlanItem> {
    let columns = vec![
        Column::Text(|item: &PlanItem| vec![item.path.to_string_lossy()]),
        Column::Text(|item| vec![item.content.to_string().into()]),
        Column::Text(|item| vec![item.label.as_str().into()]),
        Column::Text(|item| vec![<&str>::from(item.action).into()]),
        Column::Text(|item| item.to.iter().map(|to| to.as_str().into()).collect()),
        Column::Number(|item| vec![item.score]),
        Column::Text(|item| item.issues.iter().map(|issue| issue.name.as_str().into()).collect()),
        Column::Number(|item| item.issues.iter().map(|issue| issue.score).collect()),
        Column::Text(|item| vec![item.reason.as_str().into()]),
        Column::Count(|item| item.card.iter().map(|&card| card as u64).collect()),
        Column::Text(|item| item.suggested.iter().map(|other| other.label.as_str().into()).collect()),
        Column::Number(|item| item.suggested.iter().map(|other| other.probability).collect()),
        Column::Flag(|item| item.decided),
    ];
    // `decided` is new in 0.2.0.
    Columns { schema: SCHEMA, columns, newer: 1 }
}
