//! Position embeddings for images of any size.
//!
//! In: the class token's embedding, followed by those of a square grid of patches. Out: the embeddings of another grid, resampled
//! as timm does (`resample_abs_pos_embed`): bicubic, with PyTorch's antialiasing. Resampling is linear, so it is one matrix
//! product along each side, and gradients flow through it.

use burn::tensor::{Device, Tensor, TensorData, assert_shape};

/// Embeddings `[1, 1 + grid * grid, feature]` for a grid of `[rows, columns]`: `[1, 1 + rows * columns, feature]`.
pub(super) fn resampled(embeddings: Tensor<3>, grid: usize, [rows, columns]: [usize; 2]) -> Tensor<3> {
    let tokens = 1 + grid * grid;
    assert_shape!(embeddings, [1, tokens, _]);
    if [rows, columns] == [grid, grid] {
        return embeddings;
    }
    let [_, _, features] = embeddings.dims();
    let device = embeddings.device();
    let class = embeddings.clone().narrow(1, 0, 1);
    let places = embeddings.narrow(1, 1, grid * grid);
    // First along the rows: [rows, grid] x [grid, column * feature].
    let tall = weights(grid, rows, &device).matmul(places.reshape([grid, grid * features]));
    // Then along the columns of each row: [row, columns, grid] x [row, grid, feature].
    let across = weights(grid, columns, &device).unsqueeze::<3>().expand([rows, columns, grid]);
    let both = across.matmul(tall.reshape([rows, grid, features]));
    Tensor::cat(vec![class, both.reshape([1, rows * columns, features])], 1)
}

/// The weights `[to, from]` of PyTorch's antialiased bicubic interpolation from `from` to `to` values.
fn weights(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..to).flat_map(|place| row(from, to, place)).collect();
    Tensor::from_data(TensorData::new(values, [to, from]), device)
}

/// The weights of all `from` values in value `place` of `to`; they add up to 1.
fn row(from: usize, to: usize, place: usize) -> Vec<f32> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let centre = scale * (place as f64 + 0.5);
    let (first, last) = (centre - 2.0 * stretch + 0.5, centre + 2.0 * stretch + 0.5);
    let reached = first.max(0.0) as usize..(last as usize).min(from);
    let weights: Vec<f64> = (0..from)
        .map(|value| match reached.contains(&value) {
            true => cubic((value as f64 - centre + 0.5) / stretch),
            false => 0.0,
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

/// Keys' cubic kernel with a = -0.5 (Keys 1981), 0 from 2 on.
fn cubic(distance: f64) -> f64 {
    let x = distance.abs();
    match x {
        _ if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        _ if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embeddings(value: impl Fn(usize) -> f32) -> Tensor<3> {
        let values: Vec<f32> = (0..17).map(value).collect();
        Tensor::from_data(TensorData::new(values, [1, 17, 1]), &Device::flex())
    }

    #[test]
    fn the_grid_they_were_learned_for_is_left_alone() {
        let learned = embeddings(|token| token as f32);
        assert_eq!(resampled(learned.clone(), 4, [4, 4]).into_data(), learned.into_data());
    }

    #[test]
    fn constant_embeddings_stay_constant_and_the_class_token_apart() {
        let learned = embeddings(|token| if token == 0 { 9.0 } else { 2.5 });
        let found: Vec<f32> = resampled(learned, 4, [7, 2]).into_data().iter::<f32>().collect();
        assert_eq!(found.len(), 15);
        assert_eq!(found[0], 9.0);
        assert!(found[1..].iter().all(|value| (value - 2.5).abs() < 1e-6), "{found:?}");
    }
}
