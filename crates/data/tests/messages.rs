//! Every text with which a data set is refused, a file passed over, or something taken for granted, as its user reads it. The
//! lists are held complete by counting the variants in the source.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test, as the test itself would")]

use sciurus_data::{
    BadOption, Column, CsvHeader, CsvProblem, DataError, Depth, LeftOutReason, Note, Recognised, SkipReason,
    Split,
};
use std::fmt::{Debug, Display};
use std::io;
use std::path::PathBuf;

/// One message on each line. Fails unless every variant of the enum is there, and if one shows Rust's debug text.
fn messages<T: Debug + Display>(source: &str, name: &str, all: &[T]) -> String {
    let (_, body) = source.split_once(&format!("pub enum {name} {{\n")).unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let variants: Vec<&str> = body
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap())
        .collect();
    assert!(variants.len() > 5, "{name}: {variants:?}");
    let shown = |variant: &&&str| all.iter().any(|each| variant_of(each) == **variant);
    let missing: Vec<_> = variants.iter().filter(|variant| !shown(variant)).collect();
    assert!(missing.is_empty(), "{name}: no message of {missing:?}");
    let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
    for (text, each) in texts.iter().zip(all) {
        let debug = ["Some(", "None", "{ ", "PathBuf", "Os {", "\\\"", &format!("{each:?}")];
        assert!(!debug.iter().any(|debug| text.contains(debug)), "debug text: {text}");
        assert!(!text.contains('\n'), "more than one line: {text}");
    }
    texts.join("\n")
}

