//! Photos as a browser may show them: decoded by us and encoded anew, so that nothing of a file but its pixels reaches a page.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sciurus::data::{ContentHash, DecodeLimits, decode_small, read_file};
use sciurus::photos::small_jpeg;
use tokio::sync::Semaphore;

use crate::cache::Cache;
use crate::fault::{Fault, beside};

/// Photos that are decoded at the same time: the rest of the machine trains.
const AT_ONCE: usize = 2;
/// Bytes of small pictures that are kept.
const KEPT: usize = 192 << 20;
/// JPEG quality (1 to 100).
const QUALITY: u8 = 82;
/// What small pictures are kept as on the disk; other pixels need another name.
const SMALL: &str = "small-v2";

/// How large a picture is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// For a cell of a grid.
    Small,
    /// To look at.
    Large,
}

impl Size {
    /// Its longer side in pixels.
    fn side(self) -> u32 {
        match self {
            Self::Small => 320,
            Self::Large => 1600,
        }
    }
}

/// Makes pictures, and keeps the small ones.
#[derive(Debug)]
pub(crate) struct Pictures {
    cache: Arc<Cache>,
    turns: Arc<Semaphore>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    pictures: HashMap<ContentHash, Arc<[u8]>>,
    bytes: usize,
}

impl Pictures {
    pub(crate) fn new(cache: Arc<Cache>) -> Self {
        Self { cache, turns: Arc::new(Semaphore::new(AT_ONCE)), kept: Mutex::default() }
    }

    /// The photo with this content, as JPEG.
    pub(crate) async fn get(
        self: &Arc<Self>,
        path: &Path,
        content: ContentHash,
        size: Size,
    ) -> Result<Arc<[u8]>, Fault> {
        let kept = self.locked(|kept| kept.pictures.get(&content).cloned());
        if let Some(kept) = kept.filter(|_| size == Size::Small) {
            return Ok(kept);
        }
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Fault::Failed)?;
        let (path, cache) = (path.to_owned(), Arc::clone(&self.cache));
        let decoding = move || {
            // Also where the page has gone meanwhile: the decoding goes on.
            let _turn = turn;
            match size {
                Size::Small => small(&cache, &path, content),
                Size::Large => made(&path, content, size),
            }
        };
        let picture: Arc<[u8]> = beside(decoding).await?.into();
        if size == Size::Small {
            self.locked(|kept| kept.keep(content, Arc::clone(&picture)));
        }
        Ok(picture)
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn keep(&mut self, content: ContentHash, picture: Arc<[u8]>) {
        // To find out which were asked for last would cost more than to make them again.
        if self.bytes + picture.len() > KEPT {
            *self = Self::default();
        }
        self.bytes += picture.len();
        if let Some(old) = self.pictures.insert(content, picture) {
            self.bytes -= old.len();
        }
    }
}

/// A small picture, from the disk if it was made before.
fn small(cache: &Cache, path: &Path, content: ContentHash) -> Result<Vec<u8>, Fault> {
    let name = content.to_string();
    if let Some(kept) = cache.read(SMALL, &name) {
        return Ok(kept);
    }
    let picture = made(path, content, Size::Small)?;
    cache.keep(SMALL, &name, &picture);
    Ok(picture)
}

fn made(path: &Path, content: ContentHash, size: Size) -> Result<Vec<u8>, Fault> {
    let limits = DecodeLimits::default();
    let gone = |reason: &dyn std::fmt::Display| Fault::Missing(reason.to_string());
    let bytes = read_file(path, &limits).map_err(|reason| gone(&reason))?;
    // Browsers keep a picture under its content for ever, so it must be of that content.
    if ContentHash::of(&bytes) != content {
        return Err(Fault::Changed("the photo has changed; read the folder again"));
    }
    let photo = decode_small(&bytes, &limits, size.side()).map_err(|reason| gone(&reason))?;
    small_jpeg(photo, size.side(), QUALITY).ok_or_else(|| gone(&"the photo has no pixels"))
}
