//! A small network that learns from a big one: knowledge distillation.
//!
//!     cargo run --release --example teacher -- squirrels runs/big/model.sciurus
//!
//! Without arguments the example draws pictures and first trains the teacher too.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use sciurus::prelude::*;
use sciurus::{DistillSettings, LearnerBuilder, NetworkTeacher, TableWriter, WeightSource, draw_demo};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (student, teacher) = match &arguments[..] {
        [folder, teacher] => {
            let dls = ImageDataLoaders::from_folder(folder).build()?;
            (vision_learner(dls, Arch::SqueezeNet1_1), NetworkTeacher::load(teacher)?)
        }
        _ => drawn()?,
    };
    // The photos' labels, the teacher's answers and its features count alike, if nothing else is said.
    let settings = DistillSettings { teacher_features: 0.5, ..DistillSettings::default() };
    let mut student = student.distill(settings).teacher(teacher).metric(ErrorRate).build()?;
    student.observe(TableWriter::new(std::io::stdout()));
    student.fine_tune(2)?;
    for teacher in student.teachers() {
        println!("learnt from {}", teacher.name);
    }
    Ok(())
}

/// A student of drawn pictures, and a teacher that has learnt from them.
fn drawn() -> Result<(LearnerBuilder, NetworkTeacher), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join("sciurus-example-teacher");
    draw_demo(&folder, 40, 42)?;
    let learner = || -> Result<LearnerBuilder, sciurus::Error> {
        let dls = ImageDataLoaders::from_folder(&folder).image_size(64).batch_size(16).build()?;
        Ok(vision_learner(dls, Arch::ResNet10Narrow).weights(WeightSource::Random))
    };
    let mut teacher = learner()?.build()?;
    teacher.unfreeze();
    teacher.fit_one_cycle(4)?;
    let model = std::env::temp_dir().join("sciurus-example-teacher.sciurus");
    teacher.export(&model)?;
    Ok((learner()?, NetworkTeacher::load(&model)?))
}
