//! The optimizer's step as a single pass over a parameter.

use burn::backend::Flex;
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use sciurus_kernels::{AdamStep, Buffer, Isa};

use super::tensor::{floats, parameter, plain, values};

/// Weights, average and square after a step, all `[count]`. Consumes the old averages, or returns them as the error if the kernel
/// does not support the tensors.
#[allow(clippy::result_large_err, reason = "what is handed back is the caller's own")]
pub(crate) fn adam_step(
    step: AdamStep,
    weights: &Tensor<1>,
    gradient: &Tensor<1>,
    averages: Option<[Tensor<1>; 2]>,
) -> Result<[Tensor<1>; 3], Option<[Tensor<1>; 2]>> {
    let read = |tensor: &Tensor<1>| plain(tensor).filter(|tensor| tensor.dtype() == DType::F32);
    let (Some(weights), Some(gradient)) = (read(weights), read(gradient)) else { return Err(averages) };
    let (weights, gradient) = (parameter(&weights), parameter(&gradient));
    let count = values::<f32>(&weights).len();
    let [mut average, mut square] = match averages {
        None => [0, 1].map(|_| floats(Buffer::zeroed(count), [count])),
        Some(averages) => owned(averages)?,
    };
    let averages = [&mut average, &mut square].map(FlexTensor::storage_mut);
    let mut next = Buffer::stale(count);
    sciurus_kernels::adam_step(
        Isa::current(),
        step,
        [values(&weights), values(&gradient)],
        averages,
        &mut next,
    );
    Ok([floats(next, [count]), average, square].map(Tensor::from_primitive::<Flex>))
}

/// The averages that the previous step made, ready to be overwritten in place.
#[allow(clippy::result_large_err, reason = "what is handed back is the caller's own")]
fn owned(averages: [Tensor<1>; 2]) -> Result<[FlexTensor; 2], Option<[Tensor<1>; 2]>> {
    match averages.each_ref().map(plain) {
        [Some(average), Some(square)] => {
            // Drops the other owner of the storage, so that it is written in place and not copied first.
            drop(averages);
            Ok([average, square])
        }
        _ => Err(Some(averages)),
    }
}
