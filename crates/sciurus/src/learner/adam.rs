//! Adam as fastai defines it: decoupled weight decay, and debiasing with the current momentum.
//!
//! In: a model, the gradients of a batch and [`Hyper`]. Out: the model after the step.

use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use sciurus_kernels::AdamStep;

use super::schedule::Hyper;
use crate::cpu;
use crate::model::{ParamGroup, ParameterInfo, Role, VisionModel};
use crate::nn::{StateDict, flat};

/// fastai's decay of the squared gradients; PyTorch's default is 0.999.
const SQUARED_MOMENTUM: f64 = 0.99;
/// Added to the root of the squared gradients; PyTorch's default is 1e-8.
const EPSILON: f64 = 1e-5;
/// fastai's weight decay: a step takes away this share of a weight, times the learning rate.
const WEIGHT_DECAY: f64 = 0.01;

/// fastai's Adam. For each parameter with gradient `g`, learning rate `lr`, momentum `m`, and step `t` counted from its first
/// gradient:
///
/// ```text
/// p  *= 1 - lr * 0.01                      (weights of convolutions and linear layers only)
/// a   = m a + (1 - m) g
/// s   = 0.99 s + 0.01 g²
/// p  -= lr / (1 - m^t) * a / (sqrt(s / (1 - 0.99^t)) + 1e-5)
/// ```
///
/// A parameter without a gradient is left as it is. Source: fastai `Adam`, `weight_decay`, `average_grad`, `adam_step`.
#[derive(Debug, Clone, Default)]
pub struct Adam {
    moments: HashMap<ParamId, Moments>,
}

/// Running averages of one parameter's gradient, flattened.
#[derive(Debug, Clone)]
struct Moments {
    average: Tensor<1>,
    square: Tensor<1>,
    step: i32,
}

/// How one parameter is stepped.
#[derive(Debug, Clone, Copy)]
struct Rule {
    group: ParamGroup,
    decays: bool,
}

impl Adam {
    /// An optimizer without any state.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all averages and step counters, as fastai does when it freezes or unfreezes.
    pub fn clear_state(&mut self) {
        self.moments.clear();
    }

    /// Updates every parameter that has a gradient, using `scale` times that gradient.
    pub fn step(
        &mut self,
        model: VisionModel,
        gradients: &mut GradientsParams,
        scale: f64,
        hyper: &Hyper,
    ) -> VisionModel {
        let rules = model.parameters().iter().map(|info| (info.id, Rule::of(info))).collect();
        model.map(&mut Step { adam: self, gradients, scale, hyper, rules })
    }

    /// The average and the average square of each parameter that has been updated, by name.
    pub(super) fn export(&self, names: &[(ParamId, String)]) -> [StateDict; 2] {
        let mut parts = [StateDict::new(), StateDict::new()];
        for (id, name) in names {
            let Some(moments) = self.moments.get(id) else { continue };
            for (part, tensor) in parts.iter_mut().zip([&moments.average, &moments.square]) {
                part.insert(name.clone(), flat(tensor));
            }
        }
        parts
    }

    /// How often each parameter has been updated, by name.
    pub(super) fn steps(&self, names: &[(ParamId, String)]) -> BTreeMap<String, i32> {
        let step = |(id, name): &(ParamId, String)| Some((name.clone(), self.moments.get(id)?.step));
        names.iter().filter_map(step).collect()
    }

    /// Restores an exported optimizer, for parameters with these names.
    pub(super) fn import(
        [average, square]: &[StateDict; 2],
        steps: &BTreeMap<String, i32>,
        names: &[(ParamId, String)],
        device: &Device,
    ) -> Self {
        let moments = |(id, name): &(ParamId, String)| {
            let [average, square] = [average.get(name)?, square.get(name)?].map(|part| part.tensor(device));
            Some((*id, Moments { average, square, step: *steps.get(name)? }))
        };
        Self { moments: names.iter().filter_map(moments).collect() }
    }

