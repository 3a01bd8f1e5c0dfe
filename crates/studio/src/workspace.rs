//! A folder that is being worked on: what is known of it, the decisions about it, and its runs. In: the folder. Out: everything
//! that pages show.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use sciurus::clean::plan::recover;
use sciurus::data::DataSettings;
use sciurus::{Cleaner, Predictor, Run, RunRecord};
use serde_json::json;

use crate::access::Access;
use crate::adding::Adding;
use crate::cache::Cache;
use crate::desk::Desk;
use crate::fault::Fault;
use crate::gathering::Gathering;
use crate::jobs::{Job, JobKind, JobState, Jobs};
use crate::map::{self, PhotoMap};
use crate::near::Near;
use crate::pictures::Pictures;
use crate::project::Project;
use crate::services::Services;

/// A folder and everything around it. Cloning it costs nothing: all clones are the same workspace.
#[derive(Debug, Clone)]
pub struct Workspace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    access: Access,
    jobs: Arc<Jobs>,
    listing: RwLock<Listing>,
    desk: Mutex<Option<Desk>>,
    map: Mutex<map::Kept>,
    near: Mutex<Option<Arc<Near>>>,
    cache: Arc<Cache>,
    pictures: Arc<Pictures>,
    predictor: Mutex<Option<(PathBuf, Arc<Predictor>)>>,
    changes: AtomicU64,
    services: Mutex<Arc<Services>>,
    gathering: Arc<Gathering>,
    adding: Adding,
}

/// What is known of the folder.
#[derive(Debug, Clone)]
pub(crate) enum Listing {
    /// It is being read.
    Reading,
    /// It was read.
    Ready(Arc<Project>),
    /// It is no data set; the text says why and what to do.
    Refused(String),
}

/// A run on the folder's photos.
#[derive(Debug, Clone)]
pub(crate) struct KnownRun {
    pub(crate) run: Run,
    pub(crate) record: RunRecord,
}

impl KnownRun {
    /// The name of its folder.
    pub(crate) fn name(&self) -> String {
        self.run.folder().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Whether it has a model.
    pub(crate) fn is_finished(&self) -> bool {
        !self.record.metrics.is_empty() && self.run.model_path().is_file()
    }
}

impl Workspace {
    /// Opens a folder, and begins to read it.
    ///
    /// # Errors
    /// It does not exist, or no thread can be started.
    pub fn open(folder: impl AsRef<Path>, access: Access) -> Result<Self, Fault> {
        let missing =
            |_| Fault::Missing(format!("{} does not exist; check its spelling", folder.as_ref().display()));
        let folder = folder.as_ref().canonicalize().map_err(missing)?;
        let cache = Arc::new(Cache::of_user());
        let workspace = Self(Arc::new(Inner {
            folder,
            access,
            jobs: Arc::new(Jobs::new()),
            listing: RwLock::new(Listing::Reading),
            desk: Mutex::default(),
            map: Mutex::default(),
            near: Mutex::default(),
            pictures: Arc::new(Pictures::new(Arc::clone(&cache))),
            cache,
            predictor: Mutex::default(),
            changes: AtomicU64::new(0),
            services: Mutex::default(),
            gathering: Arc::new(Gathering::new()),
            adding: Adding::default(),
        }));
        workspace.read_folder()?;
        Ok(workspace)
    }

    /// The folder of photos.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Who may use it, and where.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// Names who is asked for photos, and how; without it, the services that need no key, at their usual places.
    pub fn ask(&self, services: Services) {
        *self.0.services.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(services);
    }

    pub(crate) fn services(&self) -> Arc<Services> {
        Arc::clone(&self.0.services.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is being gathered, and was.
    pub(crate) fn gathering(&self) -> &Arc<Gathering> {
        &self.0.gathering
    }

    /// Photos that somebody brings.
    pub(crate) fn adding(&self) -> &Adding {
        &self.0.adding
    }

    /// Reads the folder, again if it was read before.
    pub(crate) fn read_folder(&self) -> Result<u64, Fault> {
        let workspace = self.clone();
        self.jobs().start(JobKind::List, move |job| {
            // What was looked at may be gone.
            *workspace.desk() = None;
            // What a crash interrupted is finished first: the photos have other places then.
            if let Err(error) = recover(workspace.folder()) {
                job.say(Fault::told(&error));
            }
            Ok(workspace.read_now(job))
        })
    }

    /// Reads the folder, as a part of a job. Says what came of it.
    pub(crate) fn read_now(&self, job: &Job) -> String {
        let for_progress = job.clone();
        let on_progress = move |progress| for_progress.progress("reading the folder", progress);
        let (listing, told) = match self.settings().dataset().on_progress(on_progress).build() {
            Ok(dataset) => {
                let told = format!("{} photos read", dataset.items.len());
                (Listing::Ready(Arc::new(Project::new(dataset))), told)
            }
            Err(error) => {
                (Listing::Refused(Fault::told(&error)), "this folder is no data set yet".to_owned())
            }
        };
        *self.0.listing.write().unwrap_or_else(PoisonError::into_inner) = listing;
        self.tell("folder");
        told
    }

    /// Tells all pages that something has changed.
    pub(crate) fn tell(&self, what: &str) {
        let changes = self.0.changes.fetch_add(1, Ordering::Relaxed) + 1;
        self.jobs().tell(&json!({ "event": what, "changes": changes }));
    }

    /// How many changes there were. A page that was made before the last of them asks anew.
    pub(crate) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Relaxed)
    }

