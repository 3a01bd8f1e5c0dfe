//! Converts between Burn's tensors and the kernels' slices.

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Autodiff, BackendTypes, Flex, TensorMetadata};
use burn::tensor::{DType, Element as BurnElement, Shape, Tensor};
use burn_flex::{FlexTensor, Layout};
use sciurus_kernels::{Buffer, Element, Plain};

/// The primitive of a tensor on the CPU that records gradients.
pub(super) type Tracked = <Autodiff<Flex> as BackendTypes>::FloatTensorPrimitive;

/// Number types that both the kernels and Burn support: f32 and bf16.
pub(super) trait Number: Element + Plain + BurnElement + bytemuck::Pod {}

impl Number for f32 {}
impl Number for half::bf16 {}

/// The tracked primitive, if the tensor is on the CPU and records gradients.
pub(super) fn tracked<const D: usize>(tensor: &Tensor<D>) -> Option<Tracked> {
    tensor.clone().try_into_primitive::<Autodiff<Flex>>().ok()
}

/// The plain primitive, if the tensor is on the CPU and does not record gradients.
pub(super) fn plain<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    tensor.clone().try_into_primitive::<Flex>().ok()
}

/// The tensor's primitive on the CPU, whether or not gradients are tracked.
pub(super) fn either<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    plain(tensor).or_else(|| Some(tracked(tensor)?.primitive().clone()))
}

/// A parameter with contiguous values.
pub(super) fn parameter(tensor: &FlexTensor) -> FlexTensor {
    assert_eq!(tensor.dtype(), DType::F32, "parameters are f32");
    tensor.to_contiguous()
}

/// The values of a tensor that [`parameter`] or [`pixels`] has made contiguous.
pub(super) fn values<E: Number>(tensor: &FlexTensor) -> &[E] {
    tensor.as_slice::<E>().unwrap_or_default()
}

/// Features `[batch, channel, height, width]` as pixels `[batch, height, width, channel]`. Does not copy if they are already
/// stored that way, in this type.
pub(super) fn pixels<E: Number>(features: FlexTensor) -> FlexTensor {
    let pixels = features.permute(&[0, 2, 3, 1]);
    // Drops the other owner of the storage, so that the caller can write to it without a copy.
    drop(features);
    let pixels =
        if pixels.dtype() == E::dtype() { pixels } else { Flex::float_cast(pixels, E::dtype().into()) };
    pixels.to_contiguous()
}

/// Pixels `[batch, height, width, channel]` as features `[batch, channel, height, width]`, without moving them in memory.
pub(super) fn features<E: Number>(
    pixels: Buffer<E>,
    [batch, channels, height, width]: [usize; 4],
) -> FlexTensor {
    let layout = Layout::contiguous(Shape::new([batch, height, width, channels]));
    FlexTensor::new(pixels.into_bytes(), layout, E::dtype()).permute(&[0, 3, 1, 2])
}

/// A tensor of f32.
pub(super) fn floats<const D: usize>(values: Buffer<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(values.into_bytes(), Layout::contiguous(Shape::new(shape)), DType::F32)
}

/// The four sizes of features.
pub(super) fn sizes(features: &impl TensorMetadata) -> [usize; 4] {
    features.shape().dims()
}
