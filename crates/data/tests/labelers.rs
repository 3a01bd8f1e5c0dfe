//! Labels from a table and from names, and the splits that come with them.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test stops at any problem")]

mod support;

use image::ImageFormat;
use sciurus_data::{
    CorrectedFile, Correction, Corrections, CsvHeader, CsvLabels, DataError, ImageDataset,
    ImageDatasetBuilder, ImageItem, Labeler, Loader, LoaderOptions, Mix, Order, Pipeline, Preprocessing,
    SkipReason, Split, Splitter, Target, Targets,
};
use std::path::Path;
use support::{class_folders, encoded, picture, write};
use tempfile::TempDir;

/// A folder with `count` pictures in `photos` and the table `labels.csv`.
fn folder(count: u32, table: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for i in 0..count {
        let image = encoded(&picture(20 + i, 20, i), ImageFormat::Png);
        write(root.path().join(format!("photos/{i}.png")), &image);
    }
    write(root.path().join("labels.csv"), table.as_bytes());
    root
}

/// `path,label` lines of `count` pictures, red and grey in turn.
fn plain(count: u32) -> String {
    let line = |i: u32| format!("photos/{i}.png,{}\n", ["red", "grey"][i as usize % 2]);
    "path,label\n".to_owned() + &(0..count).map(line).collect::<String>()
}

fn from(root: &TempDir) -> ImageDatasetBuilder {
    ImageDataset::from_csv(root.path().join("labels.csv"))
}

/// What a table is refused with, without its folder.
fn said(table: &str, change: impl Fn(CsvLabels) -> CsvLabels) -> String {
    let root = folder(4, table);
    let labels = change(CsvLabels::new(root.path().join("labels.csv")));
    let error = ImageDataset::from_csv(labels).build().unwrap_err().to_string();
    error.replace(&root.path().join("labels.csv").display().to_string(), "CSV")
}

fn counts(dataset: &ImageDataset) -> [Vec<usize>; 3] {
    Split::ALL.map(|split| dataset.class_counts(split))
}

#[test]
fn a_table_gives_paths_and_labels() {
    let root = folder(
        6,
        "\u{feff}label,\"path\",note\nred,photos/3.png,\nred, ./photos/1.png,\"a, b\"\n\"grey, \"\"old\"\"\",\
         photos/0.png,\n\"grey, \"\"old\"\"\",photos/2.png,\r\nred,photos/lost.png,\nred,labels.csv,\n",
    );
    let dataset = from(&root).build().unwrap();
    assert_eq!(dataset.root, root.path());
    assert_eq!(dataset.vocab.labels(), ["grey, \"old\"", "red"]);
    let items: Vec<_> =
        dataset.items.iter().map(|item| (item.path.to_str().unwrap(), item.target.classes()[0])).collect();
    assert_eq!(items, [("photos/0.png", 0), ("photos/1.png", 1), ("photos/2.png", 0), ("photos/3.png", 1)]);
    let skipped: Vec<_> =
        dataset.skipped.iter().map(|skip| (skip.path.to_str().unwrap(), &skip.reason)).collect();
    assert_eq!(skipped, [("labels.csv", &SkipReason::Text), ("photos/lost.png", &SkipReason::NotFound)]);
    let text = serde_json::to_string(&dataset).unwrap();
    assert_eq!(serde_json::from_str::<ImageDataset>(&text).unwrap(), dataset);
    assert!(matches!(&dataset.labeler, Labeler::Csv(labels) if labels.path.ends_with("labels.csv")));
}

