#!/usr/bin/env python3
"""A training step or a prediction of a network in PyTorch, channels-last: the peer of the networks that ../shared/bench does not know.

    pip install torch torchvision fastai timm
    python network_step.py train --arch convnext_tiny --dtype bf16 --batch 32 --steps 3

Random data, 224 pixels, 2 threads, fastai's head, Adam over all weights. Predictions are made with batch norm folded into
convolutions (torch.jit.freeze and optimize_for_inference), where that is the faster of both ways. Prints one line as pytorch_step.py does.
"""
import argparse, resource, statistics, time

import timm, torch, torchvision
from fastai.vision.learner import create_body, create_head

parser = argparse.ArgumentParser()
parser.add_argument("mode", choices=["train", "infer"])
parser.add_argument("--arch", required=True)
parser.add_argument("--dtype", choices=["fp32", "bf16"], required=True)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--steps", type=int, default=3)
args = parser.parse_args()

torch.set_num_threads(2)
torch.manual_seed(0)


def hazel():
    """The network that Sciurus carries: a ResNet of width 48 with 2, 2, 2 and 1 basic blocks."""
    from torchvision.models.resnet import BasicBlock, conv1x1
    nn, layers, width = torch.nn, [], 48
    layers += [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)]
    for stage, blocks in enumerate([2, 2, 2, 1]):
        planes, stride = 48 << stage, 1 if stage == 0 else 2
        down = None if stage == 0 else nn.Sequential(conv1x1(width, planes, stride), nn.BatchNorm2d(planes))
        layers.append(BasicBlock(width, planes, stride, down))
        layers += [BasicBlock(planes, planes) for _ in range(blocks - 1)]
        width = planes
    return nn.Sequential(*layers)


if args.arch.startswith("vit"):
    body = timm.create_model(args.arch, num_classes=0)
    head = create_head(body.num_features, 2, pool=False)
elif args.arch == "hazel":
    body = hazel()
    head = create_head(384, 2)
elif args.arch.startswith("efficientnet_lite"):
    body = timm.create_model(f"tf_{args.arch}", num_classes=0, global_pool="")
    head = create_head(body.num_features, 2)
elif args.arch.startswith("squeezenet"):
    body = torchvision.models.squeezenet1_1().features
    head = create_head(512, 2)
else:
    cut = -1 if args.arch.startswith("mobilenet") else -2
    body = create_body(getattr(torchvision.models, args.arch)(), pretrained=False, cut=cut)
    head = create_head(body(torch.zeros(1, 3, 64, 64)).shape[1], 2)
model = torch.nn.Sequential(body, head).to(memory_format=torch.channels_last).train()
images = torch.randn(args.batch, 3, 224, 224).to(memory_format=torch.channels_last)
targets = torch.randint(0, 2, (args.batch,))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)


def step():
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.dtype == "bf16"):
        loss = torch.nn.functional.cross_entropy(model(images), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def traced():
    """The network with its batch norms folded, as PyTorch's own tools do it."""
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.dtype == "bf16", cache_enabled=False):
        return torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model.eval(), images)))


def predict(network):
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.dtype == "bf16"):
        network(images)


def timed(work):
    work(), work()
    seconds = []
    for _ in range(args.steps):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if args.mode == "train":
    median = timed(step)
else:
    model.eval()
    median = timed(lambda: predict(model))
    folded = traced()
    median = min(median, timed(lambda: predict(folded)))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"pytorch {torch.__version__} {args.mode} {args.arch} {args.dtype} channels_last batch {args.batch}: {median * 1e3:.1f} ms, "
      f"{args.batch / median:.2f} images/s, peak {peak:.0f} MB")
