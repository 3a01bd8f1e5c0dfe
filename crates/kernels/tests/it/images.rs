//! Images brought into the kernels' order, against the place of each single value.

use half::bf16;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::{Element, prepare_images};

use crate::reference::grid;
use crate::values::{config, equal, filled, kind, nan, random};

/// Images `[batch, channels, height, width]`, and the zeros around them.
#[derive(Debug, Clone, Copy)]
struct ImagesCase {
    batch: usize,
    channels: usize,
    size: [usize; 2],
    padding: usize,
    /// Further zeros below and right.
    more: [usize; 2],
    seed: u64,
}

fn images_cases() -> impl Strategy<Value = ImagesCase> {
    let pair =
        |range: std::ops::Range<usize>| (range.clone(), range).prop_map(|(first, second)| [first, second]);
    (1..=4_usize, 1..=5_usize, pair(1..20), 0..5_usize, pair(0..6), any::<u64>()).prop_map(
        |(batch, channels, size, padding, more, seed)| ImagesCase {
            batch,
            channels,
            size,
            padding,
            more,
            seed,
        },
    )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn prepared_images_hold_every_value_and_zeros_around(case in images_cases()) {
        prepares::<f32>(&case)?;
        prepares::<bf16>(&case)?;
    }
}

fn prepares<E: Element>(case: &ImagesCase) -> TestCaseResult {
    let ImagesCase { batch, channels, size: [height, width], padding, more, seed } = *case;
    let padded = [height + padding + more[0], width + padding + more[1]];
    let mut images = random::<f32>(seed, batch * channels * height * width);
    images[seed as usize % images.len()] = f32::NAN;
    let mut want = filled(E::default(), batch * padded[0] * padded[1] * channels);
    for ((image, channel), (y, x)) in
        grid([batch, channels]).flat_map(|outer| grid([height, width]).map(move |inner| (outer, inner)))
    {
        let to = ((image * padded[0] + y + padding) * padded[1] + x + padding) * channels + channel;
        want[to] = E::narrow(images[((image * channels + channel) * height + y) * width + x]);
    }
    let mut got = filled(nan::<E>(), want.len());
    prepare_images(&images, [channels, height, width], padding, padded, &mut got);
    equal(&format!("prepare_images in {} of {case:?}", kind::<E>()), &got, &want)
}
