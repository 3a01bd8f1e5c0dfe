//! One pass over photos for several bodies: each photo is decoded once, while the networks compute those before it.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use sciurus_data::{ContentHash, RgbImage};

use super::Embedder;
use super::cache::Cache;

/// Photos that are decoded together, and embedded together.
const BATCH: usize = 32;

/// Several bodies with their caches.
pub(crate) struct Bodies<'e> {
    embedders: &'e [Embedder],
    caches: Vec<Cache>,
    /// Which photos are prepared already, and for which body.
    prepared: Mutex<HashSet<(usize, ContentHash)>>,
}

/// The pixels of a photo as one body sees it.
pub(crate) struct BodyPixels {
    body: usize,
    content: ContentHash,
    /// `[3, size, size]`.
    values: Vec<f32>,
}

impl<'e> Bodies<'e> {
    pub(crate) fn open(embedders: &'e [Embedder]) -> Self {
        let caches = embedders.iter().map(Embedder::open_cache).collect();
        Self { embedders, caches, prepared: Mutex::default() }
    }

    /// Whether some body has not seen a photo.
    pub(crate) fn want(&self, content: &ContentHash) -> bool {
        (0..self.caches.len()).any(|body| self.row(body, content).is_none())
    }

    /// A photo for each body that has not seen it, the first time that it is asked for.
    pub(crate) fn pixels(&self, content: &ContentHash, image: &RgbImage) -> Vec<BodyPixels> {
        let is_first = |body: usize| {
            self.prepared.lock().unwrap_or_else(PoisonError::into_inner).insert((body, *content))
        };
        let lacking = (0..self.embedders.len()).filter(|&body| self.row(body, content).is_none());
        let prepare = |body: usize| {
            let values = self.embedders[body].pipeline.tensor(image.clone());
            BodyPixels { body, content: *content, values }
        };
        lacking.filter(|&body| is_first(body)).map(prepare).collect()
    }

    /// Looks at all items, on all threads, and embeds what that brings for the bodies. `done` gets what `look` says about each batch
    /// of items, in their order, and may break off: what is embedded by then is kept.
    pub(crate) fn pass<T: Sync, R: Send>(
        &self,
        items: &[T],
        look: &(impl Fn(&T) -> (R, Vec<BodyPixels>) + Sync),
        done: &mut dyn FnMut(Vec<R>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        std::thread::scope(|scope| {
            // Photos are decoded while the networks compute.
            let (sender, receiver) = sync_channel(2);
            scope.spawn(move || {
                let batches = items.chunks(BATCH).map(|batch| batch.par_iter().map(look).collect());
                // Sending fails only if the receiver is dropped, after somebody broke off.
                let _: Result<(), _> = batches.into_iter().try_for_each(|batch: Vec<_>| sender.send(batch));
            });
            for batch in receiver {
                let (said, pixels): (Vec<R>, Vec<Vec<BodyPixels>>) = batch.into_iter().unzip();
                self.embed(pixels.into_iter().flatten().collect());
                done(said)?;
            }
            ControlFlow::Continue(())
        })
    }

    fn embed(&self, pixels: Vec<BodyPixels>) {
        let mut of_body: Vec<(Vec<ContentHash>, Vec<f32>)> = vec![Default::default(); self.embedders.len()];
        for BodyPixels { body, content, values } in pixels {
            of_body[body].0.push(content);
            of_body[body].1.extend(values);
        }
        for ((embedder, cache), (contents, pixels)) in self.embedders.iter().zip(&self.caches).zip(of_body) {
            let images = contents.len();
            cache.keep(&contents, &embedder.features(pixels, images));
        }
    }

    /// What a body makes of a photo; `None` if it has not seen it.
    pub(crate) fn row(&self, body: usize, content: &ContentHash) -> Option<Vec<f32>> {
        self.caches[body].row(content)
    }

    /// What was wrong with the caches, if anything.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.caches.iter().filter_map(Cache::fault).collect()
    }
}
