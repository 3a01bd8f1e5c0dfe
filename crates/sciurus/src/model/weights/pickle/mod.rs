//! A pickle read as data: a program for a machine with a stack, of which only what makes containers and tensors is done.
//!
//! In: bytes. Out: the program's [`Object`]s. All of the program is judged, whether or not its result is used: it may name
//! nothing but what [`name`] lists and call nothing else, and it may not ask for an object of any class. Objects lie in one list and
//! know each other by their place in it, so that nothing recurses, and each instruction costs no more than its own bytes.

mod call;
mod machine;
mod name;
mod program;

use machine::Machine;
pub(super) use name::{Element, Name, Rebuild};
use program::{Opcode, Program};

/// Most bytes of a pickle; the state dict of ResNet-101 has less than 100 kB.
pub(super) const MAX_BYTES: u64 = 16 << 20;
/// Most instructions of a pickle; that state dict has some 25,000, with its optimizer's 100,000.
const MAX_INSTRUCTIONS: usize = 1_000_000;

/// The place of an object in a pickle's list.
pub(super) type Id = usize;

/// What a pickle makes.
#[derive(Debug)]
pub(super) enum Object {
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
    /// A name of the list.
    Name(Name),
    /// Objects that stay as they are.
    Tuple(Vec<Id>),
    /// Objects.
    List(Vec<Id>),
    /// Keys with their objects.
    Dict(Vec<(Id, Id)>),
    /// Numbers in the file.
    Storage(Storage),
    /// A view of a storage.
    Tensor(Tensor),
    /// What a call made that is no tensor.
    Beside,
    /// Another constant: none, a truth value, a fraction, bytes, a long number.
    Constant,
}

/// Numbers in the file that tensors are views of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    /// Its name in the file.
    pub(super) key: String,
    /// What it is made of.
    pub(super) element: Element,
    /// How many it has.
    pub(super) count: u64,
    /// Where the part begins that a tensor may use, and where it ends.
    view: [u64; 2],
}

/// A view of a storage; all numbers count elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    /// The place of its storage in the list.
    pub(super) storage: Id,
    /// What it is made of.
    pub(super) element: Element,
    /// Where it begins in the storage.
    pub(super) offset: u64,
    /// How far it reaches from there; 0 if it has no values.
    pub(super) extent: u64,
    /// Its shape.
    pub(super) shape: Vec<u64>,
    /// How far it is from one value to the next along each side.
    pub(super) stride: Vec<u64>,
}

/// A pickle that was judged.
#[derive(Debug)]
pub(super) struct Pickle {
    /// All that it made.
    pub(super) objects: Vec<Object>,
    /// The place of its result.
    pub(super) root: Id,
    /// Where it ends in the bytes.
    pub(super) end: usize,
}

/// Reads the pickle that `bytes` begin with.
///
/// # Errors
/// It is above a limit, damaged, or asks for what no checkpoint needs; the text says what.
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
    format!("it names `{name}`, which is no tensor: it may be hostile and is refused")
}

#[cfg(test)]
mod tests;
