//! The fast path on the CPU: blocks of a network as fused operations on the kernels of `sciurus-kernels`.
//!
//! In: a block's layers and a tensor. Out: the same result as the layers one by one, forward and backward. The functions return
//! `None` if the tensor is on another device, or if the kernels do not support a layer; the layers then run one by one. Models
//! call these functions first, and stay ordinary Burn modules.
//!
//! Tensors between blocks have Burn's shape `[batch, channel, height, width]`, but are stored pixel by pixel
//! (`[batch, height, width, channel]`), in f32 or bf16. Parameters, their gradients and all sums are f32.

mod adam;
mod biased;
mod chain;
mod convnext;
mod cross_entropy;
mod excitation;
mod fire;
mod inference;
mod layer;
mod linear;
mod perceptron;
mod pool;
mod record;
mod residual;
mod stem;
mod tensor;
mod transformer;

pub(crate) use adam::adam_step;
pub(crate) use biased::{biased_conv, biased_image_conv, layer_norm_pixels};
pub(crate) use chain::{ChainLayers, chain, image_chain};
pub(crate) use convnext::{ConvNeXtLayers, convnext_block};
pub(crate) use cross_entropy::cross_entropy;
pub(crate) use fire::{FireLayers, fire};
pub(crate) use layer::{BlockLayers, ConvNorm};
pub(crate) use linear::linear;
pub(crate) use perceptron::PerceptronLayers;
pub(crate) use pool::{concat_pool, max_pool, pool_shape};
pub(crate) use residual::residual_block;
pub(crate) use stem::{norm_stem, relu_stem};
pub(crate) use transformer::{AttentionLayers, attention_block, perceptron_block};
