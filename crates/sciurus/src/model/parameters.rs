//! The parameters of a model by name: their roles and groups, and reading and setting their values.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use half::f16;

use super::{Body, VisionModel};
use crate::Error;
use crate::nn::{StateDict, StoredTensor, floats};

/// A group of parameters that share a learning rate: 0 early body, 1 late body, 2 head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParamGroup(pub usize);

/// The role of a parameter, which decides how it is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Weight of a convolution or a linear layer, a token, an embedding, a layer scale: decays.
    Weight,
    /// Bias of a convolution or a linear layer: does not decay.
    Bias,
    /// Weight or bias of a norm layer: does not decay, and trains even while frozen.
    Norm,
    /// Running mean or variance of a norm layer: no gradient.
    RunningStatistic,
}

/// Name, role, group and shape of one parameter.
#[derive(Debug, Clone)]
pub struct ParameterInfo {
    /// `body.<torchvision name>` or `head.<name>`.
    pub name: String,
    /// Identity within the module.
    pub id: ParamId,
    /// Its role.
    pub role: Role,
    /// The group whose learning rate it uses.
    pub group: ParamGroup,
    /// Shape in PyTorch's order: a linear weight is `[out, in]`.
    pub shape: Vec<usize>,
}

impl VisionModel {
    /// All parameters and running statistics, in the order of the network.
    pub fn parameters(&self) -> Vec<ParameterInfo> {
        let mut list = List { path: ModulePath::default(), body: &self.body, parameters: Vec::new() };
        self.visit(&mut list);
        list.parameters
    }

    /// Copies all values out, by name.
    pub fn state_dict(&self) -> StateDict {
        let mut read = Read { path: ModulePath::default(), state: StateDict::new() };
        self.visit(&mut read);
        read.state
    }

    /// Sets every parameter in `state`. Names that the model does not have are ignored; shapes must match.
    ///
    /// # Errors
    /// A tensor does not have the model's shape. The model is then dropped.
    pub fn with_state(self, state: &StateDict) -> Result<Self, Error> {
        let mut write = Write { path: ModulePath::default(), state, misfit: None };
        let model = self.map(&mut write);
        match write.misfit {
            Some(error) => Err(error),
            None => Ok(model),
        }
    }

    /// The model with all weights rounded to half precision (fp16), but not biases, norm layers and statistics.
    ///
    /// # Errors
    /// A weight is too large for half precision (above 65504), or NaN.
    pub(crate) fn rounded_to_half(self) -> Result<Self, Error> {
        let mut state = self.state_dict();
        for parameter in self.parameters().into_iter().filter(|parameter| parameter.role == Role::Weight) {
            let Some(tensor) = state.get_mut(&parameter.name) else { continue };
            tensor.values.iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32());
            if !tensor.values.iter().all(|value| value.is_finite()) {
                return Err(Error::TooLargeForHalf { name: parameter.name });
            }
        }
        self.with_state(&state)
    }

    /// Sets running statistics to the values that a training pass collected.
    pub(crate) fn with_statistics(self, statistics: Vec<(ParamId, Tensor<1>)>) -> Self {
        if statistics.is_empty() {
            return self;
        }
        self.map(&mut Statistics(statistics.into_iter().collect()))
    }

    /// Turns gradients on for exactly the parameters that `trains` selects.
    pub(crate) fn with_trained(self, trains: impl Fn(&ParameterInfo) -> bool) -> Self {
        let trained = self.parameters().iter().map(|info| (info.id, trains(info))).collect();
        self.map(&mut Trained(trained))
    }
}

/// The dotted name of the module being visited, without the names of enum variants.
#[derive(Debug, Default)]
pub(super) struct ModulePath {
    parts: Vec<String>,
    containers: Vec<String>,
}

impl ModulePath {
    pub(super) fn enter(&mut self, name: &str, container: &str) {
        self.parts.push(if container.starts_with("Enum:") { String::new() } else { name.to_owned() });
        self.containers.push(container.to_owned());
    }

    pub(super) fn exit(&mut self) {
        self.parts.pop();
        self.containers.pop();
    }

