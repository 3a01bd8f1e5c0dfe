"""Writes multi.json: scikit-learn's and PyTorch's numbers for items with any number of labels.

    python make_multi.py > multi.json

Made with scikit-learn, PyTorch and torchvision as named in the file.
"""

import json
import sys

import numpy as np
import sklearn
import torch
import torchvision
from sklearn import metrics
from torch.nn import functional as F

rng = np.random.default_rng(11)
ITEMS, LABELS = 60, 5
frequency = np.array([0.5, 0.35, 0.2, 0.12, 0.08])
truth = (rng.random((ITEMS, LABELS)) < frequency).astype(int)
logits = np.round(2.5 * truth - 1.4 + rng.normal(0, 1.3, (ITEMS, LABELS)), 1).astype(np.float32)
scores = torch.sigmoid(torch.tensor(logits, dtype=torch.float64)).numpy()
# Ties and thresholds as they are after the rounding to f32 that predictions are kept in.
scores = scores.astype(np.float32).astype(np.float64)
thresholds = np.array([0.5, 0.4, 0.3, 0.25, 0.6], dtype=np.float32)


def averaged(predicted):
    out = {"accuracy_multi": float((predicted == truth).mean())}
    for average in ["macro", "micro", "weighted", "samples"]:
        ending = "" if average == "macro" else f"_{average}"
        arguments = {"average": average, "zero_division": 0}
        out["precision" + ending] = metrics.precision_score(truth, predicted, **arguments)
        out["recall" + ending] = metrics.recall_score(truth, predicted, **arguments)
        out["f1" + ending] = metrics.f1_score(truth, predicted, **arguments)
        out["f2" + ending] = metrics.fbeta_score(truth, predicted, beta=2, **arguments)
        out["f0.5" + ending] = metrics.fbeta_score(truth, predicted, beta=0.5, **arguments)
    return out


def by_label(predicted):
    precision, recall, f1, support = metrics.precision_recall_fscore_support(truth, predicted, zero_division=0)
    rows = {"precision": precision, "recall": recall, "f1": f1, "support": support}
    return {name: np.asarray(row).tolist() for name, row in rows.items()}


def best_f1(label):
    precision, recall, _ = metrics.precision_recall_curve(truth[:, label], scores[:, label])
    return float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-300)))


def loss(function):
    x = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    y = torch.tensor(truth, dtype=torch.float64)
    value = function(x, y)
    value.backward()
    return {"value": value.item(), "gradient_first8": x.grad.flatten()[:8].tolist()}


pos_weight = torch.tensor((1 - truth).sum(0) / truth.sum(0))
bce = F.binary_cross_entropy_with_logits
smooth = 0.1
partner = rng.permutation(ITEMS)
share = rng.uniform(0.5, 1.0, ITEMS).astype(np.float32)


def mixed(weighted):
    def value(x, y):
        lam = torch.tensor(share, dtype=torch.float64)
        own, other = (
            bce(x, target, reduction="none", pos_weight=weighted).mean(1) for target in (y, y[partner])
        )
        return (lam * own + (1 - lam) * other).mean()

    return value


def focal(x, y):
    return torchvision.ops.sigmoid_focal_loss(x, y, alpha=-1, gamma=2.0, reduction="mean")


golden = {
    "versions": {
        "sklearn": sklearn.__version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    },
    "logits": [[float(value) for value in row] for row in logits.round(1).astype(float)],
    "targets": [np.flatnonzero(row).tolist() for row in truth],
    "thresholds": [float(value) for value in thresholds],
    "at_half": averaged((scores > 0.5).astype(int)),
    "at_thresholds": averaged((scores > thresholds.astype(np.float64)).astype(int)),
    "by_label": by_label((scores > thresholds.astype(np.float64)).astype(int)),
    "average_precision_by_label": metrics.average_precision_score(truth, scores, average=None).tolist(),
    "average_precision": metrics.average_precision_score(truth, scores, average="macro"),
    "roc_auc": metrics.roc_auc_score(truth, scores, average="macro"),
    "best_f1": [best_f1(label) for label in range(LABELS)],
    "pos_weight": pos_weight.tolist(),
    "partner": partner.tolist(),
    "share": [float(value) for value in share],
    "losses": {
        "cross_entropy": loss(bce),
        "cross_entropy_weighted": loss(lambda x, y: bce(x, y, pos_weight=pos_weight)),
        "label_smoothing:0.1": loss(lambda x, y: bce(x, y * (1 - smooth) + smooth / 2)),
        "label_smoothing:0.1_weighted": loss(
            lambda x, y: bce(x, y * (1 - smooth) + smooth / 2, pos_weight=pos_weight)
        ),
        "focal:2": loss(focal),
        "mixed": loss(mixed(None)),
        "mixed_weighted": loss(mixed(pos_weight)),
    },
    "loss_per_item_first8": bce(
        torch.tensor(logits, dtype=torch.float64), torch.tensor(truth, dtype=torch.float64), reduction="none"
    )
    .mean(1)[:8]
    .tolist(),
}
json.dump(golden, sys.stdout)
print()
