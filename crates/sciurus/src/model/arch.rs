//! The architectures by name: what the command line parses and the bundle stores.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{Body, ResNetConfig, SqueezeNet};
use crate::Error;

/// A network architecture.
///
/// ```
/// use sciurus::Arch;
/// assert_eq!("resnet18".parse::<Arch>().unwrap(), Arch::ResNet18);
/// assert_eq!(Arch::SqueezeNet1_1.to_string(), "squeezenet1_1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Arch {
    /// ResNet-18, 11.2 million body parameters: the default choice.
    #[serde(rename = "resnet18")]
    ResNet18,
    /// ResNet-34, 21.3 million body parameters: slower, a little more accurate.
    #[serde(rename = "resnet34")]
    ResNet34,
    /// SqueezeNet 1.1, 0.7 million body parameters: small and fast.
    #[serde(rename = "squeezenet1_1")]
    SqueezeNet1_1,
    /// A ResNet of one block a stage and width 16, 0.3 million body parameters, to train from scratch on small pictures.
    #[serde(rename = "resnet10_narrow")]
    ResNet10Narrow,
}

/// Where the published weights of an architecture lie, and what they must hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedWeights {
    /// Name of the file, as torchvision and its cache know it.
    pub file: &'static str,
    /// Download address.
    pub url: &'static str,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: &'static str,
}

impl Arch {
    /// Every architecture, smallest last.
    pub const ALL: [Arch; 4] = [Arch::ResNet18, Arch::ResNet34, Arch::SqueezeNet1_1, Arch::ResNet10Narrow];

    /// The name used on the command line and in bundles.
    pub fn name(self) -> &'static str {
        match self {
            Arch::ResNet18 => "resnet18",
            Arch::ResNet34 => "resnet34",
            Arch::SqueezeNet1_1 => "squeezenet1_1",
            Arch::ResNet10Narrow => "resnet10_narrow",
        }
    }

    /// Channels of the body's last feature map, which is also the width of an embedding.
    pub fn channels(self) -> usize {
        match self {
            Arch::SqueezeNet1_1 => SqueezeNet::OUT_CHANNELS,
            Arch::ResNet10Narrow => NARROW.out_channels(),
            Arch::ResNet18 | Arch::ResNet34 => 512,
        }
    }

    /// torchvision's weights (`IMAGENET1K_V1`); none for architectures that train from scratch.
    pub fn published_weights(self) -> Option<PublishedWeights> {
        match self {
            Arch::ResNet18 => Some(PublishedWeights {
                file: "resnet18-f37072fd.pth",
                url: "https://download.pytorch.org/models/resnet18-f37072fd.pth",
                sha256: "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
            }),
            Arch::ResNet34 => Some(PublishedWeights {
                file: "resnet34-b627a593.pth",
                url: "https://download.pytorch.org/models/resnet34-b627a593.pth",
                sha256: "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
            }),
            Arch::SqueezeNet1_1 => Some(PublishedWeights {
                file: "squeezenet1_1-b8a52dc0.pth",
                url: "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
                sha256: "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
            }),
            Arch::ResNet10Narrow => None,
        }
    }

    /// Builds the body, its convolutions zero until weights are set.
    pub fn body(self, device: &Device) -> Body {
        match self {
            Arch::ResNet18 => Body::ResNet(ResNetConfig { blocks: [2, 2, 2, 2], width: 64 }.init(device)),
            Arch::ResNet34 => Body::ResNet(ResNetConfig { blocks: [3, 4, 6, 3], width: 64 }.init(device)),
            Arch::ResNet10Narrow => Body::ResNet(NARROW.init(device)),
            Arch::SqueezeNet1_1 => Body::SqueezeNet(SqueezeNet::new(device)),
        }
    }
}

const NARROW: ResNetConfig = ResNetConfig { blocks: [1, 1, 1, 1], width: 16 };

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arch {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Arch::ALL
            .into_iter()
            .find(|arch| arch.name() == name)
            .ok_or_else(|| Error::UnknownArch { name: name.to_owned() })
    }
}
