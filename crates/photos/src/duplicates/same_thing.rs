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
    let (first, second) = (Planes::of(first), Planes::of(second));
    let look = |alignment: &Alignment| {
        let pair = Pair { first: &first, second: &second, alignment: *alignment };
        let alike = pair.in_colour::<ROUGH>(3).unwrap_or(1.0);
        (alike >= if pair.is_exact() { HOPEFUL } else { ROUGHLY }).then_some((alike, pair))
    };
    let mut pairs: Vec<(f32, Pair<'_>)> = ways.iter().filter_map(look).collect();
    pairs.sort_by(|(a, one), (b, other)| {
        b.total_cmp(a).then(other.alignment.correlation.total_cmp(&one.alignment.correlation))
    });
    pairs.into_iter().take(WAYS).find_map(|(_, mut pair)| pair.is_same().then_some(pair.alignment))
}

/// A square picture of one kind of value, row by row.
struct Plane {
    side: usize,
    values: Vec<f32>,
}

/// A photo's grey values, and its two differences of colour unless it's grey.
struct Planes {
    luma: Plane,
    chroma: Option<[Plane; 2]>,
}

impl Planes {
    fn of(detail: &Detail) -> Self {
        let plane = |side, values: &[u8], scale: f32| Plane {
            side,
            values: values.iter().map(|&value| scale * f32::from(value)).collect(),
        };
        // Colour differences are stored halved.
        let chroma = detail.chroma().map(|values| plane(COLOUR_SIDE, values, 2.0));
        Self { luma: plane(SIDE, detail.luma(), 1.0), chroma: (!detail.is_grey()).then_some(chroma) }
    }
}

