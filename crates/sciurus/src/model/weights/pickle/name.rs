//! The names that a pickle may use: those that PyTorch writes for tensors, and those of other things in checkpoints.
//!
//! In: a module and a name in it, as they are in the file. Out: the name's meaning, or `None` if it is not allowed. Names must
//! match completely.

use crate::storage::float_type::FloatType;

/// The meaning of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model::weights) enum Name {
    /// A storage class, which implies the type of its elements.
    Storage(Element),
    /// A number type, for tensors that name their own.
    Dtype(Element),
    /// A call that makes a tensor from a storage.
    Rebuild(Rebuild),
    /// A call that returns its first argument, a tensor.
    Parameter,
    /// A dictionary that keeps its order.
    OrderedDict,
    /// A call whose result is not a tensor and is ignored: a NumPy number or array, a set, a device.
    Beside,
    /// A class that is only used as an argument.
    Class,
}

/// The element type of tensors and storages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model::weights) struct Element {
    /// Bytes per element.
    pub(in crate::model::weights) size: u64,
    /// How it is read; `None` for types that weights don't have.
    pub(in crate::model::weights) float: Option<FloatType>,
}

/// PyTorch's calls that make a tensor, by their argument lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model::weights) enum Rebuild {
    /// `_rebuild_tensor` and `_rebuild_tensor_v2`: the storage knows its type.
    Typed,
    /// `_rebuild_tensor_v3`: the type is an argument.
    Untyped,
}

impl Name {
    /// The meaning of `name` in `module`, if it is allowed.
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
