//! Whether two photos show the same picture, even if one is a crop of the other, is mirrored, or has a caption. In: two
//! thumbnails. Out: their best [`Alignment`], with its correlation.
//!
//! Everything is a comparison of low frequencies: the DCT of a window of a thumbnail without its mean, each frequency
//! multiplied by itself (in photos, energy falls with frequency), scaled to length 1. That makes brightness and
//! contrast drop out, a mirror image is just a change of signs, and a window of a thumbnail has as many frequencies as
//! the whole.

use crate::duplicates::phash::{SIDE, Turn};
use crate::thumbnail::Thumbnail;
use serde::{Deserialize, Serialize};
use std::f32::consts::PI;
use std::fmt;
use std::sync::LazyLock;

/// Frequencies in each direction for finding the best window.
const SEARCHED: usize = 8;

/// Frequencies in each direction for a first, quick comparison with a window.
const COARSE: usize = 4;

/// With a correlation below this in the quick comparison, a window is skipped. It's used for windows only: in a whole
/// photo, the strip of a caption drowns out the rest.
const HOPEFUL: f32 = 0.4;

/// Frequencies in each direction for deciding whether two pictures are the same.
const COMPARED: usize = 12;

/// Cuts that are tried at each edge.
const CUTS: [f32; 3] = [0.0, 0.07, 0.14];

/// Heights of strips at the top or bottom that a caption may cover in one of the photos, as shares of the height.
const STRIPS: [f32; 3] = [0.1, 0.17, 0.25];

/// With a correlation below this, nobody looks closer.
const PROMISING: f32 = 0.5;

/// So many ways in which photos may lie on each other are tried of each kind: as wholes, and each within the other.
const WAYS: usize = 8;

/// Margin that is left out at each edge of a window to get its middle, as a share of the side.
const MARGIN: f32 = 0.2;

/// Smallest correlation of the middles of copies. Among planted copies the least alike reach 0.82. Among different
/// photos that are alike as wholes (framed pictures, things on white, lawns) the most alike reach 0.64.
const MIDDLES: f32 = 0.75;

/// If the standard deviation of a window is below this many grey levels, it shows nothing that could be compared.
const FLAT: f32 = 1.5;

/// A part of a photo: left, top, right, bottom, each 0..=1 of width or height.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window(pub [f32; 4]);

impl Window {
    /// All of a photo.
    pub const WHOLE: Self = Self([0.0, 0.0, 1.0, 1.0]);

    /// The window without a margin on each side.
    fn middle(self) -> Self {
        let [left, top, right, bottom] = self.0;
        let (x, y) = (MARGIN * (right - left), MARGIN * (bottom - top));
        Self([left + x, top + y, right - x, bottom - y])
    }

    fn cut([left, top, right, bottom]: [f32; 4]) -> Self {
        Self([left, top, 1.0 - right, 1.0 - bottom])
    }
}

/// How one photo lies on another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// The part of the first that is compared.
    pub first: Window,
    /// The part of the second that is compared.
    pub second: Window,
    /// The turn that makes the second lie like the first.
    pub turn: Turn,
    /// -1..=1: 1 for the same picture.
    pub correlation: f32,
}

/// A thumbnail, with what its comparisons need again and again.
#[derive(Debug)]
pub(crate) struct Aligned {
    values: Box<[f32; SIDE * SIDE]>,
    searched: Spectrum<SEARCHED>,
    compared: Spectrum<COMPARED>,
    strips: Vec<(Window, Spectrum<SEARCHED>)>,
}

/// Weighted frequencies, scaled to length 1, where the first (the mean) is 0. All 0 for a window that shows nothing.
type Spectrum<const N: usize> = [[f32; N]; N];

/// How many products are summed side by side, so that the compiler can vectorise the loop.
const LANES: usize = 8;

