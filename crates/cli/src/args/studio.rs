//! What can be typed after `sciurus studio`.

use std::path::PathBuf;

use clap::Args;

use super::ServiceArgs;

const ABOUT: &str = "\
Look at photos, clean them, train and try the model in a browser, on this machine: one key a photo, and \
every decision is on the disk before the next one appears. Nothing is uploaded, and nothing moves until \
you press Apply.

  sciurus studio squirrels
  sciurus studio squirrels --port 8080 --no-open
  sciurus studio squirrels --listen";

const AFTER: &str = "\
It prints the address to open, with a secret in it: who has the address can use the studio. Ctrl-C ends \
it; a training that is running is saved first. Runs go into the folder runs here, as with sciurus train.";

#[derive(Debug, Args)]
#[command(about = "Look, clean, train and try the model in a browser, on this machine", long_about = ABOUT, after_help = AFTER)]
pub(crate) struct StudioArgs {
    /// Photos, in a folder per class
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Port of this machine; 0 is any that is free
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) port: u16,
    /// Let other machines of this network in, such as a phone: prints a code to point its camera at. What is sent is not
    /// encrypted, so use it only where you trust everybody in the network
    #[arg(long)]
    pub(crate) listen: bool,
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// Don't open a browser
    #[arg(long)]
    pub(crate) no_open: bool,
    /// Threads that decode and compute [default: all cores]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// The address as JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}
