//! A table of labels after cleaning. In: the table, its data set, and the decisions. Out: the bytes of a new table.

use super::csv_labels::{CsvLabels, Table};
use super::{ContentHash, Correction, Corrections, ImageDataset};
use crate::error::DataError;
use crate::image::read_file;
use crate::skip::SkipReason;
use std::collections::HashMap;
use std::path::Path;

/// The bytes of the same table with corrected labels and without the lines of images that are left out, and how many
/// lines that changed. Lines of images that aren't in the data set stay as they are, unless the image can't be read and
/// was left out for that.
///
/// # Errors
/// The table can't be read, or it's no longer the table of the data set.
pub fn corrected_table(
    labels: &CsvLabels,
    dataset: &ImageDataset,
    corrections: &Corrections,
) -> Result<(Vec<u8>, usize), DataError> {
    // No decision can be about a file outside the folder.
    let inside = dataset.skipped.iter().filter(|file| file.reason != SkipReason::OutsideFolder);
    let skipped = inside.filter_map(|file| {
        let bytes = read_file(&dataset.root.join(&file.path), &dataset.limits).ok()?;
        Some((&*file.path, ContentHash::of(&bytes)))
    });
    let items = dataset.items.iter().map(|item| (&*item.path, item.content));
    let contents: HashMap<&Path, ContentHash> = items.chain(skipped).collect();
    let mut changed = 0;
    let mut table = Table::open(labels, &dataset.root)?;
    let mut writer =
        csv::WriterBuilder::new().delimiter(table.delimiter()).flexible(true).from_writer(Vec::new());
    let failed = |error: csv::Error| DataError::CsvUnreadable {
        path: labels.path.clone(),
        source: std::io::Error::other(error.to_string()),
    };
    if let Some(names) = &table.names {
        writer.write_record(names).map_err(failed)?;
    }
    let column = table.form.label;
    while let Some(record) = table.next()? {
        let path = table.path(&record);
        let correction = contents.get(&*path).and_then(|content| corrections.find(&path, content));
        let label = match correction {
            Some(Correction::LeaveOut) => {
                changed += 1;
                continue;
            }
            Some(Correction::Relabel(label)) => Some(label.as_str()),
            Some(Correction::Keep) | None => None,
        };
        changed += usize::from(label.is_some_and(|label| record.get(column) != Some(label)));
        let fields = record.iter().enumerate();
        let fields = fields.map(|(place, field)| label.filter(|_| place == column).unwrap_or(field));
        writer.write_record(fields).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(csv::Error::from(error.into_error())))?;
    Ok((bytes, changed))
}
