//! The instructions of a pickle and their arguments: protocols 0 to 5, as Python's `pickletools` lists them.
//!
//! In: bytes. Out: opcodes and arguments. Nothing is read beyond the end of the bytes.

use super::Object;

/// Most bytes of an integer. A tensor's size needs at most eight, and a seed of Python's random numbers a few hundred.
const MAX_NUMBER: usize = 4096;

/// An instruction's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opcode(u8);

#[rustfmt::skip]
impl Opcode {
    pub(super) const MARK: Self = Self(b'(');
    pub(super) const STOP: Self = Self(b'.');
    pub(super) const POP: Self = Self(b'0');
    pub(super) const POP_MARK: Self = Self(b'1');
    pub(super) const DUP: Self = Self(b'2');
    const FLOAT: Self = Self(b'F');
    const INT: Self = Self(b'I');
    const BININT: Self = Self(b'J');
    const BININT1: Self = Self(b'K');
    const LONG: Self = Self(b'L');
    const BININT2: Self = Self(b'M');
    const NONE: Self = Self(b'N');
    pub(super) const BINPERSID: Self = Self(b'Q');
    pub(super) const REDUCE: Self = Self(b'R');
    const BINSTRING: Self = Self(b'T');
    const SHORT_BINSTRING: Self = Self(b'U');
    const UNICODE: Self = Self(b'V');
    const BINUNICODE: Self = Self(b'X');
    pub(super) const APPEND: Self = Self(b'a');
    pub(super) const BUILD: Self = Self(b'b');
    pub(super) const GLOBAL: Self = Self(b'c');
    pub(super) const DICT: Self = Self(b'd');
    pub(super) const EMPTY_DICT: Self = Self(b'}');
    pub(super) const APPENDS: Self = Self(b'e');
    pub(super) const GET: Self = Self(b'g');
    pub(super) const BINGET: Self = Self(b'h');
    pub(super) const LONG_BINGET: Self = Self(b'j');
    pub(super) const LIST: Self = Self(b'l');
    pub(super) const EMPTY_LIST: Self = Self(b']');
    pub(super) const PUT: Self = Self(b'p');
    pub(super) const BINPUT: Self = Self(b'q');
    pub(super) const LONG_BINPUT: Self = Self(b'r');
    pub(super) const SETITEM: Self = Self(b's');
    pub(super) const TUPLE: Self = Self(b't');
    pub(super) const EMPTY_TUPLE: Self = Self(b')');
    pub(super) const SETITEMS: Self = Self(b'u');
    const BINFLOAT: Self = Self(b'G');
    const BINBYTES: Self = Self(b'B');
    const SHORT_BINBYTES: Self = Self(b'C');
    pub(super) const PROTO: Self = Self(0x80);
    pub(super) const TUPLE1: Self = Self(0x85);
    pub(super) const TUPLE2: Self = Self(0x86);
    pub(super) const TUPLE3: Self = Self(0x87);
    const NEWTRUE: Self = Self(0x88);
    const NEWFALSE: Self = Self(0x89);
    const LONG1: Self = Self(0x8a);
    const LONG4: Self = Self(0x8b);
    const SHORT_BINUNICODE: Self = Self(0x8c);
    const BINUNICODE8: Self = Self(0x8d);
    const BINBYTES8: Self = Self(0x8e);
    pub(super) const EMPTY_SET: Self = Self(0x8f);
    pub(super) const ADDITEMS: Self = Self(0x90);
    pub(super) const FROZENSET: Self = Self(0x91);
    pub(super) const STACK_GLOBAL: Self = Self(0x93);
    pub(super) const MEMOIZE: Self = Self(0x94);
    pub(super) const FRAME: Self = Self(0x95);
    const BYTEARRAY8: Self = Self(0x96);
}

/// Instructions that never occur in a PyTorch checkpoint of tensors: they create objects of any class, or reach outside the
/// file.
#[rustfmt::skip]
const REFUSED: [(u8, &str); 11] = [
    (b'P', "PERSID"), (b'S', "STRING"), (b'i', "INST"), (b'o', "OBJ"), (0x81, "NEWOBJ"), (0x82, "EXT1"), (0x83, "EXT2"),
    (0x84, "EXT4"), (0x92, "NEWOBJ_EX"), (0x97, "NEXT_BUFFER"), (0x98, "READONLY_BUFFER"),
];

