//! ViT-S/16, a small vision transformer (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words"; Steiner et al. 2022,
//! "How to train your ViT?").
//!
//! timm's `vit_small_patch16_224` without its classifier, under its names: `cls_token`, `pos_embed`,
//! `patch_embed.proj.weight`, `blocks.0.attn.qkv.weight`, … As fastai does with timm's transformers, the class token goes to a
//! head without pooling. For image sizes other than 224, position embeddings are resampled.

mod position;

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Device, Tensor, assert_shape};
use sciurus_onnx::{Attribute, Data, Value};

use super::conv::patches;
use crate::cpu::{self, AttentionLayers, PerceptronLayers};
use crate::nn::{LayerGraph, LayerNorm, Pass, Precision, floats};

const DEPTH: usize = 12;
const HEADS: usize = 6;
/// Patches along each side of the images that the position embeddings were learnt for.
const GRID: usize = 14;

/// The body of ViT-S/16.
#[derive(Module, Debug)]
pub struct VisionTransformer {
    cls_token: Param<Tensor<3>>,
    pos_embed: Param<Tensor<3>>,
    patch_embed: PatchEmbed,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

/// Turns image patches into tokens.
#[derive(Module, Debug)]
pub(super) struct PatchEmbed {
    proj: Conv2d,
}

impl VisionTransformer {
    /// Features of a token.
    pub const OUT_CHANNELS: usize = 384;

    /// Side of a patch (pixels).
    pub const PATCH: usize = 16;

    /// Builds the body. Everything except its norm layers is zero until weights are set.
    pub fn new(device: &Device) -> Self {
        let width = Self::OUT_CHANNELS;
        Self {
            cls_token: Param::from_tensor(Tensor::zeros([1, 1, width], device)),
            pos_embed: Param::from_tensor(Tensor::zeros([1, 1 + GRID * GRID, width], device)),
            patch_embed: PatchEmbed { proj: patches([3, width], Self::PATCH, device) },
            blocks: (0..DEPTH).map(|_| Block::new(width, device)).collect(),
            norm: LayerNorm::new(width, device),
        }
    }

    /// Images `[batch, 3, height, width]`, at least 16 pixels on each side, to their class tokens `[batch, 384, 1, 1]`.
    pub fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        assert_shape!(images, [_, 3, _, _]);
        let tokens = self.tokens(images, pass);
        let tokens = self.blocks.iter().fold(tokens, |tokens, block| block.forward(tokens, pass));
        // The norm layer works on each token separately, so only the class token needs it.
        let class = tokens.narrow(2, 0, 1).cast(DType::F32);
        cpu::layer_norm_pixels(&self.norm, &class, pass).unwrap_or_else(|| self.norm.forward_pixels(class))
    }

    /// The same as nodes of a graph, for images with sides of `size` pixels.
    pub(super) fn graph(&self, net: &mut LayerGraph, images: &Value, size: usize) -> Value {
        let (width, grid) = (Self::OUT_CHANNELS as i64, size / Self::PATCH);
        let patches = net.conv(&self.patch_embed.proj, None, images);
        let patches = net.reshape(&patches, &[0, width, -1]);
        let patches = net.transpose(&patches, &[0, 2, 1]);
        let shape = net.graph.op("Shape", &[&patches]);
        let first = net.graph.ints(&[0]);
        let batch = net.graph.op("Gather", &[&shape, &first]);
        let rest = net.graph.ints(&[1, width]);
        let shape = net.concat(&[&batch, &rest], 0);
        let class = net.parameter(&self.cls_token);
        let class = net.graph.op("Expand", &[&class, &shape]);
        let tokens = net.concat(&[&class, &patches], 1);
        let places = position::resampled(self.pos_embed.val(), GRID, [grid, grid]);
        let shape: [usize; 3] = places.dims();
        let places = net.graph.constant("pos_embed", &shape, Data::F32(floats(places.into_data())));
        let tokens = net.add(&tokens, &places);
        let tokens = self.blocks.iter().fold(tokens, |tokens, block| block.graph(net, &tokens));
        let (zero, axis) = (net.graph.ints(&[0]), net.graph.ints(&[1]));
        let one = net.graph.ints(&[1]);
        let class = net.graph.op("Slice", &[&tokens, &zero, &one, &axis]);
        let class = net.layer_norm(&self.norm, &class);
        net.reshape(&class, &[0, width, 1, 1])
    }

    /// The class token and the patches' tokens, with position embeddings added: `[batch, feature, token, 1]`, in the pass's
    /// precision.
    fn tokens(&self, images: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let proj = &self.patch_embed.proj;
        let patches = cpu::biased_image_conv(proj, &images, pass).unwrap_or_else(|| proj.forward(images));
        let precision = if patches.dtype() == DType::BF16 { Precision::Bf16 } else { Precision::F32 };
        let [batch, width, rows, columns] = patches.dims();
        let patches = patches.cast(DType::F32).reshape([batch, width, rows * columns]).swap_dims(1, 2);
        let class = self.cls_token.val().expand([batch, 1, width]);
        let tokens = Tensor::cat(vec![class, patches], 1);
        let tokens = tokens + position::resampled(self.pos_embed.val(), GRID, [rows, columns]);
        let tokens = tokens.swap_dims(1, 2).unsqueeze_dim::<4>(3);
        if precision == Precision::Bf16 { tokens.cast(DType::BF16) } else { tokens }
    }
}

