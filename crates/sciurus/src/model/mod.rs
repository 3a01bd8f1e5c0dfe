//! Networks: a pretrained body, fastai's head, and the names of their parameters.
//!
//! In: image tensors `[batch, 3, height, width]`. Out: logits `[batch, class]` or embeddings `[batch, feature]`.

mod arch;
#[cfg(feature = "train")]
mod choice;
mod conv;
mod convnext;
mod efficientnet;
mod efficientnet_lite;
mod head;
mod initialise;
mod memory;
mod mobilenet;
pub(crate) mod numbers;
mod own;
mod parameters;
mod resnet;
#[cfg(test)]
mod single_blocks;
mod squeezenet;
mod vit;
pub mod weights;

pub use crate::nn::{BatchNorm, FoldedLayers, LayerNorm, Pass, StateDict, StoredTensor};
pub use arch::{Arch, ArchInfo, OwnArch, PublishedWeights};
#[cfg(feature = "train")]
pub use choice::{ArchChoice, ChosenArch};
pub use convnext::{ConvNeXt, ConvNeXtConfig};
pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub use efficientnet_lite::{EfficientNetLite, EfficientNetLiteConfig};
pub use head::{Head, HeadConfig, HeadStart, LinearHead, Pooling, concat_pool};
pub use memory::fitting_batch;
pub use mobilenet::MobileNetV2;
pub use own::{BoxedBody, OwnBody};
pub use parameters::{ParamGroup, ParameterInfo, Role};
pub use resnet::{ResNet, ResNetBlock, ResNetConfig};
pub use squeezenet::SqueezeNet;
pub use vit::VisionTransformer;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, assert_shape};
use sciurus_data::{BadOption, Views};
use sciurus_onnx::Value;

use crate::cpu;
use crate::nn::LayerGraph;
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
    /// An EfficientNet-Lite.
    EfficientNetLite(EfficientNetLite),
    /// ConvNeXt-Tiny.
    ConvNeXt(ConvNeXt),
    /// ViT-S/16, whose feature map is one pixel: the class token.
    VisionTransformer(VisionTransformer),
    /// A network of your own.
    Own(BoxedBody),
}