    /// The model of the newest run may be another one now, under the same name.
    pub(crate) fn forget_predictor(&self) {
        *self.0.predictor.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.0.near.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn settings(&self) -> DataSettings {
        DataSettings::new(self.folder())
    }

    pub(crate) fn listing(&self) -> Listing {
        self.0.listing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The folder as it was read.
    pub(crate) fn project(&self) -> Result<Arc<Project>, Fault> {
        match self.listing() {
            Listing::Ready(project) => Ok(project),
            Listing::Reading => Err(Fault::NotYet),
            Listing::Refused(why) => Err(Fault::Missing(why)),
        }
    }

    /// What is being done and what was done, the newest last.
    #[must_use]
    pub fn job_states(&self) -> Vec<JobState> {
        self.jobs().all()
    }

    pub(crate) fn jobs(&self) -> &Arc<Jobs> {
        &self.0.jobs
    }

    pub(crate) fn pictures(&self) -> &Arc<Pictures> {
        &self.0.pictures
    }

    /// The review of the folder, if its photos were looked at. Waits while another request decides.
    pub(crate) fn desk(&self) -> MutexGuard<'_, Option<Desk>> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The map of the photos: as it was when a page asked for it first, and better each time.
    pub(crate) fn map(&self, cleaner: &Arc<Cleaner>) -> Arc<PhotoMap> {
        let mut kept = self.0.map.lock().unwrap_or_else(PoisonError::into_inner);
        let here = self.clone();
        PhotoMap::of(&mut kept, cleaner, &self.0.cache, move || here.tell("map"))
    }

    /// What a run's model sees in the folder; it looks when this is asked for first.
    pub(crate) fn near(&self, run: &KnownRun) -> Result<Arc<Near>, Fault> {
        let (project, predictor) = (self.project()?, self.predictor(run)?);
        let mut kept = self.0.near.lock().unwrap_or_else(PoisonError::into_inner);
        let here = self.clone();
        let model = run.run.model_path();
        Near::of(&mut kept, project, (&model, predictor.manifest().arch), move || here.tell("near"))
    }

    /// Tells this studio from one before it.
    pub(crate) fn instance(&self) -> &str {
        self.0.access.instance()
    }

    /// The runs on this folder's photos in `runs`, the newest first. What is no run of ours is passed over.
    pub(crate) fn runs(&self) -> Vec<KnownRun> {
        let entries = std::fs::read_dir("runs").into_iter().flatten().filter_map(Result::ok);
        let known = entries.map(|entry| entry.path()).filter(|path| Run::is_at(path)).filter_map(|path| {
            let run = Run::open(path).ok()?;
            let record = run.record().ok()?;
            let photos = record.settings.data.folder.canonicalize();
            (photos.is_ok_and(|photos| photos == self.0.folder)).then_some(KnownRun { run, record })
        });
        let mut runs: Vec<KnownRun> = known.collect();
        let began = |known: &KnownRun| {
            std::fs::metadata(known.run.folder().join("config.toml")).and_then(|file| file.modified()).ok()
        };
        runs.sort_by_cached_key(|known| std::cmp::Reverse((began(known), known.name())));
        runs
    }

    /// The newest run that has a model.
    pub(crate) fn newest_run(&self) -> Option<KnownRun> {
        self.runs().into_iter().find(KnownRun::is_finished)
    }

    /// The model of a run, ready to use.
    pub(crate) fn predictor(&self, run: &KnownRun) -> Result<Arc<Predictor>, Fault> {
        let mut kept = self.0.predictor.lock().unwrap_or_else(PoisonError::into_inner);
        let path = run.run.model_path();
        if let Some((_, predictor)) = kept.as_ref().filter(|(of, _)| *of == path) {
            return Ok(Arc::clone(predictor));
        }
        let predictor = Arc::new(Predictor::load(&path)?);
        *kept = Some((path, Arc::clone(&predictor)));
        Ok(predictor)
    }
}
