//! One training step: forward, loss, backward, optimizer.

use burn::module::{Module, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use sciurus_data::BadOption;
use sciurus_data::{Batch, Mixed, Seed, Targets};

use super::adam::Adam;
use super::average::WeightAverage;
use super::checkpoint::{Checkpoint, Part};
use super::gradients::{Accumulation, clipping, norm};
use super::loss::{Loss, Objective};
use super::schedule::Hyper;
use super::teacher::{TeacherRecord, Teachers};
use crate::model::{LinearHead, ParamGroup, Role, VisionModel};
use crate::nn::Pass;
use crate::{Error, Precision};

/// Random stream for dropout masks: "DROP" in ASCII.
const DROPOUT_STREAM: u64 = 0x4452_4f50;

/// A model and its optimizer on one device: everything a training step changes.
#[derive(Debug)]
pub struct Trainer {
    model: VisionModel,
    optimizer: Adam,
    device: Device,
    seed: Seed,
    precision: Precision,
    steps: u64,
    loss: Box<dyn Loss>,
    clip_norm: Option<f64>,
    accumulation: Accumulation,
    average: Option<WeightAverage>,
    first: ParamGroup,
    new_head: bool,
    frozen_norm: bool,
    teachers: Teachers,
}

/// Everything that training has changed in a [`Trainer`].
#[derive(Debug, Clone)]
pub(crate) struct TrainerState {
    pub(super) model: VisionModel,
    pub(super) optimizer: Adam,
    pub(super) steps: u64,
    pub(super) average: Option<WeightAverage>,
}

/// The result of a training step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepResult {
    /// The batch's loss (nats) before the step: mean cross entropy, unless another loss was set.
    pub loss: f64,
    /// The batch's logits before the step: `[batch, class]`, row-major.
    pub logits: Vec<f32>,
}

impl Trainer {
    /// A trainer of `model` on `device`, with nothing frozen. The device need not have autodiff.
    pub fn new(model: VisionModel, device: &Device, seed: Seed) -> Self {
        let device = device.clone().autodiff();
        let mut trainer = Self {
            model: model.train(),
            optimizer: Adam::new(),
            device,
            seed,
            precision: Precision::F32,
            steps: 0,
            loss: Box::new(Objective::default()),
            clip_norm: None,
            accumulation: Accumulation::over(1),
            average: None,
            first: ParamGroup(0),
            new_head: false,
            frozen_norm: false,
            teachers: Teachers::default(),
        };
        trainer.freeze_to(ParamGroup(0));
        trainer
    }

    /// Sets the number format of activations; the default is f32.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Sets the loss; the default is unweighted cross entropy.
    #[must_use]
    pub fn with_loss(mut self, loss: Box<dyn Loss>) -> Self {
        self.loss = loss;
        self
    }

    /// Scales gradients down if their norm over all parameters is above `largest`: PyTorch's `clip_grad_norm_`.
    #[must_use]
    pub fn clip_norm(mut self, largest: impl Into<Option<f64>>) -> Self {
        self.clip_norm = largest.into();
        self
    }

    /// Steps once every `batches` batches, with the mean of their gradients.
    #[must_use]
    pub fn accumulate(mut self, batches: usize) -> Self {
        self.accumulation = Accumulation::over(batches.max(1));
        self
    }

    /// Declares the head untrained: its norm layers' running statistics then start from the first batch; see
    /// [`Pass::with_new_head`].
    #[must_use]
    pub fn with_new_head(mut self) -> Self {
        self.new_head = true;
        self
    }

    /// Has the norm layers of the body use their running statistics and keep them; see [`Pass::with_frozen_norm`].
    #[must_use]
    pub fn with_frozen_norm(mut self) -> Self {
        self.frozen_norm = true;
        self
    }

    /// Lets the model learn from teachers, for whose features it must have projectors.
    pub(super) fn with_teachers(mut self, teachers: Teachers) -> Self {
        self.teachers = teachers;
        self
    }

    /// Which teachers it learns from.
    pub(super) fn teachers(&self) -> Vec<TeacherRecord> {
        self.teachers.records()
    }