fn variant_of(value: &impl Debug) -> String {
    format!("{value:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

fn path(path: &str) -> PathBuf {
    path.into()
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|each| text(each)).collect()
}

fn denied() -> io::Error {
    io::Error::from(io::ErrorKind::PermissionDenied)
}

fn depth() -> Depth {
    Depth { path: path("photos"), top: texts(&["red", "grey"]), below: texts(&["adult", "young"]) }
}

fn of_folders() -> Vec<DataError> {
    use DataError as E;
    let photos = || path("photos");
    vec![
        E::FolderMissing { path: photos() },
        E::NotAFolder { path: photos() },
        E::FolderUnreadable { path: photos(), source: denied() },
        E::NoClassFolders { path: photos() },
        E::ImagesWithoutClassFolders { path: photos(), images: 1, table: None },
        E::ImagesWithoutClassFolders { path: photos(), images: 12, table: Some(path("photos/labels.csv")) },
        E::OnlyOneClass { path: photos(), label: text("red") },
        E::EmptyClass { path: path("photos/red"), skipped: 0, reason: None },
        E::EmptyClass { path: path("photos/red"), skipped: 2, reason: Some(SkipReason::Empty.to_string()) },
        E::TooFewImages { path: photos(), label: text("red") },
        E::ValidFraction { valid_fraction: 1.5 },
        E::Stopped,
        E::EmptySplit { path: photos(), split: Split::Valid },
        E::ClassesDiffer {
            train: path("photos/train"),
            other: path("photos/valid"),
            labels: texts(&["black", "grey"]),
        },
        E::NoSplitFolders { path: photos() },
        E::OwnSplitFolders { path: photos() },
        E::TwoSplitFolders { path: photos(), split: Split::Valid, names: [text("val"), text("validation")] },
        E::SplitWithoutClasses { path: path("photos/train"), table: None },
        E::CameraFolders { path: path("DCIM"), folders: texts(&["100APPLE", "101APPLE"]) },
        E::CameraFolders { path: path("DCIM"), folders: texts(&["100APPLE"]) },
        E::OneLevelDeeper { path: photos(), deeper: path("photos/squirrels") },
        E::ClassesDeeper(depth()),
        E::PartsOfADataSet {
            path: photos(),
            photos: path("photos/images"),
            notes: text("annotations"),
            table: None,
        },
        E::SameLooking { path: photos(), first: text("red"), second: text("red ") },
        E::SameLooking { path: photos(), first: text("caf\u{e9}"), second: text("cafe\u{301}") },
        E::UnknownSplitFolder { path: path("photos/train"), neighbours: texts(&["images", "notes"]) },
        E::Machine {
            path: path("photos/red/1.jpg"),
            reason: SkipReason::OutOfResources { detail: text("too many open files") },
        },
        E::BatchesTooLarge { needed: 9_000_000_000, available: 8_000_000_000 },
        E::Threads { threads: 100_000, source: Box::new(denied()) },
        E::Option(BadOption::new("valid_fraction", 2, "choose a number above 0 and below 1")),
    ]
}

fn of_tables_and_names() -> Vec<DataError> {
    use DataError as E;
    let table = || path("labels.csv");
    let none_there =
        |near| E::NoFilesOfTable { table: table(), files: 40, looked_for: path("photos/1.jpg"), near };
    vec![
        none_there(None),
        none_there(Some(path("photos/all/1.jpg"))),
        E::OnlyOneLabel { path: table(), label: text("red") },
        E::TooFewLabels { path: table(), label: Some(text("red")) },
        E::TooFewLabels { path: table(), label: None },
        E::EmptyLabel {
            path: table(),
            label: text("red"),
            skipped: 1,
            reason: Some(SkipReason::NotFound.to_string()),
        },
        E::LabelsNotInTrain { path: table(), labels: texts(&["black", "grey"]) },
        E::CsvUnreadable { path: table(), source: denied() },
        E::TableRefused { path: path("labels.xlsx"), reason: SkipReason::NotAFile },
        E::Csv { path: table(), line: 3, problem: CsvProblem::Empty { what: "label" } },
        E::BadPattern { pattern: text("(.+"), problem: text("unclosed group") },
        E::PatternWithoutPart { pattern: text(".+"), part: "label" },
        E::NothingFits {
            path: path("photos"),
            pattern: text("(.+)_"),
            files: 12,
            example: Some(path("photos/red-1.jpg")),
        },
        E::NoSplitColumn { path: table() },
        E::OwnSplitColumn { path: table() },
        E::OwnTestSplit { path: table() },
        E::GroupOnTwoSides { path: table(), group: text("burst 1"), splits: [Split::Train, Split::Valid] },
    ]
}

#[test]
fn a_data_set_that_is_refused() {
    let all: Vec<DataError> = of_folders().into_iter().chain(of_tables_and_names()).collect();
    insta::assert_snapshot!(messages(include_str!("../src/error.rs"), "DataError", &all));
}

#[test]
fn a_line_of_a_table_that_is_refused() {
    use CsvProblem as P;
    let no_column = |column, found: &[&str]| P::NoColumn { column, what: "label", found: texts(found) };
    let many: Vec<String> = (0..25).map(|number| format!("c{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let all = [
        no_column(Column::from("label"), &["file", "kind"]),
        no_column(Column::Number(1), &["file;kind"]),
        no_column(Column::from("label"), &many),
        no_column(Column::from("label"), &[]),
        P::ColumnTwice { column: text("label") },
        P::Empty { what: "path" },
        P::UnknownSplit { word: text("north\u{1b}[2J") },
        P::Duplicate { path: path("red/1.jpg"), first: 7 },
        P::Malformed { detail: text("it has 3 fields, but the lines before it have 2") },
        P::Encoding { detail: text("its byte E9 would be `\u{e9}` in Windows-1252 (Latin-1)") },
        P::NotText,
        P::TooLong { bytes: 20_000_000, limit: 10_000_000 },
        P::TooManyColumns { columns: 5_000, limit: 1_000 },
        P::TooManyLines { limit: 10_000_000 },
        P::NoRows,
    ];
    insta::assert_snapshot!(messages(
        include_str!("../src/dataset/csv_labels/problem.rs"),
        "CsvProblem",
        &all
    ));
}

#[test]
fn a_file_that_is_passed_over() {
    use LeftOutReason as L;
    use SkipReason as R;
    let detail = || text("what the decoder said");
    let all = [
        R::Empty,
        R::WebPage,
        R::Text,
        R::UnsupportedFormat { format: text("HEIC") },
        R::UnknownFormat,
        R::Truncated,
        R::Corrupt { detail: detail() },
        R::DecoderFailed { detail: detail() },
        R::TooManyPixels { width: 40_000, height: 30_000, limit: 500_000_000 },
        R::SideTooLong { width: 70_000, height: 10, limit: 65_535 },
        R::TooCostly { detail: text("its image is split into 600 scans") },
        R::TooManyBytes { bytes: 600_000_000, limit: 256_000_000 },
        R::TooMuchMemory { limit: 1_000_000_000 },
        R::PermissionDenied,
        R::NotFound,
        R::SameFile { of: path("red/1.jpg") },
        R::NotAFile,
        R::Unreadable { detail: text("input/output error (os error 5)") },
        R::OutOfResources { detail: text("too many open files (os error 24)") },
        R::OutsideFolder,
        R::NameNotText,
        R::OutsideClassFolder,
        R::NameWithoutLabel,
        R::LeftOut,
        R::Changed,
    ];
    insta::assert_snapshot!("skip_reasons", messages(include_str!("../src/skip.rs"), "SkipReason", &all));
    let all = [L::Underscore, L::Dot, L::System, L::Run, L::BesideSplits, L::NotAPicture, L::NotListed];
    insta::assert_snapshot!(
        "left_out",
        messages(include_str!("../src/dataset/left_out.rs"), "LeftOutReason", &all)
    );
}

#[test]
fn what_is_taken_for_granted() {
    let plain = Recognised {
        table: path("labels.csv"),
        delimiter: ';',
        header: CsvHeader::FirstLine,
        path: Column::from("file"),
        label: Column::from("kind"),
        split: None,
        group: None,
        suffix: None,
        backslashes: false,
        several: None,
    };
    let full = Recognised {
        delimiter: '\t',
        header: CsvHeader::Absent,
        path: Column::Number(0),
        split: Some(Column::from("fold")),
        group: Some(Column::from("burst")),
        suffix: Some(text("jpg")),
        backslashes: true,
        several: Some('|'),
        ..plain.clone()
    };
    let both = |split, photos| Note::OnBothSides {
        split,
        photos,
        of: 12,
        example: [path("valid/red/1.jpg"), path("train/red/9.jpg")],
    };
    let all = [
        Note::SplitFolders { folders: vec![(Split::Train, path("Training")), (Split::Valid, path("dev"))] },
        Note::SplitsInClasses { splits: vec![Split::Train, Split::Test] },
        Note::PhotosDeeper(depth()),
        Note::Table(plain),
        Note::Table(full),
        Note::NotValidated { labels: texts(&["red"]) },
        Note::NotValidated { labels: texts(&["a", "b", "c", "d", "e", "f", "g"]) },
        both(Split::Valid, 1),
        both(Split::Test, 3),
        Note::CaseOnly { labels: [text("Red"), text("red")] },
    ];
    insta::assert_snapshot!(messages(include_str!("../src/dataset/note.rs"), "Note", &all));
}
