//! PyTorch checkpoints: a pickle that lists the tensors, and storages with their numbers. Nothing is unpickled.
//!
//! In: a file, either a zip archive (PyTorch 1.6 and later) or a sequence of pickles followed by storages (earlier versions).
//! Out: its floating-point tensors as [`Entry`]s by name, which is their path through dictionaries and lists, joined by dots.

use std::collections::{BTreeMap, HashMap};

use super::archive::Archive;
use super::entry::{Entry, is_row_by_row};
use super::pickle::{self, Id, Object, Pickle, Storage, Tensor};
use crate::storage::regular::RegularFile;

/// Most containers and tensors that are visited, most objects in them, and most storages.
const MAX_VISITS: usize = 100_000;
const MAX_LOOKS: usize = 2_000_000;
const MAX_STORAGES: usize = 20_000;
/// Most bytes of a tensor's name.
const MAX_NAME: usize = 512;
/// The magic number of files in the legacy format, in bytes and in digits.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const MAGIC_DIGITS: &[u8] = b"119547037146038801333356";
/// The version of the legacy format.
const LEGACY_VERSION: i64 = 1001;

/// Where the numbers of a storage are.
#[derive(Debug, Clone, Copy)]
struct Stored {
    start: u64,
    bytes: u64,
    crc: u32,
}

/// The tensors of a zip archive.
///
/// # Errors
/// The archive or its pickle is damaged or refused.
pub(super) fn of_archive(file: &mut RegularFile) -> Result<BTreeMap<String, Entry>, String> {
    let archive = Archive::open(file)?;
    let is_root = |root: &&str| root.is_empty() || root.ends_with('/');
    let mut roots = archive.names().filter_map(|name| name.strip_suffix("data.pkl")).filter(is_root);
    let root = match (roots.next(), roots.next()) {
        (Some(root), None) => root.to_owned(),
        _ => return Err("it does not have exactly one data.pkl: it is not a PyTorch checkpoint".to_owned()),
    };
    let order = format!("{root}byteorder");
    if archive.member(&order).is_some() && archive.read(file, &order, 64)?.trim_ascii() != b"little" {
        return Err("its numbers are big-endian; save it again on a little-endian machine".to_owned());
    }
    let program = archive.read(file, &format!("{root}data.pkl"), pickle::MAX_BYTES)?;
    let pickle = pickle::read(&program)?;
    if pickle.end != program.len() {
        return Err("its pickle goes on after its end: it may be hostile and is refused".to_owned());
    }
    let mut known: HashMap<&str, Stored> = HashMap::new();
    entries(&pickle, |storage| {
        if let Some(stored) = known.get(storage.key.as_str()) {
            return Ok(*stored);
        }
        let name = format!("{root}data/{}", storage.key);
        let member = archive.member(&name).ok_or_else(|| format!("it has no storage `{}`", storage.key))?;
        let start = archive.start(file, &name, member)?;
        let stored = Stored { start, bytes: member.size, crc: member.crc };
        known.insert(&storage.key, stored);
        Ok(stored)
    })
}

/// The tensors of a legacy file. Its pickles are: a magic number, a version, the system, the checkpoint, and the keys of the
/// storages; then come the storages.
///
/// # Errors
/// A pickle is damaged or refused, or the file is not a checkpoint.
pub(super) fn of_pickles(file: &mut RegularFile) -> Result<BTreeMap<String, Entry>, String> {
    let bytes = file.read_at(0, file.len().min(pickle::MAX_BYTES)).map_err(|error| error.to_string())?;
    let mut rest = bytes.as_slice();
    let mut next = || -> Result<Pickle, String> {
        let pickle = pickle::read(rest)?;
        rest = &rest[pickle.end..];
        Ok(pickle)
    };
    let magic = next()?;
    let start = &bytes[..magic.end];
    let has = |number: &[u8]| start.windows(number.len()).any(|window| window == number);
    if !has(&MAGIC) && !has(MAGIC_DIGITS) {
        return Err("it is a pickle, but not a PyTorch checkpoint".to_owned());
    }
    let version = next()?;
    if !matches!(version.objects[version.root], Object::Int(LEGACY_VERSION)) {
        return Err("its format version is unknown".to_owned());
    }
    // The pickle with the system's byte order is skipped. In the other order, the sizes of storages would not match, and be
    // refused.
    next()?;
    let [checkpoint, keys] = [next()?, next()?];
    let data = (bytes.len() - rest.len()) as u64;
    let storages = legacy_storages(file, data, &checkpoint, &keys)?;
    entries(&checkpoint, |storage| {
        storages.get(&storage.key).copied().ok_or_else(|| format!("it has no storage `{}`", storage.key))
    })
}

