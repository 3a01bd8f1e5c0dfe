"""Writes the network of a bundle as ONNX, opset 17: export_onnx.py MODEL OUT"""
import sys

import torch

from bundle import Bundle
from network import Network

bundle = Bundle(sys.argv[1])
image = torch.zeros(2, 3, bundle.size, bundle.size)
torch.onnx.export(
    Network(bundle), (image,), sys.argv[2], opset_version=17, dynamo=False,
    input_names=["image"], output_names=["logits"], dynamic_axes={"image": {0: "view"}, "logits": {0: "view"}},
)
