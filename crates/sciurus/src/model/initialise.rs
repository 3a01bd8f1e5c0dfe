//! Random weights: torchvision's for the body, fastai's for the head.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use rand_distr::{Distribution, Normal, Uniform};
use sciurus_data::{Rng, Seed};

use super::VisionModel;
use super::parameters::{ModulePath, Role};

/// fastai's bias for the norm layers of a head.
const HEAD_NORM_BIAS: f32 = 1e-3;

/// Fills every weight from the seed. Each tensor has a stream of its own, numbered in the order of the network.
pub(super) fn initialised(model: VisionModel, seed: Seed) -> VisionModel {
    model.map(&mut Initialise { path: ModulePath::default(), seed, index: 0 })
}

struct Initialise {
    path: ModulePath,
    seed: Seed,
    /// How many tensors came before.
    index: u64,
}

/// Stream of the seed that weights are drawn from.
const WEIGHTS_STREAM: u64 = 0x5745_4947;

impl ModuleMapper for Initialise {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape();
        let mut rng = self.seed.rng(&[WEIGHTS_STREAM, self.index]);
        self.index += 1;
        let Some(values) = values(&self.path, shape.as_slice(), &mut rng) else { return param };
        let value = Tensor::<D>::from_data(TensorData::new(values, shape), &param.lazy_device());
        Param::initialized(param.id, value).set_require_grad(true)
    }
}

/// The initial values of a tensor of this shape, or none where the layer's own start is right.
fn values(path: &ModulePath, shape: &[usize], rng: &mut Rng) -> Option<Vec<f32>> {
    let count = shape.iter().product();
    let name = path.name();
    match (path.role(), shape) {
        // Linear, Burn's [in, out]: kaiming normal, fan in, gain sqrt(2) (fastai `apply_init`).
        (Role::Weight, &[d_in, _]) => Some(normal(count, d_in, rng)),
        // SqueezeNet: kaiming uniform, fan in, which is a bound of sqrt(6 / fan in) (torchvision).
        (Role::Weight, &[_, channels_in, height, width]) if name.starts_with("body.features") => {
            Some(uniform(count, channels_in * height * width, rng))
        }
        // ResNet: kaiming normal, fan out (torchvision).
        (Role::Weight, &[channels_out, _, height, width]) => {
            Some(normal(count, channels_out * height * width, rng))
        }
        (Role::Norm, _) if name.starts_with("head.") && name.ends_with(".bias") => {
            Some(vec![HEAD_NORM_BIAS; count])
        }
        _ => None,
    }
}

fn normal(count: usize, fan: usize, rng: &mut Rng) -> Vec<f32> {
    let deviation = (2.0 / fan as f64).sqrt();
    Normal::new(0.0, deviation)
        .map_or_else(|_| vec![0.0; count], |distribution| draw(&distribution, count, rng))
}

fn uniform(count: usize, fan: usize, rng: &mut Rng) -> Vec<f32> {
    let bound = (6.0 / fan as f64).sqrt();
    Uniform::new_inclusive(-bound, bound)
        .map_or_else(|_| vec![0.0; count], |distribution| draw(&distribution, count, rng))
}

fn draw(distribution: &impl Distribution<f64>, count: usize, rng: &mut Rng) -> Vec<f32> {
    (0..count).map(|_| distribution.sample(rng) as f32).collect()
}
