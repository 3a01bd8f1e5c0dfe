//! Lists and saved pages that somebody made to do harm, and files that are none.

use crate::costs;
#[cfg(unix)]
const ENDINGS: [&str; 6] = ["txt", "csv", "html", "zip", "tar", "tar.gz"];

#[test]
#[cfg(unix)]
fn only_regular_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let places = [
        pipe.as_path(),
        std::path::Path::new("/dev/zero"),
        std::path::Path::new("/dev/tty"),
        std::path::Path::new("/proc/kmsg"),
        std::path::Path::new("/proc/self/mem"),
        std::path::Path::new("/nowhere"),
    ];
    for (number, place) in places.into_iter().enumerate() {
        for ending in ENDINGS {
            let link = folder.path().join(format!("{number}.{ending}"));
            std::os::unix::fs::symlink(place, &link).unwrap();
            let cost = costs::of(&link).cheap();
            assert!(cost.names.is_empty(), "{place:?} {ending}: {cost:?}");
            // A file that claims to be empty is an empty list.
            let is_list = place.starts_with("/proc") && matches!(ending, "txt" | "csv");
            assert!(is_list || cost.down.is_some(), "{place:?} {ending}: {cost:?}");
        }
    }
    // A pipe that is named itself, and a folder that is named like a file.
    let named = folder.path().join("named.zip");
    assert!(std::process::Command::new("mkfifo").arg(&named).status().unwrap().success());
    costs::of(&named).cheap().is_refused("not a regular file");
    let list = folder.path().join("list.csv");
    std::os::unix::fs::symlink("regular.csv", &list).unwrap();
    std::fs::write(folder.path().join("regular.csv"), "url\nhttps://a.example/1.jpg\n").unwrap();
    assert_eq!(costs::of(&list).urls, ["https://a.example/1.jpg"], "a link to a list is one");
}

#[test]
#[cfg(unix)]
fn a_folder_gives_its_own_regular_files_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::create_dir_all(inside.join("a")).unwrap();
    std::fs::create_dir_all(outside.join("a")).unwrap();
    std::fs::write(inside.join("a/own.jpg"), "own").unwrap();
    std::fs::write(outside.join("a/secret.jpg"), "secret").unwrap();
    std::os::unix::fs::symlink(outside.join("a/secret.jpg"), inside.join("a/link.jpg")).unwrap();
    std::os::unix::fs::symlink(outside.join("a"), inside.join("linked")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", inside.join("a/zero.jpg")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(inside.join("a/pipe.jpg")).status().unwrap().success());
    let cost = costs::of(&inside).cheap();
    assert_eq!((cost.names.as_slice(), cost.read), (&["a/own.jpg".to_owned()][..], 1), "{cost:?}");
    // Nor is another file read because a page says that it lies there, as a journal from somewhere might.
    use sciurus_gather::{Endpoints, FoundImage, Keys, SourceId, SourceSpec};
    let source =
        SourceSpec::at(&inside).unwrap().open(&Keys::default(), &Endpoints::default(), &crate::world::web());
    let source = source.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for place in
        ["out/a/secret.jpg", "in/a/link.jpg", "in/linked/secret.jpg", "in/a/pipe.jpg", "in/a/zero.jpg"]
    {
        let url = url::Url::from_file_path(folder.path().join(place)).unwrap();
        let opened = runtime.block_on(source.open(&FoundImage::new(SourceId::Folder, "x", url)).unwrap());
        assert!(opened.is_err(), "{place}");
    }
}

fn of(name: &str, content: impl AsRef<[u8]>) -> costs::Cost {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    costs::of(&path).cheap()
}

#[test]
fn lists_are_judged_by_their_size_first() {
    let mebibytes = |part: &str, count: usize| part.repeat((count << 20) / part.len());
    of("a.txt", mebibytes("http://a\n", 33)).is_refused("larger than 33554432 bytes");
    of("a.txt", mebibytes("http://a\n", 31)).is_refused("more than 1000000 lines");
    of("a.txt", mebibytes("\n", 31)).is_refused("more than 1000000 lines");
    of("a.txt", "http://a.example/b\n".repeat(200_001)).is_refused("more than 200000 addresses");
    of("a.csv", format!("url\n{}", "http://a\n".repeat(200_001))).is_refused("more than 200000 addresses");
    of("a.csv", format!("url,a\n{}", mebibytes(",", 30))).is_refused("more than 4000000 cells");
    assert!(of("a.csv", format!("url;a\n{}", mebibytes("\"", 30))).names.len() <= 1);
    assert!(of("a.txt", mebibytes("http://a", 30)).names.is_empty(), "an address as long as the list");
    assert!(of("a.txt", "http://[".repeat(100_000)).names.is_empty());
    // Columns are looked up once, however many there are.
    let wide = format!("{}url\n{}", "x,".repeat(30_000), "y,\n".repeat(100_000));
    assert!(of("a.csv", wide).names.is_empty());
    let wide = format!("{}url\n{}http://a.example/1.jpg\n", "x,".repeat(30_000), "y,".repeat(30_000));
    assert_eq!(of("a.csv", wide).urls, ["http://a.example/1.jpg"]);
}

