//! Photos that come as one file: a zip with a folder for each class. In: the file as it was sent. Out: each photo in the folder of its
//! class, as if it had been sent alone, and what was not taken, with reasons and counts that add up.
//!
//! An archive says of itself whatever it likes, so nothing in it is believed: names lead nowhere (only the name of the innermost folder
//! and that of the file are used, and both are made safe), and a file is read up to what a photo may have, whatever its size is said to be.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use sciurus::data::{Progress, counted, one_line};
use zip::ZipArchive;

use crate::Workspace;
use crate::adding::{Added, Brought};
use crate::fault::Fault;
use crate::jobs::Job;
use crate::workspace::Listing;

/// Most files that an archive may have.
const FILES: usize = 500_000;
/// Most bytes of a photo.
const LARGEST: u64 = 64 << 20;
/// Refusals that are named in the log, each kind.
const NAMED: usize = 5;

/// What became of the files of an archive.
#[derive(Debug, Default)]
struct Counts {
    added: usize,
    copies: usize,
    /// By the reason.
    refused: BTreeMap<String, usize>,
}

/// Adds the photos of an archive. Returns how it ended, for people.
pub(crate) fn unpack(workspace: &Workspace, archive: File, job: &Job) -> Result<String, Fault> {
    let broken = |error: &dyn std::fmt::Display| {
        Fault::Bad(format!("this is no zip that can be read ({error}); pack the folder again"))
    };
    let mut archive = ZipArchive::new(archive).map_err(|error| broken(&error))?;
    if archive.len() > FILES {
        let files = counted(archive.len(), "file");
        return Err(Fault::Bad(format!(
            "it has {files}, and {FILES} are the most; unpack it into the folder yourself"
        )));
    }
    let (mut counts, total) = (Counts::default(), archive.len());
    for place in 0..total {
        if job.is_stopped() {
            break;
        }
        job.progress("unpacking", Progress { done: place, total });
        let mut entry = archive.by_index(place).map_err(|error| broken(&error))?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map(|name| name.replace('\\', "/"));
        let Ok(name) = name else {
            counts.refuse(job, &format!("file {place}"), "its name is no text");
            continue;
        };
        let Some((class, file)) = class_and_file(&name) else {
            counts.refuse(job, &name, "it is in no folder that could be its class");
            continue;
        };
        let mut bytes = Vec::new();
        let read = entry.by_ref().take(LARGEST + 1).read_to_end(&mut bytes);
        match read {
            Err(error) => counts.refuse(job, &name, &format!("it is damaged: {error}")),
            Ok(_) if bytes.len() as u64 > LARGEST => counts.refuse(job, &name, "it has more than 64 MB"),
            Ok(_) => counts.take(job, &name, add(workspace, (class, file), &bytes)),
        }
    }
    workspace.read_now(job);
    Ok(counts.told())
}

fn add(workspace: &Workspace, (class, name): (&str, &str), bytes: &[u8]) -> Result<Added, Fault> {
    let project = match workspace.listing() {
        Listing::Ready(project) => Some(project),
        Listing::Reading | Listing::Refused(_) => None,
    };
    workspace.adding().add(workspace.folder(), project.as_deref(), &Brought { class, name, bytes })
}

/// The innermost folder of a file and the file's name; nothing for files that systems put into archives by themselves.
fn class_and_file(name: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    let is_systems = |part: &&str| part.starts_with('.') || *part == "__MACOSX";
    match parts[..] {
        [.., class, file] if !parts.iter().any(is_systems) => Some((class, file)),
        _ => None,
    }
}

impl Counts {
    fn take(&mut self, job: &Job, name: &str, added: Result<Added, Fault>) {
        match added {
            Ok(Added::File { .. }) => self.added += 1,
            Ok(Added::Copy { .. }) => self.copies += 1,
            Err(fault) => self.refuse(job, name, &Fault::told(&fault)),
        }
    }

    fn refuse(&mut self, job: &Job, name: &str, why: &str) {
        let of_kind = self.refused.entry(why.to_owned()).or_default();
        *of_kind += 1;
        if *of_kind <= NAMED {
            job.say(format!("{}: {why}", one_line(name)));
        }
    }

    fn told(&self) -> String {
        let refused: usize = self.refused.values().sum();
        let mut told = format!("{} added", counted(self.added, "photo"));
        if self.copies > 0 {
            told.push_str(&format!(", {} there before", self.copies));
        }
        if refused > 0 {
            let kinds: Vec<String> =
                self.refused.iter().take(NAMED).map(|(why, files)| format!("{files}: {why}")).collect();
            told.push_str(&format!(", {refused} not taken ({})", kinds.join("; ")));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_folder_is_the_class() {
        for (name, expected) in [
            ("squirrels/red/1.jpg", Some(("red", "1.jpg"))),
            ("red/1.jpg", Some(("red", "1.jpg"))),
            ("/red//1.jpg", Some(("red", "1.jpg"))),
            ("1.jpg", None),
            ("__MACOSX/red/1.jpg", None),
            ("red/.DS_Store", None),
            ("../../etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(class_and_file(name), expected, "{name}");
        }
    }
}
