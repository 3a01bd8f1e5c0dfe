"""FastAPI + PyTorch: channels-last, traced and frozen (which folds the norm layers into the convolutions), in inference mode.

Each request is computed by one of as many threads as there are cores; PyTorch's own threads then only get in their way (--workers 1 has
PyTorch use all cores for one request at a time).
"""
import numpy as np
import torch

from app import THREADS, arguments, serve
from bundle import Bundle
from network import Network

args = arguments()
torch.set_num_threads(max(1, THREADS // args.workers))
bundle = Bundle(args.model)
dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[args.precision]
scale, shift = torch.from_numpy(bundle.scale).view(3, 1, 1), torch.from_numpy(bundle.shift).view(3, 1, 1)


def images(data):
    pixels = torch.from_numpy(np.array(bundle.pixels(data))).permute(2, 0, 1)
    image = (pixels * scale + shift)[None]
    if bundle.mirrored:
        image = torch.cat([image, image.flip(3)])
    return image.to(dtype, memory_format=torch.channels_last)


with torch.inference_mode():
    network = Network(bundle).to(dtype, memory_format=torch.channels_last)
    views = torch.zeros(2 if bundle.mirrored else 1, 3, bundle.size, bundle.size, dtype=dtype)
    views = views.to(memory_format=torch.channels_last)
    network = torch.jit.freeze(torch.jit.trace(network, views))
    for _ in range(3):
        network(views)


@torch.inference_mode()
def predict(data):
    return bundle.answer(network(images(data)).float().numpy())


serve(predict, args)
