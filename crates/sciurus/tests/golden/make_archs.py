"""Writes archs.json: what torchvision's, timm's and fastai's networks answer with weights that a formula gives.

Run: OMP_NUM_THREADS=1 python make_archs.py [NAME ...]   (torch, torchvision, timm, fastai; no download)
With names, only these are made anew.

For each architecture: names and shapes of the body's parameters and buffers; in evaluation, mean features of the body and
logits of fastai's head for five classes; and the gradients of a weighted sum of the features. All is computed in float64 from float32 weights and images, so that the
difference to the golden numbers is the error of the program that is tested.

Gradients are those of evaluation, for EfficientNet of a training pass in which nothing is dropped (stochastic depth 0).
With weights that are not trained, statistics over a batch magnify rounding from block to block: in training passes
PyTorch's own gradients in float32 are off from those in float64 by 1e-2 (ResNet-50), 5e-2 (ResNet-101) and 3e-2
(MobileNetV2) of their norm, against 1e-6 in evaluation; EfficientNet's by 3e-5. (64 pixels, batches of 8 and 2.)

Weights and images: `noise(name, index)` in -1..1 from an integer hash, times a scale; see `fill`. tests/it/golden_archs.rs
computes the same.
"""

import json
import math
import sys
from pathlib import Path

import fastai
import fastai.vision.learner as learner
import numpy as np
import timm
import torch
import torchvision

CLASSES = 5
HEAD_NAMES = ["norm_1", "linear_1", "norm_2", "linear_2"]


def noise(name, count):
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    x = (np.arange(count, dtype=np.uint64) * 0x9E3779B9 + seed).astype(np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint32(shift)
        x = x * np.uint32(factor)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)


def fill(name, shape):
    """Values of the tensor of this name: float32."""
    u = noise(name, math.prod(shape))
    last = name.rsplit(".", 1)[-1]
    if last == "running_var":
        values = np.float32(1) + np.float32(0.25) * u
    elif last in ("bias", "running_mean"):
        values = np.float32(0.125) * u
    elif last in ("cls_token", "pos_embed"):
        values = np.float32(0.5) * u
    elif last == "layer_scale" or len(shape) == 1:
        values = np.float32(1) + np.float32(0.25) * u
    else:
        values = np.float32(math.sqrt(3 / math.prod(shape[1:]))) * u
    return values.reshape(shape)


def images(size):
    """Each image has a brightness of its own, so that statistics over the batch are no differences of equal values."""
    values = noise("images", 2 * 3 * size * size).reshape(2, 3, size, size)
    return values + np.array([-0.5, 0.5], dtype=np.float32).reshape(2, 1, 1, 1)


class Parts(torch.nn.Module):
    """Body and head, the body returning a feature map."""

    def __init__(self, model, features, head):
        super().__init__()
        self.model, self.features, self.head = model, features, head

    def forward(self, x):
        features = self.features(self.model, x)
        return self.head(features), features


def trunk(names):
    def features(model, x):
        for name in names:
            x = getattr(model, name)(x)
        return x

    return features


RESNET = trunk(["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"])
FEATURES = trunk(["features"])


def case(arch, size):
    """Model, its features, width of its head's input, and the names that are cut off."""
    kind = torchvision.models
    if arch.startswith("resnet"):
        model = getattr(kind, arch)(weights=None)
        return model, RESNET, 2 * 2048, ("fc.",)
    if arch == "mobilenet_v2":
        return kind.mobilenet_v2(weights=None), FEATURES, 2 * 1280, ("classifier.",)
    if arch == "efficientnet_b0":
        model = kind.efficientnet_b0(weights=None, stochastic_depth_prob=0.0)
        return model, FEATURES, 2 * 1280, ("classifier.",)
    if arch.startswith("efficientnet_lite"):
        # global_pool and classifier are cut off; what is left ends with ReLU6.
        model = timm.create_model(f"tf_{arch}", pretrained=False)
        return model, lambda model, x: model.forward_features(x), 2 * 1280, ("classifier.",)
    if arch == "convnext_tiny":
        model = kind.convnext_tiny(weights=None, stochastic_depth_prob=0.0)
        return model, FEATURES, 2 * 768, ("classifier.",)
    model = timm.create_model(arch, pretrained=False, num_classes=0, dynamic_img_size=size != 224)
    return model, lambda model, x: model(x), 384, ()


