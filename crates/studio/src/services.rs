//! Who is asked for photos, and for what. In: what a page asks for. Out: a run of `gather` that is ready, and the command that
//! does the same.

use std::path::Path;
use std::str::FromStr;

use sciurus::data::argument;
use sciurus::gather::{
    Endpoints, Gather, GatherClass, GatherRun, Keys, Licence, Licences, SourceId, SourceSpec, WebOptions,
};
use sciurus::photos::text::plain;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::fault::Fault;

/// Most photos of a class that a page may ask for.
pub(crate) const MOST: usize = 5000;
/// What `sciurus gather` takes without further options.
const PER_CLASS: usize = 150;
const LEAST_SIZE: u32 = 200;
/// Most characters of a name in a message.
const WORDS: usize = 80;

/// Who is asked for photos, and how: whoever starts the studio says so.
#[derive(Debug, Clone, Default)]
pub struct Services {
    /// Keys of services.
    pub keys: Keys,
    /// Where a service's operators can reach the user.
    pub contact: Option<String>,
    /// Addresses of services that are not at their usual place.
    pub endpoints: Vec<(SourceId, Url)>,
    /// Hosts outside the public internet that photos may come from.
    pub private_hosts: Vec<String>,
}

/// What a page asks to be gathered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) classes: Vec<GatherClass>,
    pub(crate) per_class: usize,
    pub(crate) sources: Vec<SourceId>,
    pub(crate) licences: Allowed,
    pub(crate) min_size: u32,
}

/// Which licences are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Allowed {
    /// Every one that is stated and open.
    #[default]
    Any,
    /// Those of Creative Commons that allow commercial use.
    Commercial,
    /// Those that ask for nothing.
    PublicDomain,
}

impl Services {
    fn web(&self) -> WebOptions {
        WebOptions {
            contact: self.contact.clone(),
            allow_private_hosts: self.private_hosts.clone(),
            ..WebOptions::default()
        }
    }
}

impl Allowed {
    /// The licences; none stands for the library's own choice.
    fn licences(self) -> &'static [Licence] {
        match self {
            Self::Any => &[],
            Self::Commercial => &[Licence::Cc0, Licence::Pdm, Licence::By, Licence::BySa, Licence::ByNd],
            Self::PublicDomain => &[Licence::Cc0, Licence::Pdm],
        }
    }
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            classes: Vec::new(),
            per_class: PER_CLASS,
            sources: SourceSpec::DEFAULT.iter().map(SourceSpec::id).collect(),
            licences: Allowed::default(),
            min_size: LEAST_SIZE,
        }
    }
}

impl Asked {
    /// The same without what was left empty: a class without words is searched for by its name, and the other way round.
    pub(crate) fn tidied(mut self) -> Result<Self, Fault> {
        for class in &mut self.classes {
            let (name, terms) = (class.name.trim().to_owned(), class.terms.trim().to_owned());
            let either = |one: &str, other: &str| if one.is_empty() { other } else { one }.to_owned();
            *class = GatherClass { name: either(&name, &terms), terms: either(&terms, &name) };
        }
        self.classes.retain(|class| !class.name.is_empty());
        // As the command reads them.
        if let Some(class) =
            self.classes.iter().find(|class| class.name.starts_with('-') || class.name.contains('='))
        {
            let name = plain(&class.name, WORDS);
            return Err(Fault::Bad(format!(
                "`{name}`: give the class a name without `=` that begins with a letter"
            )));
        }
        if !(1..=MOST).contains(&self.per_class) {
            return Err(Fault::Bad(format!("choose 1 to {MOST} photos of each class")));
        }
        Ok(self)
    }

    /// A run into a folder that is ready to start.
    pub(crate) fn run(&self, folder: &Path, services: &Services) -> Result<GatherRun, Fault> {
        let bad = |error: &dyn std::error::Error| Fault::Bad(Fault::told(error));
        let named = |id: &SourceId| SourceSpec::from_str(id.name()).map_err(|error| bad(&error));
        let endpoints = services.endpoints.iter().cloned();
        let endpoints = endpoints.fold(Endpoints::default(), |all, (source, url)| all.with(source, url));
        let mut gather = Gather::new(folder, self.classes.iter().cloned())
            .per_class(self.per_class)
            .sources(self.sources.iter().map(named).collect::<Result<_, _>>()?)
            .min_size(self.min_size)
            .keys(services.keys.clone())
            .endpoints(endpoints)
            .web(services.web());
        if !self.licences.licences().is_empty() {
            gather = gather.licences(Licences::Only(self.licences.licences().iter().copied().collect()));
        }
        gather.build().map_err(|error| bad(&error))
    }

    /// The command that does the same.
    pub(crate) fn command(&self, folder: &Path, services: &Services) -> String {
        let quoted = |text: &str| argument(Path::new(text));
        let class = |class: &GatherClass| match class.name == class.terms {
            true => quoted(&class.name),
            false => quoted(&format!("{}={}", class.name, class.terms)),
        };
        let usual = Self::default();
        let mut words = vec!["sciurus gather".to_owned()];
        words.extend(self.classes.iter().map(class));
        if self.classes.is_empty() {
            words.push("CLASS".to_owned());
        }
        words.push(format!("--per-class {} --into {}", self.per_class, argument(folder)));
        if self.sources != usual.sources {
            words.push(format!("--source {}", joined(&self.sources)));
        }
        if !self.licences.licences().is_empty() {
            words.push(format!("--license {}", joined(self.licences.licences())));
        }
        if self.min_size != usual.min_size {
            words.push(format!("--min-size {}", self.min_size));
        }
        words.extend(services.contact.iter().map(|contact| format!("--contact {}", quoted(contact))));
        let endpoint =
            |(source, url): &(SourceId, Url)| format!("--endpoint {}", quoted(&format!("{source}={url}")));
        words.extend(services.endpoints.iter().map(endpoint));
        if !services.private_hosts.is_empty() {
            words.push(format!("--allow-private-hosts {}", quoted(&services.private_hosts.join(","))));
        }
        words.join(" ")
    }
}

fn joined(names: &[impl ToString]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
