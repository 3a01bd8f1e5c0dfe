//! Builds a [`Learner`]: fastai's `vision_learner`.

use sciurus_clean::find::OnlineDynamics;
use sciurus_data::Seed;
use sciurus_insight::{Metric, MultiPredictions};

use super::continued::continued;
use super::metrics::Asked;
use super::teacher::{DistillSettings, Teacher, Teachers};
use super::{EarlyStopping, FitSettings, History, Keep, Learner, Loss, Objective, Observer, Phase, Trainer};
use crate::loaders::DataLoaders;
use crate::model::weights::{DownloadProgress, WeightPlaces, WeightSource, WeightsRecord, load_body};
use crate::model::{Arch, ArchChoice, ChosenArch, VisionModel};
use crate::predict::ModelBundle;
use crate::{Device, Error, Precision};

/// Starts building a learner for these loaders: a frozen, pretrained body of this architecture, with fastai's head. With
/// [`ArchChoice::Auto`] it is the best at hand.
pub fn vision_learner(loaders: DataLoaders, arch: impl Into<ArchChoice>) -> LearnerBuilder {
    LearnerBuilder {
        loaders,
        settings: FitSettings { arch: arch.into(), ..FitSettings::default() },
        distill: DistillSettings::default(),
        teachers: Vec::new(),
        class_weights: Vec::new(),
        own_loss: None,
        places: None,
        seed: None,
        metrics: Asked::default(),
        observers: Vec::new(),
        on_download: None,
    }
}

/// Options of a [`Learner`]: [`FitSettings`] set one by one, or all at once with [`settings`](Self::settings), and
///
/// | Name | Default | Meaning |
/// |---|---|---|
/// | `weight_places` | `SCIURUS_MODELS`, then the cache | folders with weight files |
/// | `seed` | the loaders' seed | initial head and dropout |
/// | `metric` | `ErrorRate` | a column of the table; call it again to add more |
/// | `multi_metric` | `AccuracyMulti`, F1 | the same for multi-label data |
/// | `observer` | none | sees every event; call it again to add more |
/// | `loss` | the objective | a loss of your own |
/// | `distill` | no teachers | teachers by name, and how much what they teach counts |
/// | `teacher` | none | a teacher; call it again to add more |
pub struct LearnerBuilder {
    loaders: DataLoaders,
    settings: FitSettings,
    distill: DistillSettings,
    teachers: Vec<Box<dyn Teacher>>,
    class_weights: Vec<f64>,
    own_loss: Option<Box<dyn Loss>>,
    places: Option<WeightPlaces>,
    seed: Option<Seed>,
    metrics: Asked,
    observers: Vec<Box<dyn Observer>>,
    on_download: Option<Box<dyn FnMut(DownloadProgress)>>,
}

impl std::fmt::Debug for LearnerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LearnerBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl LearnerBuilder {
    /// Sets everything at once, including the architecture.
    #[must_use]
    pub fn settings(mut self, settings: FitSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Where the body's weights come from.
    #[must_use]
    pub fn weights(mut self, source: WeightSource) -> Self {
        self.settings.weights = source;
        self
    }

    /// The folders that are searched for pretrained weights.
    #[must_use]
    pub fn weight_places(mut self, places: WeightPlaces) -> Self {
        self.places = Some(places);
        self
    }

    /// The device to train on.
    #[must_use]
    pub fn device(mut self, device: Device) -> Self {
        self.settings.device = device;
        self
    }

    /// The number format of activations.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.settings.precision = precision;
        self
    }

