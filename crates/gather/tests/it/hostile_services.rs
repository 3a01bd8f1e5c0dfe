//! Services and hosts that say what they should not: redirects to other places, links that run programs, texts that
//! rewrite a terminal, answers that take more memory than they have bytes.

use crate::server::{Reply, Request, Server};
use crate::world::{run, web};
use proptest::prelude::*;
use sciurus_data::ContentHash;
use sciurus_gather::{
    Endpoints, FetchFault, Gather, GatherEvent, Keys, Ledger, LedgerEntry, Licence, Licences, Page, Query,
    Rejection, SourceDown, SourceId, SourceSpec,
};
use sciurus_photos::attribution;
use std::time::{Duration, Instant};

const KEY: &str = "s3cret-k3y";

fn search(id: SourceId, server: &Server) -> Result<Page, SourceDown> {
    let keys = sciurus_gather::KEY_VARIABLES.iter().filter(|name| !name.starts_with("OPENVERSE"));
    let keys = keys.fold(Keys::default(), |keys, name| keys.with(*name, KEY));
    let endpoints = Endpoints::default().with(id, server.url(1, "/base/").parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let source = SourceSpec::Service(id).open(&keys, &endpoints, &web()).unwrap();
    let query = Query { class: "a".into(), terms: "a".into(), licences: Licences::default() };
    runtime.block_on(source.search(&query, None))
}

/// Asks a service that gives the same answer to every question.
fn answered(id: SourceId, reply: Reply) -> Result<Page, SourceDown> {
    search(id, &Server::start(move |_: &Request| reply.clone()))
}

fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

#[test]
fn a_key_goes_to_no_other_port_whatever_carries_it() {
    let other = Server::start(|_: &Request| Reply::ok("{}"));
    for id in [
        SourceId::Unsplash,
        SourceId::Pexels,
        SourceId::Flickr,
        SourceId::Pixabay,
        SourceId::Brave,
        SourceId::SerpApi,
    ] {
        for status in [301, 302, 303, 307, 308] {
            for place in [other.url(1, "/take"), other.url(1, "/base/search/photos?x"), other.url(2, "/take")]
            {
                let page = answered(id, Reply::Whole(status, vec![("location", place)], Vec::new()));
                assert!(matches!(page, Err(SourceDown::Status { .. })), "{id} {status}: {page:?}");
            }
        }
    }
    assert!(other.log().is_empty(), "{:?}", other.log());
    // Within the service it may lead anywhere, a few times.
    let server = Server::start(|request: &Request| match request.path.as_str() {
        "/base/v1/search" => Reply::redirect("/1"),
        "/1" => Reply::redirect("/2"),
        _ => Reply::ok(r#"{"photos": []}"#),
    });
    assert_eq!(search(SourceId::Pexels, &server), Ok(Page::default()));
}

#[test]
fn links_that_lead_to_no_place_on_the_web_are_dropped() {
    let links = [
        "javascript:alert(1)",
        "JavaScript://a.example/%0aalert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
    ];
    for link in links {
        let answer = format!(
            r#"{{"results": [{{"id": "1", "url": "https://a.example/1.jpg", "license": "by", "license_url": "{link}",
            "foreign_landing_url": "{link}", "thumbnail": "{link}"}}, {{"id": "2", "url": "{link}", "license": "by"}}]}}"#
        );
        let page = answered(SourceId::Openverse, Reply::ok(answer)).unwrap();
        assert_eq!(page.items.len(), 1, "{link}");
        let image = &page.items[0];
        assert_eq!((&image.landing_url, &image.thumb_url), (&None, &None), "{link}");
        assert_eq!(image.licence_url.as_deref(), Licence::By.url(), "{link}");
        let answer = format!(
            r#"{{"endOfRecords": true, "matchType": "EXACT", "usageKey": 1, "results": [{{"key": 1, "media": [{{"identifier":
            "https://a.example/1.jpg", "license": "{link}"}}]}}]}}"#
        );
        let page = answered(SourceId::Gbif, Reply::ok(answer)).unwrap();
        assert_eq!(page.items[0].licence_url, None, "{link}");
    }
}

