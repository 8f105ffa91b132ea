#!/usr/bin/python3
"""Makes label_metrics.h5: what scikit-learn and scipy say of labels and numbers that are predicted. Needs numpy, h5py, scikit-learn, scipy.

  classes/<case>/{truth, predicted} i64 [n] of `classes` classes (attribute); expected f64 [accuracy, f1 or NaN, macro_f1, matthews]
  weights/<case>/{truth i64 [n], balanced f64 [classes]}: class weights that scikit-learn calls balanced
  numbers/<case>/{truth, predicted} f64 [n]; expected f64 [pearson, spearman, mean squared error]
"""
import os
import warnings

import h5py
import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, mean_squared_error
from sklearn.utils.class_weight import compute_class_weight

warnings.simplefilter("ignore")
rng = np.random.default_rng(7)

CLASSES = {
    "two": (2, rng.integers(0, 2, 97), rng.integers(0, 2, 97)),
    "skewed": (2, (rng.random(200) < 0.05).astype(int), (rng.random(200) < 0.1).astype(int)),
    "six": (6, rng.integers(0, 6, 500), rng.integers(0, 6, 500)),
    "one_class_predicted": (2, np.array([0, 1, 1, 0, 1]), np.zeros(5, int)),
    "positive_never_occurs": (2, np.zeros(5, int), np.array([0, 1, 1, 0, 1])),
    "neither_occurs": (2, np.zeros(4, int), np.zeros(4, int)),
    "a_class_is_missing": (5, np.array([0, 1, 1, 3, 3, 0]), np.array([0, 1, 3, 3, 1, 1])),
    "a_class_is_only_predicted": (4, np.array([0, 1, 1, 0]), np.array([0, 1, 2, 0])),
    "all_wrong": (2, np.array([0, 1, 0, 1]), np.array([1, 0, 1, 0])),
    "perfect": (3, np.array([0, 1, 2, 2, 1]), np.array([0, 1, 2, 2, 1])),
}
x = rng.normal(size=300)
grades = np.round(rng.random(400) * 5 * 5) / 5  # with many ties, as similarities of sentences have
NUMBERS = {
    "linear_and_noise": (x, 0.7 * x + rng.normal(size=300)),
    "grades": (grades, grades + rng.normal(size=400)),
    "tied_both": (grades, np.round(grades + rng.normal(size=400))),
    "far_from_zero": (1e9 + x, 1e9 - 2 * x + 1e-3 * rng.normal(size=300)),
    "constant_prediction": (x, np.full(300, 0.25)),
    "constant_truth": (np.full(300, 2.0), x),
    "two": (np.array([1.0, 2.0]), np.array([5.0, 3.0])),
    "monotone": (np.arange(1.0, 9), np.exp(np.arange(1.0, 9))),
    "huge": (np.array([1e200, 2e200, 3.5e200]), np.array([1.0, 2.5, 3.0])),
}

with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "label_metrics.h5"), "w") as f:
    for name, (classes, truth, predicted) in CLASSES.items():
        g = f.create_group("classes/" + name)
        g["truth"], g["predicted"] = truth.astype("i8"), predicted.astype("i8")
        g["count"] = np.array([classes], "i8")
        f1 = f1_score(truth, predicted, labels=[0, 1], pos_label=1, zero_division=0) if classes == 2 else np.nan
        g["expected"] = np.array([accuracy_score(truth, predicted), f1, f1_score(truth, predicted, average="macro", zero_division=0),
                                  matthews_corrcoef(truth, predicted)])
        if len(np.unique(truth)) == classes:
            f[f"weights/{name}/truth"] = truth.astype("i8")
            f[f"weights/{name}/balanced"] = compute_class_weight("balanced", classes=np.arange(classes), y=truth)
    for name, (truth, predicted) in NUMBERS.items():
        g = f.create_group("numbers/" + name)
        g["truth"], g["predicted"] = truth, predicted
        with np.errstate(all="ignore"):
            g["expected"] = np.array([pearsonr(truth, predicted)[0], spearmanr(truth, predicted)[0], mean_squared_error(truth, predicted)])
