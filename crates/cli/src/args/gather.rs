//! The options of `sciurus gather`.

use std::path::PathBuf;

use clap::Args;
use sciurus::gather::{GatherClass, Licence, SourceId, SourceSpec};
use url::Url;

use super::Show;
use super::numbers::seconds;

const ABOUT: &str = "\
Search the web for photos of each class, and keep those that are readable, new and licensed. Photos go \
into a folder per class, ready for `sciurus train`.

  sciurus gather \"eastern gray squirrel\" \"red squirrel\" --into squirrels
  sciurus gather gray=\"Sciurus carolinensis\" --into photos
  sciurus gather --list-sources";

const EXAMPLES: &str = "\
More examples:
  sciurus gather acorn=acorn --source list.csv,page.html,holiday.zip --into nuts
      Photos from your own lists, pages and archives.
  sciurus gather --from squirrels/ledger.jsonl --into elsewhere
      The same photos again, and which have changed or gone.

Beside the photos are ledger.jsonl (where each came from, who made it, its licence) and ATTRIBUTION.md. If \
a run is stopped or killed, the same command continues it. Keys of services come from the environment \
(--list-sources names the variables); the default sources need none. Exit code 1 means that fewer photos \
were found than you asked for.";

#[derive(Debug, Args)]
#[command(about = "Search the web for photos of each class, and keep those that are readable, new and licensed", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct GatherArgs {
    /// Classes: what to search for, or NAME=what to search for
    #[arg(value_name = "TERMS", required_unless_present_any = ["from", "list_sources"])]
    pub(crate) classes: Vec<GatherClass>,
    /// Folder that gets a folder per class
    #[arg(long, value_name = "DIR", required_unless_present = "list_sources")]
    pub(crate) into: Option<PathBuf>,
    /// Photos to keep of each class
    #[arg(long, default_value_t = 150, value_name = "PHOTOS")]
    pub(crate) per_class: usize,
    /// Where to search, in turn: services by name, or folders, zip and tar files, saved web pages, lists of addresses
    /// [default: openverse,commons,inaturalist,gbif]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) source: Vec<SourceSpec>,
    /// Licences to keep, such as cc0,by,by-sa [default: all but "all rights reserved"]
    #[arg(long, alias = "licence", value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) license: Vec<Licence>,
    /// Least length of a photo's shorter side
    #[arg(long, default_value_t = 200, value_name = "PIXELS")]
    pub(crate) min_size: u32,
    /// Stop after this time, such as 60s, 2m or 1h; the same command continues later
    #[arg(long, visible_alias = "in", value_name = "TIME", value_parser = seconds, conflicts_with = "from")]
    pub(crate) time_budget: Option<f64>,
    /// Fetch the photos of a ledger again instead of searching
    #[arg(long, value_name = "FILE", conflicts_with_all = ["classes", "source", "per_class"])]
    pub(crate) from: Option<PathBuf>,
    /// Go on with a journal that came with the folder from somebody else
    #[arg(long)]
    pub(crate) trust_state: bool,
    /// List the sources: their limits, whether a key is set, and what their terms say about training
    #[arg(long, conflicts_with_all = ["classes", "from", "into"])]
    pub(crate) list_sources: bool,
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    #[command(flatten)]
    pub(crate) show: Show,
}

/// How services are asked for photos.
#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    /// An e-mail address or page where services can reach you; Wikimedia asks for one
    #[arg(long, env = "SCIURUS_CONTACT", value_name = "TEXT")]
    pub(crate) contact: Option<String>,
    /// Hosts outside the public internet that photos may come from
    #[arg(long, value_name = "HOST,...", value_delimiter = ',')]
    pub(crate) allow_private_hosts: Vec<String>,
    /// Another address for a service, such as a mirror: NAME=URL
    #[arg(long, value_name = "NAME=URL", value_parser = endpoint)]
    pub(crate) endpoint: Vec<(SourceId, Url)>,
}

fn endpoint(text: &str) -> Result<(SourceId, Url), String> {
    let (name, url) =
        text.split_once('=').ok_or("give NAME=URL, such as openverse=https://mirror.example/")?;
    let source = name.parse::<SourceId>().map_err(|error| error.to_string())?;
    Ok((source, url.parse().map_err(|error| format!("`{url}` is no address: {error}"))?))
}
