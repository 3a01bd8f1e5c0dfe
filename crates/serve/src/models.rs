//! The models that a server has, by name. In: files. Out: queues before them; a file that changes is loaded again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use sciurus::{Error, Predictor};

use crate::fault::Fault;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::settings::ServeSettings;

/// How a model is made from its file.
type Load = dyn Fn(&Path) -> Result<Predictor, Error> + Send + Sync;

/// Models, ready to predict. A clone is the same models.
#[derive(Debug, Clone)]
pub struct Models(Arc<Inner>);

struct Inner {
    models: BTreeMap<String, Model>,
    /// The name of the first, which requests mean that name none.
    first: String,
    settings: ServeSettings,
    intake: Intake,
    metrics: Arc<Metrics>,
    load: Box<Load>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Models").field("models", &self.models).field("settings", &self.settings).finish()
    }
}

/// A model with its queue.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) queue: Queue,
    path: PathBuf,
    stamp: Mutex<Option<Stamp>>,
}

/// What tells a file from the one that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    bytes: u64,
}

/// What became of a model's file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reloaded {
    /// It is the same as before.
    Same,
    /// It was loaded.
    Loaded,
    /// It cannot be loaded; the model before goes on.
    Failed(Error),
}

/// Why models cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelsError {
    /// A model cannot be loaded.
    #[error(transparent)]
    Model(#[from] Error),
    /// Two models have the same name, a name is none, or there is no model.
    #[error("{0}")]
    Name(String),
    /// The machine lacks a thread.
    #[error("a thread for a model cannot be started")]
    Thread(#[source] std::io::Error),
}

impl Models {
    /// Loads models from their files, each under a name. A request that names no model means the first.
    ///
    /// # Errors
    /// There is none, a file cannot be loaded, or a name occurs twice or is not made of letters, digits, `.`, `_` and `-`.
    pub fn load(
        files: &[(String, PathBuf)],
        settings: ServeSettings,
        load: impl Fn(&Path) -> Result<Predictor, Error> + Send + Sync + 'static,
    ) -> Result<Self, ModelsError> {
        let refuse = |why: String| Err(ModelsError::Name(why));
        let Some((first, _)) = files.first() else { return refuse("there is no model to serve".to_owned()) };
        let metrics = Arc::new(Metrics::default());
        let mut models = BTreeMap::new();
        for (name, path) in files {
            let is_plain = |one: char| one.is_ascii_alphanumeric() || "._-".contains(one);
            if name.is_empty() || !name.chars().all(is_plain) {
                return refuse(format!(
                    "`{}` is no name for a model; use letters, digits, `.`, `_` and `-`: NAME={}",
                    name.escape_default(),
                    path.display()
                ));
            }
            if models.contains_key(name) {
                return refuse(format!(
                    "two models are called {name}; name one of them otherwise: NAME={}",
                    path.display()
                ));
            }
            let stamp = Mutex::new(Stamp::of(path));
            let queue =
                Queue::start(load(path)?, &settings, Arc::clone(&metrics)).map_err(ModelsError::Thread)?;
            models.insert(name.clone(), Model { name: name.clone(), queue, path: path.clone(), stamp });
        }
        let (first, load, intake) = (first.clone(), Box::new(load), Intake::new(&settings));
        Ok(Self(Arc::new(Inner { models, first, settings, intake, metrics, load })))
    }

    /// Loads models again whose files have changed; with `all`, every one. One that cannot be loaded goes on as it was.
    pub fn reload(&self, which: Reload) -> Vec<(String, Reloaded)> {
        let reload = |model: &Model| {
            let now = Stamp::of(&model.path);
            let mut stamp = model.stamp.lock().unwrap_or_else(PoisonError::into_inner);
            if which == Reload::Changed && (now == *stamp || now.is_none()) {
                return Reloaded::Same;
            }
            // Also if it fails: it is not tried again before it changes.
            *stamp = now;
            match (self.0.load)(&model.path) {
                Ok(predictor) => {
                    model.queue.replace(predictor);
                    Reloaded::Loaded
                }
                Err(error) => Reloaded::Failed(error),
            }
        };
        self.all().map(|model| (model.name.clone(), reload(model))).collect()
    }

    /// The names of the models.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.models.keys().map(String::as_str)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Model> {
        self.0.models.values()
    }

    /// The model of a name; the first for those who name none.
    pub(crate) fn named(&self, name: Option<&str>) -> Result<&Model, Fault> {
        let name = name.unwrap_or(&self.0.first);
        self.0.models.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.names().collect();
            Fault::Missing(format!("there is no model of this name here; there are {}", known.join(", ")))
        })
    }

    pub(crate) fn settings(&self) -> &ServeSettings {
        &self.0.settings
    }

    pub(crate) fn intake(&self) -> &Intake {
        &self.0.intake
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

/// Which models are loaded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// Those whose files have changed.
    Changed,
    /// Every one.
    All,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        Some(Self { modified: meta.modified().ok()?, bytes: meta.len() })
    }
}
