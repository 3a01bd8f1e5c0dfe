//! A network of your own: any Burn module that turns images into features. It is trained, saved and loaded like ours.
//!
//!     cargo run --release --example own_network

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use sciurus::data::Normalize;
use sciurus::model::{BatchNorm, BoxedBody, OwnArch, OwnBody, ParamGroup, Pass};
use sciurus::prelude::*;
use sciurus::{TableWriter, WeightSource, draw_demo};

/// Four convolutions, each with a norm layer and ReLU, and each halving the picture.
#[derive(Module, Debug)]
struct Plain {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
}

const CHANNELS: [usize; 5] = [3, 16, 32, 64, 128];

impl Plain {
    fn new(device: &Device) -> Self {
        let conv = |pair: &[usize]| {
            Conv2dConfig::new([pair[0], pair[1]], [3, 3])
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device)
        };
        Self {
            convs: CHANNELS.windows(2).map(conv).collect(),
            norms: CHANNELS[1..].iter().map(|channels| BatchNorm::new(*channels, device)).collect(),
        }
    }
}

impl OwnBody for Plain {
    fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let layers = self.convs.iter().zip(&self.norms);
        layers.fold(images, |features, (conv, norm)| relu(norm.forward(conv.forward(features), pass)))
    }

    /// The last two convolutions are the late body: parameters are called `convs.2.weight`, `norms.0.bias` and so on.
    fn group(&self, name: &str) -> ParamGroup {
        ParamGroup(usize::from(matches!(name.split('.').nth(1), Some("2" | "3"))))
    }
}

/// It is known by this name wherever a network is named, in saved models too.
static PLAIN: OwnArch = OwnArch {
    name: "plain",
    channels: 128,
    image_size: 64,
    normalize: Normalize { mean: [0.5; 3], std: [0.5; 3] },
    body: |device| BoxedBody::new(Plain::new(device)),
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arch = PLAIN.register()?;
    let folder = std::env::temp_dir().join("sciurus-example-network");
    draw_demo(&folder, 60, 42)?;
    let dls = ImageDataLoaders::from_folder(&folder)
        .image_size(64)
        .batch_size(16)
        .normalize(arch.normalize())
        .build()?;
    let mut learner = vision_learner(dls, arch).weights(WeightSource::Random).metric(ErrorRate).build()?;
    learner.observe(TableWriter::new(std::io::stdout()));

    // All of it, then its late layers and the head alone.
    learner.unfreeze();
    learner.fit_one_cycle(3)?;
    learner.freeze_to(1);
    learner.fit_one_cycle(1)?;

    let model = std::env::temp_dir().join("sciurus-example-network.sciurus");
    learner.export(&model)?;
    let predictor = Predictor::load(&model)?;
    println!("{} with {} parameters", predictor.manifest().arch, arch.parameters());
    println!("{}", predictor.predict_file(folder.join("leaf/leaf-000.png"))?.label);
    Ok(())
}
