//! `sciurus archs`: the networks that can be trained.

use sciurus::{Arch, ArchInfo};

use crate::args::ArchsArgs;
use crate::output::{Outcome, json_line, text};

pub(super) fn run(args: &ArchsArgs) -> anyhow::Result<Outcome> {
    let infos = Arch::ALL.map(Arch::info);
    if args.json {
        json_line(&infos)?;
    } else {
        text(format!(
            "{:<22} {:>12} {:>9} {:>7} {:>9}  pretrained weights",
            "network", "parameters", "features", "pixels", "images/s"
        ))?;
        infos.iter().try_for_each(|info| text(row(info)))?;
        text("images/s: training on 2 Zen 5 cores in f32, batches of 32 at the network's size")?;
    }
    Ok(Outcome::Done)
}

fn row(info: &ArchInfo) -> String {
    let weights = match (info.weights, info.weights_elsewhere) {
        _ if info.built_in => "built in (MIT OR Apache-2.0)".to_owned(),
        (Some(weights), _) => format!("{} ({})", weights.file, weights.licence),
        (None, Some(place)) => format!("not downloaded; {place}"),
        (None, None) => "none".to_owned(),
    };
    format!(
        "{:<22} {:>10.1} M {:>9} {:>7} {:>9.1}  {weights}",
        info.name,
        info.parameters as f64 / 1e6,
        info.channels,
        info.image_size,
        info.images_per_second
    )
}