    /// Seed of the initial head and of dropout.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(Seed(seed));
        self
    }

    /// The loss function, and how much each class counts in it.
    #[must_use]
    pub fn objective(mut self, objective: Objective) -> Self {
        (self.settings.loss, self.class_weights) = (objective.loss, objective.class_weights);
        self
    }

    /// A loss of your own, instead of an objective. The table's `valid_loss` stays the cross entropy.
    #[must_use]
    pub fn loss(mut self, loss: impl Loss + 'static) -> Self {
        self.own_loss = Some(Box::new(loss));
        self
    }

    /// Whether the model of the best epoch is kept for [`Learner::restore_best`].
    #[must_use]
    pub fn keep(mut self, keep: Keep) -> Self {
        self.settings.keep = keep;
        self
    }

    /// Adds a column to the table.
    #[must_use]
    pub fn metric(self, metric: impl Metric + 'static) -> Self {
        self.boxed_metric(Box::new(metric))
    }

    /// Adds a boxed metric as a column, such as one from [`metric_named`](sciurus_insight::metric_named).
    #[must_use]
    pub fn boxed_metric(mut self, metric: Box<dyn Metric>) -> Self {
        self.metrics.one.push(metric);
        self
    }

    /// Adds a column to the table for multi-label data, such as [`AccuracyMulti`](sciurus_insight::AccuracyMulti).
    #[must_use]
    pub fn multi_metric(self, metric: impl Metric<MultiPredictions> + 'static) -> Self {
        self.boxed_multi_metric(Box::new(metric))
    }

    /// Adds a boxed multi-label metric as a column, such as one from
    /// [`multi_metric_named`](sciurus_insight::multi_metric_named).
    #[must_use]
    pub fn boxed_multi_metric(mut self, metric: Box<dyn Metric<MultiPredictions>>) -> Self {
        self.metrics.many.push(metric);
        self
    }

    /// Adds an observer.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Teachers by name, and how much the photos' labels, the teachers' answers and their features count.
    #[must_use]
    pub fn distill(mut self, settings: DistillSettings) -> Self {
        self.distill = settings;
        self
    }

    /// Adds a teacher.
    #[must_use]
    pub fn teacher(mut self, teacher: impl Teacher + 'static) -> Self {
        self.teachers.push(Box::new(teacher));
        self
    }

    /// Sets a callback for the progress of a download of weights.
    #[must_use]
    pub fn on_download(mut self, callback: impl FnMut(DownloadProgress) + 'static) -> Self {
        self.on_download = Some(Box::new(callback));
        self
    }

    /// Builds the model, loads its weights and freezes its body.
    ///
    /// # Errors
    /// An option is out of range, the device is not in this build, the weights cannot be found, downloaded or read, or do not match
    /// the architecture, or a teacher can't teach these labels.
    pub fn build(self) -> Result<Learner, Error> {
        let settings = &self.settings;
        let precision = settings.precision.on(settings.device)?;
        let device = settings.device.open()?;
        let seed = self.seed.unwrap_or(self.loaders.seed());
        let objective = Objective { loss: settings.loss, class_weights: self.class_weights };
        settings.check()?;
        check_objective(&objective, &self.loaders)?;
        let mut places = self.places.unwrap_or_else(WeightPlaces::from_environment);
        places.offline |= settings.offline;
        let mut on_download = self.on_download.unwrap_or_else(|| Box::new(|_| ()));
        let ChosenArch { arch, weights: weights_from, instead } =
            settings.arch.choose(&settings.weights, &places, &mut on_download)?;
        arch.check_image_size(self.loaders.preprocessing().image_size)?;
        let model = VisionModel::new(arch, self.loaders.dataset().vocab.len(), seed, &device)?;
        let (model, weights) =
            started((model, arch), (&weights_from, &self.loaders), &places, &mut on_download)?;
        let context = (&self.loaders, &places);
        let teachers = Teachers::ready(self.teachers, self.distill, context, &mut on_download)?;
        let model = model.with_projectors(&teachers.widths(), arch.channels(), seed);
        let trainer = Trainer::new(model, &device, seed)
            .with_teachers(teachers)
            .with_precision(precision)
            .with_loss(self.own_loss.unwrap_or_else(|| Box::new(objective)));
        let trainer = as_settings_say(trainer, settings, arch);
        let mut observers = self.observers;
        if let Some(patience) = settings.patience {
            observers.push(Box::new(EarlyStopping::new(patience)));
        }
        let metrics = self.metrics.for_photos(self.loaders.dataset())?;
        let mut learner = Learner {
            arch,
            instead,
            has_new_head: ModelBundle::file_of(&weights_from).is_none(),
            keep: settings.keep,
            looks: OnlineDynamics::new(self.loaders.dataset().items.len()),
            loaders: self.loaders,
            weights,
            trainer,
            metrics,
            observers,
            phase: Phase::Frozen,
            epochs_done: 0,
            history: History::default(),
            last: None,
            best: None,
            fits: 0,
            events: 0,
            checkpoints: None,
            resume: None,
            instant: None,
            cut_short: false,
            damaged: Vec::new(),
        };
        learner.freeze();
        Ok(learner)
    }
}

/// A trainer of a new head that steps as the settings say.
fn as_settings_say(trainer: Trainer, settings: &FitSettings, arch: Arch) -> Trainer {
    let trainer = trainer
        .clip_norm(settings.clip_norm)
        .accumulate(settings.accumulate)
        .average_decay(settings.average_decay)
        .with_new_head();
    if settings.freezes_norm(arch) { trainer.with_frozen_norm() } else { trainer }
}

/// A model with the weights that it starts from.
fn started(
    (model, arch): (VisionModel, Arch),
    (source, loaders): (&WeightSource, &DataLoaders),
    places: &WeightPlaces,
    on_download: &mut dyn FnMut(DownloadProgress),
) -> Result<(VisionModel, WeightsRecord), Error> {
    match ModelBundle::file_of(source) {
        Some(path) => continued(model, arch, path, &loaders.dataset().vocab),
        None => load_body(model, arch, source, places, on_download),
    }
}

/// Checks that there is one class weight for each of the data's classes.
fn check_objective(objective: &Objective, loaders: &DataLoaders) -> Result<(), Error> {
    let dataset = loaders.dataset();
    match dataset.is_multi_label() {
        false => objective.check(dataset.vocab.len()),
        true => objective.check_multi(dataset.vocab.len()),
    }
}
