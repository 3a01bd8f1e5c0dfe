//! Archives that somebody made to do harm: bombs, lies about sizes and numbers, names that are no names.

use crate::costs;
use flate2::{Compression, write::GzEncoder};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use tar::{EntryType, Header};

fn header(kind: EntryType, name: &str, size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A member with its padding.
fn member(kind: EntryType, name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(kind, name, content.len() as u64);
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A gzipped file of these bytes and so many MiB of zeros.
fn gzip_with_zeros(bytes: &[u8], mebibytes: usize) -> Vec<u8> {
    let zeros = gzip(&vec![0; 64 << 20]);
    [gzip(bytes), zeros.repeat(mebibytes / 64)].concat()
}

/// A file that is larger than what is on the disk: these bytes, then a hole.
fn with_hole(path: &Path, bytes: &[u8], size: u64) {
    let mut file = File::create(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_len(size).unwrap();
}

#[test]
fn what_describes_a_member_is_no_larger_than_a_description() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader, EntryType::XGlobalHeader]
    {
        let head = header(kind, "a.jpg", 3 << 30);
        let plain = folder.path().join("a.tar");
        with_hole(&plain, &head, (3 << 30) + 1024);
        costs::of(&plain).cheap().is_refused("about one member");
        let packed = folder.path().join("a.tgz");
        std::fs::write(&packed, gzip_with_zeros(&head, 3 << 10)).unwrap();
        costs::of(&packed).cheap().is_refused("about one member");
        // Nor are many that are each small.
        for text in [" ", "\n", "5 a=\n", "11 path=a\n"] {
            let many = folder.path().join("many.tar.gz");
            let mut one =
                [header(kind, "a", 1 << 20), text.repeat((1 << 20) / text.len()).into_bytes()].concat();
            one.resize(512 + (1 << 20), 0);
            std::fs::write(&many, gzip(&one).repeat(400)).unwrap();
            costs::of(&many).cheap().is_refused("unpack it yourself");
        }
    }
    // A file with holes says where they are in blocks of which each may say that another follows.
    let mut sparse = header(EntryType::GNUSparse, "a.jpg", 0);
    sparse[482] = 1;
    let sum: u32 = sparse[..148].iter().chain(&sparse[156..]).map(|&byte| u32::from(byte)).sum();
    sparse[148..156].copy_from_slice(format!("{:06o}\0 ", sum + 256).as_bytes());
    let mut block = vec![0; 512];
    block[504] = 1;
    let path = folder.path().join("sparse.tar.gz");
    std::fs::write(&path, gzip(&[sparse, block.repeat(100_000)].concat())).unwrap();
    costs::of(&path).cheap().is_refused("holes");
}

#[test]
fn names_that_headers_tell_are_read_and_belong_to_one_member() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("a/{}.jpg", "x".repeat(200));
    let pax = |pairs: &[(&str, &str)]| {
        let line = |(key, value): &(&str, &str)| {
            let rest = format!(" {key}={value}\n");
            let length = (rest.len() + 1..).find(|length| length.to_string().len() + rest.len() == *length);
            format!("{}{rest}", length.unwrap())
        };
        pairs.iter().map(line).collect::<String>().into_bytes()
    };
    let tar = [
        member(EntryType::GNULongName, "././@LongLink", format!("{long}\0").as_bytes()),
        member(EntryType::Regular, "short", b"one"),
        member(EntryType::XGlobalHeader, "pax", &pax(&[("comment", "of all")])),
        member(EntryType::XHeader, "pax", &pax(&[("path", "a/päx.jpg"), ("size", "4")])),
        member(EntryType::Regular, "other.png", b"four"),
        member(EntryType::Regular, "a/own.jpg", b"five!"),
        member(EntryType::Symlink, "a/link.jpg", b""),
        vec![0; 1024],
    ]
    .concat();
    for (name, bytes) in [("a.tar", tar.clone()), ("a.tar.gz", gzip(&tar))] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let cost = costs::of(&path).cheap();
        assert_eq!(cost.names, ["a/own.jpg", "a/päx.jpg", &long], "{cost:?}");
        assert_eq!(cost.read, 3, "{cost:?}");
    }
}

