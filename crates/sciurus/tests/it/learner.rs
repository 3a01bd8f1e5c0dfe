//! The learner on small drawn pictures: it learns, it repeats itself, it tells what happens, it survives bad files.

use std::path::Path;
use std::sync::{Arc, Mutex};

use sciurus::data::{DecodeLimits, decode_file};
use sciurus::model::StateDict;
use sciurus::prelude::*;
use sciurus::{
    AnyPredictions, Error, HeadStart, HistoryCsv, LearningRates, Listeners, LoaderSettings, ModelBundle,
    NormStatistics, Phase, Run, TableWriter, TrainSettings, WeightSource, draw_demo,
};

/// Settings for pictures of 64 pixels that train in seconds.
fn settings(folder: &Path) -> TrainSettings {
    let mut settings = TrainSettings::new(folder);
    settings.fit.arch = Arch::ResNet10Narrow.into();
    settings.fit.weights = WeightSource::Random;
    settings.loader.image_size = 64;
    settings.loader.batch_size = 8;
    settings.fit.epochs = 1;
    settings
}

/// Keeps every event for the test to look at.
#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Event>>>);

impl Observer for Recorder {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        self.0.lock().unwrap().push(event.clone());
        Ok(Control::Continue)
    }
}

/// Ends the fit at its second batch.
#[derive(Debug)]
struct StopEarly;

impl Observer for StopEarly {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        Ok(match event {
            Event::BatchTrained { step: 1, .. } => Control::Stop,
            _ => Control::Continue,
        })
    }
}

fn drawn(per_class: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    draw_demo(&folder.path().join("photos"), per_class, 42).unwrap();
    folder
}

fn trained(folder: &Path, threads: usize) -> (StateDict, Vec<f32>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let mut settings = settings(folder);
        settings.loader.threads = Some(threads);
        settings.loader.augment = Augmentation::Flip;
        let mut learner = settings.learner(Listeners::default()).unwrap();
        settings.fit(&mut learner).unwrap();
        (learner.model().state_dict(), learner.predictions(Split::Valid).unwrap().probabilities)
    })
}

#[test]
fn the_same_seed_gives_the_same_weights_for_one_and_two_threads() {
    let folder = drawn(20);
    let photos = folder.path().join("photos");
    let one = trained(&photos, 1);
    assert_eq!(one, trained(&photos, 1), "a second run differs");
    assert_eq!(one, trained(&photos, 2), "two threads differ from one");
}

#[test]
fn it_learns_to_tell_acorns_from_leaves() {
    let folder = drawn(60);
    let mut settings = settings(&folder.path().join("photos"));
    settings.fit.epochs = 8;
    settings.fit.learning_rate = Some(3e-3);
    let mut learner = settings.learner(Listeners::default()).unwrap();
    settings.fit(&mut learner).unwrap();
    let error = learner.validate().unwrap()[0].value;
    assert!(error <= 0.15, "error rate {error} where guessing gives 0.5");
}

#[test]
fn events_tell_the_whole_fit_in_order() {
    let folder = drawn(20);
    let recorder = Recorder::default();
    let settings = settings(&folder.path().join("photos"));
    let mut learner = settings.learner(Listeners::default()).unwrap();
    learner.observe(recorder.clone());
    learner.fine_tune(1).unwrap();
    let events = recorder.0.lock().unwrap();
    let phases: Vec<Phase> = events
        .iter()
        .filter_map(|e| if let Event::FitStarted { phase, .. } = e { Some(*phase) } else { None })
        .collect();
    assert_eq!(phases, [Phase::Frozen, Phase::Unfrozen]);
    let batches = events.iter().filter(|e| matches!(e, Event::BatchTrained { .. })).count();
    assert_eq!(batches, 2 * (32 / 8), "32 training pictures in batches of 8, two epochs");
    let Some(Event::BatchTrained { learning_rates, momentum, .. }) =
        events.iter().find(|e| matches!(e, Event::BatchTrained { .. }))
    else {
        panic!("no batch")
    };
    assert_eq!((learning_rates.as_slice(), *momentum), (&[8e-6, 8e-6, 8e-5][..], 0.95));
    assert_eq!(learner.history().epochs.len(), 2);
    assert!(
        learner.history().epochs.iter().all(|epoch| epoch.valid_loss.is_finite() && epoch.metrics.len() == 1)
    );
}

