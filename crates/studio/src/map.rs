//! A map of all photos: like lies beside like. In: what was found in a folder. Out: a place for each photo, at once along the two
//! directions in which photos vary most, and better ones as t-SNE refines them.
//!
//! It is computed when a page first asks for it, in a thread of its own that keeps one core busy, and kept on the disk under what it
//! was computed from: a page that is opened again shows the same map.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sciurus::Cleaner;
use sciurus::clean::find::{principal_plane, similarity_plane};

use crate::cache::Cache;

/// Shortest time between two maps that pages are told of.
const PAUSE: Duration = Duration::from_millis(400);
/// What maps are kept as; another way of computing them needs another name.
const KIND: &str = "map-v1";
/// Highest number of a place on an axis; the one above it says that there is none.
const HIGHEST: f32 = 65_534.0;

/// The map of what was found once.
#[derive(Debug)]
pub(crate) struct PhotoMap {
    cleaner: Arc<Cleaner>,
    places: Mutex<Places>,
}

/// Places as they are now.
#[derive(Debug, Clone)]
struct Places {
    /// Rounds of refining so far.
    round: usize,
    is_final: bool,
    all: Arc<Vec<[f32; 2]>>,
}

impl PhotoMap {
    /// The map of a folder: the one that is kept, or a new one, which refines itself from then on, and says so by `tell`.
    pub(crate) fn of(
        kept: &mut Kept,
        cleaner: &Arc<Cleaner>,
        cache: &Arc<Cache>,
        tell: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        if let Some(map) = kept.as_ref().filter(|map| Arc::ptr_eq(&map.cleaner, cleaner)) {
            return Arc::clone(map);
        }
        let name = kept_name(cleaner);
        let places = match read(cache.read(KIND, &name), cleaner.features().0.len()) {
            Some(all) => Places { round: 0, is_final: true, all: Arc::new(all) },
            None => {
                Places { round: 0, is_final: false, all: Arc::new(principal_plane(cleaner.features().1)) }
            }
        };
        let is_final = places.is_final;
        let map = Arc::new(Self { cleaner: Arc::clone(cleaner), places: Mutex::new(places) });
        *kept = Some(Arc::clone(&map));
        if !is_final {
            map.refine(name, Arc::clone(cache), tell);
        }
        map
    }

    /// For each of these photos, by its path, two numbers of 16 bits, little endian: how far right and how far down it lies. 65535
    /// where it has no place. With them how many rounds they have seen, and whether they will change no more.
    pub(crate) fn placed<'a>(&self, paths: impl Iterator<Item = &'a Path>) -> (usize, bool, Vec<u8>) {
        let now = self.locked(|places| places.clone());
        let items = self.cleaner.features().0;
        let known: HashMap<&Path, [u16; 2]> =
            items.iter().map(|item| &*item.path).zip(scaled(&now.all)).collect();
        let bytes = |path: &Path| known.get(path).copied().unwrap_or([u16::MAX; 2]).map(u16::to_le_bytes);
        (now.round, now.is_final, paths.flat_map(bytes).flatten().collect())
    }

    fn refine(self: &Arc<Self>, name: String, cache: Arc<Cache>, tell: impl Fn() + Send + Sync + 'static) {
        let map = Arc::clone(self);
        let refining = move || {
            let start = Arc::clone(&map.locked(|places| places.clone()).all);
            let mut told = Instant::now();
            let refined = catch_unwind(AssertUnwindSafe(|| {
                similarity_plane(map.cleaner.features().1, &start, |round, all| {
                    if told.elapsed() > PAUSE && round > 20 {
                        told = Instant::now();
                        map.set(Places { round, is_final: false, all: Arc::new(all.to_vec()) });
                        tell();
                    }
                })
            }));
            // Without it, the places at once are the map.
            let all = refined.ok().and_then(Result::ok).map_or(start, Arc::new);
            keep(&cache, &name, &all);
            map.set(Places { round: usize::MAX, is_final: true, all });
            tell();
        };
        // A machine without a thread to spare shows the first places.
        let _ = thread::Builder::new().name("map".to_owned()).spawn(refining);
    }

    fn set(&self, places: Places) {
        self.locked(|kept| *kept = places);
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Places) -> T) -> T {
        work(&mut self.places.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Places in numbers of 16 bits, the wider axis over all of them.
fn scaled(places: &[[f32; 2]]) -> impl Iterator<Item = [u16; 2]> {
    let range = |axis: usize| {
        places.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], place| {
            [low.min(place[axis]), high.max(place[axis])]
        })
    };
    let [x, y] = [0, 1].map(range);
    let wider = (x[1] - x[0]).max(y[1] - y[0]).max(f32::MIN_POSITIVE);
    let middle = [x, y].map(|[low, high]| f32::midpoint(low, high));
    places.iter().map(move |place| {
        [0, 1].map(|axis| (((place[axis] - middle[axis]) / wider + 0.5) * HIGHEST).clamp(0.0, HIGHEST) as u16)
    })
}

/// What a map was computed from, as a name.
fn kept_name(cleaner: &Cleaner) -> String {
    let (items, features) = cleaner.features();
    let mut hash = blake3::Hasher::new();
    hash.update(cleaner.networks().as_bytes());
    hash.update(&features.width.to_le_bytes());
    for item in items {
        hash.update(&item.content.0);
    }
    hash.finalize().to_hex()[..32].to_owned()
}

/// The places that were kept, if they are of as many photos.
fn read(kept: Option<Vec<u8>>, items: usize) -> Option<Vec<[f32; 2]>> {
    let bytes = kept?;
    let number = |bytes: &[u8]| Some(f32::from_le_bytes(bytes.try_into().ok()?));
    let places: Option<Vec<[f32; 2]>> =
        bytes.chunks(8).map(|pair| Some([number(pair.get(..4)?)?, number(pair.get(4..)?)?])).collect();
    places.filter(|places| places.len() == items && places.iter().flatten().all(|value| value.is_finite()))
}

fn keep(cache: &Cache, name: &str, places: &[[f32; 2]]) {
    if places.iter().flatten().all(|value| value.is_finite()) {
        let bytes: Vec<u8> = places.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        cache.keep(KIND, name, &bytes);
    }
}

/// Where the map of a workspace is kept while it is open.
pub(crate) type Kept = Option<Arc<PhotoMap>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_fill_the_wider_axis_and_keep_their_shape() {
        let places: Vec<[u16; 2]> = scaled(&[[-2.0, 0.0], [2.0, 1.0], [0.0, 0.5]]).collect();
        assert_eq!(places, [[0, 24575], [65534, 40958], [32767, 32767]]);
        assert!(scaled(&[[3.0, 3.0]]).all(|place| place == [32767, 32767]));
        assert_eq!(scaled(&[]).count(), 0);
    }
}
