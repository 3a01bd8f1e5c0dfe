//! A metric of your own as a column of the training table: how often a rare class is missed.
//!
//!     cargo run --release --example own_metric

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use sciurus::insight::{Metric, Predictions};
use sciurus::prelude::{Arch, ImageDataLoaders, vision_learner};
use sciurus::{WeightSource, draw_demo};

/// The share of one class's photos that the model takes for something else.
#[derive(Debug)]
struct MissRate {
    class: usize,
}

impl Metric for MissRate {
    fn value(&self, predictions: &Predictions) -> f64 {
        let of_class: Vec<usize> =
            (0..predictions.len()).filter(|&item| predictions.targets[item] == self.class).collect();
        let missed = of_class.iter().filter(|&&item| predictions.prediction(item) != self.class).count();
        // Without a photo of the class there is nothing to miss: the table shows a dash.
        if of_class.is_empty() { f64::NAN } else { missed as f64 / of_class.len() as f64 }
    }

    fn name(&self) -> &str {
        "miss_rate"
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join("sciurus-example-metric");
    draw_demo(&folder, 60, 42)?;
    let dls = ImageDataLoaders::from_folder(&folder).image_size(64).batch_size(16).build()?;
    let rare = dls.dataset().vocab.class("leaf").ok_or("no leaves among the photos")?;
    let mut learner = vision_learner(dls, Arch::ResNet10Narrow)
        .weights(WeightSource::Random)
        .metric(MissRate { class: rare })
        .build()?;
    learner.fit_one_cycle(3)?;
    for epoch in &learner.history().epochs {
        println!("epoch {}: {} {:.3}", epoch.epoch, epoch.metrics[0].name, epoch.metrics[0].value);
    }
    Ok(())
}
