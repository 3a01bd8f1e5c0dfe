//! The number format of activations.

use std::fmt;
use std::str::FromStr;

use sciurus_kernels::Isa;
use serde::{Deserialize, Serialize};

use sciurus_data::BadOption;

use crate::{Device, Error};

/// The number format in which a network's activations are stored and multiplied. Parameters and sums are always f32.
///
/// ```
/// use sciurus::{Device, Precision};
/// assert_eq!("bf16".parse::<Precision>().unwrap(), Precision::Bf16);
/// assert_ne!(Precision::Auto.on(Device::Cpu).unwrap(), Precision::Auto);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// bf16 if the processor multiplies it faster than f32 (AVX-512 with BF16), else f32.
    #[default]
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits with the exponent range of f32: half the memory, and twice the speed on processors with BF16.
    Bf16,
}

impl Precision {
    /// The actual format on a device: `F32` or `Bf16`.
    ///
    /// # Errors
    /// bf16 was requested on a device other than the CPU.
    pub fn on(self, device: Device) -> Result<Self, Error> {
        match (self, device) {
            (Precision::Auto, Device::Cpu) if Isa::current().has_fast_bf16() => Ok(Precision::Bf16),
            (Precision::Bf16, Device::Cpu) => Ok(Precision::Bf16),
            (Precision::Bf16, device) => Err(Error::BadOption(BadOption {
                option: "precision",
                value: format!("bf16 on {device}"),
                advice: "bf16 only works on the CPU so far; choose f32 or auto",
            })),
            _ => Ok(Precision::F32),
        }
    }

    /// The precision's name.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Auto => "auto",
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        [Precision::Auto, Precision::F32, Precision::Bf16]
            .into_iter()
            .find(|precision| precision.name() == name)
            .ok_or_else(|| {
                Error::BadOption(BadOption {
                    option: "precision",
                    value: name.to_owned(),
                    advice: "choose auto, f32 or bf16",
                })
            })
    }
}
