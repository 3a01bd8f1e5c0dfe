//! Opens photos in whatever program the system shows them with.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use sciurus::data::{DecodeLimits, decode_file};

use crate::output::shown;

/// A launcher that fails does so at once. One that still runs after this shows the photo itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// Opens a photo. A file that can't be read as one is refused, as its name decides which program gets it.
pub(crate) fn photo(path: &Path) -> anyhow::Result<()> {
    let name = shown(path);
    let photo = decode_file(path, &DecodeLimits::default());
    ensure!(photo.is_ok(), "{name} can't be read as a picture, so it isn't opened");
    // A name that begins with a dash would be an option of the program.
    let whole = path.canonicalize().with_context(|| name.clone())?;
    for mut command in open::commands(whole) {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { continue };
        let start = Instant::now();
        loop {
            match child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(_) => break,
                None if start.elapsed() > PATIENCE => return Ok(()),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
    bail!("no program of this system could show {name}")
}
