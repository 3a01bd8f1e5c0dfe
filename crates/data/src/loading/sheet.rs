//! One image of what a model will see. In: photos and a pipeline. Out: a contact sheet, one row per photo and one
//! column per epoch.

use super::loader::augment_rng;
use crate::dataset::ItemId;
use crate::error::DataError;
use crate::image::RgbImage;
use crate::option::BadOption;
use crate::seed::Seed;
use crate::transform::Pipeline;
use image::imageops;

/// Pixels of white between two images and around them all.
const GAP: u32 = 4;

/// Most pixels along a side of a sheet.
const LARGEST: u64 = 16_384;

/// A contact sheet: row `i` shows photo `i`, column `j` what epoch `j` makes of it. With the seed of a
/// [`Loader`](crate::Loader), these are the very images of its epochs.
///
/// # Errors
/// There is nothing to show, or the sheet would have more than 16384 pixels along a side.
///
/// ```
/// use sciurus_data::{Augmentation, ItemId, Pipeline, Preprocessing, RgbImage, Seed, sheet};
///
/// let preprocessing = Preprocessing { image_size: 64, ..Preprocessing::default() };
/// let pipeline = Pipeline::train(&preprocessing, &Augmentation::named("trivial_augment")?);
/// let photos = [(ItemId(0), RgbImage::new(120, 90)), (ItemId(1), RgbImage::new(90, 120))];
/// let image = sheet(&photos, &pipeline, 5, Seed(42))?;
/// assert_eq!(image.dimensions(), (5 * 68 + 4, 2 * 68 + 4));
/// # Ok::<(), sciurus_data::DataError>(())
/// ```
pub fn sheet(
    photos: &[(ItemId, RgbImage)],
    pipeline: &Pipeline,
    draws: u32,
    seed: Seed,
) -> Result<RgbImage, DataError> {
    let cell = pipeline.image_size() as u64 + u64::from(GAP);
    let length = |cells: u64| {
        let pixels = cells.saturating_mul(cell).saturating_add(u64::from(GAP));
        let wrong = |advice| {
            DataError::Option(BadOption { option: "sheet", value: format!("{pixels} pixels long"), advice })
        };
        match (cells, pixels) {
            (0, _) => Err(wrong("choose at least one image and one draw")),
            (_, pixels) if pixels > LARGEST => {
                Err(wrong("choose fewer images or draws, or a smaller `image_size`"))
            }
            (_, pixels) => Ok(pixels as u32),
        }
    };
    let size = (length(u64::from(draws))?, length(photos.len() as u64)?);
    let mut sheet = RgbImage::from_pixel(size.0, size.1, [255; 3].into());
    for (row, (item, photo)) in (0_i64..).zip(photos) {
        let prepared = pipeline.prepare(photo.clone());
        for epoch in 0..u64::from(draws) {
            let seen = pipeline.finish(prepared.clone(), &mut augment_rng(seed, epoch, *item, 0));
            let place = |cells: i64| i64::from(GAP) + cells * cell as i64;
            imageops::replace(&mut sheet, &seen, place(epoch as i64), place(row));
        }
    }
    Ok(sheet)
}
