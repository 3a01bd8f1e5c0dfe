//! PyTorch checkpoints that would cost too much or name what is no tensor: refused before anything of that size or kind is done.

use std::path::{Path, PathBuf};

use sciurus::model::StoredTensor;
use sciurus::model::weights::read;
use zip::CompressionMethod;

use crate::limited::{Kind, assert_refused, said};
use crate::pickles::{LEGACY, archive, legacy, number, pickle, tensor, text, zipped};

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn refused(folder: &Path, name: &str, bytes: &[u8], words: &str) {
    assert_refused(Kind::Weights, &write(folder, name, bytes), words);
}

/// Four numbers as they are stored.
fn four() -> Vec<u8> {
    [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A sound archive of one tensor, which the tests below spoil.
fn sound() -> Vec<u8> {
    archive(&pickle(&[("w", tensor("0", 4, [&[2, 2], &[1, 2]]))]), &[("0", four())])
}

#[test]
fn what_the_tests_spoil_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let expected = StoredTensor { shape: vec![2, 2], values: vec![1.0, 3.0, 2.0, 4.0] };
    assert_eq!(read(&write(folder.path(), "sound.pth", &sound())).unwrap()["w"], expected);
    let checkpoint = pickle(&[("w", tensor("7", 4, [&[2, 2], &[1, 2]]))]);
    let bytes = legacy(LEGACY, &checkpoint, &[("7", vec![1.0, 2.0, 3.0, 4.0])]);
    let path = write(folder.path(), "legacy.pth", &bytes);
    assert_eq!(read(&path).unwrap()["w"], expected);
    if cfg!(target_os = "linux") {
        assert_eq!(said(Kind::Weights, &path), "accepted", "the child can read what is sound");
    }
}

/// The reader of Burn's makers is the measure: the same tensors, bit for bit.
#[test]
fn tensors_are_those_that_pytorch_reader_reads() {
    for name in ["state.pth", "state_legacy.pth", "nested.pth"] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        let ours = read(&path).unwrap();
        let theirs = pytorch_reader::PytorchReader::new(&path).unwrap();
        assert_eq!(ours.len(), 4, "{name}");
        for (name, tensor) in ours {
            let other = theirs.get(&name).or_else(|| theirs.get(&format!("state_dict.{name}"))).unwrap();
            assert_eq!(tensor.shape, other.shape());
            let bytes = other.read().unwrap();
            let values: Vec<f32> = match other.dtype() {
                pytorch_reader::DType::F32 => {
                    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
                }
                _ => bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
            };
            assert_eq!(tensor.values, values, "{name}");
        }
    }
}

#[test]
fn compressed_storages_are_not_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let count = 64 << 20;
    let names: Vec<(String, Vec<u8>)> =
        (0..40).map(|i| (format!("w{i}"), tensor("0", count, [&[count], &[1]]))).collect();
    let zeros = vec![0; 4 * count as usize];
    let members = [("m/data.pkl".to_owned(), pickle(&names)), ("m/data/0".to_owned(), zeros)];
    let bomb = zipped(&members, CompressionMethod::Deflated);
    assert!(bomb.len() < 1 << 20);
    refused(folder.path(), "bomb.pth", &bomb, "is compressed");
    // Only the pickle is packed, and would be 256 MB.
    let members = [("m/data.pkl".to_owned(), vec![b'N'; 256 << 20])];
    refused(folder.path(), "packed.pth", &zipped(&members, CompressionMethod::Deflated), "is compressed");
}

