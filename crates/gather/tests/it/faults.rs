//! Everything that can go wrong with a source or a host: the others fill up, and what is kept is as it should be.

use crate::run::check_ledger;
use crate::server::{Reply, Request, Server};
use crate::world::{Fault, Photos, SOURCES, World, run, web};
use sciurus_gather::{Ending, FetchFault, Gather, GatherEvent, Gathered, Rejection, SourceId, SourceSpec};
use std::time::{Duration, Instant};

/// Wanted of each class; with one source down four fifths must arrive.
const WANTED: usize = 20;

fn faulty(source: SourceId, fault: Fault) -> Option<(Gathered, Vec<GatherEvent>)> {
    let world = World::new(Photos::small()?, Some((source, fault)));
    let folder = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let (gathered, events) = run(world.gather(folder.path(), WANTED));
    for class in &gathered.classes {
        assert!(class.kept >= WANTED * 4 / 5, "{source} {fault:?}: {gathered}");
    }
    check_ledger(folder.path());
    assert!(begin.elapsed() < Duration::from_secs(30), "{source} {fault:?}: {:?}", begin.elapsed());
    Some((gathered, events))
}

#[test]
fn one_source_down_in_any_way_is_left_out() {
    let faults = [
        Fault::Refused,
        Fault::NoSuchHost,
        Fault::Broken,
        Fault::AlwaysBusy,
        Fault::NotJson,
        Fault::TooLarge,
        Fault::Drip,
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let source = SOURCES[number % 4];
        let Some((gathered, events)) = faulty(source, fault) else { return };
        for class in &gathered.classes {
            for state in &class.sources {
                assert_eq!(state.down.is_some(), state.source == source, "{fault:?}: {class:?}");
            }
        }
        let told = events
            .iter()
            .any(|event| matches!(event, GatherEvent::SourceDown { source: down, .. } if *down == source));
        assert!(told, "{fault:?}");
        let waited = events.iter().any(|event| matches!(event, GatherEvent::Waiting { .. }));
        assert_eq!(waited, !matches!(fault, Fault::NotJson | Fault::TooLarge), "{fault:?}");
    }
}

#[test]
fn one_host_with_bad_photos_is_left_out() {
    let faults = [
        (Fault::PhotosCut, "cut short"),
        (Fault::PhotosShort, "cut short"),
        (Fault::PhotosHuge, "too many bytes"),
        (Fault::PhotosHtml, "web page, not an image"),
        (Fault::PhotosRedirect, "too many redirects"),
        (Fault::PhotosDrip, "too slow"),
        (Fault::PhotosMissing, "gone"),
        (Fault::PhotosForbidden, "private address"),
        (Fault::OnePhoto, "exact duplicate"),
    ];
    for (number, (fault, reason)) in faults.into_iter().enumerate() {
        let source = SOURCES[number % 4];
        let Some((gathered, _)) = faulty(source, fault) else { return };
        let counted = gathered.classes.iter().filter_map(|class| class.rejected.get(reason)).sum::<usize>();
        assert!(counted >= 4, "{source} {fault:?}: {gathered}");
        let kept = gathered.classes[0].sources.iter().find(|state| state.source == source).unwrap().kept;
        assert!(kept <= usize::from(fault == Fault::OnePhoto), "{fault:?}: {gathered}");
    }
}

#[test]
fn of_150_photos_at_least_120_arrive_with_any_one_source_down() {
    for source in SOURCES {
        let Some(photos) = Photos::small() else { return };
        let world = World::new(photos, Some((source, Fault::Broken)));
        let folder = tempfile::tempdir().unwrap();
        let (gathered, _) = run(world.gather(folder.path(), 150));
        for class in &gathered.classes {
            assert!(class.kept >= 120, "{gathered}");
        }
        check_ledger(folder.path());
    }
}

#[test]
fn with_all_sources_down_nothing_is_lost_and_the_next_run_asks_again() {
    let Some(photos) = Photos::small() else { return };
    let world = World::new(photos, None);
    let folder = tempfile::tempdir().unwrap();
    run(world.gather(folder.path(), 5));
    let nowhere = SOURCES.into_iter().fold(sciurus_gather::Endpoints::default(), |places, source| {
        places.with(source, "http://127.0.0.1:9/".parse().unwrap())
    });
    std::fs::remove_file(folder.path().join(".gather.jsonl")).unwrap();
    let (gathered, _) = run(world.gather(folder.path(), 10).endpoints(nowhere));
    assert_eq!(gathered.ending, Ending::Short);
    assert!(
        gathered
            .classes
            .iter()
            .all(|class| class.kept == 5 && class.sources.iter().all(|source| source.down.is_some()))
    );
    check_ledger(folder.path());
    let (gathered, _) = run(world.gather(folder.path(), 10));
    assert_eq!(gathered.ending, Ending::Complete, "{gathered}");
}

