//! Tables in Parquet files, which DuckDB, pandas and polars can read. In: plain data in many rows. Out: a file.
//!
//! Columns are written and read one by one with parquet's own readers and writers. Going through Arrow arrays would take less
//! code, but makes the program four megabytes larger.

use std::borrow::Cow;
use std::iter::repeat_n;
use std::path::Path;
use std::sync::Arc;

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{KeyValue, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};
use sciurus_data::fs::{open_regular, write_whole};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Number, Value};

use crate::InsightError;

/// Metadata key of the file for everything that doesn't belong to a row, as JSON.
const KEY: &str = "sciurus";
/// Most bytes of unpacked rows that are read.
const MOST_UNPACKED: u64 = 4 << 30;
/// Rows of a row group.
const ROWS: usize = 64 * 1024;

/// What a row has in a column: one value; at most one if the column is optional; any number if it belongs to a list.
#[derive(Debug)]
pub enum Column<T> {
    /// Text, in a `binary (STRING)`.
    Text(fn(&T) -> Vec<Cow<'_, str>>),
    /// Numbers, in a `double`.
    Number(fn(&T) -> Vec<f64>),
    /// Counts, in an `int64 (INTEGER(64, false))`, or 32 bits where no count is larger.
    Count(fn(&T) -> Vec<u64>),
    /// Yes or no, in a required `boolean`.
    Flag(fn(&T) -> bool),
}

/// The columns of a table whose rows are `T`. They are read by serde, so they have the names of its fields.
#[derive(Debug)]
pub struct Columns<T> {
    /// The table in Parquet's notation. Structs are groups, of one level; lists have Parquet's usual three.
    pub schema: &'static str,
    /// Each column of the schema, in its order.
    pub columns: Vec<Column<T>>,
    /// How many of the last columns files of earlier versions lack.
    pub newer: usize,
}

/// Writes rows, with `head` as metadata; the file appears only when it's complete.
pub fn save<H: Serialize, T>(
    path: &Path,
    head: &H,
    rows: &[T],
    columns: &Columns<T>,
) -> Result<(), InsightError> {
    write_whole(path, |file| {
        let schema = Arc::new(parse_message_type(columns.schema)?);
        let head = KeyValue::new(KEY.to_owned(), serde_json::to_string(head)?);
        let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![head])).build();
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        for rows in rows.chunks(ROWS) {
            let mut group = writer.next_row_group()?;
            for column in &columns.columns {
                let mut chunk = group.next_column()?.ok_or_else(differ)?;
                write_column(chunk.untyped(), column, rows)?;
                chunk.close()?;
            }
            group.close()?;
        }
        writer.close()?;
        Ok(())
    })?;
    Ok(())
}

/// A fault of ours: the schema says one thing and the columns another.
fn differ() -> ParquetError {
    ParquetError::General("the schema and the columns differ".to_owned())
}

fn write_column<T>(writer: &mut ColumnWriter, column: &Column<T>, rows: &[T]) -> ParquetResult<()> {
    let text = |text: &Cow<'_, str>| ByteArray::from(&**text);
    match (column, writer) {
        (Column::Text(of), ColumnWriter::ByteArrayColumnWriter(writer)) => {
            write_values(writer, rows.iter().map(|row| of(row).iter().map(text).collect()))
        }
        (Column::Number(of), ColumnWriter::DoubleColumnWriter(writer)) => {
            write_values(writer, rows.iter().map(of))
        }
        (Column::Count(of), ColumnWriter::Int64ColumnWriter(writer)) => {
            write_values(writer, rows.iter().map(|row| of(row).into_iter().map(u64::cast_signed).collect()))
        }
        (Column::Count(of), ColumnWriter::Int32ColumnWriter(writer)) => {
            write_values(writer, rows.iter().map(|row| of(row).iter().map(|&count| count as i32).collect()))
        }
        (Column::Flag(of), ColumnWriter::BoolColumnWriter(writer)) => {
            write_values(writer, rows.iter().map(|row| vec![of(row)]))
        }
        _ => Err(differ()),
    }
}

/// Writes the values of each row. Parquet stores them without gaps, and two levels for each place beside them: whether there is
/// a value, and whether the place belongs to the same row as the one before. A row without a value has one empty place.
fn write_values<D: DataType>(
    writer: &mut ColumnWriterImpl<'_, D>,
    rows: impl Iterator<Item = Vec<D::T>>,
) -> ParquetResult<()> {
    let present = writer.get_descriptor().max_def_level();
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let places = row.len().max(1);
        defined.extend(repeat_n(present - i16::from(row.is_empty()), places));
        repeated.extend((0..places).map(|place| i16::from(place > 0)));
        values.extend(row);
    }
    writer.write_batch(&values, Some(&defined), Some(&repeated)).map(drop)
}

/// Reads a file that [`save`] wrote.
pub fn load<H: DeserializeOwned, T: DeserializeOwned>(
    path: &Path,
    columns: &Columns<T>,
) -> Result<(H, Vec<T>), InsightError> {
    let refuse = |reason: String| InsightError::Table { path: path.to_owned(), reason };
    let (file, bytes) =
        open_regular(path).map_err(|source| InsightError::Read { path: path.to_owned(), source })?;
    let reader = SerializedFileReader::new(file).map_err(|error| refuse(error.to_string()))?;
    check(&reader, bytes, columns).map_err(refuse)?;
    let pairs = reader.metadata().file_metadata().key_value_metadata();
    let head =
        pairs.into_iter().flatten().find(|pair| pair.key == KEY).and_then(|pair| pair.value.as_deref());
    let head = head.ok_or_else(|| refuse("it is a table, but not one that Sciurus wrote".to_owned()))?;
    let head = serde_json::from_str(head).map_err(|error| refuse(error.to_string()))?;
    let mut rows = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).and_then(|group| read_group(&*group));
        for row in group.map_err(|error| refuse(error.to_string()))? {
            rows.push(serde_json::from_value(Value::Object(row)).map_err(|error| refuse(error.to_string()))?);
        }
    }
    Ok((head, rows))
}