#[test]
fn what_services_say_hides_nothing_and_is_short() {
    let hostile = format!("\\u001b[2J\\u001b]0;owned\\u0007\\u202egpj\\u2066 {}", "long ".repeat(100_000));
    let raw = format!("\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}gpj\u{9b}31m {}", "long ".repeat(100_000));
    for id in [SourceId::Openverse, SourceId::Commons, SourceId::Flickr, SourceId::Pexels] {
        let replies =
            [200, 400, 403, 404].map(|status| Reply::Whole(status, Vec::new(), raw.clone().into_bytes()));
        let said = format!(r#"{{"error": {{"info": "{hostile}"}}, "stat": "fail", "message": "{hostile}"}}"#);
        for reply in replies.into_iter().chain([Reply::ok(said)]) {
            let Err(down) = answered(id, reply) else { continue };
            let shown = down.to_string();
            assert!(is_plain(&shown) && shown.len() < 1000, "{id}: {shown:?}");
            assert!(is_plain(&format!("{down:?}")) || !format!("{down:?}").contains('\u{1b}'), "{down:?}");
            // What is kept in a journal is as short and plain as what is shown.
            let kept = serde_json::to_string(&down).unwrap();
            assert!(!kept.contains("\\u001b") && kept.len() < 1000, "{kept}");
        }
    }
    let answer = format!(
        r#"{{"results": [{{"id": "{hostile}", "url": "https://a.example/1.jpg", "license": "by", "creator": "{hostile}",
        "attribution": "{hostile}"}}]}}"#
    );
    let page = answered(SourceId::Openverse, Reply::ok(answer)).unwrap();
    let image = &page.items[0];
    for text in [Some(&image.source_id), image.creator.as_ref(), image.attribution.as_ref()] {
        assert!(text.is_some_and(|text| is_plain(text) && text.chars().count() <= 4096), "{text:?}");
    }
    // An error that somebody wrote into a journal is shown no better.
    let down: SourceDown =
        serde_json::from_str(&format!(r#"{{"kind": "refused", "detail": "{hostile}"}}"#)).unwrap();
    let fault: FetchFault =
        serde_json::from_str(&format!(r#"{{"kind": "unreadable", "detail": "{hostile}"}}"#)).unwrap();
    for shown in [down.to_string(), fault.to_string()] {
        assert!(is_plain(&shown) && shown.len() < 1000, "{shown:?}");
    }
}

#[test]
fn html_in_a_text_costs_what_it_is_long() {
    for part in ["<b><p>", "<div>", "<a b=c>", "&#27;&#x202e;", "<b a>", "<svg>"] {
        let artist = format!("Bob {}", part.repeat((3 << 20) / part.len()));
        let answer = serde_json::json!({"query": {"pages": {"1": {"pageid": 1, "index": 1, "imageinfo": [{
            "url": "https://a.example/1.jpg", "extmetadata": {"Artist": {"value": artist},
            "LicenseShortName": {"value": "CC BY 4.0"}}}]}}}});
        let begin = Instant::now();
        let page = answered(SourceId::Commons, Reply::ok(answer.to_string())).unwrap();
        // With a tree it took minutes.
        assert!(begin.elapsed() < Duration::from_secs(10), "{part}: {:?}", begin.elapsed());
        let creator = page.items[0].creator.clone().unwrap();
        assert!(creator.starts_with("Bob") && is_plain(&creator), "{creator:?}");
    }
}

#[test]
fn answers_take_no_more_memory_than_they_should() {
    let many = |part: &str| format!("[{}0]", part.repeat((3 << 20) / part.len()));
    for (part, is_refused) in [(r#"{"":0},"#, true), ("0,", false), ("[],", true), (r#""\u0000","#, false)] {
        let page = answered(SourceId::Openverse, Reply::ok(many(part)));
        assert_eq!(matches!(page, Err(SourceDown::TooManyParts { .. })), is_refused, "{part}: {page:?}");
    }
    for deep in ["[".repeat(1 << 20), r#"{"a":"#.repeat(100_000)] {
        let page = answered(SourceId::Openverse, Reply::ok(deep));
        assert!(matches!(page, Err(SourceDown::NotJson { .. })), "{page:?}");
    }
    // A list that is longer than any is read at its beginning.
    let item = r#"{"id":"1","url":"https://a.example/1.jpg"}"#;
    let answer = format!(r#"{{"results": [{}]}}"#, vec![item; 50_000].join(","));
    assert_eq!(answered(SourceId::Openverse, Reply::ok(answer)).unwrap().items.len(), 10_000);
}

#[test]
fn limits_that_nobody_outlasts_end_a_source_and_not_the_program() {
    for (name, value) in [
        ("x-ratelimit-reset", "1e18"),
        ("x-ratelimit-reset", "18446744073709551615"),
        ("retry-after", "99999999999999999"),
    ] {
        for status in [200, 429, 503] {
            let headers = vec![("x-ratelimit-remaining", "0".to_owned()), (name, value.to_owned())];
            let _ = answered(SourceId::Pexels, Reply::Whole(status, headers, b"{}".to_vec()));
        }
    }
}

/// Rejections of photos that a list names at a server.
fn listed(server: &Server, paths: &[&str]) -> Vec<Rejection> {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    let urls: Vec<String> = paths.iter().map(|path| server.url(2, path)).collect();
    std::fs::write(&list, urls.join("\n")).unwrap();
    let gather = Gather::new(folder.path().join("into"), ["a".parse().unwrap()])
        .sources(vec![SourceSpec::at(&list).unwrap()])
        .web(web());
    let rejected = run(gather).1.into_iter().filter_map(|event| match event {
        GatherEvent::Rejected { reason, .. } => Some(reason),
        _ => None,
    });
    rejected.collect()
}

#[test]
fn a_robots_file_that_is_too_long_counts_as_far_as_it_was_read() {
    let rules = "User-agent: *\nDisallow: /no/\n";
    let line = "# nothing\n";
    let long = |bytes: usize| format!("{rules}{}Disallow: /late/\n", line.repeat(bytes / line.len()));
    let endless = [rules.as_bytes(), &vec![b'#'; 3 << 20]].concat();
    let replies = [
        Reply::ok(long(600 << 10)),
        Reply::ok(long(20 << 20)),
        Reply::ok(endless),
        // The server ends amid the text, long after what counts.
        Reply::Short(1 << 40, long(700 << 10).into_bytes()),
    ];
    for (number, reply) in replies.into_iter().enumerate() {
        let server = Server::start(move |request: &Request| match request.path.as_str() {
            "/robots.txt" => reply.clone(),
            _ => Reply::status(404),
        });
        let names: Vec<&str> =
            listed(&server, &["/no/a.jpg", "/yes.jpg", "/late/a.jpg"]).iter().map(Rejection::name).collect();
        assert_eq!(names, ["forbidden by robots.txt", "gone", "gone"], "{number}");
        assert_eq!(server.count("/no/a.jpg"), 0);
    }
    let server = Server::start(|request: &Request| match request.path.as_str() {
        "/robots.txt" => Reply::Endless(None),
        _ => Reply::status(404),
    });
    assert_eq!(listed(&server, &["/yes.jpg"])[0].name(), "gone", "what is no text says nothing");
}

#[test]
fn rules_of_robots_cost_what_they_are_long() {
    let url = url::Url::parse(&format!("https://a.example/{}b", "a".repeat(4000))).unwrap();
    let begin = Instant::now();
    let long = format!("/{}c", "a".repeat(1000));
    for (rule, forbids) in [
        ("/*a$", false),
        ("/*a*a*a*a*a*a*a*a*c$", false),
        ("/a", true),
        ("/*a*b", true),
        (long.as_str(), false),
    ] {
        let line = format!("Disallow: {rule}\n");
        let text = format!("User-agent: *\n{}", line.repeat((500 << 10) / line.len() - 1));
        let (allows, _) = sciurus_gather::fuzzing::robots(text.as_bytes(), &url);
        assert_eq!(!allows, forbids, "{rule}");
    }
    let one = format!("User-agent: *\nDisallow: /x\nDisallow: /{}c$\n", "*a".repeat(200_000));
    let (allows, _) =
        sciurus_gather::fuzzing::robots(one.as_bytes(), &"https://a.example/x".parse().unwrap());
    assert!(!allows, "a rule that is too much for anybody does not undo the others");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

fn entry(file: String, text: &str, url: &str) -> LedgerEntry {
    LedgerEntry {
        file,
        class: text.to_owned(),
        url: url.parse().unwrap_or_else(|_| "https://a.example/1.jpg".parse().unwrap()),
        landing_url: url.parse().ok(),
        licence: Licence::By,
        licence_url: Some(url.to_owned()),
        creator: Some(text.to_owned()),
        attribution: Some(text.to_owned()),
        hash: ContentHash::of(text.as_bytes()),
        width: 20,
        height: 10,
        time: "2026-11-24T12:00:00Z".into(),
        source: SourceId::Commons,
        source_id: text.to_owned(),
    }
}

fn page(entries: impl IntoIterator<Item = LedgerEntry>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(folder.path()).unwrap();
    entries.into_iter().for_each(|entry| ledger.append(entry).unwrap());
    attribution(&ledger)
}

/// Every place of a page where a link could begin, with what follows.
fn links(page: &str) -> Vec<&str> {
    let starts = page.match_indices('<').filter(|(place, _)| !page[..*place].ends_with('\\'));
    starts.map(|(place, _)| &page[place + 1..]).filter(|rest| !rest.starts_with("!-- written")).collect()
}

#[test]
fn only_addresses_on_the_web_become_links_in_the_page_of_credit() {
    for url in [
        "javascript:alert(1)",
        "data:text/html,<script>x</script>",
        "file:///etc/passwd",
        "vbscript:x",
        "ftp://a.example/x",
        "mailto:a@b.example",
    ] {
        let page = page([entry("a/1.jpg".into(), "[x](javascript:alert(1))", url)]);
        assert!(links(&page).is_empty() && !page.contains("]("), "{page}");
        assert!(page.contains(&url.split(':').next().unwrap().to_owned()), "it is told as text: {page}");
    }
    let breaking = "https://a.example/x>](javascript:alert(1))`<script>\n# x";
    let page = page([
        entry("a/`1`](javascript:x)<b>.jpg".into(), "x` <script>", breaking),
        entry("a/2.jpg\n# x".into(), "x", "https://a.example/(1)?a=[b]`"),
    ]);
    assert_eq!(page.matches("](").count(), 2, "{page}");
    assert_eq!(page.matches("](<https://a.example/").count(), 2, "{page}");
    assert!(links(&page).iter().all(|link| link.starts_with("https://a.example/")), "{page}");
    assert!(page.contains("<https://a.example/%281%29?a=%5Bb%5D%60>"), "{page}");
    // A photo that was copied from this machine has no page to link to.
    let copied = LedgerEntry {
        landing_url: None,
        licence_url: None,
        ..entry("a/1.jpg".into(), "x", "file:///home/ann/a_b.jpg")
    };
    assert!(self::page([copied]).contains(", by, file:///home/ann/a\\_b.jpg."), "as text");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_in_a_ledger_breaks_out_of_its_place(
        file in "[ -~\\n\\u{1b}\\u{202e}ä]{0,40}",
        text in "[ -~\\n\\r\\t\\u{1b}\\u{202e}\\u{2028}ä]{0,60}",
        rest in "[ -~\\n\\u{1b}\\u{202e}ä]{0,40}",
        scheme in "(https?://a.example/|javascript:|data:|[a-z]{1,5}:)",
    ) {
        let page = page([entry(file, &text, &format!("{scheme}{rest}"))]);
        prop_assert!(page.lines().all(is_plain), "{:?}", page);
        // A mark, a title, a heading and a line for the photo, however many lines its texts have.
        prop_assert_eq!(page.lines().filter(|line| !line.is_empty()).count(), 4, "{}", page);
        for link in links(&page) {
            let end = link.find('>').unwrap();
            let url = url::Url::parse(&link[..end]).unwrap();
            prop_assert!(matches!(url.scheme(), "http" | "https"), "{}", page);
        }
        prop_assert_eq!(page.matches("](").count(), page.matches("](<http").count(), "{}", page);
    }
}
