//! A folder of photos. In: its path. Out: one page of its images: those below a folder named like the class, and those
//! in no subfolder.

use super::local;
use crate::allowed::Telling;
use crate::source::{
    Cursor, FoundImage, ImageSource, KeyNeed, Opening, Page, Query, Searching, SourceDown, SourceInfo,
};
use crate::web::FetchFault;
use sciurus_photos::SourceId;
use sciurus_photos::text::{WORDS, plain};
use std::path::{Path, PathBuf};
use url::Url;
use walkdir::WalkDir;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Folder,
    what: "a folder of photos, best with one folder per class; they are copied",
    limits: "none",
    key: KeyNeed::None,
    licences: Telling::Never,
    training: "depends on the rights to your photos",
};

#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Most bytes of a file.
    pub(crate) file_bytes: u64,
}

impl ImageSource for Folder {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, _cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(async move { self.page(query) })
    }

    fn open<'s>(&'s self, image: &'s FoundImage) -> Option<Opening<'s>> {
        Some(Box::pin(async move {
            self.bytes(&image.image_url).map_err(|detail| FetchFault::Unreadable { detail })
        }))
    }
}

impl Folder {
    fn page(&self, query: &Query) -> Result<Page, SourceDown> {
        let wrong = |error: &dyn std::error::Error| local::down(&self.path, error.to_string());
        let root = self.path.canonicalize().map_err(|error| wrong(&error))?;
        let (mut items, mut pictures) = (Vec::new(), Vec::new());
        // Don't follow links: they may lead out of the folder, or in circles.
        for entry in WalkDir::new(&root).sort_by_file_name() {
            let entry = entry.map_err(|error| wrong(&error))?;
            let Ok(relative) = entry.path().strip_prefix(&root) else { continue };
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            let name = parts.join("/");
            if !entry.file_type().is_file() || !local::is_picture(&name) {
                continue;
            }
            if let (true, Ok(url)) = (local::belongs(&name, &query.class), Url::from_file_path(entry.path()))
            {
                items.push(FoundImage::new(SourceId::Folder, plain(&name, WORDS), url));
            }
            pictures.push(name);
        }
        if items.is_empty() {
            let pictures: Vec<&str> = pictures.iter().map(String::as_str).collect();
            return Err(local::down(&self.path, local::none_of(&query.class, &pictures)));
        }
        Ok(Page { items, next: None })
    }

    /// The bytes of a file, if it's in the folder. Checked because the address may come from somebody else's journal.
    fn bytes(&self, url: &Url) -> Result<Vec<u8>, String> {
        let path = url.to_file_path().map_err(|()| "not the address of a file".to_owned())?;
        let place = |path: &Path| path.canonicalize().map_err(|error| error.to_string());
        let path = place(&path)?;
        if !path.starts_with(place(&self.path)?) {
            return Err("not in the folder".to_owned());
        }
        local::read(&path, self.file_bytes)
    }
}
