//! Minimises a smooth convex function: L-BFGS with a backtracking line search.
//!
//! Source: Nocedal, Wright, "Numerical Optimization", algorithms 7.4 and 3.1. Our own code, because it is short: the
//! well-maintained crate (argmin) would bring its own matrices and traits for what is one loop here.

use std::collections::VecDeque;

/// Past steps that the estimate of the curvature is based on.
const MEMORY: usize = 10;
/// A step must lower the function by at least this share of what the slope predicts (Armijo's condition).
const SUFFICIENT: f64 = 1e-4;
/// Values nearer to each other than this share of them differ by rounding alone.
const ROUNDING: f64 = 1e-14;
/// Halvings of a step before giving up: the function is then as low as rounding allows.
const HALVINGS: i32 = 40;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Stop when no entry of the gradient is larger than this.
    pub tolerance: f64,
    /// Stop after this many steps.
    pub iterations: usize,
}

/// A point with the function's value and gradient there.
struct Point {
    point: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// A past step and the change of the gradient along it.
struct Curvature {
    step: Vec<f64>,
    change: Vec<f64>,
}

/// The point at which `function` (value and gradient at a point) is lowest, searched from `point` on.
pub(super) fn minimize(
    point: Vec<f64>,
    limits: Limits,
    mut function: impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> Vec<f64> {
    let (value, gradient) = function(&point);
    let mut here = Point { point, value, gradient };
    let mut memory: VecDeque<Curvature> = VecDeque::with_capacity(MEMORY);
    for _ in 0..limits.iterations {
        if here.gradient.iter().all(|slope| slope.abs() <= limits.tolerance) {
            break;
        }
        let Some(next) = step(&here, &direction(&here.gradient, &memory), &mut function) else {
            break;
        };
        let curvature = Curvature {
            step: difference(&next.point, &here.point),
            change: difference(&next.gradient, &here.gradient),
        };
        // A convex function curves upwards along every step. Where rounding hides that, the step would spoil the estimate.
        if dot(&curvature.step, &curvature.change) > 0.0 {
            memory.truncate(MEMORY - 1);
            memory.push_front(curvature);
        }
        here = next;
    }
    here.point
}

/// The descent direction, scaled by the curvature of the last steps; the latest is the first in `memory`.
fn direction(gradient: &[f64], memory: &VecDeque<Curvature>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for Curvature { step, change } in memory {
        let share = dot(step, &direction) / dot(step, change);
        add(&mut direction, -share, change);
        shares.push(share);
    }
    let scale = match memory.front() {
        Some(Curvature { step, change }) => dot(step, change) / dot(change, change),
        None => 1.0 / dot(gradient, gradient).sqrt().max(1.0),
    };
    direction.iter_mut().for_each(|value| *value *= scale);
    for (Curvature { step, change }, share) in memory.iter().zip(shares).rev() {
        let back = dot(change, &direction) / dot(step, change);
        add(&mut direction, share - back, step);
    }
    direction
}

/// The first of the full step, its half, its quarter, ... that lowers the function enough; `None` if none does. Near the bottom,
/// where rounding hides how values differ, the slope tells instead: it must be less steep at the end of the step. Source: Hager,
/// Zhang, "A new conjugate gradient method with guaranteed descent and an efficient line search", the approximate Wolfe condition.
fn step(
    here: &Point,
    direction: &[f64],
    function: &mut impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> Option<Point> {
    let slope = dot(direction, &here.gradient);
    (0..HALVINGS).map(|halvings| 0.5_f64.powi(halvings)).find_map(|length| {
        let mut point = here.point.clone();
        add(&mut point, length, direction);
        let (value, gradient) = function(&point);
        let is_lower = value <= here.value + SUFFICIENT * length * slope && value < here.value;
        let is_level = (value - here.value).abs() <= ROUNDING * here.value.abs();
        let is_flatter = || dot(direction, &gradient).abs() <= (1.0 - 2.0 * SUFFICIENT) * slope.abs();
        (is_lower || (is_level && is_flatter())).then_some(Point { point, value, gradient })
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += factor * what);
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_narrow_valley() {
        let weights = [1.0, 100.0, 10_000.0];
        let bottom = [3.0, -2.0, 0.5];
        let function = |at: &[f64]| {
            let away = difference(at, &bottom);
            let gradient: Vec<f64> = away.iter().zip(weights).map(|(x, w)| w * (x + x.powi(3))).collect();
            let value = away.iter().zip(weights).map(|(x, w)| w * (x * x / 2.0 + x.powi(4) / 4.0)).sum();
            (value, gradient)
        };
        let found = minimize(vec![0.0; 3], Limits { tolerance: 1e-9, iterations: 500 }, function);
        for (found, bottom) in found.iter().zip(bottom) {
            assert!((found - bottom).abs() < 1e-8, "{found} {bottom}");
        }
    }
}
