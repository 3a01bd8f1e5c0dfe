//! Reads a pickle as data. A pickle is a program for a stack machine; only the instructions that make containers and tensors
//! are carried out.
//!
//! In: bytes. Out: the program's [`Object`]s. The whole program is checked, whether or not its result is used: it may name and
//! call only what [`name`] lists, and it may not create an object of any class. Objects are stored in one list and refer to each
//! other by index, so nothing recurses, and no instruction costs more than its own bytes.

mod call;
mod machine;
mod name;
mod program;

use machine::Machine;
pub(super) use name::{Element, Name, Rebuild};
use program::{Opcode, Program};

/// Most bytes of a pickle. The state dict of ResNet-101 has less than 100 kB.
pub(super) const MAX_BYTES: u64 = 16 << 20;
/// Most instructions of a pickle. That state dict has about 25,000, and 100,000 with its optimizer's.
const MAX_INSTRUCTIONS: usize = 1_000_000;

/// The index of an object in a pickle's list.
pub(super) type Id = usize;

/// An object that a pickle makes.
#[derive(Debug)]
pub(super) enum Object {
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
    /// One of the allowed names.
    Name(Name),
    /// A tuple of objects.
    Tuple(Vec<Id>),
    /// A list of objects.
    List(Vec<Id>),
    /// Keys with their objects.
    Dict(Vec<(Id, Id)>),
    /// Numbers in the file.
    Storage(Storage),
    /// A view of a storage.
    Tensor(Tensor),
    /// The result of a call that does not make a tensor.
    Beside,
    /// Another constant: `None`, a boolean, a float, bytes, a long integer.
    Constant,
}

/// Numbers in the file that tensors are views of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    /// Its name in the file.
    pub(super) key: String,
    /// The type of its elements.
    pub(super) element: Element,
    /// The number of elements.
    pub(super) count: u64,
    /// Begin and end of the part that a tensor may use.
    view: [u64; 2],
}

/// A view of a storage; all numbers count elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    /// The index of its storage in the list.
    pub(super) storage: Id,
    /// The type of its elements.
    pub(super) element: Element,
    /// Where it begins in the storage.
    pub(super) offset: u64,
    /// How many elements it spans from there; 0 if it has no values.
    pub(super) extent: u64,
    /// Its shape.
    pub(super) shape: Vec<u64>,
    /// Its stride along each dimension.
    pub(super) stride: Vec<u64>,
}

/// A pickle that has been read and checked.
#[derive(Debug)]
pub(super) struct Pickle {
    /// All objects that it made.
    pub(super) objects: Vec<Object>,
    /// The index of its result.
    pub(super) root: Id,
    /// Where it ends in the bytes.
    pub(super) end: usize,
}

/// Reads the pickle at the start of `bytes`.
///
/// # Errors
/// It is above a limit, is damaged, or does something that no checkpoint needs; the message says what.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle, String> {
    let mut program = Program::new(bytes);
    let mut machine = Machine::default();
    for _ in 0..MAX_INSTRUCTIONS {
        let opcode = program.opcode()?;
        if opcode == Opcode::STOP {
            let root = machine.pop()?;
            return Ok(Pickle { objects: machine.objects, root, end: program.position() });
        }
        machine.run(opcode, &mut program)?;
    }
    Err(format!("its pickle has more than {MAX_INSTRUCTIONS} instructions: it may be hostile and is refused"))
}

fn foreign(name: &str) -> String {
    let name = crate::storage::tensor_header::shortened(name);
    format!("it names `{name}`, which is not a tensor: it may be hostile and is refused")
}

#[cfg(test)]
mod tests;
