//! `sciurus lr-find`: the learning rates that a mock training suggests.

use sciurus::data::DataSettings;
use sciurus::{LrCurve, LrFind, TrainSettings, WeightSource};

use crate::args::{LrFindArgs, typed};
use crate::output::{Outcome, json_line, tell_choice, tell_notes, text};
use crate::progress;

/// Size of the plot, in characters.
const PLOT: [usize; 2] = [64, 12];

pub(super) fn run(args: &LrFindArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads)?;
    let options = typed(&args.loader)?.into_iter().chain(args.network.typed()?).collect();
    let mut settings = TrainSettings::default().with_options(options)?;
    settings.data = args.data.over(DataSettings::new(&args.folder))?;
    settings.loader.threads = args.threads;
    let bar = progress::bar(args.show, "reading photos");
    let mut learner = settings.learner(progress::listeners(args.show, &bar))?;
    bar.finish_and_clear();
    tell_notes(&learner.loaders().dataset().notes);
    tell_choice(&learner);
    if settings.fit.weights == WeightSource::Random {
        learner.unfreeze();
    }
    learner.observe(progress::Rates::new(args.show));
    let curve = learner.lr_find(LrFind { steps: args.steps, ..LrFind::default() })?;
    if args.show.json {
        json_line(&curve)?;
    } else {
        show(&curve)?;
    }
    Ok(Outcome::Done)
}

fn show(curve: &LrCurve) -> anyhow::Result<()> {
    text(plot(curve))?;
    let Some(suggested) = curve.suggestions else {
        return text("the curve is too short to suggest a rate; give it more --steps");
    };
    for (name, rate, what) in [
        ("valley", suggested.valley, "in the longest stretch over which the loss falls: use this one"),
        ("slide", suggested.slide, "the last before the slope stops changing, seen from the right"),
        ("minimum", suggested.minimum, "a tenth of the rate with the lowest loss"),
        ("steep", suggested.steep, "where the loss falls fastest"),
    ] {
        text(format!("  {name:<8} {rate:<10.1e} {what}"))?;
    }
    Ok(())
}

/// The curve in characters: loss upwards, learning rate to the right, logarithmic.
fn plot(curve: &LrCurve) -> String {
    let [width, height] = PLOT;
    let finite = || curve.losses.iter().copied().filter(|loss| loss.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let mut rows = vec![vec![' '; width]; height];
    for (step, loss) in curve.losses.iter().enumerate().filter(|(_, loss)| loss.is_finite()) {
        let column = step * (width - 1) / curve.losses.len().max(2).saturating_sub(1);
        let risen = if high > low { (loss - low) / (high - low) } else { 0.0 };
        rows[((1.0 - risen) * (height - 1) as f64).round() as usize][column] = '*';
    }
    let mut plot = String::from("smoothed loss by learning rate\n");
    for (row, cells) in rows.iter().enumerate() {
        let label = if row == 0 { high } else { low };
        let label = if row == 0 || row + 1 == height { format!("{label:.2}") } else { String::new() };
        let cells: String = cells.iter().collect();
        plot.push_str(&format!("{label:>8} |{}\n", cells.trim_end()));
    }
    let ends = [curve.learning_rates.first(), curve.learning_rates.last()];
    let [first, last] = ends.map(|rate| rate.map_or_else(String::new, |rate| format!("{rate:.0e}")));
    plot.push_str(&format!(
        "{:>8} +{}\n{:>8}  {first:<half$}{last:>half$}\n",
        "",
        "-".repeat(width),
        "",
        half = width / 2
    ));
    plot
}
