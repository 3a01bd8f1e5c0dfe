//! The sizes of a convolution, and of what goes in and comes out.

use crate::view::Extent;

/// A two-dimensional convolution over `[batch, height, width, channel]`.
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
    /// Step (pixels), the same in both directions, 1 or more.
    pub stride: usize,
    /// Zeros (pixels) around the input, less than the kernel.
    pub padding: usize,
}

impl ConvShape {
    /// Height and width (pixels) of the output.
    pub fn out_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            (self.size[axis] + 2 * self.padding).saturating_sub(self.kernel[axis]) / self.stride + 1
        })
    }

    /// Values of an input: batch × height × width × channels in.
    pub fn input_len(&self) -> usize {
        self.batch * self.size[0] * self.size[1] * self.channels[0]
    }

    /// Values of an output: batch × height × width × channels out.
    pub fn output_len(&self) -> usize {
        let [height, width] = self.out_size();
        self.batch * height * width * self.channels[1]
    }

    /// Weights: channels out × channels in × kernel height × kernel width.
    pub fn weights_len(&self) -> usize {
        self.channels[0] * self.channels[1] * self.kernel[0] * self.kernel[1]
    }

    /// Floating-point operations of a forward pass, a multiplication and an addition counted as two.
    pub fn flops(&self) -> f64 {
        let [height, width] = self.out_size();
        2.0 * (self.batch * height * width) as f64 * self.weights_len() as f64
    }

    /// # Panics
    /// When a size is 0, the kernel does not fit, or a view of input or output pixels has another size.
    pub(crate) fn check(&self, input: Extent, output: Extent) {
        let positive =
            [self.batch, self.size[0], self.size[1], self.channels[0], self.channels[1], self.stride];
        assert!(positive.iter().all(|&n| n > 0), "a convolution has no size of 0: {self:?}");
        for axis in [0, 1] {
            assert!(self.kernel[axis] > self.padding, "padding must be smaller than the kernel: {self:?}");
            assert!(
                self.size[axis] + 2 * self.padding >= self.kernel[axis],
                "kernel larger than the input: {self:?}"
            );
        }
        let [height, width] = self.out_size();
        input.check(self.batch * self.size[0] * self.size[1], self.channels[0]);
        output.check(self.batch * height * width, self.channels[1]);
    }
}
