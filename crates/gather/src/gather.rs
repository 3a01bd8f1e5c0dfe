//! The settings of a gather run. In: classes, a folder and options. Out: a [`GatherRun`] that is ready, or what is
//! wrong with the options.

use crate::allowed::Licences;
use crate::secret::Keys;
use crate::source::ImageSource;
use crate::sources::{Endpoints, SourceSpec};
use crate::web::WebOptions;
use sciurus_data::{DecodeLimits, Seed};
use sciurus_photos::DuplicateOptions;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A class, and what to search for.
///
/// ```
/// use sciurus_gather::GatherClass;
///
/// let class: GatherClass = "gray=Sciurus carolinensis".parse()?;
/// assert_eq!((class.name.as_str(), class.terms.as_str()), ("gray", "Sciurus carolinensis"));
/// let class: GatherClass = "red squirrel".parse()?;
/// assert_eq!(class.name, class.terms);
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatherClass {
    /// Its name, which is also the name of its folder.
    pub name: String,
    /// Words to search for.
    pub terms: String,
}

impl FromStr for GatherClass {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, terms) = text.split_once('=').unwrap_or((text, text));
        Ok(Self { name: name.trim().to_owned(), terms: terms.trim().to_owned() })
    }
}

/// Returns the time. The default asks the system; tests use their own.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// What to gather, and how.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `per_class` | 150 | photos to keep of each class | 1 or more |
/// | `sources` | Openverse, Commons, iNaturalist, GBIF | the sources to use, taking turns | 1 or more |
/// | `own_source` | none | a source of your own, added after those | any |
/// | `licences` | any known | licences that are allowed | any |
/// | `min_size` | 200 | smallest shorter side, in pixels | any |
/// | `duplicates` | [`DuplicateOptions::default`] | what counts as a copy | see there |
/// | `keys` | none | keys of services; [`Keys::from_env`] reads them | any |
/// | `endpoints` | their usual ones | addresses of the services | any |
/// | `web` | polite | time-outs, limits, contact | see [`WebOptions`] |
/// | `total_time` | no limit | when to stop, keeping what is there by then | above 0 |
/// | `seed` | 42 | seed of the pauses between attempts | any |
/// | `clock` | the system's | the clock for the ledger's times | any |
#[derive(Clone)]
pub struct Gather {
    pub(crate) into: PathBuf,
    pub(crate) classes: Vec<GatherClass>,
    pub(crate) per_class: usize,
    pub(crate) sources: Vec<SourceSpec>,
    pub(crate) own_sources: Vec<Arc<dyn ImageSource>>,
    pub(crate) licences: Licences,
    pub(crate) min_size: u32,
    pub(crate) duplicates: DuplicateOptions,
    pub(crate) limits: DecodeLimits,
    pub(crate) keys: Keys,
    pub(crate) endpoints: Endpoints,
    pub(crate) web: WebOptions,
    pub(crate) total_time: Option<Duration>,
    pub(crate) seed: Seed,
    pub(crate) clock: Clock,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $kind:ty),* $(,)?) => {
        $($(#[$doc])* #[must_use] pub fn $name(mut self, $name: $kind) -> Self { self.$name = $name; self })*
    };
}

impl Gather {
    /// Gathers photos of these classes into a folder, which is created if needed.
    pub fn new(into: impl Into<PathBuf>, classes: impl IntoIterator<Item = GatherClass>) -> Self {
        Self {
            into: into.into(),
            classes: classes.into_iter().collect(),
            per_class: 150,
            sources: SourceSpec::DEFAULT.to_vec(),
            own_sources: Vec::new(),
            licences: Licences::default(),
            min_size: 200,
            duplicates: DuplicateOptions::default(),
            limits: DecodeLimits::default(),
            keys: Keys::default(),
            endpoints: Endpoints::default(),
            web: WebOptions::default(),
            total_time: None,
            seed: Seed(42),
            clock: Arc::new(SystemTime::now),
        }
    }

    setters! {
        /// Photos to keep of each class.
        per_class: usize,
        /// The sources to use, taking turns.
        sources: Vec<SourceSpec>,
        /// Licences that are allowed.
        licences: Licences,
        /// Smallest shorter side, in pixels.
        min_size: u32,
        /// What counts as a copy.
        duplicates: DuplicateOptions,
        /// Keys of services.
        keys: Keys,
        /// Addresses of the services.
        endpoints: Endpoints,
        /// How the network may be used.
        web: WebOptions,
        /// When to stop, keeping what is there by then.
        total_time: Option<Duration>,
        /// Seed of the pauses between attempts.
        seed: Seed,
        /// The clock for the ledger's times.
        clock: Clock,
    }

    /// Adds a source of your own, after the others.
    #[must_use]
    pub fn own_source(mut self, source: Arc<dyn ImageSource>) -> Self {
        self.own_sources.push(source);
        self
    }
}

impl std::fmt::Debug for Gather {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gather")
            .field("into", &self.into)
            .field("classes", &self.classes)
            .field("per_class", &self.per_class)
            .field("sources", &self.sources)
            .field("licences", &self.licences)
            .field("min_size", &self.min_size)
            .finish_non_exhaustive()
    }
}
