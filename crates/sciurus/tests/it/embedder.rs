//! Embeddings of files: the same as the model's own, kept by content, and no photo is read twice.

use std::ops::ControlFlow;
use std::path::Path;

use sciurus::data::{ContentHash, DataError};
use sciurus::{Arch, EmbedItem, Embedder, Error, WeightPlaces, WeightSource, draw_demo};

fn embedder(cache: &Path) -> Embedder {
    let (mirrors, offline) = (Vec::new(), true);
    let places = WeightPlaces { models: None, cache: cache.join("weights"), mirrors, offline };
    let embedder = Embedder::new(Arch::ResNet10Narrow, &WeightSource::Random, &places, &mut |_| ()).unwrap();
    embedder.cache_folder(cache.to_owned())
}

fn items(folder: &Path) -> Vec<EmbedItem> {
    let mut paths: Vec<_> = ["acorn", "leaf"]
        .iter()
        .flat_map(|class| std::fs::read_dir(folder.join(class)).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    paths.sort();
    let item = |path: std::path::PathBuf| {
        let content = ContentHash::of(&std::fs::read(&path).unwrap());
        EmbedItem { path, content }
    };
    paths.into_iter().map(item).collect()
}

#[test]
fn what_is_broken_off_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (photos, cache) = (folder.path().join("photos"), folder.path().join("cache"));
    draw_demo(&photos, 40, 1).unwrap();
    let items = items(&photos);
    let mut done = 0;
    let stopped = embedder(&cache).embed(&items, &mut |now| {
        done = now;
        if now > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, Err(Error::Data(DataError::Stopped))), "{stopped:?}");
    assert!(done > 0 && done < items.len(), "{done} of {}", items.len());
    let rest = embedder(&cache).embed(&items, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(rest.read, items.len() - done);
    assert!(rest.rows.iter().all(Option::is_some));
}

#[test]
fn embeddings_are_kept_by_content_and_bad_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (photos, cache) = (folder.path().join("photos"), folder.path().join("cache"));
    draw_demo(&photos, 20, 1).unwrap();
    std::fs::write(photos.join("acorn/broken.png"), "no picture").unwrap();
    std::fs::copy(photos.join("leaf/leaf-000.png"), photos.join("leaf/copy.png")).unwrap();
    let items = items(&photos);
    let mut heard = Vec::new();
    let first = embedder(&cache)
        .embed(&items, &mut |done| {
            heard.push(done);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((first.read, first.skipped.len()), (items.len() - 1, 1), "a copy is read once");
    assert_eq!(heard.last(), Some(&items.len()));
    assert!(first.skipped[0].path.ends_with("broken.png"));
    for (item, row) in items.iter().zip(&first.rows) {
        assert_eq!(row.is_none(), item.path.ends_with("broken.png"));
        assert!(row.iter().flatten().all(|value| value.is_finite()));
    }
    let row =
        |name: &str| first.rows[items.iter().position(|item| item.path.ends_with(name)).unwrap()].clone();
    assert_eq!(row("copy.png"), row("leaf-000.png"));
    assert_ne!(row("leaf-001.png"), row("leaf-000.png"));

    let again = embedder(&cache).embed(&items, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((again.rows, again.read), (first.rows.clone(), 1), "only the broken file is tried again");

    // A kill left half a record; whatever it was is read again.
    let file = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
    let mended = embedder(&cache).embed(&items, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((mended.rows, mended.read), (first.rows, 2));
}