impl Body {
    /// Images `[batch, 3, height, width]` to features `[batch, channel, h, w]`.
    pub fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        match self {
            Body::ResNet(body) => body.forward(images, pass),
            Body::SqueezeNet(body) => body.forward(images, pass),
            Body::MobileNetV2(body) => body.forward(images, pass),
            Body::EfficientNet(body) => body.forward(images, pass),
            Body::EfficientNetLite(body) => body.forward(images, pass),
            Body::ConvNeXt(body) => body.forward(images, pass),
            Body::VisionTransformer(body) => body.forward(images, pass),
            Body::Own(body) => body.forward(images, pass),
        }
    }

    /// The same as nodes of a graph, for images with sides of `size` pixels; `None` for a network of your own, whose operations nobody
    /// knows.
    fn graph(&self, net: &mut LayerGraph, images: &Value, size: usize) -> Option<Value> {
        Some(match self {
            Body::ResNet(body) => body.graph(net, images),
            Body::SqueezeNet(body) => body.graph(net, images),
            Body::MobileNetV2(body) => body.graph(net, images),
            Body::EfficientNet(body) => body.graph(net, images),
            Body::EfficientNetLite(body) => body.graph(net, images),
            Body::ConvNeXt(body) => body.graph(net, images),
            Body::VisionTransformer(body) => body.graph(net, images, size),
            Body::Own(_) => return None,
        })
    }

    /// fastai's parameter group of a body parameter, by its torchvision name: 0 (early) or 1 (late).
    ///
    /// ResNets are split before `layer3`, SqueezeNet before `features.5` (fastai's `model_meta`). All other bodies are one group
    /// (fastai's `default_split`), group 0; group 1 is then empty, and its learning rate has no effect.
    fn group(&self, name: &str) -> ParamGroup {
        match self {
            Body::ResNet(body) => body.group(name),
            Body::SqueezeNet(_) => {
                let entry = name.split('.').nth(1).and_then(|index| index.parse::<usize>().ok());
                ParamGroup(usize::from(entry.is_some_and(|index| index >= 5)))
            }
            Body::Own(body) => body.group(name),
            _ => ParamGroup(0),
        }
    }

    /// How its weights are initialised.
    fn initializer(&self) -> Initializer {
        match self {
            Body::ResNet(_) | Body::MobileNetV2(_) | Body::EfficientNet(_) | Body::EfficientNetLite(_) => {
                Initializer::KaimingNormal
            }
            Body::SqueezeNet(_) => Initializer::KaimingUniform,
            Body::ConvNeXt(_) => Initializer::Narrow,
            Body::VisionTransformer(_) => Initializer::Transformer,
            Body::Own(_) => Initializer::Own,
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
    /// While it learns from teachers: what it says of each one's features.
    projectors: Vec<Linear>,
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
        Self { body, head, projectors: Vec::new() }
    }

    /// The model with a linear layer from its embedding to each of these numbers of features, so that it can learn what teachers
    /// know; seeded. They belong to the head's group, and are no part of a model that is exported.
    pub(crate) fn with_projectors(mut self, widths: &[usize], channels: usize, seed: Seed) -> Self {
        let Some(device) = self.devices().into_iter().next() else { return self };
        let projector = |(place, &width): (usize, &usize)| {
            initialise::projector([channels, width], (seed, place as u64), &device)
        };
        self.projectors = widths.iter().enumerate().map(projector).collect();
        self
    }

    /// The model without those layers.
    pub(crate) fn without_projectors(mut self) -> Self {
        self.projectors.clear();
        self
    }

    /// The pretrained part.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The part on top.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The model with a head that computes this linear classifier.
    ///
    /// # Errors
    /// The classifier has other classes or channels than the model, or too many classes, or the head has no pooling.
    pub(crate) fn with_linear_head(self, head: &LinearHead) -> Result<Self, Error> {
        let advice =
            "begin with random weights: this network's head can't hold a linear classifier of its features";
        let state = head.state(self.head.pooling());
        let state = state
            .ok_or_else(|| BadOption::new("head_start", format!("{} classes", head.classes()), advice))?;
        self.with_state(&state)
    }

    /// Images `[batch, 3, height, width]` to logits `[batch, class]`.
    pub fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        self.head.forward(self.body.forward(images, pass), pass)
    }

    /// The same as nodes of a graph, for images with sides of `size` pixels: logits `[batch, class]`, and embeddings `[batch, channel]`.
    /// `None` for a network of your own.
    pub(crate) fn graph(&self, net: &mut LayerGraph, images: &Value, size: usize) -> Option<[Value; 2]> {
        let features = self.body.graph(net, images, size)?;
        Some(self.head.graph(net, &features))
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
        embedding(self.body.forward(images, pass), pass)
    }

    /// Images `[batch, 3, height, width]` to logits `[batch, class]` and embeddings `[batch, channel]`.
    pub fn logits_and_embedding(&self, images: Tensor<4>, pass: &mut Pass) -> (Tensor<2>, Tensor<2>) {
        let features = self.body.forward(images, pass);
        (self.head.forward(features.clone(), pass), embedding(features, pass))
    }

    /// The same as [`forward_views`](Self::forward_views), and embeddings `[batch, channel]`, the mean over the views.
    pub(crate) fn views_and_embedding(
        &self,
        images: Tensor<4>,
        views: Views,
        pass: &mut Pass,
    ) -> (Tensor<2>, Tensor<2>) {
        match views {
            Views::Plain => self.logits_and_embedding(images, pass),
            Views::Mirrored => {
                let mirrored = images.clone().flip([3]);
                let (logits, embedding) = self.logits_and_embedding(images, pass);
                let (others, other) = self.logits_and_embedding(mirrored, pass);
                ((logits + others) * 0.5, (embedding + other) * 0.5)
            }
        }
    }

    /// What it says of each teacher's features: embeddings `[batch, channel]` to `[batch, width]`.
    pub(crate) fn projected(&self, embedding: &Tensor<2>) -> Vec<Tensor<2>> {
        self.projectors.iter().map(|projector| projector.forward(embedding.clone())).collect()
    }
}

/// Features `[batch, channel, h, w]` to their means over the picture `[batch, channel]`.
fn embedding(features: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
    let [_, channels, _, _] = features.dims();
    let pooled = cpu::concat_pool(&features, pass).unwrap_or_else(|| concat_pool(features));
    pooled.narrow(1, channels, channels)
}
