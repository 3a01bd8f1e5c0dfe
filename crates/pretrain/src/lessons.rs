//! What teachers say of photos, looked up instead of computed anew in each epoch. In: teachers and photos. Out: a [`Teacher`] that
//! knows the principal components of their features.
//!
//! Every teacher looks once at the middle of each photo as it was, not at the small copy that the student sees.

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use rayon::prelude::*;
use sciurus::clean::find::PrincipalComponents;
use sciurus::data::{Batch, ContentHash, Views};
use sciurus::{
    Arch, DataLoaders, EmbedItem, Embedder, Error, Lesson, Teacher, TeacherRecord, WeightPlaces, WeightSource,
};

use crate::collect::Photo;
use crate::say;

/// Principal components that the student learns, of each teacher.
const COMPONENTS: usize = 256;
/// The power of its variance that each coordinate is divided by: small directions count, and less than large ones.
const WHITENING: f64 = 0.25;
/// Side of the square that teachers see, in pixels: less than they were trained at, in half of the time.
const SIDE: usize = 160;

/// A teacher whose lessons are in memory.
#[derive(Debug)]
pub(crate) struct StoredTeacher {
    record: TeacherRecord,
    /// Rows `[photo, component]`.
    rows: Vec<f32>,
    place: HashMap<ContentHash, usize>,
    /// For each item of the student's photos its row.
    items: Vec<usize>,
}

/// Lets teachers look at photos; what they have seen is kept in `work`.
pub(crate) fn of(work: &Path, archs: &[Arch], photos: &[Photo]) -> anyhow::Result<Vec<StoredTeacher>> {
    archs.iter().map(|arch| stored(work, *arch, photos)).collect()
}

fn stored(work: &Path, arch: Arch, photos: &[Photo]) -> anyhow::Result<StoredTeacher> {
    let places = WeightPlaces { offline: true, ..WeightPlaces::from_environment() };
    let embedder = Embedder::new(arch, &WeightSource::Pretrained, &places, &mut |_| ())?
        .views(Views::Plain)
        .image_size(SIDE)
        .cache_folder(work.join("embeddings"));
    fs::create_dir_all(work.join("embeddings"))?;
    let items: Vec<EmbedItem> =
        photos.iter().map(|photo| EmbedItem { path: photo.source.clone(), content: photo.content }).collect();
    let mut told = 0;
    let embedded = embedder.embed(&items, &mut |done| {
        if done >= told + 5000 {
            told = done;
            say(&format!("{arch} has seen {done} of {} photos", items.len()));
        }
        ControlFlow::Continue(())
    })?;
    let record =
        TeacherRecord { name: embedder.weights().name.clone(), sha256: embedder.weights().sha256.clone() };
    let seen: Vec<&[f32]> = embedded.rows.iter().flatten().map(Vec::as_slice).collect();
    let principal = PrincipalComponents::fit(&seen, COMPONENTS).whitened(WHITENING);
    let rows: Vec<Vec<f32>> = seen.par_iter().map(|row| principal.project(row)).collect();
    let known = photos.iter().zip(&embedded.rows).filter(|(_, row)| row.is_some());
    let place = known.enumerate().map(|(place, (photo, _))| (photo.content, place)).collect();
    say(&format!("{arch} teaches {} photos", rows.len()));
    Ok(StoredTeacher { record, rows: rows.concat(), place, items: Vec::new() })
}

impl Teacher for StoredTeacher {
    fn prepare(&mut self, loaders: &DataLoaders) -> Result<(), Error> {
        // A photo's copy is named after its content.
        let by_name: HashMap<String, usize> =
            self.place.iter().map(|(content, place)| (content.to_string(), *place)).collect();
        let row = |path: &Path| by_name.get(path.file_stem()?.to_str()?).copied();
        let items = loaders.dataset().items.iter();
        self.items = items.map(|item| row(&item.path).unwrap_or(usize::MAX)).collect();
        Ok(())
    }

    fn width(&self) -> Option<usize> {
        Some(COMPONENTS)
    }

    fn teach(&mut self, batch: &Batch) -> Result<Lesson, Error> {
        let none = vec![0.0; COMPONENTS];
        let row = |place: usize| {
            let start = place.checked_mul(COMPONENTS)?;
            self.rows.get(start..start + COMPONENTS)
        };
        let rows = batch.items.iter().map(|item| row(self.items[item.index()]).unwrap_or(&none));
        Ok(Lesson { logits: None, features: Some(rows.flatten().copied().collect()) })
    }

    fn record(&self) -> TeacherRecord {
        self.record.clone()
    }
}
