//! Networks: a pretrained body, fastai's head, and the names of their parameters.
//!
//! In: image tensors `[batch, 3, height, width]`. Out: logits `[batch, class]` or embeddings `[batch, feature]`.

mod arch;
mod conv;
mod convnext;
mod efficientnet;
mod head;
mod initialise;
mod memory;
mod mobilenet;
pub(crate) mod numbers;
mod parameters;
mod resnet;
#[cfg(test)]
mod single_blocks;
mod squeezenet;
mod vit;
pub mod weights;

pub use crate::nn::{BatchNorm, FoldedLayers, LayerNorm, Pass, StateDict, StoredTensor};
pub use arch::{Arch, ArchInfo, PublishedWeights};
pub use convnext::{ConvNeXt, ConvNeXtConfig};
pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub use head::{Head, HeadConfig, Pooling, concat_pool};
pub use memory::fitting_batch;
pub use mobilenet::MobileNetV2;
pub use parameters::{ParamGroup, ParameterInfo, Role};
pub use resnet::{ResNet, ResNetBlock, ResNetConfig};
pub use squeezenet::SqueezeNet;
pub use vit::VisionTransformer;

use burn::module::Module;
use burn::tensor::{Device, Tensor, assert_shape};
use sciurus_data::Views;

use crate::cpu;
use crate::{Error, Seed};
use initialise::Initializer;

/// The pretrained part of a model: images in, a feature map out.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a model has one")]
pub enum Body {
    /// A ResNet.
    ResNet(ResNet),
    /// SqueezeNet 1.1.
    SqueezeNet(SqueezeNet),
    /// MobileNetV2.
    MobileNetV2(MobileNetV2),
    /// EfficientNet-B0.
    EfficientNet(EfficientNet),
    /// ConvNeXt-Tiny.
    ConvNeXt(ConvNeXt),
    /// ViT-S/16, whose feature map is one pixel: the class token.
    VisionTransformer(VisionTransformer),
}

impl Body {
    /// Images `[batch, 3, height, width]` to features `[batch, channel, h, w]`.
    pub fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        match self {
            Body::ResNet(body) => body.forward(images, pass),
            Body::SqueezeNet(body) => body.forward(images, pass),
            Body::MobileNetV2(body) => body.forward(images, pass),
            Body::EfficientNet(body) => body.forward(images, pass),
            Body::ConvNeXt(body) => body.forward(images, pass),
            Body::VisionTransformer(body) => body.forward(images, pass),
        }
    }

    /// fastai's parameter group of a body parameter, by its torchvision name: 0 (early) or 1 (late).
    ///
    /// ResNets are split before `layer3`, SqueezeNet before `features.5` (fastai's `model_meta`). All other bodies are one group
    /// (fastai's `default_split`), group 0; group 1 is then empty, and its learning rate has no effect.
    fn group(&self, name: &str) -> ParamGroup {
        let mut parts = name.split('.');
        let late = match self {
            Body::ResNet(_) => matches!(parts.next(), Some("layer3" | "layer4")),
            Body::SqueezeNet(_) => {
                parts.nth(1).and_then(|index| index.parse::<usize>().ok()).is_some_and(|index| index >= 5)
            }
            _ => false,
        };
        ParamGroup(usize::from(late))
    }

    /// How its weights are initialised.
    fn initializer(&self) -> Initializer {
        match self {
            Body::ResNet(_) | Body::MobileNetV2(_) | Body::EfficientNet(_) => Initializer::KaimingNormal,
            Body::SqueezeNet(_) => Initializer::KaimingUniform,
            Body::ConvNeXt(_) => Initializer::Narrow,
            Body::VisionTransformer(_) => Initializer::Transformer,
        }
    }
}

/// A body with a head: the model that is trained, measured and exported.
///
/// Parameter names are `body.<torchvision name>` and `head.<name>`.
#[derive(Module, Debug)]
pub struct VisionModel {
    body: Body,
    head: Head,
}

impl VisionModel {
    /// Number of parameter groups: early body, late body, head.
    pub const GROUPS: usize = 3;

    /// The largest number of classes.
    pub const MAX_CLASSES: usize = 100_000;

    /// A model of this architecture for `classes` classes with seeded random weights: the body as torchvision
    /// initialises it, the head as fastai does.
    ///
    /// # Errors
    /// Fewer than two classes, or more than [`MAX_CLASSES`](Self::MAX_CLASSES).
    pub fn new(arch: Arch, classes: usize, seed: Seed, device: &Device) -> Result<Self, Error> {
        Ok(initialise::initialised(Self::zeroed(arch, classes, device)?, seed))
    }

    /// A model whose convolutions and linear layers are zero, for weights from a file.
    pub(crate) fn zeroed(arch: Arch, classes: usize, device: &Device) -> Result<Self, Error> {
        if classes < 2 {
            return Err(Error::TooFewClasses { classes });
        }
        if classes > Self::MAX_CLASSES {
            return Err(Error::TooManyClasses { classes, limit: Self::MAX_CLASSES });
        }
        let head = HeadConfig::new(arch.channels(), classes).pooling(arch.pooling()).init(device);
        Ok(Self::from_parts(arch.body(device), head))
    }

    /// Combines a body and a head without changing them. The head must expect the body's channels.
    pub fn from_parts(body: Body, head: Head) -> Self {
        Self { body, head }
    }

    /// The pretrained part.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The part on top.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Images `[batch, 3, height, width]` to logits `[batch, class]`.
    pub fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        self.head.forward(self.body.forward(images, pass), pass)
    }

    /// Images `[batch, 3, height, width]` to logits `[batch, class]`, averaged over these views of each image.
    pub fn forward_views(&self, images: Tensor<4>, views: Views, pass: &mut Pass) -> Tensor<2> {
        match views {
            Views::Plain => self.forward(images, pass),
            Views::Mirrored => {
                let mirrored = images.clone().flip([3]);
                (self.forward(images, pass) + self.forward(mirrored, pass)) * 0.5
            }
        }
    }

    /// Images `[batch, 3, height, width]` to embeddings `[batch, channel]`: the body's features, averaged over the picture.
    pub fn embed(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        assert_shape!(images, [_, 3, _, _]);
        let features = self.body.forward(images, pass);
        let [_, channels, _, _] = features.dims();
        let pooled = cpu::concat_pool(&features, pass).unwrap_or_else(|| concat_pool(features));
        pooled.narrow(1, channels, channels)
    }
}
