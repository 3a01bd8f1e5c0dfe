//! A moving average of a model's weights, which is measured and exported instead of the weights themselves.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor};

use crate::model::VisionModel;
use crate::nn::{StateDict, flat};

/// Exponential moving average of all weights and running statistics (Polyak & Juditsky 1992):
/// `average = d * average + (1 - d) * weights` after each step `t` from 1. `d = min(decay, (1 + t) / (10 + t))`, so that the
/// random start is soon forgotten (TensorFlow's `ExponentialMovingAverage` with `num_updates`).
#[derive(Debug, Clone)]
pub(super) struct WeightAverage {
    decay: f64,
    steps: u64,
    values: HashMap<ParamId, Tensor<1>>,
}

impl WeightAverage {
    /// An average of no steps yet.
    pub(super) fn new(decay: f64) -> Self {
        Self { decay, steps: 0, values: HashMap::new() }
    }

    /// Adds the weights after a step.
    pub(super) fn add(&mut self, model: &VisionModel) {
        self.steps += 1;
        let decay = self.decay.min((1 + self.steps) as f64 / (10 + self.steps) as f64);
        model.visit(&mut Add { average: self, decay });
    }

    /// The number of steps, and the averages by name.
    pub(super) fn export(&self, names: &[(ParamId, String)]) -> (u64, StateDict) {
        let value = |(id, name): &(ParamId, String)| Some((name.clone(), flat(self.values.get(id)?)));
        (self.steps, names.iter().filter_map(value).collect())
    }

    /// Restores exported averages.
    pub(super) fn import(
        &mut self,
        steps: u64,
        values: &StateDict,
        names: &[(ParamId, String)],
        device: &Device,
    ) {
        let value = |(id, name): &(ParamId, String)| Some((*id, values.get(name)?.tensor(device)));
        self.steps = steps;
        self.values = names.iter().filter_map(value).collect();
    }

    /// The model with the averages as its weights; unchanged before the first step.
    pub(super) fn applied_to(&self, model: VisionModel) -> VisionModel {
        model.map(&mut Apply(&self.values))
    }
}

struct Add<'a> {
    average: &'a mut WeightAverage,
    decay: f64,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().inner();
        let count = value.shape().num_elements();
        let value = value.reshape([count]);
        let next = match self.average.values.remove(&param.id) {
            None => value,
            Some(average) => average.mul_scalar(self.decay) + value.mul_scalar(1.0 - self.decay),
        };
        self.average.values.insert(param.id, next);
    }
}

struct Apply<'a>(&'a HashMap<ParamId, Tensor<1>>);

impl ModuleMapper for Apply<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.get(&param.id) {
            None => param,
            Some(average) => param.map(|value| Tensor::from_inner(average.clone().reshape(value.shape()))),
        }
    }
}
