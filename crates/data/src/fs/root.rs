//! An open folder. In: paths inside it. Out: files and folders below it, reached from its handle one component at a
//! time. So no link leads elsewhere, even if somebody swaps one in while we work.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Error, ErrorKind};
use std::path::{Path, PathBuf};

use cap_fs_ext::{DirExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};

use super::part::{PartName, part_name, sweep, write_part};
use super::regular::{DEVICE, FOLDER, not_regular, read_up_to};
use super::{FileError, InsidePath};

/// A folder and everything below it.
///
/// The folder itself may be reached through links: somebody named it. Below it, no link is followed.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    dir: Dir,
}

/// What a name refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link, wherever it leads.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

impl Root {
    /// Opens a folder.
    ///
    /// # Errors
    /// It isn't a folder, or can't be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        // A file name without a folder is in the current folder.
        let place = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let dir = Dir::open_ambient_dir(place, ambient_authority())
            .map_err(|source| FileError::read(place, source))?;
        Ok(Self { path: path.to_owned(), dir })
    }

    /// Opens a folder, and creates it and its parents if needed.
    ///
    /// # Errors
    /// It can't be created or opened.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        std::fs::create_dir_all(path).map_err(|source| FileError::write(path, source))?;
        Self::open(path)
    }

    /// The folder of a file that somebody named, and the file's name in it.
    ///
    /// # Errors
    /// The path doesn't end in a file name, or its folder can't be opened.
    pub fn of_file(path: &Path) -> Result<(Self, InsidePath), FileError> {
        let none =
            || FileError::NotOurs { path: path.to_owned(), found: "does not end in a file name".to_owned() };
        let name = path.file_name().ok_or_else(none)?;
        let name = InsidePath::new(name).map_err(|_| none())?;
        Ok((Self::open(path.parent().unwrap_or(Path::new("")))?, name))
    }

    /// Another handle to the same folder, even if its name now belongs to another one.
    ///
    /// # Errors
    /// There are no file handles left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { path: self.path.clone(), dir: self.dir.try_clone()? })
    }

    /// The folder's path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The full path of a path inside, for messages and for reading photos.
    #[must_use]
    pub fn place(&self, path: &InsidePath) -> PathBuf {
        self.path.join(path)
    }

    /// What a name refers to; `None` if there's nothing.
    ///
    /// # Errors
    /// A folder on the way is a link or can't be opened.
    pub fn kind(&self, path: &InsidePath) -> io::Result<Option<Kind>> {
        Ok(self.metadata(path)?.map(|metadata| kind_of(&metadata)))
    }

    /// Whether a name is free: there's nothing, not even a broken link.
    ///
    /// # Errors
    /// As for [`Root::kind`].
    pub fn is_free(&self, path: &InsidePath) -> io::Result<bool> {
        Ok(self.metadata(path)?.is_none())
    }

    /// Whether two names refer to one file, as after a move that was killed halfway.
    ///
    /// # Errors
    /// As for [`Root::kind`].
    pub fn is_same_file(&self, one: &InsidePath, other: &InsidePath) -> io::Result<bool> {
        let (Some(one), Some(other)) = (self.metadata(one)?, self.metadata(other)?) else { return Ok(false) };
        Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
    }

    /// The bytes of a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// It isn't a regular file, is too large, can't be read, or is behind a link.
    pub fn read(&self, path: &InsidePath, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.reader(path)?;
        let size = file.metadata()?.len();
        read_up_to(file, size, limit)
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// As for [`Root::read`].
    pub fn reader(&self, path: &InsidePath) -> io::Result<File> {
        self.open_file(path, OpenOptions::new().read(true))
    }

    /// Opens a regular file for reading and appending, and creates it if needed.
    ///
    /// # Errors
    /// As for [`Root::read`], or it can't be written.
    pub fn appender(&self, path: &InsidePath) -> io::Result<File> {
        let append = || self.open_file(path, OpenOptions::new().read(true).append(true));
        match append() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                drop(self.create_new(path)?);
                append()
            }
            opened => opened,
        }
    }

    /// Creates a file under a free name, with its folder if needed.
    ///
    /// # Errors
    /// The name is taken, perhaps by a link, or the folder can't be written.
    pub fn create_new(&self, path: &InsidePath) -> io::Result<File> {
        let (dir, name) = self.make_parent(path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).follow(FollowSymlinks::No);
        Ok(dir.open_with(name, &options)?.into_std())
    }

    /// Creates a folder and its parents.
    ///
    /// # Errors
    /// A name on the way is taken by something else, perhaps a link, or the disk is full.
    pub fn create_folder(&self, path: &InsidePath) -> io::Result<()> {
        self.walk(path.as_path(), Missing::Make).map(drop)
    }

    /// The names in a folder inside, or in the root itself for `None`, sorted.
    ///
    /// # Errors
    /// It's a link or not a folder, or can't be listed.
    pub fn names(&self, folder: Option<&InsidePath>) -> io::Result<Vec<OsString>> {
        let dir = self.walk(folder.map_or(Path::new(""), InsidePath::as_path), Missing::Fail)?;
        let mut names = dir
            .entries()?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    /// Moves a file to a free name, and creates the folder if needed. Where the system can, it's one step: nobody sees
    /// the file missing or twice, and a file that appears under the new name meanwhile is never overwritten. Elsewhere
    /// the file first gets a second name; a kill in between leaves both names, which [`Root::is_same_file`] detects.
    ///
    /// # Errors
    /// The new name is taken, or the move fails.
    pub fn move_new(&self, from: &InsidePath, to: &InsidePath) -> io::Result<()> {
        let ((from_dir, from), (to_dir, to)) = (self.parent(from)?, self.make_parent(to)?);
        match rename_new((&from_dir, from), (&to_dir, to)) {
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => {
                from_dir.hard_link(from, &to_dir, to)?;
                from_dir.remove_file(from)
            }
            moved => moved,
        }
    }

    /// Removes a file or a link, never what the link leads to.
    ///
    /// # Errors
    /// It doesn't exist, is a folder, or may not be removed.
    pub fn remove_file(&self, path: &InsidePath) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        dir.remove_file(name)
    }

    /// Removes a folder if it is empty.
    ///
    /// # Errors
    /// It isn't empty, is a link, or isn't a folder.
    pub fn remove_folder(&self, path: &InsidePath) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        dir.remove_dir(name)
    }

    /// Writes a file that appears under its name whole or not at all, and creates its folder if needed. It replaces a
    /// regular file, and nothing else: no link, no folder, no device.
    ///
    /// The bytes go into a temporary file next to it, which is locked while it's written. A temporary file that isn't
    /// locked was left by a killed process; the next writer of the same file removes it.
    ///
    /// # Errors
    /// It can't be written; an earlier version is untouched.
    pub fn write(
        &self,
        path: &InsidePath,
        fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let failed = |source| FileError::write(&self.place(path), source);
        let (dir, name) = self.make_parent(path).map_err(failed)?;
        match dir.symlink_metadata(name).map(|metadata| kind_of(&metadata)) {
            Ok(Kind::File) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
            Ok(kind) => {
                return Err(FileError::NotOurs { path: self.place(path), found: kind.found().to_owned() });
            }
        }
        sweep(&dir, |part| PartName::of(part).is_some_and(|part| part.file == name.as_encoded_bytes()));
        let part = part_name(name);
        write_part(&dir, &part, fill).and_then(|()| dir.rename(&part, &dir, name)).map_err(|source| {
            // The first error is the one to report. If the temporary file stays, the next writer here sweeps it up.
            let _ = dir.remove_file(&part);
            failed(source)
        })
    }

    /// Removes what killed processes left in the folder itself; see [`Root::write`]. Only for the holder of the
    /// folder's lock.
    pub fn sweep(&self) {
        sweep(&self.dir, |name| PartName::of(name).is_some());
    }

    /// A name's metadata, without following links.
    pub(super) fn metadata(&self, path: &InsidePath) -> io::Result<Option<Metadata>> {
        let found = self.parent(path).and_then(|(dir, name)| dir.symlink_metadata(name));
        match found {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens or creates a regular file for reading and writing, at its beginning.
    ///
    /// # Errors
    /// As for [`Root::read`] and [`Root::create_new`].
    pub fn open_or_create(&self, path: &InsidePath) -> io::Result<File> {
        match self.create_new(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.open_file(path, OpenOptions::new().read(true).write(true))
            }
            created => created,
        }
    }

    fn open_file(&self, path: &InsidePath, options: &mut OpenOptions) -> io::Result<File> {
        let (dir, name) = self.parent(path)?;
        check(&dir.symlink_metadata(name)?)?;
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt;
            options.custom_flags(super::regular::NONBLOCKING);
        }
        let file = dir.open_with(name, options.follow(FollowSymlinks::No))?;
        check(&file.metadata()?)?;
        Ok(file.into_std())
    }

    /// The handle of the folder a path is in, and its name there.
    fn parent<'p>(&self, path: &'p InsidePath) -> io::Result<(Dir, &'p OsStr)> {
        let folder = path.as_path().parent().unwrap_or(Path::new(""));
        Ok((self.walk(folder, Missing::Fail)?, path.name()))
    }

    fn make_parent<'p>(&self, path: &'p InsidePath) -> io::Result<(Dir, &'p OsStr)> {
        let folder = path.as_path().parent().unwrap_or(Path::new(""));
        Ok((self.walk(folder, Missing::Make)?, path.name()))
    }

    /// The handle of a folder below. Its parts are only names, since they come from an [`InsidePath`].
    fn walk(&self, folder: &Path, missing: Missing) -> io::Result<Dir> {
        let mut dir = self.dir.try_clone()?;
        for name in folder {
            dir = match dir.open_dir_nofollow(name) {
                Err(error) if error.kind() == ErrorKind::NotFound && missing == Missing::Make => {
                    match dir.create_dir(name) {
                        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                        // Another process may have created it at the same time.
                        _ => dir.open_dir_nofollow(name)?,
                    }
                }
                Err(error) => return Err(through_link(&dir, name, error)),
                Ok(dir) => dir,
            };
        }
        Ok(dir)
    }
}

