//! Weight files and downloads: what is read, what is refused, and what the refusal says.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use sciurus::model::weights::{Download, load_body, read};
use sciurus::model::{StateDict, StoredTensor, VisionModel};
use sciurus::{Arch, Error, Listeners, Run, Seed, TrainSettings, WeightPlaces, WeightSource};

use crate::support::chain;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn model(seed: u64) -> VisionModel {
    VisionModel::new(Arch::ResNet10Narrow, 2, Seed(seed), &Device::flex()).unwrap()
}

/// The body of a model as a torchvision file would hold it.
fn body(model: &VisionModel) -> StateDict {
    model
        .state_dict()
        .into_iter()
        .filter_map(|(name, t)| Some((name.strip_prefix("body.")?.to_owned(), t)))
        .collect()
}

fn save(path: &Path, state: &StateDict) {
    save_with(path, state, None);
}

fn save_with(path: &Path, state: &StateDict, metadata: Option<HashMap<String, String>>) {
    let bytes: HashMap<&String, Vec<u8>> = state
        .iter()
        .map(|(name, t)| (name, t.values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = state.iter().map(|(name, tensor)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, tensor.shape.clone(), &bytes[name]);
        (name.clone(), view.unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, metadata).unwrap()).unwrap();
}

fn places(models: Option<&Path>) -> WeightPlaces {
    let (mirrors, offline) = (Vec::new(), false);
    WeightPlaces { models: models.map(Path::to_owned), cache: absent().join("cache"), mirrors, offline }
}

/// A folder that is not there, as it was there and is gone.
pub(crate) fn absent() -> PathBuf {
    tempfile::tempdir().unwrap().path().join("absent")
}

fn load(arch: Arch, source: &WeightSource, places: &WeightPlaces) -> Result<VisionModel, Error> {
    let model = VisionModel::new(arch, 2, Seed(9), &Device::flex())?;
    Ok(load_body(model, arch, source, places, &mut |_| ())?.0)
}

#[test]
fn checkpoints_of_every_form_hold_the_same_tensors() {
    for name in ["state.pth", "state_legacy.pth", "nested.pth"] {
        let state = read(&fixture(name)).unwrap();
        let expected: Vec<f32> = (0..24).map(|i| i as f32 / 8.0).collect();
        assert_eq!(
            state["conv1.weight"],
            StoredTensor { shape: vec![2, 3, 2, 2], values: expected },
            "{name}"
        );
        assert_eq!(state["half"].values, [1.5, -2.0], "{name}");
        assert_eq!(
            state["turned"],
            StoredTensor { shape: vec![3, 2], values: vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0] }
        );
        assert!(!state.contains_key("bn1.num_batches_tracked"), "{name}: whole numbers are no weights");
    }
}

#[test]
fn hostile_pickles_are_refused_and_run_nothing() {
    for name in ["hostile.pth", "hostile.pkl"] {
        let error = read(&fixture(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("cannot read weights"), "{error}");
    }
    let error = read(&fixture("hostile.pth")).unwrap_err().to_string();
    assert!(error.contains("system`, which is not a tensor"), "{error}");
    let error = read(&fixture("expanded.pth")).unwrap_err().to_string();
    assert!(error.contains("its tensors claim 198364 MB of memory, and it has 0 MB"), "{error}");
    assert!(!Path::new("/tmp/sciurus-was-here").exists(), "the payload of make_checkpoints.py ran");
}

#[test]
fn damaged_files_are_errors_that_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(fixture("state.pth")).unwrap();
    let good = folder.path().join("good.safetensors");
    save(&good, &body(&model(1)));
    let safetensors = std::fs::read(&good).unwrap();
    let tar = [&[0; 257][..], b"ustar\0", &[0; 1000]].concat();
    let damaged: [(&str, &[u8]); 6] = [
        ("old.pth", &tar),
        ("empty.pth", b""),
        ("text.pth", b"<!DOCTYPE html><title>404</title>"),
        ("cut.pth", &whole[..whole.len() / 2]),
        ("cut.safetensors", &safetensors[..safetensors.len() / 2]),
        ("lie.safetensors", b"\xff\xff\xff\xff\xff\xff\xff\x7f{"),
    ];
    for (name, bytes) in damaged {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn a_weight_file_sets_the_body_and_leaves_the_head() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    save(&path, &body(&model(1)));
    let loaded = load(Arch::ResNet10Narrow, &WeightSource::File(path), &places(None)).unwrap();
    assert_eq!(body(&loaded), body(&model(1)));
    assert_eq!(loaded.state_dict()["head.linear_1.weight"], model(9).state_dict()["head.linear_1.weight"]);
}

#[test]
fn a_run_does_not_go_on_with_other_weights_than_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let (weights, run) = (folder.path().join("own.safetensors"), folder.path().join("run"));
    sciurus::draw_demo(&folder.path().join("photos"), 12, 42).unwrap();
    save(&weights, &body(&model(1)));
    let mut settings = TrainSettings::new(folder.path().join("photos"));
    (settings.fit.arch, settings.loader.image_size) = (Arch::ResNet10Narrow.into(), 64);
    settings.fit.weights = WeightSource::File(weights.clone());
    Run::prepare(&run, settings, Listeners::default()).unwrap();
    Run::resume(&run, Listeners::default()).unwrap();
    save(&weights, &body(&model(2)));
    let error = Run::resume(&run, Listeners::default()).unwrap_err().to_string();
    assert!(error.contains("began with the weights `own.safetensors`"), "{error}");
}

