//! A run folder and its photos in, an HTML page out, with the JPEG files themselves as thumbnails:
//! `cargo run -p sciurus-insight --example report -- runs/squirrels squirrels report.html`

use std::error::Error;
use std::path::Path;

use sciurus_insight::{EpochRow, Measured, Predictions, Report, Thumbnail};

fn main() -> Result<(), Box<dyn Error>> {
    let [run, photos, page] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: report RUN PHOTOS PAGE".into());
    };
    let run = Path::new(run);
    let predictions = Predictions::load(run.join("predictions.json"))?;
    let thumbnails = thumbnails(&predictions, Path::new(photos));
    let report = Report::new(format!("Run {}", run.display()), predictions)
        .fact("photos", photos)
        .epochs(epochs(&std::fs::read_to_string(run.join("history.csv"))?)?)
        .learning_rates(learning_rates(&std::fs::read_to_string(run.join("events.jsonl"))?)?)
        .thumbnails(thumbnails);
    std::fs::write(page, report.render())?;
    Ok(())
}

/// Photos that cannot be read have no picture.
fn thumbnails(predictions: &Predictions, root: &Path) -> Vec<Thumbnail> {
    let read = |(&item, path)| Some(Thumbnail { item, jpeg: std::fs::read(root.join(path)).ok()? });
    predictions.items.iter().zip(&predictions.paths).filter_map(read).collect()
}

/// The columns `epoch`, `train_loss`, `valid_loss`, metrics, `time`, `phase`.
fn epochs(history: &str) -> Result<Vec<EpochRow>, Box<dyn Error>> {
    let mut lines = history.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().ok_or("history.csv is empty")?;
    let column =
        |name: &str| header.iter().position(|&heading| heading == name).ok_or(format!("no column {name}"));
    let (time, phase) = (column("time")?, column("phase")?);
    let row = |cells: Vec<&str>| -> Result<EpochRow, Box<dyn Error>> {
        let measured = |i: usize| -> Result<Measured, Box<dyn Error>> {
            Ok(Measured { name: header[i].to_string(), value: cells[i].parse()?, interval: None, items: 0 })
        };
        Ok(EpochRow {
            epoch: cells[0].parse()?,
            phase: cells[phase].to_string(),
            train_loss: cells[1].parse()?,
            valid_loss: cells[2].parse()?,
            metrics: (3..time).map(measured).collect::<Result<_, _>>()?,
        })
    };
    lines.map(row).collect()
}

/// The `learning_rates` of every trained batch.
fn learning_rates(events: &str) -> Result<Vec<Vec<f64>>, serde_json::Error> {
    let events = events.lines().map(serde_json::from_str::<serde_json::Value>);
    let rates = events.filter_map(|event| {
        event.map(|mut event| event.get_mut("learning_rates").map(serde_json::Value::take)).transpose()
    });
    rates.map(|rates| rates.and_then(serde_json::from_value)).collect()
}
