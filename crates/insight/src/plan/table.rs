//! A plan as a Parquet file: a row for each image, in the order of the queue, so that DuckDB, pandas and polars read plans of
//! millions of images.

use std::fs::File;
use std::path::Path;

use arrow_schema::FieldRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use sciurus_data::ContentHash;
use serde_arrow::schema::{SchemaLike, TracingOptions};

use super::{CleanAction, CleanPlan, IssueScore, PlanItem, Suggestion};
use crate::InsightError;

/// Key of the file's metadata under which the plan without its items stands, as JSON.
const KEY: &str = "sciurus";
/// Rows that are converted at a time.
const ROWS: usize = 64 * 1024;

/// Whether a path names such a file.
pub(super) fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
}

/// Writes a plan; the file appears under its name only when complete.
pub(super) fn save(plan: &CleanPlan, path: &Path) -> Result<(), InsightError> {
    let failed =
        |error: String| InsightError::Write { path: path.to_owned(), source: std::io::Error::other(error) };
    let head = CleanPlan { items: Vec::new(), ..plan.clone() };
    let head = serde_json::to_string(&head).map_err(|error| failed(error.to_string()))?;
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(vec![KeyValue::new(KEY.to_owned(), head)]))
        .build();
    let fields = fields().map_err(failed)?;
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let written = || -> Result<(), Box<dyn std::error::Error>> {
        let partial = tempfile::NamedTempFile::new_in(folder)?;
        let batch = |items: &[PlanItem]| serde_arrow::to_record_batch(&fields, &items);
        let mut writer = ArrowWriter::try_new(partial.reopen()?, batch(&[])?.schema(), Some(properties))?;
        for items in plan.items.chunks(ROWS) {
            writer.write(&batch(items)?)?;
        }
        writer.close()?;
        partial.as_file().sync_all()?;
        partial.persist(path)?;
        Ok(())
    };
    written().map_err(|error| failed(error.to_string()))
}

/// Reads a plan. The caller checks its items.
pub(super) fn load(path: &Path) -> Result<CleanPlan, InsightError> {
    let refuse = |reason: String| InsightError::Plan { path: path.to_owned(), reason };
    let file = File::open(path).map_err(|source| InsightError::Read { path: path.to_owned(), source })?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| refuse(error.to_string()))?;
    let metadata = builder.metadata().file_metadata().key_value_metadata();
    let head = metadata.into_iter().flatten().find(|pair| pair.key == KEY);
    let head = head
        .and_then(|pair| pair.value.as_deref())
        .ok_or_else(|| refuse("it is a table, but no plan".to_owned()))?;
    let mut plan: CleanPlan = serde_json::from_str(head).map_err(|error| refuse(error.to_string()))?;
    let reader = builder.with_batch_size(ROWS).build().map_err(|error| refuse(error.to_string()))?;
    for batch in reader {
        let batch = batch.map_err(|error| refuse(error.to_string()))?;
        let items: Vec<PlanItem> =
            serde_arrow::from_record_batch(&batch).map_err(|error| refuse(error.to_string()))?;
        plan.items.extend(items);
    }
    Ok(plan)
}

/// The columns: those of an item that has everything, of which some may be missing.
fn fields() -> Result<Vec<FieldRef>, String> {
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
    let options = TracingOptions::default().enums_without_data_as_strings(true);
    Vec::<FieldRef>::from_samples(&[whole, bare], options).map_err(|error| error.to_string())
}
