#!/usr/bin/python3
"""Makes detection.h5: what pycocotools, scipy and torch say of boxes. Needs numpy, h5py, pycocotools, scipy, torch.

  coco/truth f64 [n, 9]: set, image, category, x, y, w, h, crowd, area; coco/found f64 [m, 8]: set, image, category, x, y, w, h, score, both
             in the order of the files; of each set coco/sizes [20, 2]: images, categories; coco/numbers [20, 12]; coco/ap [20, 4] and
             coco/curves [20, 4, 2, 101]: of each category (-1: there are fewer), the latter at the thresholds .5 and .75; of all areas
  assignment/totals f64 [100]: smallest sums of 100 matrices of 100 x 30, whose costs are those of `costs` below
  giou/{boxes, targets f64 [n, 4] as (cx, cy, w, h), loss f64 [n]: 1 - GIoU, boxes_gradient, targets_gradient f64 [n, 4]}: of the sum of
             the losses times 1 .. n, with the gradients that torch gives to the formula
"""
import contextlib
import io
import os

import h5py
import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.optimize import linear_sum_assignment


def coco_of(truth, images, categories):
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i, "width": 640, "height": 480} for i in range(images)],
        "categories": [{"id": c, "name": str(c)} for c in range(categories)],
        "annotations": [{"id": n + 1, "image_id": int(t[0]), "category_id": int(t[1]), "bbox": [float(v) for v in t[2:6]],
                         "iscrowd": int(t[6]), "area": float(t[7])} for n, t in enumerate(truth)]}
    coco.createIndex()
    return coco


def evaluated(truth, found, images, categories):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = coco_of(truth, images, categories)
        results = coco.loadRes([{"image_id": int(d[0]), "category_id": int(d[1]), "bbox": [float(v) for v in d[2:6]],
                                 "score": float(d[6])} for d in found])
        e = COCOeval(coco, results, "bbox")
        e.evaluate()
        e.accumulate()
        e.summarize()
    precision = e.eval["precision"][:, :, :, 0, 2]  # [thresholds, recalls, categories]
    ap = [precision[:, :, k][precision[:, :, k] > -1].mean() if (precision[:, :, k] > -1).any() else -1 for k in range(categories)]
    return e.stats, np.array(ap), precision


def random_set(rng, number):
    """Boxes of all sizes and crowds; detections near them and anywhere, with equal boxes, equal scores and IoUs at the thresholds."""
    images, categories = int(rng.integers(3, 8)), int(rng.integers(1, 5))
    grid = 0 if number % 4 == 3 else 4  # quarters of pixels, or any numbers

    def rounded(v):
        return np.round(v * grid) / grid if grid else v

    truth, found = [], []
    for image in range(images):
        for _ in range(int(rng.integers(0, 8))):
            size = rng.choice([12, 32, 60, 96, 200]) * rng.uniform(.5, 1.5, 2)
            box = rounded(np.concatenate([rng.uniform(0, [400, 300]), size]))
            crowd = int(rng.random() < .15)
            area = box[2] * box[3] * (1 if rng.random() < .5 else rounded(rng.uniform(.4, 1)))
            row = [image, int(rng.integers(categories)), *box, crowd, area]
            truth += [row] * (2 if rng.random() < .1 else 1)
            for _ in range(int(rng.integers(0, 4))):
                near = box.copy()
                kind = rng.integers(4)
                if kind == 0:
                    near[2] *= rng.choice([.5, .75])  # an IoU of exactly that
                elif kind < 3:
                    near = rounded(near + rng.normal(size=4) * size.min() * .08)
                category = row[1] if rng.random() < .9 else int(rng.integers(categories))
                found += [[image, category, *near[:2], *np.maximum(near[2:], 1), 0]] * (2 if rng.random() < .1 else 1)
        for _ in range(int(rng.integers(0, 4)) if number != 5 else 140):
            box = rounded(np.concatenate([rng.uniform(0, [400, 300]), rng.uniform(4, 150, 2)]))
            found.append([image, int(rng.integers(categories)), *box, 0])
    found = [list(d) for d in found]
    for d in found:
        d[6] = rng.integers(0, 17) / 16 if grid else rng.random()
    order = rng.permutation(len(found))
    return np.array(truth), np.array([found[i] for i in order]), images, categories


