"""A model.sciurus as its peers read it: what it says of itself, its weights, and how a photo becomes its input."""
import io
import json

import numpy as np
from PIL import Image, ImageOps
from safetensors import safe_open


class Bundle:
    def __init__(self, path):
        with safe_open(path, "np") as file:
            self.manifest = json.loads(file.metadata()["sciurus"])
            self.weights = {name: file.get_tensor(name) for name in file.keys() if name.startswith(("body.", "head."))}
        preprocessing = self.manifest["preprocessing"]
        assert self.manifest["arch"] == "resnet18" and preprocessing["resize_method"] == "crop"
        self.labels = self.manifest["vocab"]
        self.size = preprocessing["image_size"]
        self.mirrored = preprocessing["views"] == "mirrored"
        normalize = preprocessing["normalize"]
        # (x / 255 - mean) / std as one multiplication and one addition.
        std = np.array(normalize["std"], np.float32)
        self.scale = 1 / (255 * std)
        self.shift = -np.array(normalize["mean"], np.float32) / std
        self.temperature = self.manifest["temperature"]

    def pixels(self, data):
        """The bytes of a photo as a square, cropped around the centre and resized with antialiasing: uint8 [size, size, 3]."""
        image = Image.open(io.BytesIO(data))
        image = ImageOps.exif_transpose(image).convert("RGB")
        width, height = image.size
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        box = (left, top, left + side, top + side)
        return np.asarray(image.resize((self.size, self.size), Image.Resampling.BILINEAR, box=box))

    def answer(self, logits):
        """What is said of a photo whose views have these logits [view, class]."""
        logits = logits.mean(0) / self.temperature
        shares = np.exp(logits - logits.max())
        shares = shares / shares.sum()
        top = int(shares.argmax())
        return {"model": "peer", "predictions": [{"label": self.labels[top], "probability": float(shares[top])}]}
