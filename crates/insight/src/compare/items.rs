//! Matches the items of runs. In: the runs of both sides. Out: the same runs with their items matched by path and
//! label.

use std::collections::HashMap;
use std::iter::Sum;
use std::path::Path;

use crate::{InsightError, Predictions};

/// The outcome of one run on one item.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    /// The item's index among all matched items.
    item: usize,
    /// 1 for a mistake, else 0.
    error: f64,
    /// The loss in nats.
    loss: f64,
}

/// One run: an outcome for each item of its split.
#[derive(Debug)]
pub(super) struct Run(Vec<Outcome>);

impl Run {
    /// Weighted sums over the run's items; `weight` returns the weight of the item at an index.
    pub(super) fn sums(&self, weight: impl Fn(usize) -> f64) -> Sums {
        self.0.iter().map(|outcome| Sums::of(outcome, weight(outcome.item))).sum()
    }
}

/// Sums over outcomes, from which rates are computed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    weights: f64,
    errors: f64,
    losses: f64,
}

impl Sums {
    fn of(outcome: &Outcome, weight: f64) -> Self {
        Self { weights: weight, errors: weight * outcome.error, losses: weight * outcome.loss }
    }

    /// The share of mistakes, 0..1.
    pub(super) fn error_rate(self) -> f64 {
        self.errors / self.weights
    }

    /// The mean loss in nats.
    pub(super) fn loss(self) -> f64 {
        self.losses / self.weights
    }
}

impl Sum for Sums {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            weights: sum.weights + one.weights,
            errors: sum.errors + one.errors,
            losses: sum.losses + one.losses,
        })
    }
}

/// The runs of both sides over one list of items.
#[derive(Debug)]
pub(super) struct Paired {
    pub(super) a: Vec<Run>,
    pub(super) b: Vec<Run>,
    items: usize,
}

impl Paired {
    /// Matches items, and checks that each is in the same share of the runs of both sides.
    pub(super) fn new(a: &[Predictions], b: &[Predictions]) -> Result<Self, InsightError> {
        let nothing = |what| Err(InsightError::NothingToCompare { what });
        match (a, b) {
            ([], _) => return nothing("there is no run of A"),
            (_, []) => return nothing("there is no run of B"),
            _ if a.iter().chain(b).all(Predictions::is_empty) => return nothing("there are no items"),
            _ => {}
        }
        let mut known = Known::default();
        let runs_a = a.iter().map(|run| known.run(run, A)).collect::<Result<Vec<_>, _>>()?;
        let runs_b = b.iter().map(|run| known.run(run, B)).collect::<Result<Vec<_>, _>>()?;
        known.check(a.len(), b.len())?;
        Ok(Self { a: runs_a, b: runs_b, items: known.entries.len() })
    }

    /// The number of different items.
    pub(super) fn items(&self) -> usize {
        self.items
    }

    /// For each item, B's mistakes per run minus A's, -1..=1.
    pub(super) fn error_differences(&self) -> Vec<f64> {
        let mut differences = vec![0.0; self.items];
        for (runs, sign) in [(&self.a, -1.0), (&self.b, 1.0)] {
            for outcome in runs.iter().flat_map(|run| &run.0) {
                differences[outcome.item] += sign * outcome.error / runs.len() as f64;
            }
        }
        differences
    }

    /// On how many items A is right more often than B, and B more often than A.
    pub(super) fn ahead(&self) -> (usize, usize) {
        let differences = self.error_differences();
        let count = |is: fn(f64) -> bool| differences.iter().filter(|&&difference| is(difference)).count();
        // Thirds and sevenths don't add up to exactly 0; a real difference is at least one prediction of one run.
        (count(|difference| difference > 1e-9), count(|difference| difference < -1e-9))
    }
}

/// Indices of the two sides in a [`Seen`], and their names.
const A: usize = 0;
const B: usize = 1;
const NAMES: [&str; 2] = ["A", "B"];

/// An item that is in some run.
#[derive(Debug)]
struct Seen<'a> {
    path: &'a Path,
    label: &'a str,
    /// How many runs of each side it is in.
    runs: [usize; 2],
}

/// All items so far, with their indices.
#[derive(Debug, Default)]
struct Known<'a> {
    places: HashMap<&'a Path, usize>,
    entries: Vec<Seen<'a>>,
}

impl<'a> Known<'a> {
    /// Adds one run of a side.
    fn run(&mut self, run: &'a Predictions, side: usize) -> Result<Run, InsightError> {
        let mut last_run = vec![false; self.entries.len()];
        let outcome = |i: usize| {
            let item = self.place(run, i, side)?;
            last_run.resize(self.entries.len(), false);
            if std::mem::replace(&mut last_run[item], true) {
                return Err(differs(
                    &run.paths[i],
                    format!("it appears twice in one run of {}", NAMES[side]),
                ));
            }
            let error = if run.prediction(i) == run.targets[i] { 0.0 } else { 1.0 };
            Ok(Outcome { item, error, loss: f64::from(run.losses[i]) })
        };
        (0..run.len()).map(outcome).collect::<Result<_, _>>().map(Run)
    }

    /// The index of item `i` of a run.
    fn place(&mut self, run: &'a Predictions, i: usize, side: usize) -> Result<usize, InsightError> {
        let (path, label) = (run.paths[i].as_path(), run.target_label(i));
        let place = *self.places.entry(path).or_insert(self.entries.len());
        if place == self.entries.len() {
            self.entries.push(Seen { path, label, runs: [0, 0] });
        }
        let seen = &mut self.entries[place];
        if seen.label != label {
            let why = format!("its label is `{}` in one run and `{label}` in another", seen.label);
            return Err(differs(path, why));
        }
        seen.runs[side] += 1;
        Ok(place)
    }

    /// Checks that every item is in the same share of the runs of both sides.
    fn check(&self, runs_a: usize, runs_b: usize) -> Result<(), InsightError> {
        let fits = |seen: &&Seen<'_>| seen.runs[A] * runs_b == seen.runs[B] * runs_a;
        let Some(Seen { path, runs, .. }) = self.entries.iter().find(|seen| !fits(seen)) else {
            return Ok(());
        };
        Err(differs(
            path,
            match runs {
                [_, 0] => "only A has it".to_string(),
                [0, _] => "only B has it".to_string(),
                [a, b] => format!("it is in {a} of {runs_a} runs of A and in {b} of {runs_b} runs of B"),
            },
        ))
    }
}

fn differs(path: &Path, why: String) -> InsightError {
    InsightError::DifferentItems { path: path.into(), why }
}
