//! The convolutions that are tested, and how their pixels lie among those of other layers.

use proptest::prelude::*;
use proptest::sample::select;
use sciurus_kernels::{ConvShape, Element, View, ViewMut};

use crate::values::stranger;

/// Channels of other layers before and after those of a view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) before: usize,
    pub(crate) after: usize,
}

impl Room {
    /// No other layer's channels.
    pub(crate) const NONE: Self = Self { before: 0, after: 0 };

    pub(crate) fn spacing(self, channels: usize) -> usize {
        self.before + channels + self.after
    }

    /// Pixels of `channels` values with strangers around.
    pub(crate) fn spread<E: Element>(self, values: &[E], channels: usize) -> Box<[E]> {
        let strangers = |count: usize| std::iter::repeat_n(stranger::<E>(channels), count);
        let pixels = values.chunks_exact(channels);
        let all = pixels.flat_map(|pixel| {
            strangers(self.before).chain(pixel.iter().copied()).chain(strangers(self.after))
        });
        all.collect::<Vec<E>>().into_boxed_slice()
    }

    pub(crate) fn view<E>(self, spread: &[E], channels: usize) -> View<'_, E> {
        View::part(spread, self.before, self.spacing(channels))
    }

    pub(crate) fn view_mut<E>(self, spread: &mut [E], channels: usize) -> ViewMut<'_, E> {
        ViewMut::part(spread, self.before, self.spacing(channels))
    }

    /// The channels of a view, and what is around them.
    pub(crate) fn gathered<E: Element>(self, spread: &[E], channels: usize) -> (Vec<E>, Vec<E>) {
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for pixel in spread.chunks_exact(self.spacing(channels)) {
            let (before, rest) = pixel.split_at(self.before);
            let (within, after) = rest.split_at(channels);
            inside.extend_from_slice(within);
            outside.extend(before.iter().chain(after));
        }
        (inside, outside)
    }
}

/// A convolution, and where its input and output lie.
#[derive(Debug, Clone)]
pub(crate) struct ConvCase {
    pub(crate) shape: ConvShape,
    pub(crate) seed: u64,
    pub(crate) input: Room,
    pub(crate) output: Room,
}

/// Multiplications that the reference may take: it is slow.
const MOST_PRODUCTS: usize = 1_500_000;

/// Any convolution that does not take long.
pub(crate) fn shapes() -> impl Strategy<Value = ConvShape> {
    let kernels = select(vec![[1, 1], [3, 3], [5, 5], [7, 7], [1, 3], [3, 1], [2, 5], [4, 2]]);
    let sizes = (0..24_usize, 0..24_usize);
    (1..=9_usize, sizes, channels(), channels(), kernels, (1..=3_usize, 0..7_usize)).prop_map(
        |(batch, (taller, wider), channels_in, channels_out, kernel, (stride, padding))| {
            let padding = padding % kernel[0].min(kernel[1]);
            let size = |axis: usize, more: usize| kernel[axis].saturating_sub(2 * padding).max(1) + more;
            let size = [size(0, taller), size(1, wider)];
            let channels = [channels_in, channels_out];
            shrunk(ConvShape { batch, size, channels, kernel, stride, padding })
        },
    )
}

/// Numbers of channels: any, and more often those at the ends of vectors and panels.
fn channels() -> impl Strategy<Value = usize> {
    let special = select(vec![1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 48, 49, 63, 64, 65]);
    prop_oneof![special, 1..=70_usize]
}

/// The same convolution with fewer images, then of smaller ones, until the reference is fast.
fn shrunk(mut shape: ConvShape) -> ConvShape {
    let products = |shape: &ConvShape| (shape.flops() / 2.0) as usize;
    while products(&shape) > MOST_PRODUCTS && shape.batch > 1 {
        shape.batch -= 1;
    }
    let least = |axis: usize| shape.kernel[axis].saturating_sub(2 * shape.padding).max(1);
    for axis in [0, 1] {
        let least = least(axis);
        while products(&shape) > MOST_PRODUCTS && shape.size[axis] > least {
            shape.size[axis] -= 1;
        }
    }
    shape
}

/// Any convolution, half of them between channels of other layers.
pub(crate) fn conv_cases() -> impl Strategy<Value = ConvCase> {
    (shapes(), any::<u64>(), rooms(), rooms()).prop_map(|(shape, seed, input, output)| ConvCase {
        shape,
        seed,
        input,
        output,
    })
}

fn rooms() -> impl Strategy<Value = Room> {
    let some = (0..=5_usize, 0..=5_usize).prop_map(|(before, after)| Room { before, after });
    prop_oneof![Just(Room::NONE), some]
}

/// Convolutions beyond the sizes where kernels begin to cut their work into pieces: long panels, many steps, groups of
/// images, and the first layer of a network, which reads a prepared picture.
pub(crate) fn large_cases() -> Vec<ConvCase> {
    let shape = |batch, size, channels, kernel, stride, padding| ConvShape {
        batch,
        size,
        channels,
        kernel,
        stride,
        padding,
    };
    let shapes = [
        shape(1, [7, 8], [60, 70], [7, 7], 1, 0),
        shape(2, [7, 7], [113, 70], [7, 7], 1, 1),
        shape(1, [5, 5], [70, 230], [3, 3], 2, 1),
        shape(9, [44, 45], [1, 70], [1, 1], 1, 0),
        shape(3, [38, 36], [3, 17], [7, 7], 2, 0),
        shape(8, [15, 15], [33, 5], [3, 3], 1, 1),
        // Several blocks of the weight gradient in both directions, and a batch of an odd number of pixels.
        shape(3, [5, 7], [200, 270], [1, 3], 1, 0),
    ];
    let some = Room { before: 2, after: 4 };
    let case = |(at, shape)| ConvCase { shape, seed: at as u64, input: Room::NONE, output: Room::NONE };
    let dense = shapes.into_iter().enumerate().map(case);
    dense.flat_map(|case| [ConvCase { input: some, output: some, ..case.clone() }, case]).collect()
}