#[test]
fn an_observer_may_stop_the_fit_and_what_was_trained_is_measured() {
    let folder = drawn(20);
    let mut learner = settings(&folder.path().join("photos")).learner(Listeners::default()).unwrap();
    let recorder = Recorder::default();
    learner.observe(recorder.clone());
    learner.observe(StopEarly);
    assert_eq!(learner.fine_tune(3).unwrap(), Control::Stop);
    let events = recorder.0.lock().unwrap();
    assert_eq!(events.iter().filter(|e| matches!(e, Event::BatchTrained { .. })).count(), 2);
    assert!(matches!(events.last(), Some(Event::FitEnded { .. })));
    assert_eq!(learner.history().epochs.len(), 1);
}

#[test]
fn where_the_head_gets_no_better_the_whole_network_is_trained_next() {
    let folder = drawn(20);
    let mut learner = settings(&folder.path().join("photos")).learner(Listeners::default()).unwrap();
    // No loss is lower by so much: each fit ends with its second epoch.
    learner.observe(EarlyStopping::new(1).min_change(100.0));
    assert_eq!(learner.fine_tune(FineTune::new(5).freeze_epochs(4)).unwrap(), Control::Continue);
    let phases: Vec<Phase> = learner.history().epochs.iter().map(|row| row.phase).collect();
    assert_eq!(phases, [Phase::Frozen, Phase::Frozen, Phase::Unfrozen, Phase::Unfrozen]);
}

/// Ends a recipe before its first batch.
#[derive(Debug)]
struct StopAtOnce;

impl Observer for StopAtOnce {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        Ok(match event {
            Event::FitStarted { .. } => Control::Stop,
            _ => Control::Continue,
        })
    }
}

/// Settings to fine-tune the network that is built in.
fn hazel(folder: &tempfile::TempDir) -> TrainSettings {
    let mut settings = settings(&folder.path().join("photos"));
    (settings.fit.arch, settings.fit.weights) = (Arch::Hazel.into(), WeightSource::Pretrained);
    settings
}

#[test]
fn a_head_that_begins_as_a_linear_probe_knows_the_classes_before_it_trains() {
    let folder = drawn(20);
    let begun = |start: HeadStart| {
        let mut learner = hazel(&folder).learner(Listeners::default()).unwrap();
        let recorder = Recorder::default();
        learner.observe(recorder.clone());
        learner.observe(StopAtOnce);
        learner.fine_tune(FineTune::new(1).head_start(start)).unwrap();
        let embedded =
            |event: &&Event| matches!(event, Event::PhotosEmbedded { done, total } if done == total);
        let told = recorder.0.lock().unwrap().iter().filter(embedded).count();
        (learner.predictions(Split::Train).unwrap().losses.iter().sum::<f32>(), told)
    };
    let (random, untold) = begun(HeadStart::Random);
    let (probed, told) = begun(HeadStart::LinearProbe);
    assert!(probed < 0.3 * random, "{probed} against {random}");
    assert_eq!((untold, told > 0), (0, true));
    assert_eq!(begun(HeadStart::Auto), (probed, told), "which suits hazel");
}

#[test]
fn norm_layers_keep_the_statistics_that_they_came_with_where_that_is_wanted() {
    let folder = drawn(20);
    let moved = |norm_statistics: NormStatistics| {
        let mut settings = hazel(&folder);
        settings.fit.norm_statistics = norm_statistics;
        let mut learner = settings.learner(Listeners::default()).unwrap();
        let before = learner.model().state_dict();
        learner.fine_tune(FineTune::new(1).head_start(HeadStart::Random)).unwrap();
        let after = learner.model().state_dict();
        let changed: Vec<&String> = before.keys().filter(|name| before[*name] != after[*name]).collect();
        let count = |parts: [&str; 2]| {
            changed.iter().filter(|name| parts.iter().all(|part| name.contains(part))).count()
        };
        (count(["body.", "running_"]), count(["head.", "running_"]), count(["body.", "weight"]))
    };
    let (frozen, head, weights) = moved(NormStatistics::Running);
    assert_eq!(frozen, 0);
    assert!(head == 4 && weights > 20, "{head} statistics of the head and {weights} weights learn");
    assert_eq!(moved(NormStatistics::Auto).0, 0, "which suits hazel");
    assert!(moved(NormStatistics::Batch).0 > 20);
}

