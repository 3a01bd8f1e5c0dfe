//! `sciurus inspect`: the five questions of a data block, answered for a folder, and one photo's way to the network.

use std::path::{Path, PathBuf};

use anyhow::bail;
use image::ImageFormat;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use sciurus::TrainSettings;
use sciurus::data::fs::{OutputKind, Replace, check_output, write_output};
use sciurus::data::{
    DataSettings, DatasetSummary, ImageDataset, Labeler, Note, Pipeline, Preprocessing, Skipped, Split, Step,
    decode_file, one_line, sheet, verify,
};
use serde_json::json;

use crate::args::{InspectArgs, typed};
use crate::fault::with_flags;
use crate::output::{Outcome, count, json_line, passed_over, shown, text};
use crate::paint::Paint;
use crate::progress;

pub(super) fn run(args: &InspectArgs) -> anyhow::Result<Outcome> {
    let loader = TrainSettings::default().with_options(typed(&args.pictures)?)?.loader;
    let preprocessing = Preprocessing {
        image_size: loader.image_size,
        resize_method: loader.resize,
        ..Preprocessing::default()
    };
    preprocessing.check()?;
    if let Some(path) = &args.sheet {
        check_output(path, OutputKind::new("a sheet"), Replace::forced(args.force))?;
    }
    let bar = progress::bar(args.show, "reading photos");
    let data = args.data.over(DataSettings::new(&args.folder))?;
    let dataset = data.dataset().on_progress(progress::follow(&bar)).build()?;
    bar.set_message("decoding photos");
    let damaged = verify(&dataset, progress::follow(&bar))?;
    bar.finish_and_clear();
    let mut summary = dataset.summary();
    summary.skipped.extend(damaged.iter().cloned());
    summary.left_out.extend(dataset.not_listed());
    let pipeline = Pipeline::train(&preprocessing, &loader.augment);
    let walk = walk(&dataset, &damaged, &pipeline);
    if let Some(path) = &args.sheet {
        write_sheet(path, &dataset, &damaged, &pipeline)?;
    }
    if args.show.json {
        json_line(
            &json!({"summary": summary, "walk": walk.as_ref().map(|(path, steps)| json!({"path": path.display().to_string(), "steps": steps}))}),
        )?;
    } else {
        render(&summary, &dataset, damaged.len())?;
        if let Some((path, steps)) = &walk {
            render_walk(path, steps)?;
        }
    }
    Ok(Outcome::found(&summary.skipped))
}

/// The first training photo that decodes, step by step through the training pipeline.
fn walk(dataset: &ImageDataset, damaged: &[Skipped], pipeline: &Pipeline) -> Option<(PathBuf, Vec<Step>)> {
    let item =
        dataset.split(Split::Train).find(|item| damaged.iter().all(|skipped| skipped.path != item.path))?;
    let image = decode_file(dataset.path(item), &dataset.limits).ok()?;
    Some((item.path.clone(), pipeline.walk(image, &mut dataset.seed.rng(&[]))))
}

/// Photos on a sheet, and how often each is drawn.
const SHEET: [usize; 2] = [6, 6];

/// Writes what the network will see of some training photos, one row for each.
fn write_sheet(
    path: &Path,
    dataset: &ImageDataset,
    damaged: &[Skipped],
    pipeline: &Pipeline,
) -> anyhow::Result<()> {
    let [photos, draws] = SHEET;
    let items: Vec<_> = dataset
        .split(Split::Train)
        .filter(|item| damaged.iter().all(|skipped| skipped.path != item.path))
        .collect();
    let every = (items.len() / photos).max(1);
    let decoded = items.iter().step_by(every).take(photos);
    let decoded: Vec<_> = decoded
        .filter_map(|item| Some((item.id, decode_file(dataset.path(item), &dataset.limits).ok()?)))
        .collect();
    let image = sheet(&decoded, pipeline, draws as u32, dataset.seed)?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    // `write_to` takes any format, so the program would hold the writers of all of them.
    match ImageFormat::from_path(path) {
        Ok(ImageFormat::Png) => image.write_with_encoder(PngEncoder::new(&mut bytes))?,
        Ok(ImageFormat::Jpeg) => image.write_with_encoder(JpegEncoder::new(&mut bytes))?,
        _ => bail!("{}: cannot write the sheet; end its name with .png or .jpg", path.display()),
    }
    Ok(write_output(path, bytes.get_ref())?)
}