#[test]
fn columns_delimiter_and_root_can_be_chosen() {
    let root = folder(4, "0.png;x;red\n1.png;x;grey\n2.png;x;red\n3.png;x;grey\n");
    let path = root.path().join("labels.csv");
    let labels = CsvLabels::new(&path).header(CsvHeader::Absent).delimiter(';').label_column(2);
    let build =
        |labels: &CsvLabels| ImageDataset::from_csv(labels.clone()).root(root.path().join("photos")).build();
    let dataset = build(&labels).unwrap();
    assert_eq!((dataset.items.len(), dataset.vocab.labels().len()), (4, 2));
    let again = ImageDataset::from_folder(&dataset.root).label_by(dataset.labeler.clone()).build().unwrap();
    assert_eq!(again, dataset);

    let named = "file;kind\n0.png;red\n1.png;grey\n2.png;red\n3.png;grey\n";
    write(path.clone(), named.as_bytes());
    let labels = CsvLabels::new(&path).delimiter(';').path_column("file").label_column("kind");
    assert_eq!(build(&labels).unwrap().items, dataset.items);
    // An absolute path below the root is the same as a relative one.
    let absolute = named.replace("0.png", &root.path().join("photos/0.png").display().to_string());
    write(path, absolute.as_bytes());
    assert_eq!(build(&labels).unwrap().items, dataset.items);
}

#[test]
fn lines_that_make_no_sense_are_named() {
    let same = |labels| labels;
    let cases = [
        (
            "kind,where,label\na,b,c\n",
            "CSV, line 1: the table has no column `path`; it has `kind`, `where`, `label`; set `path_column` to the column of \
             paths",
        ),
        (
            "photos/1.png red\n",
            "CSV, line 1: the table has no column `path`; it has `photos/1.png red`; set `path_column` to the column of paths, or \
             `delimiter` to the character between columns",
        ),
        ("path,label,path\na,b,c\n", "CSV, line 1: two columns are called `path`; rename one of them"),
        (
            "path,label\n",
            "CSV, line 1: the table lists no images; add a line with a path and a label for each image",
        ),
        ("", "CSV, line 1: the table lists no images; add a line with a path and a label for each image"),
        (
            "path,label\nphotos/1.png,red\n\nphotos/2.png,red\n./photos/1.png,grey\n",
            "CSV, line 5: photos/1.png is already listed in line 2; keep one of the two lines",
        ),
        ("path,label\nphotos/1.png, \n", "CSV, line 2: the label is empty; fill it in or remove the line"),
        ("path,label\n,red\n", "CSV, line 2: the path is empty; fill it in or remove the line"),
        (
            "path,label,split\nphotos/1.png,red,train\nphotos/2.png,red,elsewhere\n",
            "CSV, line 3: `elsewhere` is not a split; write train, valid or test, or name another column as `split_column`",
        ),
        (
            "path,label\nphotos/1.png,red,grey\n",
            "CSV, line 2: the line cannot be read: it has 3 fields, but the lines before it have 2; check for a \
             missing quote or delimiter",
        ),
        (
            "path,label,split\nphotos/1.png,red,train\nphotos/2.png,grey,train\nphotos/3.png,blue,valid\n",
            "CSV has valid or test images of `blue`, but no train images; add some, or remove the label",
        ),
        (
            "path,label\nphotos/1.png,red\nphotos/2.png,red\n",
            "only one label, `red`, in CSV; add images of at least one more class",
        ),
    ];
    for (table, want) in cases {
        assert_eq!(said(table, same), want);
    }
}

#[test]
fn columns_and_files_that_are_not_there_are_named() {
    let lost = said("path,label\nphotos/1.png,red\nphotos/2.png,red\nlost.png,grey\n", |labels| labels);
    assert!(
        lost.starts_with(
            "no readable training image of `grey` in CSV (1 file skipped, the first because: lost.png: file"
        ),
        "{lost}"
    );
    let said_of = |change: fn(CsvLabels) -> CsvLabels| said(&plain(4), change);
    assert_eq!(
        said_of(|labels| labels.split_column("side")),
        "CSV, line 1: the table has no column `side`; it has `path`, `label`; set `split_column` to the column of splits"
    );
    assert_eq!(
        said_of(|labels| labels.header(CsvHeader::Absent).label_column(5)),
        "CSV, line 1: the table has no column number 5 (counted from 0); it has `0`, `1`; set `label_column` to the column \
         of labels"
    );
    assert_eq!(
        said_of(|labels| labels.delimiter('→')),
        "delimiter is '→'; choose one ASCII character, such as a comma"
    );
    let missing = ImageDataset::from_csv("nowhere/labels.csv").build().unwrap_err();
    assert!(matches!(missing, DataError::CsvUnreadable { .. }), "{missing}");
}