/// Whether a file has these columns, and no more rows and bytes than a file of its size can hold.
fn check<T>(
    reader: &SerializedFileReader<std::fs::File>,
    bytes: u64,
    columns: &Columns<T>,
) -> Result<(), String> {
    let metadata = reader.metadata();
    let sum = |of: fn(&RowGroupMetaData) -> i64| {
        metadata.row_groups().iter().map(|group| of(group).max(0).unsigned_abs()).fold(0, u64::saturating_add)
    };
    let unpacked = sum(RowGroupMetaData::total_byte_size);
    if unpacked > MOST_UNPACKED {
        return Err(format!("it claims {} GB of rows, more than any table of ours", unpacked >> 30));
    }
    // Each row has a path of its own, which takes a byte at least.
    let rows = sum(RowGroupMetaData::num_rows);
    if rows > bytes {
        return Err(format!("it claims {rows} rows in {bytes} bytes"));
    }
    let ours = parse_message_type(columns.schema).map_err(|error| error.to_string())?;
    let (ours, theirs) = (SchemaDescriptor::new(Arc::new(ours)), metadata.file_metadata().schema_descr());
    let form = |column: &ColumnDescriptor| {
        let levels = (column.max_def_level(), column.max_rep_level());
        (column.path().clone(), column.physical_type(), levels)
    };
    let forms =
        |schema: &SchemaDescriptor| schema.columns().iter().map(|column| form(column)).collect::<Vec<_>>();
    let (ours, theirs) = (forms(&ours), forms(theirs));
    let is_ours = theirs.len() + columns.newer >= ours.len() && ours.starts_with(&theirs);
    if is_ours { Ok(()) } else { Err("it has other columns than a table of this kind".to_owned()) }
}

/// The rows of a group, each as an object of its columns.
fn read_group(group: &dyn RowGroupReader) -> ParquetResult<Vec<Map<String, Value>>> {
    let rows = usize::try_from(group.metadata().num_rows())?;
    let mut rows = vec![Map::new(); rows];
    for (at, column) in group.metadata().schema_descr().columns().iter().enumerate() {
        match group.get_column_reader(at)? {
            ColumnReader::ByteArrayColumnReader(reader) => {
                read_values(reader, column, &mut rows, |text| Ok(text.as_utf8()?.into()))?;
            }
            ColumnReader::DoubleColumnReader(reader) => {
                let number = |number: &f64| Ok(Number::from_f64(*number).map_or(Value::Null, Value::Number));
                read_values(reader, column, &mut rows, number)?;
            }
            ColumnReader::Int64ColumnReader(reader) => {
                read_values(reader, column, &mut rows, |count| Ok(count.cast_unsigned().into()))?;
            }
            ColumnReader::Int32ColumnReader(reader) => {
                read_values(reader, column, &mut rows, |count| Ok(count.cast_unsigned().into()))?;
            }
            ColumnReader::BoolColumnReader(reader) => {
                read_values(reader, column, &mut rows, |flag| Ok((*flag).into()))?;
            }
            _ => return Err(differ()),
        }
    }
    Ok(rows)
}

/// Reads a column into the rows: the reverse of [`write_values`].
fn read_values<D: DataType>(
    mut reader: ColumnReaderImpl<D>,
    column: &ColumnDescriptor,
    rows: &mut [Map<String, Value>],
    value: impl Fn(&D::T) -> ParquetResult<Value>,
) -> ParquetResult<()> {
    let cut = || ParquetError::General(format!("column {} is cut short", column.path()));
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    let (_, _, places) =
        reader.read_records(rows.len(), Some(&mut defined), Some(&mut repeated), &mut values)?;
    let mut values = values.iter();
    let mut rows = rows.iter_mut();
    let (mut row, mut index) = (None, 0);
    for place in 0..places {
        // A column that every row has once stores no levels.
        match repeated.get(place) {
            Some(1..) => index += 1,
            _ => (row, index) = (rows.next(), 0),
        }
        let row = row.as_deref_mut().ok_or_else(cut)?;
        let is_there = defined.get(place).is_none_or(|&level| level == column.max_def_level());
        let value = is_there.then(|| values.next().ok_or_else(cut).and_then(&value)).transpose()?;
        put(row, column.path().parts(), index, value);
    }
    rows.next().map_or(Ok(()), |_| Err(cut()))
}

/// Puts a value of a column into a row, where serde looks for it: `suggested.label` in an object, and
/// `issues.list.element.name` in the object at `index` of a list.
fn put(row: &mut Map<String, Value>, path: &[String], index: usize, value: Option<Value>) {
    match (path, value) {
        ([name], Some(value)) => {
            row.insert(name.clone(), value);
        }
        ([name, field], Some(value)) => {
            if let Value::Object(group) = row.entry(name).or_insert_with(|| Map::new().into()) {
                group.insert(field.clone(), value);
            }
        }
        ([name, _, _, field], value) => {
            let Value::Array(list) = row.entry(name).or_insert_with(|| Value::Array(Vec::new())) else {
                return;
            };
            let Some(value) = value else { return };
            if list.len() <= index {
                list.push(Map::new().into());
            }
            if let Some(Value::Object(element)) = list.get_mut(index) {
                element.insert(field.clone(), value);
            }
        }
        _ => {}
    }
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
