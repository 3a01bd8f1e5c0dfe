//! A world of four keyless sources with real photos. In: the photos of `SCIURUS_SHARED`, and what is to be wrong with
//! which source. Out: a server, and runs that are pointed at it.

use crate::server::{Reply, Request, Server};
use sciurus_gather::{Control, Endpoints, Gather, GatherClass, GatherEvent, Gathered, SourceId, WebOptions};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The folder of real photos; its absence is an error where `CI=true`, and these tests are about nothing without it.
pub(crate) fn shared() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("SCIURUS_SHARED").map_or(here, PathBuf::from);
    if shared.join("data/imagenette160").is_dir() {
        return Some(shared);
    }
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "{} has no data/imagenette160; set SCIURUS_SHARED", shared.display());
    None
}

/// What is wrong with a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Refused,
    NoSuchHost,
    Broken,
    AlwaysBusy,
    Drip,
    NotJson,
    TooLarge,
    PhotosCut,
    PhotosShort,
    PhotosHuge,
    PhotosHtml,
    PhotosRedirect,
    PhotosDrip,
    PhotosMissing,
    PhotosForbidden,
    OnePhoto,
}

pub(crate) const SOURCES: [SourceId; 4] =
    [SourceId::Openverse, SourceId::Commons, SourceId::INaturalist, SourceId::Gbif];

/// Photos of two classes by name and number.
#[derive(Debug)]
pub(crate) struct Photos(pub(crate) Vec<(String, Vec<PathBuf>)>);

impl Photos {
    /// Two classes of small photos, 200 each.
    pub(crate) fn small() -> Option<Self> {
        Self::of(
            &["imagenette160/train/tench", "imagenette160/val/tench"],
            &["imagenette160/train/church", "imagenette160/val/church"],
        )
    }

    pub(crate) fn of(first: &[&str], second: &[&str]) -> Option<Self> {
        let shared = shared()?;
        let list = |folders: &[&str]| {
            let name = Path::new(folders[0]).file_name().unwrap().to_string_lossy().into_owned();
            let mut files: Vec<PathBuf> = folders
                .iter()
                .flat_map(|folder| std::fs::read_dir(shared.join("data").join(folder)).unwrap())
                .map(|entry| entry.unwrap().path())
                .collect();
            files.sort();
            (name, files)
        };
        Some(Self(vec![list(first), list(second)]))
    }
}

/// The server of a world, in which one source may be at fault.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) server: Server,
    fault: Option<(SourceId, Fault)>,
    classes: Vec<String>,
}

impl World {
    pub(crate) fn new(photos: Photos, fault: Option<(SourceId, Fault)>) -> Self {
        let classes = photos.0.iter().map(|(name, _)| name.clone()).collect();
        let server = Server::start(move |request| answer(&photos, fault, request));
        Self { server, fault, classes }
    }

    /// A run into a folder that knows nothing but this world.
    pub(crate) fn gather(&self, into: &Path, per_class: usize) -> Gather {
        gather(self.classes.clone(), into, per_class).endpoints(self.endpoints())
    }

    fn endpoints(&self) -> Endpoints {
        SOURCES.into_iter().fold(Endpoints::default(), |endpoints, source| {
            let place = match self.fault.filter(|fault| fault.0 == source).map(|fault| fault.1) {
                // Nobody listens at this port.
                Some(Fault::Refused) => "http://127.0.0.1:9/".to_owned(),
                Some(Fault::NoSuchHost) => "http://photos.invalid/".to_owned(),
                _ => self.server.url(1, &format!("/api/{source}/")),
            };
            endpoints.with(source, place.parse().unwrap())
        })
    }
}

/// A run with short waits, at a time that stands still.
pub(crate) fn gather(classes: impl IntoIterator<Item = String>, into: &Path, per_class: usize) -> Gather {
    let classes = classes.into_iter().map(|name| GatherClass { terms: name.clone(), name });
    Gather::new(into, classes)
        .per_class(per_class)
        .min_size(120)
        .web(web())
        .clock(Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)))
}

/// Short waits, and hosts that are this machine.
pub(crate) fn web() -> WebOptions {
    WebOptions {
        contact: Some("tests@sciurus.example".into()),
        search_timeout: Duration::from_secs(3),
        file_timeout: Duration::from_secs(3),
        pause: Duration::from_millis(10),
        longest_wait: Duration::from_secs(2),
        file_bytes: 4 << 20,
        page_bytes: 4 << 20,
        per_second: 1000,
        allow_private_hosts: (1..=8).map(|host| format!("127.0.0.{host}")).collect(),
        ..WebOptions::default()
    }
}

/// Runs, and collects what happens.
pub(crate) fn run(gather: Gather) -> (Gathered, Vec<GatherEvent>) {
    let events = Arc::new(std::sync::Mutex::new(Vec::new()));
    let observer = Arc::clone(&events);
    let observe = move |event: &GatherEvent| {
        observer.lock().unwrap().push(event.clone());
        Control::Continue
    };
    let gathered = gather.build().unwrap().run_blocking(observe).unwrap();
    let events = events.lock().unwrap().clone();
    (gathered, events)
}

fn answer(photos: &Photos, fault: Option<(SourceId, Fault)>, request: &Request) -> Reply {
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let at_fault = |source: &str| fault.filter(|fault| fault.0.name() == source).map(|fault| fault.1);
    match parts.as_slice() {
        ["api", source, ..] => match at_fault(source) {
            Some(Fault::Broken) => Reply::status(500),
            Some(Fault::AlwaysBusy) => Reply::Whole(429, vec![("retry-after", "0".into())], Vec::new()),
            Some(Fault::Drip) => Reply::Drip,
            Some(Fault::NotJson) => Reply::ok("<html>maintenance</html>"),
            Some(Fault::TooLarge) => Reply::Endless(None),
            fault => Reply::ok(api(photos, source, fault, request).to_string()),
        },
        ["robots.txt"] => Reply::status(404),
        ["photo", source, class, number, ..] => photo(photos, at_fault(source), (source, class, number)),
        _ => Reply::status(404),
    }
}

