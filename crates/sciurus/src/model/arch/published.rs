//! Where the published weights of each architecture are, and their hashes.

use serde::Serialize;

use super::Arch;

/// Where the published weights of an architecture are, and their hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PublishedWeights {
    /// Name of the file, as in torchvision's cache.
    pub file: &'static str,
    /// Download address.
    pub url: &'static str,
    /// SHA-256 of the file, lower-case hex. torchvision's file names end in its first eight digits.
    pub sha256: &'static str,
    /// Licence of the weights (SPDX). They were trained on ImageNet, whose photos have terms of their own.
    pub licence: &'static str,
}

/// A torchvision file. Its address follows from its name.
macro_rules! torchvision {
    ($file:literal, $sha256:literal) => {
        PublishedWeights {
            file: $file,
            url: concat!("https://download.pytorch.org/models/", $file),
            sha256: $sha256,
            licence: "BSD-3-Clause",
        }
    };
}

/// The published weights of an architecture: those that fastai uses; where fastai uses old ones, torchvision's newest.
pub(super) fn published(arch: Arch) -> Option<PublishedWeights> {
    Some(match arch {
        Arch::ResNet18 => torchvision!(
            "resnet18-f37072fd.pth",
            "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"
        ),
        Arch::ResNet34 => torchvision!(
            "resnet34-b627a593.pth",
            "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f"
        ),
        Arch::ResNet50 => torchvision!(
            "resnet50-11ad3fa6.pth",
            "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca"
        ),
        Arch::ResNet101 => torchvision!(
            "resnet101-cd907fc2.pth",
            "cd907fc2a0de2292b2ba2b27d2216bc672d84632d1cf20058d01c0c03b5e020e"
        ),
        Arch::SqueezeNet1_1 => torchvision!(
            "squeezenet1_1-b8a52dc0.pth",
            "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b"
        ),
        Arch::MobileNetV2 => torchvision!(
            "mobilenet_v2-7ebf99e0.pth",
            "7ebf99e03e254b273379b23edca7ec0da9f48273b23a332b93c1c99d49e86e8f"
        ),
        Arch::EfficientNetB0 => torchvision!(
            "efficientnet_b0_rwightman-7f5810bc.pth",
            "7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934"
        ),
        Arch::ConvNeXtTiny => torchvision!(
            "convnext_tiny-983f1562.pth",
            "983f1562536e84ff750a1576fb08e54de751dbf2e17c0d8a4a13704341fdcd3d"
        ),
        Arch::ViTSmall16 => PublishedWeights {
            file: "vit_small_patch16_224.augreg_in21k_ft_in1k.safetensors",
            url: "https://huggingface.co/timm/vit_small_patch16_224.augreg_in21k_ft_in1k/resolve/7e2c55630205e1266030f18370f4c6ed1a514b52/model.safetensors",
            sha256: "79c03c635cdfd798a364a9d8c4e5c0b7255b975ea2c9616046d4f77ab01435aa",
            licence: "Apache-2.0",
        },
        // timm publishes them, but nobody here could fetch a file to take its hash.
        Arch::EfficientNetLite0 | Arch::EfficientNetLite2 => return None,
        Arch::Hazel | Arch::ResNet10Narrow | Arch::Own(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_whole_and_agree_with_torchvisions_file_names() {
        let mut compared = 0;
        for weights in Arch::ALL.into_iter().filter_map(published) {
            assert_eq!(weights.sha256.len(), 64, "{}", weights.file);
            assert!(weights.sha256.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
            if let Some(stem) = weights.file.strip_suffix(".pth") {
                assert!(weights.url.ends_with(weights.file));
                assert_eq!(stem.rsplit('-').next(), weights.sha256.get(..8), "{}", weights.file);
                compared += 1;
            }
        }
        assert_eq!(compared, 8);
    }
}
