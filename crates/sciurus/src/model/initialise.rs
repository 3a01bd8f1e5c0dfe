//! Random initial weights: torchvision's (timm's) for the body, fastai's for the head.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, Normal, Uniform};
use sciurus_data::{Rng, Seed};

use super::parameters::{ModulePath, Role};
use super::{VisionModel, VisionTransformer};

/// fastai's bias for the norm layers of a head.
const HEAD_NORM_BIAS: f32 = 1e-3;

/// Draws every weight from the seed. Each tensor has its own random stream, numbered in the order of the network.
pub(super) fn initialised(model: VisionModel, seed: Seed) -> VisionModel {
    let start = model.body().initializer();
    model.map(&mut Initialise { path: ModulePath::default(), start, seed, index: 0 })
}

/// How the weights of a body are initialised. Biases start at 0 and norm layers as the identity, unless a variant says
/// otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Initializer {
    /// Kaiming normal by fan-out: torchvision's ResNet, MobileNetV2 and EfficientNet.
    KaimingNormal,
    /// Kaiming uniform by fan-in: torchvision's SqueezeNet.
    KaimingUniform,
    /// Normal, with a standard deviation of 0.02: torchvision's ConvNeXt.
    Narrow,
    /// timm's vision transformer: linear layers and position embeddings as in `Narrow`, a class token near 0, and PyTorch's
    /// default initialisation for the convolution.
    Transformer,
    /// Networks of your own: convolutions as `KaimingNormal`, linear layers as PyTorch's default but with biases of 0.
    Own,
}

/// Standard deviation of `Narrow`. torchvision and timm truncate the distribution at 2, which is 100 deviations, so we don't.
const NARROW: f64 = 0.02;
/// Standard deviation of a class token.
const CLASS_TOKEN: f64 = 1e-6;

struct Initialise {
    path: ModulePath,
    start: Initializer,
    seed: Seed,
    /// The number of tensors before this one.
    index: u64,
}

/// Random stream for weights: "WEIG" in ASCII.
const WEIGHTS_STREAM: u64 = 0x5745_4947;
/// Random stream for projectors: "PROJ" in ASCII.
const PROJECTOR_STREAM: u64 = 0x5052_4F4A;

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
        let Some(values) = values(&self.path, self.start, shape.as_slice(), &mut rng) else { return param };
        let value = Tensor::<D>::from_data(TensorData::new(values, shape), &param.lazy_device());
        Param::initialized(param.id, value).set_require_grad(true)
    }
}

/// A linear layer `[in, out]` that says what a teacher knows, with PyTorch's uniform weights `1 / sqrt(in)` and a bias of 0.
pub(super) fn projector([d_in, d_out]: [usize; 2], (seed, place): (Seed, u64), device: &Device) -> Linear {
    let mut rng = seed.rng(&[PROJECTOR_STREAM, place]);
    let bound = (d_in as f64).sqrt().recip();
    let weight = TensorData::new(uniform(d_in * d_out, bound, &mut rng), [d_in, d_out]);
    Linear {
        weight: Param::from_tensor(Tensor::from_data(weight, device)),
        bias: Some(Param::from_tensor(Tensor::zeros([d_out], device))),
    }
}

/// The initial values of a tensor of this shape; `None` if the layer's own initial values are right.
fn values(path: &ModulePath, start: Initializer, shape: &[usize], rng: &mut Rng) -> Option<Vec<f32>> {
    match path.name().strip_prefix("body.") {
        Some(name) => body_values(name, path.role(), start, shape, rng),
        None => head_values(path, shape, rng),
    }
}

/// fastai's `apply_init`: Kaiming normal by fan-in (Burn's linear weights are `[in, out]`).
fn head_values(path: &ModulePath, shape: &[usize], rng: &mut Rng) -> Option<Vec<f32>> {
    let count = shape.iter().product();
    match (path.role(), shape) {
        (Role::Weight, &[d_in, _]) => Some(normal(count, kaiming(d_in), rng)),
        (Role::Norm, _) if path.name().ends_with(".bias") => Some(vec![HEAD_NORM_BIAS; count]),
        _ => None,
    }
}

fn body_values(
    name: &str,
    role: Role,
    start: Initializer,
    shape: &[usize],
    rng: &mut Rng,
) -> Option<Vec<f32>> {
    let count: usize = shape.iter().product();
    let fan_in: usize = shape.iter().skip(1).product();
    let deviation = match (start, role, shape) {
        // torchvision's fan-out ignores groups.
        (Initializer::KaimingNormal | Initializer::Own, Role::Weight, &[out, _, height, width]) => {
            kaiming(out * height * width)
        }
        // Burn's linear weights are `[in, out]`.
        (Initializer::Own, Role::Weight, &[d_in, _]) => {
            return Some(uniform(count, (d_in as f64).sqrt().recip(), rng));
        }
        (Initializer::Own, Role::Bias, _) => return Some(vec![0.0; count]),
        (Initializer::KaimingUniform, Role::Weight, &[_, _, _, _]) => {
            return Some(uniform(count, (6.0 / fan_in as f64).sqrt(), rng));
        }
        (Initializer::Narrow, Role::Weight, &[_, _, _, _] | &[_, _]) => NARROW,
        (Initializer::Transformer, _, _) if name.starts_with("patch_embed.") => {
            return Some(uniform(count, patch_bound(), rng));
        }
        (Initializer::Transformer, Role::Weight, _) if name == "cls_token" => CLASS_TOKEN,
        (Initializer::Transformer, Role::Weight, _) => NARROW,
        _ => return None,
    };
    Some(normal(count, deviation, rng))
}

/// The standard deviation that keeps the scale of values through a layer with ReLU (He et al. 2015): gain sqrt(2).
fn kaiming(fan: usize) -> f64 {
    (2.0 / fan as f64).sqrt()
}

/// PyTorch's bound for a convolution's weight and bias: `1 / sqrt(fan in)`, here for patches of 16 x 16 x 3 values.
fn patch_bound() -> f64 {
    ((3 * VisionTransformer::PATCH * VisionTransformer::PATCH) as f64).sqrt().recip()
}

fn normal(count: usize, deviation: f64, rng: &mut Rng) -> Vec<f32> {
    Normal::new(0.0, deviation)
        .map_or_else(|_| vec![0.0; count], |distribution| draw(&distribution, count, rng))
}

fn uniform(count: usize, bound: f64, rng: &mut Rng) -> Vec<f32> {
    Uniform::new_inclusive(-bound, bound)
        .map_or_else(|_| vec![0.0; count], |distribution| draw(&distribution, count, rng))
}

fn draw(distribution: &impl Distribution<f64>, count: usize, rng: &mut Rng) -> Vec<f32> {
    (0..count).map(|_| distribution.sample(rng) as f32).collect()
}