#[test]
fn a_table_that_is_not_utf8_names_its_line() {
    let root = folder(2, "");
    write(root.path().join("labels.csv"), b"path,label\nphotos/0.png,red\nphotos/1.png,gr\xfcn\n");
    let error = from(&root).build().unwrap_err().to_string();
    assert!(
        error.contains("line 3: the text is not UTF-8: its byte FC would be `ü` in Windows-1252"),
        "{error}"
    );
}

#[test]
fn the_split_column_decides() {
    let split = |i: u32| ["train", "train", "Valid", "val", "train", "test"][i as usize % 6];
    let rows = |split: &dyn Fn(u32) -> &'static str| -> String {
        plain(12).lines().skip(1).zip(0..).map(|(line, i)| format!("{line},{}\n", split(i))).collect()
    };
    let root = folder(12, &("path,label,split\n".to_owned() + &rows(&split)));
    for splitter in [None, Some(Splitter::Column)] {
        let builder = splitter.into_iter().fold(from(&root), ImageDatasetBuilder::split_by);
        let dataset = builder.build().unwrap();
        assert_eq!(dataset.splitter, Splitter::Column);
        assert_eq!(counts(&dataset), [[2, 4], [2, 2], [2, 0]].map(Vec::from));
    }
    let error = |builder: ImageDatasetBuilder| builder.build().unwrap_err();
    assert!(matches!(error(from(&root).split_by(Splitter::default())), DataError::OwnSplitColumn { .. }));
    assert!(matches!(error(from(&root).split_by(Splitter::Folder)), DataError::OwnSplitColumn { .. }));
    assert!(matches!(error(from(&root).test_fraction(0.2)), DataError::OwnTestSplit { .. }));

    // A column that tells only test from train leaves the choice of the validation set open.
    let test_only = |i: u32| if i < 4 { "test" } else { "train" };
    write(root.path().join("labels.csv"), ("path,label,split\n".to_owned() + &rows(&test_only)).as_bytes());
    let dataset = from(&root).split_by(Splitter::KFold { folds: 4, fold: 0 }).build().unwrap();
    assert_eq!(counts(&dataset), [[3, 3], [1, 1], [2, 2]].map(Vec::from));
    assert!(matches!(error(from(&root).split_by(Splitter::Column)), DataError::NoSplitColumn { .. }));
}

#[test]
fn groups_of_a_table_stay_together() {
    // Pictures 0 and 1 are of one squirrel, 2 and 3 of the next, and so on.
    let rows: String =
        (0..24).map(|i| format!("photos/{i}.png,{},s{}\n", ["red", "grey"][i / 2 % 2], i / 2)).collect();
    let root = folder(24, &("path,label,group\n".to_owned() + &rows));
    let dataset = from(&root).test_fraction(0.2).build().unwrap();
    assert_eq!(dataset.items[0].group.as_deref(), Some("s0"));
    for item in &dataset.items {
        let same = dataset.items.iter().filter(|other| other.group == item.group);
        assert!(same.clone().count() == 2 && same.into_iter().all(|other| other.split == item.split));
    }
    assert_eq!(counts(&dataset), [[8, 8], [2, 2], [2, 2]].map(Vec::from));

    let torn =
        rows.lines().zip(0..).map(|(line, i)| format!("{line},{}\n", if i == 5 { "valid" } else { "train" }));
    let table = "path,label,group,split\n".to_owned() + &torn.collect::<String>();
    write(root.path().join("labels.csv"), table.as_bytes());
    let error = from(&root).build().unwrap_err().to_string();
    assert!(error.starts_with("group `s2` in ") && error.ends_with("put them all in one split"), "{error}");
}