#[test]
fn a_run_folder_holds_all_that_was_asked_and_what_came_of_it() {
    let folder = drawn(20);
    let run = folder.path().join("run");
    let settings = settings(&folder.path().join("photos"));
    let finished = Run::prepare(&run, settings.clone(), Listeners::default()).unwrap().train().unwrap();

    let opened = Run::open(&run).unwrap();
    let record = opened.record().unwrap();
    assert_eq!((record.settings.fit.learning_rate, record.settings.fit.epochs), (Some(1e-3), 1));
    assert_eq!(record.settings.data.splitter(), Some(Splitter::Stratified { valid_fraction: 0.2 }));
    assert_eq!(record, finished.record);
    assert_eq!(
        record.metrics.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(),
        ["error_rate", "accuracy"]
    );
    assert_eq!(opened.any_predictions().unwrap(), finished.predictions);
    let history = std::fs::read_to_string(run.join("history.csv")).unwrap();
    assert_eq!(
        history.lines().next(),
        Some("epoch,train_loss,valid_loss,error_rate,time,phase,images_per_second")
    );
    assert_eq!(history.lines().count(), 2);
    for line in std::fs::read_to_string(run.join("events.jsonl")).unwrap().lines() {
        serde_json::from_str::<Event>(line).unwrap();
    }

    let again = Run::prepare(&run, settings, Listeners::default()).unwrap_err().to_string();
    assert!(again.contains("already contains a run"), "{again}");
}

#[test]
fn the_model_that_was_measured_is_the_model_that_is_exported() {
    let folder = drawn(20);
    let run = folder.path().join("run");
    let settings = settings(&folder.path().join("photos"));
    let finished = Run::prepare(&run, settings, Listeners::default()).unwrap().train().unwrap();
    let predictor = Predictor::load(finished.run.model_path()).unwrap();
    let AnyPredictions::Single(measured) = &finished.predictions else { panic!("one label each") };
    let in_memory =
        Predictor::from_bytes("in memory", std::fs::read(finished.run.model_path()).unwrap()).unwrap();
    assert!(in_memory.predict_bytes(b"no picture").is_err());
    assert!(Predictor::from_bytes("a text", *b"no model").unwrap_err().to_string().contains("a text"));
    for index in 0..measured.len() {
        let path = folder.path().join("photos").join(&measured.paths[index]);
        let image = decode_file(&path, &DecodeLimits::default()).unwrap();
        let prediction = predictor.predict(&image).unwrap();
        let expected = measured.row(index)[measured.prediction(index)];
        assert_eq!(prediction.label, measured.prediction_label(index));
        assert_eq!(in_memory.predict_bytes(&std::fs::read(&path).unwrap()).unwrap(), prediction);
        assert!((prediction.probability - expected).abs() < 1e-5, "{}", path.display());
        assert_eq!(predictor.embed(&image).unwrap().len(), predictor.manifest().arch.channels());
    }
    assert_eq!(predictor.manifest().metrics, finished.record.metrics);
}

#[test]
fn the_first_half_of_the_epochs_may_see_smaller_pictures() {
    let folder = drawn(12);
    let loaders = |first: usize| {
        let small = LoaderSettings {
            image_size: 64,
            batch_size: 8,
            first_image_size: Some(first),
            ..LoaderSettings::default()
        };
        ImageDataLoaders::from_folder(folder.path().join("photos")).settings(small).build()
    };
    let dls = loaders(32).unwrap();
    let side = |progress: f64| dls.train_at(progress).epoch(0).next().unwrap().size;
    assert_eq!([0.0, 0.49, 0.5, 0.75].map(side), [32, 32, 64, 64]);
    assert_eq!(dls.train_at(0.0).steps_per_epoch(), dls.train().steps_per_epoch());
    assert_eq!(dls.measured(Split::Valid).unwrap().epoch(0).next().unwrap().size, 64);
    assert!(loaders(64).unwrap_err().to_string().contains("first_image_size"));
    let mut settings = settings(&folder.path().join("photos"));
    (settings.loader.first_image_size, settings.fit.epochs) = (Some(32), 2);
    let run = Run::prepare(folder.path().join("run"), settings, Listeners::default()).unwrap();
    assert_eq!(run.train().unwrap().learner.history().epochs.len(), 2);
}

