//! A run as one HTML page: puts the content of its folder and its photos into a [`Report`].

use std::path::PathBuf;

use sciurus_data::fs::read_regular;
use sciurus_data::{DataError, DecodeLimits, ItemId, Progress, RgbImage, Skipped, decode_file};
use sciurus_insight::{
    AnyPredictions, ClassificationInterpretation, EpochRow, MultiInterpretation, Report, Thumbnail,
};
use sciurus_photos::small_jpeg;

use super::{Run, RunRecord};
use crate::learner::{EpochRecord, Event, Phase};
use crate::predict::Predictor;
use crate::{Device, Error};

/// Most bytes of a run's event log; a million batches need less.
const LARGEST_EVENTS: u64 = 1 << 30;
/// Photos that get a picture: those with the largest losses.
const PICTURES: usize = 300;
/// How many of them also get a heat map.
const HEAT_MAPS: usize = 60;
/// The longer side of a small picture (pixels).
const SIDE: u32 = 200;
/// JPEG quality (1..=100) of small pictures.
const QUALITY: u8 = 80;

impl Run {
    /// Makes a page from the run and its photos. Photos that can no longer be read have no picture; they are returned with the
    /// reason.
    ///
    /// # Errors
    /// The run did not finish, or its files cannot be read.
    pub fn report(&self, on_progress: &dyn Fn(Progress)) -> Result<(Report, Vec<Skipped>), Error> {
        let record = self.record()?;
        let predictions = self.any_predictions()?;
        let settings = &record.settings;
        let events = self.events()?;
        let predictor = Predictor::load_on(self.model_path(), Device::Cpu)?;
        let worst = worst(&predictions);
        let (mut thumbnails, mut overlays, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        for (done, top) in worst.iter().enumerate() {
            on_progress(Progress { done: done + 1, total: worst.len() });
            let path = settings.data.folder.join(&top.path);
            let photo = match decode_file(path, &DecodeLimits::default()) {
                Ok(photo) => photo,
                Err(reason) => {
                    unreadable.push(Skipped { path: top.path.clone(), reason });
                    continue;
                }
            };
            if let Some(class) = predictor.manifest().vocab.class(&top.label).filter(|_| done < HEAT_MAPS) {
                let (square, map) = predictor.grad_cam(&photo, class)?;
                overlays.extend(picture(top.item, map.over(&square)));
            }
            thumbnails.extend(picture(top.item, photo));
        }
        DataError::check_machine(&unreadable)?;
        let name = settings.data.folder.file_name().unwrap_or(settings.data.folder.as_os_str());
        let title = format!("{} on {}", settings.fit.arch, name.display());
        let page = match predictions {
            AnyPredictions::Single(predictions) => {
                Report::new(title, predictions).temperature(predictor.manifest().temperature)
            }
            AnyPredictions::Multi(predictions) => Report::of_many(title, predictions),
        };
        let page = page
            .fact("photos in", settings.data.folder.display().to_string())
            .fact("weights it started from", &record.weights.name)
            .fact("epochs", epochs(&events.rows))
            .fact("image size", format!("{} pixels", settings.loader.image_size))
            .fact("seed", settings.data.seed.to_string())
            .fact(
                "photos",
                format!("{} for training, {} for validation", record.data.train, record.data.valid),
            )
            .fact("pictures of no class", rejection(&record))
            .fact("Sciurus", &record.version)
            .metrics(record.metrics.clone())
            .test_metrics(record.test_metrics.clone())
            .epochs(events.rows.iter().map(row).collect())
            .learning_rates(events.learning_rates)
            .thumbnails(thumbnails)
            .overlays(overlays);
        Ok((page, unreadable))
    }

    /// The epochs and learning rates in the event log.
    fn events(&self) -> Result<Log, Error> {
        let path = self.path("events.jsonl");
        let bytes = read_regular(&path, LARGEST_EVENTS).map_err(|source| Error::io(&path, source))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut log = Log::default();
        for line in text.lines() {
            // Half a line that a killed process left, or an event of a newer version, is skipped.
            match serde_json::from_str(line) {
                Ok(Event::BatchTrained { learning_rates, .. }) => log.learning_rates.push(learning_rates),
                Ok(Event::EpochEnded(record)) => log.rows.push(record),
                _ => {}
            }
        }
        Ok(log)
    }
}

/// A photo with a large loss, and the label whose heat map is shown.
struct Worst {
    item: ItemId,
    path: PathBuf,
    label: String,
}

/// The photos with the largest losses, each with its predicted label; for multi-label data, with the label that is most wrong.
fn worst(predictions: &AnyPredictions) -> Vec<Worst> {
    match predictions {
        AnyPredictions::Single(predictions) => ClassificationInterpretation::new(predictions.clone())
            .top_losses(PICTURES)
            .into_iter()
            .map(|top| Worst { item: top.item, path: top.path, label: top.prediction })
            .collect(),
        AnyPredictions::Multi(predictions) => MultiInterpretation::new(predictions.clone())
            .top_losses(PICTURES)
            .into_iter()
            .map(|top| Worst { item: top.item, path: top.path, label: top.worst })
            .collect(),
    }
}

#[derive(Debug, Default)]
struct Log {
    rows: Vec<EpochRecord>,
    learning_rates: Vec<Vec<f64>>,
}

/// How many epochs were trained; observers or a time budget may have ended the fits early.
fn epochs(rows: &[EpochRecord]) -> String {
    let of = |phase| rows.iter().filter(|row| row.phase == phase).count();
    match of(Phase::Frozen) {
        0 => rows.len().to_string(),
        frozen => format!("{frozen} of the head only, {} of the whole network", of(Phase::Unfrozen)),
    }
}

/// What the model takes for none of its classes.
fn rejection(record: &RunRecord) -> String {
    record.rejection.as_ref().map_or_else(|| "every picture gets a label".to_owned(), ToString::to_string)
}

fn row(record: &EpochRecord) -> EpochRow {
    EpochRow {
        epoch: record.epoch,
        phase: format!("{:?}", record.phase).to_lowercase(),
        train_loss: record.train_loss,
        valid_loss: record.valid_loss,
        metrics: record.metrics.clone(),
    }
}

/// A small copy as JPEG.
fn picture(item: ItemId, photo: RgbImage) -> Option<Thumbnail> {
    Some(Thumbnail { item, jpeg: small_jpeg(photo, SIDE, QUALITY)? })
}