#[test]
fn tensors_cannot_claim_more_than_the_file_has_reason_to() {
    let folder = tempfile::tempdir().unwrap();
    // One stored number in each of many tensors, and few numbers over long windows.
    let spread = |shape: &[u64], stride: &[u64], tensors: usize, stored: usize| {
        let count = stored as u64 / 4;
        let names: Vec<(String, Vec<u8>)> =
            (0..tensors).map(|i| (format!("w{i}"), tensor("0", count, [shape, stride]))).collect();
        archive(&pickle(&names), &[("0", vec![0; stored])])
    };
    refused(folder.path(), "same.pth", &spread(&[1 << 40], &[0], 1, 4), "MB of memory");
    refused(folder.path(), "many.pth", &spread(&[1 << 20], &[0], 2000, 4), "MB of memory");
    refused(folder.path(), "wide.pth", &spread(&[2], &[(8 << 20) - 1], 1000, 32 << 20), "MB of memory");
    refused(folder.path(), "beyond.pth", &spread(&[2], &[4], 1, 16), "reaches beyond its storage");
    refused(folder.path(), "huge.pth", &spread(&[1 << 40, 1 << 40], &[0, 0], 1, 4), "unknown way");
    // The storage says that it is larger than it is.
    let lie = archive(&pickle(&[("w", tensor("0", 1 << 20, [&[1 << 20], &[1]]))]), &[("0", four())]);
    refused(folder.path(), "lie.pth", &lie, "reaches beyond its storage");
    let lie =
        legacy(LEGACY, &pickle(&[("w", tensor("0", 1 << 30, [&[1 << 30], &[1]]))]), &[("0", vec![1.0])]);
    refused(folder.path(), "old_lie.pth", &lie, "does not have the size");
}

#[test]
fn zip_directories_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = sound();
    let find =
        |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).rposition(|window| window == part).unwrap();
    let entry = find(&whole, b"m/data/0") - 46;
    let local = whole.windows(8).position(|window| window == b"m/data/0").unwrap() - 30;
    let end = find(&whole, b"PK\x05\x06");
    let spoilt = |at: usize, bytes: &[u8]| {
        let mut lie = whole.clone();
        lie[at..at + bytes.len()].copy_from_slice(bytes);
        lie
    };
    for (name, bytes, words) in [
        ("packed", spoilt(entry + 20, &[1, 0, 0, 0]), "not what the directory says"),
        ("large", spoilt(entry + 20, &[0, 0, 0, 64, 0, 0, 0, 64]), "not what the directory says"),
        ("both", spoilt(entry + 20, &[200, 0, 0, 0, 200, 0, 0, 0]), "not where the directory says"),
        ("saturated", spoilt(entry + 20, &[255; 8]), "not what the directory says"),
        ("elsewhere", spoilt(entry + 42, &[3, 0, 0, 0]), "not where the directory says"),
        ("nowhere", spoilt(entry + 42, &[255, 255, 255, 0]), "not what the directory says"),
        ("renamed", spoilt(local + 30, b"m/data/1"), "not where the directory says"),
        ("method", spoilt(local + 8, &[8, 0]), "not where the directory says"),
        ("checksum", spoilt(entry + 16, &[1, 2, 3, 4]), "its checksum is wrong"),
        ("encrypted", spoilt(entry + 8, &[1, 0]), "compressed or encrypted"),
        ("more", spoilt(end + 8, &[40, 0, 40, 0]), "directory is damaged"),
        ("crowd", spoilt(end + 8, &[254, 255, 254, 255]), "claims 65534 members"),
        ("before", spoilt(end + 16, &[255, 255, 255, 0]), "directory"),
        ("large_zip", spoilt(end + 16, &[255; 4]), "directory is damaged"),
        ("cut", whole[..end].to_vec(), "no zip directory"),
    ] {
        refused(folder.path(), &format!("{name}.pth"), &bytes, words);
    }
    let twice = zipped(
        &[("m/data.pkl".to_owned(), pickle::<&str>(&[])), ("n/data.pkl".to_owned(), pickle::<&str>(&[]))],
        CompressionMethod::Stored,
    );
    refused(folder.path(), "twice.pth", &twice, "does not have exactly one data.pkl");
    let members: Vec<(String, Vec<u8>)> = (0..25_000).map(|i| (format!("m/data/{i}"), Vec::new())).collect();
    refused(
        folder.path(),
        "members.pth",
        &zipped(&members, CompressionMethod::Stored),
        "claims 25000 members",
    );
    // The end of an archive, over and over.
    let ends = [b"PK\x03\x04".as_slice(), &b"PK\x05\x06".repeat(4 << 20)].concat();
    refused(folder.path(), "ends.pth", &ends, "no zip directory");
}

