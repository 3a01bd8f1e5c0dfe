//! A zip or tar file of photos, also gzipped. In: its path. Out: one page of its images, which are read one by one into
//! memory. No name in it ever becomes a path on this machine, and nothing is unpacked beyond the limits.

use super::local;
use super::members::Members;
use super::tar_file::{self, Span};
use super::zip_file::{self, Zipped};
use crate::allowed::Telling;
use crate::source::{Cursor, FoundImage, ImageSource, KeyNeed, Opening, Page, Query, Searching, SourceInfo};
use crate::web::FetchFault;
use sciurus_photos::SourceId;
use sciurus_photos::text::{DETAIL, plain};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use url::Url;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Archive,
    what: "a zip, tar or tar.gz file of photos, best with one folder per class",
    limits: "200,000 members, 64 GiB unpacked; the photos of a tar.gz need room in the folder for temporary files",
    key: KeyNeed::None,
    licences: Telling::Never,
    training: "depends on the rights to your photos",
};

#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) path: PathBuf,
    /// Most bytes of a member.
    pub(crate) file_bytes: u64,
    /// The archive with its list of members, read only once however many of them are needed.
    pub(crate) opened: OnceLock<Result<Opened, String>>,
}

impl ImageSource for Archive {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, _cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(async move { self.page(query).map_err(|detail| local::down(&self.path, detail)) })
    }

    fn open<'s>(&'s self, image: &'s FoundImage) -> Option<Opening<'s>> {
        Some(Box::pin(async move {
            let bytes = self.opened().and_then(|opened| opened.bytes(&image.source_id, self.file_bytes));
            bytes.map_err(|detail| FetchFault::Unreadable { detail: plain(&detail, DETAIL) })
        }))
    }
}

impl Archive {
    fn page(&self, query: &Query) -> Result<Page, String> {
        let path = self.path.canonicalize().map_err(|error| error.to_string())?;
        let base = Url::from_file_path(path).map_err(|()| "not an absolute path".to_owned())?;
        let item = |name: String| {
            let mut url = base.clone();
            url.set_fragment(Some(&name));
            FoundImage::new(SourceId::Archive, name, url)
        };
        let names = self.opened()?.names();
        let wanted = names.iter().filter(|name| local::belongs(name, &query.class));
        let items: Vec<FoundImage> = wanted.map(|name| item((*name).to_owned())).collect();
        if items.is_empty() {
            return Err(local::none_of(&query.class, &names));
        }
        Ok(Page { items, next: None })
    }

    fn opened(&self) -> Result<&Opened, String> {
        self.opened.get_or_init(|| Opened::new(&self.path, self.file_bytes)).as_ref().map_err(Clone::clone)
    }
}

/// An archive whose members are known.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Where members are read from: the archive, or a file of ours with what was unpacked.
    file: Mutex<File>,
    members: Kind,
}

#[derive(Debug)]
enum Kind {
    Zip(Members<Zipped>),
    Tar(Members<Span>),
}

impl Opened {
    /// Opens an archive. Members larger than `file_bytes` won't be asked for.
    pub(crate) fn new(path: &Path, file_bytes: u64) -> Result<Self, String> {
        let (mut file, size) = local::open(path)?;
        let mut magic = [0; 2];
        let begins = file.read_exact(&mut magic).and_then(|()| file.rewind());
        begins.map_err(|_| "neither a zip nor a tar file".to_owned())?;
        let (file, members) = match &magic {
            b"PK" => {
                let members = zip_file::members(&mut file, size)?;
                (file, Kind::Zip(members))
            }
            _ => {
                let (file, members) = tar_file::members((file, size), file_bytes)?;
                (file, Kind::Tar(members))
            }
        };
        Ok(Self { file: Mutex::new(file), members })
    }

    /// Names of its photos.
    pub(crate) fn names(&self) -> Vec<&str> {
        match &self.members {
            Kind::Zip(members) => members.names().collect(),
            Kind::Tar(members) => members.names().collect(),
        }
    }

    /// The bytes of a photo, at most `limit`.
    pub(crate) fn bytes(&self, name: &str, limit: u64) -> Result<Vec<u8>, String> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.members {
            Kind::Zip(members) => {
                let member = members.place(name)?;
                let packed = member.packed(&mut *file, limit)?;
                // Release the file, so that others can read while this one is unpacked.
                drop(file);
                member.unpacked(packed, limit)
            }
            Kind::Tar(members) => members.place(name)?.bytes(&mut *file, limit),
        }
    }
}
