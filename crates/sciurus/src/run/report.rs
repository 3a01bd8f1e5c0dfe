//! A run as one HTML page: what its folder and its photos hold, put into a [`Report`].

use std::path::PathBuf;

use sciurus_data::{DecodeLimits, ItemId, Progress, RgbImage, decode_file, small_jpeg};
use sciurus_insight::{
    AnyPredictions, ClassificationInterpretation, EpochRow, MultiInterpretation, Report, Thumbnail,
};

use super::Run;
use crate::learner::{EpochRecord, Event};
use crate::predictor::Predictor;
use crate::{Device, Error};

/// Photos that get a picture: those with the largest losses.
const PICTURES: usize = 300;
/// Of them, so many also get a heat map.
const HEAT_MAPS: usize = 60;
/// The longer side of a small picture (pixels).
const SIDE: u32 = 200;
/// Quality (1..=100) of small pictures.
const QUALITY: u8 = 80;

impl Run {
    /// Reads the run and its photos. Photos that cannot be read any more have no picture.
    ///
    /// # Errors
    /// The run did not finish, or its files cannot be read.
    pub fn report(&self, on_progress: &dyn Fn(Progress)) -> Result<Report, Error> {
        let record = self.record()?;
        let predictions = self.any_predictions()?;
        let settings = &record.settings;
        let events = self.events()?;
        let predictor = Predictor::load_on(self.model_path(), Device::Cpu)?;
        let worst = worst(&predictions);
        let (mut thumbnails, mut overlays) = (Vec::new(), Vec::new());
        for (done, top) in worst.iter().enumerate() {
            on_progress(Progress { done: done + 1, total: worst.len() });
            let path = settings.folder.join(&top.path);
            let Ok(photo) = decode_file(path, &DecodeLimits::default()) else { continue };
            if let Some(class) = predictor.manifest().vocab.class(&top.label).filter(|_| done < HEAT_MAPS) {
                let (square, map) = predictor.grad_cam(&photo, class);
                overlays.extend(picture(top.item, map.over(&square)));
            }
            thumbnails.extend(picture(top.item, photo));
        }
        let title = format!("{} on {}", settings.arch, settings.folder.display());
        let page = match predictions {
            AnyPredictions::One(predictions) => Report::new(title, predictions),
            AnyPredictions::Many(predictions) => Report::of_many(title, predictions),
        };
        let page = page
            .fact("weights it started from", &record.weights.name)
            .fact("epochs", settings.epochs.to_string())
            .fact("image size", format!("{} pixels", settings.image_size))
            .fact("seed", settings.seed.to_string())
            .fact("photos", format!("{} to train, {} to measure", record.data.train, record.data.valid))
            .fact("Sciurus", &record.version)
            .metrics(record.metrics.clone())
            .epochs(events.rows.iter().map(row).collect())
            .learning_rates(events.learning_rates)
            .thumbnails(thumbnails)
            .overlays(overlays);
        Ok(page)
    }

    /// What the log tells of epochs and learning rates.
    fn events(&self) -> Result<Log, Error> {
        let path = self.path("events.jsonl");
        let text = std::fs::read_to_string(&path).map_err(|source| Error::io(&path, source))?;
        let mut log = Log::default();
        for line in text.lines() {
            // A line that a killed process left half written, or an event of a newer version, tells nothing here.
            match serde_json::from_str(line) {
                Ok(Event::BatchTrained { learning_rates, .. }) => log.learning_rates.push(learning_rates),
                Ok(Event::EpochEnded(record)) => log.rows.push(record),
                _ => {}
            }
        }
        Ok(log)
    }
}

/// A photo with a large loss, and the label whose heat map is worth a look.
struct Worst {
    item: ItemId,
    path: PathBuf,
    label: String,
}

/// The photos with the largest losses: with the label they were taken for, or, of any number, the one most wrong.
fn worst(predictions: &AnyPredictions) -> Vec<Worst> {
    match predictions {
        AnyPredictions::One(predictions) => ClassificationInterpretation::new(predictions.clone())
            .top_losses(PICTURES)
            .into_iter()
            .map(|top| Worst { item: top.item, path: top.path, label: top.prediction })
            .collect(),
        AnyPredictions::Many(predictions) => MultiInterpretation::new(predictions.clone())
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
