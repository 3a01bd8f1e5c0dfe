//! A linear head on the features of the frozen body: as the whole training, in seconds and measured by cross-validation, or as
//! what fine-tuning begins with.
//!
//! In: a learner that has not trained yet. Out: the same with a fitted head and, where that is all, out-of-fold predictions for all
//! photos that are not in the test split.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use sciurus_clean::find::{
    FoldItems, FoldOptions, LabelledItems, LogisticHead, LogisticOptions, out_of_fold,
};
use sciurus_data::{BadOption, ImageItem, Skipped, Split, Views};
use sciurus_insight::{AnyPredictions, Embeddings, Predictions, Temperature};

use super::event::{Control, EpochRecord, Event};
use super::{Learner, Phase};
use crate::Error;
use crate::embed::{EmbedItem, Embedder};
use crate::model::{HeadStart, LinearHead};

/// Photos that the table's progress counts as one batch.
const STEP: usize = 32;

/// Photos with their features, and those that cannot be read.
pub(super) struct Features {
    pub(super) items: Vec<ImageItem>,
    pub(super) embeddings: Embeddings,
    skipped: Vec<Skipped>,
}

impl Learner {
    /// Fits the head alone, and all at once: a linear classifier on the features of the frozen body, by logistic regression, as
    /// cleaning does. The predictions of every photo come from one of five heads that were fitted without it, and so do the table's
    /// figures and the temperature; the head that the model keeps is fitted on all of them. Features are cached by content, so
    /// that a second call takes a fraction of the time.
    ///
    /// ```no_run
    /// use sciurus::prelude::*;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let dls = ImageDataLoaders::from_folder("squirrels").build()?;
    /// let mut learner = vision_learner(dls, Arch::Hazel).build()?;
    /// learner.fit_instantly()?;
    /// learner.export("squirrels.sciurus")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The data are multi-label or have more than [`LinearHead::MOST`] classes, the learner has trained before, no photo is
    /// readable, or an observer fails.
    pub fn fit_instantly(&mut self) -> Result<Control, Error> {
        let dataset = self.loaders.dataset();
        if dataset.is_multi_label() {
            return Err(Error::MultiLabel);
        }
        let (classes, fresh) = (dataset.vocab.len(), self.fits == 0);
        let advice = "fine-tune instead: a linear head on frozen features knows fewer classes";
        BadOption::check("instant", format!("{classes} classes"), classes <= LinearHead::MOST, advice)?;
        BadOption::check("instant", "a trained model", fresh, "begin with a learner that has not trained")?;
        let started = Instant::now();
        let items: Vec<ImageItem> =
            dataset.items.iter().filter(|item| item.split != Split::Test).cloned().collect();
        self.freeze();
        self.emit(&Event::FitStarted {
            phase: Phase::Frozen,
            epochs: 1,
            steps: 0,
            valid_steps: items.len().div_ceil(STEP),
            metrics: self.metrics.names(),
        })?;
        let embedder = self.frozen_body(Views::Mirrored)?;
        let tell = |done, told| {
            let batch = |step| Event::BatchValidated { step, images: STEP };
            (told / STEP..done / STEP).map(batch).collect()
        };
        let Features { items, embeddings, skipped } = self.features(&embedder, items, (tell, may_stop))?;
        if !skipped.is_empty() {
            self.emit(&Event::PhotosSkipped { split: Split::Train, skipped })?;
        }
        let labels = labels(&items);
        let groups = groups(&items);
        let fold_items =
            FoldItems { embeddings: &embeddings, labels: &labels, groups: Some(&groups), weights: None };
        let options = FoldOptions::default().repeats(1).seed(self.seed().0).build()?;
        let found = out_of_fold(fold_items, classes, options)?;
        let head = fitted(&embeddings, &labels, classes)?;
        self.trainer.set_head(&linear(&head, classes, &embeddings))?;
        self.instant = Some(found.temperatures.first().copied().unwrap_or(Temperature(1.0)));
        let probabilities =
            (0..found.rows.len()).flat_map(|item| found.rows.row(item)).map(|p| *p as f32).collect();
        let predictions = Predictions::from_probabilities(
            self.loaders.dataset().vocab.clone(),
            items.iter().map(|item| item.id).collect(),
            items.iter().map(|item| item.path.clone()).collect(),
            probabilities,
            labels.clone(),
        )?;
        self.end_instantly(
            AnyPredictions::Single(predictions),
            mean_loss(&head, &embeddings, &labels),
            started,
        )
    }

    /// Has fine-tuning begin with a linear classifier as the head, if that is wanted. A learner that has trained has a head already.
    pub(crate) fn start_head(&mut self, start: HeadStart) -> Result<(), Error> {
        let dataset = self.loaders.dataset();
        let classes = dataset.vocab.len();
        let is_possible = !dataset.is_multi_label() && classes <= LinearHead::MOST;
        let is_wanted = match start {
            HeadStart::Auto => self.arch.is_tuned_gently() && self.has_new_head && is_possible,
            HeadStart::Random => false,
            HeadStart::LinearProbe => true,
        };
        if !is_wanted || self.fits > 0 || self.resume.is_some() {
            return Ok(());
        }
        let advice = "begin with a random head, which takes several labels a photo, and more classes";
        BadOption::check("head_start", start.to_string(), is_possible, advice)?;
        let items: Vec<ImageItem> =
            dataset.items.iter().filter(|item| item.split == Split::Train).cloned().collect();
        let total = items.len();
        // One view of each: it is only where training begins, and the first row of the table waits for it.
        let embedder = self.frozen_body(Views::Plain)?;
        let tell = |done, _| vec![Event::PhotosEmbedded { done, total }];
        // The epochs that follow name the photos that cannot be read.
        let Features { items, embeddings, .. } = self.features(&embedder, items, (tell, may_stop))?;
        let head = fitted(&embeddings, &labels(&items), classes)?;
        self.trainer.set_head(&linear(&head, classes, &embeddings))
    }

