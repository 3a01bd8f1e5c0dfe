//! CPU kernels for training and running convolutional networks.
//!
//! Plain slices in, plain slices out: no tensor framework, no images, no labels. Activations are stored pixel by pixel,
//! `[batch, height, width, channel]`, in f32 or bf16. Weights are in PyTorch's order, `[out, in, height, width]` in f32, and are
//! packed for each pass. Sums, gradients of weights and the optimizer are f32.
//!
//! ```
//! use sciurus_kernels::{ConvShape, Isa, PackedWeights, View, ViewMut, conv_forward};
//!
//! // A 1x1 convolution that adds two channels, on one image of 2 x 1 pixels.
//! let shape = ConvShape { batch: 1, size: [2, 1], channels: [2, 1], kernel: [1, 1], stride: 1, padding: 0 };
//! let packed = PackedWeights::<f32>::forward(Isa::current(), &shape, &[1.0, 1.0], None);
//! let mut output = [0.0; 2];
//! conv_forward(&shape, View::new(&[1.0, 2.0, 3.0, 4.0], 2), &packed, ViewMut::new(&mut output, 1));
//! assert_eq!(output, [3.0, 7.0]);
//! ```
//!
//! # Why it is fast
//!
//! - One inner loop ([`tile`](self)) serves every product: a tile of sums stays in registers, one operand is broadcast word by
//!   word from where it is stored, the other comes from packed panels. A word is one f32 or two bf16.
//! - Convolutions are computed directly: no im2col buffer, no boundary checks in the loop. Norm statistics, bias, shortcut and
//!   ReLU are applied while sums are in registers.
//! - Memory comes from a pool ([`Buffer`]), because every training step needs the same sizes.
//! - Instructions are chosen at run time ([`Isa`]): one binary for every processor. `SCIURUS_CPU` forces a set.
//!
//! # Guarantees
//!
//! - Each result is computed by one thread, in an order that depends only on shapes: the same bits for any number of threads.
//! - NaN and infinity pass through. There is one exception: when a bf16 picture with an odd number of channels is read without a
//!   copy (images from [`prepare_images`]), the pixel right of the window is multiplied by a weight of zero.
//! - Functions check lengths and panic on wrong ones before they use a pointer or allocate memory. Sizes whose product is more
//!   than memory can hold are refused; they never wrap around. This is the only crate with `unsafe`; every block states why it
//!   is sound.

mod activation;
mod adam;
mod arena;
mod attention;
mod attention_parts;
mod conv;
mod depthwise;
mod depthwise_gradient;
mod element;
mod images;
mod isa;
mod layer_norm;
mod matmul;
mod moments;
mod nonlinearity;
mod norm;
mod pack;
mod pattern;
mod per_image;
mod plan;
mod pointer;
mod pool;
mod scratch;
mod shape;
mod simd;
mod size;
mod softmax;
mod tile;
mod view;
mod weight_gradient;

pub use activation::{Activated, activation_gradient};
pub use adam::{AdamStep, adam_step};
pub use arena::{Buffer, Plain, trim};
pub use attention::{AttentionShape, attention, attention_gradient};
pub use conv::{
    Activation, Existing, conv_forward, conv_forward_activated, conv_forward_moments, conv_input_gradient,
};
pub use depthwise::{depthwise_forward, depthwise_input_gradient};
pub use depthwise_gradient::depthwise_weight_gradient;
pub use element::Element;
pub use images::prepare_images;
pub use isa::Isa;
pub use layer_norm::{PixelMoments, layer_norm, layer_norm_gradient};
pub use matmul::{Matrix, Real, matmul};
pub use moments::Moments;
pub use nonlinearity::Nonlinearity;
pub use norm::{GradientSums, NormGradient, gradient_sums, norm_gradient, normalize, relu_gradient};
pub use pack::PackedWeights;
pub use per_image::{image_sums, scale_images};
pub use pool::{NormRelu, PoolShape, concat_pool, concat_pool_gradient, max_pool, max_pool_gradient};
pub use shape::ConvShape;
pub use softmax::softmax_cross_entropy;
pub use view::{View, ViewMut};
pub use weight_gradient::conv_weight_gradient;