#[test]
fn a_gzipped_file_that_is_mostly_nothing_is_left_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar.gz");
    for head in [
        header(EntryType::Regular, "a/1.jpg", 7 << 30),
        header(EntryType::Regular, "a.bin", 7 << 30),
        Vec::new(),
    ] {
        // Zeros alone are an archive that has ended, so the last one has a member in each 64 MiB.
        let bytes = match head.is_empty() {
            false => gzip_with_zeros(&head, 10 << 10),
            true => gzip(&member(EntryType::Regular, "a.bin", &vec![0; 64 << 20])).repeat(200),
        };
        assert!(bytes.len() < 20 << 20);
        std::fs::write(&path, bytes).unwrap();
        costs::of(&path).cheap().is_refused("far more than photos do");
    }
}

#[test]
fn a_gzipped_archive_that_is_larger_than_any_bomb_may_be_is_read_if_it_packs_like_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar.gz");
    // Bitmaps of which a tenth cannot be packed.
    let mut bitmap = vec![0; 3 << 20];
    let mut state = 1_u32;
    bitmap.iter_mut().take(300 << 10).for_each(|byte| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = state.to_be_bytes()[0];
    });
    let content = gzip(&bitmap);
    let mut file = File::create(&path).unwrap();
    for number in 0..100 {
        file.write_all(&gzip(&header(EntryType::Regular, &format!("a/{number}.bmp"), 3 << 20))).unwrap();
        file.write_all(&content).unwrap();
    }
    assert!(file.metadata().unwrap().len() < 40 << 20);
    drop(file);
    let cost = costs::of(&path);
    assert_eq!((cost.names.len(), cost.read), (100, 100), "{cost:?}");
}

#[test]
fn tar_files_of_many_members_are_read_once_in_whatever_order_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let content = vec![7; 3000];
    let mut tar: Vec<u8> = (0..40_000)
        .flat_map(|number| member(EntryType::Regular, &format!("a/{number:05}.jpg"), &content))
        .collect();
    tar.extend(vec![0; 1024]);
    for (name, bytes) in [("a.tar", tar.clone()), ("a.tgz", gzip(&tar))] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let cost = costs::of(&path).cheap();
        assert_eq!((cost.names.len(), cost.read), (40_000, 40_000), "{name}");
    }
    let path = folder.path().join("too-many.tar.gz");
    let many: Vec<u8> =
        (0..1000).flat_map(|number| header(EntryType::Regular, &format!("a/{number}"), 0)).collect();
    std::fs::write(&path, gzip(&many).repeat(201)).unwrap();
    costs::of(&path).cheap().is_refused("more than 200000 members");
}

#[test]
fn archives_that_end_too_early_or_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tar = [
        member(EntryType::Regular, "a/1.jpg", &[1; 5000]),
        member(EntryType::Regular, "a/2.jpg", &[2; 5000]),
    ]
    .concat();
    let mut zip = Zip::default();
    zip.add("a/1.jpg", &[1; 5000]);
    let zip = zip.end();
    let cut = [
        tar[..8000].to_vec(),
        gzip(&tar[..8000]),
        gzip(&tar)[..60].to_vec(),
        zip[..3000].to_vec(),
        vec![0x1f, 0x8b],
    ];
    for (number, bytes) in cut.into_iter().enumerate() {
        for ending in ["zip", "tar", "tar.gz"] {
            let path = folder.path().join(format!("{number}.{ending}"));
            std::fs::write(&path, &bytes).unwrap();
            let cost = costs::of(&path).cheap();
            assert!(cost.down.is_some(), "{number} {ending}: {cost:?}");
        }
    }
    for (name, bytes) in [("text.tar", "just some words ".repeat(100)), ("empty.zip", String::new())] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert!(costs::of(&path).cheap().down.is_some(), "{name}");
    }
}

/// A zip file whose list can say anything.
#[derive(Default)]
struct Zip {
    bytes: Vec<u8>,
    list: Vec<u8>,
    members: u64,
}

/// What the list says of a member.
struct Says<'n> {
    name: &'n [u8],
    at: u32,
    packed: u32,
    size: u32,
    method: u16,
    checksum: u32,
}

impl Zip {
    fn add(&mut self, name: &str, content: &[u8]) {
        let mut checksum = flate2::Crc::new();
        checksum.update(content);
        let (at, size) = (self.bytes.len() as u32, content.len() as u32);
        self.content(name, content);
        let (packed, method, checksum) = (size, 0, checksum.sum());
        self.list(&Says { name: name.as_bytes(), at, packed, size, method, checksum });
    }