fn render(summary: &DatasetSummary, dataset: &ImageDataset, damaged: usize) -> anyhow::Result<()> {
    text(shown(&summary.root))?;
    text(format!("\nwhat are the items?   {}, {}", count(summary.items, "photo"), bytes(summary.bytes)))?;
    text(format!(
        "how big are they?     width {} to {} (median {}), height {} to {} (median {}) pixels",
        summary.width.min,
        summary.width.max,
        summary.width.median,
        summary.height.min,
        summary.height.max,
        summary.height.median
    ))?;
    let source = match dataset.labeler {
        Labeler::Folder => "named by their folders",
        Labeler::Csv(_) => "from the table",
        Labeler::NamePattern { .. } => "from file names",
    };
    text(format!(
        "what are the labels?  {} {}, {source}; the largest has {:.2} times the photos of the smallest",
        summary.classes.len(),
        if dataset.is_multi_label() { "labels (multi-label)" } else { "classes" },
        summary.imbalance
    ))?;
    if dataset.is_multi_label() {
        let unlabelled = dataset.items.iter().filter(|item| item.target.classes().is_empty()).count();
        text(format!("                      {} no label", have(unlabelled)))?;
    }
    let labels: Vec<String> = summary.classes.iter().map(|class| one_line(&class.label)).collect();
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).max(5);
    text(format!("  {:<width$} {:>7} {:>7} {:>7}", "class", "train", "valid", "test"))?;
    for (class, label) in summary.classes.iter().zip(labels) {
        text(format!("  {label:<width$} {:>7} {:>7} {:>7}", class.train, class.valid, class.test))?;
    }
    let splits: Vec<String> =
        summary.splits.iter().map(|(split, items)| format!("{items} {split}")).collect();
    text(format!("how are they split?   {} ({})", splits.join(", "), dataset.splitter))?;
    render_files(summary, dataset, damaged)?;
    if !summary.notes.is_empty() {
        text("")?;
    }
    let note =
        |about: &Note| text(format!("{} {}", Paint::Warning.on("note:"), with_flags(about.to_string())));
    summary.notes.iter().try_for_each(note)
}

/// What became of every file in the folder.
fn render_files(summary: &DatasetSummary, dataset: &ImageDataset, damaged: usize) -> anyhow::Result<()> {
    let left_out: usize = summary.left_out.iter().map(|left_out| left_out.files).sum();
    let is_missing = |skipped: &&Skipped| dataset.root.join(&skipped.path).symlink_metadata().is_err();
    let missing = summary.skipped.iter().filter(is_missing).count();
    let (used, unusable) = (summary.items - damaged, summary.skipped.len() - missing);
    text(format!(
        "what was left out?    {}: {used} used, {unusable} that can't be used, {left_out} passed over{}",
        count(used + unusable + left_out, "file"),
        if missing > 0 { format!("; {missing} more in the table that are not there") } else { String::new() }
    ))?;
    for line in passed_over(&summary.left_out) {
        text(format!("  {line}"))?;
    }
    summary.skipped.iter().try_for_each(|skipped| text(format!("  {skipped}")))
}

/// `1 photo has`, `2 photos have`.
fn have(photos: usize) -> String {
    format!("{} {}", count(photos, "photo"), if photos == 1 { "has" } else { "have" })
}

fn render_walk(path: &std::path::Path, steps: &[Step]) -> anyhow::Result<()> {
    text(format!("\nhow does a photo reach the network?   {}", shown(path)))?;
    let last = steps.len().saturating_sub(1);
    for (index, step) in steps.iter().enumerate() {
        let shape = match index == last {
            true => format!(
                "[3, {}, {}] floats {:.2} to {:.2}",
                step.height, step.width, step.values.0, step.values.1
            ),
            false => format!(
                "{} x {} pixels, values {} to {}",
                step.width, step.height, step.values.0, step.values.1
            ),
        };
        text(format!("  {}. {}: {shape}", index + 1, step.name))?;
    }
    Ok(())
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
