//! A gather run. In: a checked [`Gather`](crate::Gather). Out: photos in the folder, and [`Gathered`].
//!
//! Photos are downloaded in parallel but decided in order: at most `at_a_time` are on their way, the first of them is
//! decided next, and then another one starts. So the result depends on what sources and hosts return, but not on how
//! fast. And a run that was killed ends with the same folder, if it gets the same responses.

mod arrive;
mod class;
mod keep;
mod part;
mod work;

use crate::blocking::runtime;
use crate::error::GatherError;
use crate::event::{Control, Events, GatherEvent, GatherObserver};
use crate::gather::Gather;
use crate::journal::{Journal, LOCAL};
use crate::names;
use crate::source::Query;
use crate::sources::{self, SourceSpec};
use crate::summary::{Ending, Gathered};
use crate::web::{ApiContext, Fetcher};
use arrive::FetchContext;
use class::Class;
use keep::Kept;
pub(crate) use keep::finish;
pub(crate) use part::{Part, remove_folder as remove_parts};
use sciurus_data::BadOption;
use sciurus_data::ContentHash;
use sciurus_data::fs::Root;
use sciurus_photos::Ledger;
use sciurus_photos::SourceId;
use sciurus_photos::write_attribution;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use work::{Named, Work};

/// A run that is ready to start.
#[derive(Debug)]
pub struct GatherRun {
    settings: Gather,
    /// The folder of each class.
    folders: Vec<String>,
}

impl Gather {
    /// Checks the options.
    ///
    /// # Errors
    /// An option can't be used, two classes would share a folder, or a source needs a key that isn't set.
    pub fn build(self) -> Result<GatherRun, GatherError> {
        let wrong =
            |option, value: String, advice| Err(GatherError::Option(BadOption { option, value, advice }));
        if self.classes.is_empty() {
            return wrong("classes", "empty".into(), "name at least one thing to search for");
        }
        if self.into.is_file() {
            let file = self.into.display().to_string();
            return wrong("into", file, "choose a folder; there is a file of that name");
        }
        if self.per_class == 0 {
            return wrong("per_class", "0".into(), "choose 1 or more");
        }
        if self.sources.is_empty() && self.own_sources.is_empty() {
            return wrong("sources", "empty".into(), "name at least one source");
        }
        let mut folders: Vec<String> = Vec::new();
        for class in &self.classes {
            let Some(folder) = names::folder(&class.name) else {
                return wrong(
                    "class",
                    format!("\"{}\"", class.name),
                    "give the class a name with letters or digits",
                );
            };
            if class.terms.is_empty() {
                return wrong("class", class.name.clone(), "say what to search for after the `=`");
            }
            if folders.iter().any(|known| known.to_lowercase() == folder.to_lowercase()) {
                return wrong(
                    "class",
                    class.name.clone(),
                    "another class has the same folder; rename one of them",
                );
            }
            folders.push(folder);
        }
        GatherRun::new(self, folders)
    }
}

impl GatherRun {
    pub(crate) fn new(settings: Gather, folders: Vec<String>) -> Result<Self, GatherError> {
        let run = Self { settings, folders };
        // Opening the sources reports a missing key now.
        let web = Arc::new(run.settings.web.clone());
        run.open_sources(&ApiContext::new(
            &web,
            run.settings.seed,
            &Events::new(|_: &GatherEvent| Control::Continue),
        )?)?;
        Ok(run)
    }

    /// Gathers on a runtime of its own, for programs that have none.
    ///
    /// # Errors
    /// As for [`GatherRun::run`], or threads can't be started.
    pub fn run_blocking(&self, observer: impl GatherObserver + 'static) -> Result<Gathered, GatherError> {
        runtime()?.block_on(self.run(observer))
    }