    /// A member that is not listed.
    fn content(&mut self, name: &str, content: &[u8]) {
        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend([0; 22]);
        self.bytes.extend((name.len() as u16).to_le_bytes());
        self.bytes.extend([0; 2]);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(content);
    }

    fn list(&mut self, says: &Says<'_>) {
        self.members += 1;
        let list = &mut self.list;
        list.extend(b"PK\x01\x02\x14\0\x14\0\0\0");
        list.extend(says.method.to_le_bytes());
        list.extend([0; 4]);
        for number in [says.checksum, says.packed, says.size] {
            list.extend(number.to_le_bytes());
        }
        list.extend((says.name.len() as u16).to_le_bytes());
        list.extend([0; 12]);
        list.extend(says.at.to_le_bytes());
        list.extend(says.name);
    }

    fn end(self) -> Vec<u8> {
        let (at, size) = (self.bytes.len() as u32, self.list.len() as u32);
        let end = end(self.members.min(0xffff) as u16, size, at);
        [self.bytes, self.list, end].concat()
    }
}

fn end(members: u16, size: u32, at: u32) -> Vec<u8> {
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend(members.to_le_bytes());
    end.extend(members.to_le_bytes());
    end.extend(size.to_le_bytes());
    end.extend(at.to_le_bytes());
    end.extend([0; 2]);
    end
}

/// The end of an archive with large numbers, whose larger end record stands at a place.
fn end_64(members: u64, size: u64, list_at: u64, at: u64) -> Vec<u8> {
    let mut bytes = b"PK\x06\x06".to_vec();
    bytes.extend(44_u64.to_le_bytes());
    bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [members, members, size, list_at] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(at.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(end(0xffff, u32::MAX, u32::MAX));
    bytes
}

#[test]
fn the_list_of_a_zip_file_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut zip = Zip::default();
    (0..65_000).for_each(|number| zip.add(&format!("a/{number:05}.jpg"), b"x"));
    let path = folder.path().join("a.zip");
    std::fs::write(&path, zip.end()).unwrap();
    let cost = costs::of(&path).cheap();
    assert_eq!((cost.names.len(), cost.read), (65_000, 65_000));
    let mut zip = Zip::default();
    (0..200_001).for_each(|number| zip.add(&format!("a/{number}.jpg"), b"x"));
    std::fs::write(&path, zip.end()).unwrap();
    costs::of(&path).cheap().is_refused("more than 200000 members");
}

#[test]
fn a_zip_file_may_lie_about_its_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    let size = 20_u64 << 30;
    // (members, bytes of the list, its place): all of them in a file that is large enough to hold them, of which nearly all
    // is a hole.
    for (members, list, at) in [
        (u64::from(u32::MAX), size - 1000, 1000),
        (1 << 40, 10 << 30, 1 << 30),
        (200_000, (64 << 20) + 1, 1000),
        (u64::MAX, u64::MAX, u64::MAX),
        (1, u64::MAX, 1),
        (1, 1, u64::MAX),
    ] {
        with_hole(&path, b"PK\x03\x04", size);
        let mut file = File::options().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(1000)).unwrap();
        file.write_all(b"PK\x01\x02").unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(&end_64(members, list, at, size)).unwrap();
        let cost = costs::of(&path).cheap();
        assert!(cost.down.is_some(), "{members} {list} {at}: {cost:?}");
    }
    // A list that says nothing but where the next list might be, and notes of the greatest length.
    for filler in [end(0, 0, 0), end(1, 46, 0), end_64(1, 46, 0, 0), b"PK\x01\x02".to_vec()] {
        let mut bytes = b"PK\x03\x04".to_vec();
        while bytes.len() < 10 << 20 {
            bytes.extend(&filler);
        }
        bytes.extend(end(1, 46, 10 << 20));
        std::fs::write(&path, bytes).unwrap();
        costs::of(&path).cheap();
    }
}

