//! A zip or tar file of photos (also gzipped). In: its path. Out: one page of its pictures, which are read out of it one by
//! one into memory: no name in it ever becomes a path on this machine, and nothing is unpacked beyond the limits.

use super::local;
use crate::licence::Telling;
use crate::source::{
    Cursor, FoundImage, ImageSource, KeyNeed, Opening, Page, Query, Searching, SourceId, SourceInfo,
};
use crate::web::FetchFault;
use flate2::read::MultiGzDecoder;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::sync::Mutex;
use url::Url;

/// Members of an archive that are looked at.
const MAX_MEMBERS: usize = 200_000;
/// Bytes that come out of an archive at most, read for one purpose.
const MAX_UNPACKED: u64 = 64 << 30;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Archive,
    what: "a zip, tar or tar.gz file of photos, best with one folder per class",
    limits: "200,000 members, 64 GiB unpacked",
    key: KeyNeed::None,
    licences: Telling::Never,
    training: "yours to know",
};

#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) path: PathBuf,
    /// Largest member.
    pub(crate) file_bytes: u64,
    /// Members of a tar file that were passed while another was looked for, so that it is not read again for each; bounded
    /// by [`PASSED_BYTES`].
    pub(crate) passed: Mutex<HashMap<String, Vec<u8>>>,
}

/// Bytes of members that are kept for later.
const PASSED_BYTES: usize = 256 << 20;

impl ImageSource for Archive {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, _cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(async move { self.page(query).map_err(|detail| local::down(&self.path, detail)) })
    }

    fn open<'s>(&'s self, image: &'s FoundImage) -> Option<Opening<'s>> {
        Some(Box::pin(async move {
            self.member(&image.source_id).map_err(|detail| FetchFault::Unreadable { detail })
        }))
    }
}

impl Archive {
    fn page(&self, query: &Query) -> Result<Page, String> {
        let mut names = if self.is_zip()? { self.zip_names()? } else { self.tar_names()? };
        if names.len() > MAX_MEMBERS {
            return Err(format!("more than {MAX_MEMBERS} members; unpack it yourself if you trust it"));
        }
        names.sort();
        let wanted = |name: &String| local::is_picture(name) && local::belongs(name, &query.class);
        let path = self.path.canonicalize().map_err(|error| error.to_string())?;
        let base = Url::from_file_path(path).map_err(|()| "no absolute path".to_owned())?;
        let item = |name: String| {
            let mut url = base.clone();
            url.set_fragment(Some(&name));
            FoundImage::new(SourceId::Archive, name, url)
        };
        Ok(Page { items: names.into_iter().filter(wanted).map(item).collect(), next: None })
    }

    fn is_zip(&self) -> Result<bool, String> {
        let mut magic = [0; 4];
        let mut file = File::open(&self.path).map_err(|error| error.to_string())?;
        let read = file.read(&mut magic).map_err(|error| error.to_string())?;
        Ok(read == 4 && magic.starts_with(b"PK"))
    }

    fn zip(&self) -> Result<zip::ZipArchive<BufReader<File>>, String> {
        let file = File::open(&self.path).map_err(|error| error.to_string())?;
        zip::ZipArchive::new(BufReader::new(file)).map_err(|error| error.to_string())
    }

    fn zip_names(&self) -> Result<Vec<String>, String> {
        let zip = self.zip()?;
        // Names that are no text belong to members that could not be asked for.
        Ok(zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect())
    }

    /// The tar file as a stream, unpacked if need be, that ends at the limit.
    fn tar(&self) -> Result<tar::Archive<Box<dyn Read>>, String> {
        let open = || File::open(&self.path).map(BufReader::new).map_err(|error| error.to_string());
        let mut magic = [0; 2];
        let read = open()?.read(&mut magic).map_err(|error| error.to_string())?;
        let gzipped = read == 2 && magic == [0x1f, 0x8b];
        let stream: Box<dyn Read> = match gzipped {
            true => Box::new(MultiGzDecoder::new(open()?).take(MAX_UNPACKED)),
            false => Box::new(open()?.take(MAX_UNPACKED)),
        };
        Ok(tar::Archive::new(stream))
    }

    fn tar_names(&self) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        for entry in self.tar()?.entries().map_err(|error| error.to_string())?.take(MAX_MEMBERS + 1) {
            let entry = entry.map_err(|error| error.to_string())?;
            if entry.header().entry_type().is_file() {
                names.push(String::from_utf8_lossy(&entry.path_bytes()).into_owned());
            }
        }
        Ok(names)
    }

    fn member(&self, name: &str) -> Result<Vec<u8>, String> {
        if self.is_zip()? {
            let mut zip = self.zip()?;
            let member = zip.by_name(name).map_err(|error| error.to_string())?;
            // The size that it claims is not believed: reading stops at the limit.
            return local::capped(member, self.file_bytes);
        }
        let mut passed = self.passed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(bytes) = passed.remove(name) {
            return Ok(bytes);
        }
        let mut kept: usize = passed.values().map(Vec::len).sum();
        for entry in self.tar()?.entries().map_err(|error| error.to_string())?.take(MAX_MEMBERS) {
            let entry = entry.map_err(|error| error.to_string())?;
            let here = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let is_file = entry.header().entry_type().is_file();
            if is_file && here == name {
                return local::capped(entry, self.file_bytes);
            }
            if is_file && local::is_picture(&here) && kept < PASSED_BYTES && !passed.contains_key(&here) {
                let Ok(bytes) = local::capped(entry, self.file_bytes) else { continue };
                kept += bytes.len();
                passed.insert(here, bytes);
            }
        }
        Err("no such member".to_owned())
    }
}