#[test]
fn groups_come_from_paths_too() {
    let root = tempfile::tempdir().unwrap();
    for label in ["red", "grey"] {
        for i in 0..20 {
            let name = if i == 19 { "alone.png".to_owned() } else { format!("cam{}_{i}.png", i % 5) };
            write(root.path().join(label).join(name), &encoded(&picture(20, 20 + i, i), ImageFormat::Png));
        }
    }
    let dataset = ImageDataset::from_folder(root.path()).group_by(r"/(cam\d)_").build().unwrap();
    let side = |group: &str, split| {
        let of_group = dataset.items.iter().filter(move |item| item.group.as_deref() == Some(group));
        of_group.filter(move |item| item.split == split).count()
    };
    for camera in ["cam0", "cam1", "cam2", "cam3", "cam4"] {
        let (train, valid) = (side(camera, Split::Train), side(camera, Split::Valid));
        assert!(train == 0 || valid == 0, "{camera}: {train} and {valid}");
    }
    assert!(dataset.items.iter().any(|item| item.group.is_none()));
    assert_eq!(dataset.group.as_deref(), Some(r"/(cam\d)_"));
    let error = ImageDataset::from_folder(root.path()).group_by("cam").build().unwrap_err();
    assert!(error.to_string().contains("that is the group in parentheses"), "{error}");
}

#[test]
fn names_give_labels() {
    let root = tempfile::tempdir().unwrap();
    for (i, name) in (0..).zip([
        "great_dane_1.png",
        "great_dane_22.png",
        "deep/pug_3.png",
        "pug_4.png",
        "pug.png",
        ".pug_5.png",
    ]) {
        write(root.path().join(name), &encoded(&picture(20 + i, 20, i), ImageFormat::Png));
    }
    write(root.path().join("notes.txt"), b"pug");
    let dataset = ImageDataset::from_name_pattern(root.path(), r"^(.+)_\d+\.png$").build().unwrap();
    assert_eq!(dataset.vocab.labels(), ["great_dane", "pug"]);
    let items: Vec<_> =
        dataset.items.iter().map(|item| (item.path.to_str().unwrap(), item.target.classes()[0])).collect();
    assert_eq!(
        items,
        [("deep/pug_3.png", 1), ("great_dane_1.png", 0), ("great_dane_22.png", 0), ("pug_4.png", 1)]
    );
    let skipped: Vec<_> =
        dataset.skipped.iter().map(|skip| (skip.path.to_str().unwrap(), &skip.reason)).collect();
    assert_eq!(
        skipped,
        [("notes.txt", &SkipReason::NameWithoutLabel), ("pug.png", &SkipReason::NameWithoutLabel)]
    );
    let none = ImageDataset::from_name_pattern(root.path(), r"(\d+)-").build().unwrap_err().to_string();
    assert!(none.starts_with(r"`(\d+)-` matches none of the 6 files in "), "{none}");
    assert!(none.ends_with("change `name_pattern`"), "{none}");
    let missing = ImageDataset::from_name_pattern(root.path().join("nowhere"), "(a)").build();
    assert!(matches!(missing, Err(DataError::FolderMissing { .. })));
}

#[test]
fn test_and_folds_of_a_folder() {
    let root = tempfile::tempdir().unwrap();
    class_folders(root.path(), &["red", "grey"], 20);
    let build = |fold| {
        let splitter = Splitter::KFold { folds: 4, fold };
        ImageDataset::from_folder(root.path()).split_by(splitter).test_fraction(0.2).build().unwrap()
    };
    let folds: Vec<ImageDataset> = (0..4).map(build).collect();
    for i in 0..40 {
        let splits: Vec<Split> = folds.iter().map(|fold| fold.items[i].split).collect();
        let count = |split| splits.iter().filter(|of_fold| **of_fold == split).count();
        assert!(matches!((count(Split::Test), count(Split::Valid)), (4, 0) | (0, 1)), "{splits:?}");
    }
    assert_eq!(counts(&folds[0]), [[12, 12], [4, 4], [4, 4]].map(Vec::from));
    assert_eq!((folds[0].test_fraction, folds[0].items[0].split), (Some(0.2), folds[0].items[0].split));
}

