//! What tells a drawing from a photo: fits the weights of [`Style::drawing`](sciurus::photos::Style::drawing), and measures them.
//!
//! In: folders of photos and of drawings. Out: weights to put into `crates/photos/src/pixels/style.rs`, and how well drawings and
//! photos that they were not fitted on are told apart. Of each folder the half with even content is fitted on, the other measured.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use rayon::prelude::*;
use sciurus::data::{ContentHash, DecodeLimits, read_file};
use sciurus::insight::Embeddings;
use sciurus::photos::{PixelReport, STYLE_WIDTH, Style};
use sciurus_clean::find::{LabelledItems, LogisticHead, LogisticOptions};

use crate::DrawingArgs;

/// scikit-learn's `C` for features scaled to unit variance.
const C: f64 = 3.0;
/// The share of drawings that the probability takes for granted.
const SHARE: f64 = 0.15;

/// The styles of a folder's pictures.
struct Folder {
    name: String,
    class: usize,
    fitted: Vec<Style>,
    kept_back: Vec<Style>,
}

impl Folder {
    fn all_kept_back(mut self) -> Self {
        self.kept_back.append(&mut self.fitted);
        self
    }
}

pub(crate) fn fit(args: &DrawingArgs) -> anyhow::Result<()> {
    let of = |class: usize| move |path: &PathBuf| read(path, class, args.limit);
    let mut folders: Vec<Folder> = args.photos.iter().map(of(0)).collect();
    folders.extend(args.drawings.iter().map(of(1)));
    let weights = weights(&folders)?;
    let measured = args.measure_photos.iter().map(of(0)).chain(args.measure_drawings.iter().map(of(1)));
    folders.extend(measured.map(Folder::all_kept_back));
    let (factors, intercept) = (&weights[..STYLE_WIDTH], weights[STYLE_WIDTH]);
    let score = |style: &Style| {
        let logit: f64 = style.values().iter().zip(factors).map(|(value, weight)| value * weight).sum();
        1.0 / (1.0 + (-logit - intercept).exp())
    };
    let scores = |folder: &Folder| folder.kept_back.iter().map(score).collect::<Vec<f64>>();
    let photos: Vec<f64> = folders.iter().filter(|folder| folder.class == 0).flat_map(scores).collect();
    for folder in &folders {
        let scores = scores(folder);
        let called = scores.iter().filter(|score| **score >= 0.5).count() as f64 / scores.len().max(1) as f64;
        let count = scores.len();
        let against = match folder.class {
            0 => String::new(),
            _ => format!(", AUROC against all photos {:.3}", above(&scores, &photos)),
        };
        crate::say(&format!(
            "{}: {count} kept back, {:.1} % called drawings{against}",
            folder.name,
            100.0 * called
        ));
    }
    crate::say(&format!(
        "const WEIGHTS: [f64; STYLE_WIDTH] = {factors:.4?};\nconst INTERCEPT: f64 = {intercept:.4};"
    ));
    Ok(())
}

/// Weights and intercept for the numbers as they are. Each folder counts alike, and photos as much as drawings.
fn weights(folders: &[Folder]) -> anyhow::Result<Vec<f64>> {
    let count =
        |class: usize| folders.iter().filter(|one| one.class == class && !one.fitted.is_empty()).count();
    ensure!(count(0) > 0 && count(1) > 0, "name folders of photos and of drawings");
    let (mut rows, mut labels, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for folder in folders {
        for style in &folder.fitted {
            rows.push(style.values());
            labels.push(folder.class);
            counts.push(1.0 / folder.fitted.len() as f64 / count(folder.class) as f64);
        }
    }
    let items: Vec<usize> = (0..rows.len()).collect();
    // As many as there are items, so that the penalty is scikit-learn's.
    counts.iter_mut().for_each(|weight| *weight *= rows.len() as f64 / 2.0);
    let mean = |at: usize| rows.iter().map(|row| row[at]).sum::<f64>() / rows.len() as f64;
    let means: [f64; STYLE_WIDTH] = std::array::from_fn(mean);
    let spread = |at: usize| {
        let squares: f64 = rows.iter().map(|row| (row[at] - means[at]).powi(2)).sum();
        (squares / rows.len() as f64).sqrt().max(1e-9)
    };
    let spreads: [f64; STYLE_WIDTH] = std::array::from_fn(spread);
    let scaled = |row: &[f64; STYLE_WIDTH]| -> [f32; STYLE_WIDTH] {
        std::array::from_fn(|at| ((row[at] - means[at]) / spreads[at]) as f32)
    };
    let embeddings = Embeddings { width: STYLE_WIDTH, values: rows.iter().flat_map(scaled).collect() };
    let data =
        LabelledItems { embeddings: &embeddings, labels: &labels, weights: Some(&counts), items: &items };
    let options = LogisticOptions::default().penalty(2.0 / C).tolerance(1e-7).iterations(2000).build()?;
    let head = LogisticHead::fit(data, 2, options);
    let (Some((photo, photo_bias)), Some((drawing, drawing_bias))) = (head.weights(0), head.weights(1))
    else {
        anyhow::bail!("there are no photos or no drawings");
    };
    let mut fitted: Vec<f64> = (0..STYLE_WIDTH).map(|at| (drawing[at] - photo[at]) / spreads[at]).collect();
    let shift: f64 = fitted.iter().zip(means).map(|(weight, mean)| weight * mean).sum();
    fitted.push(drawing_bias - photo_bias - shift + (SHARE / (1.0 - SHARE)).ln());
    Ok(fitted)
}

/// The pictures below a folder; those that cannot be read are left out.
fn read(path: &Path, class: usize, limit: usize) -> Folder {
    let (files, _) = sciurus::find_files(&[path.to_owned()]);
    let step = files.len().div_ceil(limit).max(1);
    let chosen: Vec<&PathBuf> = files.iter().step_by(step).collect();
    let style = |file: &&PathBuf| {
        let bytes = read_file(file, &DecodeLimits::default()).ok()?;
        let report = PixelReport::of(&bytes, &DecodeLimits::default()).ok()?;
        Some((report.content, report.style))
    };
    let styles: Vec<(ContentHash, Style)> = chosen.par_iter().filter_map(style).collect();
    let is_fitted = |content: &ContentHash| content.0[0].is_multiple_of(2);
    let part = |fitted: bool| {
        let part = styles.iter().filter(|(content, _)| is_fitted(content) == fitted);
        part.map(|(_, style)| *style).collect::<Vec<Style>>()
    };
    Folder { name: path.display().to_string(), class, fitted: part(true), kept_back: part(false) }
}

/// The chance that one of the first is above one of the second (the area under the ROC curve).
fn above(these: &[f64], those: &[f64]) -> f64 {
    let mut sorted = those.to_vec();
    sorted.sort_by(f64::total_cmp);
    let below = |score: &f64| {
        let less = sorted.partition_point(|other| other < score);
        let same = sorted.partition_point(|other| other <= score) - less;
        less as f64 + same as f64 / 2.0
    };
    these.iter().map(below).sum::<f64>() / (these.len() * those.len()).max(1) as f64
}
