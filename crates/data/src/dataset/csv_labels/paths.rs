//! Which file a path in a table means. In: the text of a field. Out: a path relative to the data set's folder, as written or as
//! its file is really called.

use std::cell::Cell;
use std::path::{self, Component, Path, PathBuf};

/// Endings that tables leave out.
const SUFFIXES: [&str; 12] =
    ["jpg", "jpeg", "png", "JPG", "JPEG", "PNG", "webp", "gif", "bmp", "tif", "tiff", "ppm"];

/// After so many paths in a row without a file, other spellings aren't tried any more.
const TRIES: usize = 1000;

/// The folder that a table's paths are relative to, and how they had to be changed to find files so far.
pub(crate) struct Paths {
    /// What paths may start with: the data set's folder, as given, absolute, and with links resolved.
    roots: Vec<PathBuf>,
    /// The ending that was added last.
    suffix: Cell<Option<&'static str>>,
    backslashes: Cell<bool>,
    /// Paths without a file since the last one with a file.
    missing: Cell<usize>,
}

/// A file that is there, and what its path in the table had to be changed by.
struct Found {
    path: PathBuf,
    suffix: Option<&'static str>,
    is_turned: bool,
}

impl Paths {
    pub(crate) fn new(root: &Path) -> Self {
        let whole = [path::absolute(root).ok(), root.canonicalize().ok()];
        let roots = [root.to_owned()].into_iter().chain(whole.into_iter().flatten()).collect();
        Self { roots, suffix: Cell::new(None), backslashes: Cell::new(false), missing: Cell::new(0) }
    }

    /// The file that a field means: the path as it stands, with `/` for `\`, with an ending, or with both, whichever there is;
    /// the path as it stands if there is none.
    pub(crate) fn find(&self, field: &str) -> PathBuf {
        let is_given_up = self.missing.get() > TRIES;
        let found = if is_given_up { self.as_it_stands(field) } else { self.look(field) };
        let Some(Found { path, suffix, is_turned }) = found else {
            self.missing.set(self.missing.get() + 1);
            return self.turned(field).unwrap_or_else(|| self.tidy(Path::new(field)));
        };
        self.suffix.set(suffix.or(self.suffix.get()));
        self.backslashes.set(self.backslashes.get() || is_turned);
        self.missing.set(0);
        path
    }

    /// Whether there is a file that a field means.
    pub(super) fn has(&self, field: &str) -> bool {
        !field.is_empty() && self.look(field).is_some()
    }

    /// The file that a field means, if there is one.
    fn look(&self, field: &str) -> Option<Found> {
        let plain = Some(self.tidy(Path::new(field))).filter(|path| !leads_out(path));
        let spellings = [(plain, false), (self.turned(field), true)];
        let endings = [None].into_iter().chain(self.suffix.get().into_iter().chain(SUFFIXES).map(Some));
        let mut tried = endings.flat_map(|suffix| spellings.iter().map(move |spelling| (suffix, spelling)));
        tried.find_map(|(suffix, (path, is_turned))| {
            let path = path.as_ref()?;
            let path = suffix.map_or_else(|| path.clone(), |suffix| with_suffix(path, suffix));
            self.is_file(&path).then_some(Found { path, suffix, is_turned: *is_turned })
        })
    }

    fn as_it_stands(&self, field: &str) -> Option<Found> {
        let path = self.tidy(Path::new(field));
        let is_there = !leads_out(&path) && self.is_file(&path);
        is_there.then_some(Found { path, suffix: None, is_turned: false })
    }

    /// A path with `\` as one with `/`, if that leads into the folder.
    fn turned(&self, field: &str) -> Option<PathBuf> {
        let turned = field.contains('\\').then(|| self.tidy(Path::new(&field.replace('\\', "/"))));
        turned.filter(|path| !leads_out(path))
    }

    /// The ending that paths lack.
    pub(super) fn suffix(&self) -> Option<&'static str> {
        self.suffix.get()
    }

    /// Whether paths have `\` between folders.
    pub(super) fn backslashes(&self) -> bool {
        self.backslashes.get()
    }

    fn is_file(&self, path: &Path) -> bool {
        // A link that leads nowhere, or a pipe, is what the table means too; the scan says what is wrong with it.
        let data = self.roots.first().and_then(|root| root.join(path).symlink_metadata().ok());
        data.is_some_and(|data| !data.is_dir())
    }

    /// A file's one path: without `.` and `folder/..`, and relative to the root if it's below it.
    fn tidy(&self, path: &Path) -> PathBuf {
        let below = self.roots.iter().find_map(|root| path.strip_prefix(root).ok());
        let mut tidy = PathBuf::new();
        for part in below.unwrap_or(path).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir if self.can_be_left(&tidy) => {
                    tidy.pop();
                }
                part => tidy.push(part),
            }
        }
        tidy
    }

    /// Whether the last part of a path and a `..` after it cancel out. They don't if the last part is a link: `..` then
    /// leads elsewhere.
    fn can_be_left(&self, path: &Path) -> bool {
        let is_link = |root: &Path| root.join(path).symlink_metadata().is_ok_and(|data| data.is_symlink());
        matches!(path.components().next_back(), Some(Component::Normal(_)))
            && !self.roots.first().is_some_and(|root| is_link(root))
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(".");
    longer.push(suffix);
    longer.into()
}

/// Whether a path may lead out of the folder it starts from: it's absolute, or still goes up after it was tidied.
pub(super) fn leads_out(path: &Path) -> bool {
    !path.components().all(|part| matches!(part, Component::Normal(_)))
}