def golden(arch, size, batch):
    model, features, width, cut = case(arch, size)
    pool = width != 384
    head = learner.create_head(width // 2 if pool else width, CLASSES, ps=0.0, pool=pool)
    layers = [layer for layer in head if any(True for _ in layer.parameters())]
    assert len(layers) == 4
    named = [(f"body.{n}", t) for n, t in model.state_dict().items() if not n.startswith(cut or ("-",))]
    for name, layer in zip(HEAD_NAMES, layers):
        named += [(f"head.{name}.{n}", t) for n, t in layer.state_dict().items()]
    named = [(n, t) for n, t in named if not n.endswith("num_batches_tracked")]
    parts = Parts(model, features, head).double()
    # Doubling copies the parameters, so they are looked up again.
    state = {f"body.{n}": t for n, t in model.state_dict(keep_vars=True).items()}
    for name, layer in zip(HEAD_NAMES, layers):
        state |= {f"head.{name}.{n}": t for n, t in layer.state_dict(keep_vars=True).items()}
    with torch.no_grad():
        for name, _ in named:
            state[name].copy_(torch.from_numpy(fill(name, tuple(state[name].shape))).double())
    x = torch.from_numpy(images(size)[:batch]).double()

    parts.eval()
    with torch.no_grad():
        logits, maps = parts(x)
    means = pooled(maps)
    result = {
        "image_size": size,
        "batch": batch,
        "parameters": [[n.removeprefix("body."), list(t.shape)] for n, t in named if n.startswith("body.")],
        "logits": logits.tolist(),
        "mean_features": [rounded(row[:48]) for row in means],
        "mean_features_norm": means.norm().item(),
    }
    if batch > 1:
        parts.train(arch == "efficientnet_b0")
        means = pooled(features(model, x))
        loss = (means * torch.from_numpy(noise("loss", means.numel())).reshape(means.shape)).sum()
        loss.backward()
        trained = [n for n, _ in named if n.startswith("body.") and state[n].requires_grad]
        names = dict.fromkeys(trained[::8] + trained[-4:])
        gradients = {name: state[name].grad.flatten() for name in names}
        # A bias before another norm layer has no gradient but rounding.
        largest = max(gradient.norm() for gradient in gradients.values())
        gradients = {name: gradient for name, gradient in gradients.items() if gradient.norm() > 1e-9 * largest}
        result["loss"] = loss.item()
        result["gradients"] = {n: [g.norm().item(), rounded(g[:6])] for n, g in gradients.items()}
    return result


def pooled(maps):
    return maps.mean((2, 3)) if maps.ndim == 4 else maps


def rounded(values):
    return [float(f"{v:.8g}") for v in values.tolist()]


def main():
    torch.manual_seed(0)
    cases = {
        "resnet50": ("resnet50", 96, 2),
        "resnet101": ("resnet101", 64, 2),
        "mobilenet_v2": ("mobilenet_v2", 96, 2),
        "efficientnet_b0": ("efficientnet_b0", 96, 2),
        "efficientnet_lite0": ("efficientnet_lite0", 96, 2),
        # Sizes that are odd and even by turns: 75, 38, 19, 10, 5, 3. TensorFlow pads them differently.
        "efficientnet_lite0 at 75": ("efficientnet_lite0", 75, 2),
        "efficientnet_lite2": ("efficientnet_lite2", 64, 2),
        "convnext_tiny": ("convnext_tiny", 64, 2),
        "vit_small_patch16_224": ("vit_small_patch16_224", 224, 1),
        # Position embeddings resampled from 14 x 14 to 5 x 5 and to 17 x 17.
        "vit_small_patch16_224 at 80": ("vit_small_patch16_224", 80, 2),
        "vit_small_patch16_224 at 272": ("vit_small_patch16_224", 272, 1),
    }
    wanted = sys.argv[1:] or list(cases)
    archs = {name: golden(*cases[name]) for name in wanted}
    for name in archs:
        if " at " in name:
            del archs[name]["parameters"]
    made = {
        "made_with": {
            "python": sys.version.split()[0],
            **{m.__name__: m.__version__ for m in (torch, torchvision, timm, fastai, np)},
        },
        "archs": archs,
    }
    path = Path(__file__).with_name("archs.json")
    if sys.argv[1:]:
        old = json.loads(path.read_text())
        made = {**old, "archs": {**old["archs"], **archs}}
    lines = json.dumps(made, separators=(",", ":"))
    path.write_text(lines.replace('"vit_small', '\n"vit_small') + "\n")


main()