#[test]
fn misfits_say_which_tensor_and_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let source = WeightSource::File(path.clone());
    let refuse = |state: &StateDict| {
        save(&path, state);
        chain(&load(Arch::ResNet10Narrow, &source, &places(None)).unwrap_err())
            .replace(&path.display().to_string(), "FILE")
    };
    let whole = body(&model(1));

    let mut wrong = whole.clone();
    wrong.insert(
        "conv1.weight".into(),
        StoredTensor { shape: vec![8, 3, 7, 7], values: vec![0.0; 8 * 3 * 49] },
    );
    assert_eq!(refuse(&wrong), "FILE: tensor `conv1.weight` has shape [8, 3, 7, 7], expected [16, 3, 7, 7]");

    let mut lacking = whole.clone();
    lacking.remove("layer4.0.bn2.bias");
    assert_eq!(
        refuse(&lacking),
        format!(
            "FILE: 1 of {} tensors are missing, first `layer4.0.bn2.bias`; these weights belong to another architecture: choose it with `arch`",
            whole.len()
        )
    );
}

#[test]
fn the_models_folder_is_searched_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let state = body(&VisionModel::new(Arch::SqueezeNet1_1, 2, Seed(3), &Device::flex()).unwrap());
    save(&folder.path().join("squeezenet1_1-mine.safetensors"), &state);
    std::fs::write(folder.path().join("squeezenet1_10.pth"), "of another architecture").unwrap();
    let found = load(Arch::SqueezeNet1_1, &WeightSource::Pretrained, &places(Some(folder.path()))).unwrap();
    assert_eq!(body(&found), state);

    save(&folder.path().join("squeezenet1_1-theirs.safetensors"), &state);
    let error =
        load(Arch::SqueezeNet1_1, &WeightSource::Pretrained, &places(Some(folder.path()))).unwrap_err();
    assert!(
        error.to_string().contains("squeezenet1_1-mine") && error.to_string().contains("`weights`"),
        "{error}"
    );

    let nowhere = places(Some(&absent()));
    let error = load(Arch::SqueezeNet1_1, &WeightSource::Pretrained, &nowhere).unwrap_err().to_string();
    assert!(error.contains("absent") && error.contains("SCIURUS_MODELS"), "{error}");

    let error =
        load(Arch::ResNet10Narrow, &WeightSource::Pretrained, &places(Some(folder.path()))).unwrap_err();
    assert!(error.to_string().contains("`no_pretrained`"), "{error}");
}

#[test]
fn the_shared_weights_load() {
    let Some(models) = crate::support::shared("models") else { return };
    for arch in [Arch::ResNet18, Arch::SqueezeNet1_1] {
        load(arch, &WeightSource::Pretrained, &places(Some(&models))).unwrap();
    }
}

/// Answers one connection after the other, and returns what was asked.
fn serve(responses: Vec<Vec<u8>>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/weights.pth", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let answer = |response: Vec<u8>| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let count = stream.read(&mut request).unwrap();
            // The client may hang up on a bad answer, which is what some tests are about.
            let _ = stream.write_all(&response);
            String::from_utf8_lossy(&request[..count]).to_lowercase()
        };
        responses.into_iter().map(answer).collect()
    });
    (url, server)
}

fn ok(body: &[u8], length: usize) -> Vec<u8> {
    answer("200 OK", &format!("Content-Length: {length}\r\n"), body)
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut response = format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n").into_bytes();
    response.extend(body);
    response
}

fn empty(status: &str) -> Vec<u8> {
    answer(status, "Content-Length: 0\r\n", b"")
}

/// SHA-256 of `squirrel`.
const SQUIRREL: &str = "960a38ace75a2fe9426aa5d48b536cc6db18a2023b9bdd698e562fc3023585a6";

/// A download into a folder that tries twice.
fn to(folder: &Path, url: &str) -> Download {
    Download::new(url, SQUIRREL, folder.join("weights.pth")).pauses(vec![Duration::ZERO])
}

/// What lies in a folder, the lock left out.
fn listing(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.retain(|name| !name.ends_with(".lock"));
    names.sort();
    names
}