    /// One parameter's step: weights, gradient and result all `[count]`.
    pub(super) fn update(
        &mut self,
        id: ParamId,
        weights: Tensor<1>,
        gradient: Tensor<1>,
        hyper: ParamHyper,
    ) -> Tensor<1> {
        let old = self.moments.remove(&id);
        let step = old.as_ref().map_or(0, |old| old.step) + 1;
        let factors = Factors::new(hyper, step);
        let averages = old.map(|old| [old.average, old.square]);
        let [weights, average, square] = cpu::adam_step(factors.fused(), &weights, &gradient, averages)
            .unwrap_or_else(|averages| factors.step(weights, gradient, averages));
        self.moments.insert(id, Moments { average, square, step });
        weights
    }
}

/// The factors of one parameter's step.
#[derive(Debug, Clone, Copy)]
struct Factors {
    keep: f64,
    momentum: f64,
    rate: f64,
    debias_square: f64,
}

impl Factors {
    fn new(hyper: ParamHyper, step: i32) -> Self {
        let ParamHyper { learning_rate, momentum, decays } = hyper;
        Self {
            keep: if decays { 1.0 - learning_rate * WEIGHT_DECAY } else { 1.0 },
            momentum,
            rate: learning_rate / (1.0 - momentum.powi(step)),
            debias_square: 1.0 - SQUARED_MOMENTUM.powi(step),
        }
    }

    /// The same factors for the CPU kernel.
    fn fused(self) -> AdamStep {
        AdamStep {
            keep: self.keep as f32,
            momentum: self.momentum as f32,
            squared_momentum: SQUARED_MOMENTUM as f32,
            rate: self.rate as f32,
            debias_square: self.debias_square as f32,
            epsilon: EPSILON as f32,
        }
    }

    /// Weights, average and square after the step, on any device.
    fn step(
        self,
        weights: Tensor<1>,
        gradient: Tensor<1>,
        averages: Option<[Tensor<1>; 2]>,
    ) -> [Tensor<1>; 3] {
        let grown = gradient.clone().mul_scalar(1.0 - self.momentum);
        let squared = gradient.square().mul_scalar(1.0 - SQUARED_MOMENTUM);
        let (average, square) = match averages {
            None => (grown, squared),
            Some([average, square]) => {
                (average.mul_scalar(self.momentum) + grown, square.mul_scalar(SQUARED_MOMENTUM) + squared)
            }
        };
        let spread = square.clone().div_scalar(self.debias_square).sqrt().add_scalar(EPSILON);
        let change = (average.clone() / spread).mul_scalar(self.rate);
        [weights.mul_scalar(self.keep) - change, average, square]
    }
}

impl Rule {
    fn of(info: &ParameterInfo) -> Self {
        Self { group: info.group, decays: info.role == Role::Weight }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ParamHyper {
    pub(super) learning_rate: f64,
    pub(super) momentum: f64,
    pub(super) decays: bool,
}

struct Step<'a> {
    adam: &'a mut Adam,
    gradients: &'a mut GradientsParams,
    scale: f64,
    hyper: &'a Hyper,
    rules: HashMap<ParamId, Rule>,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        let Some(gradient) = self.gradients.remove::<D>(id) else { return param };
        let gradient = if self.scale == 1.0 { gradient } else { gradient.mul_scalar(self.scale) };
        let Some(rule) = self.rules.get(&id) else { return param };
        let hyper = ParamHyper {
            learning_rate: self.hyper.learning_rates[rule.group.0],
            momentum: self.hyper.momentum,
            decays: rule.decays,
        };
        param.map(|value| {
            let shape = value.shape();
            let count = shape.num_elements();
            let stepped =
                self.adam.update(id, value.inner().reshape([count]), gradient.reshape([count]), hyper);
            Tensor::from_inner(stepped.reshape(shape)).require_grad()
        })
    }
}
