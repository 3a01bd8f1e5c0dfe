//! Plane geometry for augmentation: 3 × 3 matrices that say where each pixel of the result comes from. In: angles,
//! zooms, warps and crops. Out: one matrix, however many of them there are.

use std::ops::Mul;

/// A projective map of the plane, as a 3 × 3 matrix of rows, applied to column vectors `[x, y, 1]`.
///
/// Unless stated otherwise, coordinates run from -1 to 1 over the image: -1 is the centre of its first pixel and 1 that
/// of its last (PyTorch's `align_corners=True`). Maps go from positions in the result to positions in the source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Map(pub(crate) [[f64; 3]; 3]);

impl Map {
    pub(crate) const fn affine(x: [f64; 3], y: [f64; 3]) -> Self {
        Self([x, y, [0.0, 0.0, 1.0]])
    }

    /// `(x, y) -> (scale[0] x + shift[0], scale[1] y + shift[1])`.
    pub(crate) const fn scale_shift(scale: [f64; 2], shift: [f64; 2]) -> Self {
        Self::affine([scale[0], 0.0, shift[0]], [0.0, scale[1], shift[1]])
    }

    /// fastai's `rotate_mat`.
    pub(crate) fn rotation(degrees: f64) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Self::affine([cos, sin, 0.0], [-sin, cos, 0.0])
    }

    /// fastai's `zoom_mat` about a centre given as shares of width and height (0..=1).
    pub(crate) fn zoom(zoom: f64, centre: [f64; 2]) -> Self {
        let scale = 1.0 / zoom;
        let shift = centre.map(|part| (1.0 - scale) * (2.0 * part - 1.0));
        Self::scale_shift([scale, scale], shift)
    }

    /// One of the eight orientations of a square: fastai's `dihedral_mat`. 0 changes nothing, 1 mirrors left and right.
    pub(crate) fn dihedral(way: usize) -> Self {
        let x = [1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0][way % 8];
        let y = [1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0][way % 8];
        if matches!(way % 8, 0 | 1 | 2 | 4) {
            Self::affine([x, 0.0, 0.0], [0.0, y, 0.0])
        } else {
            Self::affine([0.0, x, 0.0], [y, 0.0, 0.0])
        }
    }

    /// fastai's `Warp`: tilts the view so that the corners move by `x` and `y` (each about -0.2..0.2).
    ///
    /// fastai solves eight equations for the map that takes the corners `(-1-y, -1-x)`, `(-1+y, 1+x)`, `(1+y, -1+x)`,
    /// `(1-y, 1-x)` to the corners of the square. This is the solution in closed form; a test checks it at the corners.
    pub(crate) fn warp(x: f64, y: f64) -> Self {
        let (x2, y2) = (x * x, y * y);
        let middle = 1.0 - x2 - y2;
        let (towards_x, towards_y) = (-x * (1.0 - x2 + y2), -y * (1.0 - y2 + x2));
        Self([
            [middle, 2.0 * x * y, towards_x],
            [2.0 * x * y, middle, towards_y],
            [towards_x, towards_y, middle],
        ])
    }

    /// The position in the source of a position in the result.
    pub(crate) fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let [along, across, depth] = self.0.map(|row| row[0] * x + row[1] * y + row[2]);
        [along / depth, across / depth]
    }
}

impl Mul for Map {
    type Output = Self;

    /// The map that does `inner` first, then `self`.
    fn mul(self, inner: Self) -> Self {
        Self(
            self.0.map(|row| std::array::from_fn(|column| (0..3).map(|k| row[k] * inner.0[k][column]).sum())),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(got: [f64; 2], want: [f64; 2]) {
        assert!(
            (got[0] - want[0]).abs() < 1e-12 && (got[1] - want[1]).abs() < 1e-12,
            "{got:?} is not {want:?}"
        );
    }

    #[test]
    fn golden_maps_are_fastai_s() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/augment.json")).unwrap();
        let grid: Vec<[f64; 2]> = serde_json::from_value(golden["grid"].clone()).unwrap();
        for case in golden["maps"].as_array().unwrap() {
            let number = |key: &str| case[key].as_f64().unwrap();
            let pair = |key: &str| -> [f64; 2] { serde_json::from_value(case[key].clone()).unwrap() };
            let ([x, y], way) = (pair("warp"), case["way"].as_u64().unwrap() as usize);
            let affine = Map::rotation(number("degrees")) * Map::zoom(number("zoom"), pair("centre"));
            let map = Map::warp(x, y) * Map::dihedral(way) * affine;
            let places: Vec<[f64; 2]> = serde_json::from_value(case["to"].clone()).unwrap();
            for (from, to) in grid.iter().zip(places) {
                let got = map.at(from[0], from[1]);
                assert!((got[0] - to[0]).abs() < 1e-5 && (got[1] - to[1]).abs() < 1e-5, "{case}: {got:?}");
            }
        }
    }

    #[test]
    fn a_warp_takes_the_moved_corners_to_the_square() {
        for (x, y) in [(0.0, 0.0), (0.2, -0.1), (-0.2, 0.2), (0.13, 0.07)] {
            let warp = Map::warp(x, y);
            assert_near(warp.at(-1.0 - y, -1.0 - x), [-1.0, -1.0]);
            assert_near(warp.at(-1.0 + y, 1.0 + x), [-1.0, 1.0]);
            assert_near(warp.at(1.0 + y, -1.0 + x), [1.0, -1.0]);
            assert_near(warp.at(1.0 - y, 1.0 - x), [1.0, 1.0]);
        }
    }

    #[test]
    fn a_zoom_keeps_its_centre_and_products_are_done_from_the_right() {
        let zoom = Map::zoom(2.0, [0.75, 0.25]);
        assert_near(zoom.at(0.5, -0.5), [0.5, -0.5]);
        assert_near(zoom.at(1.0, 1.0), [0.75, 0.25]);

        let both = Map::rotation(90.0) * zoom;
        let [x, y] = zoom.at(0.3, 0.4);
        assert_near(both.at(0.3, 0.4), Map::rotation(90.0).at(x, y));
    }

    #[test]
    fn the_eight_ways_to_lay_a_square_down_differ() {
        let places: Vec<[f64; 2]> = (0..8).map(|way| Map::dihedral(way).at(0.5, 1.0)).collect();
        for (i, place) in places.iter().enumerate() {
            assert!(!places[..i].contains(place), "{places:?}");
        }
        assert_near(Map::dihedral(1).at(0.5, 1.0), [-0.5, 1.0]);
    }
}
