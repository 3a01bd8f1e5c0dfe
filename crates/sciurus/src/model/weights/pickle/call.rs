//! PyTorch's calls in a pickle, which make storages and tensors. Checks their sizes against each other.

use super::machine::Machine;
use super::{Id, MAX_INSTRUCTIONS, Name, Object, Rebuild, Storage, Tensor};

/// Most dimensions of a tensor.
const MAX_RANK: usize = 16;
/// Most bytes of a storage's key.
const MAX_KEY: usize = 256;

impl Machine {
    /// Carries out the call on the stack. Only calls that make tensors and plain containers do anything.
    pub(super) fn call(&mut self) -> Result<(), String> {
        let [arguments, called] = [self.pop()?, self.pop()?];
        let (Object::Name(name), Object::Tuple(arguments)) =
            (&self.objects[called], &self.objects[arguments])
        else {
            return Err(
                "its pickle calls something that is not a function: it may be hostile and is refused"
                    .to_owned(),
            );
        };
        let arguments = arguments.as_slice();
        let made = match name {
            Name::Rebuild(rebuild) => Object::Tensor(self.tensor(*rebuild, arguments)?),
            Name::Parameter => {
                let first = *arguments.first().ok_or("its pickle makes a parameter without a tensor")?;
                self.stack.push(first);
                return Ok(());
            }
            Name::OrderedDict => Object::Dict(self.ordered(arguments)?),
            Name::Beside => Object::Beside,
            Name::Storage(_) | Name::Dtype(_) | Name::Class => {
                return Err("its pickle calls a class: it may be hostile and is refused".to_owned());
            }
        };
        if let Object::Dict(items) = &made {
            self.copied += items.len();
        }
        match self.copied > MAX_INSTRUCTIONS {
            true => Err("its pickle copies too much: it may be hostile and is refused".to_owned()),
            false => {
                self.push(made);
                Ok(())
            }
        }
    }

    /// The entries of `OrderedDict()` or of `OrderedDict([[key, value], ...])`, as Python 2 wrote it.
    fn ordered(&self, arguments: &[Id]) -> Result<Vec<(Id, Id)>, String> {
        let Some(first) = arguments.first() else { return Ok(Vec::new()) };
        let Some(items) = self.items(*first) else {
            return Err("its pickle makes a dictionary from something that is not a list".to_owned());
        };
        let pair = |id: &Id| match self.items(*id) {
            Some([key, value]) => Ok((*key, *value)),
            _ => Err("its pickle makes a dictionary from something that is not pairs".to_owned()),
        };
        items.iter().map(pair).collect()
    }

    /// Replaces `('storage', class, key, place, count)` on the stack by that storage. Old files add a view of it.
    pub(super) fn storage(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let wrong = || "its pickle names a storage in an unknown way".to_owned();
        let Some([tag, class, key, _, count, view @ ..]) = self.items(id) else { return Err(wrong()) };
        let (Object::Text(tag), Object::Name(Name::Storage(element))) =
            (&self.objects[*tag], &self.objects[*class])
        else {
            return Err(wrong());
        };
        let key = match &self.objects[*key] {
            Object::Text(key) if key.len() <= MAX_KEY => key.clone(),
            Object::Int(key) => key.to_string(),
            _ => return Err(wrong()),
        };
        let count = self.count(*count)?;
        let view = match view.first().and_then(|view| self.items(*view)) {
            Some([_, offset, size]) => {
                let offset = self.count(*offset)?;
                [offset, offset.saturating_add(self.count(*size)?)]
            }
            _ => [0, count],
        };
        if tag != "storage" || view[1] > count || count.checked_mul(element.size).is_none() {
            return Err(wrong());
        }
        let element = *element;
        self.push(Object::Storage(Storage { key, element, count, view }));
        Ok(())
    }

    /// Makes a tensor. Its arguments are storage, offset, shape, stride, and others that don't matter; the seventh may be the
    /// type.
    fn tensor(&self, rebuild: Rebuild, arguments: &[Id]) -> Result<Tensor, String> {
        let wrong = || "its pickle makes a tensor in an unknown way".to_owned();
        let [id, offset, shape, stride, more @ ..] = arguments else { return Err(wrong()) };
        let Object::Storage(storage) = &self.objects[*id] else { return Err(wrong()) };
        let element = match rebuild {
            Rebuild::Typed => storage.element,
            Rebuild::Untyped => match more.get(2).map(|id| &self.objects[*id]) {
                Some(Object::Name(Name::Dtype(element))) => *element,
                _ => return Err(wrong()),
            },
        };
        let sizes = |id: Id| match self.items(id) {
            Some(items) if items.len() <= MAX_RANK => items.iter().map(|id| self.count(*id)).collect(),
            _ => Err(wrong()),
        };
        let (shape, stride): (Vec<u64>, Vec<u64>) = (sizes(*shape)?, sizes(*stride)?);
        let offset = self.count(*offset)?.saturating_add(storage.view[0]);
        let extent = extent(&shape, &stride).ok_or_else(wrong)?;
        // The view counts the storage's own elements, which may be bytes; the tensor counts its numbers.
        let end = storage.view[1] * storage.element.size / element.size;
        match offset.checked_add(extent).is_some_and(|last| last <= end) {
            true => Ok(Tensor { storage: *id, element, offset, extent, shape, stride }),
            false => Err("a tensor reaches beyond its storage: it is damaged".to_owned()),
        }
    }
}

/// How many elements of its storage a tensor spans; `None` if that overflows, or `shape` and `stride` differ in length.
fn extent(shape: &[u64], stride: &[u64]) -> Option<u64> {
    let values = shape.iter().try_fold(1_u64, |product, size| product.checked_mul(*size))?;
    match (shape.len() == stride.len(), values) {
        (false, _) => None,
        (true, 0) => Some(0),
        (true, _) => shape
            .iter()
            .zip(stride)
            .try_fold(1_u64, |extent, (size, step)| extent.checked_add((size - 1).checked_mul(*step)?)),
    }
}
