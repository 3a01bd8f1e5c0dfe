//! Sources on this machine: a folder, archives, also hostile ones, a saved page, a table of addresses.

use crate::server::{Reply, Request, Server};
use crate::world::{run, shared, web};
use sciurus_gather::{
    Ending, Gather, GatherEvent, Gathered, Ledger, Licence, Licences, Rejection, SourceSpec,
};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Some photos of two classes.
fn photos() -> Option<Vec<(String, PathBuf)>> {
    let data = shared()?.join("data/imagenette160/val");
    let list = |class: &'static str| {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(data.join(class)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
            .into_iter()
            .take(4)
            .enumerate()
            .map(move |(number, path)| (format!("{class}/{number}.jpg"), path))
    };
    Some(list("tench").chain(list("church")).collect())
}

fn gather(source: &Path, into: &Path) -> Gathered {
    run(gathering(source, into)).0
}

fn gathering(source: &Path, into: &Path) -> Gather {
    Gather::new(into, ["tench".parse().unwrap(), "church".parse().unwrap()])
        .per_class(4)
        .min_size(100)
        .sources(vec![source.to_string_lossy().parse().unwrap()])
        .web(web())
}

#[test]
fn a_folder_and_archives_give_each_class_its_own_photos() {
    let Some(photos) = photos() else { return };
    let work = tempfile::tempdir().unwrap();
    let root = work.path().join("photos");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(work.path().join("a.zip")).unwrap());
    let mut tar = tar::Builder::new(Vec::new());
    for (name, path) in &photos {
        let place = root.join(name);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::copy(path, &place).unwrap();
        zip.start_file(format!("deep/{name}"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&std::fs::read(path).unwrap()).unwrap();
        tar.append_path_with_name(path, format!("deep/{name}")).unwrap();
    }
    zip.finish().unwrap();
    let tar = tar.into_inner().unwrap();
    std::fs::write(work.path().join("a.tar"), &tar).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    std::fs::write(work.path().join("a.tar.gz"), gzip.finish().unwrap()).unwrap();
    for source in ["photos", "a.zip", "a.tar", "a.tar.gz"] {
        let into = work.path().join(format!("into {source}"));
        let gathered = gather(&work.path().join(source), &into);
        assert_eq!(gathered.ending, Ending::Complete, "{source}: {gathered}");
        let ledger = Ledger::read(into.join("ledger.jsonl")).unwrap();
        assert!(
            ledger
                .entries()
                .iter()
                .all(|entry| entry.url.path().contains(&entry.class) || entry.url.fragment().is_some())
        );
    }
}

#[test]
fn hostile_archives_write_nothing_outside_and_cost_little() {
    let Some(photos) = photos() else { return };
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("evil.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("../../evil.jpg", options).unwrap();
    zip.write_all(&std::fs::read(&photos[0].1).unwrap()).unwrap();
    zip.start_file("tench/bomb.jpg", options).unwrap();
    let zeros = vec![0; 1 << 20];
    (0..64).for_each(|_| zip.write_all(&zeros).unwrap());
    zip.finish().unwrap();
    let into = work.path().join("deep/deeper/into");
    let (_, events) = run(gathering(&path, &into));
    let reasons: Vec<String> = events
        .iter()
        .filter_map(|event| match event {
            GatherEvent::Rejected { reason: Rejection::NotFetched { fault }, .. } => Some(fault.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, ["cannot be read: larger than 4194304 bytes"]);
    for entry in walkdir::WalkDir::new(work.path()).into_iter().map(Result::unwrap) {
        assert!(
            entry.path() == path || entry.path().starts_with(&into) || entry.file_type().is_dir(),
            "{:?}",
            entry.path()
        );
    }
    std::fs::write(work.path().join("no.zip"), "PK\x03\x04 nonsense").unwrap();
    let gathered = gather(&work.path().join("no.zip"), &work.path().join("into no"));
    assert!(gathered.classes[0].sources[0].down.is_some());
}

#[test]
fn tables_and_saved_pages_name_photos_to_fetch() {
    let Some(photos) = photos() else { return };
    let names: Vec<(String, Vec<u8>)> =
        photos.into_iter().map(|(name, path)| (name, std::fs::read(path).unwrap())).collect();
    let served = names.clone();
    let server = Server::start(move |request: &Request| {
        let found = served.iter().find(|(name, _)| request.path.ends_with(name));
        found.map_or(Reply::status(404), |(_, bytes)| Reply::ok(bytes.clone()))
    });
    let work = tempfile::tempdir().unwrap();
    let table = work.path().join("photos.csv");
    let mut text = "\u{feff}URL;Class;Licence;Creator\n".to_owned();
    for (name, _) in &names {
        let class = name.split('/').next().unwrap();
        text += &format!("{};{class};CC BY-SA 4.0;\"Ann; Bob\"\n", server.url(2, &format!("/{name}?k=v")));
    }
    std::fs::write(&table, text).unwrap();
    let into = work.path().join("into table");
    let only = Licences::Only([Licence::BySa].into());
    let (gathered, _) = run(gathering(&table, &into).licences(only));
    assert_eq!(gathered.ending, Ending::Complete, "{gathered}");
    let ledger = Ledger::read(into.join("ledger.jsonl")).unwrap();
    assert_eq!(ledger.entries()[0].creator.as_deref(), Some("Ann; Bob"));
    assert!(ledger.entries().iter().all(|entry| entry.url.path().contains(&format!("/{}/", entry.class))));

    let page = work.path().join("page.html");
    let images: String = names.iter().take(4).map(|(name, _)| format!("<img src='{name}'>")).collect();
    std::fs::write(&page, format!("<base href='{}'>{images}<img src='gone.jpg'>", server.url(3, "/x/")))
        .unwrap();
    let into = work.path().join("into page");
    let (gathered, _) = run(gathering(&page, &into).per_class(9));
    assert_eq!((gathered.classes[0].kept, gathered.ending), (4, Ending::Short), "{gathered}");
    // The page belongs to no class, so the second one finds the first one's photos.
    assert_eq!(gathered.classes[1].rejected["exact duplicate"], 4);
    assert!("no/such.zip".parse::<SourceSpec>().is_ok() && "no/such".parse::<SourceSpec>().is_err());
}
