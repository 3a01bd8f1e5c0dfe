//! What an order is worth.

use std::fmt;

use sciurus::clean::find::{Reviewed, StopRule};

/// Figures of one order, or means of several.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measures([f64; 10]);

impl Measures {
    /// `order` is the items, most suspicious first; `wrong` says which are, and `scores` how probable that is, where an order
    /// promises something.
    pub(crate) fn of(order: &[usize], wrong: &[bool], scores: Option<&[f64]>) -> Self {
        let found: Vec<bool> = order.iter().map(|&item| wrong[item]).collect();
        let (all, errors) = (found.len() as f64, found.iter().filter(|&&wrong| wrong).count() as f64);
        let (mut seen, mut pairs, mut precision, mut ninety) = (0.0, 0.0, 0.0, all);
        for (place, &wrong) in found.iter().enumerate() {
            if wrong {
                seen += 1.0;
                precision += seen / (place + 1) as f64;
            } else {
                pairs += seen;
            }
            if wrong && seen >= 0.9 * errors && ninety == all {
                ninety = (place + 1) as f64;
            }
        }
        let among = |first: f64| found.iter().take(first as usize).filter(|&&wrong| wrong).count() as f64;
        let shown = shown(order, wrong, scores) as f64;
        Self([
            pairs / (errors * (all - errors)),
            precision / errors,
            among(20.0) / 20.0,
            among(50.0) / 50.0,
            among(100.0) / 100.0,
            among(0.05 * all) / errors,
            among(0.1 * all) / errors,
            ninety / all,
            shown / all,
            among(shown) / errors,
        ])
    }
}

/// How many items a reviewer sees who is always right and stops when told.
pub(crate) fn shown(order: &[usize], wrong: &[bool], scores: Option<&[f64]>) -> usize {
    let score = |item: usize| scores.map_or(0.5, |scores| scores[item]);
    let all: Vec<Reviewed> =
        order.iter().map(|&item| Reviewed { score: score(item), wrong: wrong[item] }).collect();
    let rule = StopRule::of_set(all.len());
    let rule = if scores.is_some() { rule } else { rule.left(0.0) };
    rule.build().unwrap().shown(&all)
}

pub(crate) fn mean(measures: &[Measures]) -> Measures {
    let mean = |at: usize| measures.iter().map(|one| one.0[at]).sum::<f64>() / measures.len() as f64;
    Measures(std::array::from_fn(mean))
}

impl fmt::Display for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells: Vec<String> = self.0.iter().map(|value| format!("{value:.3}")).collect();
        f.write_str(&cells.join(" | "))
    }
}