def costs(number, rows, columns):
    """Numbers of a linear congruential generator, 24 bits of each, as shares of 1; every third matrix of eighths, so with many ties."""
    state, out = number + 1, []
    for _ in range(rows * columns):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append((state >> 40) / 2**24)
    matrix = np.array(out).reshape(rows, columns)
    return np.floor(matrix * 8) / 8 if number % 3 == 0 else matrix - .5


def giou_loss(a, b):
    """1 - GIoU of matched pairs, as DETR writes it down for all pairs."""
    def corners(x):
        return torch.cat([x[:, :2] - .5 * x[:, 2:], x[:, :2] + .5 * x[:, 2:]], 1)
    a, b = corners(a), corners(b)
    area_a, area_b = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b))
    inner = (torch.min(a[:, 2:], b[:, 2:]) - torch.max(a[:, :2], b[:, :2])).clamp(min=0)
    outer = (torch.max(a[:, 2:], b[:, 2:]) - torch.min(a[:, :2], b[:, :2])).clamp(min=0)
    inter, around = inner[:, 0] * inner[:, 1], outer[:, 0] * outer[:, 1]
    union = area_a + area_b - inter
    return 1 - (inter / union - (around - union) / around)


rng = np.random.default_rng(11)
with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "detection.h5"), "w") as f:
    def put(name, value):
        f.create_dataset(name, data=np.asarray(value, "f8"), compression="gzip", shuffle=True)

    sets = [random_set(rng, number) for number in range(20)]
    results = [evaluated(*s) for s in sets]
    for name, part in (("truth", 0), ("found", 1)):
        put("coco/" + name, np.concatenate([np.insert(s[part], 0, number, axis=1) for number, s in enumerate(sets)]))
    put("coco/sizes", [s[2:] for s in sets])
    put("coco/numbers", [r[0] for r in results])
    ap, curves = -np.ones((20, 4)), -np.ones((20, 4, 2, 101))
    for number, (_, own, precision) in enumerate(results):
        ap[number, :len(own)] = own
        curves[number, :len(own)] = precision[[0, 5]].transpose(2, 0, 1)
    put("coco/ap", ap)
    put("coco/curves", curves)

    totals = []
    for number in range(100):
        matrix = costs(number, 100, 30)
        rows, columns = linear_sum_assignment(matrix)
        totals.append(matrix[rows, columns].sum())
    put("assignment/totals", totals)

    boxes = torch.tensor(np.concatenate([rng.uniform(.2, .8, (12, 2)), rng.uniform(.05, .4, (12, 2))], 1))
    targets = boxes + torch.tensor(rng.normal(size=(12, 4)) * .05)
    special = torch.tensor([[[.5, .5, .4, .4], [.5, .5, .4, .4]], [[.5, .5, .4, .4], [.5, .5, .2, .2]], [[.25, .5, .5, .5], [.75, .5, .5, .5]],
                            [[.2, .2, .1, .1], [.7, .8, .2, .3]], [[.5, .5, .25, .5], [.625, .5, .5, .5]], [[.5, .5, 0., 0.], [.5, .5, .5, .5]]],
                           dtype=torch.float64)
    boxes = torch.cat([boxes, special[:, 0]]).requires_grad_()
    targets = torch.cat([targets, special[:, 1]]).detach().requires_grad_()
    loss = giou_loss(boxes, targets)
    (loss * torch.arange(1, len(loss) + 1)).sum().backward()
    for name, value in {"boxes": boxes, "targets": targets, "loss": loss}.items():
        put("giou/" + name, value.detach().numpy())
    put("giou/boxes_gradient", boxes.grad.numpy())
    put("giou/targets_gradient", targets.grad.numpy())
