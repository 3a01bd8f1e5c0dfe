//! From search terms to a model: gather photos of two kinds, train on them, and give credit to who made them.
//!
//!     cargo run --release --features gather --example gather_and_train -- "eastern gray squirrel" "red squirrel"
//!
//! Without words to search for the example draws pictures and gathers from their folder, so that it needs no network
//! connection.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use std::path::Path;

use sciurus::gather::{Gather, GatherClass, GatherEvent, GatherObserver, Keys, SourceSpec};
use sciurus::prelude::*;
use sciurus::{WeightSource, draw_demo};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let into = std::env::temp_dir().join("sciurus-example-gathered");
    let terms: Vec<String> = std::env::args().skip(1).collect();
    let is_drawn = terms.is_empty();
    let run = if is_drawn { from_drawings(&into)? } else { from_the_web(&into, &terms)? };
    // A run that was stopped goes on where it stood when it is started again.
    let gathered = run.build()?.run_blocking(watch())?;
    println!("{gathered}");

    let mut learner = if is_drawn {
        let dls = ImageDataLoaders::from_folder(&into).image_size(64).batch_size(8).build()?;
        vision_learner(dls, Arch::ResNet10Narrow).weights(WeightSource::Random).metric(ErrorRate).build()?
    } else {
        vision_learner(ImageDataLoaders::from_folder(&into).build()?, Arch::ResNet18)
            .metric(ErrorRate)
            .build()?
    };
    learner.fine_tune(4)?;
    println!("{}", ClassificationInterpretation::new(learner.predictions(Split::Valid)?).confusion_matrix());
    println!("who made the photos: {}", into.join("ATTRIBUTION.md").display());
    Ok(())
}

/// 150 photos of each kind, from the services that need no key and those whose keys are in the environment.
fn from_the_web(into: &Path, terms: &[String]) -> Result<Gather, Box<dyn std::error::Error>> {
    let classes = terms.iter().map(|term| term.parse()).collect::<Result<Vec<GatherClass>, _>>()?;
    Ok(Gather::new(into, classes).per_class(150).keys(Keys::from_env()))
}

/// Twenty drawings of each kind, from a folder on this machine: it is a source like any other.
fn from_drawings(into: &Path) -> Result<Gather, Box<dyn std::error::Error>> {
    let drawn = std::env::temp_dir().join("sciurus-example-drawn");
    draw_demo(&drawn, 40, 42)?;
    let source = SourceSpec::at(&drawn).ok_or("the folder of drawings is gone")?;
    let classes = ["acorn".parse()?, "leaf".parse()?];
    Ok(Gather::new(into, classes).per_class(20).min_size(64).sources(vec![source]))
}

fn watch() -> impl GatherObserver + 'static {
    |event: &GatherEvent| {
        if let GatherEvent::Kept { class, kept, wanted, .. } = event {
            eprint!("\r{class}: {kept} of {wanted}");
        }
        sciurus::gather::Control::Continue
    }
}
