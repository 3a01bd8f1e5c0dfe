//! Runs a model in evaluation mode over a loader. In: a loader of a split. Out: predictions for all its photos.

use burn::module::Module;
use burn::tensor::Device as BurnDevice;
use sciurus_data::{DataError, Loader, Split, Targets, Views};
use sciurus_insight::{AnyPredictions, MultiPredictions, Predictions};

use super::event::Event;
use crate::model::VisionModel;
use crate::nn::{FoldedLayers, Pass, floats};
use crate::{Error, Precision};

/// A model with everything it needs to predict a split.
#[derive(Debug)]
pub(crate) struct Evaluation<'a> {
    pub(crate) model: &'a VisionModel,
    pub(crate) precision: Precision,
    pub(crate) views: Views,
    pub(crate) device: &'a BurnDevice,
}

impl Evaluation<'_> {
    /// Predictions for all photos of one epoch of a loader. Epochs differ only if the loader augments.
    ///
    /// # Errors
    /// No photo of the split could be read.
    pub(crate) fn run(
        &self,
        (loader, split): (&Loader, Split),
        epoch: u64,
        on_event: &mut dyn FnMut(Event) -> Result<(), Error>,
    ) -> Result<AnyPredictions, Error> {
        let (model, device) = (self.model.valid(), self.device.clone().inner());
        let dataset = loader.dataset();
        let folded = FoldedLayers::default();
        let (mut items, mut logits, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (step, batch) in loader.epoch(epoch).enumerate() {
            if !batch.skipped.is_empty() {
                DataError::check_machine(&batch.skipped)?;
                on_event(Event::PhotosSkipped { split, skipped: batch.skipped.clone() })?;
            }
            if batch.targets.is_empty() {
                continue;
            }
            let images = super::images(&batch, &device)?;
            let mut pass = Pass::evaluate().with_precision(self.precision).with_folded(&folded);
            logits.extend(floats(model.forward_views(images, self.views, &mut pass).into_data()));
            items.extend(&batch.items);
            on_event(Event::BatchValidated { step, images: batch.targets.len() })?;
            targets.push(batch.targets);
        }
        if items.is_empty() {
            return Err(Error::NothingReadable { split });
        }
        let paths = items.iter().filter_map(|id| Some(dataset.item(*id)?.path.clone())).collect();
        let (vocab, mut targets) = (dataset.vocab.clone(), targets.iter().flat_map(Targets::iter));
        Ok(if dataset.is_multi_label() {
            let targets = targets.map(<[usize]>::to_vec).collect();
            AnyPredictions::Multi(MultiPredictions::from_logits(vocab, items, paths, &logits, targets)?)
        } else {
            let targets = targets.by_ref().flatten().copied().collect();
            AnyPredictions::Single(Predictions::from_logits(vocab, items, paths, &logits, targets)?)
        })
    }
}