/// Two photos, one of which is moved on the other.
struct Pair<'d> {
    first: &'d Planes,
    second: &'d Planes,
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
            true => self.second_plane::<N>(&self.second.luma),
            false => self.first_plane::<N>(&self.first.luma),
        };
        let fixed = without_ground::<N>(&fixed, radius);
        let fit = |pair: &Self| {
            let moved = match moves_first {
                true => pair.first_plane::<N>(&pair.first.luma),
                false => pair.second_plane::<N>(&pair.second.luma),
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

    fn first_plane<const N: usize>(&self, plane: &Plane) -> Vec<f32> {
        sampled::<N>(plane, self.alignment.first, Turn::default())
    }

    fn second_plane<const N: usize>(&self, plane: &Plane) -> Vec<f32> {
        sampled::<N>(plane, self.alignment.second, self.alignment.turn)
    }

    /// The correlation of what stands out, in all colours at once; `None` if nothing does. A photo without colours is
    /// compared by its grey values alone.
    fn in_colour<const N: usize>(&self, radius: usize) -> Option<f32> {
        let planes = |first: &Plane, second: &Plane| {
            let planes = [self.first_plane::<N>(first), self.second_plane::<N>(second)];
            planes.map(|plane| without_ground::<N>(&plane, radius))
        };
        let mut all = vec![planes(&self.first.luma, &self.second.luma)];
        if let (Some(first), Some(second)) = (&self.first.chroma, &self.second.chroma) {
            all.extend(first.iter().zip(second).map(|(first, second)| planes(first, second)));
        }
        correlation(all.iter().map(|[a, b]| (&a[..], &b[..])))
    }

    /// The correlation of fine grey detail; `None` if there is none.
    fn fine<const N: usize>(&self) -> Option<f32> {
        let first = without_ground::<N>(&self.first_plane::<N>(&self.first.luma), 1);
        let second = without_ground::<N>(&self.second_plane::<N>(&self.second.luma), 1);
        correlation([(&first[..], &second[..])])
    }
}

/// A window of a square picture, turned, at `N` × `N` places.
fn sampled<const N: usize>(plane: &Plane, window: Window, turn: Turn) -> Vec<f32> {
    let [left, top, right, bottom] = window.0;
    let side = plane.side;
    // Between which two values each place lies, and how near to the second.
    let places = |start: f32, end: f32, back: bool| -> [(usize, f32); N] {
        std::array::from_fn(|place| {
            let share = (place as f32 + 0.5) / N as f32;
            let share = if back { 1.0 - share } else { share };
            let at = ((start + (end - start) * share) * side as f32 - 0.5).clamp(0.0, side as f32 - 1.001);
            (at as usize, at.fract())
        })
    };
    let (across, down) = match turn.transposed {
        true => (places(left, right, turn.flipped), places(top, bottom, turn.mirrored)),
        false => (places(left, right, turn.mirrored), places(top, bottom, turn.flipped)),
    };
    let mut sampled = Vec::with_capacity(N * N);
    let mut between = [0.0; SIDE];
    for (y, low) in down {
        let rows = plane.values[y * side..].iter().zip(&plane.values[(y + 1) * side..]);
        for (value, (upper, lower)) in between[..side].iter_mut().zip(rows) {
            *value = upper * (1.0 - low) + lower * low;
        }
        sampled.extend(across.map(|(x, near)| between[x] * (1.0 - near) + between[x + 1] * near));
    }
    if turn.transposed { transposed::<N>(&sampled) } else { sampled }
}

fn transposed<const N: usize>(plane: &[f32]) -> Vec<f32> {
    let mut turned = vec![0.0; N * N];
    for (y, row) in plane.chunks_exact(N).enumerate() {
        for (x, value) in row.iter().enumerate() {
            turned[x * N + y] = *value;
        }
    }
    turned
}

/// Each value less the mean around it: twice the mean of a square that reaches `radius` places to each side.
fn without_ground<const N: usize>(plane: &[f32], radius: usize) -> Vec<f32> {
    // Means along rows and down columns may be taken in any order.
    let twice = |plane: &[f32]| means::<N>(&means::<N>(plane, radius), radius);
    let smooth = transposed::<N>(&twice(&transposed::<N>(&twice(plane))));
    plane.iter().zip(smooth).map(|(value, ground)| value - ground).collect()
}

/// Means down the columns, of as many places as there are within `radius`.
fn means<const N: usize>(plane: &[f32], radius: usize) -> Vec<f32> {
    let rows = plane.as_chunks::<N>().0;
    let mut means = Vec::with_capacity(N * N);
    let mut sums = [0.0; N];
    let add = |sums: &mut [f32; N], row: &[f32; N], sign: f32| {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += sign * value);
    };
    rows[..radius].iter().for_each(|row| add(&mut sums, row, 1.0));
    for y in 0..N {
        if let Some(next) = rows.get(y + radius) {
            add(&mut sums, next, 1.0);
        }
        if let Some(gone) = y.checked_sub(radius + 1) {
            add(&mut sums, &rows[gone], -1.0);
        }
        let places = (y + radius).min(N - 1) - y.saturating_sub(radius) + 1;
        means.extend(sums.map(|sum| sum / places as f32));
    }
    means
}

/// The correlation of planes with a mean near 0, with one gain for all of them; `None` if they show nothing.
fn correlation<'p>(planes: impl IntoIterator<Item = (&'p [f32], &'p [f32])>) -> Option<f32> {
    // Sums side by side, so that the compiler can vectorise the loop. All sizes are multiples of sixteen.
    let mut sums = [[0.0; 16]; 3];
    let mut count = 0;
    for (a, b) in planes {
        for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
            for lane in 0..16 {
                sums[0][lane] += a[lane] * a[lane];
                sums[1][lane] += b[lane] * b[lane];
                sums[2][lane] += a[lane] * b[lane];
            }
        }
        count += a.len();
    }
    let [own, others, both] = sums.map(|sums| sums.iter().sum::<f32>());
    let flat = FLAT * FLAT * count as f32;
    (own > flat || others > flat).then(|| both / (own * others).sqrt().max(f32::MIN_POSITIVE))
}
