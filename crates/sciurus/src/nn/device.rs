//! Where tensors live: on the CPU, or on a GPU if its backend is in the build.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device as BurnDevice;
use sciurus_kernels::Isa;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A kind of device, chosen at run time.
///
/// ```
/// use sciurus::Device;
/// let device: Device = "cpu".parse().unwrap();
/// assert!(device.open().is_ok());
/// assert!("abacus".parse::<Device>().is_err());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Device {
    /// The CPU, which is in every build.
    #[default]
    Cpu,
    /// A GPU, through Vulkan.
    Vulkan,
    /// An Apple GPU, through Metal.
    Metal,
    /// An NVIDIA GPU, through CUDA.
    Cuda,
    /// An AMD GPU, through ROCm.
    Rocm,
    /// A GPU, through whatever WebGPU finds.
    Wgpu,
}

impl Device {
    /// Every kind of device.
    pub const ALL: [Device; 6] =
        [Device::Cpu, Device::Vulkan, Device::Metal, Device::Cuda, Device::Rocm, Device::Wgpu];

    /// The device's name. Except for the CPU, it is also the name of the cargo feature that builds the device in.
    pub fn name(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::Vulkan => "vulkan",
            Device::Metal => "metal",
            Device::Cuda => "cuda",
            Device::Rocm => "rocm",
            Device::Wgpu => "wgpu",
        }
    }

    /// Opens the device.
    ///
    /// # Errors
    /// The device is not in this build (the message says how to build it in), or `SCIURUS_CPU` names instructions that this
    /// processor does not have.
    pub fn open(self) -> Result<BurnDevice, Error> {
        match self {
            Device::Cpu => match Isa::refused() {
                Some(name) => Err(Error::UnknownInstructions { name }),
                None => Ok(BurnDevice::flex()),
            },
            #[cfg(feature = "vulkan")]
            Device::Vulkan => Ok(BurnDevice::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "metal")]
            Device::Metal => Ok(BurnDevice::metal(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "cuda")]
            Device::Cuda => Ok(BurnDevice::cuda(0)),
            #[cfg(feature = "rocm")]
            Device::Rocm => Ok(BurnDevice::rocm(0)),
            #[cfg(feature = "wgpu")]
            Device::Wgpu => Ok(BurnDevice::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[allow(unreachable_patterns)]
            device => Err(Error::DeviceNotBuilt { name: device.name() }),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Device::ALL
            .into_iter()
            .find(|device| device.name() == name)
            .ok_or_else(|| Error::UnknownDevice { name: name.to_owned() })
    }
}
