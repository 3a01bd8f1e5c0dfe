//! Tests each block of a network by itself: as one fused operation against its layers one by one.
//!
//! Whole networks magnify rounding errors: a value within rounding of ReLU6's corner may or may not pass its gradient on, and
//! each later norm layer divides by a small deviation. Here each block gets the same input and the same output gradient either
//! way, so any difference comes from that block.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use rand::RngExt;
use sciurus_data::{Rng, Seed};

use super::{Body, HeadConfig, Role, VisionModel};
use crate::nn::{Pass, floats};

/// Tolerance, relative to the largest value of a result. Its terms are exact to 6e-8 (f32). About ten thousand of them are summed
/// in a different order, which multiplies the error by the square root of that: 6e-6. Three convolutions and their norm layers
/// in each direction make it about 1e-5. The measured error is at most half of that, with every instruction set.
const TOLERANCE: f32 = 2e-5;

/// Walks through a network block by block, starting at the images.
pub(super) struct Walk {
    features: Tensor<4>,
    names: Vec<(ParamId, String)>,
    step: usize,
}

/// A model whose body has random weights, and norm layers that are not the identity, on a device with gradients.
pub(super) fn random_model(body: Body, channels: usize) -> VisionModel {
    let head = HeadConfig::new(channels, 2).init(&Device::flex());
    let model = VisionModel::from_parts(body, head);
    let mut state = model.state_dict();
    let mut rng = Seed(8).rng(&[]);
    for (name, tensor) in &mut state {
        let fan: usize = tensor.shape.iter().skip(1).product();
        let scale = (2.0 / fan as f32).sqrt();
        for value in &mut tensor.values {
            let noise = rng.random_range(-1.0..1.0_f32);
            *value = match name.rsplit('.').next() {
                Some("running_var") => 1.0 + 0.3 * noise,
                Some("running_mean" | "bias") => 0.2 * noise,
                _ if tensor.shape.len() == 1 => 1.0 + 0.5 * noise,
                _ => 1.7 * scale * noise,
            };
        }
    }
    model.with_state(&state).unwrap().train().with_trained(|info| info.role != Role::RunningStatistic)
}

impl Walk {
    /// Starts with random images `[6, 3, height, width]`.
    pub(super) fn new(model: &VisionModel, [height, width]: [usize; 2]) -> Self {
        let features = random([6, 3, height, width], &mut Seed(3).rng(&[]));
        let names = model.parameters().into_iter().map(|info| (info.id, info.name)).collect();
        Self { features, names, step: 0 }
    }

    /// Compares a block of `model` on the present features, and continues with the output of its layers.
    pub(super) fn step<M: Module>(
        &mut self,
        module: &M,
        forward: impl Fn(&M, Tensor<4>, &mut Pass) -> Tensor<4>,
    ) {
        let pass = || Pass::train(Seed(self.step as u64).rng(&[]));
        let found = |pass| Found::new(module, &forward, &self.features, pass, self.step > 0);
        self.compare(&found(pass().with_frozen_norm()), &found(pass().with_frozen_norm().layer_by_layer()));
        let layers = found(pass().layer_by_layer());
        self.compare(&found(pass()), &layers);
        self.features = layers.output;
        self.step += 1;
    }

    /// Compares what a block found with what its layers found.
    fn compare(&self, ours: &Found, layers: &Found) {
        assert_eq!(ours.values.len(), layers.values.len(), "step {}", self.step);
        for ((id, what, ours), (_, _, expected)) in ours.values.iter().zip(&layers.values) {
            let parameter = self.names.iter().find(|(named, _)| Some(named) == id.as_ref());
            let name = parameter.map_or("", |(_, name)| name);
            let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            let off = ours.iter().zip(expected).fold(0.0_f32, |off, (a, b)| off.max((a - b).abs())) / largest;
            assert!(
                off < TOLERANCE,
                "step {}: {what} {name} is off by {off:e} of its largest value",
                self.step
            );
        }
    }

    /// Changes the features by up to a hundredth until `fit` accepts them.
    pub(super) fn shake_until(&mut self, fit: impl Fn(&Tensor<4>) -> bool) {
        let mut rng = Seed(7).rng(&[self.step as u64]);
        let mut shaken = || {
            let noise = random(self.features.dims(), &mut rng);
            self.features.clone() + self.features.clone() * noise.mul_scalar(0.01)
        };
        let found = (0..30).map(|_| shaken()).find(fit);
        self.features = found.expect("features that fit");
    }
}

/// The results of a training pass through a block.
struct Found {
    output: Tensor<4>,
    /// Parameter, kind and values of every result.
    values: Vec<(Option<ParamId>, &'static str, Vec<f32>)>,
}

impl Found {
    #[allow(clippy::fn_params_excessive_bools, reason = "a fact about the block's place")]
    fn new<M: Module>(
        module: &M,
        forward: impl Fn(&M, Tensor<4>, &mut Pass) -> Tensor<4>,
        input: &Tensor<4>,
        mut pass: Pass,
        is_behind: bool,
    ) -> Self {
        let input = if is_behind { input.clone().detach().require_grad() } else { input.clone().detach() };
        let output = forward(module, input.clone(), &mut pass);
        let upstream = random(output.dims(), &mut Seed(5).rng(&[]));
        let gradients = (output.clone() * upstream).sum().backward();
        let mut values = vec![(None, "output", floats(output.to_data()))];
        if is_behind {
            values.push((None, "input gradient", floats(input.grad(&gradients).unwrap().into_data())));
        }
        let mut collect = Collect { gradients: &gradients, values };
        module.visit(&mut collect);
        let mut values = collect.values;
        for (id, statistic) in pass.into_statistics() {
            values.push((Some(id), "statistic", floats(statistic.into_data())));
        }
        Self { output: output.detach(), values }
    }
}

struct Collect<'a> {
    gradients: &'a Gradients,
    values: Vec<(Option<ParamId>, &'static str, Vec<f32>)>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.gradients) {
            self.values.push((Some(param.id), "gradient of", floats(gradient.into_data())));
        }
    }
}

fn random(shape: [usize; 4], rng: &mut Rng) -> Tensor<4> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}