#[test]
fn floods_in_a_pickle_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let program = |body: Vec<u8>| archive::<&str>(&[b"\x80\x02".as_slice(), &body, b"."].concat(), &[]);
    refused(folder.path(), "long.pth", &program(vec![b'N'; 17 << 20]), "at most 16 MB are read");
    refused(folder.path(), "nones.pth", &program(vec![b'N'; 15 << 20]), "instructions");
    refused(folder.path(), "marks.pth", &program(vec![b'('; 15 << 20]), "instructions");
    refused(
        folder.path(),
        "copies.pth",
        &program([b"]".as_slice(), &[b'2'; 15 << 20]].concat()),
        "instructions",
    );
    refused(
        folder.path(),
        "memo.pth",
        &program([b"]".as_slice(), &[0x94; 15 << 20]].concat()),
        "instructions",
    );
    refused(
        folder.path(),
        "deep.pth",
        &program([b"]".as_slice(), &[0x85; 900_000]].concat()),
        "is not a dictionary",
    );
    let number = [b"\x8b\x00\x00\xe0\x00".as_slice(), &[7; 14 << 20]].concat();
    refused(folder.path(), "number.pth", &program(number), "too long");
    refused(
        folder.path(),
        "size.pth",
        &program(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec()),
        "truncated",
    );
    let line = [b"L".as_slice(), &[b'9'; 15 << 20], b"\n"].concat();
    refused(folder.path(), "digits.pth", &program(line), "an invalid number");
}

/// Containers of containers: each has the one before it twice, so that there are 2^60 ways to the tensor.
#[test]
fn paths_to_tensors_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut body = [b"\x80\x02}(".to_vec(), text("w"), tensor("0", 4, [&[4], &[1]]), b"u".to_vec()].concat();
    for level in 0..60_u8 {
        body.extend(
            [
                &[b'q', level, b'0', b'}', b'('][..],
                &text("a"),
                &[b'h', level],
                &text("b"),
                &[b'h', level, b'u'],
            ]
            .concat(),
        );
    }
    body.push(b'.');
    refused(folder.path(), "ways.pth", &archive(&body, &[("0", four())]), "too deep or too many");
    // A long list in many places.
    let long = [b"](".as_slice(), &b"N".repeat(400_000), b"e"].concat();
    let places: Vec<u8> = b"h\x00".repeat(50_000);
    let body = [
        b"\x80\x02}".to_vec(),
        text("a"),
        long,
        b"q\x00s".to_vec(),
        text("b"),
        b"](".to_vec(),
        places,
        b"es.".to_vec(),
    ]
    .concat();
    refused(folder.path(), "places.pth", &archive(&body, &[("0", four())]), "too deep or too many");
    // A list in itself.
    let body = [b"\x80\x02}".to_vec(), text("a"), b"]q\x00h\x00as.".to_vec()].concat();
    refused(folder.path(), "itself.pth", &archive(&body, &[("0", four())]), "too deep or too many");
    // A long name before many tensors, and a storage with a long key.
    let many = [
        b"(".to_vec(),
        tensor("0", 4, [&[4], &[1]]),
        b"q\x00".to_vec(),
        b"h\x00".repeat(90_000),
        b"l".to_vec(),
    ]
    .concat();
    let name = "n".repeat(1 << 20);
    refused(
        folder.path(),
        "name.pth",
        &archive(&pickle(&[(name.as_str(), many)]), &[("0", four())]),
        "too deep or too many",
    );
    let key = pickle(&[("w", tensor(&name, 4, [&[4], &[1]]))]);
    refused(folder.path(), "key.pth", &archive(&key, &[("0", four())]), "unknown way");
}