    /// The body as it came with its weights, whose features are cached.
    fn frozen_body(&self, views: Views) -> Result<Embedder, Error> {
        let preprocessing = self.loaders.preprocessing();
        Ok(Embedder::of(self.trainer.model(), self.arch, &self.weights, preprocessing)?.views(views))
    }

    /// The features of photos, without those that cannot be read. `tell` says how far it is, given how many photos are done, and how
    /// many were the last time; `is_stopped` says whether what observers answer ends it.
    pub(super) fn features(
        &mut self,
        embedder: &Embedder,
        items: Vec<ImageItem>,
        (tell, is_stopped): (impl Fn(usize, usize) -> Vec<Event>, fn(Control) -> bool),
    ) -> Result<Features, Error> {
        let root = self.loaders.dataset().root.clone();
        let wanted: Vec<EmbedItem> = items
            .iter()
            .map(|item| EmbedItem { path: root.join(&item.path), content: item.content })
            .collect();
        let (mut told, mut control) = (0, Ok(Control::Continue));
        let embedded = embedder.embed(&wanted, &mut |done| {
            for event in tell(done, told) {
                if let Ok(before) = &control {
                    let before = *before;
                    control = self.emit(&event).map(|next| before.max(next));
                }
            }
            told = done;
            match control {
                Ok(control) if !is_stopped(control) => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        });
        control?;
        let embedded = embedded?;
        let relative = |skipped: Skipped| match skipped.path.strip_prefix(&root) {
            Ok(inside) => Skipped { path: inside.to_owned(), ..skipped },
            Err(_) => skipped,
        };
        let skipped = embedded.skipped.into_iter().map(relative).collect();
        let (mut kept, mut values) = (Vec::new(), Vec::new());
        for (item, row) in items.into_iter().zip(embedded.rows) {
            if let Some(row) = row {
                kept.push(item);
                values.extend(row);
            }
        }
        match kept.is_empty() {
            true => Err(Error::NothingReadable { split: Split::Train }),
            false => {
                let embeddings = Embeddings { width: self.arch.channels(), values };
                Ok(Features { items: kept, embeddings, skipped })
            }
        }
    }

    fn end_instantly(
        &mut self,
        predictions: AnyPredictions,
        train_loss: f64,
        started: Instant,
    ) -> Result<Control, Error> {
        let elapsed = started.elapsed();
        let record = EpochRecord {
            phase: Phase::Frozen,
            epoch: 0,
            train_loss,
            valid_loss: predictions.valid_loss(),
            metrics: self.metrics.values(&predictions),
            elapsed,
            waited: Duration::ZERO,
            images_per_second: predictions.len() as f64 / elapsed.as_secs_f64(),
        };
        self.fits += 1;
        self.history.epochs.push(record.clone());
        self.last = Some(predictions);
        let control = self.emit(&Event::EpochEnded(record))?;
        Ok(control.max(self.emit(&Event::FitEnded { phase: Phase::Frozen, elapsed })?))
    }
}

/// Before a fit, whoever wants to stop need not wait.
fn may_stop(control: Control) -> bool {
    control == Control::Stop
}

fn labels(items: &[ImageItem]) -> Vec<usize> {
    items.iter().filter_map(|item| item.target.classes().first().copied()).collect()
}

/// A classifier of the features of photos with these labels.
fn fitted(embeddings: &Embeddings, labels: &[usize], classes: usize) -> Result<LogisticHead, Error> {
    let all: Vec<usize> = (0..labels.len()).collect();
    let data = LabelledItems { embeddings, labels, weights: None, items: &all };
    Ok(LogisticHead::fit(data, classes, LogisticOptions::default().build()?))
}

/// The same as a network's head.
fn linear(head: &LogisticHead, classes: usize, embeddings: &Embeddings) -> LinearHead {
    let row = |class| head.weights(class).map_or_else(|| unknown(embeddings.width), narrow);
    LinearHead::new((0..classes).map(row).collect(), &embeddings.values)
}

/// Photos that must be in one fold: those of a group, and those with the same bytes.
pub(super) fn groups(items: &[ImageItem]) -> Vec<usize> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut number = |name: String| {
        let next = known.len();
        *known.entry(name).or_insert(next)
    };
    items.iter().map(|item| number(item.group.clone().unwrap_or_else(|| item.content.to_string()))).collect()
}

/// A class that no photo shows is never predicted.
fn unknown(width: usize) -> (Vec<f32>, f32) {
    (vec![0.0; width], -1e4)
}

fn narrow((weights, bias): (&[f64], f64)) -> (Vec<f32>, f32) {
    (weights.iter().map(|weight| *weight as f32).collect(), bias as f32)
}

/// The mean cross entropy (nats) of the photos that a head was fitted on.
fn mean_loss(head: &LogisticHead, embeddings: &Embeddings, labels: &[usize]) -> f64 {
    let all: Vec<usize> = (0..labels.len()).collect();
    let logits = head.logits(embeddings, &all);
    let classes = logits.len() / labels.len().max(1);
    let loss = |(row, &label): (&[f64], &usize)| {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        largest + row.iter().map(|logit| (logit - largest).exp()).sum::<f64>().ln() - row[label]
    };
    logits.chunks_exact(classes).zip(labels).map(loss).sum::<f64>() / labels.len() as f64
}
