//! One training step: forward, loss, backward, optimizer.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use sciurus_data::{Batch, Seed};

use super::adam::Adam;
use super::loss::cross_entropy;
use super::schedule::Hyper;
use crate::model::{ParamGroup, Pass, Role, VisionModel};
use crate::{Error, Precision};

/// Stream of the seed that dropout masks are drawn from.
const DROPOUT_STREAM: u64 = 0x4452_4f50;

/// A model and its optimizer on one device: all that a training step changes.
#[derive(Debug)]
pub struct Trainer {
    model: VisionModel,
    optimizer: Adam,
    device: Device,
    seed: Seed,
    precision: Precision,
    steps: u64,
}

/// What a training step saw.
#[derive(Debug, Clone, PartialEq)]
pub struct StepResult {
    /// Mean cross entropy of the batch (nats), before the step.
    pub loss: f64,
}

impl Trainer {
    /// Trains `model` on `device`, which need not have autodiff; nothing is frozen.
    pub fn new(model: VisionModel, device: &Device, seed: Seed) -> Self {
        let device = device.clone().autodiff();
        let mut trainer = Self {
            model: model.train(),
            optimizer: Adam::new(),
            device,
            seed,
            precision: Precision::F32,
            steps: 0,
        };
        trainer.freeze_to(ParamGroup(0));
        trainer
    }

    /// What activations are kept in: f32 unless this says otherwise.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Groups before `first` keep their convolutions untouched; norm layers train in every group. Clears the
    /// optimizer's state.
    pub fn freeze_to(&mut self, first: ParamGroup) {
        let model = self.model.clone().with_trained(|info| match info.role {
            Role::RunningStatistic => false,
            Role::Norm => true,
            Role::Weight | Role::Bias => info.group >= first,
        });
        self.model = model;
        self.optimizer.clear_state();
    }

    /// Steps on one batch: pixels `[batch, 3, size, size]`.
    ///
    /// # Errors
    /// The batch's pixels do not have the size it states.
    pub fn step(&mut self, batch: &Batch, hyper: &Hyper) -> Result<StepResult, Error> {
        let images = images(batch, &self.device)?;
        Ok(self.step_on(images, &batch.targets, hyper))
    }

    /// Steps on images `[batch, 3, height, width]` with one class each.
    pub fn step_on(&mut self, images: Tensor<4>, targets: &[usize], hyper: &Hyper) -> StepResult {
        let rng = self.seed.rng(&[DROPOUT_STREAM, self.steps]);
        let mut pass = Pass::train(rng).with_precision(self.precision);
        self.steps += 1;
        let logits = self.model.forward(images, &mut pass);
        let loss = cross_entropy(logits, classes(targets, &self.device));
        let value = loss.clone().into_data().iter::<f64>().next().unwrap_or(f64::NAN);
        let mut gradients = loss.backward();
        let model = self.model.clone().with_statistics(pass.into_statistics());
        self.model = self.optimizer.step(model, &mut gradients, hyper);
        StepResult { loss: value }
    }

    /// The model as it is now, on the autodiff device.
    pub fn model(&self) -> &VisionModel {
        &self.model
    }

    /// The seed of dropout.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// What activations are kept in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The device, with autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

impl Drop for Trainer {
    /// Gives the memory of its activations back: it is as large as the training was.
    fn drop(&mut self) {
        sciurus_kernels::trim();
    }
}

/// A batch's pixels as a tensor `[batch, 3, size, size]`.
pub(crate) fn images(batch: &Batch, device: &Device) -> Result<Tensor<4>, Error> {
    let shape = [batch.targets.len(), 3, batch.size, batch.size];
    if batch.pixels.len() != shape.iter().product::<usize>() {
        return Err(Error::BadOption {
            option: "batch",
            value: format!("{} pixel values", batch.pixels.len()),
            expected: "it must hold batch x 3 x size x size values",
        });
    }
    Ok(Tensor::from_data(TensorData::new(batch.pixels.clone(), shape), device))
}

/// Classes as a tensor `[batch]`.
fn classes(targets: &[usize], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = targets.iter().map(|class| *class as i32).collect();
    Tensor::from_data(TensorData::new(values, [targets.len()]), device)
}