    /// Gathers. Needs tokio's time and network. Where sources or photos fail, others fill in; if the run falls short,
    /// its result says so.
    ///
    /// # Errors
    /// The folder can't be written, its ledger can't be understood, or another run is gathering into it.
    pub async fn run(&self, observer: impl GatherObserver + 'static) -> Result<Gathered, GatherError> {
        let settings = &self.settings;
        let root = &settings.into;
        let folder = Arc::new(Root::create(root)?);
        let events = Events::new(observer);
        let web = Arc::new(settings.web.clone());
        let way = ApiContext::new(&web, settings.seed, &events)?;
        let sources = self.open_sources(&way)?;
        // Lock the folder before anything in it is read or repaired.
        let _lock = sciurus_photos::lock_gathering(&folder)?;
        let ledger = Ledger::open(root)?;
        let journal = Journal::open(&folder, &self.fingerprint(), &self.rules(), ledger.entries().len())?;
        let kept = Kept::open(&folder, &ledger, (settings.duplicates, &settings.limits))?;
        let road = Arc::new(FetchContext {
            fetcher: Fetcher::new(web)?,
            decoders: Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from))),
            limits: settings.limits,
            min_size: settings.min_size,
            folder: Arc::clone(&folder),
        });
        let mut work = Work::new(settings, sources, (kept, journal), road, events);
        work.begin(self.classes(&work.source_ids()));
        let ending = work.drive().await?;
        self.finish(&mut work, ending)
    }

    fn open_sources(&self, way: &ApiContext) -> Result<Vec<Named>, GatherError> {
        let settings = &self.settings;
        let mut opened = Vec::new();
        for spec in &settings.sources {
            let name = match spec {
                SourceSpec::Service(id) => id.to_string(),
                SourceSpec::Local(id, path) => format!("{LOCAL}{id} {}", path.display()),
            };
            let source = sources::source(spec, &settings.keys, &settings.endpoints, way)?;
            opened.push(Named { name, source });
        }
        let own = settings.own_sources.iter().enumerate();
        opened.extend(own.map(|(number, source)| {
            let name = format!("{LOCAL}own {number}");
            Named { name, source: Arc::clone(source) }
        }));
        Ok(opened)
    }

    fn classes(&self, sources: &[SourceId]) -> Vec<Class> {
        let settings = &self.settings;
        let classes = settings.classes.iter().zip(&self.folders).map(|(class, folder)| {
            let (name, terms) = (class.name.clone(), class.terms.clone());
            let query = Query { class: name, terms, licences: settings.licences.clone() };
            Class::new(query, folder.clone(), settings.per_class, sources)
        });
        classes.collect()
    }

    fn finish(&self, work: &mut Work<'_>, ending: Ending) -> Result<Gathered, GatherError> {
        let root = &self.settings.into;
        if matches!(ending, Ending::Complete | Ending::Short) {
            work.journal.ended()?;
        }
        // Removes only an empty folder: somebody may have put something there.
        let folder = work.kept.root();
        part::remove_folder(folder);
        let ledger = work.kept.ledger();
        let attribution = write_attribution(ledger, root)?;
        sciurus_photos::sync_ledger(folder);
        let mut licences = BTreeMap::new();
        ledger.entries().iter().for_each(|entry| *licences.entry(entry.licence).or_default() += 1);
        let classes = work.classes.iter().map(Class::summary).collect();
        Ok(Gathered { folder: root.clone(), classes, ending, licences, attribution })
    }

    /// What distinguishes this run from another one in the same folder.
    fn fingerprint(&self) -> String {
        let settings = &self.settings;
        let own = settings.own_sources.len();
        let asked = (&settings.classes, settings.per_class, &settings.sources, own, self.rules());
        ContentHash::of(&serde_json::to_vec(&asked).unwrap_or_default()).to_string()
    }

    /// What decides whether a photo is rejected.
    fn rules(&self) -> String {
        let settings = &self.settings;
        let rules = (&settings.licences, settings.min_size, settings.duplicates);
        ContentHash::of(&serde_json::to_vec(&rules).unwrap_or_default()).to_string()
    }
}