fn photo(photos: &Photos, fault: Option<Fault>, (source, class, number): (&str, &str, &str)) -> Reply {
    let list = photos.0.iter().find(|(name, _)| name == class).map(|(_, list)| list);
    let number: usize = if fault == Some(Fault::OnePhoto) { 0 } else { number.parse().unwrap() };
    let Some(path) = list.and_then(|list| list.get(number)) else { return Reply::status(404) };
    let bytes = std::fs::read(path).unwrap();
    match fault {
        Some(Fault::PhotosCut) => Reply::ok(&bytes[..bytes.len() / 2]),
        Some(Fault::PhotosShort) => Reply::Short(bytes.len() as u64, bytes[..bytes.len() / 2].to_vec()),
        Some(Fault::PhotosHuge) => Reply::Endless(number.is_multiple_of(2).then_some(10 << 30)),
        Some(Fault::PhotosHtml) => Reply::ok("<!DOCTYPE html><html>not here</html>"),
        Some(Fault::PhotosRedirect) => Reply::redirect(format!("/photo/{source}/{class}/{number}/again.jpg")),
        Some(Fault::PhotosDrip) => Reply::Drip,
        Some(Fault::PhotosMissing) => Reply::status(404),
        Some(Fault::PhotosForbidden) => Reply::redirect("http://169.254.169.254/latest/meta-data/"),
        _ => Reply::ok(bytes),
    }
}

/// Numbers of the photos that a source has of a class: a quarter of all, and every tenth of the next source's.
fn numbers(source: usize, count: usize) -> Vec<usize> {
    (0..count)
        .filter(|number| number % 4 == source || (number % 4 == (source + 1) % 4 && number % 10 == 0))
        .collect()
}

/// One page in the protocol of a source.
fn api(photos: &Photos, name: &str, fault: Option<Fault>, request: &Request) -> Value {
    let get = |key: &str| request.query.get(key).cloned().unwrap_or_default();
    let number = |key: &str| get(key).parse::<usize>().unwrap_or(0);
    let source = SOURCES.iter().position(|id| id.name() == name).unwrap();
    if request.path.ends_with("species/match") {
        return json!({"usageKey": get("name"), "matchType": "EXACT"});
    }
    let class =
        [get("q"), get("taxon_name"), get("taxonKey"), get("gsrsearch").replace("filetype:bitmap ", "")]
            .concat();
    let Some((_, list)) = photos.0.iter().find(|(name, _)| *name == class) else { return json!({}) };
    let mut numbers = numbers(source, list.len());
    if fault == Some(Fault::OnePhoto) {
        numbers.truncate(20);
    }
    let host = request.headers["host"].replace("127.0.0.1", &format!("127.0.0.{}", source + 2));
    let url = |photo: usize, size: &str| {
        format!("http://{host}/photo/{name}/{class}/{photo}/{size}.jpg?a=1&b={photo}")
    };
    let total = numbers.len();
    match name {
        "openverse" => {
            let page = number("page").max(1);
            let on_page = numbers.into_iter().skip(20 * (page - 1)).take(20);
            let results: Vec<Value> = on_page.map(|photo| json!({"id": format!("o{class}{photo}"), "url": url(photo, "large"),
                "license": "by-sa", "license_url": "https://creativecommons.org/licenses/by-sa/2.0/", "creator": "Ann",
                "foreign_landing_url": url(photo, "page"), "category": "photograph"})).collect();
            json!({"page_count": total.div_ceil(20), "results": results})
        }
        "commons" => {
            let offset = number("gsroffset");
            let on_page = numbers.into_iter().skip(offset).take(50).enumerate();
            let pages: serde_json::Map<String, Value> = on_page.map(|(index, photo)| (photo.to_string(), json!({
                "pageid": photo, "index": index + 1, "imageinfo": [{"url": url(photo, "original"), "thumburl": url(photo, "large"),
                "descriptionurl": url(photo, "page"), "extmetadata": {"LicenseShortName": {"value": "CC BY 4.0"},
                "Artist": {"value": "<b>Bob</b>"}}}]}))).collect();
            let more = offset + 50 < total;
            json!({"continue": if more { json!({"gsroffset": offset + 50}) } else { json!({}) }, "query": {"pages": pages}})
        }
        "inaturalist" => {
            let above = number("id_above");
            let results: Vec<Value> = numbers.into_iter().filter(|photo| photo + 1 > above).map(|photo| json!({"id": photo + 1,
                "uri": url(photo, "page"), "user": {"login": "carla"}, "photos": [{"id": 10_000 + photo, "license_code": "cc-by-nc",
                "url": url(photo, "square"), "attribution": "(c) Carla"}]})).collect();
            json!({"results": results})
        }
        _ => {
            let results: Vec<Value> = numbers.into_iter().skip(number("offset")).map(|photo| json!({"key": format!("{class}{photo}"),
                "basisOfRecord": "HUMAN_OBSERVATION", "media": [{"identifier": url(photo, "large"), "creator": "Finn",
                "license": "http://creativecommons.org/publicdomain/zero/1.0/legalcode"}]})).collect();
            json!({"endOfRecords": true, "results": results})
        }
    }
}
