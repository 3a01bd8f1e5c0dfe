//! The virtual machine that runs a pickle's program: a stack of objects, marks on it, and a memo of objects to reuse.
//!
//! In: one instruction after another. Out: a list of objects. `call` makes everything except containers; `name` resolves names.

use std::collections::HashMap;

use super::program::{Opcode, Program};
use super::{Id, Name, Object, foreign};

/// The stack, its marks, the memo, and all objects.
#[derive(Default)]
pub(super) struct Machine {
    pub(super) objects: Vec<Object>,
    pub(super) stack: Vec<Id>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Number of objects that calls have copied.
    pub(super) copied: usize,
}

impl Machine {
    pub(super) fn run(&mut self, opcode: Opcode, program: &mut Program<'_>) -> Result<(), String> {
        match opcode {
            Opcode::PROTO if program.byte()? > 5 => return Err("its pickle has an unknown protocol".into()),
            Opcode::PROTO => {}
            Opcode::FRAME => drop(program.size(8)?),
            Opcode::GLOBAL => self.name(program.line()?, program.line()?)?,
            Opcode::STACK_GLOBAL => self.stack_name()?,
            Opcode::REDUCE => self.call()?,
            Opcode::BUILD => self.build()?,
            Opcode::BINPERSID => self.storage()?,
            Opcode::MARK => self.marks.push(self.stack.len()),
            Opcode::POP if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            Opcode::POP => drop(self.pop()?),
            Opcode::POP_MARK => drop(self.pop_to_mark()?),
            Opcode::DUP => self.stack.push(self.top()?),
            Opcode::GET | Opcode::BINGET | Opcode::LONG_BINGET => {
                let index = program.memo_index(opcode)?;
                let id = *self.memo.get(&index).ok_or("its pickle uses an object that it did not store")?;
                self.stack.push(id);
            }
            Opcode::PUT | Opcode::BINPUT | Opcode::LONG_BINPUT => {
                let (index, top) = (program.memo_index(opcode)?, self.top()?);
                self.memo.insert(index, top);
            }
            Opcode::MEMOIZE => drop(self.memo.insert(self.memo.len() as u32, self.top()?)),
            _ => return self.container(opcode, program),
        }
        Ok(())
    }

    fn container(&mut self, opcode: Opcode, program: &mut Program<'_>) -> Result<(), String> {
        let made = match opcode {
            Opcode::EMPTY_TUPLE => Object::Tuple(Vec::new()),
            Opcode::EMPTY_LIST | Opcode::EMPTY_SET => Object::List(Vec::new()),
            Opcode::EMPTY_DICT => Object::Dict(Vec::new()),
            Opcode::TUPLE => Object::Tuple(self.pop_to_mark()?),
            Opcode::TUPLE1 => Object::Tuple(self.pop_some(1)?),
            Opcode::TUPLE2 => Object::Tuple(self.pop_some(2)?),
            Opcode::TUPLE3 => Object::Tuple(self.pop_some(3)?),
            Opcode::LIST | Opcode::FROZENSET => Object::List(self.pop_to_mark()?),
            Opcode::DICT => Object::Dict(pairs(&self.pop_to_mark()?)?),
            Opcode::APPEND | Opcode::APPENDS | Opcode::ADDITEMS => {
                let items = if opcode == Opcode::APPEND { self.pop_some(1)? } else { self.pop_to_mark()? };
                return self.append(&items);
            }
            Opcode::SETITEM | Opcode::SETITEMS => {
                let items = if opcode == Opcode::SETITEM { self.pop_some(2)? } else { self.pop_to_mark()? };
                return self.set_items(&items);
            }
            _ => program.constant(opcode)?,
        };
        self.push(made);
        Ok(())
    }

    pub(super) fn push(&mut self, object: Object) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn top(&self) -> Result<Id, String> {
        let above_mark = self.marks.last() != Some(&self.stack.len());
        let top = self.stack.last().filter(|_| above_mark);
        top.copied().ok_or_else(|| "its pickle takes an object from an empty stack".to_owned())
    }

    pub(super) fn pop(&mut self) -> Result<Id, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The topmost `count` objects, the lowest first.
    fn pop_some(&mut self, count: usize) -> Result<Vec<Id>, String> {
        let mut ids = (0..count).map(|_| self.pop()).collect::<Result<Vec<Id>, String>>()?;
        ids.reverse();
        Ok(ids)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("its pickle has no mark where it needs one")?;
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.objects[top] {
            Object::List(list) => list.extend(items),
            _ => return Err("its pickle appends to something that is not a list".to_owned()),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), String> {
        let (top, items) = (self.top()?, pairs(items)?);
        match &mut self.objects[top] {
            Object::Dict(dict) => dict.extend(items),
            _ => return Err("its pickle sets entries of something that is not a dictionary".to_owned()),
        }
        Ok(())
    }

    fn name(&mut self, module: &str, name: &str) -> Result<(), String> {
        let known = Name::of(module, name).ok_or_else(|| foreign(&format!("{module}.{name}")))?;
        self.push(Object::Name(known));
        Ok(())
    }

    fn stack_name(&mut self) -> Result<(), String> {
        let [name, module] = [self.pop()?, self.pop()?];
        let (Object::Text(module), Object::Text(name)) = (&self.objects[module], &self.objects[name]) else {
            return Err("its pickle has a name that is not a text".to_owned());
        };
        let known = Name::of(module, name).ok_or_else(|| foreign(&format!("{module}.{name}")))?;
        self.push(Object::Name(known));
        Ok(())
    }

    /// Sets an object's state, such as an ordered dictionary's metadata or a NumPy array's content. No tensor depends on it, so
    /// it is ignored.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        match self.objects[self.top()?] {
            Object::Dict(_) | Object::Beside => Ok(()),
            _ => Err("its pickle sets the state of a non-container: it may be hostile and is refused".into()),
        }
    }

    pub(super) fn items(&self, id: Id) -> Option<&[Id]> {
        match &self.objects[id] {
            Object::Tuple(items) | Object::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn count(&self, id: Id) -> Result<u64, String> {
        match self.objects[id] {
            Object::Int(value) if value >= 0 => Ok(value as u64),
            _ => Err("its pickle has a size that is not a number of 0 or more".to_owned()),
        }
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    let (pairs, rest) = items.as_chunks::<2>();
    match rest {
        [] => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => Err("its pickle has a key without a value".to_owned()),
    }
}
