#!/usr/bin/env python3
"""augment.json: where fastai's aug_transforms take each place from, and its light curve, for given draws.

Versions: Python 3.11, torch 2.15.0, fastai 2.8.12. No randomness: every draw is given.
Run:      pip install torch==2.15.0 fastai==2.8.12; python make_augment.py > augment.json
"""
import json
import torch
from fastai.vision.augment import (_WarpCoord, affine_mat, dihedral_mat, rotate_mat, zoom_mat, _init_mat,
                                   _BrightnessLogit, _ContrastLogit)
from fastai.vision.all import TensorImage

grid = [[-1, -1], [1, -1], [0.3, -0.7], [0, 0], [-0.25, 0.9], [1, 1]]
x = TensorImage(torch.zeros(1, 3, 8, 8))
maps = []
for way, degrees, zoom, cx, cy, wx, wy in [(0, 0, 1, .5, .5, 0, 0), (1, 10, 1.1, .2, .9, .2, -.15), (5, -7, 1.05, .7, 0, -.1, .2), (7, 90, 1, .5, .5, 0, .05), (3, 3, 1.02, 1, 1, .01, 0)]:
    mats = [dihedral_mat(x, p=1., draw=way), rotate_mat(x, p=1., draw=degrees), zoom_mat(x, p=1., draw=zoom, draw_x=cx, draw_y=cy)]
    mat = _init_mat(x)
    for m in mats: mat = mat @ m
    coords = torch.tensor([grid], dtype=torch.float32)
    coords = coords @ mat[:, :2, :2].transpose(1, 2) + mat[:, :2, 2].unsqueeze(1)
    warp = _WarpCoord(p=1., draw_x=wx, draw_y=wy); warp.before_call(x)
    maps.append(dict(way=way, degrees=degrees, zoom=zoom, centre=[cx, cy], warp=[wx, wy], to=warp(coords.view(1, 1, -1, 2)).view(-1, 2).tolist()))
lights = []
for brightness, contrast in [(.4, 1.), (.5, 1.25), (.6, .8), (.47, 1.1)]:
    v = torch.arange(256, dtype=torch.float64)[:, None, None, None] / 255
    t = TensorImage(v)
    b = _BrightnessLogit(p=1., draw=brightness); b.before_call(t)
    c = _ContrastLogit(p=1., draw=contrast); c.before_call(t)
    out = t.lighting(lambda y: c(b(y)))
    lights.append(dict(brightness=brightness, contrast=contrast, values=[round(float(f) * 255, 4) for f in out.flatten()]))
print(json.dumps(dict(grid=grid, maps=maps, lights=lights)))