/// Writes a file that somebody named; see [`Root::write`].
///
/// # Errors
/// As for [`Root::write`].
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), FileError> {
    let (root, name) = Root::of_file(path).map_err(|error| match error {
        FileError::Read { source, .. } => FileError::write(path, source),
        other => other,
    })?;
    root.write(&name, fill)
}

impl Kind {
    /// What it is, as the end of a sentence.
    fn found(self) -> &'static str {
        match self {
            Kind::File => "is a file",
            Kind::Folder => "is a folder, and no file is written in its place",
            Kind::Link => "is a link, which may lead anywhere",
            Kind::Other => "is a pipe, a socket or a device",
        }
    }
}

/// What to do about missing folders on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Fail,
    Make,
}

fn kind_of(metadata: &Metadata) -> Kind {
    match () {
        () if metadata.is_symlink() => Kind::Link,
        () if metadata.is_file() => Kind::File,
        () if metadata.is_dir() => Kind::Folder,
        () => Kind::Other,
    }
}

fn check(metadata: &Metadata) -> io::Result<()> {
    match kind_of(metadata) {
        Kind::File => Ok(()),
        Kind::Link => Err(link_error("it")),
        Kind::Folder => Err(not_regular(FOLDER)),
        Kind::Other => Err(not_regular(DEVICE)),
    }
}

