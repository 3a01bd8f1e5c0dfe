//! `sciurus export`: a model for other programs, compared with the model that it was made of.

use std::path::PathBuf;

use anyhow::Context;
use sciurus::data::fs::{FileError, Replace, write_whole};
use sciurus::data::{DecodeLimits, RgbImage, decode_file};
use sciurus::export::{
    OnnxModel, Proof, Proved, WebFile, WebRuntime, WeightType, prove, prove_pytorch, torch, web,
};
use sciurus::{ModelBundle, Run};
use serde_json::json;

use crate::args::{ExportArgs, Target};
use crate::output::{Outcome, argument, count, json_line, note, shown, text};
use crate::progress;

/// Photos that an export is compared on, at most; more are thinned out evenly.
const MOST: usize = 1000;
/// Of the run's own photos fewer are enough, and they are there without asking.
const OWN: usize = 200;

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads)?;
    let mut bundle = ModelBundle::load(&Run::model_at(&args.model)?)?;
    if args.no_reject {
        (bundle.known, bundle.manifest.rejection) = (None, None);
    }
    check_options(args)?;
    check_free(args)?;
    let photos = photos(args)?;
    let (files, proved) = match args.to {
        Target::Onnx => onnx(args, &bundle, &photos)?,
        Target::Web => {
            let runtime = args.runtime.clone().map_or(WebRuntime::Published, WebRuntime::Copied);
            let (model, files) = web(&bundle, &runtime)?;
            (files, Some(compared(args, &model, &bundle, &photos)?))
        }
        Target::Safetensors => (vec![(String::new(), torch::safetensors(&bundle)?)], None),
        Target::Torchvision => {
            let (files, proved) = torchvision(args, &bundle, &photos)?;
            (files, Some(proved))
        }
    };
    if let Some(Proved::Compared(proof)) = &proved {
        anyhow::ensure!(proof.holds(weights(args)), "{}", refusal(proof, weights(args)));
    }
    files.iter().try_for_each(|(name, bytes)| write(args, name, bytes))?;
    tell(args, &files, proved.as_ref())?;
    Ok(Outcome::Done)
}

/// How the export keeps its weights.
fn weights(args: &ExportArgs) -> WeightType {
    if args.to == Target::Onnx { args.weights } else { WeightType::F32 }
}

fn check_options(args: &ExportArgs) -> anyhow::Result<()> {
    let is_onnx = args.to == Target::Onnx;
    anyhow::ensure!(is_onnx || args.weights == WeightType::F32, "--weights is for --to onnx");
    anyhow::ensure!(is_onnx || args.input == Default::default(), "--input is for --to onnx");
    anyhow::ensure!(args.to == Target::Web || args.runtime.is_none(), "--runtime is for --to web");
    Ok(())
}

/// Where a file of the export goes. One without a name is the whole export, and one that begins with a dot is beside it.
fn place(args: &ExportArgs, name: &str) -> PathBuf {
    match name {
        "" => args.output.clone(),
        ending if ending.starts_with('.') => args.output.with_extension(&ending[1..]),
        name => args.output.join(name),
    }
}

/// Nothing that is there is replaced, unless that was asked for.
fn check_free(args: &ExportArgs) -> anyhow::Result<()> {
    let places = match args.to {
        Target::Onnx | Target::Safetensors => vec![place(args, "")],
        Target::Torchvision => vec![place(args, ""), place(args, ".py")],
        Target::Web => ["index.html", "app.js", "style.css", "model.json", "model.onnx"]
            .map(|name| place(args, name))
            .to_vec(),
    };
    for path in places {
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        if !metadata.is_file() || Replace::forced(args.force) == Replace::Results {
            let found = if metadata.is_file() { "is a file" } else { "is no file" };
            return Err(FileError::InTheWay { path, found: found.to_owned() }.into());
        }
    }
    Ok(())
}

/// The photos to compare on: those that were named, or the run's own validation photos.
fn photos(args: &ExportArgs) -> anyhow::Result<Vec<PathBuf>> {
    if !args.photos.is_empty() {
        let (files, unreadable) = sciurus::find_files(&args.photos);
        unreadable.iter().for_each(note);
        return Ok(thinned(files, MOST));
    }
    let Ok(run) = Run::open(&args.model) else { return Ok(Vec::new()) };
    let folder = run.record()?.settings.data.folder;
    let predictions = run.any_predictions()?;
    let photos = predictions.paths().iter().map(|path| folder.join(path)).filter(|path| path.is_file());
    Ok(thinned(photos.collect(), OWN))
}

fn thinned(files: Vec<PathBuf>, most: usize) -> Vec<PathBuf> {
    let count = files.len();
    let step = count.div_ceil(most).max(1);
    files.into_iter().step_by(step).collect()
}

/// Photos one after the other; those that can't be read are named and passed over.
fn decoded(photos: &[PathBuf]) -> impl Iterator<Item = RgbImage> {
    photos.iter().filter_map(|path| match decode_file(path, &DecodeLimits::default()) {
        Ok(photo) => Some(photo),
        Err(reason) => {
            note(format!("{} was passed over: {reason}", shown(path)));
            None
        }
    })
}