/// Keeps what it is given.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_table_of_a_fit_has_a_row_for_each_epoch() {
    let folder = drawn(12);
    let mut learner = settings(&folder.path().join("photos")).learner(Listeners::default()).unwrap();
    let kept = Kept::default();
    learner.observe(TableWriter::new(kept.clone()));
    learner.fine_tune(2).unwrap();
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 9, "{text}");
    assert_eq!(lines[0], "head only (body frozen):");
    assert_eq!(lines[1], "| epoch | train_loss | valid_loss | error_rate | time  |");
    assert_eq!([lines[4], lines[5]], ["whole network:", lines[1]]);
    let rows = &learner.history().epochs;
    assert!(lines[8].starts_with(&format!("| 1     | {:.6}   |", rows[2].train_loss)), "{text}");
}

#[test]
fn half_precision_halves_the_file_and_is_measured_as_it_is_saved() {
    let folder = drawn(12);
    let train = |name: &str, half| {
        let mut settings = settings(&folder.path().join("photos"));
        settings.run.half = half;
        Run::prepare(folder.path().join(name), settings, Listeners::default()).unwrap().train().unwrap()
    };
    let (whole, halved) = (train("whole", false), train("half", true));
    let bytes = |run: &Run| std::fs::metadata(run.model_path()).unwrap().len() as f64;
    let share = bytes(&halved.run) / bytes(&whole.run);
    assert!((0.5..0.6).contains(&share), "{share}");
    let bundle = ModelBundle::load(&halved.run.model_path()).unwrap();
    assert_eq!(bundle.state, halved.learner.model().state_dict());
    let exact = ModelBundle::load(&whole.run.model_path()).unwrap();
    assert_eq!(exact.state, whole.learner.model().state_dict());
    let predictor = Predictor::load(halved.run.model_path()).unwrap();
    let AnyPredictions::Single(measured) = &halved.predictions else { panic!("one label each") };
    let path = folder.path().join("photos").join(&measured.paths[0]);
    let prediction = predictor.predict_file(path).unwrap();
    assert!((prediction.probability - measured.row(0).iter().copied().fold(0.0, f32::max)).abs() < 1e-5);
}

#[test]
fn damaged_model_files_are_refused() {
    let folder = drawn(12);
    let run = folder.path().join("run");
    let finished = Run::prepare(&run, settings(&folder.path().join("photos")), Listeners::default())
        .unwrap()
        .train()
        .unwrap();
    let whole = std::fs::read(finished.run.model_path()).unwrap();
    let path = folder.path().join("broken.sciurus");
    let mut cases: Vec<Vec<u8>> =
        [0, 4, 8, 200, whole.len() / 2, whole.len() - 1].map(|at| whole[..at].to_vec()).to_vec();
    cases.push(b"not a model".to_vec());
    // A flip in the manifest's format number, and one in the header's length.
    let at = whole.windows(9).position(|part| part == b"\"format\\\"").unwrap_or(20);
    for position in [3, at + 10] {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x55;
        cases.push(flipped);
    }
    for bytes in cases {
        std::fs::write(&path, bytes).unwrap();
        let error = Predictor::load(&path).unwrap_err().to_string();
        assert!(error.contains("broken.sciurus"), "{error}");
    }
}