#[test]
fn a_download_with_the_right_hash_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("deep");
    let (url, server) = serve(vec![ok(b"squirrel", 8)]);
    let mut seen = Vec::new();
    to(&deep, &url).run(&mut |progress| seen.push(progress)).unwrap();
    server.join().unwrap();
    assert_eq!(std::fs::read(deep.join("weights.pth")).unwrap(), b"squirrel");
    assert_eq!(listing(&deep), ["weights.pth"]);
    assert_eq!(seen.last().map(|progress| (progress.received, progress.total)), Some((8, Some(8))));
    // What is there is not fetched again: nobody would answer.
    to(&deep, &url).run(&mut |_| ()).unwrap();
}

#[test]
fn a_download_with_a_wrong_hash_is_refused_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (url, server) = serve(vec![ok(b"raccoon!", 8)]);
    let error = to(folder.path(), &url).run(&mut |_| ()).unwrap_err().to_string();
    server.join().unwrap();
    assert!(error.contains(SQUIRREL) && error.contains("was removed"), "{error}");
    assert!(listing(folder.path()).is_empty());
}

#[test]
fn failed_downloads_say_what_to_do_and_leave_nothing_wrong() {
    let missing = (vec![empty("404 Not Found")], "404");
    let broken = (vec![empty("500 Oops"), empty("503 Later")], "503");
    let garbled = (vec![b"garbage".to_vec(), b"garbage".to_vec()], "tried 2 times");
    for (responses, reason) in [missing, broken, garbled] {
        let folder = tempfile::tempdir().unwrap();
        let (url, server) = serve(responses);
        let error = to(folder.path(), &url).run(&mut |_| ()).unwrap_err().to_string();
        server.join().unwrap();
        assert!(
            error.contains(&url) && error.contains("SCIURUS_MODELS") && error.contains(reason),
            "{error}"
        );
        assert!(listing(folder.path()).is_empty());
    }
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let rest = |range: &str, body| {
        answer("206 Partial Content", &format!("Content-Range: {range}\r\nContent-Length: 2\r\n"), body)
    };
    // Broken off, then out of order, then broken off again: the first call gives up with five bytes.
    let (url, server) = serve(vec![ok(b"squir", 8), empty("503 Later")]);
    to(folder.path(), &url).run(&mut |_| ()).unwrap_err();
    server.join().unwrap();
    assert_eq!(listing(folder.path()), [".weights.pth.part"]);

    let (url, server) = serve(vec![
        rest("bytes 5-6/8", b"re"),
        answer("206 Partial Content", "Content-Range: bytes 7-7/8\r\nContent-Length: 1\r\n", b"l"),
    ]);
    let mut seen = Vec::new();
    to(folder.path(), &url).run(&mut |progress| seen.push((progress.received, progress.total))).unwrap();
    let asked = server.join().unwrap();
    assert!(asked[0].contains("range: bytes=5-") && asked[1].contains("range: bytes=7-"), "{asked:?}");
    assert_eq!(seen, [(7, Some(8)), (8, Some(8))]);
    assert_eq!(listing(folder.path()), ["weights.pth"]);
}

#[test]
fn a_part_that_does_not_fit_is_fetched_anew() {
    let ignored = vec![ok(b"squirrel", 8)];
    let elsewhere = vec![
        answer("206 Partial Content", "Content-Range: bytes 2-7/8\r\nContent-Length: 6\r\n", b"uirrel"),
        ok(b"squirrel", 8),
    ];
    let shorter = vec![
        answer("416 Range Not Satisfiable", "Content-Range: bytes */8\r\nContent-Length: 0\r\n", b""),
        ok(b"squirrel", 8),
    ];
    let of_another_version = vec![
        answer("206 Partial Content", "Content-Range: bytes 3-7/8\r\nContent-Length: 5\r\n", b"irrel"),
        ok(b"squirrel", 8),
    ];
    for responses in [ignored, elsewhere, shorter, of_another_version] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".weights.pth.part"), "rac").unwrap();
        let (url, server) = serve(responses);
        to(folder.path(), &url).run(&mut |_| ()).unwrap();
        server.join().unwrap();
        assert_eq!(std::fs::read(folder.path().join("weights.pth")).unwrap(), b"squirrel");
    }
}

#[test]
fn a_part_that_is_complete_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".weights.pth.part"), "squirrel").unwrap();
    let full = answer("416 Range Not Satisfiable", "Content-Range: bytes */8\r\nContent-Length: 0\r\n", b"");
    let (url, server) = serve(vec![full]);
    to(folder.path(), &url).run(&mut |_| ()).unwrap();
    server.join().unwrap();
    assert_eq!(listing(folder.path()), ["weights.pth"]);
}

