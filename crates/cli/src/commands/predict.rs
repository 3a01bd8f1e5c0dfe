//! `sciurus predict`: a trained model on new photos.

use std::path::{Path, PathBuf};

use sciurus::data::{DataError, Skipped, one_line};
use sciurus::{FilePrediction, Prediction, Predictor, Run};
use serde_json::json;

use crate::args::{Format, PredictArgs};
use crate::output::{Outcome, count, json_line, shown, text, warn};
use crate::progress;

pub(super) fn run(args: &PredictArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads)?;
    let mut predictor =
        Predictor::load_on(Run::model_at(&args.model)?, args.device)?.with_precision(args.precision)?;
    if args.no_reject {
        predictor = predictor.without_rejection();
    }
    let (files, mut unreadable) = sciurus::find_files(&args.paths);
    DataError::check_machine(&unreadable)?;
    anyhow::ensure!(
        !files.is_empty() || !unreadable.is_empty(),
        "there is nothing to classify; give photos, or folders with photos"
    );
    let writer = Writer::new(args, &files, &predictor);
    writer.header()?;
    let bar = progress::bar(args.show, "classifying");
    bar.set_length(files.len() as u64);
    for answer in predictor.predict_files(&files, args.batch_size.max(1)) {
        bar.inc(1);
        // If a prediction is not finite, it's not the photo's fault, and no other prediction can be used either.
        match answer? {
            FilePrediction::Predicted { path, prediction } => {
                bar.suspend(|| writer.write(&path, &prediction))?;
            }
            FilePrediction::Skipped(skipped) => unreadable.push(skipped),
        }
    }
    bar.finish_and_clear();
    tell_unreadable(&unreadable, writer.format)?;
    Ok(Outcome::found(&unreadable))
}

/// Answers in the chosen format.
struct Writer {
    format: Format,
    top: usize,
    width: usize,
    is_multi: bool,
    /// Whether the model can say that a photo is none of its classes.
    rejects: bool,
    known: Known,
}

/// The photos that a model knows, where the run says which they are.
#[derive(Default)]
struct Known {
    folder: PathBuf,
    photos: Vec<PathBuf>,
}

impl Known {
    /// Nothing is known of a model that was taken out of its run.
    fn of(model: &Path) -> Self {
        let record = Run::open(model).and_then(|run| run.record());
        record.map_or_else(
            |_| Self::default(),
            |record| Self { folder: record.settings.data.folder, photos: record.known_photos },
        )
    }

    /// The photo of a row, if it is still there.
    fn photo(&self, row: usize) -> Option<PathBuf> {
        Some(self.folder.join(self.photos.get(row)?)).filter(|path| path.is_file())
    }
}

impl Writer {
    fn new(args: &PredictArgs, files: &[PathBuf], predictor: &Predictor) -> Self {
        let format = if args.show.json { Format::Jsonl } else { args.format };
        let width = files.iter().map(|path| shown(path).chars().count()).max().unwrap_or(0);
        let is_multi = !predictor.manifest().output.is_single_label();
        let rejects = predictor.rejection().is_some();
        let known = if rejects { Known::of(&args.model) } else { Known::default() };
        Self { format, top: args.top.max(1), width: width.min(60), is_multi, rejects, known }
    }

    fn header(&self) -> anyhow::Result<()> {
        match self.format {
            Format::Csv if self.is_multi => text("path,label,probability,on"),
            Format::Csv if self.rejects => text("path,label,probability,rejected,similarity"),
            Format::Csv => text("path,label,probability"),
            Format::Table | Format::Jsonl => Ok(()),
        }
    }

