//! Whether two photos that are alike show the same thing, and not just different things on the same ground. In: their
//! [`Detail`]s, and how one lies on the other. Out: yes or no.
//!
//! Ground is smooth, things have edges. So what is smooth is taken away (each value less the mean around it), and what's
//! left is correlated: in all colours at once, where a red coin is not a blue one, and once more in fine grey detail. One
//! gain for everything drops out, as a brighter copy is one. Before that, the photos are laid on each other more exactly.

use crate::detail::{COLOUR_SIDE, Detail, SIDE};
use crate::duplicates::aligned::{Alignment, Window};
use crate::duplicates::phash::Turn;

/// Sides of the grids: for a rough look before photos are moved, for moving them, and for the decision.
const ROUGH: usize = 16;
const FIRST: usize = 32;
const GRID: usize = 48;

/// With a smaller correlation of things in colour before they are moved, nobody looks closer.
const ROUGHLY: f32 = 0.5;

/// A window that is whole but for this share of a side is whole.
const SLACK: f32 = 0.01;

/// The window is moved by steps of these shares of a side: by smooth shapes first, by detail in the end.
const FAR: [f32; 2] = [0.035, 0.017];
const BETWEEN: [f32; 2] = [0.017, 0.008];
const NEAR: [f32; 2] = [0.004, 0.002];

/// Smallest correlation of things in colour, of copies. Planted copies reach 0.93 (0.90 if they are overexposed), different
/// things on one ground 0.91.
const THINGS: f32 = 0.92;

/// Of several ways in which photos may lie on each other, so many of the most promising are tried.
const WAYS: usize = 4;

/// With a smaller correlation on the coarse grid, nobody looks closer.
const HOPEFUL: f32 = 0.65;

/// Smallest correlation of fine grey detail, of copies.
const DETAIL: f32 = 0.8;

/// Below this standard deviation, in grey levels, there may be nothing but the noise that strong compression brings.
const FLAT: f32 = 1.5;

/// How the window that is moved changes: a shift of all of it, or one edge.
const MOVES: [[f32; 4]; 6] = [
    [1.0, 0.0, 1.0, 0.0],
    [0.0, 1.0, 0.0, 1.0],
    [1.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0],
    [0.0, 0.0, 1.0, 0.0],
    [0.0, 0.0, 0.0, 1.0],
];

/// Of several ways in which two photos may lie on each other, the one in which they show the same thing, made more exact;
/// `None` if they don't. Where neither shows more than its ground, there's nothing to contradict.
pub(crate) fn same_thing(first: &Detail, second: &Detail, ways: &[Alignment]) -> Option<Alignment> {
    let look = |alignment: &Alignment| {
        let pair = Pair { first, second, alignment: *alignment };
        let alike = pair.in_colour::<ROUGH>(3).unwrap_or(1.0);
        (alike >= if pair.is_exact() { HOPEFUL } else { ROUGHLY }).then_some((alike, pair))
    };
    let mut pairs: Vec<(f32, Pair<'_>)> = ways.iter().filter_map(look).collect();
    pairs.sort_by(|(a, one), (b, other)| {
        b.total_cmp(a).then(other.alignment.correlation.total_cmp(&one.alignment.correlation))
    });
    pairs.into_iter().take(WAYS).find_map(|(_, mut pair)| pair.is_same().then_some(pair.alignment))
}

/// Two photos, one of which is moved on the other.
struct Pair<'d> {
    first: &'d Detail,
    second: &'d Detail,
    alignment: Alignment,
}

