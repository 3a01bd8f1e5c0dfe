//! Which file a path in a table means. In: the text of a field. Out: a path relative to the data set's folder, as written or as
//! its file is really called.

use std::cell::{Cell, RefCell};
use std::path::{self, Component, Path, PathBuf};

/// Endings that tables leave out.
const SUFFIXES: [&str; 12] =
    ["jpg", "jpeg", "png", "JPG", "JPEG", "PNG", "webp", "gif", "bmp", "tif", "tiff", "ppm"];

/// After so many paths without a file, as many in a row as there were, other spellings aren't tried any more.
const TRIES: usize = 1000;

/// The folder that a table's paths are relative to, and how they had to be changed to find files so far.
pub(crate) struct Paths {
    /// What paths may start with: the data set's folder, as given, absolute, and with links resolved.
    roots: Vec<PathBuf>,
    /// The ending that was added last.
    suffix: RefCell<Option<&'static str>>,
    backslashes: Cell<bool>,
    missing: Cell<usize>,
}

impl Paths {
    pub(crate) fn new(root: &Path) -> Self {
        let whole = [path::absolute(root).ok(), root.canonicalize().ok()];
        let roots = [root.to_owned()].into_iter().chain(whole.into_iter().flatten()).collect();
        let (suffix, backslashes, missing) = (RefCell::new(None), Cell::new(false), Cell::new(0));
        Self { roots, suffix, backslashes, missing }
    }

    /// The file that a field means: the path as it stands, with `/` for `\`, with an ending, or with both, whichever there is;
    /// the path as it stands if there is none.
    pub(crate) fn find(&self, field: &str) -> PathBuf {
        let plain = self.tidy(Path::new(field));
        if leads_out(&plain) && !field.contains('\\') || self.is_file(&plain) || self.missing.get() > TRIES {
            return plain;
        }
        let turned = field.contains('\\').then(|| self.tidy(Path::new(&field.replace('\\', "/"))));
        let turned = turned.filter(|path| !leads_out(path));
        if let Some(path) = turned.as_ref().filter(|path| self.is_file(path)) {
            self.backslashes.set(true);
            return path.clone();
        }
        let last = *self.suffix.borrow();
        for suffix in last.into_iter().chain(SUFFIXES) {
            for (path, is_turned) in [(Some(&plain), false), (turned.as_ref(), true)] {
                let longer = path.filter(|path| !leads_out(path)).map(|path| with_suffix(path, suffix));
                if let Some(longer) = longer.filter(|path| self.is_file(path)) {
                    self.suffix.replace(Some(suffix));
                    self.backslashes.set(self.backslashes.get() || is_turned);
                    self.missing.set(0);
                    return longer;
                }
            }
        }
        self.missing.set(self.missing.get() + 1);
        turned.unwrap_or(plain)
    }

    /// Whether there is a file that a field means.
    pub(super) fn has(&self, field: &str) -> bool {
        let path = self.find(field);
        !field.is_empty() && !leads_out(&path) && self.is_file(&path)
    }

    /// The ending that paths lack.
    pub(super) fn suffix(&self) -> Option<&'static str> {
        *self.suffix.borrow()
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
