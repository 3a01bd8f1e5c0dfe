//! What a model knows when it has trained: features of its photos, by which a picture of none of the classes is told.

use std::path::PathBuf;

use rand::RngExt;
use rand::seq::SliceRandom;
use sciurus_data::{ImageItem, Seed, Split};

use super::Learner;
use super::event::Event;
use super::instant::{Features, groups};
use crate::Error;
use crate::embed::Embedder;
use crate::predict::KnownPhotos;

/// The stream of random numbers by which photos are chosen.
const STREAM: u64 = 21;

impl Learner {
    /// What the model knows of its photos, with the similarity that a new picture must have, and which photos these are, in the order
    /// of the rows. The similarity is chosen by the validation photos or, where only the head was fitted, by leaving each photo out.
    /// `None` for multi-label models, and where there are too few photos.
    pub(crate) fn known_photos(&mut self) -> Result<Option<(KnownPhotos, Vec<PathBuf>)>, Error> {
        if self.loaders.dataset().is_multi_label() {
            return Ok(None);
        }
        let preprocessing = *self.loaders.preprocessing();
        let body = Embedder::of(&self.model(), self.arch, &self.weights, &preprocessing)?;
        let seed = Seed(self.seed().rng(&[STREAM]).random());
        let (known, photos) = match self.instant {
            Some(_) => {
                let items = self.items(|split| split != Split::Test);
                let Some(Features { items, embeddings, .. }) = self.seen(&body, items)? else {
                    return Ok(None);
                };
                let rows = some((0..items.len()).collect(), seed);
                let known = KnownPhotos::out_of_fold(&embeddings, &groups(&items), &rows);
                (known, rows.into_iter().map(|row| items[row].path.clone()).collect())
            }
            None => {
                // A body that has trained is like no other, so its features are not cached.
                let body = body.cache_folder(None).precision(self.precision());
                let of = |split| some(self.items(|one| one == split), seed);
                let [train, valid] = [of(Split::Train), of(Split::Valid)];
                let Some(train) = self.seen(&body, train)? else { return Ok(None) };
                let Some(valid) = self.seen(&body, valid)? else { return Ok(None) };
                let known = KnownPhotos::new(&train.embeddings, &valid.embeddings);
                (known, train.items.into_iter().map(|item| item.path).collect())
            }
        };
        Ok(known.map(|known| (known, photos)))
    }

    fn items(&self, wanted: impl Fn(Split) -> bool) -> Vec<ImageItem> {
        self.loaders.dataset().items.iter().filter(|item| wanted(item.split)).cloned().collect()
    }

    /// The features of photos; `None` if there are none, or none that can be read, which has been told before.
    fn seen(&mut self, body: &Embedder, items: Vec<ImageItem>) -> Result<Option<Features>, Error> {
        let total = items.len();
        if total == 0 {
            return Ok(None);
        }
        let tell = |done, _| vec![Event::PhotosEmbedded { done, total }];
        // Whoever stopped the training wants its model whole.
        match self.features(body, items, (tell, |_| false)) {
            Ok(seen) => Ok(Some(seen)),
            Err(Error::NothingReadable { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// As many as a model keeps, chosen at random, in their order.
fn some<T>(items: Vec<T>, seed: Seed) -> Vec<T> {
    let mut places: Vec<usize> = (0..items.len()).collect();
    places.shuffle(&mut seed.rng(&[]));
    let mut is_chosen = vec![false; items.len()];
    places.iter().take(KnownPhotos::MOST).for_each(|&place| is_chosen[place] = true);
    items.into_iter().zip(is_chosen).filter(|(_, chosen)| *chosen).map(|(item, _)| item).collect()
}
