"""A model of Sciurus in PyTorch: needs torch, torchvision, pillow and, for EfficientNet-Lite and ViT, timm.

    from {module} import load
    model = load("{weights}")
    print(model.predict("photo.jpg"))

`load` gives a `torch.nn.Module` from normalised squares [batch, 3, size, size] to logits [batch, class], in evaluation mode. To train it
further, call `.train()`.
"""
import json
from collections import OrderedDict
from pathlib import Path

import torch
import torchvision
from PIL import Image, ImageOps
from torch import nn

DESCRIPTION = json.loads(r"""{description}""")


class ConcatPool(nn.Module):
    """fastai's pooling: the maximum and the mean of each channel."""

    def forward(self, features):
        return torch.cat([features.amax((2, 3)), features.mean((2, 3))], dim=1)


class Head(nn.Module):
    def __init__(self, channels, classes, pool):
        super().__init__()
        pooled = channels * 2 if pool else channels
        self.pool = ConcatPool() if pool else nn.Flatten(1)
        self.norm_1 = nn.BatchNorm1d(pooled)
        self.linear_1 = nn.Linear(pooled, 512, bias=False)
        self.norm_2 = nn.BatchNorm1d(512)
        self.linear_2 = nn.Linear(512, classes, bias=False)
        self.dropout_1, self.dropout_2 = nn.Dropout(0.25), nn.Dropout(0.5)

    def forward(self, features):
        hidden = self.linear_1(self.dropout_1(self.norm_1(self.pool(features))))
        return self.linear_2(self.dropout_2(self.norm_2(torch.relu(hidden))))


class TimmBody(nn.Module):
    def __init__(self, name, **options):
        super().__init__()
        import timm

        self.net = timm.create_model(name, pretrained=False, num_classes=0, global_pool="", **options)
        self.is_transformer = name.startswith("vit")

    def forward(self, images):
        features = self.net.forward_features(images)
        return features[:, 0, :, None, None] if self.is_transformer else features


class Model(nn.Module):
    """`body` and `head`; `predict` does what Sciurus does with a photo, as near as Pillow's resize is."""

    def __init__(self, description=DESCRIPTION):
        super().__init__()
        self.description = description
        arch, classes = description["arch"], len(description["labels"])
        size = description["preprocessing"]["image_size"]
        pool = True
        if arch.startswith("resnet"):
            children = list(getattr(torchvision.models, arch)().named_children())
            self.body = nn.Sequential(OrderedDict(children[:-2]))
            channels = 512 if arch in ("resnet18", "resnet34") else 2048
        elif arch.startswith("vit"):
            self.body, channels, pool = TimmBody(arch, img_size=size, dynamic_img_size=True), 384, False
        elif arch.startswith("efficientnet_lite"):
            self.body, channels = TimmBody("tf_" + arch), 1280
        else:
            features = getattr(torchvision.models, arch)().features
            self.body = nn.Sequential(OrderedDict(features=features))
            channels = {"squeezenet1_1": 512, "convnext_tiny": 768}.get(arch, 1280)
        self.head = Head(channels, classes, pool)

    def forward(self, images):
        return self.head(self.body(images))

    def load_named(self, state):
        """Sets the weights by torchvision's names; every one must fit."""
        timm = isinstance(self.body, TimmBody)
        body = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
        head = {name[5:]: tensor for name, tensor in state.items() if name.startswith("head.")}
        if timm and "pos_embed" in body and body["pos_embed"].shape != self.body.net.pos_embed.shape:
            from timm.layers import resample_abs_pos_embed

            grid = self.body.net.patch_embed.grid_size
            body["pos_embed"] = resample_abs_pos_embed(body["pos_embed"], new_size=list(grid))
        (self.body.net if timm else self.body).load_state_dict(body)
        self.head.load_state_dict(head)

    def prepared(self, photo):
        """A path or a PIL image as a normalised square [1, 3, size, size]."""
        image = photo if isinstance(photo, Image.Image) else Image.open(photo)
        image = ImageOps.exif_transpose(image).convert("RGB")
        settings = self.description["preprocessing"]
        size, method = settings["image_size"], settings["resize_method"]
        if method == "crop":
            side = max(int(min(image.size) / size * size), 1)
            left, top = (int(0.5 * (length - side)) for length in image.size)
            image = image.crop((left, top, left + side, top + side))
        elif method == "pad":
            side = max(int(max(image.size) / size * size), 1)
            before = [int(0.5 * (side - length)) for length in image.size]
            after = [side - length - first for length, first in zip(image.size, before)]
            pixels = torchvision.transforms.functional.pil_to_tensor(image)
            pixels = torchvision.transforms.functional.pad(pixels, [*before, *after], padding_mode="reflect")
            image = torchvision.transforms.functional.to_pil_image(pixels)
        image = image.resize((size, size), Image.Resampling.BILINEAR)
        values = torchvision.transforms.functional.to_tensor(image)
        normalize = settings["normalize"]
        return torchvision.transforms.functional.normalize(values, normalize["mean"], normalize["std"])[None]

    @torch.inference_mode()
    def probabilities(self, images):
        """Normalised squares to probabilities [batch, class], over the views that the model was measured with."""
        logits = self(images)
        if self.description["preprocessing"].get("views") == "mirrored":
            logits = (logits + self(images.flip(3))) / 2
        if self.description["output"]["kind"] == "any_number":
            return torch.sigmoid(logits)
        return torch.softmax(logits / self.description["temperature"], dim=1)

    def predict(self, photo):
        """Labels and their probabilities, most probable first."""
        probabilities = self.probabilities(self.prepared(photo))[0].tolist()
        return sorted(zip(self.description["labels"], probabilities), key=lambda pair: -pair[1])


def load(path=Path(__file__).with_suffix(".pth"), description=DESCRIPTION):
    """The model with its weights, from a .pth or a .safetensors file."""
    if str(path).endswith(".safetensors"):
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    model = Model(description)
    model.load_named(state)
    return model.eval()
