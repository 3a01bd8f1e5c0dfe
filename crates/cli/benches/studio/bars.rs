//! What was measured, beside what it should be at least or at most.

use std::fmt::{self, Display};

use serde_json::json;

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    /// Less than this.
    Below(f64),
    /// As much as this, or less.
    AtMost(f64),
    /// As much as this, or more.
    AtLeast(f64),
}

#[derive(Debug)]
struct Row {
    what: String,
    unit: &'static str,
    measured: f64,
    bar: Option<Bar>,
}

/// All figures, in the order in which they were taken.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn add(
        &mut self,
        what: impl Into<String>,
        unit: &'static str,
        measured: f64,
        bar: impl Into<Option<Bar>>,
    ) {
        let row = Row { what: what.into(), unit, measured, bar: bar.into() };
        eprintln!("{}", row.line());
        self.0.push(row);
    }

    /// The same, a line of JSON each.
    pub(crate) fn json(&self) -> String {
        let line = |row: &Row| {
            let ok = row.bar.map(|bar| bar.holds(row.measured));
            let bar = row.bar.map(|bar| bar.to_string());
            json!({ "what": row.what, "unit": row.unit, "measured": row.measured, "bar": bar, "ok": ok })
                .to_string()
        };
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Bar {
    fn holds(self, measured: f64) -> bool {
        match self {
            Self::Below(bar) => measured < bar,
            Self::AtMost(bar) => measured <= bar,
            Self::AtLeast(bar) => measured >= bar,
        }
    }
}

impl Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(bar) => write!(f, "< {bar}"),
            Self::AtMost(bar) => write!(f, "≤ {bar}"),
            Self::AtLeast(bar) => write!(f, "≥ {bar}"),
        }
    }
}

impl Row {
    fn line(&self) -> String {
        let Self { what, unit, measured, bar } = self;
        let digits = match *measured {
            whole if whole.fract() == 0.0 || whole >= 100.0 => 0,
            small if small < 1.0 => 4,
            _ => 1,
        };
        let verdict = bar.map_or("", |bar| if bar.holds(*measured) { "ok" } else { "MISSED" });
        let bar = bar.map_or(String::new(), |bar| format!("{bar} {unit}"));
        let measured = format!("{measured:.digits$} {unit}");
        format!("| {what} | {} | {} | {verdict} |", bar.trim(), measured.trim())
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | bar | measured | |\n|---|---|---|---|")?;
        self.0.iter().try_for_each(|row| writeln!(f, "{}", row.line()))
    }
}

/// The value that this share (0 to 1) of all values does not exceed.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}
