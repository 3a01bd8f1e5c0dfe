#!/usr/bin/env python3
"""operations.json: each operation of TrivialAugment and RandAugment at given magnitudes, on one image made by a formula.

Versions: Python 3.11, torchvision 0.29.2, Pillow 13.0.0. No randomness: every magnitude is given. Pixels are in hexadecimal.
Run:      pip install torchvision==0.29.2 pillow==13.0.0; python make_operations.py > operations.json
"""
import json
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import autoaugment as auto

W, H = 13, 10
image = Image.new("RGB", (W, H))
image.putdata([((x * x * 3 + y * 11) % 256, (40 + x * 5 + y * y) % 256, (x * 17 + y * 29 + x * y) % 256) for y in range(H) for x in range(W)])
grey = Image.new("RGB", (W, H), (90, 90, 90))
cases = []
for name, magnitudes in [
    ("Identity", [0.0]), ("ShearX", [0.3, -0.99, 0.033]), ("ShearY", [0.21, -0.7]), ("TranslateX", [3.9, -5.2, 32.0]), ("TranslateY", [1.0, -4.7]),
    ("Rotate", [13.5, -30.0, 135.0, 0.0, 90.0]), ("Brightness", [0.45, -0.6, 0.99]), ("Color", [0.9, -0.35, -0.99]), ("Contrast", [0.6, -0.5]),
    ("Sharpness", [0.9, -0.9, 0.33]), ("Posterize", [8, 4, 2]), ("Solarize", [127.5, 255.0, 0.0, 59.5]), ("AutoContrast", [0.0]), ("Equalize", [0.0])]:
    for magnitude in magnitudes:
        out = auto._apply_op(image, name, magnitude, interpolation=InterpolationMode.NEAREST, fill=None)
        flat = auto._apply_op(grey, name, magnitude, interpolation=InterpolationMode.NEAREST, fill=None)
        cases.append(dict(name=name, magnitude=magnitude, pixels=out.tobytes().hex(), grey=list(flat.getpixel((W // 2, H // 2)))))
spaces = {}
for policy, space in [("trivial", auto.TrivialAugmentWide()._augmentation_space(31)), ("rand", auto.RandAugment()._augmentation_space(31, (H * 7, W * 7)))]:
    spaces[policy] = {name: dict(magnitudes=m.double().tolist() if m.ndim else [], signed=s) for name, (m, s) in space.items()}
print(json.dumps(dict(width=W, height=H, source=image.tobytes().hex(), rand_size=[W * 7, H * 7], cases=cases, spaces=spaces)))
