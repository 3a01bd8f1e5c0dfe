#!/usr/bin/env python3
"""distill.json: the loss of a student that learns from two teachers, and its gradients, by PyTorch.

Run:      pip install torch==2.15.0; python make_distill.py > distill.json

    loss = labels * cross entropy
         + classes / 2 * sum of T^2 KL(softmax(z / T) || softmax(y / T)), PyTorch's kl_div with reduction "batchmean"
         + features / 2 * sum of 1 - cos(said, f), a mean over the batch

and for multi-label data the same with binary cross entropy and a mean over labels. All in float64 from values that are
exact in float32.
"""
import json
import torch
import torch.nn.functional as F

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
BATCH, CLASSES, WIDTHS = 5, 4, [6, 3]
LABELS, ANSWERS, FEATURES, T = 0.7, 1.3, 0.4, 2.5


def values(*shape, scale=1.0):
    return (torch.randn(*shape) * scale).float().double()


def listed(x):
    return x.detach().flatten().tolist()


def main():
    student = values(BATCH, CLASSES, scale=2).requires_grad_()
    teachers = [values(BATCH, CLASSES, scale=3) for _ in WIDTHS]
    taught = [values(BATCH, width) for width in WIDTHS]
    said = [values(BATCH, width).requires_grad_() for width in WIDTHS]
    single = torch.randint(CLASSES, (BATCH,))
    multi = (torch.rand(BATCH, CLASSES) < 0.4).double()

    def features():
        return sum((1 - F.cosine_similarity(s, f, dim=1)).mean() for s, f in zip(said, taught)) / len(WIDTHS)

    def one():
        labels = F.cross_entropy(student, single)
        soft = [F.kl_div(F.log_softmax(student / T, 1), F.log_softmax(z / T, 1), reduction="batchmean", log_target=True) for z in teachers]
        return LABELS * labels + ANSWERS * T * T * sum(soft) / len(soft) + FEATURES * features()

    def many():
        labels = F.binary_cross_entropy_with_logits(student, multi)

        def apart(z):
            p = torch.sigmoid(z / T)
            return (p * (F.logsigmoid(z / T) - F.logsigmoid(student / T)) + (1 - p) * (F.logsigmoid(-z / T) - F.logsigmoid(-student / T))).mean()
        return LABELS * labels + ANSWERS * T * T * sum(map(apart, teachers)) / len(teachers) + FEATURES * features()

    out = dict(torch=torch.__version__, batch=BATCH, classes=CLASSES, widths=WIDTHS,
               settings=dict(teacher_labels=LABELS, teacher_classes=ANSWERS, teacher_features=FEATURES, teacher_temperature=T),
               student=listed(student), teachers=[listed(z) for z in teachers], taught=[listed(f) for f in taught],
               said=[listed(s) for s in said], single=single.tolist(), multi=multi.int().tolist())
    for name, loss in (("single_label", one), ("multi_label", many)):
        value = loss()
        gradients = torch.autograd.grad(value, [student, *said])
        out[name] = dict(loss=value.item(), logits_gradient=listed(gradients[0]), said_gradients=[listed(g) for g in gradients[1:]])
    print(json.dumps(out))


main()
