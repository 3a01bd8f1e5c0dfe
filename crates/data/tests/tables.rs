//! Tables as people have them: what is recognised, and what is said about it.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test stops at any problem")]

mod support;

use image::ImageFormat;
use sciurus_data::{ImageDataset, ImageDatasetBuilder, Split, Splitter};
use support::{encoded, picture, write};
use tempfile::TempDir;

fn from(root: &TempDir) -> ImageDatasetBuilder {
    ImageDataset::from_csv(root.path().join("labels.csv"))
}

fn counts(dataset: &ImageDataset) -> [Vec<usize>; 3] {
    Split::ALL.map(|split| dataset.class_counts(split))
}

/// A table beside `red/0.jpg`, `red/1.jpg`, `grey/2.jpg`, `grey/3.jpg` and so on.
fn beside_photos(table: &[u8]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for i in 0..8 {
        let image = encoded(&picture(20 + i, 20, i), ImageFormat::Jpeg);
        write(root.path().join(format!("{}/{i}.jpg", ["red", "grey"][i as usize / 4])), &image);
    }
    write(root.path().join("labels.csv"), table);
    root
}

/// Eight lines, each made of a photo's path, label and number.
fn lines(line: impl Fn(&str, &str, usize) -> String) -> String {
    let label = |i: usize| ["red", "grey"][i / 4];
    (0..8).map(|i| line(&format!("{}/{i}.jpg", label(i)), label(i), i)).collect()
}

#[test]
fn tables_are_recognised_and_what_was_recognised_is_said() {
    let plain = |separator: &str| lines(|path, label, _| format!("{path}{separator}{label}\n"));
    let cases = [
        (format!("fname,labels\n{}", plain(",")), "paths from column `fname`, labels from `labels`"),
        (format!("Image ID,Species\n{}", plain(",")), "paths from column `Image ID`, labels from `Species`"),
        (format!("path;label\n{}", plain(";")), "with `;` between fields"),
        (format!("path\tlabel\n{}", plain("\t")), "with tabs between fields"),
        (format!("path|label\n{}", plain("|")), "with `|` between fields"),
        (plain(","), "no line of names; read with `,` between fields, paths from column number 0"),
        (plain(";").replace('/', "\\"), "no line of names; read with `;`"),
        (format!("path,label\n{}", plain(",").replace('/', "\\")), "`\\` in paths stands for `/`"),
        (format!("image,tags\n{}", plain(",").replace(".jpg", "")), "the paths lack their ending, `.jpg`"),
        (
            format!("what,where\n{}", lines(|path, label, _| format!("{label},{path}\n"))),
            "paths from column `where`, labels from `what`",
        ),
        (
            format!("id,file,breed\n{}", lines(|path, label, i| format!("{i},{path},{label}\n"))),
            "paths from column `file`, labels from `breed`",
        ),
        (
            format!("image,tags\n{}", plain(",").replace("red\n", "red clear\n")),
            "if it may have several, set `label_separator` to ' '",
        ),
    ];
    for (table, note) in cases {
        let dataset =
            from(&beside_photos(table.as_bytes())).build().unwrap_or_else(|error| panic!("{error}\n{table}"));
        assert_eq!((dataset.items.len(), dataset.vocab.len()), (8, 2), "{table}");
        let told = dataset.notes[0].to_string();
        assert!(told.contains(note), "{told}\n{table}");
    }
    let usual = from(&beside_photos(format!("path,label\n{}", plain(",")).as_bytes())).build().unwrap();
    assert_eq!(usual.notes, []);
    let utf16: Vec<u8> =
        format!("\u{feff}path\tlabel\r\n{}", plain("\t")).encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(from(&beside_photos(&utf16)).build().unwrap().items.len(), 8);
}

#[test]
fn split_columns_of_other_names_count_if_they_hold_splits() {
    let with = |name: &str, word: fn(usize) -> &'static str| {
        let table =
            format!("path,label,{name}\n{}", lines(|path, label, i| format!("{path},{label},{}\n", word(i))));
        from(&beside_photos(table.as_bytes())).build().unwrap()
    };
    for (name, word) in [
        ("is_valid", (|i| ["True", "False"][i % 2]) as fn(usize) -> &'static str),
        ("is_valid", |i| ["1", "0"][i % 2]),
        ("Set", |i| ["Validation", "Training"][i % 2]),
        ("subset", |i| ["val", "train"][i % 2]),
    ] {
        let dataset = with(name, word);
        assert_eq!(
            (dataset.splitter, counts(&dataset)),
            (Splitter::Column, [vec![2, 2], vec![2, 2], vec![0, 0]]),
            "{name}"
        );
        assert!(
            dataset.notes[0].to_string().contains(&format!("splits from `{name}`")),
            "{:?}",
            dataset.notes
        );
    }
    assert_eq!(counts(&with("is_test", |i| if i % 4 == 0 { "yes" } else { "no" }))[2], [1, 1]);
    assert_eq!(with("set", |i| ["A", "B"][i % 2]).splitter, Splitter::default());
}

#[test]
fn a_name_of_a_column_is_no_photo_even_if_there_is_one_of_that_name() {
    let plain = lines(|path, label, _| format!("{path},{label}\n"));
    let root = beside_photos(format!("image,species\n{plain}").as_bytes());
    write(root.path().join("image.jpg"), &encoded(&picture(30, 20, 99), ImageFormat::Jpeg));
    let dataset = from(&root).build().unwrap();
    assert_eq!((dataset.items.len(), dataset.vocab.labels().len()), (8, 2));
}

#[test]
fn a_table_whose_photos_are_elsewhere_says_where_it_looked() {
    let root = beside_photos(
        format!("path,label\n{}", lines(|path, label, _| format!("images/{path},{label}\n"))).as_bytes(),
    );
    let said = from(&root).build().unwrap_err().to_string();
    let shown = |path: &str| root.path().join(path).display().to_string();
    assert!(said.contains("none of the photos that it lists (8) is there"), "{said}");
    assert!(
        said.contains(&format!(
            "the first would be {}, but there is {}",
            shown("images/grey/4.jpg"),
            shown("grey/4.jpg")
        )),
        "{said}"
    );
}
