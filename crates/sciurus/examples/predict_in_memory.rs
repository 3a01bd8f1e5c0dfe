//! Classify photos that are bytes in memory, such as uploads, with one model that all threads share.
//!
//!     cargo run --release --example predict_in_memory -- model.sciurus photo.jpg...
//!
//! Without arguments the example trains a small model on drawn pictures first.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use std::path::PathBuf;
use std::sync::Arc;

use sciurus::{Listeners, Predictor, Run, demo_settings, draw_demo};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let (model, photos) = match arguments.next() {
        Some(model) => (model, arguments.collect()),
        None => drawn()?,
    };

    // A predictor is loaded once. It has no lock: threads use it at the same time.
    let predictor = Arc::new(Predictor::load(model)?);
    let threads: Vec<_> = photos
        .into_iter()
        .map(|photo| {
            let predictor = Arc::clone(&predictor);
            std::thread::spawn(move || -> Result<String, String> {
                let bytes = std::fs::read(&photo).map_err(|error| error.to_string())?;
                // What a hostile file may cost is limited.
                let prediction = predictor.predict_bytes(&bytes).map_err(|error| error.to_string())?;
                Ok(format!(
                    "{}: {} ({:.1} %)",
                    photo.display(),
                    prediction.label,
                    100.0 * prediction.probability
                ))
            })
        })
        .collect();
    for thread in threads {
        match thread.join() {
            Ok(Ok(line)) => println!("{line}"),
            Ok(Err(reason)) => eprintln!("passed over: {reason}"),
            Err(_) => eprintln!("a thread panicked"),
        }
    }
    Ok(())
}

/// A small model, and four pictures to try it on.
fn drawn() -> Result<(PathBuf, Vec<PathBuf>), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join("sciurus-example-predict");
    let photos = folder.join("photos");
    draw_demo(&photos, 60, 42)?;
    let run = folder.join(format!("run-{}", std::process::id()));
    let finished = Run::prepare(&run, demo_settings(&photos), Listeners::default())?.train()?;
    let dataset = finished.learner.loaders().dataset();
    let paths = dataset.items.iter().step_by(30).map(|item| dataset.path(item)).collect();
    Ok((finished.run.model_path(), paths))
}
