//! Find what is wrong with a folder of photos, and write a plan that can be reviewed, applied and taken back.
//!
//!     cargo run --release --example clean_a_folder -- squirrels
//!
//! Without an argument the example draws pictures and puts one of them into the wrong folder.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use std::ops::ControlFlow;

use sciurus::{Arch, CleanSettings, CleanStep, CleanSummary, Cleaner, WeightSource, draw_demo};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = match std::env::args().nth(1) {
        Some(folder) => CleanSettings::new(folder),
        None => drawn()?,
    };
    let cleaner = Cleaner::look(&settings, &|step| {
        if let CleanStep::Looking(done) = step {
            eprint!("\rlooking at photos: {} of {}", done.done, done.total);
        }
        // `Break` would stop it here; what was computed is kept.
        ControlFlow::Continue(())
    })?;
    eprintln!();

    // Nothing has changed yet: a plan is a proposal for each photo, worst first.
    let plan = cleaner.plan()?;
    let summary = CleanSummary::of(&plan, 3);
    println!("{} photos, {} worth a look", summary.images, summary.with_issues);
    for item in plan.changes().take(5) {
        println!("{:.2}  {}: {}", item.score, item.path.display(), item.reason);
    }
    let file = std::env::temp_dir().join("sciurus-example-plan.json");
    plan.save(&file)?;
    println!(
        "the plan is {}; `sciurus clean FOLDER --apply` carries one out, `--undo` takes it back",
        file.display()
    );
    Ok(())
}

/// Drawn pictures, one of them copied into the other class.
fn drawn() -> Result<CleanSettings, Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join("sciurus-example-clean");
    draw_demo(&folder, 40, 42)?;
    std::fs::copy(folder.join("leaf/leaf-000.png"), folder.join("acorn/from-another-folder.png"))?;
    let mut settings = CleanSettings::new(folder);
    (settings.archs, settings.weights) = (vec![Arch::ResNet10Narrow.into()], WeightSource::Random);
    Ok(settings)
}
