//! What a line of a table may be. In: a line of an untrusted table. Out: what is wrong with it, before anything is made of it.

use super::CsvProblem;
use csv::StringRecord;

/// Most bytes of a line: longer than any path that a system can open.
const MOST_LINE_BYTES: usize = 1 << 16;

/// Most columns of a table.
const MOST_COLUMNS: usize = 1000;

/// Checks that a line could be one of paths and labels.
pub(super) fn check_line(record: &StringRecord) -> Result<(), CsvProblem> {
    let (text, columns) = (record.as_slice(), record.len());
    if columns > MOST_COLUMNS {
        return Err(CsvProblem::TooManyColumns { columns, limit: MOST_COLUMNS });
    }
    if text.len() > MOST_LINE_BYTES {
        return Err(CsvProblem::TooLong { bytes: text.len(), limit: MOST_LINE_BYTES });
    }
    if text.contains('\0') {
        return Err(CsvProblem::NotText);
    }
    Ok(())
}
