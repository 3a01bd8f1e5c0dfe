"""A ResNet-18 with fastai's head, as torchvision and fastai build them, with the weights of a bundle."""
import torch
import torchvision
from torch import nn


class Head(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.norm_1 = nn.BatchNorm1d(2 * channels)
        self.linear_1 = nn.Linear(2 * channels, 512, bias=False)
        self.norm_2 = nn.BatchNorm1d(512)
        self.linear_2 = nn.Linear(512, classes, bias=False)

    def forward(self, features):
        pooled = torch.cat([features.amax((2, 3)), features.mean((2, 3))], 1)
        return self.linear_2(self.norm_2(torch.relu(self.linear_1(self.norm_1(pooled)))))


class Network(nn.Module):
    def __init__(self, bundle):
        super().__init__()
        whole = torchvision.models.resnet18(weights=None)
        whole.fc = nn.Identity()
        self.body = whole
        self.head = Head(512, len(bundle.labels))
        weights = {name: torch.from_numpy(tensor.copy()) for name, tensor in bundle.weights.items()}
        missing, unexpected = self.load_state_dict(weights, strict=False)
        assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)
        self.eval()

    def forward(self, images):
        body = self.body
        x = body.maxpool(body.relu(body.bn1(body.conv1(images))))
        return self.head(body.layer4(body.layer3(body.layer2(body.layer1(x)))))
