#!/usr/bin/env python3
"""logistic.json: weights, biases and probabilities of scikit-learn's multinomial logistic regression, fitted to the last digits.

Versions: scikit-learn 1.9.1, numpy 2.4.6. Run: python make_logistic.py > logistic.json
Features are sin(i * 12.9898 + j * 78.233) * 0.5 (float32), plus 0.8 in feature `class`, so that no file of inputs is needed; labels are i * 7 % K.
C = 1 / penalty with three classes; with two, scikit-learn has one row of weights and C is 2 / penalty (see LogisticOptions).
"""
import json
import numpy as np
from sklearn.linear_model import LogisticRegression

cases = []
for classes, penalty, weighted in ((3, 1.0, False), (3, 0.25, True), (2, 2.0, False)):
    i, j = np.meshgrid(np.arange(60), np.arange(6), indexing="ij")
    y = np.arange(60) * 7 % classes
    x = (np.sin(i * 12.9898 + j * 78.233) * 0.5 + 0.8 * (j == y[:, None])).astype(np.float32)
    w = 0.25 + np.arange(60) % 4 if weighted else np.ones(60)
    c = 2 / penalty if classes == 2 else 1 / penalty
    m = LogisticRegression(C=c, solver="newton-cg", tol=1e-12, max_iter=10000).fit(x.astype(np.float64), y, sample_weight=w)
    cases.append(dict(classes=classes, penalty=penalty, weights=w.tolist(), coef=m.coef_.tolist(), intercept=m.intercept_.tolist(),
                      probabilities_first10=m.predict_proba(x.astype(np.float64))[:10].tolist()))
print(json.dumps(dict(cases=cases)))