    /// Keeps an exponential moving average of the weights with this decay (0..1).
    #[must_use]
    pub fn average_decay(mut self, decay: impl Into<Option<f64>>) -> Self {
        self.average = decay.into().map(WeightAverage::new);
        self
    }

    /// Freezes the convolutions of the groups before `first`; norm layers train in every group. Clears the optimizer's state.
    pub fn freeze_to(&mut self, first: ParamGroup) {
        self.first = first;
        self.model = trained_from(self.model.clone(), first);
        self.optimizer.clear_state();
    }

    /// Trains one step on a batch of pixels `[batch, 3, size, size]`.
    ///
    /// # Errors
    /// The batch's pixels do not have the size it states, or a teacher has no answer.
    pub fn step(&mut self, batch: &Batch, hyper: &Hyper) -> Result<StepResult, Error> {
        let images = images(batch, &self.device)?;
        let (targets, mixed) = (&batch.targets, batch.mixed.as_ref());
        if self.teachers.is_empty() {
            return Ok(self.step_mixed(images, (targets, mixed), hyper));
        }
        let mut pass = self.pass();
        let (logits, embedding) = self.model.logits_and_embedding(images, &mut pass);
        let labels = self.loss.forward_mixed(logits.clone(), targets, mixed);
        let said = self.model.projected(&embedding);
        let loss = self.teachers.loss(batch, labels, &logits, said)?;
        Ok(self.learn((loss, logits), pass, hyper))
    }

    /// Trains one step on images `[batch, 3, height, width]` with one class each, without teachers.
    pub fn step_on(&mut self, images: Tensor<4>, targets: &[usize], hyper: &Hyper) -> StepResult {
        self.step_mixed(images, (&Targets::Single(targets.to_vec()), None), hyper)
    }

    fn step_mixed(
        &mut self,
        images: Tensor<4>,
        (targets, mixed): (&Targets, Option<&Mixed>),
        hyper: &Hyper,
    ) -> StepResult {
        let mut pass = self.pass();
        let logits = self.model.forward(images, &mut pass);
        let loss = self.loss.forward_mixed(logits.clone(), targets, mixed);
        self.learn((loss, logits), pass, hyper)
    }

    /// The pass of the next step.
    fn pass(&mut self) -> Pass {
        let rng = self.seed.rng(&[DROPOUT_STREAM, self.steps]);
        let pass = Pass::train(rng).with_precision(self.precision);
        let pass = if self.new_head { pass.with_new_head(self.steps) } else { pass };
        self.steps += 1;
        if self.frozen_norm { pass.with_frozen_norm() } else { pass }
    }

    /// Learns from the loss `[1]` of these logits `[batch, class]`.
    fn learn(&mut self, (loss, logits): (Tensor<1>, Tensor<2>), pass: Pass, hyper: &Hyper) -> StepResult {
        let logits = logits.inner().into_data().iter::<f32>().collect();
        let value = loss.clone().into_data().iter::<f64>().next().unwrap_or(f64::NAN);
        let gradients = loss.backward();
        self.model = self.model.clone().with_statistics(pass.into_statistics());
        if let Some(sum) = self.accumulation.add(&self.model, gradients) {
            self.update(sum, hyper);
        }
        StepResult { loss: value, logits }
    }

    /// Steps with the gradients accumulated so far, if the last batches were too few for a step.
    pub fn flush(&mut self, hyper: &Hyper) {
        if let Some(sum) = self.accumulation.take() {
            self.update(sum, hyper);
        }
    }

    fn update(&mut self, (mut gradients, batches): (GradientsParams, usize), hyper: &Hyper) {
        let mut scale = (batches as f64).recip();
        if let Some(largest) = self.clip_norm {
            scale *= clipping(scale * norm(&self.model, &gradients), largest);
        }
        self.model = self.optimizer.step(self.model.clone(), &mut gradients, scale, hyper);
        if let Some(average) = &mut self.average {
            average.add(&self.model);
        }
    }

    /// Everything training has changed so far, except gradients that wait for a step.
    pub(super) fn state(&self) -> TrainerState {
        let (model, optimizer) = (self.model.clone(), self.optimizer.clone());
        TrainerState { model, optimizer, steps: self.steps, average: self.average.clone() }
    }

