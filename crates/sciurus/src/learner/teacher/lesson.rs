//! What a teacher says of a batch, and how far a student is from it.

use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{Tensor, TensorData};
use sciurus_data::Targets;

/// Added to squared lengths, so that a row of zeros has no infinite gradient.
const TINY: f64 = 1e-12;

/// What a teacher says of a batch: one row for each image, row-major.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lesson {
    /// Logits `[batch, class]`, in the order of the student's classes; `None` if the teacher knows other classes.
    pub logits: Option<Vec<f32>>,
    /// Features `[batch, width]`. Only their direction counts, so they should be centred.
    pub features: Option<Vec<f32>>,
}

impl Lesson {
    /// `T² KL(teacher || student)` `[1]` of a student's logits `[batch, class]`, both softened by the temperature `T`: a mean over
    /// the batch, for multi-label data also over labels.
    pub(super) fn answers(
        &self,
        student: &Tensor<2>,
        targets: &Targets,
        temperature: f64,
    ) -> Option<Tensor<1>> {
        let teacher = rows(self.logits.as_ref()?, student)? / temperature;
        let student = student.clone() / temperature;
        let [batch, classes] = student.dims();
        let (apart, rows) = match targets {
            Targets::Single(_) => {
                let (teacher, student) = (log_softmax(teacher, 1), log_softmax(student, 1));
                (teacher.clone().exp() * (teacher - student), batch)
            }
            Targets::Multi(_) => {
                let term = |teacher: Tensor<2>, student: Tensor<2>| {
                    let (teacher, student) = (log_sigmoid(teacher), log_sigmoid(student));
                    teacher.clone().exp() * (teacher - student)
                };
                (term(teacher.clone(), student.clone()) + term(teacher.neg(), student.neg()), batch * classes)
            }
        };
        Some(apart.sum() * (temperature * temperature / rows as f64))
    }

    /// `1 - cos` `[1]` of what a student says of the features `[batch, width]`, a mean over the batch.
    pub(super) fn features_apart(&self, said: Tensor<2>) -> Option<Tensor<1>> {
        let batch = said.dims()[0];
        let taught = rows(self.features.as_ref()?, &said)?;
        let product = (said.clone() * taught.clone()).sum_dim(1);
        let length = |rows: Tensor<2>| (rows.powi_scalar(2).sum_dim(1) + TINY).sqrt();
        let cosines = product / (length(said) * length(taught));
        Some((cosines.sum() / batch as f64).neg() + 1.0)
    }
}

/// Rows of a lesson as a tensor like the student's; `None` if a teacher gave another number of values.
fn rows(values: &[f32], like: &Tensor<2>) -> Option<Tensor<2>> {
    let fits = values.len() == like.dims().iter().product::<usize>();
    fits.then(|| Tensor::from_data(TensorData::new(values.to_vec(), like.dims()), &like.device()))
}
