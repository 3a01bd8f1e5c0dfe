//! A run is killed at fifty random moments: it goes on, fetches nothing again that is kept, and ends with the same folder and
//! the same ledger, byte by byte.

use crate::run::{check_ledger, tree};
use crate::world::{Fault, Photos, World, run};
use rand::RngExt;
use sciurus_data::Seed;
use sciurus_gather::{Control, Endpoints, GatherEvent, Ledger, SourceId};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Photos of each class.
const WANTED: usize = 12;
/// Tell the child, which is this same program, where to gather and whom to ask.
const INTO: &str = "SCIURUS_TEST_INTO";
const PORT: &str = "SCIURUS_TEST_PORT";

#[test]
#[ignore = "the child of another test"]
fn gathers() {
    let Some(into) = std::env::var_os(INTO).map(PathBuf::from) else { return };
    let port: u16 = std::env::var(PORT).unwrap().parse().unwrap();
    let places = crate::world::SOURCES.into_iter().fold(Endpoints::default(), |places, source| {
        places.with(source, format!("http://127.0.0.1:{port}/api/{source}/").parse().unwrap())
    });
    let gather = crate::world::gather(["tench".into(), "church".into()], &into, WANTED).endpoints(places);
    gather.build().unwrap().run_blocking(|_: &GatherEvent| Control::Continue).unwrap();
}

fn child(into: &Path, port: u16) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::gathers", "--ignored"])
        .env(INTO, into)
        .env(PORT, port.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a run live for up to so long. Whether it came to its end.
fn lived(mut child: Child, time: Duration) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < time {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

#[test]
fn a_run_killed_at_any_moment_ends_with_the_same_folder() {
    kill_and_compare(None, 50);
}

#[test]
fn so_does_one_in_a_world_with_a_source_or_a_host_down() {
    kill_and_compare(Some((SourceId::Openverse, Fault::Broken)), 10);
    kill_and_compare(Some((SourceId::Commons, Fault::PhotosShort)), 10);
}

/// Kills runs so many times in a world with a fault.
fn kill_and_compare(fault: Option<(SourceId, Fault)>, least: usize) {
    let Some(photos) = Photos::small() else { return };
    let world = World::new(photos, fault);
    let reference = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    run(world.gather(reference.path(), WANTED));
    let (expected, usual) = (tree(reference.path()), begin.elapsed());
    let mut rng = Seed(3).rng(&[]);
    let (mut kills, mut amid, mut runs) = (0, 0, 0);
    while kills < least {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path();
        // What was asked for each photo when it was kept.
        let mut asked: HashMap<String, usize> = HashMap::new();
        loop {
            let time = usual.mul_f64(rng.random_range(0.0..1.2));
            let ended = lived(child(into, world.server.port), time);
            let log = world.server.log();
            let times = |target: &str| log.iter().filter(|request| request.target == target).count();
            for (target, before) in &asked {
                assert_eq!(times(target), *before, "{target} was kept and is fetched again");
            }
            if ended {
                break;
            }
            kills += 1;
            let Ok(ledger) = Ledger::read(into.join("ledger.jsonl")) else { continue };
            amid += usize::from(!ledger.entries().is_empty());
            for entry in ledger.entries() {
                let target = format!("{}?{}", entry.url.path(), entry.url.query().unwrap_or_default());
                asked.insert(target.clone(), times(&target));
            }
        }
        runs += 1;
        check_ledger(into);
        let got = tree(into);
        assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (name, bytes) in &expected {
            assert!(got[name] == *bytes, "{name} differs after {kills} kills");
        }
    }
    assert!(
        amid * 10 >= least && runs > 1,
        "hardly any kill came amid a run: {amid} of {kills}, {runs} runs"
    );
}
