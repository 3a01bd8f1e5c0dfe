//! What a name may stand for: a pipe, a device, a link to one, a file of the system; and a machine that has run out of file
//! handles, which says nothing about the photos.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test stops at any problem")]

#[path = "../../data/tests/support/mod.rs"]
mod support;

use image::ImageFormat;
use sciurus_data::{
    ContentHash, Corrections, CsvLabels, DataError, DecodeLimits, ImageDataset, Loader, LoaderOptions,
    PhotoStore, PhotoStoreOptions, Preprocessing, SkipReason, Split, corrected_table, decode_file, verify,
};
use sciurus_photos::{KnownReports, LEDGER_FILE, inspect_pixels, licences};
use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{class_folders, encoded, picture, write};

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn only_regular_files_are_read_and_nothing_waits() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    pipe(&root.join("pipe"));
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    std::fs::create_dir(root.join("folder")).unwrap();
    for (link, target) in [
        ("zero", Path::new("/dev/zero")),
        ("terminal", Path::new("/dev/tty")),
        ("random", Path::new("/dev/urandom")),
        ("to pipe", &root.join("pipe")),
        ("to folder", &root.join("folder")),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    let start = Instant::now();
    let names = ["pipe", "socket", "folder", "zero", "terminal", "random", "to pipe", "to folder"];
    for name in names {
        let reason = decode_file(root.join(name), &DecodeLimits::default()).unwrap_err();
        // Where there is no such device, its link leads nowhere.
        assert!(matches!(reason, SkipReason::NotAFile | SkipReason::NotFound), "{name}: {reason}");
    }
    symlink("circle", root.join("circle")).unwrap();
    symlink("nowhere", root.join("lost")).unwrap();
    assert!(matches!(
        decode_file(root.join("circle"), &DecodeLimits::default()),
        Err(SkipReason::Unreadable { .. })
    ));
    assert_eq!(decode_file(root.join("lost"), &DecodeLimits::default()), Err(SkipReason::NotFound));
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
#[cfg(target_os = "linux")]
fn files_of_the_system_that_lie_about_their_size_are_bounded() {
    let start = Instant::now();
    for path in ["/proc/kmsg", "/proc/self/mem", "/proc/self/pagemap", "/proc/kcore", "/proc/self/environ"] {
        assert!(decode_file(path, &DecodeLimits::default()).is_err(), "{path}");
    }
    // It says that it has 0 bytes, and has more.
    let limits = DecodeLimits { max_file_bytes: 10, ..DecodeLimits::default() };
    let reason = decode_file("/proc/self/status", &limits).unwrap_err();
    assert_eq!(reason, SkipReason::TooManyBytes { bytes: 11, limit: 10 });
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// Set in a child process that may have few files open.
const FEW: &str = "SCIURUS_TEST_FEW_FILES";

/// Runs one test of this file again with a limit of 40 open files; what it says.
fn with_few_files(name: &str) -> String {
    let script = r#"ulimit -n 40 && exec "$0" --exact "$1" --nocapture --test-threads 1"#;
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(std::env::current_exe().unwrap()).arg(name);
    let child = command.env(FEW, "1").output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{said}\n{}", String::from_utf8_lossy(&child.stderr));
    said
}

/// Opens files until no more can be opened.
fn exhaust() -> Vec<File> {
    std::iter::repeat_with(|| File::open("/dev/null")).map_while(Result::ok).collect()
}

#[test]
fn too_few_file_handles_are_an_error_of_the_whole() {
    let name = "too_few_file_handles_are_an_error_of_the_whole";
    if std::env::var_os(FEW).is_none() {
        assert!(with_few_files(name).contains("all errors seen"));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    class_folders(folder.path(), &["grey", "red"], 6);
    let dataset = Arc::new(ImageDataset::from_folder(folder.path()).build().unwrap());
    let paths: Vec<PathBuf> = dataset.items.iter().map(|item| item.path.clone()).collect();
    let table = folder.path().join("labels.csv");
    write(table.clone(), b"path,label\ngrey/00.jpg,grey\nred/00.jpg,red\n");
    let preprocessing = Preprocessing { image_size: 16, ..Preprocessing::default() };
    let store = PhotoStore::new(PhotoStoreOptions { cache_folder: None, ..PhotoStoreOptions::default() });
    let options = LoaderOptions::measuring().threads(2).store(Arc::new(store));
    let loader = Loader::new(Arc::clone(&dataset), Split::Train, preprocessing.pipeline(), options).unwrap();
    // Threads that read are started while they can be.
    assert!(
        inspect_pixels(folder.path(), &paths, &KnownReports::default(), &dataset.limits, |_| {
            ControlFlow::Continue(())
        })
        .is_ok()
    );

    let held = exhaust();
    let reason = decode_file(folder.path().join(&paths[0]), &dataset.limits).unwrap_err();
    assert!(reason.is_machine_fault(), "{reason}");
    let found = inspect_pixels(folder.path(), &paths, &KnownReports::default(), &dataset.limits, |_| {
        ControlFlow::Continue(())
    });
    assert!(matches!(found, Err(DataError::Machine { .. })), "{found:?}");
    assert!(matches!(verify(&dataset, |_| {}), Err(DataError::Machine { .. })));
    let error = ImageDataset::from_csv(&table).build().unwrap_err();
    assert!(matches!(error, DataError::Machine { .. }), "{error}");
    assert!(error.to_string().contains("ulimit -n"), "{error}");
    for epoch in 0..2 {
        let skipped: Vec<_> = loader.epoch(epoch).flat_map(|batch| batch.skipped).collect();
        assert!(DataError::check_machine(&skipped).is_err(), "epoch {epoch}: {skipped:?}");
    }

    // Nothing of it is remembered once there are handles again.
    drop(held);
    assert!(loader.epoch(2).all(|batch| batch.skipped.is_empty()));
    assert!(verify(&dataset, |_| {}).unwrap().is_empty());
    println!("\nall errors seen");
}

#[test]
fn a_scan_with_too_few_file_handles_does_not_drop_photos() {
    let name = "a_scan_with_too_few_file_handles_does_not_drop_photos";
    if std::env::var_os(FEW).is_none() {
        assert!(with_few_files(name).contains("scan refused"));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    class_folders(folder.path(), &["grey", "red"], 6);
    let table: String = (0..6).map(|i| format!("grey/{i:02}.jpg,grey\nred/{i:02}.jpg,red\n")).collect();
    write(folder.path().join("labels.csv"), ("path,label\n".to_owned() + &table).as_bytes());
    // The table can be read with the one handle that is left; then somebody takes it.
    let taken = Arc::new(std::sync::Mutex::new(Vec::new()));
    let take = Arc::clone(&taken);
    let build = ImageDataset::from_csv(folder.path().join("labels.csv"));
    let build = build.on_progress(move |_| take.lock().unwrap().extend(exhaust()));
    let error = build.build().unwrap_err();
    assert!(matches!(error, DataError::Machine { .. }), "{error}");
    println!("\nscan refused");
}

#[test]
fn handles_that_come_back_in_time_are_waited_for() {
    let name = "handles_that_come_back_in_time_are_waited_for";
    if std::env::var_os(FEW).is_none() {
        assert!(with_few_files(name).contains("read after all"));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    write(path.clone(), &encoded(&picture(40, 30, 0), ImageFormat::Png));
    let held = exhaust();
    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(held);
    });
    assert!(decode_file(&path, &DecodeLimits::default()).is_ok());
    other.join().unwrap();
    println!("\nread after all");
}

#[test]
fn a_table_may_be_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| ImageDataset::from_csv(path).build().unwrap_err().to_string();
    let table = folder.path().join("labels.csv");
    pipe(&table);
    assert!(refused(&table).contains("labels.csv cannot be read as a table: not a regular file"));
    assert!(refused(Path::new("/dev/zero")).contains("not a regular file"));
    assert!(refused(folder.path()).contains("not a regular file"));
    let huge = folder.path().join("huge.csv");
    File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    assert!(refused(&huge).contains("too large"), "{}", refused(&huge));
}

#[test]
fn a_ledger_may_be_any_file() {
    let folder = tempfile::tempdir().unwrap();
    pipe(&folder.path().join(LEDGER_FILE));
    assert!(licences(folder.path(), &[ContentHash::of(b"photo")]).is_empty());
}

#[test]
fn a_table_can_name_anything() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    class_folders(&root, &["grey", "red"], 3);
    write(folder.path().join("outside.jpg"), &std::fs::read(root.join("red/00.jpg")).unwrap());
    pipe(&root.join("pipe.jpg"));
    symlink("/dev/zero", root.join("zero.jpg")).unwrap();
    symlink(folder.path(), root.join("up")).unwrap();
    let photos: String = (0..3).map(|i| format!("grey/{i:02}.jpg,grey\nred/{i:02}.jpg,red\n")).collect();
    let outside = folder.path().join("outside.jpg");
    let others = format!(
        "../outside.jpg,red\n{},red\n/dev/zero,red\nred/../../outside.jpg,red\nup/../x.jpg,red\n..,red\n/,red\n\
         pipe.jpg,red\nzero.jpg,red\nred,red\ngone.jpg,red\n",
        outside.display()
    );
    write(root.join("labels.csv"), format!("path,label\n{photos}{others}").as_bytes());
    let doubled = ImageDataset::from_csv(root.join("labels.csv")).build().unwrap_err().to_string();
    assert!(doubled.contains("../outside.jpg is already listed in line"), "{doubled}");

    let others = others.replace("red/../../outside.jpg,red\n", "");
    write(root.join("labels.csv"), format!("path,label\n{photos}{others}").as_bytes());
    let dataset = ImageDataset::from_csv(root.join("labels.csv")).build().unwrap();
    assert_eq!(dataset.items.len(), 6);
    let reason = |path: &str| {
        dataset.skipped.iter().find(|file| file.path == Path::new(path)).map(|file| file.reason.clone())
    };
    for path in ["../outside.jpg", outside.to_str().unwrap(), "/dev/zero", "up/../x.jpg", "..", "/"] {
        assert_eq!(reason(path), Some(SkipReason::OutsideFolder), "{path}");
    }
    for path in ["pipe.jpg", "zero.jpg", "red"] {
        assert_eq!(reason(path), Some(SkipReason::NotAFile), "{path}");
    }
    assert_eq!(reason("gone.jpg"), Some(SkipReason::NotFound));
    let (table, changed) =
        corrected_table(&CsvLabels::new(root.join("labels.csv")), &dataset, &Corrections::default()).unwrap();
    assert_eq!((table.split(|&byte| byte == b'\n').count(), changed), (1 + 6 + 10 + 1, 0));
}

#[test]
fn a_photo_has_one_path_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    class_folders(folder.path(), &["grey", "red"], 3);
    let rows: String = (0..3).map(|i| format!("grey/{i:02}.jpg,grey\nred/{i:02}.jpg,red\n")).collect();
    let absolute = folder.path().join("red/00.jpg").display().to_string();
    for again in ["./red/00.jpg", "grey/../red/00.jpg", "gone/.././red//00.jpg", &absolute] {
        write(folder.path().join("labels.csv"), format!("path,label\n{rows}{again},grey\n").as_bytes());
        let error = ImageDataset::from_csv(folder.path().join("labels.csv")).build().unwrap_err().to_string();
        assert!(error.contains("line 8: red/00.jpg is already listed in line 3"), "{again}: {error}");
    }
}

