//! Networks that were compared before one became the backbone: see docs/backbone.md.

use sciurus::data::Normalize;
use sciurus::model::{BoxedBody, OwnArch, ResNetConfig};

/// ImageNet's statistics, as for most networks.
const NORMALIZE: Normalize = Normalize { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/// ResNet-18 of half the width: 2.8 million parameters.
static HALF: OwnArch = OwnArch {
    name: "resnet18_half",
    channels: 256,
    image_size: 224,
    normalize: NORMALIZE,
    body: |device| BoxedBody::new(ResNetConfig::basic([2, 2, 2, 2], 32).init(device)),
};

/// Three quarters of its width, with one block in the last stage: 3.6 million parameters.
static THREE_QUARTERS: OwnArch = OwnArch {
    name: "resnet16_three_quarters",
    channels: 384,
    image_size: 224,
    normalize: NORMALIZE,
    body: |device| BoxedBody::new(ResNetConfig::basic([2, 2, 2, 1], 48).init(device)),
};

/// Makes them known by their names.
pub(crate) fn register() -> anyhow::Result<()> {
    for candidate in [&HALF, &THREE_QUARTERS] {
        candidate.register()?;
    }
    Ok(())
}