    /// Continues with another model of the same architecture, and without an average of earlier weights.
    pub(super) fn set_model(&mut self, model: VisionModel) {
        self.model = trained_from(model, self.first);
        self.average = None;
        self.optimizer.clear_state();
    }

    /// Continues with a linear classifier of the body's features as the head.
    pub(super) fn set_head(&mut self, head: &LinearHead) -> Result<(), Error> {
        let model = self.model.clone().with_linear_head(head)?;
        self.set_model(model);
        Ok(())
    }

    /// The first group whose convolutions train.
    pub(super) fn first_group(&self) -> ParamGroup {
        self.first
    }

    /// Whether gradients are waiting for more batches before the optimizer steps.
    pub(super) fn waits(&self) -> bool {
        self.accumulation.waits()
    }

    /// Adds everything training has changed to a checkpoint.
    pub(super) fn export(&self, checkpoint: &mut Checkpoint) {
        let names = self.names();
        let [gradient, square] = self.optimizer.export(&names);
        checkpoint.put(Part::Model, self.model.state_dict());
        checkpoint.put(Part::Gradient, gradient);
        checkpoint.put(Part::Square, square);
        checkpoint.facts.steps = self.steps;
        checkpoint.facts.optimizer_steps = self.optimizer.steps(&names);
        if let Some(average) = &self.average {
            let (steps, values) = average.export(&names);
            checkpoint.facts.average_steps = steps;
            checkpoint.put(Part::Average, values);
        }
    }

    /// Restores a checkpoint. Which groups are frozen does not change.
    pub(super) fn import(&mut self, checkpoint: &mut Checkpoint) -> Result<(), Error> {
        let names = self.names();
        let device = self.device.clone().inner();
        let moments = [Part::Gradient, Part::Square].map(|part| checkpoint.take(part));
        let model = self.model.clone().with_state(&checkpoint.take(Part::Model))?;
        self.model = trained_from(model, self.first);
        self.optimizer = Adam::import(&moments, &checkpoint.facts.optimizer_steps, &names, &device);
        self.steps = checkpoint.facts.steps;
        let averages = checkpoint.take(Part::Average);
        if let Some(average) = &mut self.average {
            average.import(checkpoint.facts.average_steps, &averages, &names, &device);
        }
        self.accumulation.take();
        Ok(())
    }

    fn names(&self) -> Vec<(ParamId, String)> {
        self.model.parameters().into_iter().map(|info| (info.id, info.name)).collect()
    }

    /// Restores a state.
    pub(super) fn set_state(&mut self, state: TrainerState) {
        self.accumulation.take();
        TrainerState {
            model: self.model,
            optimizer: self.optimizer,
            steps: self.steps,
            average: self.average,
        } = state;
    }

    /// The present model, on the autodiff device.
    pub fn model(&self) -> &VisionModel {
        &self.model
    }

    /// The model to measure and export: with the average of its weights if one is kept, else the present model.
    pub fn measured_model(&self) -> VisionModel {
        match &self.average {
            None => self.model.clone(),
            Some(average) => average.applied_to(self.model.clone()),
        }
    }

    /// The seed of dropout.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// The number format of activations.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The device, with autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// The model with gradients for the groups from `first` on, and for norm layers in all of them.
fn trained_from(model: VisionModel, first: ParamGroup) -> VisionModel {
    model.with_trained(|info| match info.role {
        Role::RunningStatistic => false,
        Role::Norm => true,
        Role::Weight | Role::Bias => info.group >= first,
    })
}

impl Drop for Trainer {
    /// Returns the memory pool to the system: it holds as much memory as a training step needed.
    fn drop(&mut self) {
        sciurus_kernels::trim();
    }
}

/// A batch's pixels as a tensor `[batch, 3, size, size]`.
pub(crate) fn images(batch: &Batch, device: &Device) -> Result<Tensor<4>, Error> {
    let shape = [batch.targets.len(), 3, batch.size, batch.size];
    if batch.pixels.len() != shape.iter().product::<usize>() {
        return Err(Error::BadOption(BadOption {
            option: "batch",
            value: format!("{} pixel values", batch.pixels.len()),
            advice: "give batch x 3 x size x size values",
        }));
    }
    Ok(Tensor::from_data(TensorData::new(batch.pixels.clone(), shape), device))
}
