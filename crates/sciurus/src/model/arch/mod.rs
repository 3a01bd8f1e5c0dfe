//! The architectures by name, as settings and bundles store them.

mod own;
mod published;

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use sciurus_data::Normalize;
use serde::{Deserialize, Serialize};

use super::{
    Body, BoxedBody, ConvNeXt, ConvNeXtConfig, EfficientNet, EfficientNetConfig, EfficientNetLite,
    EfficientNetLiteConfig, MobileNetV2, ParameterInfo, Pooling, ResNetConfig, Role, SqueezeNet,
    VisionTransformer, parameters,
};
use crate::Error;
pub use own::OwnArch;
pub use published::PublishedWeights;

/// A network architecture.
///
/// ```
/// use sciurus::Arch;
/// assert_eq!("resnet18".parse::<Arch>().unwrap(), Arch::ResNet18);
/// assert_eq!(Arch::SqueezeNet1_1.to_string(), "squeezenet1_1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
#[non_exhaustive]
pub enum Arch {
    /// ResNet-18: the default choice where its weights can be had.
    ResNet18,
    /// ResNet-34: slower, a little more accurate.
    ResNet34,
    /// ResNet-50: bottleneck blocks, 2048 channels.
    ResNet50,
    /// ResNet-101: like ResNet-50, twice as deep.
    ResNet101,
    /// Hazel: a narrow ResNet of our own, whose weights are part of the program (docs/backbone.md).
    Hazel,
    /// SqueezeNet 1.1: small and fast.
    SqueezeNet1_1,
    /// MobileNetV2: few parameters and little computation.
    MobileNetV2,
    /// EfficientNet-B0: accurate for its few parameters.
    EfficientNetB0,
    /// EfficientNet-Lite0: EfficientNet-B0 without what is slow on CPUs.
    EfficientNetLite0,
    /// EfficientNet-Lite2: wider and deeper than Lite0.
    EfficientNetLite2,
    /// ConvNeXt-Tiny: the most accurate convolutional network here, and slow.
    ConvNeXtTiny,
    /// ViT-S/16: a vision transformer, pretrained on ImageNet-21k.
    ViTSmall16,
    /// A ResNet of one block a stage and width 16, to train from scratch on small pictures.
    ResNet10Narrow,
    /// A network of your own.
    Own(&'static OwnArch),
}

/// What you need to know about an architecture to choose one.
///
/// ```
/// use sciurus::Arch;
/// let smallest = Arch::ALL.map(Arch::info).into_iter().min_by_key(|info| info.parameters).unwrap();
/// assert_eq!(smallest.name, "resnet10_narrow");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArchInfo {
    /// The name used in settings and bundles.
    pub name: &'static str,
    /// Parameters of the body that train.
    pub parameters: usize,
    /// Channels of its features, which is also the width of an embedding.
    pub channels: usize,
    /// Image size that its weights were trained at (pixels). Other sizes from 32 on work too.
    pub image_size: usize,
    /// Largest image size that it accepts (pixels): see [`Arch::max_image_size`].
    pub max_image_size: usize,
    /// How its images must be normalised.
    pub normalize: Normalize,
    /// Images per second in a training step, to compare networks: see [`Arch::images_per_second`].
    pub images_per_second: f32,
    /// Its published weights, if any.
    pub weights: Option<PublishedWeights>,
    /// Whether its weights are part of the program.
    pub built_in: bool,
    /// Who publishes weights that Sciurus reads but doesn't download.
    pub weights_elsewhere: Option<&'static str>,
}

impl Arch {
    /// Every architecture; those that can only be trained from scratch come last.
    pub const ALL: [Arch; 13] = [
        Arch::ResNet18,
        Arch::ResNet34,
        Arch::ResNet50,
        Arch::ResNet101,
        Arch::Hazel,
        Arch::SqueezeNet1_1,
        Arch::MobileNetV2,
        Arch::EfficientNetB0,
        Arch::EfficientNetLite0,
        Arch::EfficientNetLite2,
        Arch::ConvNeXtTiny,
        Arch::ViTSmall16,
        Arch::ResNet10Narrow,
    ];

