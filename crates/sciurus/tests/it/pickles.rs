//! PyTorch checkpoints made by hand: pickles of tensors, and archives around them.

use std::io::{Cursor, Write};

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// A text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

/// A whole number from 0 on.
pub(crate) fn number(number: u64) -> Vec<u8> {
    [b"\x8a\x08".as_slice(), &number.to_le_bytes()].concat()
}

fn tuple(numbers: &[u64]) -> Vec<u8> {
    [b"(".to_vec(), numbers.iter().flat_map(|size| number(*size)).collect(), b"t".to_vec()].concat()
}

/// A tensor of f32 over the storage `key` of `count` numbers.
pub(crate) fn tensor(key: &str, count: u64, [shape, stride]: [&[u64]; 2]) -> Vec<u8> {
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text(key),
        text("cpu"),
        number(count),
        b"tQK\x00".to_vec(),
        tuple(shape),
        tuple(stride),
        b"\x89ccollections\nOrderedDict\n)RtR".to_vec(),
    ]
    .concat()
}

/// A whole pickle: a dictionary of these values by name.
pub(crate) fn pickle<N: AsRef<str>>(values: &[(N, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> =
        values.iter().flat_map(|(name, value)| [text(name.as_ref()), value.clone()].concat()).collect();
    [b"\x80\x02}(".as_slice(), &items, b"u."].concat()
}

/// An archive as `torch.save` writes it, with this pickle and these storages.
pub(crate) fn archive<N: AsRef<str>>(pickle: &[u8], storages: &[(N, Vec<u8>)]) -> Vec<u8> {
    let mut members =
        vec![("m/data.pkl".to_owned(), pickle.to_vec()), ("m/byteorder".to_owned(), b"little".to_vec())];
    members.extend(storages.iter().map(|(key, bytes)| (format!("m/data/{}", key.as_ref()), bytes.clone())));
    zipped(&members, CompressionMethod::Stored)
}

/// An archive of these members.
pub(crate) fn zipped(members: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in members {
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A file of before archives: five pickles, then the storages.
pub(crate) fn legacy(
    [magic, version, system]: [&[u8]; 3],
    checkpoint: &[u8],
    storages: &[(&str, Vec<f32>)],
) -> Vec<u8> {
    let keys: Vec<u8> = storages.iter().flat_map(|(key, _)| text(key)).collect();
    let keys = [b"\x80\x02](".as_slice(), &keys, b"e."].concat();
    let numbers = storages.iter().flat_map(|(_, values)| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        (values.len() as u64).to_le_bytes().into_iter().chain(bytes)
    });
    [magic, version, system, checkpoint, &keys, &numbers.collect::<Vec<u8>>()].concat()
}

/// What such files begin with.
pub(crate) const LEGACY: [&[u8]; 3] = [
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
    b"\x80\x02M\xe9\x03.",
    b"\x80\x02}X\x0d\0\0\0little_endian\x88s.",
];