#[test]
fn tables_of_absurd_shape_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("labels.csv");
    let refused = |bytes: &[u8]| {
        write(table.clone(), bytes);
        let error = ImageDataset::from_csv(&table).build().unwrap_err().to_string();
        assert!(error.len() < 3000, "{} bytes", error.len());
        error
    };
    let head = "path,label\n";
    let long = [head, "a.jpg,", &"x".repeat(200 << 20)].concat();
    assert!(refused(long.as_bytes()).contains("line 2: the line has 209715"), "a long field");
    let quoted = [head, "a.jpg,\"", &"x,y\n".repeat(1 << 20)].concat();
    assert!(refused(quoted.as_bytes()).contains("line 2: the line has"), "a quote without its end");
    assert!(
        refused(",".repeat(1 << 20).as_bytes()).contains("1048577 columns, but at most 1000 are allowed")
    );
    let names: String = (0..900).map(|i| format!("column{i},")).collect();
    assert!(refused(names.as_bytes()).contains("and 881 more"), "{}", refused(names.as_bytes()));
    assert!(refused(b"path,label\na\0.jpg,red\n").contains("line 2: the line is not text"));
    let wide: Vec<u8> = "path,label\na.jpg,red\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(refused(&wide).contains("is not text"), "{}", refused(&wide));
    let many = head.to_owned() + &(0..3_000_000).map(|i| format!("{i},r\n")).collect::<String>();
    assert!(refused(many.as_bytes()).contains("more than 1500000 lines"));
    let split = format!("path,label,split\na.jpg,red,{}\n", "\u{1b}[2J".repeat(5000));
    let error = refused(split.as_bytes());
    assert!(error.contains("is not a split") && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn pipeline_and_photos_of_extreme_shape_stay_small() {
    for (width, height) in [(1, 65_535), (65_535, 1), (3, 40_000)] {
        let photo = picture(width, height, 1);
        let pipeline = Preprocessing { image_size: 64, ..Preprocessing::default() }.pipeline();
        assert!(pipeline.prepare(photo).as_raw().len() < 10 << 20);
    }
}
