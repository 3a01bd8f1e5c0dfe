//! Watch training and stop it: an observer sees every event, and may ask to end the fit.
//!
//!     cargo run --release --example own_observer

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use sciurus::prelude::{Arch, Control, Event, ImageDataLoaders, Observer, vision_learner};
use sciurus::{Error, WeightSource, draw_demo};

/// Prints the training loss now and then, and stops once the validation loss is good enough.
#[derive(Debug)]
struct UntilGood {
    valid_loss: f64,
}

impl Observer for UntilGood {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        match event {
            Event::BatchTrained { epoch, step, train_loss, .. } if step % 4 == 0 => {
                println!("epoch {epoch}, batch {step}: loss {train_loss:.3}");
            }
            Event::EpochEnded(row) if row.valid_loss < self.valid_loss => {
                println!("good enough after epoch {}", row.epoch);
                return Ok(Control::Stop);
            }
            _ => {}
        }
        Ok(Control::Continue)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join("sciurus-example-observer");
    draw_demo(&folder, 60, 42)?;
    let dls = ImageDataLoaders::from_folder(&folder).image_size(64).batch_size(16).build()?;
    let mut learner = vision_learner(dls, Arch::ResNet10Narrow)
        .weights(WeightSource::Random)
        .observer(UntilGood { valid_loss: 0.4 })
        .build()?;
    learner.fit_one_cycle(8)?;
    println!("{} epochs", learner.history().epochs.len());
    Ok(())
}
