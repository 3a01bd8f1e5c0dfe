//! What was measured of all servers, as a table in Markdown and as JSON. Ratios are to the first server.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Answered;
use crate::contestant::Running;
use crate::load::{Measured, within};

/// What one server did, a value a round.
#[derive(Debug, Default)]
struct Row {
    cold: Vec<f64>,
    memory: [Vec<f64>; 2],
    /// By connections: answers a second, and the milliseconds within which a half and 99 % came.
    loads: BTreeMap<usize, [Vec<f64>; 3]>,
    failed: usize,
    /// Labels that differ from those of the first server, and the largest difference of a probability.
    differs: Option<(usize, f64)>,
}

#[derive(Debug)]
pub(crate) struct Table {
    connections: Vec<usize>,
    /// In the order in which they came.
    rows: Vec<(&'static str, Row)>,
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    within(&sorted, 0.5)
}

impl Table {
    pub(crate) fn new(connections: &[usize]) -> Self {
        Self { connections: connections.to_vec(), rows: Vec::new() }
    }

    fn row(&mut self, name: &'static str) -> &mut Row {
        let at = self.rows.iter().position(|(known, _)| *known == name);
        let at = at.unwrap_or_else(|| {
            self.rows.push((name, Row::default()));
            self.rows.len() - 1
        });
        &mut self.rows[at].1
    }

    pub(crate) fn cold(&mut self, name: &'static str, took: Duration) {
        self.row(name).cold.push(took.as_secs_f64());
    }

    pub(crate) fn memory(&mut self, name: &'static str, running: &Running) {
        for (all, now) in self.row(name).memory.iter_mut().zip(running.memory()) {
            all.push(now);
        }
    }

    pub(crate) fn measured(&mut self, name: &'static str, connections: usize, measured: &Measured) {
        let row = self.row(name);
        row.failed += measured.failed + measured.refused.len();
        let values = [measured.rate, within(&measured.took, 0.5), within(&measured.took, 0.99)];
        for (all, value) in row.loads.entry(connections).or_default().iter_mut().zip(values) {
            all.push(value);
        }
    }

    /// Compares answers with those of the first server.
    pub(crate) fn agreement(&mut self, name: &'static str, ours: &[Answered], theirs: &[Answered]) {
        let pairs = || ours.iter().zip(theirs).map(|(ours, theirs)| (ours.label(), theirs.label()));
        let labels = pairs().filter(|((ours, _), (theirs, _))| ours != theirs).count();
        let apart = pairs().filter(|((ours, _), (theirs, _))| ours == theirs);
        let apart = apart.map(|((_, ours), (_, theirs))| (ours - theirs).abs()).fold(0.0, f64::max);
        self.row(name).differs = Some((labels, apart));
    }

    pub(crate) fn json(&self) -> Value {
        self.rows
            .iter()
            .map(|(name, row)| {
                json!({ "name": name, "cold": row.cold, "memory": row.memory, "loads": row.loads, "failed": row.failed })
            })
            .collect()
    }
}

/// A number with as many digits as it deserves.
fn short(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((_, first)) = self.rows.first() else { return Ok(()) };
        let ratio = |of: f64, to: f64| format!("{} ({:.2} x)", short(of), of / to);
        write!(f, "| server |")?;
        for connections in &self.connections {
            write!(f, " {connections}: requests/s | p50, p99 (ms) |")?;
        }
        writeln!(f, " memory, peak (MB) | cold start (s) |")?;
        writeln!(f, "|{}", "---|".repeat(self.connections.len() * 2 + 3))?;
        for (name, row) in &self.rows {
            write!(f, "| {name} |")?;
            for connections in &self.connections {
                let [rate, half, most] = row.loads[connections].each_ref().map(|values| median(values));
                let to = median(&first.loads[connections][0]);
                write!(f, " {} | {}, {} |", ratio(rate, to), short(half), short(most))?;
            }
            let [now, peak] = row.memory.each_ref().map(|values| median(values));
            let memory = ratio(now, median(&first.memory[0]));
            writeln!(f, " {memory}, {} | {:.2} |", short(peak), median(&row.cold))?;
        }
        for (name, row) in &self.rows {
            if row.failed > 0 {
                write!(f, "\n{name}: {} requests failed.", row.failed)?;
            }
            if let Some((labels, apart)) = row.differs {
                write!(f, "\n{name}: {labels} other labels, probabilities at most {apart:.4} apart.")?;
            }
        }
        Ok(())
    }
}
