//! Products of matrices against the sums that they stand for.

use proptest::prelude::*;
use sciurus_kernels::{Matrix, matmul};

use crate::values::{config, random_between};

/// `output + left × right`, one sum at a time in f64, of values `[row, column]`.
fn naive(left: &[f32], right: &[f32], output: &[f32], [rows, inner, columns]: [usize; 3]) -> Vec<f64> {
    let sum = |row: usize, column: usize| -> f64 {
        (0..inner).map(|at| f64::from(left[row * inner + at]) * f64::from(right[at * columns + column])).sum()
    };
    (0..rows * columns).map(|at| f64::from(output[at]) + sum(at / columns, at % columns)).collect()
}

fn transpose(values: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    (0..rows * columns).map(|at| values[at % rows * columns + at / rows]).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_product_is_its_sums(rows in 0..40_usize, inner in 0..70_usize, columns in 0..40_usize, flips: [bool; 2], seed: u64) {
        let values = |seed: u64, len: usize| random_between::<f32>(seed, len, [-1.0, 1.0]);
        let [left, right, start] =
            [(seed, rows * inner), (seed ^ 1, inner * columns), (seed ^ 2, rows * columns)].map(|(seed, len)| values(seed, len));
        let want = naive(&left, &right, &start, [rows, inner, columns]);
        // An operand that is stored the other way round and read as its transpose is the same matrix.
        let stored = |values: &[f32], shape: [usize; 2], flip: bool| if flip { transpose(values, shape) } else { values.to_vec() };
        let (left, right) = (stored(&left, [rows, inner], flips[0]), stored(&right, [inner, columns], flips[1]));
        fn read<T: sciurus_kernels::Real>(values: &[T], [rows, columns]: [usize; 2], flip: bool) -> Matrix<'_, T> {
            if flip { Matrix::new(values, [columns, rows]).transposed() } else { Matrix::new(values, [rows, columns]) }
        }
        let mut narrow = start.clone();
        matmul(read(&left, [rows, inner], flips[0]), read(&right, [inner, columns], flips[1]), &mut narrow);
        let widened = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
        let (left, right, mut wide) = (widened(&left), widened(&right), widened(&start));
        matmul(read(&left, [rows, inner], flips[0]), read(&right, [inner, columns], flips[1]), &mut wide);
        for (at, &want) in want.iter().enumerate() {
            prop_assert!((f64::from(narrow[at]) - want).abs() <= 1e-4, "{} against {want}", narrow[at]);
            prop_assert!((wide[at] - want).abs() <= 1e-12, "{} against {want}", wide[at]);
        }
    }
}

#[test]
#[should_panic(expected = "columns on the left, rows on the right")]
fn operands_that_do_not_fit_are_refused() {
    matmul(Matrix::new(&[1.0, 2.0], [1, 2]), Matrix::new(&[1.0, 2.0, 3.0], [3, 1]), &mut [0.0]);
}

#[test]
#[should_panic(expected = "values of a product of 1 x 1")]
fn an_output_that_is_too_short_is_refused() {
    matmul(Matrix::new(&[1.0, 2.0], [1, 2]), Matrix::new(&[1.0, 2.0], [2, 1]), &mut [0.0; 0]);
}

#[test]
#[should_panic(expected = "more values than memory can hold")]
fn a_shape_that_wraps_to_nothing_is_refused() {
    let _ = Matrix::new(&[0.0_f32; 0], [1 << 62, 4]);
}
