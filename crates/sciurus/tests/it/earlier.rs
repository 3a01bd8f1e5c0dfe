//! Files of 0.1.0 still open: `tests/golden/v0_1_0`, written by its last build (`demo`, `train`, `clean`, `gather`). The Parquet
//! tables are by the last build that wrote them as 0.1.0 did, through Arrow; `plan_table.json` is the same plan as text.

use std::path::{Path, PathBuf};

use sciurus::clean::find::LearntLabel;
use sciurus::clean::plan::{CleanAction, CleanPlan, Decisions, recover, trust_state, undo};
use sciurus::data::{Augmentation, Labeler, ResizeMethod, Splitter};
use sciurus::photos::{Ledger, SourceId};
use sciurus::{Arch, ModelBundle, Output, Precision, Run, TrainSettings, WeightSource};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v0_1_0").join(name)
}

#[test]
fn a_config_file() {
    let settings = TrainSettings::from_toml(&file("config.toml")).unwrap();
    let Labeler::Csv(table) = settings.data.labeler() else { panic!("{:?}", settings.data) };
    assert_eq!((table.path.as_path(), table.delimiter), (Path::new("/tmp/fx/photos/labels.csv"), Some(',')));
    assert_eq!(settings.data.splitter(), Some(Splitter::KFold { folds: 5, fold: 1 }));
    assert_eq!(settings.data.group.as_deref(), Some(r"(\d)\.png"));
    assert_eq!(settings.loader.resize, ResizeMethod::Squish);
    assert!(matches!(settings.loader.augment, Augmentation::Standard(_)) && settings.loader.mix.is_some());
    assert_eq!(
        (settings.fit.arch, &settings.fit.weights),
        (Arch::ResNet10Narrow.into(), &WeightSource::Random)
    );
    assert!(settings.fit.offline && settings.fit.precision == Precision::Bf16);
    assert_eq!((settings.fit.epochs, settings.loader.batch_size), (1, 8));
}

#[test]
fn records_of_runs() {
    for (name, is_table) in [("run.json", false), ("run_table.json", true)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(file(name), folder.path().join("run.json")).unwrap();
        let record = Run::open(folder.path()).unwrap().record().unwrap();
        assert_eq!((record.version.as_str(), record.metrics[0].name.as_str()), ("0.1.0", "error_rate"));
        assert_eq!(record.settings.data.csv.is_some(), is_table);
        assert_eq!(record.settings.run.half, !is_table);
        assert!(record.settings.data.splitter().is_some());
    }
}

/// The header of a model as 0.1.0 wrote it, with zeros for its weights: the names, shapes and manifest are what may change.
#[test]
fn a_model() {
    let mut header: serde_json::Value =
        serde_json::from_slice(&std::fs::read(file("model_header.json")).unwrap()).unwrap();
    // It is a hash of the weights that were there.
    header["__metadata__"].as_object_mut().unwrap().remove("blake3");
    let ends = header.as_object().unwrap().values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    let weights = vec![0; ends.max().unwrap() as usize];
    let header = serde_json::to_vec(&header).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.sciurus");
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], &header, &weights].concat()).unwrap();
    let bundle = ModelBundle::load(&path).unwrap();
    assert_eq!((bundle.manifest.arch, bundle.manifest.vocab.labels().len()), (Arch::ResNet10Narrow, 2));
    assert_eq!((bundle.manifest.output, bundle.manifest.version.as_str()), (Output::SingleLabel, "0.1.0"));
}

#[test]
fn a_plan_a_journal_and_a_log_of_moves() {
    let plan = CleanPlan::load(file("plan.json")).unwrap();
    let actions = plan.items.iter().filter(|item| item.action != CleanAction::Keep).count();
    assert_eq!((plan.items.len(), actions), (25, 11));

    // Their seals are of another machine: they count once somebody trusts them.
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join(".sciurus");
    std::fs::create_dir(&state).unwrap();
    for name in ["decisions.jsonl", "moves.jsonl"] {
        std::fs::copy(file(name), state.join(name)).unwrap();
    }
    assert!(Decisions::of_folder(folder.path()).is_err());
    trust_state(folder.path(), None).unwrap();
    let decisions = Decisions::of_folder(folder.path()).unwrap();
    let decided: Vec<CleanAction> = decisions.iter().map(|decision| decision.action).collect();
    assert!(decided.contains(&CleanAction::Keep) && decided.contains(&CleanAction::SetAside), "{decided:?}");
    assert!(recover(folder.path()).unwrap().is_none(), "its moves were finished");
    // The files that were moved are gone with the folder they lay in: each is named, and nothing else happens.
    assert_eq!(undo(folder.path()).unwrap().left.len(), actions);
}

#[test]
fn parquet_tables() {
    let plan = CleanPlan::load(file("plan_table.parquet")).unwrap();
    assert_eq!(plan, CleanPlan::load(file("plan_table.json")).unwrap());
    let suggested = plan.items.iter().filter(|item| item.suggested.is_some()).count();
    assert_eq!((plan.items.len(), suggested), (85, 9));

    let rows = LearntLabel::load(&file("training.parquet")).unwrap();
    assert_eq!(
        (rows.len(), rows[1].path.to_str(), rows[1].label.as_str()),
        (18, Some("acorn/acorn-001.png"), "acorn")
    );
    assert_eq!((rows[1].looks, rows[1].aum, rows[1].correctness), (2, 1.261_658_668_518_066_4, 0.5));
}

#[test]
fn a_ledger() {
    let ledger = Ledger::read(file("ledger.jsonl")).unwrap();
    assert_eq!(ledger.entries().len(), 3);
    assert_eq!((ledger.entries()[0].source, ledger.entries()[0].width), (SourceId::Folder, 64));
}