/// Systems report a link in place of a folder in different and vague words, so say it clearly.
fn through_link(dir: &Dir, name: &OsStr, error: Error) -> Error {
    match dir.symlink_metadata(name) {
        Ok(metadata) if metadata.is_symlink() => link_error(&format!("`{}`", name.display())),
        _ => error,
    }
}

fn link_error(what: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{what} is a link, and may lead out of the folder"))
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_new((from_dir, from): (&Dir, &OsStr), (to_dir, to): (&Dir, &OsStr)) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(from_dir, from, to_dir, to, rustix::fs::RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_new(_: (&Dir, &OsStr), _: (&Dir, &OsStr)) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    fn inside(path: &str) -> InsidePath {
        InsidePath::new(path).unwrap()
    }

    /// A folder with another folder beside it, and links of every kind from the first to the second.
    fn tree() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
        fs::create_dir_all(root.join("red")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        fs::write(root.join("red/a"), "a").unwrap();
        symlink(&outside, root.join("linked")).unwrap();
        symlink("../../outside", root.join("red/linked")).unwrap();
        symlink(outside.join("secret"), root.join("red/file")).unwrap();
        symlink("red", root.join("same")).unwrap();
        (folder, Root::open(&root).unwrap())
    }

    #[test]
    fn nothing_is_reached_through_a_link() {
        let (folder, root) = tree();
        for path in ["linked/secret", "red/linked/secret", "red/file", "same/a"] {
            let path = inside(path);
            let error = root.read(&path, 100).unwrap_err().to_string();
            assert!(error.contains("is a link"), "{error}");
            assert!(root.appender(&path).is_err() && root.create_new(&path).is_err());
            assert!(root.write(&path, |file| file.write_all(b"x")).is_err());
            assert!(root.move_new(&inside("red/a"), &path).is_err());
        }
        assert!(root.move_new(&inside("linked/secret"), &inside("mine")).is_err());
        assert!(root.remove_file(&inside("linked/secret")).is_err());
        assert!(root.create_folder(&inside("linked/new")).is_err());
        assert!(root.names(Some(&inside("linked"))).is_err());
        assert_eq!(fs::read(folder.path().join("outside/secret")).unwrap(), b"secret");
        assert_eq!(fs::read_dir(folder.path().join("outside")).unwrap().count(), 1);
        assert_eq!(root.kind(&inside("red/file")).unwrap(), Some(Kind::Link));
    }

    #[test]
    fn a_file_is_replaced_whole_and_what_a_kill_left_is_swept() {
        let (_folder, root) = tree();
        let path = inside("red/a");
        let left = part_name("a".as_ref());
        fs::write(root.path().join("red").join(&left), "half").unwrap();
        fs::write(root.path().join("red/.a.mine.sciurus-part"), "somebody's").unwrap();
        let error = root.write(&path, |_| Err(ErrorKind::StorageFull.into())).unwrap_err();
        assert!(error.to_string().contains("space left"), "{error}");
        assert_eq!(root.read(&path, 100).unwrap(), b"a");
        root.write(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(root.read(&path, 100).unwrap(), b"new");
        assert_eq!(
            root.names(Some(&inside("red"))).unwrap(),
            [".a.mine.sciurus-part", "a", "file", "linked"]
        );
        fs::write(root.path().join(part_name("gone".as_ref())), "half").unwrap();
        root.sweep();
        assert_eq!(root.names(None).unwrap(), ["linked", "red", "same"]);
        assert!(root.write(&inside("red"), |_| Ok(())).is_err());
        root.write(&inside("new/er/b"), |file| file.write_all(b"b")).unwrap();
        assert_eq!(root.read(&inside("new/er/b"), 100).unwrap(), b"b");
    }

    #[test]
    fn a_move_never_replaces_anything() {
        let (_folder, root) = tree();
        fs::write(root.path().join("red/b"), "b").unwrap();
        assert_eq!(
            root.move_new(&inside("red/a"), &inside("red/b")).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        root.move_new(&inside("red/a"), &inside("x/y/a")).unwrap();
        assert!(root.is_free(&inside("red/a")).unwrap() && !root.is_free(&inside("x/y/a")).unwrap());
        fs::hard_link(root.path().join("x/y/a"), root.path().join("red/again")).unwrap();
        assert!(root.is_same_file(&inside("x/y/a"), &inside("red/again")).unwrap());
        assert!(!root.is_same_file(&inside("x/y/a"), &inside("red/b")).unwrap());
    }
}
