//! Fine-tune a pretrained network on your photos, look at its mistakes, and save it.
//!
//!     cargo run --release --example fine_tune -- squirrels
//!
//! `squirrels` holds a folder for each class. Without an argument the example draws pictures and trains a small network from
//! random weights, so that it needs no photos and no network connection.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use sciurus::prelude::*;
use sciurus::{TableWriter, WeightSource, draw_demo};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut learner = match std::env::args().nth(1) {
        Some(folder) => {
            let dls = ImageDataLoaders::from_folder(folder).build()?;
            vision_learner(dls, Arch::ResNet18).metric(ErrorRate).build()?
        }
        None => {
            let folder = std::env::temp_dir().join("sciurus-example-fine-tune");
            draw_demo(&folder, 60, 42)?;
            let dls = ImageDataLoaders::from_folder(folder).image_size(64).batch_size(16).build()?;
            vision_learner(dls, Arch::ResNet10Narrow)
                .weights(WeightSource::Random)
                .metric(ErrorRate)
                .build()?
        }
    };

    // One epoch of the head alone, then four of the whole network: fastai's recipe.
    learner.observe(TableWriter::new(std::io::stdout()));
    learner.fine_tune(4)?;

    let interpretation = ClassificationInterpretation::new(learner.predictions(Split::Valid)?);
    println!("{}", interpretation.confusion_matrix());
    for top in interpretation.top_losses(3) {
        println!("{:.2}  {}", top.loss, top.path.display());
    }
    let model = std::env::temp_dir().join("sciurus-example.sciurus");
    learner.export(&model)?;
    println!("saved {}", model.display());
    Ok(())
}