/// Self-attention between the tokens, then two linear layers over each token.
#[derive(Module, Debug)]
pub(super) struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    fn new(width: usize, device: &Device) -> Self {
        Self {
            norm1: LayerNorm::new(width, device),
            attn: Attention { qkv: linear(width, 3 * width, device), proj: linear(width, width, device) },
            norm2: LayerNorm::new(width, device),
            mlp: Mlp { fc1: linear(width, 4 * width, device), fc2: linear(4 * width, width, device) },
        }
    }

    /// `[batch, feature, token, 1]`, same shape out.
    fn forward(&self, tokens: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let Self { norm1: norm, attn: Attention { qkv, proj }, .. } = self;
        let layers = AttentionLayers { norm, qkv, proj, heads: HEADS };
        let tokens = cpu::attention_block(&layers, &tokens, pass)
            .unwrap_or_else(|| residual(tokens, |tokens| self.attn.forward(norm.forward(tokens))));
        let Self { norm2: norm, mlp: Mlp { fc1, fc2 }, .. } = self;
        cpu::perceptron_block(&PerceptronLayers { norm, linear: [fc1, fc2] }, &tokens, pass)
            .unwrap_or_else(|| residual(tokens, |tokens| self.mlp.forward(norm.forward(tokens))))
    }
}

impl Block {
    /// `[batch, token, feature]`, same shape out.
    fn graph(&self, net: &mut LayerGraph, tokens: &Value) -> Value {
        let normed = net.layer_norm(&self.norm1, tokens);
        let mixed = self.attn.graph(net, &normed);
        let tokens = net.add(tokens, &mixed);
        let normed = net.layer_norm(&self.norm2, &tokens);
        let wide = net.linear(&self.mlp.fc1, &normed);
        let wide = net.gelu(&wide);
        let narrow = net.linear(&self.mlp.fc2, &wide);
        net.add(&tokens, &narrow)
    }
}

/// `x + branch(x)` for `x` as `[batch, feature, token, 1]`; the branch sees `[batch, token, feature]`.
fn residual(tokens: Tensor<4>, branch: impl Fn(Tensor<3>) -> Tensor<3>) -> Tensor<4> {
    let by_token = tokens.clone().squeeze_dim::<3>(3).swap_dims(1, 2);
    tokens + branch(by_token).swap_dims(1, 2).unsqueeze_dim::<4>(3)
}

/// Self-attention with several heads (Vaswani et al. 2017).
#[derive(Module, Debug)]
pub(super) struct Attention {
    qkv: Linear,
    proj: Linear,
}

impl Attention {
    /// `proj(softmax(q k' / sqrt(d)) v)`: `[batch, token, feature]`, same shape out.
    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, count, width] = tokens.dims();
        let qkv = self.qkv.forward(tokens);
        let heads = |part: usize| {
            let part = qkv.clone().narrow(2, part * width, width);
            part.reshape([batch, count, HEADS, width / HEADS]).swap_dims(1, 2)
        };
        let mixed = attention(heads(0), heads(1), heads(2), None, None, AttentionModuleOptions::default());
        self.proj.forward(mixed.swap_dims(1, 2).reshape([batch, count, width]))
    }

    fn graph(&self, net: &mut LayerGraph, tokens: &Value) -> Value {
        let each = (VisionTransformer::OUT_CHANNELS / HEADS) as i64;
        let qkv = net.linear(&self.qkv, tokens);
        // `[batch, token, 3, head, feature]` to `[3, batch, head, token, feature]`.
        let qkv = net.reshape(&qkv, &[0, 0, 3, HEADS as i64, each]);
        let qkv = net.transpose(&qkv, &[2, 0, 3, 1, 4]);
        let [query, key, value] = [0, 1, 2].map(|part| {
            let part = net.graph.constant("part", &[], Data::I64(vec![part]));
            net.graph.op("Gather", &[&qkv, &part])
        });
        let key = net.transpose(&key, &[0, 1, 3, 2]);
        let scores = net.graph.op("MatMul", &[&query, &key]);
        let root = net.graph.constant("root", &[], Data::F32(vec![(each as f32).sqrt()]));
        let scores = net.graph.op("Div", &[&scores, &root]);
        let shares = net.graph.op_with("Softmax", &[&scores], vec![("axis", Attribute::Int(-1))]);
        let mixed = net.graph.op("MatMul", &[&shares, &value]);
        let mixed = net.transpose(&mixed, &[0, 2, 1, 3]);
        let mixed = net.reshape(&mixed, &[0, 0, VisionTransformer::OUT_CHANNELS as i64]);
        net.linear(&self.proj, &mixed)
    }
}

/// Two linear layers with GELU between.
#[derive(Module, Debug)]
pub(super) struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(gelu(self.fc1.forward(tokens)))
    }
}

fn linear(d_in: usize, d_out: usize, device: &Device) -> Linear {
    LinearConfig::new(d_in, d_out).with_initializer(Initializer::Zeros).init(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Body;
    use crate::model::single_blocks::{Walk, random_model};

    #[test]
    fn every_block_is_its_layers() {
        let body = Body::VisionTransformer(VisionTransformer::new(&Device::flex()));
        let model = random_model(body, VisionTransformer::OUT_CHANNELS);
        let Body::VisionTransformer(body) = model.body() else { unreachable!() };
        for size in [[48, 48], [80, 112]] {
            let mut walk = Walk::new(&model, size);
            walk.step(body, |body, images, pass| body.tokens(images, pass));
            for block in &body.blocks {
                walk.step(block, Block::forward);
            }
        }
    }
}