/// A name is refused wherever it stands in the program, whether or not anything comes of it.
#[test]
fn names_that_are_no_tensors_are_refused_wherever_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let weight = tensor("0", 4, [&[4], &[1]]);
    let global = |module: &str, name: &str| format!("c{module}\n{name}\n").into_bytes();
    for (module, name) in [
        ("posix", "system"),
        ("interpreters_evil", "run"),
        ("int", "evil"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torchvision.models.resnet", "ResNet"),
        ("numpy", "load"),
        ("numpy.testing", "run"),
        ("collections", "namedtuple"),
        ("collections.abc", "Callable"),
        ("builtins", "eval"),
        ("torch._utils", "_rebuild_tensor_v2_evil"),
    ] {
        let evil = global(module, name);
        let of = |before: &[u8], after: &[u8]| [before, &evil, after].concat();
        let stack_global = [text(module), text(name), b"\x930N".to_vec()].concat();
        let arguments = [
            global("collections", "OrderedDict"),
            b"](".to_vec(),
            text("a"),
            evil.clone(),
            b"e\x85R".to_vec(),
        ]
        .concat();
        let forms = [
            of(b"", b"0N"),
            of(b"", b"q\x050N"),
            of(b"(", b"1N"),
            of(b"", b")R"),
            of(b"", b")\x81"),
            of(b"(", b"o"),
            of(b"N", b"\x86"),
            arguments,
            stack_global,
            format!("(i{module}\n{name}\n").into_bytes(),
        ];
        for (form, evil) in forms.into_iter().enumerate() {
            let checkpoint = pickle(&[("w", weight.clone()), ("evil", evil)]);
            let expected = format!("`{module}.{name}`, which is not a tensor");
            for bytes in
                [archive(&checkpoint, &[("0", four())]), legacy(LEGACY, &checkpoint, &[("0", vec![1.0; 4])])]
            {
                let path = write(folder.path(), &format!("evil-{form}.pth"), &bytes);
                let said = read(&path).unwrap_err().to_string();
                assert!(said.contains(&expected), "form {form}: {said}");
            }
        }
    }
}

/// Old files have five pickles, and archives have bytes behind theirs.
#[test]
fn every_pickle_of_a_file_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = pickle(&[("w", tensor("0", 4, [&[4], &[1]]))]);
    let evil: &[u8] = b"\x80\x02cposix\nsystem\n0";
    for place in 0..3 {
        let mut header = LEGACY;
        let spoilt = [evil, &header[place][2..]].concat();
        header[place] = &spoilt;
        let path = write(folder.path(), "evil.pth", &legacy(header, &checkpoint, &[("0", vec![1.0; 4])]));
        let said = read(&path).unwrap_err().to_string();
        assert!(said.contains("`posix.system`"), "pickle {place}: {said}");
    }
    let mut keys = legacy(LEGACY, &checkpoint, &[("0", vec![1.0; 4])]);
    let at = keys.windows(4).rposition(|part| part == b"\x80\x02](").unwrap() + 2;
    keys.splice(at..at, evil[2..].iter().copied());
    let said = read(&write(folder.path(), "keys.pth", &keys)).unwrap_err().to_string();
    assert!(said.contains("`posix.system`"), "{said}");
    let behind = archive(&[checkpoint.as_slice(), evil, b"."].concat(), &[("0", four())]);
    let said = read(&write(folder.path(), "behind.pth", &behind)).unwrap_err().to_string();
    assert!(said.contains("goes on after its end"), "{said}");
}

/// What real checkpoints hold beside their tensors: numbers, texts, NumPy's scalars, sizes, types, an optimizer's state.
#[test]
fn checkpoints_of_training_scripts_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let scalar = b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\0\0\0f8\x89\x88\x87R(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbC\x08\0\0\0\0\0\0\xf8\x3f\x86R".to_vec();
    let state = [
        b"}".to_vec(),
        text("state"),
        b"}K\x00}".to_vec(),
        text("exp_avg"),
        tensor("1", 4, [&[4], &[1]]),
        b"sss".to_vec(),
    ]
    .concat();
    let checkpoint = pickle(&[
        ("epoch", number(3)),
        ("best", scalar),
        ("name", text("résumé")),
        ("seed", b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00".to_vec()),
        ("dtype", b"ctorch\nbfloat16\n".to_vec()),
        ("size", b"ctorch\nSize\n(K\x01t\x85R".to_vec()),
        ("milestones", b"ccollections\nCounter\n}K\x1eK\x01s\x85R".to_vec()),
        (
            "state_dict",
            [
                b"}".to_vec(),
                text("w"),
                b"ctorch._utils\n_rebuild_parameter\n(".to_vec(),
                tensor("0", 4, [&[4], &[1]]),
                b"\x88ccollections\nOrderedDict\n)RtRs".to_vec(),
            ]
            .concat(),
        ),
        ("optimizer", state),
    ]);
    let state =
        read(&write(folder.path(), "run.pth", &archive(&checkpoint, &[("0", four()), ("1", four())])))
            .unwrap();
    assert_eq!(state.keys().collect::<Vec<_>>(), ["optimizer.state.0.exp_avg", "w"]);
    assert_eq!(state["w"].values, [1.0, 2.0, 3.0, 4.0]);
}