#[test]
fn members_of_a_zip_file_may_lie_about_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(&vec![0; 512 << 20]).unwrap();
    let bomb = deflate.finish().unwrap();
    let packed = bomb.len() as u32;
    let mut zip = Zip::default();
    zip.content("a/0.jpg", &bomb);
    let says = |size, method| Says { name: b"a/0.jpg", at: 0, packed, size, method, checksum: 0 };
    // It claims to be small, large, or packed in no way that there is.
    for (size, method, fault) in [
        (10, 8, "larger than"),
        (512 << 20, 8, "larger than"),
        (10, 99, "method 99"),
        (packed, 0, "do not match the archive's list"),
    ] {
        let mut zip = Zip { bytes: zip.bytes.clone(), ..Zip::default() };
        zip.list(&says(size, method));
        std::fs::write(&path, zip.end()).unwrap();
        let cost = costs::of(&path).cheap();
        assert!(cost.read == 0 && cost.faults[0].contains(fault), "{fault}: {cost:?}");
    }
    // Many names for the same bytes.
    let mut many = Zip { bytes: zip.bytes, ..Zip::default() };
    let names: Vec<String> = (0..60_000).map(|number| format!("a/{number}.jpg")).collect();
    names.iter().for_each(|name| many.list(&Says { name: name.as_bytes(), ..says(10, 8) }));
    std::fs::write(&path, many.end()).unwrap();
    costs::of(&path).cheap().is_refused("overlap");
    // A member beyond the end.
    let mut zip = Zip::default();
    zip.list(&Says { at: u32::MAX - 1, ..says(10, 0) });
    std::fs::write(&path, zip.end()).unwrap();
    costs::of(&path).cheap().is_refused("damaged");
}

#[test]
fn of_two_members_with_a_name_the_last_counts_and_names_hide_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["a/1.jpg", "a/1.jpg", "../../a/2.jpg", "a/\u{1b}[2J\u{202e}3.jpg", "/a/4.jpg"];
    let long = format!("a/{}.jpg", "x".repeat(60_000));
    let shown = ["../../a/2.jpg", "/a/4.jpg", "a/1.jpg", "a/\u{fffd}[2J\u{fffd}3.jpg"];
    let (mut zip, mut tar) = (Zip::default(), Vec::new());
    for (number, name) in names.iter().copied().chain([long.as_str()]).enumerate() {
        zip.add(name, &vec![0; number]);
        tar.extend(member(EntryType::GNULongName, "././@LongLink", name.as_bytes()));
        tar.extend(member(EntryType::Regular, "x", &vec![0; number]));
    }
    for (name, bytes) in [("a.zip", zip.end()), ("a.tar", tar.clone()), ("a.tgz", gzip(&tar))] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let cost = costs::of(&path).cheap();
        assert_eq!(cost.names, shown, "{name}: {cost:?}");
        assert_eq!(cost.read, 4, "{name}: {cost:?}");
        let all = sciurus_gather::fuzzing::archive(&path, 100).unwrap();
        assert_eq!(all[2], ("a/1.jpg".to_owned(), Some(vec![0])), "{name}");
    }
}

#[test]
fn zip_files_of_all_makers_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    let options = zip::write::SimpleFileOptions::default();
    let photo: Vec<u8> = (0..100_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
    let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
    writer.set_comment("PK\x05\x06 is how an end begins").unwrap();
    writer.add_directory("a", options).unwrap();
    for (name, options) in [
        ("a/1.jpg", options),
        ("a/2.jpg", options.compression_method(zip::CompressionMethod::Stored)),
        ("a/3 ö.jpg", options.large_file(true)),
        ("b/4.jpg", options),
        ("a/no.txt", options),
    ] {
        writer.start_file(name, options).unwrap();
        writer.write_all(&photo).unwrap();
    }
    writer.finish().unwrap();
    let whole = std::fs::read(&path).unwrap();
    // Behind a program that unpacks it, all is at another place than the archive thinks.
    for before in [Vec::new(), b"PK is no end".repeat(100)] {
        std::fs::write(&path, [before, whole.clone()].concat()).unwrap();
        let cost = costs::of(&path).cheap();
        assert_eq!(
            (cost.names.as_slice(), cost.read),
            (&["a/1.jpg", "a/2.jpg", "a/3 ö.jpg"].map(str::to_owned)[..], 3),
            "{cost:?}"
        );
        let all = sciurus_gather::fuzzing::archive(&path, 1 << 20).unwrap();
        assert!(all.iter().all(|(_, bytes)| bytes.as_ref() == Some(&photo)));
    }
    // Names of the first IBM PC.
    let mut zip = Zip::default();
    zip.content("a/?.jpg", b"x");
    let name = b"a/\x94.jpg";
    zip.list(&Says { name, at: 0, packed: 1, size: 1, method: 0, checksum: 0x8cdc_1683 });
    std::fs::write(&path, zip.end()).unwrap();
    let cost = costs::of(&path);
    assert_eq!((cost.names, cost.read), (vec!["a/ö.jpg".to_owned()], 1));
}