fn onnx(
    args: &ExportArgs,
    bundle: &ModelBundle,
    photos: &[PathBuf],
) -> anyhow::Result<(Vec<WebFile>, Option<Proved>)> {
    let model = OnnxModel::new(bundle, args.input)?;
    let seen: Vec<RgbImage> = match args.weights {
        WeightType::StaticInt8 => {
            let known = known(args, photos);
            decoded(&known).collect()
        }
        _ => Vec::new(),
    };
    let model = model.with_weights(args.weights, bundle, &seen)?;
    let proved = compared(args, &model, bundle, photos)?;
    Ok((vec![(String::new(), model.to_bytes()?)], Some(proved)))
}

/// Photos to learn from how large activations get: at best those that the model was trained on, so that others are left to compare on.
fn known(args: &ExportArgs, photos: &[PathBuf]) -> Vec<PathBuf> {
    let record = Run::open(&args.model).and_then(|run| run.record());
    let trained: Vec<PathBuf> = record.map_or_else(
        |_| Vec::new(),
        |record| {
            let folder = record.settings.data.folder;
            record.known_photos.iter().map(|path| folder.join(path)).filter(|path| path.is_file()).collect()
        },
    );
    thinned(if trained.is_empty() { photos.to_vec() } else { trained }, OWN)
}

fn compared(
    args: &ExportArgs,
    model: &OnnxModel,
    bundle: &ModelBundle,
    photos: &[PathBuf],
) -> anyhow::Result<Proved> {
    let bar = progress::bar(args.show, "comparing");
    bar.set_length(photos.len() as u64);
    let proved = prove(model, bundle, decoded(photos).inspect(|_| bar.inc(1)))?;
    bar.finish_and_clear();
    Ok(proved)
}

fn torchvision(
    args: &ExportArgs,
    bundle: &ModelBundle,
    photos: &[PathBuf],
) -> anyhow::Result<(Vec<WebFile>, Proved)> {
    let weights = torch::checkpoint(bundle)?;
    let python = torch::python(bundle, &args.output)?;
    let bar = progress::bar(args.show, "comparing");
    bar.set_length(photos.len() as u64);
    let photos = decoded(photos).inspect(|_| bar.inc(1));
    let proved = prove_pytorch([python.as_bytes(), &weights], bundle, photos)?;
    bar.finish_and_clear();
    Ok((vec![(String::new(), weights), (".py".to_owned(), python.into_bytes())], proved))
}

fn refusal(proof: &Proof, weights: WeightType) -> String {
    let Proof { runtime, photos, flipped, difference, .. } = proof;
    let what = format!(
        "in {runtime} the export says something else than the model of {flipped} of {}, with probabilities up to {difference:.5} apart",
        count(*photos, "photo")
    );
    match weights.is_exact() {
        true => format!("{what}, so it was not kept; please report this"),
        false => format!("{what}, so it was not kept; choose f16 or f32"),
    }
}

fn write(args: &ExportArgs, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = place(args, name);
    if let Some(folder) = path.parent().filter(|_| args.to == Target::Web) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    use std::io::Write;
    Ok(write_whole(&path, |file| file.write_all(bytes))?)
}

fn tell(args: &ExportArgs, files: &[WebFile], proved: Option<&Proved>) -> anyhow::Result<()> {
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let unproved = match proved {
        None => Some("it holds the model's own tensors, and nothing computes with them".to_owned()),
        Some(Proved::NoRuntime(why)) => Some(why.clone()),
        Some(Proved::Compared(proof)) if proof.photos == 0 => {
            Some("there was no photo; name some with --photos".to_owned())
        }
        Some(Proved::Compared(_)) => None,
    };
    let proof = match proved {
        Some(Proved::Compared(proof)) if proof.photos > 0 => Some(proof),
        _ => None,
    };
    if args.show.json {
        return json_line(&json!({
            "event": "exported", "path": args.output, "bytes": bytes, "weights": weights(args), "proof": proof,
            "unproved": unproved,
        }));
    }
    text(format!("wrote {} ({:.1} MB)", shown(&args.output), bytes as f64 / 1e6))?;
    if let Some(proof) = proof {
        let Proof { runtime, photos, flipped, difference, rejection_flipped } = proof;
        text(format!(
            "{runtime}, asked about {}: {} another label than the model's, probabilities differ by at most {difference:.7}",
            count(*photos, "photo"),
            if *flipped == 0 {
                "none has".to_owned()
            } else {
                format!("{flipped} {}", if *flipped == 1 { "has" } else { "have" })
            },
        ))?;
        if *rejection_flipped > 0 {
            note(format!(
                "{} none of the classes in only one of the two",
                count(*rejection_flipped, "photo")
            ));
        }
    } else if let Some(why) = unproved.filter(|_| args.to != Target::Safetensors) {
        note(format!("nobody compared it with the model: {why}"));
    }
    next(args)
}

/// What to do with it.
fn next(args: &ExportArgs) -> anyhow::Result<()> {
    let output = argument(&args.output);
    match args.to {
        Target::Web => text(format!(
            "next: python3 -m http.server --bind 127.0.0.1 --directory {output}, or any other server of files"
        )),
        Target::Torchvision => {
            let module = args.output.file_stem().unwrap_or_default().to_string_lossy();
            text(format!("next: in Python, `from {module} import load; load().predict(\"photo.jpg\")`"))
        }
        Target::Onnx | Target::Safetensors => Ok(()),
    }
}
