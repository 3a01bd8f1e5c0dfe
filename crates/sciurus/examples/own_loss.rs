//! A loss of your own: one that a few wrong labels can't dominate.
//!
//!     cargo run --release --example own_loss

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor, TensorData};
use sciurus::data::Targets;
use sciurus::prelude::*;
use sciurus::{Loss, WeightSource, draw_demo};

/// Generalised cross entropy (Zhang & Sabuncu 2018): `(1 - p^q) / q`, with `p` the probability of an image's class. With `q` near 0
/// it is cross entropy, with 1 the mean absolute error, whose gradient no label can make large.
#[derive(Debug)]
struct Generalised {
    q: f64,
}

impl Loss for Generalised {
    /// One loss for each image.
    fn forward(&self, logits: Tensor<2>, targets: &Targets) -> Tensor<1> {
        let classes: Vec<i32> = targets.iter().flatten().map(|class| *class as i32).collect();
        let count = classes.len();
        let classes = Tensor::<2, Int>::from_data(TensorData::new(classes, [count, 1]), &logits.device());
        let probability = softmax(logits, 1).gather(1, classes).reshape([count]);
        (probability.powf_scalar(self.q).neg() + 1.0) / self.q
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join("sciurus-example-loss");
    draw_demo(&folder, 60, 42)?;
    let dls = ImageDataLoaders::from_folder(&folder).image_size(64).batch_size(16).build()?;
    let mut learner = vision_learner(dls, Arch::ResNet10Narrow)
        .weights(WeightSource::Random)
        .loss(Generalised { q: 0.7 })
        .metric(ErrorRate)
        .build()?;
    learner.unfreeze();
    learner.fit_one_cycle(4)?;
    for epoch in &learner.history().epochs {
        println!(
            "epoch {}: loss {:.3}, error_rate {:.3}",
            epoch.epoch, epoch.train_loss, epoch.metrics[0].value
        );
    }
    Ok(())
}