/// Instructions, read one after the other.
pub(super) struct Program<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Program<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn opcode(&mut self) -> Result<Opcode, String> {
        self.byte().map(Opcode)
    }

    pub(super) fn byte(&mut self) -> Result<u8, String> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// The text up to the end of the line.
    pub(super) fn line(&mut self) -> Result<&'a str, String> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or_else(cut)?;
        self.position += length + 1;
        let line = rest[..length].strip_suffix(b"\r").unwrap_or(&rest[..length]);
        text(line)
    }

    /// Reads a length of `width` bytes (1, 4 or 8), which is at most what is left.
    pub(super) fn size(&mut self, width: usize) -> Result<usize, String> {
        let mut number = [0; 8];
        number[..width].copy_from_slice(self.take(width)?);
        let left = self.bytes.len() - self.position;
        usize::try_from(u64::from_le_bytes(number)).ok().filter(|size| *size <= left).ok_or_else(cut)
    }

    /// Reads the index of an object in the memo.
    pub(super) fn memo_index(&mut self, opcode: Opcode) -> Result<u32, String> {
        match opcode {
            Opcode::GET | Opcode::PUT => {
                self.line()?.parse().map_err(|_| "its pickle has an invalid memo index".to_owned())
            }
            Opcode::BINGET | Opcode::BINPUT => self.byte().map(u32::from),
            _ => self.array().map(u32::from_le_bytes),
        }
    }

    /// The object that an instruction without operands on the stack makes.
    ///
    /// # Errors
    /// Its bytes are missing or invalid, or the instruction is refused or unknown.
    pub(super) fn constant(&mut self, opcode: Opcode) -> Result<Object, String> {
        Ok(match opcode {
            Opcode::NONE | Opcode::NEWTRUE | Opcode::NEWFALSE => Object::Constant,
            Opcode::BINFLOAT => self.take(8).map(|_| Object::Constant)?,
            Opcode::FLOAT => self.line().map(|_| Object::Constant)?,
            Opcode::INT | Opcode::LONG => number(self.line()?)?,
            Opcode::BININT => Object::Int(i64::from(i32::from_le_bytes(self.array()?))),
            Opcode::BININT1 => Object::Int(i64::from(self.byte()?)),
            Opcode::BININT2 => Object::Int(i64::from(u16::from_le_bytes(self.array()?))),
            Opcode::LONG1 => long(self.sized(1)?)?,
            Opcode::LONG4 => long(self.sized(4)?)?,
            Opcode::UNICODE => self.escaped()?,
            Opcode::SHORT_BINUNICODE => Object::Text(text(self.sized(1)?)?.to_owned()),
            Opcode::BINUNICODE => Object::Text(text(self.sized(4)?)?.to_owned()),
            Opcode::BINUNICODE8 => Object::Text(text(self.sized(8)?)?.to_owned()),
            // Texts of Python 2, which may also be bytes.
            Opcode::SHORT_BINSTRING => old_text(self.sized(1)?),
            Opcode::BINSTRING => old_text(self.sized(4)?),
            Opcode::SHORT_BINBYTES => self.sized(1).map(|_| Object::Constant)?,
            Opcode::BINBYTES => self.sized(4).map(|_| Object::Constant)?,
            Opcode::BINBYTES8 | Opcode::BYTEARRAY8 => self.sized(8).map(|_| Object::Constant)?,
            Opcode(byte) => return Err(self.refusal(byte)),
        })
    }

    fn refusal(&mut self, byte: u8) -> String {
        match REFUSED.iter().find(|(refused, _)| *refused == byte) {
            // The class name follows in the file, and tells the user more than the instruction's name.
            Some((b'i', _)) => match (self.line(), self.line()) {
                (Ok(module), Ok(name)) => super::foreign(&format!("{module}.{name}")),
                _ => cut(),
            },
            Some((_, name)) => format!(
                "its pickle has the instruction {name}, which no tensor needs: it may be hostile and is refused"
            ),
            None => format!("its pickle has 0x{byte:02x} where an instruction should be: it is damaged"),
        }
    }

    /// Reads bytes that follow their length, which has `width` bytes.
    fn sized(&mut self, width: usize) -> Result<&'a [u8], String> {
        let size = self.size(width)?;
        self.take(size)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.position.checked_add(count).ok_or_else(cut)?;
        let bytes = self.bytes.get(self.position..end).ok_or_else(cut)?;
        self.position = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.first_chunk().copied().ok_or_else(cut)
    }

    /// Reads a text line of protocol 0. Lines with escapes are skipped, because tensors' names don't have any.
    fn escaped(&mut self) -> Result<Object, String> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or_else(cut)?;
        self.position += length + 1;
        let line = &rest[..length];
        match line.is_ascii() && !line.contains(&b'\\') {
            true => text(line).map(|line| Object::Text(line.to_owned())),
            false => Ok(Object::Constant),
        }
    }
}

fn cut() -> String {
    "its pickle is truncated or damaged".to_owned()
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "its pickle has a text that is not UTF-8".to_owned())
}

fn old_text(bytes: &[u8]) -> Object {
    text(bytes).map_or(Object::Constant, |text| Object::Text(text.to_owned()))
}

/// An integer in digits. `00` and `01` are booleans. An integer that needs more than 64 bits cannot be a size, so its value is
/// ignored.
fn number(line: &str) -> Result<Object, String> {
    let digits = line.strip_suffix('L').unwrap_or(line);
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    let is_number = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    match is_number && line.len() <= MAX_NUMBER {
        true if line == "00" || line == "01" => Ok(Object::Constant),
        true => Ok(digits.parse().map_or(Object::Constant, Object::Int)),
        false => Err("its pickle has an invalid number".to_owned()),
    }
}

/// An integer in two's complement, little-endian.
fn long(bytes: &[u8]) -> Result<Object, String> {
    let fill = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
    match bytes.len() {
        0..=8 => {
            let mut number = [fill; 8];
            number[..bytes.len()].copy_from_slice(bytes);
            Ok(Object::Int(i64::from_le_bytes(number)))
        }
        9..=MAX_NUMBER => Ok(Object::Constant),
        _ => Err("its pickle has a number that is too long: it may be hostile and is refused".to_owned()),
    }
}
