//! Tests the pickle reader with floods, foreign names and random programs: nothing panics, hangs or recurses.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// A program of protocol 2 with this body.
fn run(body: &[u8]) -> Result<Pickle, String> {
    read(&[b"\x80\x02", body, b"."].concat())
}

fn refused(body: &[u8]) -> String {
    run(body).err().unwrap_or_else(|| panic!("accepted: {}", body.escape_ascii()))
}

#[test]
fn a_name_is_judged_wherever_it_stands() {
    let evil = b"cinterpreters_evil\nrun\n";
    for (before, after) in [
        (&b""[..], &b""[..]),
        (b"", b"0N"),
        (b"", b"q\x000N"),
        (b"}X\x01\0\0\0a(", b"ts"),
        (b"ccollections\nOrderedDict\n(", b"tR"),
        (b"N(", b"1"),
        (b"", b"\x85R"),
    ] {
        let said = refused(&[before, &evil[..], after].concat());
        assert!(said.contains("`interpreters_evil.run`, which is not a tensor"), "{said}");
    }
    let said = refused(b"\x8c\x11interpreters_evil\x8c\x03run\x930N");
    assert!(said.contains("`interpreters_evil.run`"), "{said}");
    let said = refused(b"(iposix\nsystem\n");
    assert!(said.contains("`posix.system`"), "{said}");
}

#[test]
fn instructions_that_make_anything_else_are_refused() {
    for body in [
        &b"ccollections\nOrderedDict\n)\x81"[..],
        b"ccollections\nOrderedDict\n)}\x92",
        b"(ccollections\nOrderedDict\no",
        b"\x82\x01",
        b"\x83\x01\x00",
        b"\x84\x01\x00\x00\x00",
        b"Pstorage\n",
        b"\x97",
        b"N\x98",
        b"ctorch\nFloatStorage\n)R",
        b"cnumpy\nndarray\n)R",
        b"X\x01\0\0\0a)R",
        b"K\x01}b",
        b"ccollections\nOrderedDict\n}b",
        b"]K\x01\x85b",
    ] {
        let said = refused(body);
        assert!(said.contains("refused") || said.contains("damaged"), "{}: {said}", body.escape_ascii());
    }
}

