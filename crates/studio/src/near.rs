//! The photos of the folder that a model finds most like another photo: evidence for what it says. In: a model, a folder. Out: for the
//! features of a photo, its nearest neighbours.
//!
//! The model looks at the folder's photos in a thread of its own when the page is opened first, and what it saw is cached.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;

use sciurus::data::Views;
use sciurus::{Arch, EmbedItem, Embedder, WeightPlaces, WeightSource};
use serde::Serialize;

use crate::fault::Fault;
use crate::project::Project;

/// Photos that are named.
const NAMED: usize = 6;

/// What a model sees in the photos of a folder.
#[derive(Debug)]
pub(crate) struct Near {
    model: PathBuf,
    project: Arc<Project>,
    /// For each photo its features at length 1; none for those that cannot be read. Empty until the model has looked.
    rows: OnceLock<Vec<Option<Vec<f32>>>>,
}

/// A photo that is like another one.
#[derive(Debug, Serialize)]
pub(crate) struct Neighbour {
    content: String,
    label: String,
    path: String,
    /// How alike they are (-1 to 1).
    cosine: f32,
}

impl Near {
    /// What a model, of a file and an architecture, sees in a folder: what is kept, or a new one, which begins to look, and says by
    /// `tell` that it has.
    pub(crate) fn of(
        kept: &mut Option<Arc<Self>>,
        project: Arc<Project>,
        (model, arch): (&Path, Arch),
        tell: impl Fn() + Send + 'static,
    ) -> Result<Arc<Self>, Fault> {
        let is_it = |near: &&Arc<Self>| near.model == model && Arc::ptr_eq(&near.project, &project);
        if let Some(near) = kept.as_ref().filter(is_it) {
            return Ok(Arc::clone(near));
        }
        let near = Arc::new(Self { model: model.to_owned(), project, rows: OnceLock::new() });
        *kept = Some(Arc::clone(&near));
        let looking = Arc::clone(&near);
        let look = move || {
            // Without neighbours, the model still says what it sees.
            if let Ok(rows) = looking.look(arch) {
                let _ = looking.rows.set(rows);
                tell();
            }
        };
        thread::Builder::new().name("near".to_owned()).spawn(look).map_err(|_| Fault::Failed)?;
        Ok(near)
    }

    /// The photos with the nearest features; `None` while the model still looks.
    pub(crate) fn nearest(&self, features: &[f32]) -> Option<Vec<Neighbour>> {
        let wanted = unit(features);
        let cosine = |row: &Vec<f32>| row.iter().zip(&wanted).map(|(a, b)| a * b).sum::<f32>();
        let dataset = &self.project.dataset;
        let rows = self.rows.get()?.iter().zip(&dataset.items);
        let mut near: Vec<_> = rows.filter_map(|(row, item)| Some((cosine(row.as_ref()?), item))).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.dedup_by_key(|(_, item)| item.content);
        let named = |(cosine, item): &(f32, &sciurus::data::ImageItem)| Neighbour {
            content: item.content.to_string(),
            label: dataset.label(item),
            path: item.path.to_string_lossy().into_owned(),
            cosine: *cosine,
        };
        Some(near.iter().take(NAMED).map(named).collect())
    }

    fn look(&self, arch: Arch) -> Result<Vec<Option<Vec<f32>>>, sciurus::Error> {
        let source = WeightSource::File(self.model.clone());
        let places = WeightPlaces { offline: true, ..WeightPlaces::from_environment() };
        // As a predictor looks at one photo.
        let embedder = Embedder::new(arch, &source, &places, &mut |_| ())?.views(Views::Plain);
        let dataset = &self.project.dataset;
        let items: Vec<EmbedItem> = dataset
            .items
            .iter()
            .map(|item| EmbedItem { path: dataset.path(item), content: item.content })
            .collect();
        let rows = embedder.embed(&items, &mut |_| ControlFlow::Continue(()))?.rows;
        Ok(rows.into_iter().map(|row| row.map(|row| unit(&row))).collect())
    }
}

/// The same direction at length 1.
fn unit(features: &[f32]) -> Vec<f32> {
    let length = features.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    features.iter().map(|value| value / length).collect()
}