#[test]
fn a_test_folder_is_measured_at_the_end_and_may_be_damaged() {
    let folder = drawn(20);
    let (photos, split) = (folder.path().join("photos"), folder.path().join("split"));
    for (place, range) in [("train", 0..12), ("val", 12..16), ("test", 16..20)] {
        for class in ["acorn", "leaf"] {
            let target = split.join(place).join(class);
            std::fs::create_dir_all(&target).unwrap();
            for index in range.clone() {
                let name = format!("{class}-{index:03}.png");
                std::fs::copy(photos.join(class).join(&name), target.join(&name)).unwrap();
            }
        }
    }
    let run = folder.path().join("run");
    let finished = Run::prepare(&run, settings(&split), Listeners::default()).unwrap().train().unwrap();
    assert_eq!(finished.record.test_metrics[0].items, 8);
    assert_eq!(finished.record.settings.data.splitter(), Some(Splitter::Folder));

    for entry in walkdir::WalkDir::new(split.join("test")).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            let whole = std::fs::read(entry.path()).unwrap();
            std::fs::write(entry.path(), &whole[..whole.len() / 2]).unwrap();
        }
    }
    let run = folder.path().join("again");
    let finished = Run::prepare(&run, settings(&split), Listeners::default()).unwrap().train().unwrap();
    assert!(finished.record.test_metrics.is_empty() && finished.run.model_path().is_file());
}

#[test]
fn one_bad_photo_never_stops_a_run() {
    let folder = drawn(20);
    let photos = folder.path().join("photos");
    let good = std::fs::read(photos.join("acorn/acorn-000.png")).unwrap();
    std::fs::write(photos.join("acorn/cut.png"), &good[..good.len() / 2]).unwrap();
    std::fs::write(photos.join("acorn/empty.jpg"), b"").unwrap();
    std::fs::write(photos.join("leaf/page.jpg"), b"<!DOCTYPE html><html><body>404</body></html>").unwrap();
    let run = folder.path().join("run");
    let mut prepared = Run::prepare(&run, settings(&photos), Listeners::default()).unwrap();
    let recorder = Recorder::default();
    prepared.observe(recorder.clone());
    let finished = prepared.train().unwrap();
    let mut named: Vec<String> = finished
        .learner
        .loaders()
        .dataset()
        .skipped
        .iter()
        .map(|skipped| skipped.path.display().to_string())
        .collect();
    for event in recorder.0.lock().unwrap().iter() {
        if let Event::PhotosSkipped { skipped, .. } = event {
            named.extend(skipped.iter().map(|skipped| skipped.path.display().to_string()));
        }
    }
    named.sort();
    assert_eq!(named, ["acorn/cut.png", "acorn/empty.jpg", "leaf/page.jpg"]);
}

#[test]
fn options_out_of_range_are_refused_before_anything_runs() {
    let folder = drawn(12);
    let mut learner = settings(&folder.path().join("photos")).learner(Listeners::default()).unwrap();
    for error in [
        learner.fit(0, 1e-3).unwrap_err(),
        learner.fit(1, -1.0).unwrap_err(),
        learner.fit(1, LearningRates::Head(f64::NAN)).unwrap_err(),
        learner.fine_tune(0).unwrap_err(),
        learner.fit_one_cycle(OneCycle::new(1).pct_start(1.5)).unwrap_err(),
    ] {
        assert!(matches!(error, Error::BadOption(sciurus::data::BadOption { .. })), "{error}");
    }
    assert!(learner.history().epochs.is_empty());
    let mut tiny = settings(&folder.path().join("photos"));
    tiny.loader.image_size = 8;
    let error = tiny.learner(Listeners::default()).unwrap_err().to_string();
    assert!(error.contains("4096"), "{error}");
}

#[test]
fn a_loss_that_is_no_number_ends_the_fit_with_advice() {
    let folder = drawn(12);
    let mut learner = settings(&folder.path().join("photos")).learner(Listeners::default()).unwrap();
    learner.unfreeze();
    let error = learner.fit(4, 1e30).unwrap_err().to_string();
    assert!(error.contains("learning rate is too high"), "{error}");
}

#[test]
fn a_log_that_cannot_be_written_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent/history.csv");
    let error = HistoryCsv::create(&path).unwrap_err().to_string();
    assert!(error.contains("absent/history.csv"), "{error}");
}
