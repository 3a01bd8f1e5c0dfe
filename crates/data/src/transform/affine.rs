//! Shears, shifts and rotations that keep an image's size. In: an image and one number. Out: the image with every pixel
//! taken from its nearest neighbour in the source; what comes from outside is black.

use crate::image::RgbImage;

/// A way to move an image; each takes one magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Motion {
    /// Pixels to the left for each pixel further down.
    ShearX,
    /// Pixels up for each pixel further to the right.
    ShearY,
    /// Whole pixels to the right.
    TranslateX,
    /// Whole pixels down.
    TranslateY,
    /// Degrees, counterclockwise about the centre.
    Rotate,
}

impl Motion {
    /// Moves an image.
    ///
    /// Source: torchvision 0.29, `functional.affine` and `rotate`; Pillow 13, `Image.rotate` and `Geometry.c`, with its
    /// fixed-point numbers, so that the pixels are the same.
    pub(crate) fn apply(self, image: &RgbImage, magnitude: f64) -> RgbImage {
        let shift = magnitude.trunc();
        let turned = self == Self::Rotate && magnitude.rem_euclid(360.0) != 0.0;
        match self {
            Self::ShearX => moved(image, [1.0, magnitude, 0.0, 0.0, 1.0, 0.0]),
            Self::ShearY => moved(image, [1.0, 0.0, 0.0, magnitude, 1.0, 0.0]),
            Self::TranslateX => moved(image, [1.0, 0.0, -shift, 0.0, 1.0, 0.0]),
            Self::TranslateY => moved(image, [1.0, 0.0, 0.0, 0.0, 1.0, -shift]),
            Self::Rotate if turned => moved(image, rotation(image.dimensions(), magnitude)),
            Self::Rotate => image.clone(),
        }
    }
}

/// The inverse map of a rotation, from positions in the result to positions in the source:
/// `x' = m[0] x + m[1] y + m[2]`, `y' = m[3] x + m[4] y + m[5]`.
fn rotation((width, height): (u32, u32), degrees: f64) -> [f64; 6] {
    // Pillow rounds like this, so that a quarter turn is exact.
    let rounded = |value: f64| (value * 1e15).round_ties_even() / 1e15;
    let (sin, cos) = (-degrees.rem_euclid(360.0).to_radians()).sin_cos();
    let (sin, cos) = (rounded(sin), rounded(cos));
    let (x, y) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
    [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
}

/// A position in fixed point, with 16 fractional bits.
fn fixed(value: f64) -> i64 {
    (value * 65536.0 + 0.5).floor() as i64
}

fn moved(source: &RgbImage, m: [f64; 6]) -> RgbImage {
    let (width, height) = source.dimensions();
    let [along_x, down_x, _, along_y, down_y, _] = m.map(fixed);
    let first_x = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5);
    let first_y = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (i64::from(x), i64::from(y));
        let from_x = u32::try_from((first_x + along_x * x + down_x * y) >> 16).ok();
        let from_y = u32::try_from((first_y + along_y * x + down_y * y) >> 16).ok();
        let pixel = from_x.zip(from_y).and_then(|(x, y)| source.get_pixel_checked(x, y));
        pixel.copied().unwrap_or([0; 3].into())
    })
}