    pub(super) fn name(&self) -> String {
        let parts: Vec<&str> =
            self.parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        parts.join(".")
    }

    pub(super) fn role(&self) -> Role {
        let field = self.parts.last().map(String::as_str).unwrap_or_default();
        let norm = self.inside("Struct:BatchNorm") || self.inside("Struct:LayerNorm");
        match (norm, field) {
            (_, "running_mean" | "running_var") => Role::RunningStatistic,
            (true, _) => Role::Norm,
            (false, "bias") => Role::Bias,
            (false, _) => Role::Weight,
        }
    }

    /// Whether it is a linear weight, which is `[in, out]` in Burn, but PyTorch's `[out, in]` in files.
    fn is_transposed(&self) -> bool {
        self.inside("Struct:Linear") && self.parts.last().is_some_and(|field| field == "weight")
    }

    /// Whether kernels are turned by 180° against those in files: see [`EfficientNetLite`](super::EfficientNetLite).
    fn is_turned(&self) -> bool {
        self.containers.iter().any(|container| container == "Struct:EfficientNetLite")
    }

    /// A parameter as files have it, from ours; and ours from that of a file.
    fn exchanged<const D: usize>(&self, value: Tensor<D>) -> Tensor<D> {
        let value = if self.is_transposed() { value.transpose() } else { value };
        if D == 4 && self.is_turned() { value.flip([2, 3]) } else { value }
    }

    fn inside(&self, container: &str) -> bool {
        self.containers.last().is_some_and(|innermost| innermost == container)
    }

    fn stored_shape(&self, shape: &[usize]) -> Vec<usize> {
        match (self.is_transposed(), shape) {
            (true, &[d_in, d_out]) => vec![d_out, d_in],
            _ => shape.to_vec(),
        }
    }
}

/// The parameters of a body alone.
pub(super) fn of_body(body: &Body) -> Vec<ParameterInfo> {
    let mut list = List { path: ModulePath::default(), body, parameters: Vec::new() };
    body.visit(&mut list);
    list.parameters
}

struct List<'a> {
    path: ModulePath,
    body: &'a Body,
    parameters: Vec<ParameterInfo>,
}

impl ModuleVisitor for List<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.name();
        let group = match name.strip_prefix("body.") {
            Some(name) => self.body.group(name),
            None => ParamGroup(VisionModel::GROUPS - 1),
        };
        let shape = self.path.stored_shape(param.lazy_shape().as_slice());
        self.parameters.push(ParameterInfo { name, id: param.id, role: self.path.role(), group, shape });
    }
}

struct Read {
    path: ModulePath,
    state: StateDict,
}

impl ModuleVisitor for Read {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = self.path.stored_shape(param.lazy_shape().as_slice());
        let values = floats(self.path.exchanged(param.val()).into_data());
        self.state.insert(self.path.name(), StoredTensor { shape, values });
    }
}

struct Write<'a> {
    path: ModulePath,
    state: &'a StateDict,
    misfit: Option<Error>,
}

impl ModuleMapper for Write<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let Some(stored) = self.state.get(&name) else { return param };
        let expected = self.path.stored_shape(param.lazy_shape().as_slice());
        if stored.shape != expected || stored.values.len() != expected.iter().product::<usize>() {
            self.misfit = Some(Error::TensorShape { name, found: stored.shape.clone(), expected });
            return param;
        }
        let data = TensorData::new(stored.values.clone(), expected);
        let value = Tensor::<D>::from_data(data, &param.lazy_device());
        let trained = self.path.role() != Role::RunningStatistic;
        Param::initialized(param.id, self.path.exchanged(value).detach()).set_require_grad(trained)
    }
}

struct Statistics(HashMap<ParamId, Tensor<1>>);

impl ModuleMapper for Statistics {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.remove(&param.id) {
            Some(value) => param.map(|old| Tensor::from_inner(value.reshape(old.shape()))),
            None => param,
        }
    }
}

struct Trained(HashMap<ParamId, bool>);

impl ModuleMapper for Trained {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trained = self.0.get(&param.id).copied().unwrap_or(false);
        param.map(Tensor::detach).set_require_grad(trained)
    }
}
