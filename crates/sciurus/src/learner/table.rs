//! fastai's table of epochs. In: the events of a fit. Out: lines of text.

use std::io::Write;
use std::time::Duration;

use super::event::{Control, EpochRecord, Event, Observer, Phase};
use crate::Error;

/// The lines of a fit's table: a row for each epoch, with its losses, metrics and time.
///
/// ```
/// use sciurus::EpochTable;
///
/// let table = EpochTable::new(&["error_rate".to_owned()]);
/// assert_eq!(table.header(), "| epoch | train_loss | valid_loss | error_rate | time  |");
/// ```
#[derive(Debug, Clone, Default)]
pub struct EpochTable {
    names: Vec<String>,
    widths: Vec<usize>,
}

impl EpochTable {
    /// A table with columns for these metrics.
    #[must_use]
    pub fn new(metrics: &[String]) -> Self {
        let mut names = ["epoch", "train_loss", "valid_loss"].map(str::to_owned).to_vec();
        names.extend(metrics.iter().cloned());
        names.push("time".to_owned());
        // A loss or a metric takes six decimals, which is wider than the names of some.
        let least = |place: usize| if (1..names.len() - 1).contains(&place) { number(0.0).len() } else { 5 };
        let widths = names.iter().enumerate().map(|(place, name)| name.len().max(least(place))).collect();
        Self { names, widths }
    }

    /// What the table is of: the head alone, late layers too, or the whole network.
    #[must_use]
    pub fn title(phase: Phase) -> &'static str {
        match phase {
            Phase::Frozen => "head only (body frozen):",
            Phase::PartlyFrozen => "late layers and head (early layers frozen):",
            Phase::Unfrozen => "whole network:",
        }
    }

    /// The names of the columns.
    #[must_use]
    pub fn header(&self) -> String {
        self.line(&self.names)
    }

    /// The line below the names.
    #[must_use]
    pub fn rule(&self) -> String {
        self.line(&self.widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>())
    }

    /// The row of an epoch.
    #[must_use]
    pub fn row(&self, record: &EpochRecord) -> String {
        let mut cells = vec![record.epoch.to_string(), number(record.train_loss), number(record.valid_loss)];
        cells.extend(record.metrics.iter().map(|metric| number(metric.value)));
        cells.push(Self::time(record.elapsed));
        self.line(&cells)
    }

    /// A time as it stands in the table: `mm:ss`, or `h:mm:ss` from an hour on, rounded to the second.
    #[must_use]
    pub fn time(duration: Duration) -> String {
        let seconds = duration.as_secs_f64().round() as u64;
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match hours {
            0 => format!("{minutes:02}:{seconds:02}"),
            _ => format!("{hours}:{minutes:02}:{seconds:02}"),
        }
    }

    fn line(&self, cells: &[String]) -> String {
        let padded = cells.iter().zip(&self.widths).map(|(cell, width)| format!(" {cell:<width$} |"));
        padded.fold("|".to_owned(), |line, cell| line + &cell)
    }
}

/// Writes the table of each fit, row by row, as `learn.fine_tune` shows it in a notebook.
///
/// ```no_run
/// # use sciurus::prelude::*;
/// use sciurus::TableWriter;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dls = ImageDataLoaders::from_folder("squirrels").build()?;
/// let mut learner = vision_learner(dls, Arch::ResNet18).metric(ErrorRate).build()?;
/// learner.observe(TableWriter::new(std::io::stdout()));
/// learner.fine_tune(4)?;
/// # Ok(())
/// # }
/// ```
pub struct TableWriter {
    writer: Box<dyn Write>,
    table: EpochTable,
}

impl TableWriter {
    /// An observer that writes to standard output, a file, or anything else.
    pub fn new(writer: impl Write + 'static) -> Self {
        Self { writer: Box::new(writer), table: EpochTable::default() }
    }

    fn lines(&mut self, lines: &[String]) -> Result<Control, Error> {
        let written = lines.iter().try_for_each(|line| writeln!(self.writer, "{line}"));
        written.and_then(|()| self.writer.flush()).map_err(|error| Error::Observer(error.to_string()))?;
        Ok(Control::Continue)
    }
}

impl std::fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Observer for TableWriter {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        match event {
            Event::FitStarted { metrics, phase, .. } => {
                self.table = EpochTable::new(metrics);
                let title = EpochTable::title(*phase).to_owned();
                self.lines(&[title, self.table.header(), self.table.rule()])
            }
            Event::Resumed { rows, epoch, .. } => {
                let done = &rows[rows.len().saturating_sub(*epoch)..];
                let rows: Vec<String> = done.iter().map(|row| self.table.row(row)).collect();
                self.lines(&rows)
            }
            Event::EpochEnded(record) => self.lines(&[self.table.row(record)]),
            _ => Ok(Control::Continue),
        }
    }
}

fn number(value: f64) -> String {
    format!("{value:.6}")
}