/// Rejections of photos that a list names at a server.
fn listed(server: &Server, host: u8, paths: &[&str], change: impl Fn(Gather) -> Gather) -> Vec<Rejection> {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    let urls: Vec<String> = paths
        .iter()
        .map(|path| if path.contains("://") { (*path).to_owned() } else { server.url(host, path) })
        .collect();
    std::fs::write(&list, urls.join("\n")).unwrap();
    let gather = Gather::new(folder.path().join("into"), ["a".parse().unwrap()])
        .sources(vec![SourceSpec::at(&list).unwrap()])
        .web(web());
    let (_, events) = run(change(gather));
    let rejected = events.into_iter().filter_map(|event| match event {
        GatherEvent::Rejected { reason, .. } => Some(reason),
        _ => None,
    });
    rejected.collect()
}

fn fault(rejection: &Rejection) -> &FetchFault {
    match rejection {
        Rejection::NotFetched { fault } => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn private_addresses_are_not_called() {
    let server = Server::start(|request: &Request| match request.path.as_str() {
        "/there" => Reply::redirect("http://localhost:1/a.jpg"),
        _ => Reply::ok("<html>"),
    });
    let port = server.port;
    let paths: Vec<String> = [
        "127.0.0.200",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f000001",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
    ]
    .iter()
    .map(|host| format!("http://{host}:{port}/a.jpg"))
    .collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let private = |gather: Gather| {
        let web = sciurus_gather::WebOptions { allow_private_hosts: vec!["127.0.0.2".into()], ..web() };
        gather.web(web)
    };
    let rejected = listed(&server, 2, &paths, private);
    assert_eq!(rejected.len(), paths.len());
    for reason in &rejected {
        assert!(matches!(fault(reason), FetchFault::PrivateHost { .. }), "{reason}");
    }
    assert!(server.log().is_empty(), "nobody was called: {:?}", server.log());
    // Nor by way of a redirect, from a host that is allowed.
    let rejected = listed(&server, 2, &["/there"], private);
    assert!(
        matches!(fault(&rejected[0]), FetchFault::PrivateHost { host } if host == "localhost"),
        "{rejected:?}"
    );
}

#[test]
fn robots_are_heeded_and_asked_once() {
    let server = Server::start(|request: &Request| match request.path.as_str() {
        "/robots.txt" => Reply::ok("User-agent: *\nDisallow: /no/\n"),
        "/way" => Reply::redirect("/no/b.jpg"),
        _ => Reply::status(404),
    });
    let rejected = listed(&server, 2, &["/no/a.jpg", "/way", "/yes.jpg"], |gather| gather);
    let names: Vec<&str> = rejected.iter().map(Rejection::name).collect();
    assert_eq!(names, ["forbidden by robots.txt", "forbidden by robots.txt", "gone"]);
    assert_eq!(server.count("/robots.txt"), 1);
    assert_eq!(server.count("/no/a.jpg") + server.count("/no/b.jpg"), 0);
    let broken = Server::start(|_: &Request| Reply::status(503));
    let rejected = listed(&broken, 3, &["/a.jpg"], |gather| gather);
    assert!(
        matches!(fault(&rejected[0]), FetchFault::Unreachable { detail } if detail.contains("robots.txt"))
    );
}

#[test]
fn a_huge_body_is_left_at_the_limit_and_a_busy_host_asked_again_later() {
    let busy = std::sync::atomic::AtomicBool::new(true);
    let server = Server::start(move |request: &Request| match request.path.as_str() {
        "/huge.jpg" => Reply::Endless(None),
        "/busy.jpg" if busy.swap(false, std::sync::atomic::Ordering::SeqCst) => {
            Reply::Whole(503, vec![("retry-after", "1".into())], Vec::new())
        }
        _ => Reply::status(404),
    });
    let begin = Instant::now();
    let rejected = listed(
        &server,
        2,
        &["/huge.jpg", "/busy.jpg", "file:///etc/passwd", "http://photos.invalid/a.jpg"],
        |gather| gather,
    );
    assert_eq!(fault(&rejected[0]), &FetchFault::TooManyBytes { limit: 4 << 20 });
    assert_eq!(fault(&rejected[1]), &FetchFault::Status { status: 404 });
    assert!(begin.elapsed() >= Duration::from_secs(1), "the rest that it asked for");
    assert_eq!(server.count("/busy.jpg"), 2);
    // Local files are no addresses of a list.
    assert_eq!(rejected.len(), 3);
    assert!(matches!(fault(&rejected[2]), FetchFault::Unreachable { .. }), "{rejected:?}");
}
