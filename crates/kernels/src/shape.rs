//! The sizes of a convolution, and of its input and output.

use crate::size::{checked_len, checked_sum};
use crate::view::Extent;

/// A two-dimensional convolution of `[batch, height, width, channel]`.
///
/// ```
/// use sciurus_kernels::ConvShape;
/// let stem = ConvShape { batch: 64, size: [224, 224], channels: [3, 64], kernel: [7, 7], stride: 2, padding: 3 };
/// assert_eq!(stem.out_size(), [112, 112]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Images.
    pub batch: usize,
    /// Height and width (pixels) of the input.
    pub size: [usize; 2],
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Height and width (pixels) of the kernel.
    pub kernel: [usize; 2],
    /// Step (pixels), the same in both directions, at least 1.
    pub stride: usize,
    /// Zeros (pixels) around the input; smaller than the kernel.
    pub padding: usize,
}

impl ConvShape {
    /// Height and width (pixels) of the output.
    ///
    /// # Panics
    /// When the stride is 0, or the padded input is larger than memory can be.
    pub fn out_size(&self) -> [usize; 2] {
        assert!(self.stride > 0, "a stride of 0: {self:?}");
        let padded = self.padded_size();
        [0, 1].map(|axis| padded[axis].saturating_sub(self.kernel[axis]) / self.stride + 1)
    }

    /// Values of an input: batch × height × width × channels in.
    ///
    /// # Panics
    /// When they are more than memory can hold.
    pub fn input_len(&self) -> usize {
        checked_len(&[self.batch, self.size[0], self.size[1], self.channels[0]])
    }

    /// Values of an output: batch × height × width × channels out.
    ///
    /// # Panics
    /// When they are more than memory can hold, or there is no [`out_size`](Self::out_size).
    pub fn output_len(&self) -> usize {
        let [height, width] = self.out_size();
        checked_len(&[self.batch, height, width, self.channels[1]])
    }

    /// Weights: channels out × channels in × kernel height × kernel width.
    ///
    /// # Panics
    /// When they are more than memory can hold.
    pub fn weights_len(&self) -> usize {
        checked_len(&[self.channels[0], self.channels[1], self.kernel[0], self.kernel[1]])
    }

    /// Floating-point operations of a forward pass; a multiplication and an addition count as two.
    ///
    /// # Panics
    /// When output pixels or weights are more than memory can hold, or there is no [`out_size`](Self::out_size).
    pub fn flops(&self) -> f64 {
        let [height, width] = self.out_size();
        2.0 * checked_len(&[self.batch, height, width]) as f64 * self.weights_len() as f64
    }

    /// Height and width (pixels) of the padded input.
    pub(crate) fn padded_size(&self) -> [usize; 2] {
        self.size.map(|size| checked_sum(&[size, self.padding, self.padding]))
    }

    /// Checks the sizes by themselves. Afterwards no size is 0 or above `isize::MAX`, padding is smaller than the kernel, the
    /// kernel is no larger than the padded input, and products of any sizes of input, output or weights fit a `usize`.
    ///
    /// # Panics
    /// When a check fails.
    pub(crate) fn check_sizes(&self) {
        let Self { batch, size, channels, kernel, stride, padding } = *self;
        let sizes = [batch, size[0], size[1], channels[0], channels[1], stride];
        assert!(sizes.iter().all(|&size| size > 0), "a convolution has no size of 0: {self:?}");
        assert!(isize::try_from(stride).is_ok(), "a stride larger than memory can be: {self:?}");
        let padded = self.padded_size();
        for axis in [0, 1] {
            assert!(kernel[axis] > padding, "padding must be smaller than the kernel: {self:?}");
            assert!(padded[axis] >= kernel[axis], "kernel larger than the input: {self:?}");
        }
        let _fit = [self.input_len(), self.output_len(), self.weights_len()];
    }

    /// Checks the sizes by themselves, and that the views have the right numbers of pixels and channels.
    ///
    /// # Panics
    /// When a size is 0, the kernel does not fit, or a view of input or output pixels has a different size.
    pub(crate) fn check(&self, input: Extent, output: Extent) {
        self.check_sizes();
        let [height, width] = self.out_size();
        input.check(self.batch * self.size[0] * self.size[1], self.channels[0]);
        output.check(self.batch * height * width, self.channels[1]);
    }
}