#[test]
fn a_mirror_is_asked_first_and_its_failure_is_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let (dead, gone) = serve(vec![empty("404 Not Found")]);
    let (wrong, other) = serve(vec![ok(b"raccoon!", 8)]);
    let (url, publisher) = serve(vec![ok(b"squirrel", 8)]);
    to(folder.path(), &url).mirrors(vec![dead, wrong]).run(&mut |_| ()).unwrap();
    for server in [gone, other, publisher] {
        assert_eq!(server.join().unwrap().len(), 1);
    }
    assert_eq!(listing(folder.path()), ["weights.pth"]);
}

#[test]
fn a_server_that_is_busy_says_how_long_to_wait() {
    let folder = tempfile::tempdir().unwrap();
    let busy = answer("429 Too Many Requests", "Retry-After: 1\r\nContent-Length: 0\r\n", b"");
    let (url, server) = serve(vec![busy, ok(b"squirrel", 8)]);
    let began = Instant::now();
    to(folder.path(), &url).run(&mut |_| ()).unwrap();
    server.join().unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_file_that_is_too_large_or_never_ends_is_given_up_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let large = |answers| {
        let (url, server) = serve(answers);
        let error = to(folder.path(), &url).max_bytes(100_000).run(&mut |_| ()).unwrap_err().to_string();
        assert!(error.contains("above 100000 bytes"), "{error}");
        assert_eq!(listing(folder.path()), Vec::<String>::new());
        server.join().unwrap().len()
    };
    assert_eq!(large(vec![ok(b"squirrel", 100_001)]), 1, "what it claims to be was enough");
    assert_eq!(large(vec![answer("200 OK", "", &[0; 300_000])]), 1, "it claims nothing");
    // What an earlier call brought counts.
    std::fs::write(folder.path().join(".weights.pth.part"), [0; 90_000]).unwrap();
    let rest = answer("206 Partial Content", "Content-Range: bytes 90000-*/*\r\n", &[0; 30_000]);
    assert_eq!(large(vec![rest]), 1);
}

#[test]
fn a_connection_that_falls_silent_is_given_up_and_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/weights.pth", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut silent, _) = listener.accept().unwrap();
        silent.write_all(&ok(b"squi", 8)).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let count = stream.read(&mut request).unwrap();
        stream
            .write_all(&answer(
                "206 Partial Content",
                "Content-Length: 4\r\nContent-Range: bytes 4-7/8\r\n",
                b"rrel",
            ))
            .unwrap();
        drop(silent);
        String::from_utf8_lossy(&request[..count]).to_lowercase()
    });
    let folder = tempfile::tempdir().unwrap();
    to(folder.path(), &url).silence(Duration::from_millis(300)).run(&mut |_| ()).unwrap();
    assert!(server.join().unwrap().contains("range: bytes=4-"));
    assert_eq!(listing(folder.path()), ["weights.pth"]);
}

#[test]
fn two_that_want_the_same_file_fetch_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let (url, server) = serve(vec![ok(b"squirrel", 8)]);
    let run = || to(folder.path(), &url).run(&mut |_| ());
    std::thread::scope(|scope| {
        let other = scope.spawn(run);
        run().unwrap();
        other.join().unwrap().unwrap();
    });
    assert_eq!(server.join().unwrap().len(), 1);
}

#[test]
fn the_record_says_what_the_file_says_of_its_licence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let state = body(&model(1));
    for licence in [None, Some("CC-BY-4.0")] {
        let says = |licence: &str| HashMap::from([("license".to_owned(), licence.to_owned())]);
        save_with(&path, &state, licence.map(says));
        let source = WeightSource::File(path.clone());
        let loaded = load_body(model(2), Arch::ResNet10Narrow, &source, &places(None), &mut |_| ());
        assert_eq!(loaded.unwrap().1.licence.as_deref(), licence);
    }
}

#[test]
fn without_the_network_the_error_says_which_file_is_wanted() {
    let offline = WeightPlaces { offline: true, ..places(None) };
    let error = load(Arch::ResNet18, &WeightSource::Pretrained, &offline).unwrap_err().to_string();
    for part in ["resnet18-f37072fd.pth", "https://download.pytorch.org", "absent/cache", "`offline`"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn timms_file_is_found_by_its_name_and_its_classifier_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let published = Arch::ViTSmall16.published_weights().unwrap();
    let mut state = body(&VisionModel::new(Arch::ViTSmall16, 2, Seed(3), &Device::flex()).unwrap());
    let expected = state.clone();
    state.insert("head.bias".into(), StoredTensor { shape: vec![1000], values: vec![0.5; 1000] });
    save(&folder.path().join(published.file), &state);
    let loaded = load(Arch::ViTSmall16, &WeightSource::Pretrained, &places(Some(folder.path()))).unwrap();
    assert!(body(&loaded) == expected);
}
