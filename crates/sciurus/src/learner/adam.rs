//! Adam as fastai defines it: decoupled weight decay, and debiasing by the present momentum.
//!
//! In: a model, the gradients of a batch and [`Hyper`]. Out: the model after the step.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Gradients, Tensor};

use super::schedule::Hyper;
use crate::model::{ParamGroup, ParameterInfo, Role, VisionModel};

/// fastai's decay of the squared gradients; PyTorch's default is 0.999.
const SQUARED_MOMENTUM: f64 = 0.99;
/// Added to the root of the squared gradients; PyTorch's default is 1e-8.
const EPSILON: f64 = 1e-5;
/// Share of a weight that decays in a step, times its learning rate.
const WEIGHT_DECAY: f64 = 0.01;

/// fastai's Adam. Per parameter, with learning rate `lr`, momentum `m`, step `t` counted from its first gradient `g`:
///
/// ```text
/// p  *= 1 - lr * 0.01                      (weights of convolutions and linear layers only)
/// a   = m a + (1 - m) g
/// s   = 0.99 s + 0.01 g²
/// p  -= lr / (1 - m^t) * a / (sqrt(s / (1 - 0.99^t)) + 1e-5)
/// ```
///
/// A parameter without a gradient is left as it is. Source: fastai `Adam`, `weight_decay`, `average_grad`, `adam_step`.
#[derive(Debug, Default)]
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
    /// An optimizer that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all averages and step counters, as fastai does when it freezes or unfreezes.
    pub fn clear_state(&mut self) {
        self.moments.clear();
    }

    /// Steps every parameter that has a gradient.
    pub fn step(&mut self, model: VisionModel, gradients: &mut Gradients, hyper: &Hyper) -> VisionModel {
        let rules = model.parameters().iter().map(|info| (info.id, Rule::of(info))).collect();
        model.map(&mut Step { adam: self, gradients, hyper, rules })
    }

    /// One parameter's step: weights, gradient and result all `[count]`.
    pub(super) fn update(
        &mut self,
        id: ParamId,
        weights: Tensor<1>,
        gradient: Tensor<1>,
        hyper: ParamHyper,
    ) -> Tensor<1> {
        let ParamHyper { learning_rate, momentum, decays } = hyper;
        let weights = if decays { weights.mul_scalar(1.0 - learning_rate * WEIGHT_DECAY) } else { weights };
        let grown = gradient.clone().mul_scalar(1.0 - momentum);
        let squared = gradient.square().mul_scalar(1.0 - SQUARED_MOMENTUM);
        let moments = match self.moments.remove(&id) {
            None => Moments { average: grown, square: squared, step: 1 },
            Some(old) => Moments {
                average: old.average.mul_scalar(momentum) + grown,
                square: old.square.mul_scalar(SQUARED_MOMENTUM) + squared,
                step: old.step + 1,
            },
        };
        let debias = 1.0 - momentum.powi(moments.step);
        let debias_square = 1.0 - SQUARED_MOMENTUM.powi(moments.step);
        let spread = moments.square.clone().div_scalar(debias_square).sqrt().add_scalar(EPSILON);
        let change = (moments.average.clone() / spread).mul_scalar(learning_rate / debias);
        self.moments.insert(id, moments);
        weights - change
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
    gradients: &'a mut Gradients,
    hyper: &'a Hyper,
    rules: HashMap<ParamId, Rule>,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        let Some(gradient) = param.val().grad_remove(self.gradients) else { return param };
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
