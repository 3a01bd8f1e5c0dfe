//! Tables in Parquet files, which DuckDB, pandas and polars can read. In: plain data in many rows. Out: a file.

use std::path::Path;

use arrow_schema::FieldRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use sciurus_data::fs::{open_regular, write_whole};
use serde::{Serialize, de::DeserializeOwned};
use serde_arrow::schema::{SchemaLike, TracingOptions};

use crate::InsightError;

/// Metadata key of the file for everything that doesn't belong to a row, as JSON.
const KEY: &str = "sciurus";
/// Most bytes of unpacked rows that are read.
const MOST_UNPACKED: u64 = 4 << 30;
/// How many rows are converted at a time.
const ROWS: usize = 64 * 1024;

/// Writes rows, with `head` as metadata; the file appears only when it's complete. The columns are taken from
/// `samples`: between them, every value must be present once, and missing once if it may be missing.
pub fn save<H: Serialize, T: Serialize>(
    path: &Path,
    head: &H,
    rows: &[T],
    samples: &[T],
) -> Result<(), InsightError> {
    write_whole(path, |file| {
        let failed = |error: &dyn std::error::Error| std::io::Error::other(error.to_string());
        let options = TracingOptions::default().enums_without_data_as_strings(true);
        let fields = Vec::<FieldRef>::from_samples(samples, options).map_err(|error| failed(&error))?;
        let head = KeyValue::new(KEY.to_owned(), serde_json::to_string(head)?);
        let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![head])).build();
        let batch = |rows: &[T]| serde_arrow::to_record_batch(&fields, &rows).map_err(|error| failed(&error));
        let mut writer = ArrowWriter::try_new(file, batch(&[])?.schema(), Some(properties))?;
        for rows in rows.chunks(ROWS) {
            writer.write(&batch(rows)?)?;
        }
        writer.close()?;
        Ok(())
    })?;
    Ok(())
}

/// Reads a file that [`save`] wrote.
pub fn load<H: DeserializeOwned, T: DeserializeOwned>(path: &Path) -> Result<(H, Vec<T>), InsightError> {
    let refuse = |reason: String| InsightError::Table { path: path.to_owned(), reason };
    let (file, _) =
        open_regular(path).map_err(|source| InsightError::Read { path: path.to_owned(), source })?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| refuse(error.to_string()))?;
    let groups = builder.metadata().row_groups().iter();
    let unpacked: u64 = groups.map(|group| group.total_byte_size().max(0).unsigned_abs()).sum();
    if unpacked > MOST_UNPACKED {
        return Err(refuse(format!("it claims {} GB of rows, more than any table of ours", unpacked >> 30)));
    }
    let metadata = builder.metadata().file_metadata().key_value_metadata();
    let head = metadata.into_iter().flatten().find(|pair| pair.key == KEY);
    let head = head
        .and_then(|pair| pair.value.as_deref())
        .ok_or_else(|| refuse("it is a table, but not one that Sciurus wrote".to_owned()))?;
    let head = serde_json::from_str(head).map_err(|error| refuse(error.to_string()))?;
    let reader = builder.with_batch_size(ROWS).build().map_err(|error| refuse(error.to_string()))?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| refuse(error.to_string()))?;
        let more: Vec<T> =
            serde_arrow::from_record_batch(&batch).map_err(|error| refuse(error.to_string()))?;
        rows.extend(more);
    }
    Ok((head, rows))
}

/// Whether a file's bytes are a table that [`save`] wrote.
pub fn is_ours(bytes: &[u8]) -> bool {
    let tail = |from_end: usize| bytes.get(bytes.len().checked_sub(from_end)?..);
    // The last eight bytes are the length of the footer, which contains our key, and Parquet's magic number.
    let length = tail(8).filter(|tail| tail.ends_with(b"PAR1"));
    let length = length.and_then(|tail| <[u8; 4]>::try_from(&tail[..4]).ok()).map(u32::from_le_bytes);
    let footer = length.and_then(|length| tail(length as usize + 8));
    footer.is_some_and(|footer| footer.windows(KEY.len()).any(|word| word == KEY.as_bytes()))
}
