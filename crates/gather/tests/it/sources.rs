//! Each source against a fixture: what it asks, every field that it maps, where it stops, and that its key stays secret.

use crate::server::{Reply, Request, Server};
use crate::world::web;
use sciurus_gather::{
    Cursor, Endpoints, FoundImage, ImageKind, KeyNeed, Keys, Licence, Licences, Page, Query, SourceDown,
    SourceId, SourceSpec, Telling, catalogue,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

const KEY: &str = "s3cret-k3y";

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn keys() -> Keys {
    sciurus_gather::KEY_VARIABLES
        .iter()
        .filter(|name| !name.starts_with("OPENVERSE"))
        .fold(Keys::default(), |keys, name| keys.with(*name, KEY))
}

fn query(terms: &str) -> Query {
    Query { class: "red".into(), terms: terms.into(), licences: Licences::default() }
}

/// Asks a source that gets the same fixture every time.
struct Asked {
    server: Server,
    pages: Vec<Result<Page, SourceDown>>,
}

fn ask(id: SourceId, cursors: &[Option<&str>]) -> Asked {
    let server = Server::start(move |request: &Request| {
        let name = match request.path.as_str() {
            path if path.ends_with("species/match") => "gbif-match.json".to_owned(),
            path if path.ends_with("species/search") => "gbif-species.json".to_owned(),
            _ => format!("{id}.json"),
        };
        Reply::ok(fixture(&name))
    });
    let pages = search(id, &server, &keys(), cursors, "red squirrel");
    Asked { server, pages }
}

fn search(
    id: SourceId,
    server: &Server,
    keys: &Keys,
    cursors: &[Option<&str>],
    terms: &str,
) -> Vec<Result<Page, SourceDown>> {
    let endpoints = Endpoints::default().with(id, server.url(1, "/base/").parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let source = SourceSpec::Service(id).open(keys, &endpoints, &web()).unwrap();
    assert!(!format!("{source:?}").contains(KEY), "{id} shows its key");
    let page = |cursor: &Option<&str>| {
        let cursor = cursor.map(|cursor| Cursor(cursor.to_owned()));
        runtime.block_on(source.search(&query(terms), cursor.as_ref()))
    };
    cursors.iter().map(page).collect()
}

impl Asked {
    fn items(&self) -> &[FoundImage] {
        &self.pages[0].as_ref().unwrap().items
    }

    fn next(&self, page: usize) -> Option<&str> {
        self.pages[page].as_ref().unwrap().next.as_ref().map(|next| next.0.as_str())
    }

    fn query(&self, request: usize) -> HashMap<String, String> {
        self.server.log()[request].query.clone()
    }
}

fn url(text: &str) -> Option<url::Url> {
    Some(text.parse().unwrap())
}

/// All that a source may tell, to compare with.
fn image(id: SourceId, source_id: &str, address: &str) -> FoundImage {
    FoundImage::new(id, source_id, address.parse().unwrap())
}

fn licensed(mut image: FoundImage, licence: Licence, address: &str) -> FoundImage {
    image.licence = licence;
    image.licence_url = Some(address.to_owned());
    image
}

#[test]
fn openverse() {
    let asked = ask(SourceId::Openverse, &[None, Some("19"), Some("20")]);
    let first = licensed(
        image(
            SourceId::Openverse,
            "0aff3595-8168-440b-83ff-7a80b65dea42",
            "https://live.staticflickr.com/65535/1_b.jpg?x=1&y=2",
        ),
        Licence::BySa,
        "https://creativecommons.org/licenses/by-sa/2.0/",
    );
    let first = FoundImage {
        thumb_url: url("https://api.openverse.org/v1/images/0aff3595-8168-440b-83ff-7a80b65dea42/thumb/"),
        landing_url: url("https://www.flickr.com/photos/1/2"),
        creator: Some("Ann O.".into()),
        attribution: Some("\"Squirrel\" by Ann O. is licensed under CC BY-SA 2.0.".into()),
        width: Some(1024),
        height: Some(768),
        kind: ImageKind::Photo,
        ..first
    };
    assert_eq!(asked.items()[0], first);
    assert_eq!(
        (asked.items()[1].kind, asked.items()[1].licence, asked.items().len()),
        (ImageKind::Drawing, Licence::Cc0, 2)
    );
    assert_eq!((asked.next(0), asked.next(1), asked.next(2)), (Some("2"), Some("20"), None));
    let query = asked.query(0);
    assert_eq!((query["q"].as_str(), query["page_size"].as_str()), ("red squirrel", "20"));
    assert_eq!(query["license"], "cc0,pdm,by,by-sa,by-nc,by-nd,by-nc-sa,by-nc-nd");
    assert_eq!(asked.server.log()[0].path, "/base/v1/images/");
}

#[test]
fn openverse_with_a_client_gets_a_token_once() {
    let server = Server::start(|request: &Request| match request.path.as_str() {
        "/base/v1/auth_tokens/token/" => Reply::ok(format!("{{\"access_token\": \"{KEY}-token\"}}")),
        _ => Reply::ok(fixture("openverse.json")),
    });
    let keys = Keys::default().with("OPENVERSE_CLIENT_ID", "id").with("OPENVERSE_CLIENT_SECRET", KEY);
    let pages = search(SourceId::Openverse, &server, &keys, &[None, Some("2")], "a");
    assert!(pages.iter().all(Result::is_ok));
    let log = server.log();
    assert_eq!(log.len(), 3);
    assert_eq!(log[0].body, format!("grant_type=client_credentials&client_id=id&client_secret={KEY}"));
    assert_eq!(log[2].headers["authorization"], format!("Bearer {KEY}-token"));
}

#[test]
fn commons() {
    let asked = ask(SourceId::Commons, &[None, Some("50")]);
    let first = licensed(
        image(SourceId::Commons, "42", "https://upload.wikimedia.org/thumb/s.jpg/960px-s.jpg"),
        Licence::BySa,
        "https://creativecommons.org/licenses/by-sa/4.0",
    );
    let first = FoundImage {
        thumb_url: url("https://upload.wikimedia.org/thumb/s.jpg/960px-s.jpg"),
        landing_url: url("https://commons.wikimedia.org/wiki/File:Squirrel.jpg"),
        creator: Some("Bob & Co".into()),
        attribution: Some("Bob & Co, CC BY-SA 4.0, via Wikimedia Commons".into()),
        width: Some(4000),
        height: Some(3000),
        ..first
    };
    assert_eq!(asked.items()[0], first);
    assert_eq!((asked.items()[1].kind, asked.items()[1].licence), (ImageKind::Drawing, Licence::Pdm));
    assert_eq!(asked.next(0), Some("50"));
    let query = asked.query(1);
    assert_eq!(
        (query["gsrsearch"].as_str(), query["gsroffset"].as_str()),
        ("filetype:bitmap red squirrel", "50")
    );
    assert!(asked.server.log()[0].headers["user-agent"].contains("tests@sciurus.example"));
    let refusing =
        Server::start(|_: &Request| Reply::ok(r#"{"error": {"code": "maxlag", "info": "too busy"}}"#));
    let pages = search(SourceId::Commons, &refusing, &keys(), &[None], "a");
    assert_eq!(pages[0], Err(SourceDown::Refused { detail: "too busy".into() }));
}

#[test]
fn inaturalist() {
    let asked = ask(SourceId::INaturalist, &[None, Some("702")]);
    let first = licensed(
        image(
            SourceId::INaturalist,
            "31",
            "https://inaturalist-open-data.s3.amazonaws.com/photos/31/large.jpeg",
        ),
        Licence::ByNc,
        "https://creativecommons.org/licenses/by-nc/4.0/",
    );
    let first = FoundImage {
        thumb_url: url("https://inaturalist-open-data.s3.amazonaws.com/photos/31/medium.jpeg"),
        landing_url: url("https://www.inaturalist.org/observations/700"),
        creator: Some("carla".into()),
        attribution: Some("(c) Carla, some rights reserved (CC BY-NC)".into()),
        width: Some(2048),
        height: Some(1536),
        kind: ImageKind::Photo,
        ..first
    };
    assert_eq!(asked.items()[0], first);
    assert_eq!(asked.items()[1].licence, Licence::AllRightsReserved);
    assert_eq!(asked.items()[1].landing_url, url("https://www.inaturalist.org/observations/701"));
    // Fewer than a full page is the last one.
    assert_eq!((asked.items().len(), asked.next(0)), (2, None));
    let query = asked.query(1);
    assert_eq!((query["id_above"].as_str(), query["taxon_name"].as_str()), ("702", "red squirrel"));
    assert_eq!(query["photo_license"], "cc0,cc-by,cc-by-sa,cc-by-nc,cc-by-nd,cc-by-nc-sa,cc-by-nc-nd");
    let full = Server::start(|_: &Request| {
        let photo = r#"{"id": ID, "photos": [{"id": 1, "license_code": "cc0", "url": "https://a.example/square.jpg"}]}"#;
        let all: Vec<String> = (1..=200).map(|id| photo.replace("ID", &id.to_string())).collect();
        Reply::ok(format!("{{\"results\": [{}]}}", all.join(",")))
    });
    let pages = search(SourceId::INaturalist, &full, &keys(), &[None], "a");
    assert_eq!(pages[0].as_ref().unwrap().next, Some(Cursor("200".into())));
}

#[test]
fn gbif() {
    let asked = ask(SourceId::Gbif, &[None, Some("5219668:99600"), Some("5219668:99900")]);
    let base = asked.server.url(1, "/base/");
    let first = licensed(
        image(SourceId::Gbif, "4011", "https://inaturalist-open-data.s3.amazonaws.com/photos/9/large.jpg"),
        Licence::ByNc,
        "http://creativecommons.org/licenses/by-nc/4.0/",
    );
    // md5 of https://inaturalist-open-data.s3.amazonaws.com/photos/9/original.jpg, by md5sum.
    let thumb = format!("{base}v1/image/cache/200x/occurrence/4011/media/MD5");
    let first = FoundImage {
        thumb_url: url(&thumb.replace("MD5", "0939677cd1d3e54148d53b5fd56559a7")),
        landing_url: url("https://www.gbif.org/occurrence/4011"),
        creator: Some("Finn".into()),
        kind: ImageKind::Photo,
        ..first
    };
    assert_eq!(asked.items()[0], first);
    // The record's licence is not the photo's.
    assert_eq!(
        (asked.items()[1].licence, asked.items()[1].creator.as_deref()),
        (Licence::Unknown, Some("Museum"))
    );
    assert_eq!(asked.items()[1].image_url, url("https://museum.example/i?id=7").unwrap());
    assert_eq!(
        (asked.items().len(), asked.next(0), asked.next(1), asked.next(2)),
        (2, Some("5219668:300"), Some("5219668:99900"), None)
    );
    assert_eq!(asked.query(0)["name"], "red squirrel");
    assert_eq!((asked.query(1)["taxonKey"].as_str(), asked.query(1)["limit"].as_str()), ("5219668", "300"));
    // A common name is looked up among common names.
    let common = Server::start(|request: &Request| match request.path.as_str() {
        "/base/v1/species/match" => Reply::ok(r#"{"matchType": "NONE"}"#),
        "/base/v1/species/search" => Reply::ok(fixture("gbif-species.json")),
        _ => Reply::ok(fixture("gbif.json")),
    });
    let pages = search(SourceId::Gbif, &common, &keys(), &[None], "eastern gray squirrel");
    assert_eq!(pages[0].as_ref().unwrap().next, Some(Cursor("2437489:300".into())));
}

#[test]
fn flickr() {
    let asked = ask(SourceId::Flickr, &[None, Some("8")]);
    let first = licensed(
        image(SourceId::Flickr, "5300", "https://live.staticflickr.com/5300_b.jpg"),
        Licence::By,
        "https://creativecommons.org/licenses/by/2.0/",
    );
    let first = FoundImage {
        thumb_url: url("https://live.staticflickr.com/5300_n.jpg"),
        landing_url: url("https://www.flickr.com/photos/77@N00/5300"),
        creator: Some("Gina".into()),
        width: Some(1024),
        height: Some(768),
        kind: ImageKind::Photo,
        ..first
    };
    assert_eq!(asked.items()[0], first);
    assert_eq!((asked.items().len(), asked.items()[1].licence), (2, Licence::AllRightsReserved));
    assert_eq!((asked.next(0), asked.next(1)), (Some("2"), None));
    let query = asked.query(0);
    assert_eq!((query["api_key"].as_str(), query["text"].as_str()), (KEY, "red squirrel"));
    assert_eq!(query["license"], "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16");
}

#[test]
fn pexels() {
    let asked = ask(SourceId::Pexels, &[None]);
    let first = licensed(
        image(SourceId::Pexels, "9001", "https://images.pexels.com/photos/9001/o.jpeg?h=650&w=940"),
        Licence::Pexels,
        "https://www.pexels.com/license/",
    );
    let first = FoundImage {
        thumb_url: url("https://images.pexels.com/photos/9001/o.jpeg?h=350"),
        landing_url: url("https://www.pexels.com/photo/9001/"),
        creator: Some("Ivo".into()),
        attribution: Some("Photo by Ivo on Pexels".into()),
        width: Some(4000),
        height: Some(6000),
        kind: ImageKind::Photo,
        ..first
    };
    assert_eq!((asked.items(), asked.next(0)), ([first].as_slice(), Some("2")));
    assert_eq!(asked.server.log()[0].headers["authorization"], KEY);
    let last = Server::start(|_: &Request| Reply::ok(r#"{"photos": []}"#));
    assert_eq!(search(SourceId::Pexels, &last, &keys(), &[None], "a")[0], Ok(Page::default()));
}

#[test]
fn pixabay() {
    let asked = ask(SourceId::Pixabay, &[None, Some("3")]);
    let first = licensed(
        image(SourceId::Pixabay, "195893", "https://pixabay.com/get/l_1280.jpg"),
        Licence::Pixabay,
        "https://pixabay.com/service/license-summary/",
    );
    let first = FoundImage {
        thumb_url: url("https://cdn.pixabay.com/p_150.jpg"),
        landing_url: url("https://pixabay.com/en/squirrel-195893/"),
        creator: Some("Jo".into()),
        attribution: Some("Image by Jo on Pixabay".into()),
        width: Some(4000),
        height: Some(2250),
        kind: ImageKind::Photo,
        ..first
    };
    assert_eq!(asked.items()[0], first);
    assert_eq!(asked.items()[1].kind, ImageKind::Drawing);
    assert_eq!((asked.next(0), asked.next(1)), (Some("2"), None));
    assert_eq!(asked.query(0)["key"], KEY);
}

#[test]
fn unsplash_is_told_what_was_kept() {
    let asked = ask(SourceId::Unsplash, &[None, Some("5")]);
    let first = licensed(
        image(SourceId::Unsplash, "eOLpJytrbsQ", "https://images.unsplash.com/photo-1?ixid=A&w=1080"),
        Licence::Unsplash,
        "https://unsplash.com/license",
    );
    let first = FoundImage {
        thumb_url: url("https://images.unsplash.com/photo-1?w=200"),
        landing_url: url("https://unsplash.com/photos/eOLpJytrbsQ"),
        creator: Some("Jeff S.".into()),
        attribution: Some("Photo by Jeff S. on Unsplash".into()),
        width: Some(4000),
        height: Some(3000),
        kind: ImageKind::Photo,
        ping: url("https://api.unsplash.com/photos/eOLpJytrbsQ/download?ixid=A"),
        ..first
    };
    assert_eq!((asked.items(), asked.next(0), asked.next(1)), ([first.clone()].as_slice(), Some("2"), None));
    let endpoints =
        Endpoints::default().with(SourceId::Unsplash, asked.server.url(1, "/base/").parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let source = SourceSpec::Service(SourceId::Unsplash).open(&keys(), &endpoints, &web()).unwrap();
    runtime.block_on(source.kept(&first).unwrap());
    let told = asked.server.log().pop().unwrap();
    assert_eq!(told.target, "/base/photos/eOLpJytrbsQ/download?ixid=A");
    assert_eq!(told.headers["authorization"], format!("Client-ID {KEY}"));
}

#[test]
fn brave_serpapi_and_bing() {
    let asked = ask(SourceId::Brave, &[None]);
    let first = FoundImage {
        thumb_url: url("https://imgs.search.brave.com/t"),
        landing_url: url("https://park.example/animals"),
        creator: Some("park.example".into()),
        width: Some(1200),
        height: Some(800),
        ..image(SourceId::Brave, "", "https://park.example/s.jpg?v=2")
    };
    assert_eq!((asked.items(), asked.next(0)), ([first].as_slice(), None));
    assert_eq!(asked.server.log()[0].headers["x-subscription-token"], KEY);

    let asked = ask(SourceId::SerpApi, &[None, Some("9")]);
    let first = FoundImage {
        thumb_url: url("https://encrypted-tbn0.gstatic.com/t"),
        landing_url: url("https://zoo.example/page"),
        creator: Some("zoo.example".into()),
        width: Some(1600),
        height: Some(1000),
        ..image(SourceId::SerpApi, "", "https://zoo.example/o.jpg")
    };
    assert_eq!((asked.items(), asked.next(0), asked.next(1)), ([first].as_slice(), Some("1"), None));
    assert_eq!(asked.query(0)["api_key"], KEY);

    let asked = ask(SourceId::Bing, &[None, Some("150")]);
    let first = FoundImage {
        thumb_url: url("https://tse.example/th?id=1"),
        landing_url: url("https://a.example/p"),
        width: Some(800),
        height: Some(600),
        kind: ImageKind::Photo,
        ..image(SourceId::Bing, "ABC123", "https://a.example/c.jpg")
    };
    assert_eq!((asked.items(), asked.next(0), asked.next(1)), ([first].as_slice(), Some("150"), None));
    assert_eq!(asked.server.log()[0].headers["ocp-apim-subscription-key"], KEY);
}

#[test]
fn no_error_of_any_source_shows_its_key() {
    for id in SourceId::ALL.into_iter().take(11) {
        // A service that repeats all that it was asked, as a refusal, as an error and as something that is no JSON.
        for status in [403, 400, 200] {
            let server = Server::start(move |request: &Request| {
                Reply::Whole(
                    status,
                    Vec::new(),
                    format!("{} {:?}", request.target, request.headers).into_bytes(),
                )
            });
            let page = search(id, &server, &keys(), &[None], "a").remove(0).unwrap_err();
            let shown = format!("{page} {page:?} {}", serde_json::to_string(&page).unwrap());
            assert!(!shown.contains(KEY), "{id}: {shown}");
            assert!(!page.is_passing(), "{id}: {shown}");
        }
        let endpoints = Endpoints::default().with(id, "http://127.0.0.1:9/".parse().unwrap());
        let source = SourceSpec::Service(id).open(&keys(), &endpoints, &web()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(source.search(&query("a"), None)).unwrap_err();
        assert!(matches!(error, SourceDown::Unreachable { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains(KEY));
    }
}

#[test]
fn a_service_cannot_send_a_key_to_another_host() {
    let other = Server::start(|_: &Request| Reply::ok("{}"));
    let place = other.url(2, "/take");
    let server = Server::start(move |request: &Request| match request.path.as_str() {
        "/base/search/photos" => Reply::redirect(place.clone()),
        "/base/v1/search" => Reply::redirect("/moved"),
        _ => Reply::ok(r#"{"photos": []}"#),
    });
    let pages = search(SourceId::Unsplash, &server, &keys(), &[None], "a");
    assert!(matches!(pages[0], Err(SourceDown::Status { status: 302, .. })), "{pages:?}");
    assert!(other.log().is_empty());
    assert_eq!(search(SourceId::Pexels, &server, &keys(), &[None], "a")[0], Ok(Page::default()));
    assert_eq!(server.log().pop().unwrap().headers["authorization"], KEY);
}

#[test]
fn a_limit_that_is_used_up_is_waited_for_before_the_next_question() {
    let server = Server::start(|_: &Request| {
        let headers = vec![("X-RateLimit-Remaining", "0".to_owned()), ("X-RateLimit-Reset", "1".to_owned())];
        Reply::Whole(200, headers, fixture("pexels.json"))
    });
    let begin = std::time::Instant::now();
    let pages = search(SourceId::Pexels, &server, &keys(), &[None, Some("2")], "a");
    assert!(pages.iter().all(Result::is_ok));
    assert!(begin.elapsed() >= std::time::Duration::from_millis(900));
    // Longer than anybody wants to wait: the source is given up without another question.
    let server = Server::start(|_: &Request| {
        let headers = vec![("X-RateLimit-Available-anon_burst", "0".to_owned())];
        Reply::Whole(200, headers, fixture("pexels.json"))
    });
    let pages = search(SourceId::Pexels, &server, &keys(), &[None, Some("2")], "a");
    assert!(matches!(pages[1], Err(SourceDown::RateLimited { .. })), "{pages:?}");
    assert_eq!(server.log().len(), 1);
}

#[test]
fn no_file_and_no_event_of_a_run_shows_a_key() {
    let server = Server::start(|request: &Request| match request.path.as_str() {
        "/base/api/" if request.query.contains_key("page") => {
            let port = request.headers["host"].split(':').nth(1).unwrap().to_owned();
            let hit = format!("http://127.0.0.2:{port}/a.jpg");
            Reply::ok(format!(
                "{{\"totalHits\": 1, \"hits\": [{{\"id\": 1, \"largeImageURL\": \"{hit}\"}}]}}"
            ))
        }
        "/base/services/rest/" => Reply::Whole(400, Vec::new(), request.target.clone().into_bytes()),
        _ => Reply::status(404),
    });
    let place = || server.url(1, "/base/").parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let services = [SourceId::Pixabay, SourceId::Flickr];
    let gather = sciurus_gather::Gather::new(folder.path(), ["a".parse().unwrap()])
        .sources(services.map(SourceSpec::Service).to_vec())
        .endpoints(Endpoints::default().with(services[0], place()).with(services[1], place()))
        .keys(keys())
        .web(web());
    assert!(!format!("{gather:?} {:?}", gather.clone().build().unwrap()).contains(KEY));
    let (gathered, events) = crate::world::run(gather);
    assert!(gathered.classes[0].sources[1].down.is_some() && gathered.classes[0].rejected["gone"] == 1);
    let told = format!("{gathered} {gathered:?} {}", serde_json::to_string(&events).unwrap());
    assert!(told.contains("***") && !told.contains(KEY), "{told}");
    for entry in walkdir::WalkDir::new(folder.path()).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            assert!(
                !String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).contains(KEY),
                "{entry:?}"
            );
        }
    }
}

#[test]
fn the_catalogue_tells_what_each_source_is_and_needs() {
    let entries = catalogue(&keys());
    assert_eq!(entries.len(), SourceId::ALL.len());
    for entry in &entries {
        let info = &entry.info;
        assert!([info.what, info.limits, info.training].iter().all(|text| !text.is_empty()));
        assert_eq!(entry.key_set.is_none(), info.key == KeyNeed::None, "{}", info.id);
        if entry.default {
            assert_eq!(info.licences, Telling::Always);
        }
        assert_eq!(SourceSpec::Service(info.id).id(), info.id);
    }
    let set: Vec<SourceId> =
        entries.iter().filter(|entry| entry.key_set == Some(true)).map(|entry| entry.info.id).collect();
    assert_eq!(set.len(), 7, "all but Openverse's optional client: {set:?}");
    assert!(!serde_json::to_string(&entries).unwrap().contains(KEY));
    let none = catalogue(&Keys::default());
    assert!(none.iter().all(|entry| entry.key_set != Some(true)));
    let _: Arc<dyn sciurus_gather::ImageSource> =
        SourceSpec::Service(SourceId::Gbif).open(&Keys::default(), &Endpoints::default(), &web()).unwrap();
}
