//! A plan as a Parquet file: one row per image, in the order of the queue, so that DuckDB, pandas and polars can read plans
//! for millions of images.

use std::path::Path;

use sciurus_data::ContentHash;

use super::{CleanAction, CleanPlan, IssueScore, PlanItem, Suggestion};
use crate::error::CleanError;
use sciurus_insight::{InsightError, table_file};

/// Whether a path has the extension of such a file.
pub(super) fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
}

/// Writes a plan; the file appears under its name only when complete.
pub(super) fn save(plan: &CleanPlan, path: &Path) -> Result<(), CleanError> {
    let head = CleanPlan { items: Vec::new(), ..plan.clone() };
    Ok(table_file::save(path, &head, &plan.items, &samples())?)
}

/// Reads a plan. The caller checks its items.
pub(super) fn load(path: &Path) -> Result<CleanPlan, CleanError> {
    let (mut plan, items): (CleanPlan, _) = table_file::load(path).map_err(|error| match error {
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

/// Two sample items, one with every field and one with only the required ones, from which the table's schema is derived.
fn samples() -> [PlanItem; 2] {
    let bare = PlanItem {
        path: "a.jpg".into(),
        content: ContentHash::of(b""),
        label: String::new(),
        action: CleanAction::Keep,
        to: None,
        score: 0.0,
        issues: vec![IssueScore { name: String::new(), score: 0.0 }],
        reason: String::new(),
        card: None,
        suggested: None,
    };
    let whole = PlanItem {
        to: Some(String::new()),
        card: Some(0),
        suggested: Some(Suggestion { label: String::new(), probability: 0.0 }),
        ..bare.clone()
    };
    [whole, bare]
}