impl Pair<'_> {
    /// Whether they lie on each other as wholes, or without the same strip, so that nothing has to be searched for.
    fn is_exact(&self) -> bool {
        self.alignment.first == self.alignment.second
    }

    /// Whether they show the same thing, once they lie on each other more exactly.
    fn is_same(&mut self) -> bool {
        let skipped = usize::from(self.is_exact());
        for (steps, radius, least) in [(FAR, 8, ROUGHLY), (BETWEEN, 3, HOPEFUL)].into_iter().skip(skipped) {
            self.move_by::<FIRST>(&steps, radius);
            if self.in_colour::<FIRST>(3).is_some_and(|alike| alike < least) {
                return false;
            }
        }
        self.move_by::<GRID>(&NEAR, 1);
        for window in [&mut self.alignment.first, &mut self.alignment.second] {
            if window.0.iter().zip(Window::WHOLE.0).all(|(edge, whole)| (edge - whole).abs() < SLACK) {
                *window = Window::WHOLE;
            }
        }
        let is_alike = |alike: Option<f32>, least: f32| alike.is_none_or(|alike| alike >= least);
        is_alike(self.in_colour::<GRID>(4), THINGS) && is_alike(self.fine::<GRID>(), DETAIL)
    }

    /// Moves the window that is a part of its photo as long as the grey values become more alike.
    fn move_by<const N: usize>(&mut self, steps: &[f32], radius: usize) {
        let moves_first = self.alignment.first != Window::WHOLE && self.alignment.second == Window::WHOLE;
        let fixed = match moves_first {
            true => self.second_plane::<N>(self.second.luma(), SIDE),
            false => self.first_plane::<N>(self.first.luma(), SIDE),
        };
        let fixed = without_ground::<N>(&fixed, radius);
        let fit = |pair: &Self| {
            let moved = match moves_first {
                true => pair.first_plane::<N>(pair.first.luma(), SIDE),
                false => pair.second_plane::<N>(pair.second.luma(), SIDE),
            };
            correlation([(&fixed[..], &without_ground::<N>(&moved, radius)[..])]).unwrap_or(0.0)
        };
        let mut best = fit(self);
        for step in steps {
            for _ in 0..3 {
                let before = best;
                for change in
                    MOVES.iter().flat_map(|edges| [edges.map(|e| e * step), edges.map(|e| -e * step)])
                {
                    let kept = self.alignment;
                    let window =
                        if moves_first { &mut self.alignment.first } else { &mut self.alignment.second };
                    window
                        .0
                        .iter_mut()
                        .zip(change)
                        .for_each(|(edge, by)| *edge = (*edge + by).clamp(0.0, 1.0));
                    let alike = fit(self);
                    if alike > best { best = alike } else { self.alignment = kept }
                }
                if best <= before {
                    break;
                }
            }
        }
    }

    fn first_plane<const N: usize>(&self, values: &[u8], side: usize) -> Vec<f32> {
        sampled::<N>(values, side, self.alignment.first, Turn::default())
    }

    fn second_plane<const N: usize>(&self, values: &[u8], side: usize) -> Vec<f32> {
        sampled::<N>(values, side, self.alignment.second, self.alignment.turn)
    }

    /// The correlation of what stands out, in all colours at once; `None` if nothing does. A photo without colours is
    /// compared by its grey values alone.
    fn in_colour<const N: usize>(&self, radius: usize) -> Option<f32> {
        let grey = |a: &[u8], b: &[u8], side: usize| {
            let planes = [self.first_plane::<N>(a, side), self.second_plane::<N>(b, side)];
            planes.map(|plane| without_ground::<N>(&plane, radius))
        };
        let mut planes = vec![grey(self.first.luma(), self.second.luma(), SIDE)];
        if !self.first.is_grey() && !self.second.is_grey() {
            for (a, b) in self.first.chroma().into_iter().zip(self.second.chroma()) {
                let [a, b] = grey(a, b, COLOUR_SIDE);
                // Colour differences are stored halved.
                planes.push([a, b].map(|plane| plane.into_iter().map(|value| 2.0 * value).collect()));
            }
        }
        correlation(planes.iter().map(|[a, b]| (&a[..], &b[..])))
    }

    /// The correlation of fine grey detail; `None` if there is none.
    fn fine<const N: usize>(&self) -> Option<f32> {
        let first = without_ground::<N>(&self.first_plane::<N>(self.first.luma(), SIDE), 1);
        let second = without_ground::<N>(&self.second_plane::<N>(self.second.luma(), SIDE), 1);
        correlation([(&first[..], &second[..])])
    }
}

/// A window of a square picture, turned, at `N` × `N` places.
fn sampled<const N: usize>(values: &[u8], side: usize, window: Window, turn: Turn) -> Vec<f32> {
    let [left, top, right, bottom] = window.0;
    // Between which two values a place lies, and how near to the second.
    let place = |share: f32, start: f32, end: f32| {
        let at = ((start + (end - start) * share) * side as f32 - 0.5).clamp(0.0, side as f32 - 1.001);
        (at as usize, at.fract())
    };
    let share = |place: usize, back: bool| {
        let share = (place as f32 + 0.5) / N as f32;
        if back { 1.0 - share } else { share }
    };
    let across: [(usize, f32); N] = std::array::from_fn(|x| {
        let share = share(x, turn.mirrored);
        if turn.transposed { place(share, top, bottom) } else { place(share, left, right) }
    });
    let down: [(usize, f32); N] = std::array::from_fn(|y| {
        let share = share(y, turn.flipped);
        if turn.transposed { place(share, left, right) } else { place(share, top, bottom) }
    });
    let at = |row: usize, column: usize| f32::from(values[row * side + column]);
    let mut plane = Vec::with_capacity(N * N);
    for &down in &down {
        for &across in &across {
            let ((y, low), (x, right)) = if turn.transposed { (across, down) } else { (down, across) };
            let upper = at(y, x) * (1.0 - right) + at(y, x + 1) * right;
            let lower = at(y + 1, x) * (1.0 - right) + at(y + 1, x + 1) * right;
            plane.push(upper * (1.0 - low) + lower * low);
        }
    }
    plane
}

/// Each value less the mean around it: twice the mean of a square that reaches `radius` places to each side.
fn without_ground<const N: usize>(plane: &[f32], radius: usize) -> Vec<f32> {
    let mut smooth = plane.to_vec();
    for _ in 0..2 {
        // Rows become columns, so that two passes smooth both.
        smooth = means::<N>(&means::<N>(&smooth, radius), radius);
    }
    plane.iter().zip(smooth).map(|(value, ground)| value - ground).collect()
}

/// Means along the rows of as many places as there are, transposed.
fn means<const N: usize>(plane: &[f32], radius: usize) -> Vec<f32> {
    let mut means = vec![0.0; N * N];
    for (y, row) in plane.chunks_exact(N).enumerate() {
        let mut sum: f32 = row[..radius].iter().sum();
        for x in 0..N {
            if let Some(next) = row.get(x + radius) {
                sum += next;
            }
            if let Some(gone) = x.checked_sub(radius + 1) {
                sum -= row[gone];
            }
            let places = (x + radius).min(N - 1) - x.saturating_sub(radius) + 1;
            means[x * N + y] = sum / places as f32;
        }
    }
    means
}

/// The correlation of planes with a mean near 0, with one gain for all of them; `None` if they show nothing.
fn correlation<'p>(planes: impl IntoIterator<Item = (&'p [f32], &'p [f32])>) -> Option<f32> {
    let (mut own, mut others, mut both, mut count) = (0.0, 0.0, 0.0, 0);
    for (a, b) in planes {
        for (a, b) in a.iter().zip(b) {
            own += a * a;
            others += b * b;
            both += a * b;
        }
        count += a.len();
    }
    let flat = FLAT * FLAT * count as f32;
    (own > flat || others > flat).then(|| both / (own * others).sqrt().max(f32::MIN_POSITIVE))
}
