//! Files that are still being written. In: a file's name. Out: a hidden, locked file next to it while it's being
//! written. What a killed process left behind is removed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions};

use super::random::random_number;

/// How the names of unfinished files end.
const PART: &str = ".sciurus-part";

/// A unique name next to a file: hidden, so that no listing takes it for a photo.
pub(super) fn part_name(name: &OsStr) -> OsString {
    let mut part = OsString::from(".");
    part.push(name);
    part.push(format!(".{:016x}{PART}", random_number()));
    part
}

/// A name that [`part_name`] made.
pub(super) struct PartName<'n> {
    /// The name of the file it belongs to.
    pub(super) file: &'n [u8],
}

impl<'n> PartName<'n> {
    pub(super) fn of(name: &'n OsStr) -> Option<Self> {
        let rest = name.as_encoded_bytes().strip_prefix(b".")?.strip_suffix(PART.as_bytes())?;
        let (file, number) = rest.split_at_checked(rest.len().checked_sub(17)?)?;
        let number = number.strip_prefix(b".")?;
        number.iter().all(u8::is_ascii_hexdigit).then_some(Self { file })
    }
}

/// Removes unfinished files that no process is writing any more. One that can't be removed does no harm.
pub(super) fn sweep(dir: &Dir, wanted: impl Fn(&OsStr) -> bool) {
    let entries = dir.entries().into_iter().flatten().flatten();
    for entry in entries.filter(|entry| wanted(&entry.file_name())) {
        let mut options = OpenOptions::new();
        let part = dir.open_with(entry.file_name(), options.write(true).follow(FollowSymlinks::No));
        if part.is_ok_and(|part| part.into_std().try_lock().is_ok()) {
            let _ = dir.remove_file(entry.file_name());
        }
    }
}

pub(super) fn write_part(
    dir: &Dir,
    part: &OsStr,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file =
        dir.open_with(part, options.write(true).create_new(true).follow(FollowSymlinks::No))?.into_std();
    // Tells others that it's in use. On a system without locks, nobody sweeps.
    let _ = file.try_lock();
    let mut writer = BufWriter::new(file);
    fill(&mut writer)?;
    // On disk before the rename: after a power cut the name must not point at an empty file.
    writer.into_inner()?.sync_all()
}