#[test]
fn a_data_set_saved_before_there_were_labelers_is_read() {
    let old = r#"{"root":"squirrels","vocab":["grey","red"],"items":[{"id":0,"path":"grey/a.jpg","class":0,"split":"train",
        "content":"000102030405060708090a0b0c0d0e0f","bytes":5,"width":3,"height":4}],"skipped":[],"left_out_folders":[],
        "splitter":{"kind":"stratified","valid_fraction":0.2},"seed":42}"#;
    let dataset: ImageDataset = serde_json::from_str(old).unwrap();
    assert_eq!(
        (&dataset.labeler, dataset.test_fraction, &dataset.items[0].group),
        (&Labeler::Folder, None, &None)
    );
    assert_eq!(dataset.root, Path::new("squirrels"));
}

#[test]
fn a_real_table_is_read() {
    let Some(data) = support::shared_data() else { return };
    let labels = CsvLabels::new(data.join("squirrels_red_grey/labels.csv")).path_column("file");
    let dataset = ImageDataset::from_csv(labels).build().unwrap();
    assert_eq!(dataset.vocab.labels()[0], "_junk");
    assert!(dataset.items.len() >= 330 && dataset.skipped.is_empty(), "{:?}", dataset.skipped);
}

/// Pictures of a table of several labels: every second a tree, every third a bird, the others without any.
fn several(count: u32) -> String {
    let line = |i: u32| {
        let labels: Vec<&str> = [("tree", 2), ("bird", 3)]
            .iter()
            .filter(|(_, every)| i.is_multiple_of(*every))
            .map(|(label, _)| *label)
            .collect();
        format!("photos/{i}.png,{}\n", labels.join(" "))
    };
    "path,labels\n".to_owned() + &(0..count).map(line).collect::<String>()
}

fn of_several(root: &TempDir) -> ImageDatasetBuilder {
    ImageDataset::from_csv(CsvLabels::new(root.path().join("labels.csv")).label_separator(' '))
}

#[test]
fn an_image_may_have_any_number_of_labels() {
    let root = folder(24, &several(24));
    let dataset = of_several(&root).test_fraction(0.25).build().unwrap();
    assert_eq!(
        (dataset.vocab.labels(), dataset.is_multi_label()),
        (&["bird".to_owned(), "tree".to_owned()][..], true)
    );
    let item = |name: &str| dataset.items.iter().find(|item| item.path.ends_with(name)).unwrap();
    assert_eq!(item("6.png").target, Target::Multi(vec![0, 1]));
    assert_eq!(
        (dataset.label(item("6.png")), dataset.labels(item("1.png"))),
        ("bird, tree".to_owned(), vec![])
    );
    let all = |class: usize| counts(&dataset).iter().map(|counts| counts[class]).collect::<Vec<_>>();
    assert_eq!((all(0).iter().sum::<usize>(), all(1).iter().sum::<usize>()), (8, 12));
    assert!(all(0).iter().all(|&birds| birds >= 1), "{:?}", counts(&dataset));
    let summary = dataset.summary();
    assert_eq!(summary.splits.iter().map(|(_, items)| items).sum::<usize>(), 24);
    let again: ImageDataset = serde_json::from_str(&serde_json::to_string(&dataset).unwrap()).unwrap();
    assert_eq!(again, dataset);
    assert_ne!(dataset.fingerprint(), ImageDataset { items: vec![], ..again }.fingerprint());

    let pipeline = || Preprocessing { image_size: 32, ..Preprocessing::default() }.pipeline();
    let dataset = std::sync::Arc::new(dataset);
    let options = LoaderOptions::measuring().batch_size(32).mix(Mix::mix_up());
    let loader = Loader::new(dataset.clone(), Split::Train, pipeline(), options.clone()).unwrap();
    let batch = loader.epoch(0).next().unwrap();
    let expected: Targets = batch.items.iter().map(|&id| dataset.item(id).unwrap().target.clone()).collect();
    assert!(matches!(batch.targets, Targets::Multi(_)) && batch.mixed.is_some());
    assert_eq!((&batch.targets, batch.targets.len()), (&expected, batch.len()));
    let error = Loader::new(
        dataset,
        Split::Train,
        Pipeline::clone(loader.pipeline()),
        options.order(Order::Balanced),
    );
    assert!(error.unwrap_err().to_string().contains("set `balance` to loss"));
}

