//! A transform of your own on the training photos: this one hides colour half of the time, so that the model has to look at
//! shapes.
//!
//!     cargo run --release --example own_transform

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use sciurus::data::{RgbImage, Rng, Transform};
use sciurus::prelude::{Arch, ImageDataLoaders, vision_learner};
use sciurus::{WeightSource, draw_demo};

/// Makes a photo grey with this probability (0..1).
#[derive(Debug, Clone)]
struct Greyed {
    probability: f64,
}

impl Transform for Greyed {
    fn apply(&self, mut image: RgbImage, rng: &mut Rng) -> RgbImage {
        // Everything random comes from `rng`, so that a run can be repeated.
        if random(rng) < self.probability {
            for pixel in image.pixels_mut() {
                let [red, green, blue] = pixel.0.map(u32::from);
                pixel.0 = [((299 * red + 587 * green + 114 * blue) / 1000) as u8; 3];
            }
        }
        image
    }
}

fn random(rng: &mut Rng) -> f64 {
    use rand::RngExt;
    rng.random()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join("sciurus-example-transform");
    draw_demo(&folder, 60, 42)?;
    let dls = ImageDataLoaders::from_folder(&folder)
        .image_size(64)
        .batch_size(16)
        .transform(Greyed { probability: 0.5 })
        .build()?;
    let mut learner = vision_learner(dls, Arch::ResNet10Narrow).weights(WeightSource::Random).build()?;
    learner.fit_one_cycle(3)?;
    for metric in learner.validate()? {
        println!("{metric}");
    }
    Ok(())
}