/// Where the storages are. They follow each other from `position` on, each after its number of elements (8 bytes).
fn legacy_storages(
    file: &mut RegularFile,
    mut position: u64,
    checkpoint: &Pickle,
    keys: &Pickle,
) -> Result<HashMap<String, Stored>, String> {
    let declared: HashMap<&str, &Storage> = checkpoint
        .objects
        .iter()
        .filter_map(|object| if let Object::Storage(storage) = object { Some(storage) } else { None })
        .map(|storage| (storage.key.as_str(), storage))
        .collect();
    let Object::List(ids) = &keys.objects[keys.root] else {
        return Err("its list of storages is missing: it is damaged".to_owned());
    };
    if ids.len() > MAX_STORAGES {
        return Err(format!("it claims {} storages: it may be hostile and is refused", ids.len()));
    }
    let mut storages = HashMap::new();
    for id in ids {
        let key = match &keys.objects[*id] {
            Object::Text(key) => key.clone(),
            Object::Int(key) => key.to_string(),
            _ => return Err("it has a storage without a name: it is damaged".to_owned()),
        };
        let storage = declared.get(key.as_str()).ok_or("it has a storage that no tensor uses")?;
        let count = file.read_at(position, 8).map_err(|error| error.to_string())?;
        let bytes = storage.count * storage.element.size;
        let end = (position + 8).checked_add(bytes).filter(|end| *end <= file.len());
        let Some(end) = end.filter(|_| count == storage.count.to_le_bytes()) else {
            return Err("a storage does not have the size that its tensors need: it is damaged".to_owned());
        };
        storages.insert(key, Stored { start: position + 8, bytes, crc: 0 });
        position = end;
    }
    Ok(storages)
}

/// The tensors of a checkpoint; `find` gives the place of a storage.
fn entries<'a>(
    pickle: &'a Pickle,
    mut find: impl FnMut(&'a Storage) -> Result<Stored, String>,
) -> Result<BTreeMap<String, Entry>, String> {
    if !matches!(pickle.objects[pickle.root], Object::Dict(_)) {
        return Err("its pickle is not a dictionary of tensors".to_owned());
    }
    let mut entries = BTreeMap::new();
    for (name, tensor) in tensors(pickle)? {
        let (Some(number), Object::Storage(storage)) =
            (tensor.element.float, &pickle.objects[tensor.storage])
        else {
            continue;
        };
        let stored = find(storage)?;
        let [offset, reach] = [tensor.offset, tensor.extent].map(|count| count * tensor.element.size);
        if offset.checked_add(reach).is_none_or(|end| end > stored.bytes) {
            return Err(format!("tensor `{name}` reaches beyond its storage: it is damaged"));
        }
        let is_whole = offset == 0 && reach == stored.bytes && stored.crc != 0;
        let sizes = |sizes: &[u64]| sizes.iter().map(|size| *size as usize).collect::<Vec<usize>>();
        let stride = (!is_row_by_row(&tensor.shape, &tensor.stride)).then(|| sizes(&tensor.stride));
        let entry = Entry {
            shape: sizes(&tensor.shape),
            number,
            start: stored.start + offset,
            extent: tensor.extent,
            stride,
            crc: is_whole.then_some(stored.crc),
        };
        // Checkpoints of training scripts often have the weights one level down, under `state_dict`.
        let name = name.strip_prefix("state_dict.").unwrap_or(&name).to_owned();
        if let Some((name, _)) = entries.insert(name.clone(), entry).map(|entry| (name, entry)) {
            return Err(format!("two of its tensors are called `{name}`"));
        }
    }
    Ok(entries)
}

/// All tensors by their path. A container that is in several places is visited in each, so visits are limited.
fn tensors(pickle: &Pickle) -> Result<Vec<(String, &Tensor)>, String> {
    let mut found = Vec::new();
    let mut left: Vec<(String, Id)> = vec![(String::new(), pickle.root)];
    let [mut visits, mut looks] = [0, 0];
    while let Some((path, id)) = left.pop() {
        if let Object::Tensor(tensor) = &pickle.objects[id] {
            found.push((path, tensor));
            continue;
        }
        looks += size(pickle, id);
        let within = parts(pickle, id);
        visits += within.len();
        let longest = within.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        if visits > MAX_VISITS || looks > MAX_LOOKS || path.len() + longest > MAX_NAME {
            return Err(
                "its containers are nested too deep or too many: it may be hostile and is refused".to_owned()
            );
        }
        let join = |name: String| if path.is_empty() { name } else { format!("{path}.{name}") };
        left.extend(within.into_iter().map(|(name, id)| (join(name), id)));
    }
    Ok(found)
}

/// How many objects a container has.
fn size(pickle: &Pickle, id: Id) -> usize {
    match &pickle.objects[id] {
        Object::Dict(items) => items.len(),
        Object::List(items) | Object::Tuple(items) => items.len(),
        _ => 0,
    }
}

/// The containers and tensors in a container, by key or index.
fn parts(pickle: &Pickle, id: Id) -> Vec<(String, Id)> {
    let leads_on = |id: Id| {
        let object = &pickle.objects[id];
        matches!(object, Object::Dict(_) | Object::List(_) | Object::Tuple(_) | Object::Tensor(_))
    };
    match &pickle.objects[id] {
        Object::Dict(items) => {
            let name = |(key, value): &(Id, Id)| match &pickle.objects[*key] {
                Object::Text(key) => Some((key.chars().take(MAX_NAME + 1).collect(), *value)),
                Object::Int(key) => Some((key.to_string(), *value)),
                _ => None,
            };
            items.iter().filter(|(_, value)| leads_on(*value)).filter_map(name).collect()
        }
        Object::List(items) | Object::Tuple(items) => {
            let listed = items.iter().enumerate().filter(|(_, id)| leads_on(**id));
            listed.map(|(place, id)| (place.to_string(), *id)).collect()
        }
        _ => Vec::new(),
    }
}