    /// The name used in settings and bundles: torchvision's, or timm's.
    pub fn name(self) -> &'static str {
        match self {
            Arch::ResNet18 => "resnet18",
            Arch::ResNet34 => "resnet34",
            Arch::ResNet50 => "resnet50",
            Arch::ResNet101 => "resnet101",
            Arch::Hazel => "hazel",
            Arch::SqueezeNet1_1 => "squeezenet1_1",
            Arch::MobileNetV2 => "mobilenet_v2",
            Arch::EfficientNetB0 => "efficientnet_b0",
            Arch::EfficientNetLite0 => "efficientnet_lite0",
            Arch::EfficientNetLite2 => "efficientnet_lite2",
            Arch::ConvNeXtTiny => "convnext_tiny",
            Arch::ViTSmall16 => "vit_small_patch16_224",
            Arch::ResNet10Narrow => "resnet10_narrow",
            Arch::Own(own) => own.name,
        }
    }

    /// Whether fine-tuning stays near its pretrained features unless settings say otherwise: it begins with a linear probe, and
    /// norm layers use their running statistics. docs/backbone.md has the measurements.
    pub(crate) fn is_tuned_gently(self) -> bool {
        self == Arch::Hazel
    }

    /// All facts about it.
    pub fn info(self) -> ArchInfo {
        ArchInfo {
            name: self.name(),
            parameters: self.parameters(),
            channels: self.channels(),
            image_size: self.image_size(),
            max_image_size: self.max_image_size(),
            normalize: self.normalize(),
            images_per_second: self.images_per_second(),
            weights: self.published_weights(),
            built_in: self == Arch::Hazel,
            weights_elsewhere: self.weights_elsewhere(),
        }
    }

    /// Channels of the body's last feature map, which is also the width of an embedding.
    pub fn channels(self) -> usize {
        match self {
            Arch::Hazel => HAZEL.out_channels(),
            Arch::SqueezeNet1_1 => SqueezeNet::OUT_CHANNELS,
            Arch::MobileNetV2 => MobileNetV2::OUT_CHANNELS,
            Arch::EfficientNetB0 => EfficientNet::OUT_CHANNELS,
            Arch::EfficientNetLite0 | Arch::EfficientNetLite2 => EfficientNetLite::OUT_CHANNELS,
            Arch::ConvNeXtTiny => ConvNeXt::OUT_CHANNELS,
            Arch::ViTSmall16 => VisionTransformer::OUT_CHANNELS,
            Arch::ResNet10Narrow => NARROW.out_channels(),
            Arch::ResNet18 | Arch::ResNet34 => 512,
            Arch::ResNet50 | Arch::ResNet101 => 2048,
            Arch::Own(own) => own.channels,
        }
    }

    /// The number of trainable parameters of the body; running statistics are not counted.
    pub fn parameters(self) -> usize {
        match self {
            Arch::ResNet18 => 11_176_512,
            Arch::ResNet34 => 21_284_672,
            Arch::ResNet50 => 23_508_032,
            Arch::ResNet101 => 42_500_160,
            Arch::Hazel => 3_634_608,
            Arch::SqueezeNet1_1 => 722_496,
            Arch::MobileNetV2 => 2_223_872,
            Arch::EfficientNetB0 => 4_007_548,
            Arch::EfficientNetLite0 => 3_371_008,
            Arch::EfficientNetLite2 => 4_811_072,
            Arch::ConvNeXtTiny => 27_818_592,
            Arch::ViTSmall16 => 21_665_664,
            Arch::ResNet10Narrow => 309_456,
            Arch::Own(own) => trainable((own.body)(&Device::flex())),
        }
    }

    /// Image size (pixels) that its published weights were trained at, or that it is meant for.
    pub fn image_size(self) -> usize {
        match self {
            Arch::ResNet10Narrow => 64,
            Arch::EfficientNetLite2 => 260,
            Arch::Own(own) => own.image_size,
            _ => 224,
        }
    }

    /// Images per second in a training step of the whole network. Measured in f32 with batches of 32 images of 224 pixels (64
    /// pixels for `resnet10_narrow`; NaN for networks of your own) on 2 cores of an AMD EPYC (Zen 5), 2026-11-24; `cargo xtask bench-step` measures it. Those of `hazel` and
    /// EfficientNet-Lite follow from their ratio to ResNet-18 in one run on a slower machine, 2026-11-29.
    pub fn images_per_second(self) -> f32 {
        match self {
            Arch::ResNet18 => 37.0,
            Arch::ResNet34 => 19.1,
            Arch::ResNet50 => 14.2,
            Arch::ResNet101 => 8.1,
            Arch::Hazel => 70.9,
            Arch::SqueezeNet1_1 => 147.7,
            Arch::MobileNetV2 => 67.0,
            Arch::EfficientNetB0 => 55.3,
            Arch::EfficientNetLite0 => 76.7,
            Arch::EfficientNetLite2 => 37.7,
            Arch::ConvNeXtTiny => 12.0,
            Arch::ViTSmall16 => 12.7,
            Arch::ResNet10Narrow => 3509.0,
            Arch::Own(_) => f32::NAN,
        }
    }

    /// How its images must be normalised: with ImageNet's statistics, or for networks whose weights come from TensorFlow or JAX to
    /// -1..1, as timm does.
    pub fn normalize(self) -> Normalize {
        match self {
            Arch::ViTSmall16 | Arch::EfficientNetLite0 | Arch::EfficientNetLite2 => {
                Normalize { mean: [0.5; 3], std: [0.5; 3] }
            }
            Arch::Own(own) => own.normalize,
            _ => Normalize::imagenet(),
        }
    }

    /// Largest image size that it accepts (pixels), for training and prediction. Predicting one such image needs less than 1 GB
    /// of memory. The transformer's memory would allow more, but the time of attention grows with the fourth power of the
    /// size.
    pub fn max_image_size(self) -> usize {
        match self {
            Arch::ResNet10Narrow | Arch::ResNet18 | Arch::ResNet34 | Arch::Hazel | Arch::SqueezeNet1_1 => {
                1536
            }
            _ => 1024,
        }
    }

    /// Checks an image size (pixels).
    ///
    /// # Errors
    /// It is above [`max_image_size`](Self::max_image_size).
    pub(crate) fn check_image_size(self, size: usize) -> Result<(), Error> {
        let limit = self.max_image_size();
        if size > limit { Err(Error::ImageTooLarge { arch: self.name(), size, limit }) } else { Ok(()) }
    }

    /// How fastai's head pools its features.
    pub fn pooling(self) -> Pooling {
        match self {
            Arch::ViTSmall16 => Pooling::Nothing,
            _ => Pooling::Concat,
        }
    }

    /// torchvision's weights (timm's for the transformer); `None` for architectures that can only be trained from scratch.
    pub fn published_weights(self) -> Option<PublishedWeights> {
        published::published(self)
    }

    /// Who publishes weights that Sciurus reads but doesn't download, because their hash could not be taken.
    pub(crate) fn weights_elsewhere(self) -> Option<&'static str> {
        match self {
            Arch::EfficientNetLite0 => Some("timm/tf_efficientnet_lite0.in1k on huggingface.co"),
            Arch::EfficientNetLite2 => Some("timm/tf_efficientnet_lite2.in1k on huggingface.co"),
            _ => None,
        }
    }

    /// Builds the body, its convolutions zero until weights are set.
    pub fn body(self, device: &Device) -> Body {
        match self {
            Arch::ResNet18 => Body::ResNet(ResNetConfig::basic([2, 2, 2, 2], 64).init(device)),
            Arch::ResNet34 => Body::ResNet(ResNetConfig::basic([3, 4, 6, 3], 64).init(device)),
            Arch::ResNet50 => Body::ResNet(ResNetConfig::bottleneck([3, 4, 6, 3], 64).init(device)),
            Arch::ResNet101 => Body::ResNet(ResNetConfig::bottleneck([3, 4, 23, 3], 64).init(device)),
            Arch::ResNet10Narrow => Body::ResNet(NARROW.init(device)),
            Arch::Hazel => Body::ResNet(HAZEL.init(device)),
            Arch::SqueezeNet1_1 => Body::SqueezeNet(SqueezeNet::new(device)),
            Arch::MobileNetV2 => Body::MobileNetV2(MobileNetV2::new(device)),
            Arch::EfficientNetB0 => Body::EfficientNet(EfficientNetConfig::default().init(device)),
            Arch::EfficientNetLite0 => Body::EfficientNetLite(EfficientNetLiteConfig::LITE0.init(device)),
            Arch::EfficientNetLite2 => Body::EfficientNetLite(EfficientNetLiteConfig::LITE2.init(device)),
            Arch::ConvNeXtTiny => Body::ConvNeXt(ConvNeXtConfig::default().init(device)),
            Arch::ViTSmall16 => Body::VisionTransformer(VisionTransformer::new(device)),
            Arch::Own(own) => Body::Own((own.body)(device)),
        }
    }
}

const NARROW: ResNetConfig = ResNetConfig::basic([1, 1, 1, 1], 16);
/// Three quarters of ResNet-18's width, and one block less where most of the parameters are: 7 MB in half precision.
const HAZEL: ResNetConfig = ResNetConfig::basic([2, 2, 2, 1], 48);

/// The number of parameters that train.
fn trainable(body: BoxedBody) -> usize {
    let shapes = parameters::of_body(&Body::Own(body));
    let trains = |info: &&ParameterInfo| info.role != Role::RunningStatistic;
    shapes.iter().filter(trains).map(|info| info.shape.iter().product::<usize>()).sum()
}

impl From<Arch> for &'static str {
    fn from(arch: Arch) -> Self {
        arch.name()
    }
}

impl TryFrom<String> for Arch {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        name.parse()
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arch {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let ours = Arch::ALL.into_iter().find(|arch| arch.name() == name);
        ours.or_else(|| OwnArch::named(name).map(Arch::Own)).ok_or_else(|| Error::UnknownArch {
            name: name.to_owned(),
            known: Arch::ALL.map(Arch::name).join(", "),
        })
    }
}
