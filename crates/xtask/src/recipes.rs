//! `recipes`: which defaults earn their place. Every recipe with every seed on every set, beside the default of the same seed.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::{accept, report};

/// What to run, and where its results are kept.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with data/ and models/
    #[arg(long, env = "SCIURUS_SHARED", default_value = "../shared")]
    shared: PathBuf,
    /// Seeds 1 to this
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// Only this data set
    #[arg(long)]
    only: Option<String>,
    /// File of the results so far (set; recipe; seed; error rate): what is in it is not run again
    #[arg(long, default_value = "docs/recipes.csv")]
    results: PathBuf,
}

/// A data set, and how it is trained by default.
struct Set {
    name: &'static str,
    options: &'static [&'static str],
    /// Whether it has no split of its own, so that the way to split it can be chosen.
    is_unsplit: bool,
}

/// The surrogate of ResNet-18 has seen the photos of imagenette160, SqueezeNet's weights have not been made with them.
const SETS: [Set; 3] = [
    Set { name: "hymenoptera", options: &["--arch", "resnet18"], is_unsplit: false },
    Set { name: "squirrels_red_grey", options: &["--arch", "resnet18"], is_unsplit: true },
    Set {
        name: "imagenette160",
        options: &["--arch", "squeezenet1_1", "--image-size", "128"],
        is_unsplit: false,
    },
];

/// The default, what is tried against it, and whether that asks for a set without a split.
const RECIPES: [(&str, &[&str], bool); 8] = [
    ("default", &[], false),
    ("random split (fastai)", &["--split", "random"], true),
    ("batches of 32", &["--batch-size", "32"], false),
    ("batches of 16", &["--batch-size", "16"], false),
    ("label smoothing 0.1", &["--loss", "label_smoothing:0.1"], false),
    ("averaged weights 0.9", &["--average-decay", "0.9"], false),
    ("no mirrored photos (fastai)", &["--augment", "none"], false),
    ("one view", &["--views", "plain", "--tta", "4"], false),
];

/// The same models measured on several views; in the runs that ask for them.
const VIEWS: &str = "one view and 4 random ones (TTA)";

/// Set, recipe and seed.
type Key = (String, String, u64);

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    accept::build()?;
    let mut results = read(&args.results)?;
    let sets = || SETS.iter().filter(|set| args.only.as_deref().is_none_or(|only| only == set.name));
    for seed in 1..=args.seeds {
        for set in sets() {
            for (recipe, options, asks_unsplit) in RECIPES {
                let key: Key = (set.name.to_owned(), recipe.to_owned(), seed);
                if (asks_unsplit && !set.is_unsplit) || results.contains_key(&key) {
                    continue;
                }
                let options: Vec<String> =
                    set.options.iter().chain(options).map(|&option| option.to_owned()).collect();
                let trained = accept::train(&args.shared, set.name, seed, &options)?;
                let views = trained.views.map(|error| ((set.name.to_owned(), VIEWS.to_owned(), seed), error));
                for (key, error) in views.into_iter().chain([(key, trained.error_rate)]) {
                    append(&args.results, &key, error)?;
                    results.insert(key, error);
                }
            }
        }
    }
    sets().for_each(|set| table(set, &results, args.seeds));
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<BTreeMap<Key, f64>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(';').collect();
        ensure!(fields.len() == 4, "{} has a line that is none of its own: {line}", path.display());
        Ok(((fields[0].to_owned(), fields[1].to_owned(), fields[2].parse()?), fields[3].parse()?))
    };
    text.lines().map(row).collect()
}

fn append(path: &Path, (set, recipe, seed): &Key, error: f64) -> anyhow::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{set};{recipe};{seed};{error}")?;
    report(&format!("{set}, {recipe}, seed {seed}: {error:.4}"));
    Ok(())
}

/// One row for each recipe: its mean error with standard error, and the mean difference to the default's of the same seeds
/// with its 95 % interval (Student's t).
fn table(set: &Set, results: &BTreeMap<Key, f64>, seeds: u64) {
    report(&format!(
        "\n{} ({})\n\n| recipe | error rate | against the default |\n|---|---|---|",
        set.name,
        set.options.join(" ")
    ));
    let errors = |recipe: &str| -> Vec<f64> {
        let key = |seed| (set.name.to_owned(), recipe.to_owned(), seed);
        (1..=seeds).filter_map(|seed| results.get(&key(seed)).copied()).collect()
    };
    let default = errors(RECIPES[0].0);
    for recipe in RECIPES.iter().map(|(recipe, _, _)| *recipe).chain([VIEWS]) {
        let errors = errors(recipe);
        if errors.is_empty() {
            continue;
        }
        let (mean, standard_error) = mean(&errors);
        let differences: Vec<f64> =
            errors.iter().zip(&default).map(|(error, default)| error - default).collect();
        let (difference, its_error) = self::mean(&differences);
        let against = match recipe == RECIPES[0].0 {
            true => "–".to_owned(),
            false => {
                let reach = student(errors.len() - 1) * its_error;
                format!(
                    "{:+.1} ({:+.1} to {:+.1})",
                    100.0 * difference,
                    100.0 * (difference - reach),
                    100.0 * (difference + reach)
                )
            }
        };
        report(&format!(
            "| {recipe} | {:.1} % (± {:.1}) | {against} |",
            100.0 * mean,
            100.0 * standard_error
        ));
    }
}

/// The mean and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// The 97.5 % quantile of Student's t for some degrees of freedom; from a table, as ten seeds are what is run.
fn student(freedom: usize) -> f64 {
    const TABLE: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    match freedom {
        0 => f64::NAN,
        1..=10 => TABLE[freedom - 1],
        _ => 1.96 + 2.4 / freedom as f64,
    }
}
