//! A zip of photos: what lands in the folder, what does not, and that nothing in it leads anywhere else.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use axum::body::Body;
use axum::http::{StatusCode, header};
use image::ImageFormat;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::asking::{Answer, Studio, request};
use crate::gather::{picture, tree};

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

async fn send(studio: &Studio, bytes: Vec<u8>) -> Answer {
    let request = request("POST", "/folder/zip").header(header::COOKIE, &studio.cookie);
    studio.ask(request.header("sec-fetch-site", "same-origin").body(Body::from(bytes)).unwrap()).await
}

#[tokio::test]
async fn each_photo_lands_in_the_folder_of_its_class_and_the_rest_is_counted() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("photos");
    fs::create_dir(&folder).unwrap();
    let studio = Studio::open(&folder).await;
    let photos: Vec<Vec<u8>> = (0..8).map(|seed| picture(seed, ImageFormat::Jpeg)).collect();
    let mut files: Vec<(String, &[u8])> = photos
        .iter()
        .enumerate()
        .map(|(place, photo)| (format!("set/{}/{place}.jpg", ["grey", "red"][place % 2]), &photo[..]))
        .collect();
    files.extend([
        ("set/red/again.jpg".to_owned(), &photos[1][..]),
        ("loose.jpg".to_owned(), &photos[0][..]),
        ("__MACOSX/set/red/0.jpg".to_owned(), b"resource"),
        ("set/red/notes.txt".to_owned(), b"notes"),
        ("../../outside/evil.jpg".to_owned(), b"<script>"),
    ]);
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    assert_eq!(send(&studio, archive(&files)).await.status, StatusCode::OK);
    let told = studio.settle().await;
    assert!(told.starts_with("8 photos added, 1 there before, 4 not taken"), "{told}");
    for place in 0..8 {
        assert_eq!(
            fs::read(folder.join(["grey", "red"][place % 2]).join(format!("{place}.jpg"))).unwrap(),
            photos[place]
        );
    }
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1, "something is outside");
    let files = tree(&folder).into_iter().filter(|path| path.is_file()).count();
    assert_eq!(files, 8);
    assert!(studio.get("/").await.text().contains("8 photos of 2 classes"));
}

#[tokio::test]
async fn what_is_no_zip_is_refused_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    let whole = archive(&[("red/1.jpg", &picture(1, ImageFormat::Jpeg))]);
    for bytes in [b"no archive".to_vec(), Vec::new(), whole[..whole.len() / 2].to_vec()] {
        assert_eq!(send(&studio, bytes).await.status, StatusCode::OK);
        let told = studio.settle().await;
        assert!(told.starts_with("this is no zip that can be read"), "{told}");
        assert!(is_empty(folder.path()));
    }
}

/// A file that unpacks to more than a photo may have is read no further.
#[tokio::test]
async fn a_file_that_grows_without_end_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    let zeros = vec![0; (64 << 20) + 2];
    assert_eq!(send(&studio, archive(&[("red/bomb.jpg", &zeros)])).await.status, StatusCode::OK);
    let told = studio.settle().await;
    assert_eq!(told, "0 photos added, 1 not taken (1: it has more than 64 MB)");
    assert!(is_empty(folder.path()));
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}
