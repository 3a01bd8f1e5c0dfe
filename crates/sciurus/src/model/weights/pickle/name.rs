//! The names that a pickle may use: what PyTorch writes for tensors, and what checkpoints hold beside them.
//!
//! In: a module and a name in it, as they stand in the file. Out: what is done with it, or nothing where it is none of these. Names
//! are compared whole.

use crate::storage::float_type::FloatType;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model::weights) enum Name {
    /// The kind of a storage, which says what it is made of.
    Storage(Element),
    /// A type of numbers, where a tensor names its own.
    Dtype(Element),
    /// A call that makes a tensor of a storage.
    Rebuild(Rebuild),
    /// A call that gives its first argument, a tensor, back.
    Parameter,
    /// A dictionary that keeps its order.
    OrderedDict,
    /// A call whose result is no tensor and is not looked at: a number or array of NumPy, a set, a device.
    Beside,
    /// A class that is only ever an argument.
    Class,
}

/// What tensors and storages are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model::weights) struct Element {
    /// Bytes of each.
    pub(in crate::model::weights) size: u64,
    /// How it is read; none for what is no weight.
    pub(in crate::model::weights) float: Option<FloatType>,
}

/// PyTorch's calls that make a tensor, by the form of their arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model::weights) enum Rebuild {
    /// `_rebuild_tensor` and `_rebuild_tensor_v2`: the storage knows its type.
    Typed,
    /// `_rebuild_tensor_v3`: the type is an argument.
    Untyped,
}

impl Name {
    /// The name `name` of `module`, if it may be used.
    pub(super) fn of(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Self::Rebuild(Rebuild::Typed)),
            ("torch._utils", "_rebuild_tensor_v3") => Some(Self::Rebuild(Rebuild::Untyped)),
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Some(Self::Parameter),
            ("torch" | "torch.storage", storage) if storage.ends_with("Storage") => {
                storage_element(storage).map(Self::Storage)
            }
            ("torch", "Size" | "device") => Some(Self::Beside),
            ("torch", dtype) => dtype_element(dtype).map(Self::Dtype),
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("collections", "Counter") => Some(Self::Beside),
            ("builtins" | "__builtin__", "set" | "frozenset" | "bytearray") => Some(Self::Beside),
            ("_codecs", "encode") => Some(Self::Beside),
            ("numpy", "dtype") => Some(Self::Beside),
            ("numpy", "ndarray") => Some(Self::Class),
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct") => {
                Some(Self::Beside)
            }
            _ => None,
        }
    }
}

fn storage_element(name: &str) -> Option<Element> {
    Some(match name {
        "DoubleStorage" => float(FloatType::F64),
        "FloatStorage" => float(FloatType::F32),
        "HalfStorage" => float(FloatType::F16),
        "BFloat16Storage" => float(FloatType::Bf16),
        "LongStorage" => other(8),
        "IntStorage" => other(4),
        "ShortStorage" => other(2),
        "CharStorage" | "ByteStorage" | "BoolStorage" | "UntypedStorage" => other(1),
        _ => return None,
    })
}

fn dtype_element(name: &str) -> Option<Element> {
    Some(match name {
        "float64" | "double" => float(FloatType::F64),
        "float32" | "float" => float(FloatType::F32),
        "float16" | "half" => float(FloatType::F16),
        "bfloat16" => float(FloatType::Bf16),
        "int64" | "long" | "uint64" => other(8),
        "int32" | "int" | "uint32" => other(4),
        "int16" | "short" | "uint16" => other(2),
        "int8" | "uint8" | "bool" => other(1),
        _ => return None,
    })
}

fn float(number: FloatType) -> Element {
    Element { size: number.size() as u64, float: Some(number) }
}

fn other(size: u64) -> Element {
    Element { size, float: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_whole_or_not_at_all() {
        assert_eq!(Name::of("collections", "OrderedDict"), Some(Name::OrderedDict));
        for (module, name) in [
            ("posix", "system"),
            ("interpreters_evil", "run"),
            ("int", "x"),
            ("torch", "load"),
            ("torch.evil", "FloatStorage"),
            ("torchx", "FloatStorage"),
            ("torch", "EvilStorage"),
            ("torch._utils", "_rebuild_tensor_v2.x"),
            ("torch", "FloatStorage.from_file"),
            ("numpy", "load"),
            ("numpy.core.multiarray", "scalar\n"),
            ("collections", "OrderedDict.fromkeys"),
            ("builtins", "eval"),
            ("__builtin__", "getattr"),
            ("", ""),
        ] {
            assert_eq!(Name::of(module, name), None, "{module}.{name}");
        }
    }
}
