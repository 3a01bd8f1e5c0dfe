//! Teachers: networks that a student learns to answer like (Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural
//! Network").
//!
//! In: a batch. Out: what each teacher says of it, a [`Lesson`], and the loss of a student against that.

mod lesson;
mod network;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use sciurus_data::{BadOption, Batch, settings};
use serde::{Deserialize, Serialize};

use crate::loaders::DataLoaders;
use crate::model::weights::{DownloadProgress, WeightPlaces};
use crate::{Arch, Error};
pub use lesson::Lesson;
pub use network::NetworkTeacher;

settings! {
    /// Teachers, and what a student learns from them beside the photos' own labels.
    ///
    /// With `z` a teacher's logits, `f` its features, `y` and `g` the student's logits and features, `P` a linear layer of the
    /// student for each teacher, and `T` the temperature:
    ///
    /// ```text
    /// loss = labels * (the student's loss)
    ///      + classes * T² KL(softmax(z / T) || softmax(y / T))
    ///      + features * (1 - cos(P g, f))
    /// ```
    ///
    /// each a mean over the batch, and over the teachers that teach it. For multi-label data the softmax is a sigmoid, and KL a mean over labels. A teacher that
    /// knows other classes than the student's teaches features only.
    pub struct DistillSettings {
        /// The teachers: models that Sciurus saved, or architectures with published weights.
        pub teachers: Vec<PathBuf> = Vec::new(),
        /// How much the photos' own labels count, 0 or more.
        pub teacher_labels: f64 = 1.0,
        /// How much the teachers' answers count, 0 or more.
        pub teacher_classes: f64 = 1.0,
        /// How much the teachers' features count, 0 or more.
        pub teacher_features: f64 = 1.0,
        /// Temperature that softens the answers, from 0.1 to 100: the higher, the more the classes that the teacher thinks less
        /// probable count.
        pub teacher_temperature: f64 = 2.0,
    }
}

impl DistillSettings {
    /// Checks all options.
    ///
    /// # Errors
    /// An option is out of its range.
    pub fn check(&self) -> Result<(), BadOption> {
        let is_weight = |weight: f64| weight.is_finite() && weight >= 0.0;
        let weights = [
            ("teacher_labels", self.teacher_labels),
            ("teacher_classes", self.teacher_classes),
            ("teacher_features", self.teacher_features),
        ];
        for (option, weight) in weights {
            BadOption::check(option, weight, is_weight(weight), "choose 0 or more")?;
        }
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        BadOption::check("teacher_classes", sum, sum > 0.0, "at least one of the weights must be above 0")?;
        let is_warm = (0.1..=100.0).contains(&self.teacher_temperature);
        BadOption::check(
            "teacher_temperature",
            self.teacher_temperature,
            is_warm,
            "choose a number from 0.1 to 100",
        )
    }
}

/// Something that a student learns from. [`NetworkTeacher`] is a network; a teacher of your own may look its answers up, in a table
/// that was computed before.
pub trait Teacher: Debug {
    /// Gets ready for a student of these photos; called once, before the first batch.
    ///
    /// # Errors
    /// It can't teach this student.
    fn prepare(&mut self, loaders: &DataLoaders) -> Result<(), Error> {
        let _ = loaders;
        Ok(())
    }

    /// The number of features of its lessons; `None` if they have none. It doesn't change.
    fn width(&self) -> Option<usize>;

    /// What it says of a batch, whose pixels are normalised for the student: one row for each image.
    ///
    /// # Errors
    /// It has no answer.
    fn teach(&mut self, batch: &Batch) -> Result<Lesson, Error>;

    /// What a run records of it.
    fn record(&self) -> TeacherRecord;
}

/// Which teacher a student learnt from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeacherRecord {
    /// Name of the file, or whatever tells it from others.
    pub name: String,
    /// SHA-256 of the file, lower-case hex; `None` if there is no file.
    pub sha256: Option<String>,
}

/// The architecture that is named instead of a model's file.
pub(crate) fn arch_named(teacher: &Path) -> Option<Arch> {
    teacher.to_str()?.parse().ok()
}

/// The teachers of a student.
#[derive(Debug, Default)]
pub(super) struct Teachers {
    all: Vec<Box<dyn Teacher>>,
    settings: DistillSettings,
}

impl Teachers {
    /// Teachers that are ready for a student of these photos.
    ///
    /// # Errors
    /// An option is out of its range, or a teacher cannot be loaded, or can't teach this student.
    pub(super) fn ready(
        mut all: Vec<Box<dyn Teacher>>,
        settings: DistillSettings,
        (loaders, places): (&DataLoaders, &WeightPlaces),
        on_download: &mut dyn FnMut(DownloadProgress),
    ) -> Result<Self, Error> {
        settings.check()?;
        for named in &settings.teachers {
            all.push(Box::new(match arch_named(named) {
                Some(arch) => NetworkTeacher::pretrained(arch, places, on_download)?,
                None => NetworkTeacher::load(named)?,
            }));
        }
        all.iter_mut().try_for_each(|teacher| teacher.prepare(loaders))?;
        Ok(Self { all, settings })
    }

    /// No teachers yet, of whom these settings say how much they count.
    #[cfg(test)]
    pub(super) fn of(settings: DistillSettings) -> Self {
        Self { all: Vec::new(), settings }
    }

    #[cfg(test)]
    pub(super) fn add(&mut self, teacher: Box<dyn Teacher>) {
        self.all.push(teacher);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The number of features of each teacher that teaches some.
    pub(super) fn widths(&self) -> Vec<usize> {
        let taught = self.settings.teacher_features > 0.0;
        self.all.iter().filter_map(|teacher| teacher.width().filter(|_| taught)).collect()
    }

    /// What a run records of them.
    pub(super) fn records(&self) -> Vec<TeacherRecord> {
        self.all.iter().map(|teacher| teacher.record()).collect()
    }

    /// The loss `[1]` of a student with its own loss `labels` `[1]`, logits `[batch, class]`, and features `[batch, width]` said for
    /// each teacher that teaches some.
    pub(super) fn loss(
        &mut self,
        batch: &Batch,
        labels: Tensor<1>,
        logits: &Tensor<2>,
        said: Vec<Tensor<2>>,
    ) -> Result<Tensor<1>, Error> {
        let DistillSettings {
            teacher_labels, teacher_classes, teacher_features, teacher_temperature, ..
        } = self.settings;
        let (mut said, mut answers, mut features) = (said.into_iter(), Vec::new(), Vec::new());
        for teacher in &mut self.all {
            let said = teacher.width().and_then(|_| said.next());
            let lesson = teacher.teach(batch)?;
            if teacher_classes > 0.0 {
                answers.extend(lesson.answers(logits, &batch.targets, teacher_temperature));
            }
            if teacher_features > 0.0 {
                features.extend(said.and_then(|said| lesson.features_apart(said)));
            }
        }
        let mut loss = labels * teacher_labels;
        for (weight, terms) in [(teacher_classes, answers), (teacher_features, features)] {
            let share = weight / terms.len().max(1) as f64;
            loss = terms.into_iter().fold(loss, |loss, term| loss + term * share);
        }
        Ok(loss)
    }
}
