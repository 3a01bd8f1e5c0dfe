//! Whether one photo is a copy of another. In: two [`Picture`]s. Out: how the copy lies on the original.

use crate::detail::Detail;
use crate::duplicates::aligned::{Aligned, Alignment, Windows};
use crate::duplicates::phash::Turn;
use crate::duplicates::same_thing::same_thing;
use crate::pixels::PixelReport;
use sciurus_data::ContentHash;
use std::sync::OnceLock;

/// A photo, with all that its comparisons need again and again.
#[derive(Debug)]
pub(crate) struct Picture {
    aligned: Aligned,
    /// Computed when something is searched for in it.
    windows: OnceLock<Windows>,
    detail: Detail,
    pixels: ContentHash,
}

impl Picture {
    pub(crate) fn new(report: &PixelReport) -> Self {
        let aligned = Aligned::new(&report.thumbnail);
        Self { aligned, windows: OnceLock::new(), detail: report.detail.clone(), pixels: report.pixels }
    }

    /// How the other photo lies on this one, if the two show the same picture with a correlation of at least `least`. Whichever
    /// of them is asked, the answer is the same.
    pub(crate) fn copy(&self, other: &Self, least: f32) -> Option<Alignment> {
        self.in_order(other, |first, second| {
            let ways = [
                first.aligned.wholes_and_strips(&second.aligned),
                first.within(second),
                second.within(first).into_iter().map(swapped).collect(),
            ];
            first.copy_in(second, &ways.concat(), least)
        })
    }

    /// Asks for the way in which one lies on the other. One of them is moved until it fits best, and which one that is must not
    /// depend on who came first.
    fn in_order(&self, other: &Self, ask: impl Fn(&Self, &Self) -> Option<Alignment>) -> Option<Alignment> {
        match self.pixels <= other.pixels {
            true => ask(self, other),
            false => ask(other, self).map(swapped),
        }
    }

    /// About where all of the other photo may lie in this one.
    fn within(&self, other: &Self) -> Vec<Alignment> {
        self.aligned.within(self.windows.get_or_init(|| self.aligned.windows()), &other.aligned)
    }

    /// The same, where neither is a part of the other.
    pub(crate) fn copy_of_whole(&self, other: &Self, least: f32) -> Option<Alignment> {
        self.in_order(other, |first, second| {
            first.copy_in(second, &first.aligned.wholes_and_strips(&second.aligned), least)
        })
    }

    fn copy_in(&self, other: &Self, ways: &[Alignment], least: f32) -> Option<Alignment> {
        let way = same_thing(&self.detail, &other.detail, ways)?;
        let way = Alignment { correlation: self.aligned.correlation(&other.aligned, &way), ..way };
        (way.correlation >= least && self.aligned.confirms(&other.aligned, &way)).then_some(way)
    }
}

/// The same alignment with first and second swapped.
fn swapped(alignment: Alignment) -> Alignment {
    let Alignment { first, second, turn, correlation } = alignment;
    // The inverse of a turn that transposes swaps its two mirrorings.
    let turn = match turn.transposed {
        true => Turn { transposed: true, mirrored: turn.flipped, flipped: turn.mirrored },
        false => turn,
    };
    Alignment { first: second, second: first, turn, correlation }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::imageops::{crop_imm, flip_horizontal};
    use sciurus_data::{DecodeLimits, RgbImage};

    #[test]
    fn a_cropped_and_mirrored_copy_lies_where_it_was_cut() {
        let whole = RgbImage::from_fn(200, 150, |x, y| {
            let (x, y) = (x as f32 / 200.0, y as f32 / 150.0);
            let wave = (9.0 * x + 1.0).sin() + (7.0 * y * x).cos() + (7.0 * (x - y)).sin();
            let spot = if (x - 0.3).hypot(y - 0.6) < 0.2 { 60.0 } else { 0.0 };
            [(110.0 + 28.0 * wave + spot) as u8; 3].into()
        });
        let part = flip_horizontal(&crop_imm(&whole, 20, 9, 164, 130).to_image());
        let picture = |image: &RgbImage| {
            let file = crate::jpeg(image, 95).unwrap();
            Picture::new(&PixelReport::of(&file, &DecodeLimits::default()).unwrap())
        };
        let found = picture(&whole).copy(&picture(&part), 0.87).unwrap();
        assert!(found.correlation > 0.95, "{found:?}");
        assert_eq!(found.turn.to_string(), "mirrored");
        for (got, want) in found.first.0.into_iter().zip([0.1, 0.06, 0.92, 0.927]) {
            assert!((got - want).abs() < 0.02, "{found:?}");
        }
    }
}