fn dot<const N: usize>(a: &Spectrum<N>, b: &Spectrum<N>) -> f32 {
    let (a, b) = (a.as_flattened(), b.as_flattened());
    let mut sums = [0.0; LANES];
    // All sizes are multiples of eight, so nothing is left over.
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

/// The waves of a side, by frequency.
type Waves<const N: usize> = [[f32; SIDE]; N];

/// The waves of all windows that are tried, by the cut before and the cut behind.
static CUT_WAVES: LazyLock<[[Waves<SEARCHED>; CUTS.len()]; CUTS.len()]> =
    LazyLock::new(|| CUTS.map(|before| CUTS.map(|behind| waves(before, 1.0 - behind))));
/// The waves of a whole side for the decision.
static WHOLE_WAVES: LazyLock<Waves<COMPARED>> = LazyLock::new(|| waves(0.0, 1.0));
/// What is left below and above each strip, with its waves.
static STRIP_WAVES: LazyLock<Vec<(Window, Waves<SEARCHED>)>> = LazyLock::new(|| {
    let below = STRIPS.map(|strip| (Window::cut([0.0, strip, 0.0, 0.0]), waves(strip, 1.0)));
    let above = STRIPS.map(|strip| (Window::cut([0.0, 0.0, 0.0, strip]), waves(0.0, 1.0 - strip)));
    below.into_iter().chain(above).collect()
});

/// `Σ value cos(π k x)` over the part of each pixel that lies between `start` and `end`, where x runs from 0 to 1
/// between them.
fn waves<const N: usize>(start: f32, end: f32) -> Waves<N> {
    let (start, end) = (start * SIDE as f32, end * SIDE as f32);
    let mut waves = [[0.0; SIDE]; N];
    for pixel in 0..SIDE {
        let (low, high) = (start.max(pixel as f32), end.min(pixel as f32 + 1.0));
        if high > low {
            let place = ((low + high) / 2.0 - start) / (end - start);
            for (k, wave) in waves.iter_mut().enumerate() {
                wave[pixel] = (high - low) * (PI * k as f32 * place).cos();
            }
        }
    }
    waves
}

/// The sum of products of a wave and a side.
fn product(wave: &[f32; SIDE], side: &[f32; SIDE]) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in wave.chunks_exact(LANES).zip(side.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

/// Sums along the rows: `[frequency, row]`.
fn along<const N: usize>(values: &[f32; SIDE * SIDE], waves: &Waves<N>) -> [[f32; SIDE]; N] {
    let mut sums = [[0.0; SIDE]; N];
    for (y, row) in values.as_chunks().0.iter().enumerate() {
        for (k, wave) in waves.iter().enumerate() {
            sums[k][y] = product(wave, row);
        }
    }
    sums
}

/// Sums down the columns, weighted and scaled; `area` is the window's, in pixels of the thumbnail.
fn down<const N: usize>(along: &[[f32; SIDE]; N], waves: &Waves<N>, area: f32) -> Spectrum<N> {
    let mut block = [[0.0; N]; N];
    let (mut length, mut energy) = (0.0, 0.0);
    for (v, wave) in waves.iter().enumerate() {
        for u in 0..N {
            let value = product(wave, &along[u]);
            let weighted = value * ((u * u + v * v) as f32).sqrt();
            block[v][u] = weighted;
            length += weighted * weighted;
            if u + v > 0 {
                energy += value * value;
            }
        }
    }
    // A frequency's amplitude is about 2 / area times its sum, and its variance is half the square of that.
    let flat = energy.sqrt() * 2.0_f32.sqrt() / area < FLAT;
    let scale = if flat { 0.0 } else { 1.0 / length.sqrt() };
    block.as_flattened_mut().iter_mut().for_each(|value| *value *= scale);
    block
}

/// The lowest frequencies of a spectrum, scaled to length 1 again.
fn coarse(spectrum: &Spectrum<SEARCHED>) -> Spectrum<COARSE> {
    let mut low = [[0.0; COARSE]; COARSE];
    for (low, row) in low.iter_mut().zip(spectrum) {
        low.copy_from_slice(&row[..COARSE]);
    }
    let length = dot(&low, &low).sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    low.as_flattened_mut().iter_mut().for_each(|value| *value *= scale);
    low
}

/// The area of a window in pixels of the thumbnail.
fn area(window: Window) -> f32 {
    let [left, top, right, bottom] = window.0;
    (right - left) * (bottom - top) * (SIDE * SIDE) as f32
}

fn spectrum<const N: usize>(values: &[f32; SIDE * SIDE], window: Window) -> Spectrum<N> {
    let [left, top, right, bottom] = window.0;
    down(&along(values, &waves(left, right)), &waves(top, bottom), area(window))
}

impl Aligned {
    pub(crate) fn new(thumbnail: &Thumbnail) -> Self {
        let values = Box::new(thumbnail.0.map(f32::from));
        let whole = area(Window::WHOLE);
        let rows = along::<SEARCHED>(&values, &CUT_WAVES[0][0]);
        let strip =
            |(window, waves): &(Window, Waves<SEARCHED>)| (*window, down(&rows, waves, area(*window)));
        Self {
            searched: down(&rows, &CUT_WAVES[0][0], whole),
            compared: down(&along(&values, &WHOLE_WAVES), &WHOLE_WAVES, whole),
            strips: STRIP_WAVES.iter().map(strip).collect(),
            values,
        }
    }

    /// The spectra of all windows of this photo that are tried.
    pub(crate) fn windows(&self) -> Windows {
        let along =
            CUT_WAVES.each_ref().map(|waves| waves.each_ref().map(|waves| along(&self.values, waves)));
        let cuts = || CUTS.into_iter().enumerate();
        let mut windows = Vec::with_capacity(CUTS.len().pow(4));
        for ((t, top), (b, bottom)) in cuts().flat_map(|top| cuts().map(move |bottom| (top, bottom))) {
            for ((l, left), (r, right)) in cuts().flat_map(|left| cuts().map(move |right| (left, right))) {
                let window = Window::cut([left, top, right, bottom]);
                let spectrum = down(&along[l][r], &CUT_WAVES[t][b], area(window));
                windows.push((window, coarse(&spectrum), spectrum));
            }
        }
        Windows(windows)
    }

    /// How alike the whole photos are, with the second one turned.
    pub(crate) fn whole(&self, other: &Self, turn: Turn) -> Alignment {
        let correlation = dot(&self.compared, &turn.of_frequencies(&other.compared));
        Alignment { first: Window::WHOLE, second: Window::WHOLE, turn, correlation }
    }

    /// How the two may lie on each other as wholes, in any orientation, or without a strip that a caption may have covered.
    pub(crate) fn wholes_and_strips(&self, other: &Self) -> Vec<Alignment> {
        let mut best = None;
        for ((window, own), (_, others)) in self.strips.iter().zip(&other.strips) {
            if dot(own, others) > PROMISING {
                let correlation =
                    dot::<COMPARED>(&spectrum(&self.values, *window), &spectrum(&other.values, *window));
                let alignment =
                    Alignment { first: *window, second: *window, turn: Turn::default(), correlation };
                best = better(best, alignment);
            }
        }
        most_promising(Turn::ALL.map(|turn| self.whole(other, turn)).into_iter().chain(best))
    }

    /// How alike the two are if they lie on each other like this.
    pub(crate) fn correlation(&self, other: &Self, alignment: &Alignment) -> f32 {
        let own = spectrum::<COMPARED>(&self.values, alignment.first);
        dot(&own, &alignment.turn.of_frequencies(&spectrum(&other.values, alignment.second)))
    }

    /// Whether the middles of what an alignment compares are alike too. The same frame around two pictures, or white
    /// around two things, makes the wholes alike, but not the middles. If both middles show nothing, there's nothing to
    /// contradict.
    pub(crate) fn confirms(&self, other: &Self, alignment: &Alignment) -> bool {
        let own = spectrum::<COMPARED>(&self.values, alignment.first.middle());
        let others = spectrum::<COMPARED>(&other.values, alignment.second.middle());
        let both_flat = [&own, &others].iter().all(|&spectrum| dot(spectrum, spectrum) == 0.0);
        both_flat || dot(&own, &alignment.turn.of_frequencies(&others)) >= MIDDLES
    }

    /// About where the whole other photo may lie in this one: the best window in each promising orientation.
    pub(crate) fn within(&self, windows: &Windows, other: &Self) -> Vec<Alignment> {
        let best_in = |turn: Turn| {
            let turned = turn.of_frequencies(&other.searched);
            let turned_coarse = coarse(&turned);
            let mut best = (PROMISING, None);
            for (window, first_look, spectrum) in &windows.0 {
                if dot(first_look, &turned_coarse) < HOPEFUL {
                    continue;
                }
                let correlation = dot(spectrum, &turned);
                if correlation > best.0 {
                    best = (correlation, Some(*window));
                }
            }
            Some(Alignment { first: best.1?, second: Window::WHOLE, turn, correlation: best.0 })
        };
        most_promising(Turn::ALL.into_iter().filter_map(best_in))
    }
}

/// The best few of several ways. A round thing is almost as much like its mirror image as like itself, so there are more than
/// one.
fn most_promising(ways: impl Iterator<Item = Alignment>) -> Vec<Alignment> {
    let mut ways: Vec<Alignment> = ways.filter(|way| way.correlation > PROMISING).collect();
    ways.sort_by(|a, b| b.correlation.total_cmp(&a.correlation));
    ways.truncate(WAYS);
    ways
}

/// Windows of a photo with their spectra.
#[derive(Debug)]
pub(crate) struct Windows(Vec<(Window, Spectrum<COARSE>, Spectrum<SEARCHED>)>);

fn better(best: Option<Alignment>, next: Alignment) -> Option<Alignment> {
    match best {
        Some(best) if best.correlation >= next.correlation => Some(best),
        _ => Some(next),
    }
}

impl fmt::Display for Alignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the same picture ({:.0} % alike", 100.0 * self.correlation)?;
        if self.turn != Turn::default() {
            write!(f, ", {}", self.turn)?;
        }
        match (self.first == Window::WHOLE, self.second == Window::WHOLE) {
            (true, true) => f.write_str(")"),
            (true, false) => f.write_str(", the first a part of the second)"),
            (false, true) => f.write_str(", the second a part of the first)"),
            (false, false) => f.write_str(", except for a strip)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duplicates::phash::small_grey;
    use crate::pixels::measure::grey;
    use image::imageops::{crop_imm, flip_horizontal, rotate90};
    use sciurus_data::RgbImage;

    fn photo(seed: f32) -> RgbImage {
        RgbImage::from_fn(200, 150, |x, y| {
            let (x, y) = (x as f32 / 200.0, y as f32 / 150.0);
            let wave =
                (9.0 * x + seed).sin() + (seed * 7.0 * y * x).cos() + (13.0 * (x - y) * seed.cos()).sin();
            let spot = if (x - 0.3).hypot(y - 0.6) < 0.2 { 60.0 } else { 0.0 };
            [(110.0 + 28.0 * wave + spot) as u8; 3].into()
        })
    }

    /// A picture in the middle of a white sheet, with a black line around it.
    fn framed(seed: f32) -> RgbImage {
        let inner = photo(seed);
        RgbImage::from_fn(240, 190, |x, y| match (x, y) {
            (20..220, 20..170) => *inner.get_pixel(x - 20, y - 20),
            (16..224, 16..174) => [0; 3].into(),
            _ => [255; 3].into(),
        })
    }

    fn aligned(image: &RgbImage) -> Aligned {
        Aligned::new(&Thumbnail(small_grey(&grey(image))))
    }

    #[test]
    fn a_cropped_and_mirrored_copy_lies_where_it_was_cut() {
        let whole = photo(1.0);
        let part = crop_imm(&whole, 20, 9, 164, 130).to_image();
        let (first, second) = (aligned(&whole), aligned(&flip_horizontal(&part)));
        let found = first.within(&first.windows(), &second)[0];
        assert!(found.correlation > 0.7, "{found:?}");
        assert_eq!(found.turn.to_string(), "mirrored");
        for (got, want) in found.first.0.into_iter().zip([0.1, 0.06, 0.92, 0.927]) {
            assert!((got - want).abs() < 0.04, "{found:?}");
        }
        let exact = Alignment { first: Window([0.1, 0.06, 0.92, 0.927]), ..found };
        assert!(first.correlation(&second, &exact) > 0.95);
        assert!(first.wholes_and_strips(&aligned(&rotate90(&whole)))[0].correlation > 0.98);
    }

    #[test]
    fn a_frame_makes_no_copies() {
        let (one, other) = (aligned(&framed(1.0)), aligned(&framed(2.2)));
        let wholes = one.wholes_and_strips(&other)[0];
        assert!(wholes.correlation > 0.8, "{wholes:?}");
        assert!(!one.confirms(&other, &wholes));
        let turned = aligned(&flip_horizontal(&framed(1.0)));
        assert!(one.confirms(&turned, &one.wholes_and_strips(&turned)[0]));
    }

    #[test]
    fn other_pictures_and_pictures_of_one_colour_are_not_alike() {
        let (first, other) = (aligned(&photo(1.0)), aligned(&photo(2.2)));
        let found = [first.wholes_and_strips(&other), first.within(&first.windows(), &other)].concat();
        assert!(found.iter().all(|way| way.correlation < 0.7), "{found:?}");
        let flat = aligned(&RgbImage::from_pixel(50, 50, [90; 3].into()));
        assert!(flat.wholes_and_strips(&flat).is_empty());
    }
}