    fn write(&self, path: &Path, prediction: &Prediction) -> anyhow::Result<()> {
        if self.is_multi {
            return self.write_labels(path, prediction);
        }
        let ranking = &prediction.ranking[..self.top.min(prediction.ranking.len())];
        let name = path.display().to_string();
        let nearest = prediction.similarity.and_then(|similarity| self.known.photo(similarity.nearest));
        match self.format {
            Format::Table => {
                let answers: Vec<String> = ranking.iter().map(percent).collect();
                let answers = match prediction.rejected {
                    Some(true) => none_of_these(&answers, prediction, nearest.as_deref()),
                    _ => answers.join("   "),
                };
                text(format!("{:<width$}  {answers}", shown(path), width = self.width))
            }
            Format::Csv => {
                let said = prediction.rejected.zip(prediction.similarity);
                let said = said.map(|(rejected, like)| format!(",{},{:.4}", u8::from(rejected), like.cosine));
                let said = said.unwrap_or_default();
                let row = |(label, p): &(String, f32)| {
                    text(format!("{},{},{p:.6}{said}", field(&name), field(label)))
                };
                ranking.iter().try_for_each(row)
            }
            Format::Jsonl => {
                let top: Vec<_> =
                    ranking.iter().map(|(label, p)| json!({"label": label, "probability": p})).collect();
                let mut answer = json!({
                    "path": name, "label": prediction.label, "probability": prediction.probability, "top": top
                });
                if let Some((rejected, like)) = prediction.rejected.zip(prediction.similarity) {
                    answer["rejected"] = json!(rejected);
                    answer["similarity"] = json!(like.cosine);
                    answer["nearest"] = json!(nearest);
                }
                json_line(&answer)
            }
        }
    }

    /// Of a model for any number of labels: those that are on for reading, all of them for programs.
    fn write_labels(&self, path: &Path, prediction: &Prediction) -> anyhow::Result<()> {
        let name = path.display().to_string();
        let is_on = |label: &String| prediction.labels.contains(label);
        let ranking = &prediction.ranking;
        match self.format {
            Format::Table => {
                let labels = listed(prediction, self.top);
                text(format!("{:<width$}  {labels}", shown(path), width = self.width))
            }
            Format::Csv => ranking.iter().try_for_each(|(label, p)| {
                text(format!("{},{},{p:.6},{}", field(&name), field(label), u8::from(is_on(label))))
            }),
            Format::Jsonl => {
                let answer = |(label, p): &(String, f32)| json!({"label": label, "probability": p, "on": is_on(label)});
                let all: Vec<_> = ranking.iter().map(answer).collect();
                json_line(&json!({"path": name, "labels": prediction.labels, "probabilities": all}))
            }
        }
    }
}

/// What is said of a photo that is unlike anything the model knows: what it would have to be, and what it is least unlike.
fn none_of_these(answers: &[String], prediction: &Prediction, nearest: Option<&Path>) -> String {
    let like = prediction.similarity.map_or(0.0, |similarity| similarity.cosine);
    let nearest = nearest.map(|path| format!(", nearest {}", shown(path))).unwrap_or_default();
    format!("none of these   ({}; similarity {like:.2}{nearest})", answers.join("   "))
}

/// A label with its probability.
fn percent((label, p): &(String, f32)) -> String {
    format!("{} {:5.1} %", one_line(label), f64::from(*p) * 100.0)
}

/// Labels that are on, with those that are not and yet among the first `top` in parentheses.
fn listed(prediction: &Prediction, top: usize) -> String {
    let is_on = |label: &String| prediction.labels.contains(label);
    let on: Vec<String> = prediction.ranking.iter().filter(|(label, _)| is_on(label)).map(percent).collect();
    let shown = if on.is_empty() || top > 1 { top } else { 0 };
    let off = prediction.ranking.iter().take(shown).filter(|(label, _)| !is_on(label));
    let off: Vec<String> = off.map(|answer| format!("({})", percent(answer))).collect();
    let none = on.is_empty().then(|| "no label".to_owned());
    none.into_iter().chain(on).chain(off).collect::<Vec<_>>().join("   ")
}

/// A CSV field, quoted where it must be.
fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// Names the files that were no readable photos: on standard error, so that a table or CSV stays clean.
fn tell_unreadable(unreadable: &[Skipped], format: Format) -> anyhow::Result<()> {
    if format == Format::Jsonl {
        return unreadable.iter().try_for_each(|skipped| {
            json_line(
                &json!({"path": skipped.path.display().to_string(), "error": skipped.reason.to_string()}),
            )
        });
    }
    if !unreadable.is_empty() {
        warn(format_args!("{} could not be read:", count(unreadable.len(), "file")));
    }
    unreadable.iter().for_each(|skipped| warn(format_args!("  {skipped}")));
    Ok(())
}
