//! Files with tensors and records: opened within limits, checked before their values are read, and written atomically.

pub(crate) mod files;
pub(crate) mod float_type;
pub(crate) mod regular;
pub(crate) mod tensor_file;
pub(crate) mod tensor_header;