#[test]
fn lists_name_places_on_the_web_and_hide_nothing() {
    let text = "javascript:alert(1)\nfile:///etc/passwd\nftp://a.example/x.jpg\n# https://a.example/no\ndata:image/png,x\n\
                https://a.example/1.jpg\n";
    assert_eq!(of("a.txt", text).urls, ["https://a.example/1.jpg"]);
    let table = "url,id,landing_url,licence_url,creator\n\
                 https://a.example/1.jpg,\u{1b}[31m\u{202e}x,javascript:alert(1),data:text/html;x,\u{1b}]0;me\u{7}\n\
                 javascript:alert(1),,,,\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, table).unwrap();
    let cost = costs::of(&path);
    assert_eq!(
        (cost.urls, cost.names),
        (vec!["https://a.example/1.jpg".into()], vec!["\u{fffd}[31m\u{fffd}x".into()])
    );
    use sciurus_gather::{Endpoints, Keys, Licences, Query, SourceSpec};
    let source =
        SourceSpec::at(&path).unwrap().open(&Keys::default(), &Endpoints::default(), &crate::world::web());
    let query = Query { class: "a".into(), terms: "a".into(), licences: Licences::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let page = runtime.block_on(source.unwrap().search(&query, None)).unwrap();
    let image = &page.items[0];
    assert_eq!((&image.landing_url, &image.licence_url), (&None, &None));
    assert_eq!(image.creator.as_deref(), Some("\u{fffd}]0;me\u{fffd}"));
}

#[test]
fn saved_pages_cost_what_they_are_long() {
    let picture = "<img src='https://a.example/1.jpg'>";
    let parts = [
        "<div>",
        "<b><p>",
        "<a href=x>",
        "<b a=1><i b=2><p>",
        "<table><tr><td>",
        "<svg>",
        "<math><mi>",
        "<template>",
        "<form><button>",
        "<select><option>",
        "<ul><li>",
        "</p>",
        "</div>",
        "<!--x-->",
        "<!---",
        "<",
        "</",
        "<!",
        "<?",
        "&amp;",
        "<font size=1><table>",
        "<script>x</script>",
        "<nobr>",
        "<frameset>",
        "<img src=data:x>",
        "<base href=x>",
        "<iframe></iframe>",
    ];
    for part in parts {
        let end = if part == "<!---" { "-->" } else { "\n>" };
        let cost = of("a.html", format!("{}{end}{picture}", part.repeat((5 << 20) / part.len())));
        assert_eq!(cost.urls, ["https://a.example/1.jpg"], "{part}: {cost:?}");
    }
    for part in [
        "<script>",
        "<title>",
        "<style",
        "<plaintext>",
        "<img a",
        "<img a='",
        "<a b=\"",
        "<!-- ",
        "<textarea>",
    ] {
        let cost = of("a.html", format!("{picture}{}", part.repeat((5 << 20) / part.len())));
        assert_eq!(cost.urls, ["https://a.example/1.jpg"], "{part}: {cost:?}");
    }
}

#[test]
fn saved_pages_have_no_more_pictures_attributes_and_bytes_than_pages_have() {
    let picture = "<img src='https://a.example/1.jpg'>";
    // One tag of half a million attributes, of which browsers compare each with those before.
    let many: String = (0..500_000).map(|number| format!(" a{number}={number}")).collect();
    assert_eq!(of("a.html", format!("{picture}<img {many} src=b>")).urls, ["https://a.example/1.jpg"]);
    of("a.html", format!("<base href=http://a/{}>{}", "b".repeat(4000), "<img src=1>".repeat(2_000_000)))
        .is_refused("more than 10000 images");
    let numbered: String = (0..10_000).map(|number| format!("<img src={number}>")).collect();
    assert_eq!(
        of("a.html", format!("<base href=http://a/{}/>{numbered}", "b".repeat(4000))).names.len(),
        10_000
    );
    of("a.html", "x".repeat(33 << 20)).is_refused("larger than");
    let long = format!("{picture}<img srcset='{}'>", "x ".repeat(8 << 20));
    assert_eq!(of("a.html", long).urls, ["https://a.example/1.jpg"]);
}