#[test]
fn labels_between_separators_are_tidied_and_tables_that_make_no_sense_refused() {
    let table = "file;labels;label\nphotos/0.png;x|;fox | red|fox\nphotos/1.png;;red\nphotos/2.png;;\nphotos/3.png;;|fox\n";
    let root = folder(4, table);
    let labels = CsvLabels::new(root.path().join("labels.csv"))
        .delimiter(';')
        .path_column("file")
        .label_separator('|');
    let dataset = ImageDataset::from_csv(labels).seed(3).build().unwrap();
    let labels: Vec<_> = dataset.items.iter().map(|item| dataset.label(item)).collect();
    assert_eq!(labels, ["fox, red", "red", "", "fox"]);

    let error = |table: &str| said(table, |labels| labels.label_separator(' '));
    let one = error("path,label\nphotos/0.png,fox\nphotos/1.png,\n");
    assert!(one.starts_with("only one label, `fox`, in CSV; a model needs at least two labels"), "{one}");
    let none = error("path,label\nphotos/0.png,\nphotos/1.png,\n");
    assert!(none.starts_with("no image has a label in CSV;"), "{none}");
    assert!(error("path,kind,where\nphotos/0.png,fox,x\n").contains("the table has no column `label`"));
    let letter = said(&plain(4), |labels| labels.label_separator('e'));
    assert!(letter.starts_with("label_separator is 'e'; choose a character"), "{letter}");
    // Without a separator an empty label is still a mistake.
    assert!(said("path,label\nphotos/0.png,\n", |labels| labels).contains("the label is empty"));
    assert!(said(&several(4), |labels| labels).contains("the label is empty"));
}

#[test]
fn corrections_change_labels_and_leave_out_but_not_who_measures() {
    let root = tempfile::tempdir().unwrap();
    class_folders(root.path(), &["red", "grey"], 20);
    let build = |corrections| ImageDataset::from_folder(root.path()).correct(corrections).build();
    let before = build(Corrections::default()).unwrap();
    let corrected = |i: usize, correction| {
        let ImageItem { path, content, .. } = before.items[i].clone();
        CorrectedFile { path, content, correction, as_copy: false }
    };
    let relabelled = [0, 3, 4].map(|i| corrected(i, Correction::Relabel("black".into())));
    let moved = CorrectedFile { path: "elsewhere.png".into(), ..corrected(1, Correction::LeaveOut) };
    let after = build(Corrections::new([&relabelled[..], &[moved, corrected(2, Correction::Keep)]].concat()))
        .unwrap();
    assert_eq!(after.vocab.labels(), ["black", "grey", "red"]);
    assert_eq!(after.label(&after.items[0]), "black");
    assert_eq!(after.skipped[0].reason, SkipReason::LeftOut);
    let splits = |dataset: &ImageDataset| -> Vec<_> {
        let items = dataset.items.iter().filter(|item| item.path != before.items[1].path);
        items.map(|item| (item.path.clone(), item.split)).collect()
    };
    assert_eq!(splits(&before), splits(&after));

    let all_grey = (0..20).map(|i| corrected(i, Correction::LeaveOut));
    let error = build(Corrections::new(all_grey)).unwrap_err();
    assert!(matches!(&error, DataError::OnlyOneClass { label, .. } if label == "red"), "{error}");
}
