//! A fit that breaks off anywhere goes on as if nothing had happened.

use std::path::Path;
use std::time::Duration;

use sciurus::clean::find::LearntLabel;
use sciurus::model::StateDict;
use sciurus::prelude::*;
use sciurus::{Error, FitSettings, Keep, Precision, WeightSource, draw_demo};

/// Fails at one event, as a process that is killed there.
#[derive(Debug)]
struct Breaks {
    left: usize,
}

impl Observer for Breaks {
    fn observe(&mut self, _event: &Event) -> Result<Control, Error> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 { Err(Error::Observer("killed".to_owned())) } else { Ok(Control::Continue) }
    }
}

/// A learner with everything that a checkpoint has to hold.
fn learner(photos: &Path) -> Learner {
    let dls = ImageDataLoaders::from_folder(photos).image_size(32).batch_size(4);
    let settings = FitSettings {
        arch: Arch::ResNet10Narrow.into(),
        weights: WeightSource::Random,
        precision: Precision::F32,
        accumulate: 2,
        average_decay: Some(0.9),
        keep: Keep::Best,
        ..FitSettings::default()
    };
    vision_learner(dls.augment(Augmentation::Flip).build().unwrap(), settings.arch)
        .settings(settings)
        .build()
        .unwrap()
}

/// What a fit leaves: weights of the last and of the best epoch, the table without its times, how labels were learnt.
type Left = (StateDict, StateDict, Vec<String>, Vec<LearntLabel>);

fn fitted(learner: &mut Learner) -> Result<Left, Error> {
    learner.fine_tune(FineTune::new(2))?;
    let last = learner.model().state_dict();
    let rows = learner.history().epochs.iter();
    let rows = rows.map(|row| format!("{:?} {} {} {}", row.phase, row.epoch, row.train_loss, row.valid_loss));
    let rows = rows.collect();
    learner.restore_best();
    let learnt = learner.learnt_labels();
    let looks: u32 = learnt.iter().map(|label| label.looks).sum();
    assert_eq!(looks, 3 * 5 * 4, "three epochs of five batches of four");
    Ok((last, learner.model().state_dict(), rows, learnt))
}

#[test]
fn a_fit_goes_on_bit_for_bit_wherever_it_broke_off() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    draw_demo(&photos, 13, 42).unwrap();
    let undisturbed = fitted(&mut learner(&photos)).unwrap();
    // Three epochs of five batches, three validations of two batches, and what begins and ends them.
    for event in (1..=28).step_by(3) {
        let checkpoints = folder.path().join(format!("broken-{event}"));
        std::fs::create_dir(&checkpoints).unwrap();
        let mut broken = learner(&photos);
        broken.write_checkpoints(&checkpoints, Duration::ZERO);
        broken.observe(Breaks { left: event });
        assert!(fitted(&mut broken).is_err(), "event {event} never came");
        drop(broken);

        let mut resumed = learner(&photos);
        resumed.resume_from(&checkpoints).unwrap();
        resumed.write_checkpoints(&checkpoints, Duration::ZERO);
        assert!(fitted(&mut resumed).unwrap() == undisturbed, "broken at event {event}: another result");
        assert!(std::fs::read_dir(&checkpoints).unwrap().count() <= 2, "checkpoints pile up");
    }
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    draw_demo(&photos, 13, 42).unwrap();
    let undisturbed = fitted(&mut learner(&photos)).unwrap();
    let mut broken = learner(&photos);
    broken.write_checkpoints(folder.path(), Duration::ZERO);
    broken.observe(Breaks { left: 9 });
    assert!(fitted(&mut broken).is_err());

    let newest = folder.path().join("checkpoint.safetensors");
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    let mut resumed = learner(&photos);
    assert!(resumed.resume_from(folder.path()).unwrap() > 0);
    let [damage] = resumed.damaged_checkpoints() else { panic!("it is not told") };
    assert!(damage.contains("checkpoint.safetensors"), "{damage}");
    assert!(fitted(&mut resumed).unwrap() == undisturbed);

    // A bit that flipped in the middle of the values is seen, too.
    for bit in [1, 7] {
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 4 * 3] ^= 1 << bit;
        std::fs::write(&newest, &flipped).unwrap();
        let mut resumed = learner(&photos);
        resumed.resume_from(folder.path()).unwrap();
        assert_eq!(resumed.damaged_checkpoints().len(), 1);
    }

    std::fs::write(folder.path().join("checkpoint-previous.safetensors"), b"nothing").unwrap();
    let error = learner(&photos).resume_from(folder.path()).unwrap_err().to_string();
    assert!(error.contains("checkpoint.safetensors"), "{error}");
}
