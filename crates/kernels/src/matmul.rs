//! Products of matrices outside a network: heads on embeddings, and similarities of items.

use gemm::{Parallelism, gemm};

use crate::size::checked_len;

/// A number that [`matmul`] multiplies: f32 or f64.
pub trait Real: Copy + 'static + private::Real {}

impl Real for f32 {}
impl Real for f64 {}

/// Keeps [`Real`] to the types that the library below has kernels for.
mod private {
    pub trait Real {
        const ONE: Self;
    }

    impl Real for f32 {
        const ONE: Self = 1.0;
    }

    impl Real for f64 {
        const ONE: Self = 1.0;
    }
}

/// A matrix that is read: values `[row, column]` in a slice, or their transpose.
///
/// ```
/// use sciurus_kernels::Matrix;
///
/// let matrix = Matrix::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
/// assert_eq!(matrix.transposed().shape(), [3, 2]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, T> {
    values: &'a [T],
    shape: [usize; 2],
    /// Values from one row to the next, and from one column to the next.
    steps: [usize; 2],
}

impl<'a, T: Real> Matrix<'a, T> {
    /// The matrix of `shape` rows and columns whose rows follow each other in `values`.
    ///
    /// # Panics
    /// When there are not rows × columns values.
    #[must_use]
    pub fn new(values: &'a [T], shape: [usize; 2]) -> Self {
        assert_eq!(values.len(), checked_len(&shape), "values of a matrix of {shape:?}");
        Self { values, shape, steps: [shape[1], 1] }
    }

    /// Its rows as columns; nothing is copied.
    #[must_use]
    pub fn transposed(self) -> Self {
        let [rows, columns] = self.shape;
        let [row, column] = self.steps;
        Self { values: self.values, shape: [columns, rows], steps: [column, row] }
    }

    /// Rows and columns.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }
}

/// Adds `left` × `right` to `output`, `[row, column]`, on the calling thread. Sums are of the matrices' own type.
///
/// # Panics
/// When `left` has not as many columns as `right` has rows, or `output` has not a value for each of the product.
///
/// ```
/// use sciurus_kernels::{Matrix, matmul};
///
/// let rows = Matrix::new(&[1.0, 2.0, 3.0, 4.0], [2, 2]);
/// let mut output = [0.0, 0.0, 0.0, 100.0];
/// matmul(rows, rows.transposed(), &mut output);
/// assert_eq!(output, [5.0, 11.0, 11.0, 125.0]);
/// ```
pub fn matmul<T: Real>(left: Matrix<T>, right: Matrix<T>, output: &mut [T]) {
    let ([rows, inner], [inner_too, columns]) = (left.shape, right.shape);
    assert_eq!(inner, inner_too, "columns on the left, rows on the right");
    assert_eq!(output.len(), checked_len(&[rows, columns]), "values of a product of {rows} x {columns}");
    let [[left_row, left_column], [right_row, right_column]] =
        [left.steps, right.steps].map(|steps| steps.map(usize::cast_signed));
    // SAFETY: `Matrix::new` and the assertion above see to it that each operand holds rows × columns values, one step apart
    // within a row and a row's length apart between rows, or the reverse for a transpose. All sizes fit in an isize
    // (`checked_len`), and `output` is borrowed exclusively, so it overlaps neither operand.
    unsafe {
        gemm(
            rows,
            columns,
            inner,
            output.as_mut_ptr(),
            1,
            columns.cast_signed(),
            true,
            left.values.as_ptr(),
            left_column,
            left_row,
            right.values.as_ptr(),
            right_column,
            right_row,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