#[test]
fn what_checkpoints_hold_beside_tensors_is_read() {
    for body in [
        // numpy.float64(1.5), as protocol 2 has it
        &b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\0\0\0f8\x89\x88\x87R(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbc_codecs\nencode\nX\x08\0\0\0\0\0\0\0\0\0\xc3\xb8X\x06\0\0\0latin1\x86R\x86R"[..],
        b"ctorch\nSize\n(K\x01K\x02t\x85R",
        b"ctorch\ndevice\nX\x03\0\0\0cpu\x85R",
        b"ctorch\nfloat32\n",
        b"c__builtin__\nset\n](K\x01K\x02e\x85R",
        b"ccollections\nOrderedDict\n)R}X\x09\0\0\0_metadata}sb",
        b"ccollections\nOrderedDict\n](](X\x01\0\0\0aK\x01ee\x85R",
        b"ccollections\nCounter\n}K\x1eK\x01s\x85R",
        b"I01\nL12345678901234567890L\nF1.5\nVplain\n(t",
        b"G\x3f\xf8\0\0\0\0\0\0C\x02ab\x8a\x09\0\0\0\0\0\0\0\0\x01(d",
        b"\x8f(K\x01\x90",
    ] {
        run(body).unwrap_or_else(|said| panic!("{}: {said}", body.escape_ascii()));
    }
}

/// The tensor `a`: a view of 6 numbers in a storage of 24.
const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nHalfStorage\nX\x01\0\0\0aX\x03\0\0\0cpuK\x18tQK\x02(K\x02K\x03t(K\x01K\x02t\x89ccollections\nOrderedDict\n)RtR";

#[test]
fn a_tensor_is_a_view_of_its_storage() {
    let pickle = run(TENSOR).unwrap();
    let Object::Tensor(tensor) = &pickle.objects[pickle.root] else { panic!("{pickle:?}") };
    assert_eq!((&tensor.shape[..], &tensor.stride[..]), (&[2, 3][..], &[1, 2][..]));
    assert_eq!((tensor.offset, tensor.extent, tensor.element.size), (2, 6, 2));
    let Object::Storage(storage) = &pickle.objects[tensor.storage] else { panic!("{pickle:?}") };
    assert_eq!((storage.key.as_str(), storage.count), ("a", 24));
    // One number further on it would not fit.
    let at = TENSOR.windows(2).position(|part| part == b"K\x02").unwrap() + 1;
    for (offset, fits) in [(18, true), (19, false), (255, false)] {
        let mut moved = TENSOR.to_vec();
        moved[at] = offset;
        assert_eq!(run(&moved).is_ok(), fits, "{offset}");
    }
}

#[test]
fn floods_end_at_a_limit_and_soon() {
    let many = |bytes: &[u8]| bytes.repeat(2_000_000 / bytes.len().min(2));
    let started = Instant::now();
    for flood in
        [&b"N"[..], b"(", b"]", b"}", b")", b"K\x01", b"2", b"I1\n", b"]\x85", b"q\x00", b"N0", b"\x94"]
    {
        let body = [b"]", &many(flood)[..]].concat();
        assert!(refused(&body).contains("instructions"), "{}", flood.escape_ascii());
    }
    // A list of lists of lists, half a million deep, is as cheap to drop as any other.
    let deep = [b"]".as_slice(), &b"\x85".repeat(500_000)].concat();
    assert!(run(&deep).is_ok());
    // A long list that is copied again and again.
    let pair = b"](K\x01K\x02e".repeat(1000);
    let list = [b"](".as_slice(), &pair, b"eq\x000ccollections\nOrderedDict\nq\x010"].concat();
    let copies = b"h\x01h\x00\x85R0".repeat(10_000);
    assert!(refused(&[list, copies].concat()).contains("copies too much"));
    assert!(refused(&[b"\x8b\x00\x00\x80\x00".as_slice(), &[7; 0x80_0000]].concat()).contains("too long"));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// Instructions, each with some argument: most programs go on for a while.
fn instruction() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::sample::select(vec![
        "collections\nOrderedDict",
        "torch\nFloatStorage",
        "torch._utils\n_rebuild_tensor_v2",
        "numpy\ndtype",
        "torch\nint64",
        "torch._utils\n_rebuild_parameter",
    ]);
    prop_oneof![
        prop::sample::select(&b"()]}ltdues0122RbQNa\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94."[..])
            .prop_map(|byte| vec![byte]),
        (prop::sample::select(&b"Kqh"[..]), 0..4_u8).prop_map(|(opcode, byte)| vec![opcode, byte]),
        names.prop_map(|name| format!("c{name}\n").into_bytes()),
        Just(b"X\x07\0\0\0storage".to_vec()),
        Just(TENSOR.to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_program_makes_the_machine_panic(program in prop::collection::vec(instruction(), 0..60)) {
        let bytes = program.concat();
        if let Ok(pickle) = read(&bytes) {
            prop_assert!(pickle.end <= bytes.len() && pickle.root < pickle.objects.len());
        }
    }

    #[test]
    fn no_bytes_make_the_machine_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_tensor_stays_within_its_storage(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = TENSOR.to_vec();
        changes.iter().for_each(|(at, byte)| { let at = at.index(bytes.len()); bytes[at] = *byte; });
        let Ok(pickle) = run(&bytes) else { return Ok(()) };
        for object in &pickle.objects {
            let Object::Tensor(tensor) = object else { continue };
            let Object::Storage(storage) = &pickle.objects[tensor.storage] else { panic!("{object:?}") };
            prop_assert!((tensor.offset + tensor.extent) * tensor.element.size <= storage.count * storage.element.size);
        }
    }
}
